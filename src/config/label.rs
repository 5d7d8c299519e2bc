//! The user's own names for ports, as flags and files have them.

use crate::catalogue::Label;
use crate::error::Error;
use crate::model::Protocol;

/// What is accepted as the port of a label.
pub const EXPECTED: &str = "PORT, LOW-HIGH, PORT/tcp or PORT/udp";

/// Reads `8080=web`, the value of `--label`.
pub fn of_flag(flag: &str) -> Result<Label, Error> {
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
pub enum WrongLabel {
    /// The port.
    Port,
    /// The name, which is empty.
    Name,
}

/// Makes a label of its two parts.
pub fn label(port: &str, name: &str) -> Result<Label, WrongLabel> {
    let protocol_of = |name: &str| Protocol::ALL.into_iter().find(|known| known.name() == name);
    let (ports, protocol) = match port.split_once('/') {
        None => (port, None),
        Some((ports, name)) => (ports, Some(protocol_of(name).ok_or(WrongLabel::Port)?)),
    };
    let ports = ports.trim().parse().map_err(|_| WrongLabel::Port)?;
    let name = name.trim().to_owned();
    if name.is_empty() { Err(WrongLabel::Name) } else { Ok(Label { ports, protocol, name }) }
}
