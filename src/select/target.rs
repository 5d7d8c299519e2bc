//! TARGET: what a person types to say which sockets are meant.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use super::Pattern;
use crate::model::{Port, PortError, PortRange, Protocol, Row};

/// One target as it was typed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Target {
    /// `8080`, `:8080`, `8000-8100`: the local port.
    Ports(PortRange),
    /// `127.0.0.1:8080`, `[::1]:8080`, `localhost:8080`, `*:8080`: the local end.
    Endpoint(Address, PortRange),
    /// `127.0.0.1`: the local address.
    Address(Address),
    /// Anything else: the name of a service or a process.
    Word(String),
}

/// A local address as a target names it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Address {
    /// Just this one; an IPv4 address also in its IPv6-mapped form.
    Exactly(IpAddr),
    /// `*`: bound to every address of its family.
    Wildcard,
    /// `localhost`: any loopback address.
    Localhost,
}

impl Address {
    fn matches(self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        match self {
            Address::Exactly(wanted) => wanted.to_canonical() == address,
            Address::Wildcard => address.is_unspecified(),
            Address::Localhost => address.is_loopback(),
        }
    }
}

/// What is wrong with a target.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "{problem}; a target is PORT, :PORT, LOW-HIGH, ADDR:PORT, [ADDR6]:PORT, or the name of a service, process, unit or container"
)]
pub struct TargetError {
    problem: String,
}

impl TargetError {
    fn new(problem: impl Into<String>) -> TargetError {
        TargetError { problem: problem.into() }
    }
}

impl From<PortError> for TargetError {
    fn from(error: PortError) -> TargetError {
        // The list of accepted forms follows anyway.
        let problem = error.to_string();
        TargetError::new(problem.split(';').next().unwrap_or_default())
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Target, TargetError> {
        if looks_like_ports(text) {
            return Ok(Target::Ports(text.parse()?));
        }
        if let Ok(address) = unbracketed(text).unwrap_or(text).parse::<IpAddr>() {
            return Ok(Target::Address(Address::Exactly(address)));
        }
        match text.rsplit_once(':') {
            Some(("", ports)) => Ok(Target::Ports(ports.parse()?)),
            Some((address, ports)) => Ok(Target::Endpoint(parse_address(address)?, ports.parse()?)),
            None if text.eq_ignore_ascii_case("localhost") => Ok(Target::Address(Address::Localhost)),
            None if text.chars().any(char::is_alphanumeric) => Ok(Target::Word(text.to_owned())),
            None => Err(TargetError::new(format!("`{text}` is not a target"))),
        }
    }
}

fn looks_like_ports(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_digit())
        && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
}

pub(super) fn unbracketed(text: &str) -> Option<&str> {
    text.strip_prefix('[')?.strip_suffix(']')
}

fn parse_address(text: &str) -> Result<Address, TargetError> {
    if text == "*" {
        return Ok(Address::Wildcard);
    }
    if text.eq_ignore_ascii_case("localhost") {
        return Ok(Address::Localhost);
    }
    let address = match unbracketed(text) {
        Some(inner) => inner.parse::<Ipv6Addr>().map(IpAddr::V6),
        // Without brackets the last group of an IPv6 address could be meant as its port.
        None => text.parse::<Ipv4Addr>().map(IpAddr::V4),
    };
    address.map(Address::Exactly).map_err(|_| TargetError::new(format!("`{text}` is not an address")))
}

/// A target with its word looked up: ready to be compared with rows.
#[derive(Clone, Debug)]
pub enum Wanted {
    /// By local port.
    Ports(PortRange),
    /// By local address and port.
    Endpoint(Address, PortRange),
    /// By local address.
    Address(Address),
    /// By the ports of a service, or by process.
    Named {
        /// The ports that the word is the name of.
        services: BTreeSet<(Port, Protocol)>,
        /// The word as the beginning of the name of a process, unit or container.
        process: Pattern,
    },
}

impl Wanted {
    /// Looks up what the target's word stands for, with `ports_named`.
    pub fn new(target: &Target, ports_named: impl Fn(&str) -> BTreeSet<(Port, Protocol)>) -> Wanted {
        match target {
            Target::Ports(ports) => Wanted::Ports(*ports),
            Target::Endpoint(address, ports) => Wanted::Endpoint(*address, *ports),
            Target::Address(address) => Wanted::Address(*address),
            Target::Word(word) => Wanted::Named { services: ports_named(word), process: Pattern::new(word) },
        }
    }

    /// Says whether the row is meant.
    pub fn matches(&self, row: &Row<'_>) -> bool {
        let local = row.socket.local;
        match self {
            Wanted::Ports(ports) => ports.contains(local.port),
            Wanted::Endpoint(address, ports) => ports.contains(local.port) && address.matches(local.address),
            Wanted::Address(address) => address.matches(local.address),
            Wanted::Named { services, process } => {
                services.contains(&(local.port, row.socket.protocol))
                    || process.matches_row(row)
                    || process.matches_belonging(row)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ports(first: u16, last: u16) -> PortRange {
        PortRange::new(Port::new(first), Port::new(last)).unwrap()
    }

    #[test]
    fn every_documented_form_is_read() {
        let loopback = Address::Exactly(IpAddr::V4(Ipv4Addr::LOCALHOST));
        for (text, target) in [
            ("8080", Target::Ports(ports(8080, 8080))),
            (":8080", Target::Ports(ports(8080, 8080))),
            ("8000-8100", Target::Ports(ports(8000, 8100))),
            (":8000-8100", Target::Ports(ports(8000, 8100))),
            ("127.0.0.1:8080", Target::Endpoint(loopback, ports(8080, 8080))),
            ("127.0.0.1:80-90", Target::Endpoint(loopback, ports(80, 90))),
            ("[::1]:80", Target::Endpoint(Address::Exactly(IpAddr::V6(Ipv6Addr::LOCALHOST)), ports(80, 80))),
            ("*:80", Target::Endpoint(Address::Wildcard, ports(80, 80))),
            ("localhost:80", Target::Endpoint(Address::Localhost, ports(80, 80))),
            ("127.0.0.1", Target::Address(loopback)),
            ("::1", Target::Address(Address::Exactly(IpAddr::V6(Ipv6Addr::LOCALHOST)))),
            ("ssh", Target::Word("ssh".to_owned())),
            ("3com-tsmux", Target::Word("3com-tsmux".to_owned())),
        ] {
            assert_eq!(text.parse(), Ok(target), "{text}");
        }
    }

    #[test]
    fn a_malformed_target_names_the_bad_part_and_the_accepted_forms() {
        for (text, problem) in [
            ("70000", "`70000` is not a port: expected 1-65535"),
            ("80-20", "`80-20` is not a range: 80 is above 20"),
            (":", "`` is not a port: expected 1-65535"),
            ("", "`` is not a target"),
            ("-", "`-` is not a target"),
            ("80-", "`` is not a port: expected 1-65535"),
            ("127.0.0.1:99999", "`99999` is not a port: expected 1-65535"),
            ("127.0.0.256:80", "`127.0.0.256` is not an address"),
            ("::1:x", "`::1` is not an address"),
            ("[::1:80", "`[::1` is not an address"),
        ] {
            let message = text.parse::<Target>().unwrap_err().to_string();
            assert_eq!(message.split(';').next(), Some(problem), "{text}");
            assert!(message.ends_with("or the name of a service, process, unit or container"), "{message}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_target_or_an_error_of_one_line(text in any::<String>()) {
            if let Err(error) = text.parse::<Target>() {
                prop_assert!(error.to_string().contains("a target is PORT"));
            }
        }

        #[test]
        fn any_two_numbers_are_a_range_exactly_when_they_are_ports_in_order(a in 0u32..70_000, b in 0u32..70_000) {
            let target = format!("{a}-{b}").parse::<Target>();
            prop_assert_eq!(target.is_ok(), (1..=65535).contains(&a) && (a..=65535).contains(&b));
        }
    }
}
