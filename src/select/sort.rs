//! The order of rows. It is the same in every output format and in every run over the same sockets.

use std::cmp::Ordering;
use std::ffi::OsStr;

use crate::model::{Pid, Row};

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
    fn compare(self, a: &Row<'_>, b: &Row<'_>) -> Ordering {
        match self {
            SortKey::Protocol => a.socket.protocol.cmp(&b.socket.protocol),
            SortKey::Address => a.socket.local.address.cmp(&b.socket.local.address),
            SortKey::Port => a.socket.local.port.cmp(&b.socket.local.port),
            SortKey::Service => known_first(service(a), service(b)),
            SortKey::State => known_first(a.socket.state, b.socket.state),
            SortKey::Peer => known_first(a.socket.peer, b.socket.peer),
            SortKey::Pid => known_first(pid(a), pid(b)),
            SortKey::Process => known_first(process_name(a), process_name(b)),
            SortKey::User => known_first(a.user, b.user),
            SortKey::Space => a.space.label.cmp(&b.space.label),
            SortKey::Exposure => a.exposure.cmp(&b.exposure),
            SortKey::Started => known_first(started(a), started(b)),
            SortKey::Rx | SortKey::Tx | SortKey::Rtt | SortKey::Retransmits | SortKey::Idle => {
                known_first(self.of_traffic(a), self.of_traffic(b))
            }
        }
    }
}

impl SortKey {
    /// Says whether it must be collected what connections have carried.
    pub fn is_about_traffic(self) -> bool {
        matches!(self, SortKey::Rx | SortKey::Tx | SortKey::Rtt | SortKey::Retransmits | SortKey::Idle)
    }

    fn of_traffic(self, row: &Row<'_>) -> Option<u64> {
        let traffic = row.socket.traffic.as_deref()?;
        match self {
            SortKey::Rx => Some(traffic.receives()),
            SortKey::Tx => Some(traffic.sends()),
            SortKey::Rtt => traffic.rtt_us.map(u64::from),
            SortKey::Retransmits => Some(traffic.retransmits.into()),
            SortKey::Idle => traffic.idle_ms.map(u64::from),
            _ => None,
        }
    }
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
    /// Compares two rows; equal ones are in the default order.
    pub fn compare(self, a: &Row<'_>, b: &Row<'_>) -> Ordering {
        let order = self.key.compare(a, b);
        let has_value = |row: &Row<'_>| match self.key {
            SortKey::Service => row.service.is_some(),
            SortKey::State => row.socket.state.is_some(),
            SortKey::Peer => row.socket.peer.is_some(),
            SortKey::Pid => pid(row).is_some(),
            SortKey::Process => process_name(row).is_some(),
            SortKey::User => row.user.is_some(),
            SortKey::Started => started(row).is_some(),
            SortKey::Rx | SortKey::Tx | SortKey::Rtt | SortKey::Retransmits | SortKey::Idle => {
                self.key.of_traffic(row).is_some()
            }
            SortKey::Protocol | SortKey::Address | SortKey::Port | SortKey::Space | SortKey::Exposure => true,
        };
        let reversed = self.descending && has_value(a) && has_value(b);
        if reversed { order.reverse() } else { order }.then_with(|| by_default_order(a, b))
    }
}

/// Puts rows into the default order: listeners first, then by port, protocol, address, peer and foremost process.
pub fn in_default_order(rows: &mut [Row<'_>]) {
    // On a host with many connections nearly all rows differ in what is compared first. That is kept at hand.
    rows.sort_by_cached_key(front);
    for alike in rows.chunk_by_mut(|a, b| front(a) == front(b)) {
        alike.sort_unstable_by(by_default_order);
    }
}

fn by_default_order(a: &Row<'_>, b: &Row<'_>) -> Ordering {
    let (left, right) = (a.socket, b.socket);
    front(a)
        .cmp(&front(b))
        .then_with(|| left.local.address.cmp(&right.local.address))
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

fn known_first<T: Ord>(a: Option<T>, b: Option<T>) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) => a.cmp(&b),
        (a, b) => b.is_some().cmp(&a.is_some()),
    }
}

fn service<'a>(row: &Row<'a>) -> Option<&'a str> {
    row.service.map(|service| service.name)
}

fn pid(row: &Row<'_>) -> Option<Pid> {
    row.processes.first().map(|(pid, _)| *pid)
}

fn process_name<'a>(row: &Row<'a>) -> Option<&'a OsStr> {
    row.processes.first().and_then(|(_, process)| process.as_ref()?.name.as_deref())
}

fn started(row: &Row<'_>) -> Option<std::time::SystemTime> {
    row.processes.first().and_then(|(_, process)| process.as_ref()?.started_at)
}
