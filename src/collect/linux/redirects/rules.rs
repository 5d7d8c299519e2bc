//! Rules of the NAT tables, whoever's words they came in, and what they do to ports.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::model::{Endpoint, Family, Port, PortRange, Protocol};

/// Chains that are followed one into the other; no tool allows loops.
const DEEPEST: usize = 16;
/// Ports that are listed one by one; a rule for all ports is no published port.
const MOST_PORTS: usize = 4096;

/// A port whose packets are sent elsewhere.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Redirect {
    /// The protocol.
    pub protocol: Protocol,
    /// The family of the packets.
    pub family: Family,
    /// The address that they are for; any when absent.
    pub address: Option<IpAddr>,
    /// The port that they are for.
    pub port: Port,
    /// Where they are sent.
    pub to: Endpoint,
}

/// What a rule does with what it matches.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Action {
    /// Sends it to another address and port; the present one where absent. A redirect has no address: it goes to this
    /// host.
    Send {
        /// The address.
        address: Option<IpAddr>,
        /// The port.
        port: Option<Port>,
    },
    /// Goes on in another chain.
    Jump(String),
    /// Nothing that concerns ports here.
    Other,
}

/// One rule.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rule {
    /// The protocol that it is for.
    pub protocol: Option<Protocol>,
    /// The ports that it is for; empty for all.
    pub ports: Vec<PortRange>,
    /// The one address that it is for.
    pub address: Option<IpAddr>,
    /// Whether it is for a whole network, which is no address of this host.
    pub for_network: bool,
    /// What it does.
    pub action: Action,
}

impl Default for Rule {
    fn default() -> Rule {
        Rule { protocol: None, ports: Vec::new(), address: None, for_network: false, action: Action::Other }
    }
}

/// The chains of one source.
#[derive(Debug, Default)]
pub struct Rules {
    /// Chains that packets enter by themselves, with the family of the packets.
    pub entries: Vec<(Family, String)>,
    /// The rules of each chain.
    pub chains: HashMap<String, Vec<Rule>>,
    /// Whether rules are written in the extensions of iptables.
    pub has_extensions: bool,
    /// Rules of NAT chains whose form is not known here.
    pub not_understood: usize,
}

/// What has been matched on the way to a rule.
#[derive(Clone)]
struct Matched {
    family: Family,
    protocol: Option<Protocol>,
    ports: Vec<PortRange>,
    address: Option<IpAddr>,
}

impl Rules {
    /// Says what was not understood, if anything.
    pub fn unread(&self) -> Option<String> {
        (self.not_understood > 0).then(|| format!("{} rules have a form that is not known", self.not_understood))
    }

    /// The ports that are sent elsewhere. Where a port has several targets (load balancing) the first is told.
    pub fn redirects(&self) -> Vec<Redirect> {
        let mut found: Vec<Redirect> = Vec::new();
        let mut steps = 0;
        for (family, entry) in &self.entries {
            let all = Matched { family: *family, protocol: None, ports: Vec::new(), address: None };
            self.walk(entry, &all, 0, &mut steps, &mut found);
        }
        found
    }

    fn walk(&self, chain: &str, matched: &Matched, depth: usize, steps: &mut usize, found: &mut Vec<Redirect>) {
        for rule in self.chains.get(chain).into_iter().flatten() {
            *steps += 1;
            if depth > DEEPEST || *steps > 1_000_000 || rule.for_network {
                continue;
            }
            let matched = Matched {
                family: matched.family,
                protocol: rule.protocol.or(matched.protocol),
                ports: if rule.ports.is_empty() { matched.ports.clone() } else { rule.ports.clone() },
                address: rule.address.or(matched.address),
            };
            match &rule.action {
                Action::Jump(target) => self.walk(target, &matched, depth + 1, steps, found),
                Action::Send { address, port } => send(&matched, *address, *port, found),
                Action::Other => {}
            }
        }
    }
}

fn send(matched: &Matched, address: Option<IpAddr>, port: Option<Port>, found: &mut Vec<Redirect>) {
    let Some(protocol) = matched.protocol else { return };
    let here = match matched.family {
        Family::Ipv4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        Family::Ipv6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let family = match address.or(matched.address) {
        Some(IpAddr::V6(_)) => Family::Ipv6,
        Some(IpAddr::V4(_)) => Family::Ipv4,
        None => matched.family,
    };
    for range in &matched.ports {
        for number in range.first().get()..=range.last().get() {
            let own = Port::new(number);
            let to = Endpoint { address: address.unwrap_or(here), port: port.unwrap_or(own) };
            let redirect = Redirect { protocol, family, address: matched.address, port: own, to };
            let is_same = |other: &Redirect| {
                (other.protocol, other.family, other.address, other.port) == (protocol, family, matched.address, own)
            };
            if found.len() < MOST_PORTS && !found.iter().any(is_same) {
                found.push(redirect);
            }
        }
    }
}
