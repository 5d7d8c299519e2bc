//! Sentences about what was typed and matches no socket.

use std::collections::BTreeSet;
use std::path::Path;

use crate::analyse::unmatched::{Asked, Near, Standing};
use crate::model::{Answer, Listing, Pid, Port, Protocol, Row, shell_word};
use crate::render::text::safe::{Charset, Text};
use crate::render::words::said::Said;
use crate::render::words::{socket, summary};
use crate::select::NameKind;

fn safe(text: &str) -> String {
    Text::of(text, Charset::Unicode).into_string()
}

/// Says that no socket of the answer has the name.
pub fn name(asked: Asked, name: &str, standing: &Standing, rest: &[String]) -> Said {
    let name = safe(name);
    let kind = match asked {
        Asked::Word => "service, process, unit or container",
        Asked::Service => "service",
        Asked::Process => "process",
        Asked::User => "user",
    };
    match standing {
        Standing::Known => Said {
            line: match asked {
                Asked::User => format!("user `{name}` has no matching socket"),
                Asked::Process => format!("process `{name}` has no matching socket"),
                Asked::Word | Asked::Service => format!("nothing that matches `{name}` is open"),
            },
            hints: Vec::new(),
        },
        Standing::Hidden(count, near) => Said {
            line: format!(
                "can't tell whether `{name}` has a socket: the owners of {count} {} are hidden",
                if *count == 1 { "socket" } else { "sockets" }
            ),
            hints: near.iter().map(|near| suggestion(near, rest)).collect(),
        },
        Standing::Unknown(near) => Said {
            line: format!("no {kind} here is named `{name}`"),
            hints: near.iter().map(|near| suggestion(near, rest)).collect(),
        },
    }
}

/// `did you mean …?` with the command to type where a command was meant.
fn suggestion(near: &Near, rest: &[String]) -> String {
    let meant = match near {
        Near::Command(command) => {
            let words: Vec<String> = rest.iter().map(|word| safe(word)).collect();
            return format!("did you mean `{}`?", [vec![format!("portscope {command}")], words].concat().join(" "));
        }
        Near::Flag(flag) => return format!("did you mean `portscope {flag}`?"),
        Near::Process(name) => format!("the process `{}`", safe(name)),
        Near::Unit(name) => format!("the unit `{}`", safe(name)),
        Near::Container(name) => format!("the container `{}`", safe(name)),
        Near::Space(name) => format!("the port space `{0}` (--space {1})", safe(name), shell_word(&safe(name))),
        Near::Service(name, port, protocol) => {
            format!("the service `{}` ({} {port})", safe(name), protocol.name())
        }
        Near::User(name) => format!("the user `{0}` (--user {1})", safe(name), shell_word(&safe(name))),
    };
    format!("did you mean {meant}?")
}

/// What would show the hidden owners.
pub fn how_to_see(listing: &Listing<'_>, program: Option<&Path>) -> Option<String> {
    let mut gaps = listing.snapshot.gaps_of(Answer::Owners);
    gaps.find_map(|gap| summary::hint(gap.reason(), listing.snapshot, program))
}

/// Says that the process of this number holds no socket of the answer.
pub fn pid(pid: Pid, standing: &Standing) -> Said {
    let line = match standing {
        Standing::Known => format!("process {} has no matching socket", pid.0),
        Standing::Unknown(_) => format!("there is no process {}", pid.0),
        Standing::Hidden(count, _) => {
            let noun = if *count == 1 { "socket" } else { "sockets" };
            format!("can't tell whether process {} has a socket: the owners of {count} {noun} are hidden", pid.0)
        }
    };
    Said { line, hints: Vec::new() }
}

/// Says on which ports processes of this name listen; nothing where there are none.
pub fn ports_of(word: &str, ports: &BTreeSet<(Port, Protocol)>) -> Option<String> {
    let texts: Vec<String> = ports.iter().map(|(port, protocol)| format!("{port}/{}", protocol.name())).collect();
    let word = safe(word);
    (!texts.is_empty()).then(|| format!("name the ports: `{word}` is listening on {}", texts.join(", ")))
}

/// Says that nothing is open on a port or at an address: `nothing is listening on tcp 3000`.
pub fn place(text: &str, protocols: &[Protocol], listening: bool, filtered: bool) -> String {
    let verb = if listening { "listening" } else { "open" };
    let names: Vec<&str> = protocols.iter().map(|protocol| protocol.name()).collect();
    let text = safe(text.rsplit_once('/').map_or(text, |(port, _)| port));
    let text = text.strip_prefix(':').filter(|rest| !rest.contains(':')).unwrap_or(&text);
    let all = if filtered { " that passes the filters" } else { "" };
    format!("nothing{all} is {verb} on {} {text}", names.join(" or "))
}

/// Says that sockets on every address were listed for one address.
pub fn wildcards(text: &str, rows: &[&Row<'_>], charset: Charset) -> Option<String> {
    let text = safe(text);
    match rows {
        [] => None,
        [row] => Some(format!(
            "{} listens on every address, so it also answers at {text}",
            socket::socket_and_holders(row, charset)
        )),
        _ => Some(format!("{} sockets listen on every address, so they also answer at {text}", rows.len())),
    }
}

/// Says which kinds of things a word was the name of, where they are several.
pub fn meanings(word: &str, kinds: &[(NameKind, usize)]) -> String {
    let counted = |(kind, count): &(NameKind, usize)| {
        let noun = if *count == 1 { "socket" } else { "sockets" };
        let kind = match kind {
            NameKind::Service => "service",
            NameKind::Process => "process",
            NameKind::Unit => "unit",
            NameKind::Container => "container",
        };
        format!("{kind} ({count} {noun})")
    };
    let kinds: Vec<String> = kinds.iter().map(counted).collect();
    format!("`{}` matches the name of a {}", safe(word), kinds.join(" and of a "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ports_of_a_name_are_parted_by_commas() {
        let ports = [(Port::new(80), Protocol::Tcp), (Port::new(443), Protocol::Tcp), (Port::new(443), Protocol::Udp)];
        let hint = ports_of("nginx", &ports.into()).unwrap();
        assert_eq!(hint, "name the ports: `nginx` is listening on 80/tcp, 443/tcp, 443/udp");
        assert_eq!(ports_of("nginx", &BTreeSet::new()), None);
    }
}
