//! Which senders a rule takes, in short words.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Question;
use super::place::Class;
use super::state::Condition;
use super::walk::Final;
use crate::collect::linux::redirects::ruleset::{Dimension, Ranges};
use crate::model::{Family, Senders};

/// Ranges that are listed one by one.
const MOST: usize = 4;

/// The senders of packets that come to these ends.
pub fn of(question: &Question<'_>, ends: &[&Final], class: Class) -> Senders {
    let among = |dimension| Ranges::union(ends.iter().map(|end| end.state.area.of(dimension).clone()));
    let whole = question.start(class);
    let is_narrow = |dimension, found: &Ranges| !whole.area.of(dimension).is_within(found);
    let mut senders = Senders::default();
    if class == Class::Outside {
        let input = among(Dimension::Input);
        let names = question.interfaces.iter().enumerate();
        let taken: Vec<String> =
            names.filter(|(index, _)| input.contains(*index as u128)).map(|(_, name)| name.clone()).collect();
        if (0..question.present).any(|index| !input.contains(index as u128)) {
            senders.interfaces = taken.into_iter().filter(|name| name != "?").collect();
        }
    }
    let source = among(Dimension::Source);
    // This host's own addresses but for a few say nothing.
    let says_much = class == Class::Outside || source.iter().count() <= 2;
    if says_much && is_narrow(Dimension::Source, &source) {
        senders.sources = listed(&source, |first, last| network(first, last, question.family));
    }
    let number = |first: u128, last: u128| if first == last { first.to_string() } else { format!("{first}-{last}") };
    for (dimension, word) in [(Dimension::User, "uid"), (Dimension::Group, "gid"), (Dimension::SourcePort, "from port")]
    {
        let found = among(dimension);
        if is_narrow(dimension, &found) {
            senders.others.push(format!("{word} {}", listed(&found, number).join(" or ")));
        }
    }
    // Those that come without any condition are not only some of them by one.
    let conditions = ends.iter().map(|end| &end.state.conditions).min_by_key(|conditions| conditions.len());
    for condition in conditions.into_iter().flatten() {
        if let Condition::Sender(word) = condition {
            senders.others.push((*word).to_owned());
        }
    }
    senders
}

fn listed(ranges: &Ranges, word: impl Fn(u128, u128) -> String) -> Vec<String> {
    let mut words: Vec<String> = ranges.iter().take(MOST).map(|(first, last)| word(first, last)).collect();
    if ranges.iter().count() > MOST {
        words.push("others".to_owned());
    }
    words
}

/// `10.0.0.0/8`, `10.0.0.1`, `10.0.0.1-10.0.0.9`.
fn network(first: u128, last: u128, family: Family) -> String {
    let address = |number: u128| match family {
        Family::Ipv4 => IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(number).unwrap_or(u32::MAX))),
        Family::Ipv6 => IpAddr::V6(Ipv6Addr::from_bits(number)),
    };
    let width = if family == Family::Ipv4 { 32 } else { 128 };
    let differing = 128 - (first ^ last).leading_zeros();
    let mask = if differing == 128 { u128::MAX } else { (1u128 << differing) - 1 };
    match (first == last, first & mask == 0 && last & mask == mask) {
        (true, _) => address(first).to_string(),
        (_, true) => format!("{}/{}", address(first), width - differing),
        _ => format!("{}-{}", address(first), address(last)),
    }
}
