//! The configuration files: the user's own, and the machine's.
//!
//! ```toml
//! color = "never"
//! columns = ["+cwd", "-category"]
//!
//! [labels]
//! 8080 = "web frontend"
//! "5353/udp" = "mdns"
//! ```

mod file;
mod label;

use std::path::{Path, PathBuf};

use file::File;
pub use file::{Setting, Value};

use crate::catalogue::{Catalogue, Label, host};
use crate::environment::Environment;
use crate::error::Error;
use crate::system::folders;

/// A setting, and the file that has it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Configured {
    /// The file.
    pub path: PathBuf,
    /// The setting.
    pub setting: Setting,
}

impl Configured {
    /// The error of a setting that means nothing.
    pub fn error(&self, problem: &str) -> Error {
        Error::Config { path: self.path.clone(), problem: format!("line {}: {problem}", self.setting.line) }
    }
}

/// A file and a line of it, from 1.
pub type Place = (PathBuf, usize);

/// What the configuration files have. It is read once a run.
#[derive(Debug, Default)]
pub struct Configuration {
    /// Every setting but the labels, those that win first. What they mean is not judged here.
    pub settings: Vec<Configured>,
    /// The labels with the file and line of each, those that win first.
    pub labels: Vec<(Place, Label)>,
}

impl Configuration {
    /// Reads the files.
    pub fn read(environment: &Environment) -> Result<Configuration, Error> {
        let mut configuration = Configuration::default();
        for (path, file) in files(environment)? {
            let configured = |setting| Configured { path: path.clone(), setting };
            configuration.settings.extend(file.settings.into_iter().map(configured));
            configuration.labels.extend(file.labels.into_iter().map(|(line, label)| ((path.clone(), line), label)));
        }
        Ok(configuration)
    }

    /// Returns the catalog with the host's services, the labels of the files and those of the flags.
    pub fn catalogue(&self, flags: &[String], environment: &Environment) -> Result<Catalogue, Error> {
        let mut labels = labels_of_flags(flags)?;
        labels.extend(self.labels.iter().map(|(_, label)| label.clone()));
        let services = host::read_small_file(&folders::services_file(environment)).unwrap_or_default();
        Ok(Catalogue::new(labels, &services))
    }
}

/// Returns the labels that flags give: `8080=web`.
pub fn labels_of_flags(flags: &[String]) -> Result<Vec<Label>, Error> {
    flags.iter().map(|flag| label::of_flag(flag)).collect()
}

/// The user's file, then the machine's. Under sudo the variables may be another user's, so only the machine's counts.
pub fn paths(environment: &Environment) -> Vec<(PathBuf, bool)> {
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

fn files(environment: &Environment) -> Result<Vec<(PathBuf, File)>, Error> {
    let mut files = Vec::new();
    for (path, must_exist) in paths(environment) {
        if let Some(file) = read(&path, must_exist)? {
            files.push((path, file));
        }
    }
    Ok(files)
}

fn read(path: &Path, must_exist: bool) -> Result<Option<File>, Error> {
    let error = |problem: String| Error::Config { path: path.to_owned(), problem };
    let bytes = match host::read_small_file(path) {
        Ok(bytes) => bytes,
        Err(problem) if must_exist => return Err(error(problem.to_string())),
        Err(_) => return Ok(None),
    };
    let text = String::from_utf8(bytes).map_err(|_| error("it is not valid UTF-8".to_owned()))?;
    file::parse(&text).map(Some).map_err(error)
}

#[cfg(test)]
mod tests {
    use super::*;

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
