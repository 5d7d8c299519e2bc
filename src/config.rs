//! The user's own names for ports: `--label` and the configuration file.
//!
//! ```toml
//! [labels]
//! 8080 = "web frontend"
//! "5353/udp" = "mdns"
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::catalogue::{Catalogue, Label, host};
use crate::environment::Environment;
use crate::error::Error;
use crate::model::Protocol;
use crate::system::folders;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

/// Returns the catalogue with the host's services, the labels of the configuration file and those of the flags.
pub fn catalogue(flags: &[String], environment: &Environment) -> Result<Catalogue, Error> {
    let mut labels = flags.iter().map(|flag| label_of_flag(flag)).collect::<Result<Vec<_>, _>>()?;
    for (path, must_exist) in paths(environment) {
        labels.extend(labels_of_file(&path, must_exist)?);
    }
    let services = host::read_small_file(&folders::services_file(environment)).unwrap_or_default();
    Ok(Catalogue::new(labels, &services))
}

/// The user's file, then the machine's. Under sudo the variables may be another user's, so only the machine's counts.
fn paths(environment: &Environment) -> Vec<(PathBuf, bool)> {
    let mut paths = Vec::new();
    if !environment.is_sudo() {
        let folder = folders::user_configuration(environment);
        match environment.get("PORTSCOPE_CONFIG") {
            Some(path) => paths.push((PathBuf::from(path), true)),
            None => paths.extend(folder.map(|folder| (folder.join("portscope/config.toml"), false))),
        }
    }
    paths.push((folders::machine_configuration(environment).join("portscope/config.toml"), false));
    paths
}

fn labels_of_file(path: &Path, must_exist: bool) -> Result<Vec<Label>, Error> {
    let error = |problem: String| Error::Config { path: path.to_owned(), problem };
    let bytes = match host::read_small_file(path) {
        Ok(bytes) => bytes,
        Err(problem) if must_exist => return Err(error(problem.to_string())),
        Err(_) => return Ok(Vec::new()),
    };
    let text = String::from_utf8(bytes).map_err(|_| error("it is not valid UTF-8".to_owned()))?;
    parse(&text).map_err(error)
}

fn parse(text: &str) -> Result<Vec<Label>, String> {
    let config: Config = toml::from_str(text).map_err(|error| place_and_problem(text, &error))?;
    let label = |(port, name): (String, String)| {
        let wrong = |problem| match problem {
            WrongLabel::Port => format!("labels: `{port}` is not a port: expected {EXPECTED}"),
            WrongLabel::Name => format!("labels: the name of `{port}` is empty: expected {EXPECTED} = \"NAME\""),
        };
        label(&port, &name).map_err(wrong)
    };
    let mut labels: Vec<Label> = config.labels.into_iter().map(label).collect::<Result<_, String>>()?;
    // The first that covers a port names it, so those that cover less come first; a table has no order of its own.
    labels.sort_by_key(|label| (label.ports.last().get() - label.ports.first().get(), label.protocol.is_none()));
    Ok(labels)
}

fn place_and_problem(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let column = before.len() - before.rfind('\n').map_or(0, |at| at + 1) + 1;
    let message = error.message().lines().collect::<Vec<_>>().join(" ");
    format!("line {}, column {column}: {message}", before.matches('\n').count() + 1)
}

const EXPECTED: &str = "PORT, LOW-HIGH, PORT/tcp or PORT/udp";

fn label_of_flag(flag: &str) -> Result<Label, Error> {
    let parts = flag.split_once('=').ok_or(WrongLabel::Port);
    parts.and_then(|(port, name)| label(port, name)).map_err(|problem| {
        let problem = match problem {
            WrongLabel::Port => "is not a label",
            WrongLabel::Name => "has an empty name",
        };
        Error::Usage(format!("--label: `{flag}` {problem}: expected PORT[/PROTO]=NAME, such as 8080=web"))
    })
}

/// Which part of a label is wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum WrongLabel {
    Port,
    Name,
}

fn label(port: &str, name: &str) -> Result<Label, WrongLabel> {
    let protocol_of = |name: &str| Protocol::ALL.into_iter().find(|known| known.name() == name);
    let (ports, protocol) = match port.split_once('/') {
        None => (port, None),
        Some((ports, name)) => (ports, Some(protocol_of(name).ok_or(WrongLabel::Port)?)),
    };
    let ports = ports.trim().parse().map_err(|_| WrongLabel::Port)?;
    let name = name.trim().to_owned();
    if name.is_empty() { Err(WrongLabel::Name) } else { Ok(Label { ports, protocol, name }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_read_from_the_file() {
        let text = "[labels]\n\"9000-9010\" = \"mine\"\n8080 = \"web\"\n\"8080/udp\" = \"quic\"\n9005 = \"its own\"\n";
        let labels = parse(text).unwrap();
        let shown: Vec<String> = labels.iter().map(|l| format!("{} {:?} {}", l.ports, l.protocol, l.name)).collect();
        assert_eq!(shown, ["8080 Some(Udp) quic", "8080 None web", "9005 None its own", "9000-9010 None mine"]);
    }

    #[test]
    fn an_error_in_the_file_names_its_place() {
        assert!(parse("[labels]\n8080 = 1\n").unwrap_err().starts_with("line 2, column 8: "));
        assert!(parse("[label]\n").unwrap_err().starts_with("line 1, column 2: unknown field `label`"));
        let told = |text: &str| parse(text).unwrap_err();
        assert_eq!(told("[labels]\nx = \"y\"\n"), format!("labels: `x` is not a port: expected {EXPECTED}"));
        let empty = format!("labels: the name of `3000` is empty: expected {EXPECTED} = \"NAME\"");
        assert_eq!(told("[labels]\n3000 = \" \"\n"), empty);
    }

    #[test]
    #[cfg(windows)]
    fn configuration_lies_where_windows_keeps_it() {
        let pairs = [("APPDATA", r"C:\Users\eve\AppData"), ("PROGRAMDATA", r"C:\ProgramData"), ("HOME", "/home/eve")];
        let file = |folder: &str| (PathBuf::from(folder).join("portscope/config.toml"), false);
        assert_eq!(paths(&Environment::of(&pairs)), [file(r"C:\Users\eve\AppData"), file(r"C:\ProgramData")]);
        let root = Environment::of(&[("SYSTEMROOT", r"C:\Windows")]);
        assert_eq!(folders::services_file(&root), Path::new(r"C:\Windows\System32\drivers\etc\services"));
    }

    #[test]
    #[cfg(unix)]
    fn under_sudo_only_the_machines_own_file_counts() {
        let pairs = [("HOME", "/home/eve"), ("SUDO_UID", "1000"), ("PORTSCOPE_CONFIG", "/tmp/x")];
        let machine = (PathBuf::from("/etc/portscope/config.toml"), false);
        assert_eq!(paths(&Environment::of(&pairs)), std::slice::from_ref(&machine));
        let user = (PathBuf::from("/home/eve/.config/portscope/config.toml"), false);
        assert_eq!(paths(&Environment::of(&pairs[..1])), [user, machine]);
    }
}
