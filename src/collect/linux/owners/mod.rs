//! Who holds each socket.
//!
//! The socket table and the processes are read one after the other while the world goes on, so a socket without a
//! holder may only have closed in between. Those are looked at again, and deeper, before anything is said of them.

mod fd_scan;
mod hidden;

use std::collections::BTreeSet;
use std::io;

use crate::collect::CollectError;
use crate::model::{HiddenBecause, Holder, Inode, Need, Nobody, Owner, OwnerSource, Socket};
pub use fd_scan::{Depth, Scan, socket_inode};
pub use hidden::explain;

/// How many processes were met.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Seen {
    /// Processes whose descriptors were all read.
    pub read: usize,
    /// Processes of which some descriptors could not be read.
    pub refused: usize,
}

/// The way that holders are found.
pub enum Finder {
    /// Reading `/proc/PID/fd`.
    FdScan,
}

impl Finder {
    /// Chooses the fastest way that is open to this user.
    pub fn choose(_: &Need) -> Finder {
        Finder::FdScan
    }

    /// Finds the holders of these sockets.
    pub fn find(&mut self, wanted: &BTreeSet<Inode>) -> io::Result<Scan> {
        match self {
            Finder::FdScan => scan(wanted),
        }
    }

    /// Which way it was.
    pub fn source(&self) -> OwnerSource {
        match self {
            Finder::FdScan => OwnerSource::FdScan,
        }
    }
}

/// Finds the holders of these sockets among the processes.
pub fn scan(wanted: &BTreeSet<Inode>) -> io::Result<Scan> {
    fd_scan::scan(wanted, Depth::Processes)
}

/// Sets the owner of every socket that has an inode, and drops those that turn out to have closed meanwhile.
///
/// `list_again` lists the same sockets as they are now.
pub fn assign(
    sockets: &mut Vec<Socket>,
    mut find: impl FnMut(&BTreeSet<Inode>) -> io::Result<Scan>,
    mut list_again: impl FnMut() -> Result<Vec<Socket>, CollectError>,
) -> Result<Seen, CollectError> {
    let Ok(first) = find(&wanted(sockets)) else {
        hide_unresolved(sockets, HiddenBecause::NoProcesses);
        return Ok(Seen::default());
    };
    let mut seen = Seen { read: first.read, refused: first.refused };
    resolve(sockets, first);
    if sockets.iter().any(|socket| may_resolve(socket, seen)) {
        drop_closed(sockets, &list_again()?, seen);
        if let Ok(deeper) = fd_scan::scan(&unresolved(sockets, seen), Depth::Threads) {
            seen = Seen { read: deeper.read, refused: deeper.refused };
            let in_flight = deeper.in_flight;
            resolve(sockets, deeper);
            if sockets.iter().any(|socket| may_resolve(socket, seen)) {
                drop_closed(sockets, &list_again()?, seen);
                name_in_flight(sockets, in_flight, seen);
            }
        }
    }
    hide_unresolved(sockets, hidden::reason(seen));
    Ok(seen)
}

fn is_unresolved(socket: &Socket) -> bool {
    socket.inode.is_some() && !matches!(socket.owner, Owner::Processes(_))
}

/// Says whether a second look could find the holder: not where it is another user's and those were refused.
fn may_resolve(socket: &Socket, seen: Seen) -> bool {
    let own = rustix::process::geteuid();
    let is_own = own.is_root() || socket.uid.is_some_and(|uid| uid.0 == own.as_raw());
    is_unresolved(socket) && (is_own || seen.refused == 0)
}

fn wanted(sockets: &[Socket]) -> BTreeSet<Inode> {
    sockets.iter().filter_map(|socket| socket.inode).collect()
}

fn unresolved(sockets: &[Socket], seen: Seen) -> BTreeSet<Inode> {
    sockets.iter().filter(|socket| may_resolve(socket, seen)).filter_map(|socket| socket.inode).collect()
}

/// Sockets may share an inode (MPTCP gives one to all of its subflows), so holders are looked up, not taken.
fn resolve(sockets: &mut [Socket], scan: Scan) {
    let mut found = scan.found;
    found.sort_unstable();
    found.dedup();
    for socket in sockets.iter_mut().filter(|socket| is_unresolved(socket)) {
        let Some(inode) = socket.inode else { continue };
        let start = found.partition_point(|(other, _)| *other < inode);
        let holders: Vec<Holder> =
            found[start..].iter().take_while(|(other, _)| *other == inode).map(|(_, holder)| *holder).collect();
        if !holders.is_empty() {
            socket.owner = Owner::Processes(holders);
        }
    }
}

/// Drops the unresolved sockets that are no longer listed.
fn drop_closed(sockets: &mut Vec<Socket>, now: &[Socket], seen: Seen) {
    let identity = |socket: &Socket| (socket.cookie, socket.inode, socket.local, socket.peer);
    let open: BTreeSet<_> = now.iter().map(identity).collect();
    sockets.retain(|socket| !may_resolve(socket, seen) || open.contains(&identity(socket)));
}

/// Where everything could be read and some descriptors are on their way through unix sockets, that is where an
/// otherwise unheld socket is. With processes that could not be read it would be a guess.
fn name_in_flight(sockets: &mut [Socket], in_flight: usize, seen: Seen) {
    if in_flight == 0 || seen.refused > 0 {
        return;
    }
    for socket in sockets.iter_mut().filter(|socket| is_unresolved(socket)) {
        socket.owner = Owner::Nobody(Nobody::InFlight);
    }
}

fn hide_unresolved(sockets: &mut [Socket], because: HiddenBecause) {
    for socket in sockets.iter_mut().filter(|socket| is_unresolved(socket)) {
        if !matches!(socket.owner, Owner::Nobody(_)) {
            socket.owner = Owner::Hidden(because);
        }
    }
}
