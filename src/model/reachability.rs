//! Whether what is sent to a port reaches it: what the firewall's rules do to it, for each class of senders.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Family, ForwardTarget, Port, PortRange, Protocol, Reach};

/// What rules do to the connections of one class of senders.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Redirection {
    /// They reach the port.
    #[default]
    Not,
    /// All of them go elsewhere, as far as they get through at all.
    Certain(Lead),
    /// Those of some senders go elsewhere.
    Some(Lead, Senders),
    /// It cannot be known, and why.
    Unknown(String),
}

impl Redirection {
    /// The name in JSON.
    pub const fn name(&self) -> &'static str {
        match self {
            Redirection::Certain(_) => "certain",
            Redirection::Some(..) => "some",
            Redirection::Not => "not",
            Redirection::Unknown(_) => "unknown",
        }
    }

    /// Where all of them go.
    pub fn certain(&self) -> Option<&Lead> {
        match self {
            Redirection::Certain(lead) => Some(lead),
            _ => None,
        }
    }

    /// Where some of them go, or all.
    pub fn lead(&self) -> Option<&Lead> {
        match self {
            Redirection::Certain(lead) | Redirection::Some(lead, _) => Some(lead),
            _ => None,
        }
    }

    /// The answer for what meets one or the other of these, each for a part of the destinations.
    fn or(self, other: Redirection, part: &str) -> Redirection {
        match (self, other) {
            (Redirection::Unknown(why), _) | (_, Redirection::Unknown(why)) => Redirection::Unknown(why),
            (one, other) if one == other => one,
            (Redirection::Certain(lead), Redirection::Certain(_)) => Redirection::Certain(lead),
            (Redirection::Some(lead, senders), _) | (_, Redirection::Some(lead, senders)) => {
                Redirection::Some(lead, senders)
            }
            (Redirection::Certain(lead), Redirection::Not) | (Redirection::Not, Redirection::Certain(lead)) => {
                Redirection::Some(lead, Senders { others: vec![part.to_owned()], ..Senders::default() })
            }
            (Redirection::Not, Redirection::Not) => Redirection::Not,
        }
    }
}

/// Where connections are sent, and by which rule.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Lead {
    /// The end that answers; of several the first.
    pub to: Destination,
    /// The rule.
    pub rule: RuleName,
    /// The service of Kubernetes that the rules name: `default/web`.
    pub service: Option<String>,
}

/// Where a rule sends connections.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Destination {
    /// The address; `0.0.0.0` and `::` stand for this host.
    pub address: IpAddr,
    /// The port.
    pub port: ToPort,
}

/// The port that connections are sent to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ToPort {
    /// The one that they were for.
    Same,
    /// This one, or one of these.
    In(PortRange),
    /// Not known.
    Unknown,
}

impl Destination {
    /// Returns the target of what was sent to this port.
    pub fn of(&self, port: Port) -> ForwardTarget {
        let ports = match self.port {
            ToPort::Same => Some(PortRange::single(port)),
            ToPort::In(ports) => Some(ports),
            ToPort::Unknown => None,
        };
        ForwardTarget { address: self.address, ports }
    }
}

/// A rule by its place.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct RuleName {
    /// The tool and table: `inet fw4`, `iptables nat`, `ipvs`.
    pub table: String,
    /// The chain; empty for IPVS.
    pub chain: String,
    /// The handle of nftables, or the place in the chain from 1.
    pub number: u64,
}

impl fmt::Display for RuleName {
    /// Writes `inet fw4 dstnat handle 7` and `iptables nat PREROUTING rule 1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.chain.is_empty() {
            return self.table.fmt(f);
        }
        let word = if self.table.starts_with("ip") && self.table.contains("tables ") { "rule" } else { "handle" };
        write!(f, "{} {} {word} {}", self.table, self.chain, self.number)
    }
}

/// The senders whose connections a rule takes.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Senders {
    /// Those that arrive on these interfaces; if the list is empty, on any.
    pub interfaces: Vec<String>,
    /// Those with these addresses (`10.0.0.0/8`); if the list is empty, with any.
    pub sources: Vec<String>,
    /// Those that meet these conditions too.
    pub others: Vec<String>,
}

impl fmt::Display for Senders {
    /// Writes `via tun0, from 10.1.0.0/24`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if !self.interfaces.is_empty() {
            parts.push(format!("via {}", self.interfaces.join(" or ")));
        }
        if !self.sources.is_empty() {
            parts.push(format!("from {}", self.sources.join(" or ")));
        }
        parts.extend(self.others.iter().cloned());
        f.write_str(&parts.join(", "))
    }
}

/// What happens to what is sent to a port.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Reachability {
    /// To the connections of other hosts.
    pub outside: Redirection,
    /// To those of this host.
    pub local: Redirection,
    /// The rule that drops everything that comes from other hosts, where it is sure to.
    pub filtered: Option<RuleName>,
}

impl Reachability {
    /// Whether the rules leave the port alone.
    pub fn is_plain(&self) -> bool {
        *self == Reachability::default()
    }

    /// Where all connections go that a socket with this address is for: those of other hosts, and on loopback those of
    /// this one.
    pub fn instead_of(&self, address: IpAddr) -> Option<&Lead> {
        if address.to_canonical().is_loopback() { self.local.certain() } else { self.outside.certain() }
    }

    /// The answer of a port that two families have.
    fn both(self, other: Reachability) -> Reachability {
        Reachability {
            outside: self.outside.or(other.outside, "one family only"),
            local: self.local.or(other.local, "one family only"),
            filtered: self.filtered.filter(|_| other.filtered.is_some()),
        }
    }
}

/// Some ports with one answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Redirect {
    /// The protocol.
    pub protocol: Protocol,
    /// The family of the packets.
    pub family: Family,
    /// The addresses that they are for, from one to another; every address of the host when absent.
    pub addresses: Option<(IpAddr, IpAddr)>,
    /// The ports.
    pub ports: PortRange,
    /// What happens to them.
    pub reachability: Reachability,
}

/// Ports of one range that are listed one by one.
const MOST_LISTED: u16 = 256;

impl Redirect {
    /// Whether the range is so wide that its ports are not listed one by one.
    pub fn is_wide(&self) -> bool {
        self.ports.last().get() - self.ports.first().get() >= MOST_LISTED
    }

    /// The ports that have rows of their own: of a wide range only those that were named.
    pub fn listed_ports(&self, named: &[PortRange]) -> impl Iterator<Item = Port> {
        let (first, last) = (self.ports.first().get(), self.ports.last().get());
        let lists_all = !self.is_wide();
        (first..=last).map(Port::new).filter(move |port| lists_all || named.iter().any(|range| range.contains(*port)))
    }
}

/// Why nothing is known where the rules were not read.
pub const UNREAD: &str = "the rules of the firewall were not read";

/// What the rules of a port space do.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Redirects {
    /// The ports that rules do something to, and addresses that differ from the others. What is not here is left alone.
    pub found: Vec<Redirect>,
    /// Whether the rules are not known at all.
    pub is_unread: bool,
}

impl Redirects {
    /// Answers for a socket with this protocol, reach and port.
    pub fn of(&self, protocol: Protocol, reach: Reach, port: Port) -> Reachability {
        if self.is_unread {
            let unknown = || Redirection::Unknown(UNREAD.to_owned());
            return Reachability { outside: unknown(), local: unknown(), filtered: None };
        }
        let ipv4 = reach.ipv4.map(|address| self.at(protocol, IpAddr::V4(address), port));
        let ipv6 = reach.ipv6.map(|address| self.at(protocol, IpAddr::V6(address), port));
        match (ipv4, ipv6) {
            (Some(ipv4), Some(ipv6)) => ipv4.both(ipv6),
            (one, other) => one.or(other).unwrap_or_default(),
        }
    }

    fn at(&self, protocol: Protocol, address: IpAddr, port: Port) -> Reachability {
        let family = Family::of(address);
        let is_meant = |redirect: &&Redirect| {
            redirect.protocol == protocol && redirect.family == family && redirect.ports.contains(port)
        };
        let is_general = |redirect: &&Redirect| redirect.addresses.is_none();
        let of_all = self.found.iter().filter(is_meant).find(is_general);
        let is_for =
            |redirect: &&Redirect| redirect.addresses.is_some_and(|(first, last)| first <= address && address <= last);
        let own = self.found.iter().filter(is_meant).find(is_for).filter(|_| !address.is_unspecified());
        own.or(of_all).map(|redirect| redirect.reachability.clone()).unwrap_or_default()
    }
}

/// The address that stands for this host, or for any.
#[allow(dead_code, reason = "asked on Linux")]
pub fn any_address(family: Family) -> IpAddr {
    match family {
        Family::Ipv4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        Family::Ipv6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    }
}
