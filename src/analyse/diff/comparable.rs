//! What of two listings can be compared at all. What one side could not have seen was neither opened nor closed.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::spaces::Spaces;
use super::{Identity, PairedSpace, Side};
use crate::model::{Answer, Listing, Missing, Protocol, Row, Snapshot, SocketSource, Space, State};

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
    /// So many sockets of this side were left out: their port space may be one of the other side, where it has another
    /// number and label.
    SpacesUnsure(Which, usize),
    /// So many UDP sockets were left out: this side does not tell whether the kernel chose their port.
    ChoiceNotTold(Which, usize),
    /// So many sockets were compared by their addresses alone: this side does not tell which device they are bound to.
    DevicesNotTold(Which, usize),
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
    let spaces = Spaces::of(before.snapshot, after.snapshot);
    let looked = |which, listing, other| Looked { which, listing, other, spaces: &spaces, all }.sides();
    let mut old = looked(Which::Before, before, after.snapshot);
    let mut new = looked(Which::After, after, before.snapshot);
    let (guessed_before, guessed_after) = leave_out_guesses(&mut old, &mut new);
    let no_device_before = without_devices(&old, &new, |was, is| !was.tells_devices && is.tells_devices);
    let no_device_after = without_devices(&old, &new, |was, is| was.tells_devices && !is.tells_devices);
    let mut doubts = Vec::new();
    for (which, listing, unseen, unsure, guessed, no_device) in [
        (Which::Before, before, new.unseen, old.unsure, guessed_before, no_device_before),
        (Which::After, after, old.unseen, new.unsure, guessed_after, no_device_after),
    ] {
        let is_alike = |missing| misses(before.snapshot, missing) == misses(after.snapshot, missing);
        let misses = |missing| misses(listing.snapshot, missing);
        let found = [
            (unseen > 0, Doubt::NotSeen(which, unseen)),
            (unsure > 0, Doubt::SpacesUnsure(which, unsure)),
            (guessed > 0, Doubt::ChoiceNotTold(which, guessed)),
            (no_device > 0, Doubt::DevicesNotTold(which, no_device)),
            (listing.filtered || listing.snapshot.scope.filtered, Doubt::Filtered(which)),
            (misses(Missing::Sockets), Doubt::SocketsMissing(which)),
            (misses(Missing::Names) && !is_alike(Missing::Names), Doubt::NamesMissing(which)),
            (misses(Missing::Users), Doubt::UsersMissing(which)),
            (all && misses(Missing::Peers), Doubt::PeersMissing(which)),
        ];
        doubts.extend(found.into_iter().filter(|(is_so, _)| *is_so).map(|(_, doubt)| doubt));
    }
    Comparable { old: old.known, new: new.known, doubts }
}

fn misses(snapshot: &Snapshot, missing: Missing) -> bool {
    snapshot.gaps_of(Answer::Comparison).any(|gap| gap.missing() == missing)
}

/// One side and what it is compared with.
struct Looked<'a> {
    which: Which,
    listing: &'a Listing<'a>,
    other: &'a Snapshot,
    spaces: &'a Spaces,
    all: bool,
}

/// What one side has.
#[derive(Default)]
struct Sides {
    /// What is compared.
    known: BTreeMap<Identity, Side>,
    /// UDP sockets that have no peer, listeners or not, and whether that is a guess: the system did not tell who chose
    /// their port.
    receivers: BTreeMap<Identity, bool>,
    /// Sockets that the other side could not have seen.
    unseen: usize,
    /// Sockets whose space may be one of the other side.
    unsure: usize,
}

impl Looked<'_> {
    fn sides(&self) -> Sides {
        let mut sides = Sides::default();
        let misses_peers = |snapshot| misses(snapshot, Missing::Peers);
        let without_peers = misses_peers(self.listing.snapshot) || misses_peers(self.other);
        for row in &self.listing.rows {
            let Some(space) = self.spaces.of_side(self.which, row.space.id) else { continue };
            let there = self.space_there(space);
            let is_wanted = self.is_listener(row, there) || (self.all && !(without_peers && row.is_connection()));
            let is_receiver = is_receiver(row);
            if !is_wanted && !is_receiver {
                continue;
            }
            let is_unsure = self.spaces.is_unsure(self.which, row.space.id);
            if is_unsure || !self.can_see(row, there) {
                *(if is_unsure { &mut sides.unsure } else { &mut sides.unseen }) += usize::from(is_wanted);
                continue;
            }
            let socket = row.socket;
            let identity = Identity {
                port: socket.local.port,
                protocol: socket.protocol,
                space: Rc::clone(space),
                peer: socket.peer.filter(|_| row.is_connection()),
            };
            if is_receiver {
                *sides.receivers.entry(identity.clone()).or_default() |= socket.autobound.is_none();
            }
            if is_wanted {
                sides.known.entry(identity).or_insert_with(Side::empty).add(row);
            }
        }
        sides
    }

    /// The same space as the other side has it.
    fn space_there(&self, space: &PairedSpace) -> Option<&Space> {
        let known = match self.which {
            Which::Before => &space.after,
            Which::After => &space.before,
        };
        self.other.space(known.as_ref()?.id)
    }

    /// Says whether it counts as a listener. Where the ephemeral range of a space is not known here, that of the other
    /// side serves, and failing that the one of portscope's own space: the kernel gives all the same to begin with.
    fn is_listener(&self, row: &Row<'_>, there: Option<&Space>) -> bool {
        if !is_receiver(row) || row.socket.autobound.is_some() || row.space.ephemeral.is_some() {
            return row.is_listener;
        }
        let own = self.listing.snapshot.spaces.first();
        let range = there.and_then(|space| space.ephemeral).or_else(|| own?.ephemeral);
        !range.is_some_and(|range| range.contains(row.socket.local.port))
    }

    /// Says whether the run that the other snapshot is of would have seen such a socket.
    fn can_see(&self, row: &Row<'_>, there: Option<&Space>) -> bool {
        let (socket, snapshot) = (row.socket, self.other);
        let scope = &snapshot.scope;
        let lacks = |missing| misses(snapshot, missing);
        // Where not every space was listed, one that is missing may have been there all the same.
        let lists_all = snapshot.further_spaces == Some(0) && !lacks(Missing::Spaces) && !lacks(Missing::Sockets);
        let is_redirect = socket.state == Some(State::Redirect);
        // Only netlink lists what was bound and does not listen.
        let tells_bound = there.is_none_or(|space| space.source == SocketSource::Netlink);
        // Without the states of UDP sockets more of them count as listeners.
        let knows_udp = lacks(Missing::UdpPeers) == misses(row.snapshot, Missing::UdpPeers);
        (scope.protocols.is_empty() || scope.protocols.contains(&socket.protocol))
            && (scope.families.is_empty() || scope.families.contains(&socket.family))
            && (lists_all || there.is_some())
            && !(is_redirect && lacks(Missing::Redirects))
            && (socket.state != Some(State::Bound) || tells_bound)
            && (socket.protocol != Protocol::Udp || knows_udp)
    }
}

/// A UDP socket that anybody may send to.
fn is_receiver(row: &Row<'_>) -> bool {
    row.socket.protocol.is_datagram() && matches!(row.socket.state, None | Some(State::Unconnected))
}

/// Leaves out the UDP listeners of one side that the other has too and does not take for listeners, where one of them
/// can only guess. Returns of how many the first side guessed, and the second.
fn leave_out_guesses(old: &mut Sides, new: &mut Sides) -> (usize, usize) {
    let (mut by_old, mut by_new) = (0, 0);
    let mut is_compared = |identity: &Identity, other: &BTreeMap<Identity, Side>, receivers: [Option<&bool>; 2]| {
        let [Some(old), Some(new)] = receivers else { return true };
        if other.contains_key(identity) || !(*old || *new) {
            return true;
        }
        by_old += usize::from(*old);
        by_new += usize::from(*new);
        false
    };
    let (were, are) = (&old.receivers, &new.receivers);
    let receivers = |identity: &Identity| [were.get(identity), are.get(identity)];
    old.known.retain(|identity, _| is_compared(identity, &new.known, receivers(identity)));
    new.known.retain(|identity, _| is_compared(identity, &old.known, receivers(identity)));
    (by_old, by_new)
}

/// How many sockets of both sides one side tells the device of, and the other does not.
fn without_devices(old: &Sides, new: &Sides, tells: impl Fn(&Side, &Side) -> bool) -> usize {
    old.known.iter().filter(|(identity, was)| new.known.get(identity).is_some_and(|is| tells(was, is))).count()
}
