//! Which port space of one side is which of the other.
//!
//! A label alone does not tell: that of an unnamed namespace is the name of a process in it, which may end, and which
//! another namespace may have too. The number of a namespace tells, as long as the machine runs and the user may know it.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::Which;
use crate::model::{Endpoint, Inode, Protocol, Snapshot, Socket, SocketSource, Space, SpaceId, SpaceKind};

/// How one side knows a port space.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct KnownSpace {
    /// Its label there.
    pub label: String,
    /// Its number there.
    pub id: SpaceId,
}

/// A port space of both sides, or of one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PairedSpace {
    /// As it was; absent where only the second side has it.
    pub before: Option<KnownSpace>,
    /// As it is; absent where only the first side has it.
    pub after: Option<KnownSpace>,
}

impl PairedSpace {
    /// As it is, or where it is no more as it was; absent where no side knows it.
    pub fn latest(&self) -> Option<&KnownSpace> {
        self.after.as_ref().or(self.before.as_ref())
    }

    /// Its label, as it is now where it is still there.
    pub fn label(&self) -> &str {
        self.latest().map_or("", |known| &known.label)
    }

    fn either_way(&self) -> (Option<&KnownSpace>, Option<&KnownSpace>) {
        let (before, after) = (self.before.as_ref(), self.after.as_ref());
        (before.max(after), before.min(after))
    }
}

impl Ord for PairedSpace {
    /// By label. The sides weigh the same, so that a comparison in the other direction has the same order.
    fn cmp(&self, other: &PairedSpace) -> Ordering {
        if std::ptr::eq(self, other) {
            return Ordering::Equal;
        }
        self.either_way().cmp(&other.either_way()).then_with(|| self.before.cmp(&other.before))
    }
}

impl PartialOrd for PairedSpace {
    fn partial_cmp(&self, other: &PairedSpace) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The port spaces of both sides, each known by its number on either.
pub(super) struct Spaces {
    before: BTreeMap<SpaceId, Rc<PairedSpace>>,
    after: BTreeMap<SpaceId, Rc<PairedSpace>>,
    /// Those without a partner that may be one of the other side all the same.
    unsure: [BTreeSet<SpaceId>; 2],
}

impl Spaces {
    /// Pairs the spaces of two snapshots.
    pub fn of(before: &Snapshot, after: &Snapshot) -> Spaces {
        let mut pairing =
            Pairing { before: distinct(&before.spaces), after: distinct(&after.spaces), pairs: Vec::new() };
        pairing.pair(|_, space| (space.kind != SpaceKind::Netns).then_some((space.kind, &space.label)));
        let is_same_boot = before.host.boot_id.is_some() && before.host.boot_id == after.host.boot_id;
        if is_same_boot {
            pairing.pair(|_, space| Some((space.kind, space.id)));
            let links = Links::of(before, after, &pairing);
            pairing.pair(|which, space| links.of_space(which, space.id));
        }
        pairing.pair(|_, space| Some((space.kind, &space.label)));
        let unsure = if is_same_boot { pairing.unsure() } else { Default::default() };
        let mut spaces = Spaces { before: BTreeMap::new(), after: BTreeMap::new(), unsure };
        for (was, is) in pairing.all() {
            let known = |space: &Space| KnownSpace { label: space.label.clone(), id: space.id };
            let paired = Rc::new(PairedSpace { before: was.map(known), after: is.map(known) });
            spaces.before.extend(was.map(|space| (space.id, Rc::clone(&paired))));
            spaces.after.extend(is.map(|space| (space.id, Rc::clone(&paired))));
        }
        spaces
    }

    /// The space with that number on the side.
    pub fn of_side(&self, which: Which, id: SpaceId) -> Option<&Rc<PairedSpace>> {
        match which {
            Which::Before => self.before.get(&id),
            Which::After => self.after.get(&id),
        }
    }

    /// Says whether a space of the side may be one that the other side lists under another number and label.
    pub fn is_unsure(&self, which: Which, id: SpaceId) -> bool {
        self.unsure[which as usize].contains(&id)
    }
}

/// The spaces, each number once: a report may have been written by anybody.
fn distinct(spaces: &[Space]) -> Vec<&Space> {
    let mut seen = BTreeSet::new();
    spaces.iter().filter(|space| seen.insert(space.id)).collect()
}

/// The spaces that have no partner yet, and those that have.
struct Pairing<'a> {
    before: Vec<&'a Space>,
    after: Vec<&'a Space>,
    pairs: Vec<(&'a Space, &'a Space)>,
}

impl<'a> Pairing<'a> {
    /// Pairs what has the same key, where only one of each side has it.
    fn pair<K: Ord>(&mut self, key: impl Fn(Which, &'a Space) -> Option<K>) {
        let only = |which, spaces: &[&'a Space]| {
            let mut only: BTreeMap<K, Option<&'a Space>> = BTreeMap::new();
            for space in spaces {
                if let Some(key) = key(which, space) {
                    only.entry(key).and_modify(|only| *only = None).or_insert(Some(space));
                }
            }
            only
        };
        let (were, mut are) = (only(Which::Before, &self.before), only(Which::After, &self.after));
        let both = were.into_iter().filter_map(|(key, was)| Some((was?, are.remove(&key)??)));
        let pairs: Vec<(&Space, &Space)> = both.filter(|(was, is)| !are_other_containers(was, is)).collect();
        let paired: [BTreeSet<SpaceId>; 2] =
            [pairs.iter().map(|(was, _)| was.id).collect(), pairs.iter().map(|(_, is)| is.id).collect()];
        self.before.retain(|space| !paired[0].contains(&space.id));
        self.after.retain(|space| !paired[1].contains(&space.id));
        self.pairs.extend(pairs);
    }

    /// The spaces of either side that may be in doubt. The tables below /proc have a number of their own, which is given
    /// in the place of the namespace's where a user may not know that.
    fn unsure(&self) -> [BTreeSet<SpaceId>; 2] {
        let may_have_other_id = |space: &&Space| space.source == SocketSource::ProcNet;
        let of_side = |spaces: &[&Space], others: &[&Space]| {
            let is_unsure = |space: &&&Space| {
                if may_have_other_id(*space) { !others.is_empty() } else { others.iter().any(may_have_other_id) }
            };
            spaces.iter().filter(is_unsure).map(|space| space.id).collect()
        };
        [of_side(&self.before, &self.after), of_side(&self.after, &self.before)]
    }

    fn all(self) -> impl Iterator<Item = (Option<&'a Space>, Option<&'a Space>)> {
        let pairs = self.pairs.into_iter().map(|(was, is)| (Some(was), Some(is)));
        let gone = self.before.into_iter().map(|was| (Some(was), None));
        pairs.chain(gone).chain(self.after.into_iter().map(|is| (None, Some(is))))
    }
}

/// A container has a namespace of its own, whose number another container may be given once it has ended. Only what has
/// the same name may be another container and yet the same space: one that was made anew.
fn are_other_containers(was: &Space, is: &Space) -> bool {
    let is_shared = || was.containers.iter().any(|one| is.containers.iter().any(|other| other.id == one.id));
    was.label != is.label && !was.containers.is_empty() && !is.containers.is_empty() && !is_shared()
}

/// A socket of a running machine: its file is numbered for all namespaces, and it never leaves the one it was made in.
type SocketKey = (Inode, Protocol, Endpoint);

/// Spaces of the two sides that have a socket in common; for each side the links of those that have but one.
struct Links([BTreeMap<SpaceId, Option<(SpaceId, SpaceId)>>; 2]);

impl Links {
    fn of(before: &Snapshot, after: &Snapshot, pairing: &Pairing<'_>) -> Links {
        let key = |socket: &Socket| Some((socket.inode?, socket.protocol, socket.local));
        let of_side = |snapshot: &Snapshot, spaces: &[&Space]| -> BTreeMap<SocketKey, SpaceId> {
            let ids: BTreeSet<SpaceId> = spaces.iter().map(|space| space.id).collect();
            let sockets = snapshot.sockets.iter().filter(|socket| ids.contains(&socket.space));
            sockets.filter_map(|socket| Some((key(socket)?, socket.space))).collect()
        };
        let (there, here) = (of_side(before, &pairing.before), of_side(after, &pairing.after));
        let links: BTreeSet<(SpaceId, SpaceId)> =
            there.into_iter().filter_map(|(key, was)| Some((was, *here.get(&key)?))).collect();
        let mut only = [BTreeMap::new(), BTreeMap::new()];
        for link in links {
            for (only, id) in only.iter_mut().zip([link.0, link.1]) {
                only.entry(id).and_modify(|link| *link = None).or_insert(Some(link));
            }
        }
        Links(only)
    }

    fn of_space(&self, which: Which, id: SpaceId) -> Option<(SpaceId, SpaceId)> {
        *self.0[which as usize].get(&id)?
    }
}
