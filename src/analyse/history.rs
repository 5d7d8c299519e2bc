//! What a record of events says of each port: how often it was opened, by whom, and for how long.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU64;
use std::time::{Duration, SystemTime};

use crate::model::{Changes, EventKind, Listing, Lost, Port, Protocol, Row};

/// Owners of a port that are named; the others are counted.
const MOST_OWNERS: usize = 16;

/// What happened to one port, in all port spaces together.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PortHistory {
    /// How often it was opened.
    pub opened: u64,
    /// How often it was closed.
    pub closed: u64,
    /// How often a bind to it failed.
    pub failed: u64,
    /// The shortest time that it was open.
    pub shortest: Option<Duration>,
    /// Who opened it, and how often.
    pub owners: BTreeMap<String, u64>,
}

/// What happened to every port. Memory is bounded by the number of ports.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct History {
    /// By port.
    pub ports: BTreeMap<(Port, Protocol), PortHistory>,
    /// When it begins and ends.
    pub span: Option<(SystemTime, SystemTime)>,
    /// Events that were lost, so that more may have happened.
    pub lost: u64,
}

impl History {
    /// Adds the events that are wanted. `program` names who holds a socket; the listing has a row for each socket.
    pub fn add(
        &mut self,
        changes: &Changes,
        listing: &Listing<'_>,
        wanted: &[bool],
        program: impl Fn(&Row<'_>) -> String,
    ) {
        for (event, _) in changes.events.iter().zip(wanted).filter(|(_, is_wanted)| **is_wanted) {
            let (begin, end) = self.span.unwrap_or((event.at, event.at));
            self.span = Some((begin.min(event.at), end.max(event.at)));
            self.lost += event.lost.map_or(0, Lost::total);
            let Some(row) = event.socket.and_then(|index| listing.rows.get(index)) else { continue };
            let socket = row.socket;
            let port = self.ports.entry((socket.local.port, socket.protocol)).or_default();
            match event.kind {
                EventKind::Opened => {
                    port.opened += 1;
                    let name = program(row);
                    if port.owners.len() < MOST_OWNERS || port.owners.contains_key(&name) {
                        *port.owners.entry(name).or_default() += 1;
                    }
                }
                EventKind::Closed => {
                    port.closed += 1;
                    port.shortest = match (port.shortest, event.open_for) {
                        (Some(known), Some(now)) => Some(known.min(now)),
                        (known, now) => known.or(now),
                    };
                }
                EventKind::BindFailed => port.failed += 1,
                _ => {}
            }
        }
    }
}

/// Who holds a port at the end of a record. Memory is bounded by what is open.
#[derive(Clone, Debug, Default)]
pub struct StillOpen<T>(HashMap<Key, (SystemTime, T)>);

/// What tells the sockets of a record apart.
type Key = (Option<String>, u64, Protocol, std::net::IpAddr, Port, Option<NonZeroU64>);

impl<T> StillOpen<T> {
    /// Adds the events that are wanted; `what` is kept of each port that was opened.
    pub fn add(&mut self, changes: &Changes, listing: &Listing<'_>, wanted: &[bool], what: impl Fn(&Row<'_>) -> T) {
        let host = &changes.snapshot.host.name;
        for (event, _) in changes.events.iter().zip(wanted).filter(|(_, is_wanted)| **is_wanted) {
            let Some(row) = event.socket.and_then(|index| listing.rows.get(index)) else { continue };
            let socket = row.socket;
            let key = |number| {
                (host.clone(), socket.space.0, socket.protocol, socket.local.address, socket.local.port, number)
            };
            match event.kind {
                EventKind::Opened => {
                    self.0.insert(key(socket.cookie), (event.at, what(row)));
                }
                // Its number may not have been known when it was opened.
                EventKind::Closed if self.0.remove(&key(socket.cookie)).is_none() => {
                    self.0.remove(&key(None));
                }
                _ => {}
            }
        }
    }

    /// Returns what is left, the one that was opened first first.
    pub fn in_order(self) -> Vec<(SystemTime, T)> {
        let mut left: Vec<(SystemTime, T)> = self.0.into_values().collect();
        left.sort_by_key(|(at, _)| *at);
        left
    }
}
