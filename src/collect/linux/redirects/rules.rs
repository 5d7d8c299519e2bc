//! Rules of the NAT tables, whoever's words they came in, and what they do to ports.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::matching::{self, Network};
use crate::model::{Family, ForwardTarget, Port, PortRange, Protocol, RulesUnread};

/// Chains that are followed one into the other; no tool allows loops.
const DEEPEST: usize = 16;
/// Rules that are looked at, each as often as a chain leads to it.
const MOST_STEPS: usize = 1_000_000;
/// Ports that are listed one by one; a rule for more is told as a whole.
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
    pub to: ForwardTarget,
}

/// The port that packets are sent to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ToPort {
    /// The one that they were for.
    Same,
    /// This one, or one of these.
    In(PortRange),
    /// One that cannot be told here.
    Unknown,
}

/// What a rule does with what it matches.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Action {
    /// Sends it to another address and port. A redirect has no address: it goes to this host.
    Send(Option<IpAddr>, ToPort),
    /// Sends it somewhere that cannot be told here.
    SendSomewhere,
    /// Goes on in another chain.
    Jump(String),
    /// Leaves the chain, so that no later rule of it is asked.
    Leave,
    /// It is written in the language of iptables, which has a tool of its own.
    Extension,
    /// Nothing that concerns ports here.
    Other,
}

/// One rule. What narrows it in other ways (an interface, a sender, a mark) is not told: it takes at least some of what
/// comes for these ports.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rule {
    /// The one family that it is for.
    pub family: Option<Family>,
    /// The protocols that it is for; any when absent. Those that are not listed here do not count.
    pub protocols: Option<Vec<Protocol>>,
    /// The ports that it is for.
    pub ports: Vec<PortRange>,
    /// Whether it names the ports that it is for, and not only some that it is not for.
    pub names_ports: bool,
    /// The addresses that it is for; any when absent.
    pub networks: Option<Vec<Network>>,
    /// Whether it has a condition on protocol, address or port whose form is not known here.
    pub is_unclear: bool,
    /// Whether it has conditions of other kinds too.
    pub is_narrowed: bool,
    /// What it does.
    pub action: Action,
}

impl Default for Rule {
    fn default() -> Rule {
        Rule {
            family: None,
            protocols: None,
            ports: matching::every_port(),
            names_ports: false,
            networks: None,
            is_unclear: false,
            is_narrowed: false,
            action: Action::Other,
        }
    }
}

/// The chains of one source.
#[derive(Debug, Default)]
pub struct Rules {
    /// Chains that packets enter by themselves, with the family of the packets.
    pub entries: Vec<(Family, String)>,
    /// The rules of each chain.
    pub chains: HashMap<String, Vec<Rule>>,
}

/// What is asked of the rules.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The addresses of the host. What is for others passes through it and does not concern its ports.
    pub addresses: &'a BTreeSet<IpAddr>,
    /// The ports that are asked for; all when absent.
    pub ports: Option<&'a BTreeSet<Port>>,
}

/// What the rules say.
#[derive(Debug, Default)]
pub struct Answer {
    /// The ports that are sent elsewhere. Where a port has several targets (load balancing) the first is told.
    pub redirects: Vec<Redirect>,
    /// Whether rules are written in the extensions of iptables.
    pub has_extensions: bool,
    /// How many rules were looked at, each as often as a chain leads to it.
    pub steps: usize,
    /// Rules whose form is not known here.
    not_understood: BTreeSet<(String, usize)>,
    /// What rules are for that take too many ports for a row each.
    wide: BTreeSet<String>,
    /// Whether there was more to follow.
    is_cut: bool,
}

impl Answer {
    /// Says what is missing.
    pub fn unread(&self) -> Vec<RulesUnread> {
        let mut unread = Vec::new();
        if !self.not_understood.is_empty() {
            unread.push(RulesUnread::NotUnderstood { count: self.not_understood.len() });
        }
        if !self.wide.is_empty() {
            unread.push(RulesUnread::TooWide { ports: self.wide.iter().cloned().collect() });
        }
        if self.is_cut {
            unread.push(RulesUnread::TooDeep);
        }
        unread
    }
}

/// What has been matched on the way to a rule.
#[derive(Clone)]
struct Matched {
    family: Family,
    protocols: Vec<Protocol>,
    ports: Vec<PortRange>,
    names_ports: bool,
    /// Addresses of this host; any when absent.
    addresses: Option<Vec<IpAddr>>,
    is_unclear: bool,
    /// Whether the last rule on the way takes only some of it.
    is_narrowed: bool,
}

impl Matched {
    /// What the rule takes of it; nothing when that is nothing.
    fn by(&self, rule: &Rule, question: Question<'_>) -> Option<Matched> {
        if rule.family.is_some_and(|family| family != self.family) {
            return None;
        }
        let is_taken = |protocol: &Protocol| rule.protocols.as_ref().is_none_or(|taken| taken.contains(protocol));
        let mut is_unclear = self.is_unclear || rule.is_unclear;
        let addresses = match &rule.networks {
            None => self.addresses.clone(),
            Some(networks) => {
                let all = matching::addresses_in(networks, self.family, question.addresses);
                is_unclear |= all.is_none();
                let is_known = |address: &IpAddr| self.addresses.as_ref().is_none_or(|known| known.contains(address));
                all.map(|all| all.into_iter().filter(is_known).collect())
            }
        };
        let matched = Matched {
            family: self.family,
            protocols: self.protocols.iter().copied().filter(is_taken).collect(),
            ports: matching::both(&self.ports, &rule.ports),
            names_ports: self.names_ports || rule.names_ports,
            addresses,
            is_unclear,
            is_narrowed: rule.is_narrowed,
        };
        let has_address = matched.addresses.as_ref().is_none_or(|addresses| !addresses.is_empty());
        (has_address && !matched.protocols.is_empty() && !matched.ports.is_empty()).then_some(matched)
    }

    /// Says whether it is sure to take all of it that comes for such a port.
    fn covers(&self, key: &Key) -> bool {
        let (protocol, family, address, port) = key;
        let takes_address = match (&self.addresses, address) {
            (None, _) => true,
            (Some(taken), Some(address)) => taken.contains(address),
            (Some(_), None) => false,
        };
        !self.is_unclear
            && !self.is_narrowed
            && self.family == *family
            && self.protocols.contains(protocol)
            && takes_address
            && self.ports.iter().any(|range| range.contains(*port))
    }

    /// The ports in words: `tcp 7056-65535`, `almost every port of udp`.
    fn words(&self) -> String {
        let protocols: Vec<&str> = self.protocols.iter().map(|protocol| protocol.name()).collect();
        let protocols = protocols.join(" and ");
        if !self.names_ports {
            return format!("almost every port of {protocols}");
        }
        let ranges: Vec<String> = self.ports.iter().map(ToString::to_string).collect();
        format!("{protocols} {}", ranges.join(","))
    }
}

type Key = (Protocol, Family, Option<IpAddr>, Port);

impl Rules {
    /// Finds the ports that are sent elsewhere.
    pub fn redirects(&self, question: Question<'_>) -> Answer {
        let mut walk = Walk { rules: self, question, seen: HashSet::new(), answer: Answer::default() };
        for (family, entry) in &self.entries {
            let all = Matched {
                family: *family,
                protocols: Protocol::REGISTERED.to_vec(),
                ports: matching::every_port(),
                names_ports: false,
                addresses: None,
                is_unclear: false,
                is_narrowed: false,
            };
            walk.chain(entry, &all, 0, &[]);
        }
        let mut answer = walk.answer;
        // One for every address says it all.
        let general: HashSet<(Key, ForwardTarget)> = answer
            .redirects
            .iter()
            .filter(|redirect| redirect.address.is_none())
            .map(|redirect| ((redirect.protocol, redirect.family, None, redirect.port), redirect.to))
            .collect();
        answer.redirects.retain(|redirect| {
            let key = (redirect.protocol, redirect.family, None, redirect.port);
            redirect.address.is_none() || !general.contains(&(key, redirect.to))
        });
        answer
    }
}

struct Walk<'a> {
    rules: &'a Rules,
    question: Question<'a>,
    /// The first rule has the word.
    seen: HashSet<Key>,
    answer: Answer,
}

impl Walk<'_> {
    /// Follows a chain; `left` is what has left a chain before it came to this one.
    fn chain(&mut self, name: &str, matched: &Matched, depth: usize, left: &[Matched]) {
        let mut left = left.to_vec();
        for (place, rule) in self.rules.chains.get(name).into_iter().flatten().enumerate() {
            self.answer.steps += 1;
            if depth > DEEPEST || self.answer.steps > MOST_STEPS {
                self.answer.is_cut = true;
                return;
            }
            let Some(matched) = matched.by(rule, self.question) else { continue };
            match &rule.action {
                Action::Jump(target) => self.chain(target, &matched, depth + 1, &left),
                Action::Leave => left.push(matched),
                Action::Extension => self.answer.has_extensions = true,
                Action::Other => {}
                Action::Send(address, port) if !matched.is_unclear => self.send(&matched, *address, *port, &left),
                Action::Send(..) | Action::SendSomewhere => {
                    self.answer.not_understood.insert((name.to_owned(), place));
                }
            }
        }
    }

    fn send(&mut self, matched: &Matched, address: Option<IpAddr>, port: ToPort, left: &[Matched]) {
        let family = matched.family;
        if address.is_some_and(|address| address.is_ipv4() != (family == Family::Ipv4)) {
            return;
        }
        let ports = self.ports(matched);
        let addresses: Vec<Option<IpAddr>> = match &matched.addresses {
            None => vec![None],
            Some(addresses) => addresses.iter().copied().map(Some).collect(),
        };
        let rows = ports.len() * matched.protocols.len() * addresses.len();
        if !matched.names_ports || self.answer.redirects.len() + rows > MOST_PORTS {
            self.answer.wide.insert(matched.words());
            return;
        }
        let here = match family {
            Family::Ipv4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            Family::Ipv6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        for protocol in matched.protocols.iter().copied() {
            for own in ports.iter().copied() {
                for for_address in addresses.iter().copied() {
                    let key = (protocol, family, for_address, own);
                    if left.iter().any(|matched| matched.covers(&key)) || !self.seen.insert(key) {
                        continue;
                    }
                    let ports = match port {
                        ToPort::Same => Some(PortRange::single(own)),
                        ToPort::In(ports) => Some(ports),
                        ToPort::Unknown => None,
                    };
                    let to = ForwardTarget { address: address.unwrap_or(here), ports };
                    self.answer.redirects.push(Redirect { protocol, family, address: for_address, port: own, to });
                }
            }
        }
    }

    /// The ports of the rule that are asked for, at most one more than are listed. No packet is for port 0.
    fn ports(&self, matched: &Matched) -> Vec<Port> {
        let all = matched.ports.iter().flat_map(|range| range.first().get().max(1)..=range.last().get()).map(Port::new);
        let is_wanted = |port: &Port| self.question.ports.is_none_or(|ports| ports.contains(port));
        all.filter(is_wanted).take(MOST_PORTS + 1).collect()
    }
}
