//! Ports as the commands take them that do something about a port.

use std::collections::BTreeSet;
use std::str::FromStr;

use clap::Args;

use crate::model::{Port, Protocol};
use crate::select::{Target, Wanted};

/// `-t`, `-u`.
#[derive(Args, Clone, Copy, Debug)]
pub struct ProtocolArgs {
    /// TCP (the default)
    #[arg(short = 't', long)]
    tcp: bool,

    /// UDP; -tu for both
    #[arg(short = 'u', long)]
    udp: bool,
}

impl ProtocolArgs {
    /// The protocols that are meant.
    pub fn protocols(self) -> Vec<Protocol> {
        match (self.tcp, self.udp) {
            (_, false) => vec![Protocol::Tcp],
            (false, true) => vec![Protocol::Udp],
            (true, true) => Protocol::ALL.to_vec(),
        }
    }
}

/// `-t`, `-u` of commands whose answers have every protocol without them.
#[derive(Args, Clone, Copy, Debug)]
pub struct OnlyProtocolArgs {
    /// TCP only
    #[arg(short = 't', long)]
    tcp: bool,

    /// UDP only
    #[arg(short = 'u', long)]
    udp: bool,
}

impl OnlyProtocolArgs {
    /// The protocols that are meant.
    pub fn protocols(self) -> Vec<Protocol> {
        match (self.tcp, self.udp) {
            (true, false) => vec![Protocol::Tcp],
            (false, true) => vec![Protocol::Udp],
            _ => Protocol::ALL.to_vec(),
        }
    }
}

/// A target that is a port, a range, or a port at an address: never a name, which anything may bear.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PortTarget {
    /// As it was typed.
    pub text: String,
    /// What it means.
    pub target: Target,
}

impl PortTarget {
    /// What was typed, and what it means of a socket.
    pub fn wanted(&self) -> (String, Wanted) {
        (self.text.clone(), Wanted::new(&self.target, |_| BTreeSet::new()))
    }
}

impl FromStr for PortTarget {
    type Err = String;

    fn from_str(text: &str) -> Result<PortTarget, String> {
        let accepted = "PORT, :PORT, LOW-HIGH, ADDR:PORT or [ADDR6]:PORT";
        match text.parse() {
            Ok(target @ (Target::Ports(_) | Target::Endpoint(..))) => Ok(PortTarget { text: text.to_owned(), target }),
            Ok(Target::Address(_) | Target::Word(_)) => Err(format!("`{text}` is not a port: expected {accepted}")),
            Err(error) => {
                let error = error.to_string();
                let problem = error.split(';').next().unwrap_or_default();
                Err(format!("{problem}; expected {accepted}"))
            }
        }
    }
}

/// Reads `8080` or `:8080`.
pub fn parse_port(text: &str) -> Result<Port, String> {
    // Of a colon alone the colon is named.
    let number = text.strip_prefix(':').filter(|number| !number.is_empty()).unwrap_or(text);
    number.parse::<Port>().map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_of_ports_is_no_name() {
        for text in
            ["8080", ":8080", "8000-8100", "127.0.0.1:80", "[::1]:80", "[fe80::1%v0]:80", "*:80", "localhost:80"]
        {
            assert!(text.parse::<PortTarget>().is_ok(), "{text}");
        }
        for (text, problem) in [
            ("nginx", "`nginx` is not a port: expected PORT, :PORT, LOW-HIGH, ADDR:PORT or [ADDR6]:PORT"),
            ("127.0.0.1", "`127.0.0.1` is not a port: expected PORT, "),
            ("70000", "`70000` is not a port: expected 1-65535; expected PORT, "),
            ("8080-", "`8080-` is not a range: it has no end; expected PORT, "),
            ("127.0.0.1:", "`127.0.0.1:` has no port after its colon: expected 1-65535; expected PORT, "),
            ("9-1", "`9-1` is not a range: 9 is above 1; expected PORT, "),
        ] {
            let message = text.parse::<PortTarget>().unwrap_err();
            assert!(message.starts_with(problem), "{message}");
        }
    }
}
