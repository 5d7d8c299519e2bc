//! TARGET: what a person types to say which sockets are meant.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::str::FromStr;

use super::Pattern;
use crate::model::{Port, PortError, PortRange, Protocol, Reach, Row, Socket};

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
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Address {
    /// Which.
    pub place: Place,
    /// The interface after its `%`: only what is bound to that one.
    pub interface: Option<String>,
}

/// An address, or several by a word.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Place {
    /// Just this one; an IPv4 address also in its IPv6-mapped form.
    Exactly(IpAddr),
    /// `*`: bound to every address of its family.
    Wildcard,
    /// `localhost`: any loopback address.
    Localhost,
}

impl Place {
    fn matches(self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        match self {
            Place::Exactly(wanted) => wanted.to_canonical() == address,
            Place::Wildcard => address.is_unspecified(),
            Place::Localhost => address.is_loopback(),
        }
    }
}

impl Address {
    fn new(place: Place, interface: Option<&str>) -> Address {
        Address { place, interface: interface.map(str::to_owned) }
    }

    fn matches(&self, socket: &Socket) -> bool {
        self.place.matches(socket.local.address)
            && (self.interface.is_none() || self.interface.as_deref() == socket.device.as_deref())
    }

    /// Says whether what comes for this address goes to the socket though it is bound to another one: to every address.
    fn falls_to(&self, socket: &Socket) -> bool {
        let Place::Exactly(address) = self.place else { return false };
        let is_there = match (self.interface.as_deref(), socket.device.as_deref()) {
            (Some(wanted), Some(device)) => wanted == device,
            // What is bound to an interface gets only what comes through it: through which, the address does not say.
            (None, Some(_)) => false,
            (_, None) => true,
        };
        let reach = Reach::of(address.to_canonical(), true);
        is_there && !address.is_unspecified() && socket.local.address.is_unspecified() && socket.reach().meets(reach)
    }
}

/// Reads an address as it is shown: `127.0.0.1`, `fe80::1%eth0`, `127.0.0.1%lo`.
pub(super) fn with_interface(text: &str) -> Option<(IpAddr, Option<&str>)> {
    let (address, interface) = match text.split_once('%') {
        Some((address, interface)) => (address, Some(interface)),
        None => (text, None),
    };
    // Neither may be in the name of an interface on Linux; what follows a colon is a port.
    let is_name = interface.is_none_or(|name| !name.is_empty() && !name.contains(['/', ':']));
    Some((address.parse().ok()?, interface)).filter(|_| is_name)
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
        if let Some((address, interface)) = with_interface(unbracketed(text).unwrap_or(text)) {
            return Ok(Target::Address(Address::new(Place::Exactly(address), interface)));
        }
        match text.rsplit_once(':') {
            // Of what is half missing the whole is named.
            Some((_, "")) => Err(TargetError::new(format!("`{text}` has no port after its colon: expected 1-65535"))),
            Some((_, rest)) if rest.contains('%') => Err(TargetError::new(format!("`{text}` is not an address"))),
            Some(("", ports)) => Ok(Target::Ports(ports.parse()?)),
            Some((address, ports)) => Ok(Target::Endpoint(parse_address(address)?, ports.parse()?)),
            None if text.eq_ignore_ascii_case("localhost") => Ok(Target::Address(Address::new(Place::Localhost, None))),
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
        return Ok(Address::new(Place::Wildcard, None));
    }
    if text.eq_ignore_ascii_case("localhost") {
        return Ok(Address::new(Place::Localhost, None));
    }
    let address = match unbracketed(text) {
        Some(inner) => with_interface(inner).filter(|(address, _)| address.is_ipv6()),
        // Without brackets the last group of an IPv6 address could be meant as its port.
        None => with_interface(text).filter(|(address, _)| address.is_ipv4()),
    };
    let (address, interface) = address.ok_or_else(|| TargetError::new(format!("`{text}` is not an address")))?;
    Ok(Address::new(Place::Exactly(address), interface))
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
            Target::Endpoint(address, ports) => Wanted::Endpoint(address.clone(), *ports),
            Target::Address(address) => Wanted::Address(address.clone()),
            Target::Word(word) => Wanted::Named { services: ports_named(word), process: Pattern::new(word) },
        }
    }

    /// Says whether the row is meant.
    pub fn matches(&self, row: &Row<'_>) -> bool {
        let local = row.socket.local;
        match self {
            Wanted::Ports(ports) => ports.contains(local.port),
            Wanted::Endpoint(address, ports) => ports.contains(local.port) && address.matches(row.socket),
            Wanted::Address(address) => address.matches(row.socket),
            Wanted::Named { services, process } => {
                services.contains(&(local.port, row.socket.protocol))
                    || process.matches_row(row)
                    || process.matches_belonging(row)
            }
        }
    }

    /// Says whether what comes for the end that is meant goes to the row, which is bound to every address.
    pub fn falls_to(&self, row: &Row<'_>) -> bool {
        match self {
            Wanted::Endpoint(address, ports) => ports.contains(row.socket.local.port) && address.falls_to(row.socket),
            Wanted::Ports(_) | Wanted::Address(_) | Wanted::Named { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::Family;
    use crate::{join, testing};

    fn ports(first: u16, last: u16) -> PortRange {
        PortRange::new(Port::new(first), Port::new(last)).unwrap()
    }

    #[test]
    fn every_documented_form_is_read() {
        let at = |text: &str, interface| Address::new(Place::Exactly(text.parse().unwrap()), interface);
        let loopback = || at("127.0.0.1", None);
        for (text, target) in [
            ("8080", Target::Ports(ports(8080, 8080))),
            (":8080", Target::Ports(ports(8080, 8080))),
            ("8000-8100", Target::Ports(ports(8000, 8100))),
            (":8000-8100", Target::Ports(ports(8000, 8100))),
            ("127.0.0.1:8080", Target::Endpoint(loopback(), ports(8080, 8080))),
            ("127.0.0.1:80-90", Target::Endpoint(loopback(), ports(80, 90))),
            ("[::1]:80", Target::Endpoint(at("::1", None), ports(80, 80))),
            ("*:80", Target::Endpoint(Address::new(Place::Wildcard, None), ports(80, 80))),
            ("localhost:80", Target::Endpoint(Address::new(Place::Localhost, None), ports(80, 80))),
            ("127.0.0.1", Target::Address(loopback())),
            ("::1", Target::Address(at("::1", None))),
            ("[fe80::1%v0]:80", Target::Endpoint(at("fe80::1", Some("v0")), ports(80, 80))),
            ("[fe80::1%3]:80-90", Target::Endpoint(at("fe80::1", Some("3")), ports(80, 90))),
            ("127.0.0.1%lo:80", Target::Endpoint(at("127.0.0.1", Some("lo")), ports(80, 80))),
            ("fe80::1%v0", Target::Address(at("fe80::1", Some("v0")))),
            ("[fe80::1%3]", Target::Address(at("fe80::1", Some("3")))),
            ("127.0.0.1%lo", Target::Address(at("127.0.0.1", Some("lo")))),
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
            (":", "`:` has no port after its colon: expected 1-65535"),
            ("127.0.0.1:", "`127.0.0.1:` has no port after its colon: expected 1-65535"),
            ("[::1]:", "`[::1]:` has no port after its colon: expected 1-65535"),
            ("", "`` is not a target"),
            ("-", "`-` is not a target"),
            ("80-", "`80-` is not a range: it has no end"),
            (":80-", "`80-` is not a range: it has no end"),
            ("fe80::1%", "`fe80::1%` is not an address"),
            ("[fe80::1%]:80", "`[fe80::1%]` is not an address"),
            ("[127.0.0.1%lo]:80", "`[127.0.0.1%lo]` is not an address"),
            ("fe80::1%v0:80", "`fe80::1%v0` is not an address"),
            ("fe80::x%v0", "`fe80::x%v0` is not an address"),
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

    #[test]
    fn an_interface_narrows_an_address_to_what_is_bound_to_it() {
        let mut snapshot = testing::snapshot();
        let socket = &mut snapshot.sockets[4];
        (socket.local.address, socket.device) = ("fe80::1".parse().unwrap(), Some("v0".to_owned()));
        let listing = join::listing(&snapshot, None);
        for (text, is_meant) in [
            ("fe80::1%v0", true),
            ("[fe80::1%v0]:5432", true),
            ("[fe80::1]:5432", true),
            ("fe80::1%v1", false),
            ("[fe80::1%v0]:5433", false),
            ("[fe80::2%v0]:5432", false),
        ] {
            let wanted = Wanted::new(&text.parse().unwrap(), |_| BTreeSet::new());
            assert_eq!(wanted.matches(&listing.rows[4]), is_meant, "{text}");
        }
    }

    #[test]
    fn a_wildcard_gets_what_comes_for_an_address_of_a_family_that_it_takes() {
        let falls = |address: &str, v6only: bool, device: Option<&str>, target: &str| {
            let mut snapshot = testing::snapshot();
            let socket = &mut snapshot.sockets[2];
            socket.local.address = address.parse().unwrap();
            socket.family = if socket.local.address.is_ipv4() { Family::Ipv4 } else { Family::Ipv6 };
            (socket.v6only, socket.device) = (Some(v6only), device.map(str::to_owned));
            let listing = join::listing(&snapshot, None);
            Wanted::new(&target.parse().unwrap(), |_| BTreeSet::new()).falls_to(&listing.rows[2])
        };
        for (address, v6only, device, target, expected) in [
            ("0.0.0.0", false, None, "127.0.0.1:443", true),
            ("0.0.0.0", false, None, "127.0.0.1:444", false),
            ("0.0.0.0", false, None, "[::1]:443", false),
            ("::", false, None, "127.0.0.1:443", true),
            ("::", false, None, "[::1]:443", true),
            ("::", true, None, "127.0.0.1:443", false),
            ("::", true, None, "[fe80::1%v0]:443", true),
            ("::", true, Some("v0"), "[fe80::1%v0]:443", true),
            ("::", true, Some("v1"), "[fe80::1%v0]:443", false),
            ("0.0.0.0", false, Some("lo"), "127.0.0.1:443", false),
            ("127.0.0.1", false, None, "127.0.0.1:443", false),
            ("0.0.0.0", false, None, "0.0.0.0:443", false),
            ("0.0.0.0", false, None, "*:443", false),
            ("0.0.0.0", false, None, "443", false),
        ] {
            assert_eq!(falls(address, v6only, device, target), expected, "{address} {v6only} {device:?} {target}");
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
