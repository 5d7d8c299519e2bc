//! Which port space of one side is which of the other.
//!
//! A label alone does not tell: that of an unnamed namespace is the name of a process in it, which may end, and which
//! another namespace may have too. The number of a namespace tells, as long as the machine runs and the user may know
//! it.

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

    /// The spaces of either side that are in doubt. The tables below /proc have a number of their own, which stands for
    /// the namespace's where a user may not know that.
    fn unsure(&self) -> [BTreeSet<SpaceId>; 2] {
        let may_have_other_id = |space: &&Space| space.source == SocketSource::ProcNet;
        let of_side = |spaces: &[&Space], others: &[&Space]| {
            let is_unsure = |space: &&&Space| {
                if may_have_other_id(space) { !others.is_empty() } else { others.iter().any(may_have_other_id) }
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::{Container, Owner, SocketSource::*, State};
    use crate::testing;

    /// A machine that has these spaces besides its host's.
    fn machine(boot: &str, spaces: impl IntoIterator<Item = Space>) -> Snapshot {
        let mut snapshot = testing::snapshot();
        snapshot.host.boot_id = Some(boot.to_owned());
        snapshot.spaces.extend(spaces);
        snapshot
    }

    fn netns(id: u64, label: &str) -> Space {
        Space::new(SpaceId(id), SpaceKind::Netns, label.to_owned(), Netlink)
    }

    fn container(id: u64, label: &str, container: &str) -> Space {
        let container = Container {
            origin: crate::model::Origin::Kernel,
            runtime: crate::model::Runtime::Docker,
            id: container.to_owned(),
            name: Some(label.to_owned()),
            image: None,
            pod: None,
            compose: None,
        };
        let containers = vec![container];
        Space { containers, ..Space::new(SpaceId(id), SpaceKind::Container, label.to_owned(), Netlink) }
    }

    /// The numbers of the spaces besides the host's, before and after, in order.
    fn pairs(before: &Snapshot, after: &Snapshot) -> Vec<(Option<u64>, Option<u64>)> {
        let spaces = Spaces::of(before, after);
        let all: BTreeSet<&Rc<PairedSpace>> = spaces.before.values().chain(spaces.after.values()).collect();
        let number = |known: &Option<KnownSpace>| known.as_ref().map(|known| known.id.0);
        let pairs = all.into_iter().map(|space| (number(&space.before), number(&space.after)));
        let host = testing::snapshot().spaces[0].id.0;
        pairs.filter(|(was, _)| *was != Some(host)).collect::<BTreeSet<_>>().into_iter().collect()
    }

    #[test]
    fn of_two_spaces_of_one_label_the_one_that_is_left_is_told_by_its_number() {
        let both = machine("a", [netns(5, "python3"), netns(6, "python3")]);
        let one = machine("a", [netns(6, "python3")]);
        assert_eq!(pairs(&both, &one), [(Some(5), None), (Some(6), Some(6))]);
        // After a restart of the machine numbers say nothing, and no label stands for one of two.
        let later = machine("b", [netns(6, "python3")]);
        assert_eq!(pairs(&both, &later), [(None, Some(6)), (Some(5), None), (Some(6), None)]);
    }

    #[test]
    fn a_space_is_the_same_when_the_process_that_it_is_called_after_has_ended() {
        let (before, after) = (machine("a", [netns(5, "bash")]), machine("a", [netns(5, "sleep")]));
        assert_eq!(pairs(&before, &after), [(Some(5), Some(5))]);
        let later = machine("b", [netns(5, "sleep")]);
        assert_eq!(pairs(&before, &later), [(None, Some(5)), (Some(5), None)]);
        let spaces = Spaces::of(&before, &after);
        assert_eq!(spaces.of_side(Which::Before, SpaceId(5)).unwrap().label(), "sleep", "as it is called now");
    }

    #[test]
    fn a_name_that_was_given_outlives_the_number() {
        let (before, after) = (machine("a", [netns(5, "blue")]), machine("a", [netns(9, "blue")]));
        assert_eq!(pairs(&before, &after), [(Some(5), Some(9))]);
        let swapped = |web, database| machine("a", [container(web, "web", "c1"), container(database, "db", "c2")]);
        assert_eq!(pairs(&swapped(5, 6), &swapped(6, 5)), [(Some(5), Some(6)), (Some(6), Some(5))]);
        let anew = |id, made: &str| machine("a", [container(id, "web", made)]);
        assert_eq!(pairs(&anew(5, "c1"), &anew(6, "c3")), [(Some(5), Some(6))]);
    }

    #[test]
    fn a_namesake_does_not_pass_for_the_host_and_a_container_with_the_number_of_another_not_for_that() {
        let (before, after) = (machine("a", [netns(5, "host")]), machine("a", []));
        assert_eq!(pairs(&before, &after), [(Some(5), None)]);
        let (before, after) = (machine("a", [container(5, "web", "c1")]), machine("a", [container(5, "db", "c2")]));
        assert_eq!(pairs(&before, &after), [(None, Some(5)), (Some(5), None)]);
        // Its name was not asked for, but it is the same one.
        let mut unasked = machine("a", [container(5, "c1", "c1")]);
        unasked.spaces[1].containers[0].name = None;
        assert_eq!(pairs(&before, &unasked), [(Some(5), Some(5))]);
    }

    /// The same with a socket in this space.
    fn with_socket(mut snapshot: Snapshot, space: u64, inode: u64) -> Snapshot {
        let socket = Socket { space: SpaceId(space), inode: Inode::new(inode), ..snapshot.sockets[3].clone() };
        assert_eq!((socket.state, &socket.owner), (Some(State::Listen), &snapshot.sockets[3].owner));
        snapshot.sockets.push(Socket { owner: Owner::Processes(Vec::new().into()), ..socket });
        snapshot
    }

    #[test]
    fn a_socket_that_is_still_open_tells_a_space_that_goes_by_another_number() {
        let as_text = |id| Space { source: ProcNet, ..netns(id, "python3") };
        let by_root = with_socket(machine("a", [netns(5, "python3"), netns(6, "python3")]), 6, 77);
        let by_user = with_socket(machine("a", [as_text(105), as_text(106)]), 106, 77);
        // The label of the other two is then the only one of its kind.
        assert_eq!(pairs(&by_root, &by_user), [(Some(5), Some(105)), (Some(6), Some(106))]);
        // Of these nobody knows, so none has come or gone.
        let by_user = with_socket(machine("a", [as_text(105), as_text(106), as_text(107)]), 106, 77);
        let spaces = Spaces::of(&by_root, &by_user);
        let unsure = |which, id| spaces.is_unsure(which, SpaceId(id));
        assert_eq!(
            (unsure(Which::Before, 5), unsure(Which::After, 105), unsure(Which::After, 107)),
            (true, true, true)
        );
        assert_eq!((unsure(Which::Before, 6), unsure(Which::After, 106)), (false, false));
        // Where every one of the other side has its partner, what is left is of one side alone.
        let fewer = with_socket(machine("a", [as_text(106)]), 106, 77);
        assert!(!Spaces::of(&by_root, &fewer).is_unsure(Which::Before, SpaceId(5)));
    }

    fn any_machine() -> impl Strategy<Value = Snapshot> {
        let space = (0..6_u64, 0..4_usize, prop::sample::select(SpaceKind::ALL.to_vec()), any::<bool>());
        let spaces = prop::collection::vec(space, 0..6);
        let sockets = prop::collection::vec((0..6_u64, 0..4_u64), 0..6);
        (prop::sample::select(vec!["a", "b"]), spaces, sockets).prop_map(|(boot, spaces, sockets)| {
            let labels = ["host", "bash", "sleep", "web"];
            let spaces = spaces.into_iter().map(|(id, label, kind, by_root)| {
                let source = if by_root { Netlink } else { ProcNet };
                Space::new(SpaceId(id), kind, labels[label].to_owned(), source)
            });
            let machine = machine(boot, spaces.collect::<Vec<_>>());
            sockets.into_iter().fold(machine, |machine, (space, inode)| with_socket(machine, space, inode))
        })
    }

    proptest! {
        #[test]
        fn every_space_is_paired_with_itself(machine in any_machine()) {
            let spaces = Spaces::of(&machine, &machine);
            for space in &machine.spaces {
                let paired = spaces.of_side(Which::Before, space.id).unwrap();
                prop_assert_eq!(paired.before.as_ref(), paired.after.as_ref());
                prop_assert!(!spaces.is_unsure(Which::Before, space.id));
            }
        }

        #[test]
        fn pairs_are_the_same_in_both_directions_and_no_space_has_two(a in any_machine(), b in any_machine()) {
            let (forth, back) = (Spaces::of(&a, &b), Spaces::of(&b, &a));
            let mut partners = BTreeSet::new();
            for space in &a.spaces {
                let (there, here) = (forth.of_side(Which::Before, space.id), back.of_side(Which::After, space.id));
                prop_assert_eq!(&there.unwrap().after, &here.unwrap().before);
                prop_assert_eq!(forth.is_unsure(Which::Before, space.id), back.is_unsure(Which::After, space.id));
                let partner = there.unwrap().after.clone();
                let is_again = a.spaces.iter().filter(|other| other.id == space.id).count() > 1;
                prop_assert!(partner.is_none_or(|partner| partners.insert(partner.id)) || is_again);
            }
        }
    }
}
