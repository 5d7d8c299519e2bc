//! Judges a ruleset as netfilter does: where what is sent to each port of this host ends up.
//!
//! A walk carries sets of packets (all ports, all senders) through the base chains of each hook in the order of their
//! priorities, and divides them at each rule. What was not understood divides into both ways, so that an answer is
//! certain only where every way leads to the same end.
//!
//! Source: Linux, `nf_hook_slow`, `nf_nat_inet_fn` (the chains of NAT stand together at the priority of destination NAT,
//! whatever their own is, and the first that translates wins), `nft_do_chain`, `ipt_do_table`.

mod answer;
mod place;
mod senders;
mod state;
mod truth;
mod walk;

use std::net::IpAddr;
use std::rc::Rc;

use super::host::{HostFacts, Side};
use super::ruleset::{Action, Base, Dimension, Hook, Ranges, Ruleset, Step, Table, Taken, Test, To, ToPort, bits_of};
use crate::model::{Family, Port, PortRange, Protocol, Redirect, RuleName};
use place::{Class, Place, number_of};
use state::{Area, State};
use walk::{Final, Outcome, Walk};

/// The priority of destination NAT. Source: `NF_IP_PRI_NAT_DST`.
const TRANSLATION: i32 = -100;

/// Finds what the rules do to what is sent to these ports.
pub fn redirects(ruleset: &Ruleset, host: &HostFacts, protocols: &[Protocol], ports: &[PortRange]) -> Vec<Redirect> {
    let wanted = Ranges::union(
        ports.iter().map(|range| Ranges::between(u128::from(range.first().get().max(1)), range.last().get().into())),
    );
    let mut found = Vec::new();
    if wanted.is_empty() {
        return found;
    }
    for family in Family::ALL {
        for protocol in protocols {
            let question = Question::new(ruleset, host, family, *protocol, &wanted);
            found.extend(question.answer());
        }
    }
    found
}

/// A base chain, and the table that it is in.
type Entry<'a> = (Base, &'a Table, &'a str);

/// What is asked for one family and protocol.
struct Question<'a> {
    ruleset: &'a Ruleset,
    host: &'a HostFacts,
    family: Family,
    protocol: Protocol,
    ports: &'a Ranges,
    /// The interfaces that packets of other hosts may come in by; those that are sure to be there first.
    interfaces: Vec<String>,
    /// How many of these are there.
    present: usize,
}

impl<'a> Question<'a> {
    fn new(ruleset: &'a Ruleset, host: &'a HostFacts, family: Family, protocol: Protocol, ports: &'a Ranges) -> Self {
        let on = |side| host.interfaces.iter().filter(move |found| found.side == side).map(|found| found.name.clone());
        let mut interfaces: Vec<String> = on(Side::Outside).collect();
        if interfaces.is_empty() {
            // Some may come later; no rule names it.
            interfaces.push("?".to_owned());
        }
        let present = interfaces.len();
        interfaces.extend(on(Side::Inner));
        for name in named_interfaces(ruleset) {
            let is_known = name == "lo" || interfaces.iter().any(|known| known == name);
            if !is_known && !name.is_empty() && name != "*" {
                interfaces.push(name.to_owned());
            }
        }
        Question { ruleset, host, family, protocol, ports, interfaces, present }
    }

    fn answer(&self) -> Vec<Redirect> {
        let outside = self.agreed(Class::Outside);
        let local = self.agreed(Class::Local);
        answer::assemble(self, &outside, &local)
    }

    /// The ends of packets, for both orders of the chains that have the same priority: nothing tells which was made first.
    fn agreed(&self, class: Class) -> Vec<Vec<Final>> {
        let mut both = vec![self.walk(class, false)];
        let has_ties = [Hook::Prerouting, Hook::Input, Hook::Output].iter().any(|hook| {
            let entries = self.entries(*hook, false);
            // A chain may also stand exactly where those of NAT do.
            let is_tied = |pair: &[Entry<'_>]| {
                let (one, other) = (key(&pair[0]), key(&pair[1]));
                one == other || (one.0 == other.0 && one.1 != other.1)
            };
            entries.windows(2).any(is_tied)
        });
        if has_ties {
            both.push(self.walk(class, true));
        }
        both
    }

    /// The base chains of a hook in the order in which packets meet them.
    fn entries(&self, hook: Hook, is_reversed: bool) -> Vec<Entry<'a>> {
        let tables = self.ruleset.tables.iter().filter(|table| !table.is_dormant);
        let of_family = tables.filter(|table| table.families.contains(&self.family));
        let mut entries: Vec<Entry<'a>> = of_family
            .flat_map(|table| {
                let bases =
                    table.chains.iter().filter_map(move |(name, chain)| Some((chain.base?, table, name.as_str())));
                bases.filter(|(base, ..)| base.hook == hook && !(base.is_nat && hook == Hook::Input))
            })
            .collect();
        entries.sort_by(|a, b| (&a.1.name, a.2).cmp(&(&b.1.name, b.2)));
        if is_reversed {
            entries.reverse();
        }
        entries.sort_by_key(|entry| {
            let (slot, is_nat, priority) = key(entry);
            (slot, is_nat != is_reversed, priority)
        });
        entries
    }

    fn start(&self, class: Class) -> State {
        let own = |side: fn(&IpAddr) -> bool| {
            let of_family = self.host.addresses.iter().filter(|address| Family::of(**address) == self.family);
            Ranges::union(of_family.filter(|address| side(address)).map(|address| Ranges::single(bits_of(*address))))
        };
        let here = Ranges::union([own(|_| true), self.loopback()]);
        let area = Area::whole().with(Dimension::Port, self.ports.clone());
        let nobody = u128::from(u64::MAX);
        State::new(match class {
            Class::Outside => {
                let mut to = own(|address| !address.is_loopback());
                if to.is_empty() {
                    // An address may come later; no rule names it.
                    to = Ranges::single(NO_ADDRESS);
                }
                let senders = if self.family == Family::Ipv4 { u32::MAX.into() } else { u128::MAX };
                area.with(Dimension::Destination, to)
                    .with(Dimension::Source, Ranges::between(0, senders).without(&here))
                    .with(Dimension::Input, Ranges::between(0, self.interfaces.len() as u128 - 1))
                    .with(Dimension::User, Ranges::single(nobody))
                    .with(Dimension::Group, Ranges::single(nobody))
            }
            Class::Local => area
                .with(Dimension::Destination, here.clone())
                .with(Dimension::Source, here)
                .with(Dimension::User, Ranges::between(0, u32::MAX.into()))
                .with(Dimension::Group, Ranges::between(0, u32::MAX.into())),
        })
    }

    fn loopback(&self) -> Ranges {
        match self.family {
            Family::Ipv4 => Ranges::between(0x7f00_0000, 0x7fff_ffff),
            Family::Ipv6 => Ranges::single(1),
        }
    }

    /// Follows what is sent to this host until it arrives.
    fn walk(&self, class: Class, is_reversed: bool) -> Vec<Final> {
        let mut walk = Walk::new(Place {
            class,
            family: self.family,
            protocol: self.protocol,
            hook: Hook::Prerouting,
            priority: 0,
            interfaces: &self.interfaces,
        });
        let mut states = vec![self.start(class)];
        for hole in &self.ruleset.holes {
            for state in &states {
                walk.end(state.clone(), Outcome::Unclear(hole.clone()));
            }
        }
        if class == Class::Local {
            states = self.hook(&mut walk, Hook::Output, states, is_reversed);
            states = self.virtual_servers(&mut walk, states);
        }
        states = self.hook(&mut walk, Hook::Prerouting, states, is_reversed);
        states = Self::hand_over(&mut walk, states);
        states = self.hook(&mut walk, Hook::Input, states, is_reversed);
        if class == Class::Outside {
            states = self.virtual_servers(&mut walk, states);
        }
        for state in states {
            walk.end(state, Outcome::Own);
        }
        walk.finals
    }

    fn hook(&self, walk: &mut Walk<'a>, hook: Hook, states: Vec<State>, is_reversed: bool) -> Vec<State> {
        let mut states = states;
        for (base, table, name) in self.entries(hook, is_reversed) {
            // What this host sends is translated on its way out, or not at all.
            if base.is_nat && hook == Hook::Prerouting && walk.place.class == Class::Local {
                continue;
            }
            walk.place.hook = hook;
            walk.place.priority = if base.is_nat { TRANSLATION } else { base.priority };
            let (left, meeting): (Vec<State>, Vec<State>) =
                states.into_iter().partition(|state| base.is_nat && (state.is_untracked || state.translated.is_some()));
            let (translated, meeting): (Vec<State>, Vec<State>) =
                meeting.into_iter().partition(|state| state.translated.is_some());
            states = walk.base_chain(table, name, base, meeting);
            states.extend(left);
            // What goes elsewhere already can still be given to a transparent socket, and nothing else changes its way.
            // A host can publish thousands of ports, so each is followed by itself, and only where it may meet a proxy.
            if gives_to_proxies(table) {
                for state in translated {
                    states.extend(walk.base_chain(table, name, base, vec![state]));
                }
            } else {
                states.extend(translated);
            }
        }
        states
    }

    /// Ends the way of what a transparent socket gets, and of what goes elsewhere.
    fn hand_over(walk: &mut Walk<'_>, states: Vec<State>) -> Vec<State> {
        let mut others = Vec::new();
        for mut state in states {
            if let Some((to, rule)) = state.proxy.take() {
                walk.end(state, Outcome::To(to, rule, None));
            } else if let Some(translation) = state.translated.clone() {
                walk.end(state, Outcome::of(&translation));
            } else {
                others.push(state);
            }
        }
        others
    }

    /// Sends to the virtual servers of IPVS what is theirs.
    fn virtual_servers(&self, walk: &mut Walk<'_>, states: Vec<State>) -> Vec<State> {
        let mut states = states;
        for server in &self.ruleset.services {
            let mut rest = Vec::new();
            for state in states {
                let taken = match server.takes {
                    Taken::Address(protocol, address, port) => {
                        let is_meant =
                            u128::from(protocol) == number_of(self.protocol) && Family::of(address) == self.family;
                        if !is_meant {
                            rest.push(state);
                            continue;
                        }
                        let (inside, outside) = state.split(Dimension::Destination, &Ranges::single(bits_of(address)));
                        rest.extend(outside);
                        let ports = if port == 0 { Ranges::all() } else { Ranges::single(port.into()) };
                        let (inside, outside) =
                            inside.map_or((None, None), |state| state.split(Dimension::Port, &ports));
                        rest.extend(outside);
                        inside
                    }
                    Taken::Mark(mark) if state.mark == Some(mark) => Some(state),
                    Taken::Mark(_) => {
                        if state.mark.is_none() {
                            let why = "it depends on a mark that is not known".to_owned();
                            walk.end(state.clone(), Outcome::Unclear(why));
                        }
                        rest.push(state);
                        None
                    }
                };
                let rule = Rc::new(RuleName { table: "ipvs".to_owned(), chain: String::new(), number: 0 });
                if let Some(state) = taken {
                    let to = server.to.first().map(|(address, port)| To {
                        address: Some(*address),
                        port: if *port == 0 { ToPort::Same } else { ToPort::Between(*port, *port) },
                    });
                    walk.end(state, to.map_or(Outcome::Dropped(Rc::clone(&rule)), |to| Outcome::To(to, rule, None)));
                }
            }
            states = rest;
        }
        states
    }
}

/// Stands for an address that this host may get: above every address of IPv4, and reserved in IPv6.
const NO_ADDRESS: u128 = u128::MAX;

/// Says whether a rule of the table gives packets to a transparent socket.
fn gives_to_proxies(table: &Table) -> bool {
    let is_proxy = |action: &Action| matches!(action, Action::Proxy(..));
    table.chains.values().flat_map(|chain| &chain.rules).flat_map(|rule| &rule.steps).any(|step| match step {
        Step::Act(action) => is_proxy(action),
        Step::Map(cases) => cases.iter().any(|(_, action)| is_proxy(action)),
        Step::Choose(actions) => actions.iter().any(is_proxy),
        Step::Match(_) => false,
    })
}

/// The order of chains at a hook.
fn key(entry: &Entry<'_>) -> (i32, bool, i32) {
    let (base, ..) = entry;
    let slot = if base.is_nat { TRANSLATION } else { base.priority };
    (slot, base.is_nat, base.priority)
}

/// The interfaces that rules ask for.
fn named_interfaces(ruleset: &Ruleset) -> impl Iterator<Item = &str> {
    let rules = ruleset.tables.iter().flat_map(|table| table.chains.values()).flat_map(|chain| &chain.rules);
    let matches = rules.flat_map(|rule| &rule.steps).flat_map(|step| match step {
        Step::Match(condition) => vec![condition],
        Step::Map(cases) => cases.iter().map(|(condition, _)| condition).collect(),
        Step::Act(_) | Step::Choose(_) => Vec::new(),
    });
    let tests = matches.flat_map(|condition| condition.any.iter().flatten());
    let mut names: Vec<&str> = tests
        .filter_map(|test| match test {
            Test::Input(names) => Some(names.iter().map(String::as_str)),
            _ => None,
        })
        .flatten()
        .collect();
    names.sort_unstable();
    names.dedup();
    names.into_iter()
}

/// Reads ports of the model.
fn range(first: u128, last: u128) -> Option<PortRange> {
    PortRange::new(Port::new(u16::try_from(first).ok()?), Port::new(u16::try_from(last).ok()?))
}

#[cfg(test)]
mod tests;
