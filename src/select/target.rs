//! TARGET: what a person types to say which sockets are meant.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use crate::model::{PortError, PortRange, Protocol, Reach, Socket};

/// One target as it was typed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Target {
    /// As it was typed.
    pub text: String,
    /// What it names.
    pub kind: TargetKind,
    /// The protocol after its slash: `53/udp`.
    pub protocol: Option<Protocol>,
}

/// What a target names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum TargetKind {
    /// `8080`, `:8080`, `8000-8100`, `:http`: the local port.
    Ports(Ports),
    /// `127.0.0.1:8080`, `[::1]:8080`, `localhost:8080`, `*:8080`: the local end.
    Endpoint(Address, Ports),
    /// `127.0.0.1`: the local address.
    Address(Address),
    /// Anything else: the name of a service, or the beginning of that of a process, unit or container.
    Word(String),
}

/// Ports by number or by the name of a service.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Ports {
    /// `8080`, `8000-8100`.
    Range(PortRange),
    /// `http`.
    Service(String),
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

    /// Says whether the socket is bound to this address.
    pub(super) fn matches(&self, socket: &Socket) -> bool {
        self.place.matches(socket.local.address)
            && (self.interface.is_none() || self.interface.as_deref() == socket.device.as_deref())
    }

    /// Says whether what is sent to this address goes to the socket although that is bound to every address.
    pub(super) fn falls_to(&self, socket: &Socket) -> bool {
        let is_there = match (self.interface.as_deref(), socket.device.as_deref()) {
            (Some(wanted), Some(device)) => wanted == device,
            // What is bound to an interface gets only what comes through it: through which, the address does not say.
            (None, Some(_)) => false,
            (_, None) => true,
        };
        let is_reached = |address: IpAddr| {
            !address.is_unspecified() && socket.reach().meets(Reach::of(address.to_canonical(), true))
        };
        let is_meant = match self.place {
            Place::Exactly(address) => is_reached(address),
            Place::Localhost => LOOPBACK.into_iter().any(is_reached),
            Place::Wildcard => false,
        };
        is_there && socket.local.address.is_unspecified() && is_meant
    }
}

/// The addresses that `localhost` stands for.
const LOOPBACK: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

impl Address {
    /// Says whether the socket is bound to this address, or to every address and so to this one too.
    pub fn is_answered_by(&self, socket: &Socket) -> bool {
        self.matches(socket) || self.falls_to(socket)
    }
}

impl fmt::Display for Address {
    /// Writes it as a target takes it in front of a colon: `127.0.0.1`, `[::1]`, `[fe80::1%eth0]`, `*`, `localhost`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let interface = self.interface.as_deref().map(|name| format!("%{name}")).unwrap_or_default();
        match self.place {
            Place::Exactly(IpAddr::V6(address)) => write!(f, "[{address}{interface}]"),
            Place::Exactly(address) => write!(f, "{address}{interface}"),
            Place::Wildcard => write!(f, "*"),
            Place::Localhost => write!(f, "localhost"),
        }
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
pub enum TargetError {
    /// The whole is none of the forms.
    #[error("`{0}` is not a target: expected a port (8080, 53/udp, 8000-8100), ADDR:PORT, an address or a name")]
    NotATarget(String),
    /// What stands where an address must be is none.
    #[error("`{0}` is not an address: expected an IPv4 or IPv6 address, such as 127.0.0.1 or [::1]")]
    NotAnAddress(String),
    /// What follows the slash is no protocol.
    #[error("`{0}` is not a protocol: expected {known}", known = Protocol::ALL.map(Protocol::name).join(" or "))]
    NotAProtocol(String),
    /// Nothing follows the colon.
    #[error("`{0}` has no port after its colon: expected 1-65535")]
    NoPort(String),
    /// What stands where ports must be is none.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// One argument: a target, or several with commas between them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TargetList(pub Vec<Target>);

impl TargetList {
    /// The targets of several arguments, in the order in which they were typed.
    pub fn all(lists: &[TargetList]) -> impl Iterator<Item = &Target> {
        lists.iter().flat_map(|list| &list.0)
    }
}

impl FromStr for TargetList {
    type Err = TargetError;

    /// Reads `3000,5173`, and `3000 5173` where a shell has passed several ports as one word.
    fn from_str(text: &str) -> Result<TargetList, TargetError> {
        let mut targets = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let pieces: Vec<&str> = part.split(' ').filter(|piece| !piece.is_empty()).collect();
            // A space may be part of a name.
            if pieces.iter().all(|piece| piece.starts_with(|c: char| c.is_ascii_digit() || c == ':' || c == '[')) {
                targets.extend(pieces.into_iter().map(str::parse).collect::<Result<Vec<Target>, _>>()?);
            } else {
                targets.push(part.parse()?);
            }
        }
        if targets.is_empty() {
            return Err(TargetError::NotATarget(text.to_owned()));
        }
        Ok(TargetList(targets))
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Target, TargetError> {
        let (named, protocol) = match text.rsplit_once('/') {
            Some((named, suffix)) => match protocol_named(suffix) {
                Some(protocol) => (named, Some(protocol)),
                None if looks_like_ports(named) => return Err(TargetError::NotAProtocol(suffix.to_owned())),
                None => (text, None),
            },
            None => (text, None),
        };
        let kind = match (kind(named)?, protocol) {
            // Only services have a protocol in their name.
            (TargetKind::Word(word), Some(_)) => TargetKind::Ports(Ports::Service(word)),
            (kind, _) => kind,
        };
        Ok(Target { text: text.to_owned(), kind, protocol })
    }
}

fn protocol_named(name: &str) -> Option<Protocol> {
    Protocol::ALL.into_iter().find(|protocol| protocol.name().eq_ignore_ascii_case(name))
}

fn kind(text: &str) -> Result<TargetKind, TargetError> {
    if looks_like_ports(text) {
        return Ok(TargetKind::Ports(Ports::Range(text.parse()?)));
    }
    if let Some((address, interface)) = with_interface(unbracketed(text).unwrap_or(text)) {
        return Ok(TargetKind::Address(Address::new(Place::Exactly(address), interface)));
    }
    match text.rsplit_once(':') {
        // Of what is half missing the whole is named.
        Some((_, "")) => Err(TargetError::NoPort(text.to_owned())),
        Some((_, rest)) if rest.contains('%') => Err(TargetError::NotAnAddress(text.to_owned())),
        Some(("", port)) => Ok(TargetKind::Ports(ports(port)?)),
        Some((address, port)) => Ok(TargetKind::Endpoint(parse_address(address)?, ports(port)?)),
        None if text.eq_ignore_ascii_case("localhost") => Ok(TargetKind::Address(Address::new(Place::Localhost, None))),
        None if text.chars().any(char::is_alphanumeric) => Ok(TargetKind::Word(text.to_owned())),
        None => Err(TargetError::NotATarget(text.to_owned())),
    }
}

/// Reads what stands after a colon.
fn ports(text: &str) -> Result<Ports, TargetError> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    let is_name = || text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.+*".contains(&byte));
    if is_number || !is_name() {
        return Ok(Ports::Range(text.parse()?));
    }
    Ok(Ports::Service(text.to_owned()))
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
    let (address, interface) = address.ok_or_else(|| TargetError::NotAnAddress(text.to_owned()))?;
    Ok(Address::new(Place::Exactly(address), interface))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::Port;

    fn range(first: u16, last: u16) -> Ports {
        Ports::Range(PortRange::new(Port::new(first), Port::new(last)).unwrap())
    }

    #[test]
    fn a_protocol_stands_behind_a_slash() {
        let read = |text: &str| text.parse::<Target>().map(|target| (target.kind, target.protocol));
        let ports = |first, last, protocol| Ok((TargetKind::Ports(range(first, last)), Some(protocol)));
        assert_eq!(read("53/udp"), ports(53, 53, Protocol::Udp));
        assert_eq!(read(":3000/TCP"), ports(3000, 3000, Protocol::Tcp));
        assert_eq!(read("8000-8100/udp"), ports(8000, 8100, Protocol::Udp));
        let service = TargetKind::Ports(Ports::Service("http".to_owned()));
        assert_eq!(read("http/tcp"), Ok((service, Some(Protocol::Tcp))));
        assert_eq!(read("a/b"), Ok((TargetKind::Word("a/b".to_owned()), None)));
        assert!(read("53/sctp").unwrap_err().to_string().starts_with("`sctp` is not a protocol: expected tcp or udp"));
    }

    #[test]
    fn one_argument_may_be_a_list() {
        let texts = |text: &str| -> Vec<String> {
            text.parse::<TargetList>().unwrap().0.into_iter().map(|target| target.text).collect()
        };
        assert_eq!(texts("3000,5173"), ["3000", "5173"]);
        assert_eq!(texts("3000, 53/udp,nginx"), ["3000", "53/udp", "nginx"]);
        assert_eq!(texts("3000,"), ["3000"]);
        assert_eq!(texts("3000 5173 :http"), ["3000", "5173", ":http"]);
        assert_eq!(texts("Web Content"), ["Web Content"]);
        for text in ["", ",", " "] {
            assert!(text.parse::<TargetList>().is_err(), "{text}");
        }
    }

    #[test]
    fn every_documented_form_is_read() {
        let at = |text: &str, interface| Address::new(Place::Exactly(text.parse().unwrap()), interface);
        let loopback = || at("127.0.0.1", None);
        for (text, target) in [
            ("8080", TargetKind::Ports(range(8080, 8080))),
            (":8080", TargetKind::Ports(range(8080, 8080))),
            ("8000-8100", TargetKind::Ports(range(8000, 8100))),
            (":8000-8100", TargetKind::Ports(range(8000, 8100))),
            ("127.0.0.1:8080", TargetKind::Endpoint(loopback(), range(8080, 8080))),
            ("127.0.0.1:80-90", TargetKind::Endpoint(loopback(), range(80, 90))),
            ("[::1]:80", TargetKind::Endpoint(at("::1", None), range(80, 80))),
            ("*:80", TargetKind::Endpoint(Address::new(Place::Wildcard, None), range(80, 80))),
            ("localhost:80", TargetKind::Endpoint(Address::new(Place::Localhost, None), range(80, 80))),
            ("127.0.0.1", TargetKind::Address(loopback())),
            ("::1", TargetKind::Address(at("::1", None))),
            ("[fe80::1%v0]:80", TargetKind::Endpoint(at("fe80::1", Some("v0")), range(80, 80))),
            ("[fe80::1%3]:80-90", TargetKind::Endpoint(at("fe80::1", Some("3")), range(80, 90))),
            ("127.0.0.1%lo:80", TargetKind::Endpoint(at("127.0.0.1", Some("lo")), range(80, 80))),
            ("fe80::1%v0", TargetKind::Address(at("fe80::1", Some("v0")))),
            ("[fe80::1%3]", TargetKind::Address(at("fe80::1", Some("3")))),
            ("127.0.0.1%lo", TargetKind::Address(at("127.0.0.1", Some("lo")))),
            (":http", TargetKind::Ports(Ports::Service("http".to_owned()))),
            (
                "localhost:http",
                TargetKind::Endpoint(Address::new(Place::Localhost, None), Ports::Service("http".to_owned())),
            ),
            ("ssh", TargetKind::Word("ssh".to_owned())),
            ("3com-tsmux", TargetKind::Word("3com-tsmux".to_owned())),
        ] {
            let target: Target = Target { text: text.to_owned(), kind: target, protocol: None };
            assert_eq!(text.parse(), Ok(target), "{text}");
        }
    }

    #[test]
    fn a_malformed_target_names_the_bad_part_and_says_once_what_is_accepted() {
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
            assert!(message.starts_with(problem), "{text}: {message}");
            assert_eq!(message.matches("expected").count(), 1, "{message}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_target_or_an_error_of_one_line(text in any::<String>()) {
            if let Err(error) = text.parse::<Target>() {
                let message = error.to_string();
                prop_assert!(message.contains("expected "), "{}", message);
            }
        }

        #[test]
        fn any_two_numbers_are_a_range_exactly_when_they_are_ports_in_order(a in 0u32..70_000, b in 0u32..70_000) {
            let target = format!("{a}-{b}").parse::<Target>();
            prop_assert_eq!(target.is_ok(), (1..=65535).contains(&a) && (a..=65535).contains(&b));
        }
    }
}
