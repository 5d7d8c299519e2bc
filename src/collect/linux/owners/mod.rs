//! Who holds each socket.
//!
//! The socket table and the processes are read one after the other while the world goes on, so a socket without a
//! holder may only have closed in between. Those are looked at again before anything is said of them.

mod fd_scan;

use std::collections::{BTreeSet, HashMap};

use crate::collect::CollectError;
use crate::model::{HiddenBecause, Holder, Inode, Owner, Socket};
use fd_scan::{Depth, Scan};

/// How many processes the scan met.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Seen {
    /// Processes whose descriptors were all read.
    pub read: usize,
    /// Processes of which some descriptors could not be read.
    pub refused: usize,
}

/// Sets the owner of every socket that has an inode, and drops those that turn out to have closed meanwhile.
///
/// `list_again` lists the same sockets as they are now.
pub fn assign(
    sockets: &mut Vec<Socket>,
    list_again: impl Fn() -> Result<Vec<Socket>, CollectError>,
) -> Result<Seen, CollectError> {
    let Ok(scan) = fd_scan::scan(&wanted(sockets), Depth::Processes) else {
        hide_unresolved(sockets, HiddenBecause::NoProcesses);
        return Ok(Seen::default());
    };
    resolve(sockets, &scan);
    let mut seen = Seen { read: scan.read, refused: scan.refused };
    if sockets.iter().any(|socket| may_resolve(socket, seen)) {
        drop_closed(sockets, &list_again()?, seen);
        if let Ok(deeper) = fd_scan::scan(&unresolved(sockets, seen), Depth::Threads) {
            resolve(sockets, &deeper);
            seen = Seen { read: deeper.read, refused: deeper.refused };
        }
        if sockets.iter().any(|socket| may_resolve(socket, seen)) {
            drop_closed(sockets, &list_again()?, seen);
        }
    }
    // Processes can also be hidden without a refusal (hidepid=2); only root may trust what it does not see.
    let because = match (rustix::process::geteuid().is_root(), seen.refused) {
        (false, _) => HiddenBecause::Permission,
        (true, 0) => HiddenBecause::NotFound,
        (true, _) => HiddenBecause::Protected,
    };
    hide_unresolved(sockets, because);
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
fn resolve(sockets: &mut [Socket], scan: &Scan) {
    let mut holders: HashMap<Inode, Vec<Holder>> = HashMap::with_capacity(scan.found.len());
    for (inode, holder) in &scan.found {
        holders.entry(*inode).or_default().push(*holder);
    }
    for list in holders.values_mut() {
        list.sort_unstable();
        list.dedup();
    }
    for socket in sockets.iter_mut().filter(|socket| is_unresolved(socket)) {
        if let Some(found) = socket.inode.and_then(|inode| holders.get(&inode)) {
            socket.owner = Owner::Processes(found.clone());
        }
    }
}

/// Drops the unresolved sockets that are no longer listed.
fn drop_closed(sockets: &mut Vec<Socket>, now: &[Socket], seen: Seen) {
    let open: BTreeSet<_> = now.iter().map(|socket| (socket.inode, socket.local, socket.peer)).collect();
    sockets.retain(|socket| !may_resolve(socket, seen) || open.contains(&(socket.inode, socket.local, socket.peer)));
}

fn hide_unresolved(sockets: &mut [Socket], because: HiddenBecause) {
    for socket in sockets.iter_mut().filter(|socket| is_unresolved(socket)) {
        socket.owner = Owner::Hidden(because);
    }
}
