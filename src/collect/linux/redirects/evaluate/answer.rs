//! From the ends of packets to an answer for each port.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::rc::Rc;

use super::place::{Class, first_loopback};
use super::senders;
use super::state::Condition;
use super::walk::{Final, Outcome};
use super::{Question, range};
use crate::collect::linux::redirects::ruleset::{Dimension, Ranges, To, ToPort, bits_of};
use crate::model::{
    Destination, Family, Lead, PortRange, Reachability, Redirect, Redirection, RuleName, ToPort as ToPorts, any_address,
};

/// Addresses of this host that rules treat alike.
#[derive(Clone, Debug)]
struct Part {
    /// From one to another; absent where the host has no address that others could send to.
    addresses: Option<(IpAddr, IpAddr)>,
    /// The bits of the first.
    number: u128,
    is_loopback: bool,
}

/// What happens to some ports.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Fate {
    redirection: Redirection,
    filtered: Option<RuleName>,
}

/// Fates by port: those of a socket with just this address, and those of one with every address.
struct Fates {
    /// The first port of each range, in ascending order.
    starts: Vec<u128>,
    fates: Vec<[Fate; 2]>,
}

impl Fates {
    fn at(&self, port: u128) -> [Fate; 2] {
        let index = self.starts.partition_point(|start| *start <= port);
        index.checked_sub(1).map(|index| self.fates[index].clone()).unwrap_or_default()
    }
}

/// Joins the ends of both classes.
pub fn assemble(question: &Question<'_>, outside: &[Vec<Final>], local: &[Vec<Final>]) -> Vec<Redirect> {
    let parts = parts(question, local);
    let all: Vec<(Part, Option<Fates>, Fates)> = parts
        .into_iter()
        .map(|part| {
            let from_outside = (!part.is_loopback).then(|| fates(question, outside, &part, Class::Outside));
            let from_here = fates(question, local, &part, Class::Local);
            (part, from_outside, from_here)
        })
        .collect();
    let mut starts: BTreeSet<u128> = question.ports.iter().map(|(first, _)| first).collect();
    for (_, outside, local) in &all {
        starts.extend(outside.iter().chain([local]).flat_map(|fates| fates.starts.iter().copied()));
    }
    let mut found = Found { redirects: Vec::new(), open: HashMap::new() };
    for (low, high) in question.ports.iter() {
        let mut first = low;
        while first <= high {
            let next = starts.range(first + 1..).next().copied().unwrap_or(u128::MAX);
            let last = high.min(next.saturating_sub(1));
            if let Some(ports) = range(first, last) {
                one(question, &all, first, ports, &mut found);
            }
            let Some(after) = last.checked_add(1) else { break };
            first = after;
        }
    }
    found.redirects
}

/// A part of the addresses, with what happens to other hosts' connections to it, and to this host's.
type AtPort<'a> = (&'a Part, Option<[Fate; 2]>, [Fate; 2]);

/// Answers for a range of ports that all rules treat alike.
fn one(question: &Question<'_>, all: &[(Part, Option<Fates>, Fates)], port: u128, ports: PortRange, found: &mut Found) {
    let fates: Vec<AtPort<'_>> = all
        .iter()
        .map(|(part, outside, local)| (part, outside.as_ref().map(|fates| fates.at(port)), local.at(port)))
        .collect();
    let of_outside: Vec<(&Part, &Fate)> =
        fates.iter().filter_map(|(part, outside, _)| Some((*part, &outside.as_ref()?[1]))).collect();
    // Addresses of loopback that a rule singles out matter only to a question about these addresses.
    let is_usual = |part: &Part| !part.is_loopback || part.number == first_loopback(question.family);
    let of_local: Vec<(&Part, &Fate)> =
        fates.iter().filter(|(part, ..)| is_usual(part)).map(|(part, _, local)| (*part, &local[1])).collect();
    let mut filtered = of_outside.first().and_then(|(_, fate)| fate.filtered.clone());
    filtered = filtered.filter(|_| of_outside.iter().all(|(_, fate)| fate.filtered.is_some()));
    let general = Reachability { outside: together(&of_outside), local: together(&of_local), filtered };
    found.add(question, None, ports, &general, general.is_plain());
    for (part, outside, local) in fates {
        let Some(addresses) = part.addresses else { continue };
        let [outside, _] = outside.unwrap_or_default();
        let [local, _] = local;
        let reachability =
            Reachability { outside: outside.redirection, local: local.redirection, filtered: outside.filtered };
        let is_known = reachability == general;
        found.add(question, Some(addresses), ports, &reachability, is_known);
    }
}

/// What is found, with the last range of each kind of address, which may go on.
struct Found {
    redirects: Vec<Redirect>,
    open: HashMap<Option<(IpAddr, IpAddr)>, usize>,
}

impl Found {
    fn add(
        &mut self,
        question: &Question<'_>,
        addresses: Option<(IpAddr, IpAddr)>,
        ports: PortRange,
        reachability: &Reachability,
        is_needless: bool,
    ) {
        if is_needless {
            return;
        }
        if let Some(last) = self.open.get(&addresses).map(|index| &mut self.redirects[*index])
            && u32::from(last.ports.last().get()) + 1 == u32::from(ports.first().get())
            && last.reachability == *reachability
            && let Some(both) = PortRange::new(last.ports.first(), ports.last())
        {
            last.ports = both;
            return;
        }
        self.open.insert(addresses, self.redirects.len());
        let (protocol, family) = (question.protocol, question.family);
        let reachability = reachability.clone();
        self.redirects.push(Redirect { protocol, family, addresses, ports, reachability });
    }
}

fn address_of(number: u128, family: Family) -> IpAddr {
    match family {
        Family::Ipv4 => Ipv4Addr::from_bits(u32::try_from(number).unwrap_or(u32::MAX)).into(),
        Family::Ipv6 => Ipv6Addr::from_bits(number).into(),
    }
}

/// Each address of the host, and loopback divided where rules divide it.
fn parts(question: &Question<'_>, local: &[Vec<Final>]) -> Vec<Part> {
    let family = question.family;
    let of_family = question.host.addresses.iter().filter(|address| Family::of(**address) == family);
    let mut parts: Vec<Part> = of_family
        .filter(|address| !address.is_loopback())
        .map(|address| Part { addresses: Some((*address, *address)), number: bits_of(*address), is_loopback: false })
        .collect();
    if parts.is_empty() {
        parts.push(Part { addresses: None, number: super::NO_ADDRESS, is_loopback: false });
    }
    let usual = first_loopback(family);
    let mut edges: BTreeSet<u128> = [usual, usual + 1].into();
    let loopback = question.loopback();
    for end in local.iter().flatten() {
        let within = end.state.area.of(Dimension::Destination).and(&loopback);
        edges.extend(within.iter().flat_map(|(first, last)| [first, last + 1]));
    }
    for (low, high) in loopback.iter() {
        edges.insert(low);
        let starts: Vec<u128> = edges.range(low..=high).copied().collect();
        for (index, first) in starts.iter().enumerate() {
            let last = starts.get(index + 1).map_or(high, |next| next - 1);
            let addresses = Some((address_of(*first, family), address_of(last, family)));
            parts.push(Part { addresses, number: *first, is_loopback: true });
        }
    }
    parts
}

/// Sweeps over the ports: which packets for this part of the addresses end where.
fn fates(question: &Question<'_>, orders: &[Vec<Final>], part: &Part, class: Class) -> Fates {
    let mut starts: BTreeSet<u128> = BTreeSet::new();
    let mut events: Vec<(u128, bool, usize, usize)> = Vec::new();
    for (order, finals) in orders.iter().enumerate() {
        for (index, end) in finals.iter().enumerate() {
            // An address that the host may get is no place that local packets go to.
            let is_for = part.addresses.is_none() || end.state.area.of(Dimension::Destination).contains(part.number);
            if !is_for {
                continue;
            }
            for (first, last) in end.state.area.of(Dimension::Port).iter() {
                events.push((first, true, order, index));
                events.push((last + 1, false, order, index));
                starts.extend([first, last + 1]);
            }
            if let Outcome::To(To { port: ToPort::Between(first, last), .. }, ..) = end.outcome {
                starts.extend([first.into(), u128::from(last) + 1]);
            }
        }
    }
    events.sort_unstable();
    let mut events = events.into_iter().peekable();
    let mut active: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); orders.len()];
    let mut fates = Vec::with_capacity(starts.len());
    for start in &starts {
        while let Some((_, begins, order, index)) = events.next_if(|(at, ..)| at <= start) {
            if begins {
                active[order].insert(index)
            } else {
                active[order].remove(&index)
            };
        }
        fates.push([false, true].map(|is_general| {
            let mut of_orders = orders.iter().zip(&active).map(|(finals, active)| {
                let ends: Vec<&Final> = active.iter().map(|index| &finals[*index]).collect();
                judge(question, &ends, *start, part, class, is_general)
            });
            let first = of_orders.next().unwrap_or_default();
            if of_orders.all(|other| other == first) { first } else { Fate::of_a_tie() }
        }));
    }
    Fates { starts: starts.into_iter().collect(), fates }
}

impl Fate {
    fn of_a_tie() -> Fate {
        let why = "chains with the same priority disagree, and nothing shows which is asked first";
        Fate { redirection: Redirection::Unknown(why.to_owned()), filtered: None }
    }
}

/// Whether what a rule sends to a port of this host comes to the socket that is asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Own {
    Yes,
    ByChance,
    No,
}

fn own(question: &Question<'_>, to: &To, number: u128, part: &Part, class: Class, is_general: bool) -> Own {
    let is_here = match to.address {
        None if is_general => true,
        None if class == Class::Local => part.number == first_loopback(question.family),
        None => part.addresses.is_some_and(|(address, _)| question.host.is_first_of_its_interface(address)),
        Some(address) if is_general => {
            question.host.addresses.contains(&address) && (class == Class::Local || !address.is_loopback())
        }
        Some(address) => bits_of(address) == part.number,
    };
    match to.port {
        _ if !is_here => Own::No,
        ToPort::Same => Own::Yes,
        ToPort::Between(first, last) if first == last && u128::from(first) == number => Own::Yes,
        ToPort::Between(first, last) if u128::from(first) <= number && number <= last.into() => Own::ByChance,
        ToPort::Between(..) => Own::No,
        ToPort::Unknown => Own::ByChance,
    }
}

/// What is not understood about these ends.
fn doubt<'a>(mut ends: impl Iterator<Item = &'a Final>) -> String {
    let why = ends.find_map(|end| {
        end.state.conditions.iter().find_map(|condition| match condition {
            Condition::Unclear(why) => Some(why.clone()),
            Condition::Sender(_) => None,
        })
    });
    why.unwrap_or_default()
}

/// Weighs the ends that packets for one port and address may come to.
fn judge(question: &Question<'_>, ends: &[&Final], number: u128, part: &Part, class: Class, is_general: bool) -> Fate {
    let present = Ranges::between(0, question.present as u128 - 1);
    let is_counted =
        |end: &&&Final| class == Class::Local || !end.state.area.of(Dimension::Input).and(&present).is_empty();
    let is_unclear = |end: &Final| end.state.conditions.iter().any(|is| matches!(is, Condition::Unclear(_)));
    let mut leads: Vec<(&Final, Lead)> = Vec::new();
    let mut further: Vec<(&Final, Lead)> = Vec::new();
    let mut owns: Vec<&Final> = Vec::new();
    let mut dropped: Option<Rc<RuleName>> = None;
    for end in ends {
        // What is dropped behind its translation does not arrive, but its way led elsewhere.
        let outcome = match (&end.outcome, &end.state.translated) {
            (Outcome::Dropped(_), Some(translation))
                if own(question, &translation.to, number, part, class, is_general) != Own::Yes =>
            {
                Cow::Owned(Outcome::of(translation))
            }
            (outcome, _) => Cow::Borrowed(outcome),
        };
        match outcome.as_ref() {
            Outcome::Unclear(why) if is_counted(&end) => {
                return Fate { redirection: Redirection::Unknown(why.clone()), filtered: None };
            }
            Outcome::Unclear(_) => {}
            Outcome::Dropped(rule) if is_counted(&end) => dropped = dropped.or_else(|| Some(Rc::clone(rule))),
            Outcome::Dropped(_) => {}
            Outcome::Own if is_counted(&end) => owns.push(end),
            Outcome::Own => {}
            Outcome::To(to, rule, service) => {
                let own = own(question, to, number, part, class, is_general);
                if own != Own::No && is_counted(&end) {
                    owns.push(end);
                }
                if own == Own::Yes {
                    continue;
                }
                let to = Destination {
                    address: to.address.unwrap_or_else(|| any_address(question.family)),
                    port: match to.port {
                        ToPort::Same => ToPorts::Same,
                        ToPort::Between(first, last) => {
                            range(first.into(), last.into()).map_or(ToPorts::Unknown, ToPorts::In)
                        }
                        ToPort::Unknown => ToPorts::Unknown,
                    },
                };
                let lead = Lead { to, rule: (**rule).clone(), service: service.clone() };
                if is_counted(&end) {
                    leads.push((end, lead));
                } else {
                    further.push((end, lead));
                }
            }
        }
    }
    let some = |leads: &[(&Final, Lead)], lead: Lead| {
        let same = leads.iter().filter(|(_, other)| *other == lead).map(|(end, _)| *end).collect::<Vec<_>>();
        Redirection::Some(lead.clone(), senders::of(question, &same, class))
    };
    let is_sure = |(end, _): &&(&Final, Lead)| !is_unclear(end);
    let sure = leads.iter().find(is_sure).map(|(_, lead)| lead.clone());
    let redirection = match (leads.first(), owns.is_empty()) {
        (None, is_dropped) => {
            let Some(lead) = further.iter().find(is_sure).map(|(_, lead)| lead.clone()) else {
                let filtered =
                    dropped.filter(|_| is_dropped).filter(|_| class == Class::Outside).map(|rule| (*rule).clone());
                return Fate { redirection: Redirection::Not, filtered };
            };
            some(&further, lead)
        }
        (Some((_, first)), true) => {
            let mut lead = sure.unwrap_or_else(|| first.clone());
            // Chance chooses among the ports of one rule.
            let is_like = |other: &Lead| other.rule == lead.rule && other.to.address == lead.to.address;
            if leads.iter().any(|(_, other)| is_like(other) && other.to.port != lead.to.port) {
                lead.to.port = ToPorts::Unknown;
            }
            Redirection::Certain(lead)
        }
        (Some(_), false) => {
            let sure = sure.filter(|_| owns.iter().any(|end| !is_unclear(end)));
            match sure {
                Some(lead) => some(&leads, lead),
                None => Redirection::Unknown(doubt(leads.iter().map(|(end, _)| *end).chain(owns.iter().copied()))),
            }
        }
    };
    Fate { redirection, filtered: None }
}

/// The answer for a socket that has all of these addresses.
fn together(parts: &[(&Part, &Fate)]) -> Redirection {
    let Some((_, first)) = parts.first() else { return Redirection::Not };
    if parts.iter().all(|(_, fate)| fate.redirection == first.redirection) {
        return first.redirection.clone();
    }
    let mut all = parts.iter().map(|(_, fate)| &fate.redirection);
    if let Some(unknown) = all.clone().find(|fate| matches!(fate, Redirection::Unknown(_))) {
        return unknown.clone();
    }
    if all.clone().all(|fate| fate.certain().is_some()) {
        return first.redirection.clone();
    }
    let Some((lead, mut of)) = all.find_map(|fate| match fate {
        Redirection::Certain(lead) => Some((lead.clone(), crate::model::Senders::default())),
        Redirection::Some(lead, senders) => Some((lead.clone(), senders.clone())),
        _ => None,
    }) else {
        return Redirection::Not;
    };
    let taken: Vec<String> = parts
        .iter()
        .filter(|(_, fate)| fate.redirection.lead().is_some())
        .filter_map(|(part, _)| part.addresses.map(|(address, _)| address.to_string()))
        .collect();
    if taken.len() < parts.len() {
        of.others.push(format!("to {}", taken.join(" or ")));
    }
    Redirection::Some(lead, of)
}
