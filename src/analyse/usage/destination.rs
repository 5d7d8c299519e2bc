//! How many of the ports that a space hands out are in use toward each destination.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::{Causes, HandedOut, Share, is_reusable};
use crate::model::{Endpoint, Pid, Port, Process, Protocol, Row, State, TimeWaitReuse};

/// One end that this space talks to, from one of its addresses.
#[derive(Clone, Debug)]
pub struct Destination<'a> {
    /// The local address.
    pub local: IpAddr,
    /// The other end.
    pub peer: Endpoint,
    /// The interface, where one of the addresses is of a link.
    pub device: Option<&'a str>,
    /// The distinct numbers that are used for it.
    pub used: usize,
    /// How many there are for it; absent where the range is not known.
    pub limit: Option<usize>,
    /// How many of the used ones only wait for late packets, held by nobody.
    pub time_wait: usize,
    /// How many of those the kernel gives up for a new connection.
    pub reusable: usize,
    /// The processes that hold the others, the one with the most first.
    pub causes: Causes<'a>,
}

impl Destination<'_> {
    /// How full it is for a new connection, where that is known.
    pub fn share(&self) -> Option<Share> {
        self.limit.map(|limit| Share { used: self.used - self.reusable, limit })
    }
}

/// What was counted of one destination.
#[derive(Default)]
struct Tally<'a> {
    ports: BTreeSet<Port>,
    time_wait: BTreeSet<Port>,
    reusable: BTreeSet<Port>,
    causes: BTreeMap<Pid, (Option<&'a Process>, usize)>,
}

/// Counts the ports in use toward each destination, the fullest one first.
pub(super) fn destinations<'a>(
    rows: &[&'a Row<'a>],
    handed_out: Option<&HandedOut>,
    reuse: Option<TimeWaitReuse>,
) -> Vec<Destination<'a>> {
    let tcp = || rows.iter().copied().filter(|row| row.socket.protocol == Protocol::Tcp);
    let is_taken = |row: &&Row<'_>| matches!(row.socket.state, Some(State::Listen | State::Bound));
    // Such a number is used for no client, and what is connected on it came from outside.
    let taken: BTreeSet<Port> = tcp().filter(is_taken).map(|row| row.socket.local.port).collect();
    let limit =
        handed_out.map(|handed_out| handed_out.count - taken.iter().filter(|port| handed_out.contains(**port)).count());
    let mut tallies: BTreeMap<(IpAddr, Endpoint, Option<&'a str>), Tally<'a>> = BTreeMap::new();
    for row in tcp().filter(|row| row.is_connection() && !taken.contains(&row.socket.local.port)) {
        let (local, Some(peer)) = (row.socket.local, row.socket.peer) else { continue };
        // A number that a program chose itself, outside of the range, takes nothing from it.
        if handed_out.is_some_and(|handed_out| !handed_out.contains(local.port)) {
            continue;
        }
        // An IPv6 socket that talks to IPv4 takes the numbers of IPv4.
        let peer = Endpoint { address: peer.address.to_canonical(), ..peer };
        let is_of_a_link = local.is_of_a_link() || peer.is_of_a_link();
        let device = row.socket.device.as_deref().filter(|_| is_of_a_link);
        let tally = tallies.entry((local.address.to_canonical(), peer, device)).or_default();
        tally.ports.insert(local.port);
        if row.socket.state == Some(State::TimeWait) {
            tally.time_wait.insert(local.port);
        }
        if is_reusable(row, reuse) {
            tally.reusable.insert(local.port);
        }
        if let Some((pid, process)) = row.processes.first() {
            tally.causes.entry(*pid).or_insert((*process, 0)).1 += 1;
        }
    }
    let destination = |((local, peer, device), tally): ((IpAddr, Endpoint, Option<&'a str>), Tally<'a>)| {
        let mut causes: Causes<'a> =
            tally.causes.into_iter().map(|(pid, (process, count))| (pid, process, count)).collect();
        causes.sort_by_key(|(pid, _, count)| (usize::MAX - count, *pid));
        let (used, time_wait, reusable) = (tally.ports.len(), tally.time_wait.len(), tally.reusable.len());
        Destination { local, peer, device, used, limit, time_wait, reusable, causes }
    };
    let mut destinations: Vec<Destination<'a>> = tallies.into_iter().map(destination).collect();
    // The sort is stable: equally full ones stay in the order of their addresses.
    destinations.sort_by_key(|destination| usize::MAX - destination.used);
    destinations
}
