//! The order of rows. It is the same in every output format and in every run over the same sockets.

use std::cmp::{Ordering, Reverse};
use std::ffi::OsStr;
use std::net::IpAddr;
use std::time::SystemTime;

use crate::model::{Endpoint, Exposure, Pid, Process, Protocol, Row, State};
use crate::parallel;

/// What rows can be ordered by.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SortKey {
    /// The protocol's name.
    Protocol,
    /// The local address, by number.
    Address,
    /// The local port.
    Port,
    /// The service's name.
    Service,
    /// The state, listeners first.
    State,
    /// The peer, by address, then port.
    Peer,
    /// The foremost process's number.
    Pid,
    /// The foremost process's name.
    Process,
    /// The user's name.
    User,
    /// The space's label.
    Space,
    /// How far it can be reached, narrowest first.
    Exposure,
    /// When the foremost process started.
    Started,
    /// The bytes received.
    Rx,
    /// The bytes sent.
    Tx,
    /// The round-trip time.
    Rtt,
    /// The segments that were sent again.
    Retransmits,
    /// The time since anything was sent or received.
    Idle,
}

impl SortKey {
    /// Says whether it must be collected what connections have carried.
    pub fn is_about_traffic(self) -> bool {
        matches!(self, SortKey::Rx | SortKey::Tx | SortKey::Rtt | SortKey::Retransmits | SortKey::Idle)
    }

    fn value<'a>(self, row: &Row<'a>) -> Option<Value<'a>> {
        let (socket, traffic) = (row.socket, row.socket.traffic.as_deref());
        let text = |text: &'a str| Value::Text(OsStr::new(text));
        match self {
            SortKey::Protocol => Some(Value::Protocol(socket.protocol)),
            SortKey::Address => Some(Value::Address(socket.local.address)),
            SortKey::Port => Some(Value::Number(socket.local.port.get().into())),
            SortKey::Service => row.service().map(|service| text(service.name)),
            SortKey::State => socket.state.map(Value::State),
            SortKey::Peer => socket.peer.map(Value::Peer),
            SortKey::Pid => pid(row).map(|pid| Value::Number(pid.0.into())),
            SortKey::Process => process(row)?.name.as_deref().map(Value::Text),
            SortKey::User => row.user().map(text),
            SortKey::Space => Some(text(&row.space.label)),
            SortKey::Exposure => Some(Value::Exposure(row.exposure)),
            SortKey::Started => process(row)?.started_at.map(Value::Time),
            SortKey::Rx => traffic.map(|traffic| Value::Number(traffic.receives())),
            SortKey::Tx => traffic.map(|traffic| Value::Number(traffic.sends())),
            SortKey::Rtt => traffic?.rtt_us.map(|rtt| Value::Number(rtt.into())),
            SortKey::Retransmits => traffic.map(|traffic| Value::Number(traffic.retransmits.into())),
            SortKey::Idle => traffic?.idle_ms.map(|idle| Value::Number(idle.into())),
        }
    }
}

/// What a row is ordered by. The values of one key are all of one kind.
#[derive(Eq, Ord, PartialEq, PartialOrd)]
enum Value<'a> {
    Number(u64),
    Text(&'a OsStr),
    Address(IpAddr),
    Peer(Endpoint),
    Protocol(Protocol),
    State(State),
    Exposure(Exposure),
    Time(SystemTime),
}

/// A key and its direction.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Sorting {
    /// What to order by.
    pub key: SortKey,
    /// Whether the highest comes first. Rows without a value stay last.
    pub descending: bool,
}

impl Sorting {
    /// Puts rows into this order; those that are equal in it are in the default order.
    pub fn sort<'a>(self, rows: &mut [Row<'a>]) {
        in_default_order(rows);
        // What is compared is found once for each row. Both sorts are stable.
        let value = |row: &Row<'a>| self.key.value(row);
        if self.descending {
            rows.sort_by_cached_key(|row| (value(row).is_none(), Reverse(value(row))));
        } else {
            rows.sort_by_cached_key(|row| (value(row).is_none(), value(row)));
        }
    }
}

/// Puts rows into the default order: listeners first, then by port, protocol, address, peer and foremost process.
pub fn in_default_order(rows: &mut [Row<'_>]) {
    // On a host with many connections nearly all rows differ in what is compared first. That is kept at hand.
    rows.sort_by_cached_key(front);
    let wanted = rows.len() / parallel::PIECE;
    parallel::each_piece(pieces(rows), wanted, |piece| {
        for alike in piece.chunk_by_mut(|a, b| front(a) == front(b)) {
            alike.sort_unstable_by(by_rest);
        }
    });
}

/// Rows that were put in order by their fronts, in pieces; those with the same front are in one.
fn pieces<'r, 'a>(mut rows: &'r mut [Row<'a>]) -> Vec<&'r mut [Row<'a>]> {
    let mut pieces = Vec::new();
    while !rows.is_empty() {
        let least = rows.len().min(parallel::PIECE);
        let same = front(&rows[least - 1]);
        let more = rows[least..].iter().take_while(|row| front(row) == same).count();
        let (piece, others) = rows.split_at_mut(least + more);
        pieces.push(piece);
        rows = others;
    }
    pieces
}

/// The order of rows whose fronts are the same.
fn by_rest(a: &Row<'_>, b: &Row<'_>) -> Ordering {
    let (left, right) = (a.socket, b.socket);
    Ord::cmp(&left.local.address, &right.local.address)
        .then_with(|| left.space.cmp(&right.space))
        .then_with(|| left.state.cmp(&right.state))
        .then_with(|| left.peer.cmp(&right.peer))
        .then_with(|| pid(a).cmp(&pid(b)))
        .then_with(|| (left.inode, left.cookie).cmp(&(right.inode, right.cookie)))
}

/// Listeners first, then by port and protocol, as one number.
fn front(row: &Row<'_>) -> u32 {
    let socket = row.socket;
    u32::from(!row.is_listener) << 24 | u32::from(socket.local.port.get()) << 8 | socket.protocol as u32
}

fn pid(row: &Row<'_>) -> Option<Pid> {
    row.processes.first().map(|(pid, _)| *pid)
}

fn process<'a>(row: &Row<'a>) -> Option<&'a Process> {
    row.processes.first().and_then(|(_, process)| *process)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{join, testing};

    fn sorted(key: SortKey, descending: bool) -> Vec<String> {
        let snapshot = testing::snapshot();
        let mut listing = join::listing(&snapshot, None);
        Sorting { key, descending }.sort(&mut listing.rows);
        listing.rows.iter().map(|row| format!("{} {}", row.socket.local.address, row.socket.local.port)).collect()
    }

    #[test]
    fn rows_without_a_value_stay_last_and_equal_ones_stay_in_the_default_order() {
        let (database, web) = (["127.0.0.1 5432", "::1 5432"], ["0.0.0.0 443", "192.0.2.7 443"]);
        let unknown = [":: 5353", "192.0.2.7 40000"];
        assert_eq!(sorted(SortKey::Process, false), [web, database, unknown].concat());
        assert_eq!(sorted(SortKey::Process, true), [database, web, unknown].concat());
    }

    #[test]
    fn peers_are_in_the_order_of_their_numbers() {
        let without = ["0.0.0.0 443", ":: 5353", "127.0.0.1 5432", "::1 5432"];
        assert_eq!(sorted(SortKey::Peer, false), [&["192.0.2.7 443", "192.0.2.7 40000"][..], &without].concat());
        assert_eq!(sorted(SortKey::Peer, true), [&["192.0.2.7 40000", "192.0.2.7 443"][..], &without].concat());
    }
}
