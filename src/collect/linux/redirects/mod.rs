//! What the firewall does to what is sent to this host's ports.
//!
//! Containers are published by such rules where no proxy runs, and so are the NodePorts of Kubernetes. Reading the rules
//! takes CAP_NET_ADMIN. That there are none is learned from the kernel itself; only where there are some are the
//! firewall's own tools run. Their answers become one model of the rules (`ruleset`), and `evaluate` judges by it.

mod dump;
mod evaluate;
mod host;
pub mod iptables;
mod ipvs;
mod kernel;
pub mod nft;
mod rows;
mod ruleset;

use std::collections::BTreeSet;
use std::time::Instant;

use crate::collect::runtime;
use crate::model::{self, Family, Gap, Need, Port, PortRange, Redirection, RulesUnread};
use host::HostFacts;
use kernel::{Packets, Present};
use ruleset::{Ruleset, Table};

/// What was learned of the rules of a namespace.
#[derive(Debug, Default)]
pub struct Redirects {
    /// What they do.
    pub known: model::Redirects,
    /// Why some of it may be missing.
    pub gaps: Vec<Gap>,
    /// The ports that have rows even in wide ranges, since just these were asked for.
    named: Vec<PortRange>,
}

impl Redirects {
    /// Nothing, because rows of this kind are not asked for.
    pub fn not_wanted() -> Redirects {
        Redirects::missing(RulesUnread::NotWanted)
    }

    /// Nothing, for this reason.
    pub fn missing(why: RulesUnread) -> Redirects {
        let known = model::Redirects { is_unread: true, ..model::Redirects::default() };
        Redirects { known, gaps: vec![gap(why)], named: Vec::new() }
    }

    /// Nothing, because the rules could not be looked for.
    pub fn not_looked_for(error: &std::io::Error) -> Redirects {
        let is_refused = error.kind() == std::io::ErrorKind::PermissionDenied;
        let problem = error.to_string();
        Redirects::missing(if is_refused { RulesUnread::Refused { problem } } else { RulesUnread::Failed { problem } })
    }

    /// The same, with the space that the gaps are of.
    pub fn of_space(mut self, label: &str) -> Redirects {
        for gap in &mut self.gaps {
            if let Gap::Redirects { space, .. } = gap {
                *space = Some(label.to_owned());
            }
        }
        self
    }

    fn of(ruleset: &Ruleset, host: &HostFacts, need: &Need) -> Redirects {
        let found = evaluate::redirects(ruleset, host, &need.protocols, &wanted_ports(need));
        let whys: BTreeSet<&str> = found
            .iter()
            .flat_map(|redirect| [&redirect.reachability.outside, &redirect.reachability.local])
            .filter_map(|redirection| match redirection {
                Redirection::Unknown(why) => Some(why.as_str()),
                _ => None,
            })
            .collect();
        let reasons: Vec<String> = whys.into_iter().map(str::to_owned).collect();
        let gaps = if reasons.is_empty() { Vec::new() } else { vec![gap(RulesUnread::NotUnderstood { reasons })] };
        let known = model::Redirects { found, is_unread: false };
        let named = if need.ports.is_some() { wanted_ports(need) } else { need.named_ports.clone() };
        Redirects { known, gaps, named }
    }
}

fn gap(why: RulesUnread) -> Gap {
    Gap::Redirects { space: None, why, further_spaces: 0 }
}

/// The ports that are asked for, as few ranges as they make.
fn wanted_ports(need: &Need) -> Vec<PortRange> {
    let Some(ports) = &need.ports else {
        return PortRange::new(Port::new(1), Port::new(u16::MAX)).into_iter().collect();
    };
    let mut ranges: Vec<PortRange> = Vec::new();
    for port in ports.iter().copied() {
        match ranges.last_mut() {
            Some(last) if last.last().get().checked_add(1) == Some(port.get()) => {
                *last = PortRange::new(last.first(), port).unwrap_or(*last);
            }
            _ => ranges.push(PortRange::single(port)),
        }
    }
    ranges
}

/// Reads the rules of the namespace that this process is in.
pub fn read(need: &Need) -> Redirects {
    match kernel::look(Packets::All) {
        Ok(present) => of_rules(&present, need),
        Err(error) => Redirects::not_looked_for(&error),
    }
}

/// Reads those of another namespace, which the calling thread has entered, unless it is too late for that. What happens
/// to packets that are sent in it does not concern who looks from outside: the engines of containers make such rules in
/// each for the names of the others.
pub fn read_entered(label: &str, need: &Need, end: Instant) -> Redirects {
    let redirects = match kernel::look(Packets::Incoming) {
        Ok(present) if present.any() && Instant::now() > end => Redirects::missing(RulesUnread::TooLate),
        Ok(present) => of_rules(&present, need),
        Err(error) => Redirects::not_looked_for(&error),
    };
    redirects.of_space(label)
}

fn of_rules(present: &Present, need: &Need) -> Redirects {
    if !present.any() {
        return Redirects::default();
    }
    if !need.helpers {
        return Redirects::missing(RulesUnread::NotAsked);
    }
    match HostFacts::read() {
        Ok(host) => Redirects::of(&ruleset(present), &host, need),
        Err(error) => Redirects::missing(RulesUnread::Failed { problem: error.to_string() }),
    }
}

/// Asks the tools for the rules.
fn ruleset(present: &Present) -> Ruleset {
    let mut ruleset = Ruleset::default();
    if present.nftables() {
        let missing = match asked("nft", &["-j", "list", "ruleset"], &|text| nft::parse(text, &present.dormant)) {
            Ok(read) => {
                ruleset = read.ruleset;
                read.foreign
            }
            // Without it only those tables are known that iptables made.
            Err(error) => {
                let families = |name: &str| match name {
                    "ip" => Some(Family::Ipv4),
                    "ip6" => Some(Family::Ipv6),
                    _ => None,
                };
                for (family, name) in &present.tables {
                    if families(family).is_none() {
                        ruleset.holes.push(format!("the table {family} {name} was not read: {error}"));
                    }
                }
                let of_iptables =
                    present.tables.iter().filter_map(|(family, name)| Some((families(family)?, name.clone())));
                of_iptables.collect()
            }
        };
        for family in Family::ALL {
            let names: Vec<&str> =
                missing.iter().filter(|(of, _)| *of == family).map(|(_, name)| name.as_str()).collect();
            if !names.is_empty() {
                add_iptables_of_nft(&mut ruleset, family, &names);
            }
        }
    }
    for (is_there, family) in [(present.older_ipv4, Family::Ipv4), (present.older_ipv6, Family::Ipv6)] {
        if is_there {
            match save(family, "legacy") {
                Ok(tables) => ruleset.tables.extend(tables),
                Err(error) => ruleset.holes.push(format!("the rules of the older iptables were not read: {error}")),
            }
        }
    }
    ruleset.services = present.ipvs.as_deref().map(ipvs::parse).unwrap_or_default();
    ruleset
}

/// Replaces tables that nft does not show whole by what iptables shows of them.
fn add_iptables_of_nft(ruleset: &mut Ruleset, family: Family, names: &[&str]) {
    let tables = save(family, "nft").unwrap_or_default();
    for table in tables.into_iter().filter(|table| names.contains(&table.short_name.as_str())) {
        ruleset.tables.retain(|known| known.families != [family] || known.short_name != table.short_name);
        ruleset.tables.push(table);
    }
    let is_shown =
        |name: &&&str| ruleset.tables.iter().any(|table| table.families == [family] && table.short_name == **name);
    let hidden: Vec<String> =
        names.iter().filter(|name| !is_shown(name)).map(|name| format!("the table {name} was not read")).collect();
    ruleset.holes.extend(hidden);
}

/// The tables of the iptables that keeps its rules in this way, by its own tool or by the one that is called so.
fn save(family: Family, way: &str) -> Result<Vec<Table>, String> {
    let names = match (family, way) {
        (Family::Ipv4, "nft") => ["iptables-nft-save", "iptables-save"],
        (Family::Ipv6, "nft") => ["ip6tables-nft-save", "ip6tables-save"],
        (Family::Ipv4, _) => ["iptables-legacy-save", "iptables-save"],
        (Family::Ipv6, _) => ["ip6tables-legacy-save", "ip6tables-save"],
    };
    let ask = |name| asked(name, &[], &|text| iptables::parse(text, family));
    ask(names[0]).or_else(|_| ask(names[1]))
}

fn asked<T>(name: &'static str, arguments: &[&str], parse: &dyn Fn(&[u8]) -> Option<T>) -> Result<T, String> {
    let text = runtime::output(name, arguments).map_err(|error| error.to_string())?;
    parse(&text).ok_or_else(|| format!("the output of {name} is not understood"))
}

/// The readers that only this module knows.
#[cfg(any(feature = "fuzzing", test))]
pub mod fuzzing {
    /// Reads `/proc/net/ip_vs`.
    pub fn ipvs(bytes: &[u8]) {
        let _ = super::ipvs::parse(&String::from_utf8_lossy(bytes));
    }
}
