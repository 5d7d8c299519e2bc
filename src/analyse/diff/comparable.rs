//! What of two listings can be compared at all. What one side could not have seen was neither opened nor closed.

use std::collections::BTreeMap;

use super::{Identity, Side};
use crate::model::{Listing, Missing, Protocol, Reason, Row, Snapshot, State};

/// A side of the comparison.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Which {
    /// The first one.
    Before,
    /// The second one.
    After,
}

/// Why more may have changed than is said, or less.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Doubt {
    /// So many sockets were left out, since this side could not have seen them: it did not look at their protocol,
    /// family, space or kind.
    NotSeen(Which, usize),
    /// This side was written with filters, so what it lacks may have been there.
    Filtered(Which),
    /// Sockets of this side could not be read.
    SocketsMissing(Which),
    /// This side has no names of containers, so what is called by them seems to be another.
    NamesMissing(Which),
    /// Users were not compared: this side was redacted.
    UsersMissing(Which),
    /// Connections were not compared: this side was redacted.
    PeersMissing(Which),
}

/// Both sides without what only one could have.
pub(super) struct Comparable {
    pub old: BTreeMap<Identity, Side>,
    pub new: BTreeMap<Identity, Side>,
    pub doubts: Vec<Doubt>,
}

/// Returns what can be compared of two listings.
pub(super) fn of(before: &Listing<'_>, after: &Listing<'_>, all: bool) -> Comparable {
    let (old, unseen_after) = sides(before, after.snapshot, all);
    let (new, unseen_before) = sides(after, before.snapshot, all);
    let mut doubts = Vec::new();
    for (which, listing, unseen) in [(Which::Before, before, unseen_before), (Which::After, after, unseen_after)] {
        let is_alike = |missing| misses(before.snapshot, missing) == misses(after.snapshot, missing);
        let misses = |missing| misses(listing.snapshot, missing);
        let found = [
            (unseen > 0, Doubt::NotSeen(which, unseen)),
            (listing.filtered || listing.snapshot.scope.filtered, Doubt::Filtered(which)),
            (misses(Missing::Sockets), Doubt::SocketsMissing(which)),
            (misses(Missing::Names) && !is_alike(Missing::Names), Doubt::NamesMissing(which)),
            (misses(Missing::Users), Doubt::UsersMissing(which)),
            (all && misses(Missing::Peers), Doubt::PeersMissing(which)),
        ];
        doubts.extend(found.into_iter().filter(|(is_so, _)| *is_so).map(|(_, doubt)| doubt));
    }
    Comparable { old, new, doubts }
}

/// What a report leaves out by choice is told by its scope.
fn misses(snapshot: &Snapshot, missing: Missing) -> bool {
    snapshot.gaps.iter().any(|gap| gap.missing == missing && gap.reason != Reason::LeftOut)
}

/// The sockets of a side by identity, and how many were left out since the other could not have seen them.
fn sides(listing: &Listing<'_>, other: &Snapshot, all: bool) -> (BTreeMap<Identity, Side>, usize) {
    let mut sides: BTreeMap<Identity, Side> = BTreeMap::new();
    let mut left_out = 0;
    let without_peers = misses(listing.snapshot, Missing::Peers) || misses(other, Missing::Peers);
    let is_wanted = |row: &&Row<'_>| row.is_listener || (all && !(without_peers && row.is_connection()));
    for row in listing.rows.iter().filter(is_wanted) {
        if !can_see(other, row) {
            left_out += 1;
            continue;
        }
        let socket = row.socket;
        let identity = Identity {
            port: socket.local.port,
            protocol: socket.protocol,
            space: row.space.label.clone(),
            peer: socket.peer.filter(|_| row.is_connection()),
        };
        sides.entry(identity).or_insert_with(Side::empty).add(row);
    }
    (sides, left_out)
}

/// Says whether the run that the snapshot is of would have seen such a socket.
fn can_see(snapshot: &Snapshot, row: &Row<'_>) -> bool {
    let socket = row.socket;
    let scope = &snapshot.scope;
    let lacks = |missing| misses(snapshot, missing);
    // Where not every space was listed, one that is missing may have been there all the same.
    let lists_all = snapshot.further_spaces == Some(0) && !lacks(Missing::Spaces) && !lacks(Missing::Sockets);
    let has_space = lists_all || snapshot.spaces.iter().any(|space| space.label == row.space.label);
    let is_redirect = socket.state == Some(State::Redirect);
    // Without the states of UDP sockets more of them count as listeners.
    let knows_udp = lacks(Missing::UdpPeers) == misses(row.snapshot, Missing::UdpPeers);
    (scope.protocols.is_empty() || scope.protocols.contains(&socket.protocol))
        && (scope.families.is_empty() || scope.families.contains(&socket.family))
        && has_space
        && !(is_redirect && lacks(Missing::Redirects))
        && (socket.protocol != Protocol::Udp || knows_udp)
}
