//! What changed between two listings, by what a listener is and never by its process number: a restart is no change.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Exposure, Listing, Port, Protocol, Row};

/// What a listener is, whoever holds it.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Identity {
    /// The number.
    pub port: Port,
    /// The protocol.
    pub protocol: Protocol,
    /// The label of its space.
    pub space: String,
}

/// Who holds a listener, as far as a restart leaves it the same.
#[derive(Clone, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Holder {
    /// The file that it runs, or its name where that is not known; in a container only the container counts.
    pub program: Option<String>,
    /// The systemd unit.
    pub unit: Option<String>,
    /// The container, by name.
    pub container: Option<String>,
    /// The user that it runs as.
    pub user: Option<String>,
}

/// The sockets of one identity on one side.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Side {
    /// The addresses that it is bound to, in order.
    pub addresses: BTreeSet<String>,
    /// Who can reach the widest of them.
    pub exposure: Option<Exposure>,
    /// Who holds it; absent where one of the holders is hidden.
    pub holders: Option<BTreeSet<Holder>>,
    /// Where it leads, for a published port.
    pub forward: Option<String>,
}

/// What happened to an identity.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    /// It was not there before.
    Opened,
    /// It is not there any more.
    Closed,
    /// Another program, unit, container or user holds it.
    OwnerChanged,
    /// More can reach it.
    ExposureWidened,
    /// Fewer can reach it.
    ExposureNarrowed,
    /// It is bound to other addresses that as many can reach.
    AddressChanged,
    /// The same holder has it in another space.
    MovedSpace,
    /// A published port leads elsewhere.
    ForwardChanged,
}

impl Kind {
    /// The name in every output.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Opened => "opened",
            Kind::Closed => "closed",
            Kind::OwnerChanged => "owner-changed",
            Kind::ExposureWidened => "exposure-widened",
            Kind::ExposureNarrowed => "exposure-narrowed",
            Kind::AddressChanged => "address-changed",
            Kind::MovedSpace => "moved-space",
            Kind::ForwardChanged => "forward-changed",
        }
    }
}

/// One change.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Change {
    /// What happened.
    pub kind: Kind,
    /// To what; for a move as it was.
    pub identity: Identity,
    /// The space that it moved to.
    pub to_space: Option<String>,
    /// How it was.
    pub before: Option<Side>,
    /// How it is.
    pub after: Option<Side>,
}

/// What changed, and what could not be compared.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Diff {
    /// The changes, by port, protocol and space.
    pub changes: Vec<Change>,
    /// Listeners on both sides whose owners cannot be compared, since they are hidden on one.
    pub incomparable: usize,
}

/// Compares two listings. Connections and ports that the kernel handed out are left out unless `all`.
pub fn diff(before: &Listing<'_>, after: &Listing<'_>, all: bool) -> Diff {
    let (old, new) = (sides(before, all), sides(after, all));
    let mut diff = Diff::default();
    let mut opened: Vec<Change> = Vec::new();
    for (identity, side) in &new {
        match old.get(identity) {
            Some(was) => compare(identity, was, side, &mut diff),
            None => opened.push(Change::new(Kind::Opened, identity, None, Some(side))),
        }
    }
    let closed = old.iter().filter(|(identity, _)| !new.contains_key(identity));
    for (identity, side) in closed {
        // The same holder with the same number in another space has moved.
        let moved = opened.iter().position(|open| {
            let is_same = (open.identity.port, open.identity.protocol) == (identity.port, identity.protocol);
            is_same && side.holders.is_some() && open.after.as_ref().is_some_and(|after| after.holders == side.holders)
        });
        match moved.map(|place| opened.remove(place)) {
            Some(open) => diff.changes.push(Change {
                to_space: Some(open.identity.space),
                after: open.after,
                ..Change::new(Kind::MovedSpace, identity, Some(side), None)
            }),
            None => diff.changes.push(Change::new(Kind::Closed, identity, Some(side), None)),
        }
    }
    diff.changes.extend(opened);
    diff.changes.sort_by(|a, b| (&a.identity, a.kind).cmp(&(&b.identity, b.kind)));
    diff
}

impl Change {
    fn new(kind: Kind, identity: &Identity, before: Option<&Side>, after: Option<&Side>) -> Change {
        Change { kind, identity: identity.clone(), to_space: None, before: before.cloned(), after: after.cloned() }
    }
}

fn compare(identity: &Identity, was: &Side, is: &Side, diff: &mut Diff) {
    let mut changed = |kind| diff.changes.push(Change::new(kind, identity, Some(was), Some(is)));
    match is.exposure.cmp(&was.exposure) {
        std::cmp::Ordering::Greater => changed(Kind::ExposureWidened),
        std::cmp::Ordering::Less => changed(Kind::ExposureNarrowed),
        std::cmp::Ordering::Equal if is.addresses != was.addresses => changed(Kind::AddressChanged),
        std::cmp::Ordering::Equal => {}
    }
    if was.forward != is.forward {
        changed(Kind::ForwardChanged);
    }
    match (&was.holders, &is.holders) {
        (Some(was), Some(is)) if was != is => changed(Kind::OwnerChanged),
        (Some(_), Some(_)) | (None, None) => {}
        (Some(_), None) | (None, Some(_)) => diff.incomparable += 1,
    }
}

fn sides(listing: &Listing<'_>, all: bool) -> BTreeMap<Identity, Side> {
    let mut sides: BTreeMap<Identity, Side> = BTreeMap::new();
    for row in listing.rows.iter().filter(|row| all || row.is_listener) {
        let socket = row.socket;
        let identity = Identity { port: socket.local.port, protocol: socket.protocol, space: row.space.label.clone() };
        let is_first = !sides.contains_key(&identity);
        let side = sides.entry(identity).or_default();
        side.addresses.insert(socket.local.address.to_canonical().to_string());
        side.exposure = side.exposure.max(Some(row.exposure));
        let forward = socket.forward.as_ref().map(|forward| match &forward.container {
            Some(container) => format!("container {} :{}", container.short_name(), forward.to.port),
            None => forward.to.to_string(),
        });
        side.forward = side.forward.take().max(forward);
        let known = if is_first { Some(BTreeSet::new()) } else { side.holders.take() };
        side.holders = match (known, holders(row)) {
            (Some(mut known), Some(more)) => {
                known.extend(more);
                Some(known)
            }
            _ => None,
        };
    }
    sides
}

/// The holders of a socket; nothing where they are hidden.
fn holders(row: &Row<'_>) -> Option<BTreeSet<Holder>> {
    if row.is_hidden() {
        return None;
    }
    let container = row.belonging.and_then(|belonging| belonging.container.as_ref());
    let holder = |process: &crate::model::Process| Holder {
        program: match (&process.exe, &process.name) {
            (Some(exe), _) => Some(exe.to_string_lossy().into_owned()),
            (None, name) => name.as_ref().map(|name| name.to_string_lossy().into_owned()),
        },
        unit: row.unit().map(str::to_owned),
        container: container.map(|container| container.short_name().to_owned()),
        user: process.uid.map(|uid| row.user_name(uid).map_or_else(|| uid.0.to_string(), str::to_owned)),
    };
    Some(row.processes.iter().filter_map(|(_, process)| *process).map(holder).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::join;
    use crate::model::{Owner, Pid, Snapshot, Uid};
    use crate::testing;

    fn diff_of(before: &Snapshot, after: &Snapshot) -> Diff {
        diff(&join::listing(before, None), &join::listing(after, None), false)
    }

    fn kinds(before: &Snapshot, after: &Snapshot) -> Vec<(u16, &'static str)> {
        diff_of(before, after).changes.iter().map(|change| (change.identity.port.get(), change.kind.name())).collect()
    }

    /// Changes the listeners on the port.
    fn with(port: u16, mut change: impl FnMut(&mut crate::model::Socket)) -> Snapshot {
        let mut snapshot = testing::snapshot();
        snapshot.sockets.iter_mut().filter(|socket| socket.local.port == Port::new(port)).for_each(&mut change);
        snapshot
    }

    #[test]
    fn nothing_changes_when_only_process_numbers_do() {
        let before = testing::snapshot();
        let mut after = testing::snapshot();
        let holders = |socket: &mut crate::model::Socket| {
            if let Owner::Processes(holders) = &mut socket.owner {
                for holder in holders {
                    holder.pid = Pid(holder.pid.0 + 5000);
                }
            }
        };
        after.sockets.iter_mut().for_each(holders);
        after.processes = std::mem::take(&mut after.processes)
            .into_values()
            .map(|process| {
                (Pid(process.pid.0 + 5000), crate::model::Process { pid: Pid(process.pid.0 + 5000), ..process })
            })
            .collect();
        assert_eq!(diff_of(&before, &after), Diff::default());
    }

    #[test]
    fn each_kind_of_change_is_told_apart() {
        let before = testing::snapshot();
        let mut closed = testing::snapshot();
        closed.sockets.retain(|socket| socket.local.port != Port::new(5432));
        assert_eq!(kinds(&before, &closed), [(5432, "closed")]);
        assert_eq!(kinds(&closed, &before), [(5432, "opened")]);
        let wide = with(5432, |socket| socket.local.address = "0.0.0.0".parse().unwrap());
        assert_eq!(kinds(&before, &wide), [(5432, "exposure-widened")]);
        assert_eq!(kinds(&wide, &before), [(5432, "exposure-narrowed")]);
        let other = with(5432, |socket| socket.local.address = "127.0.0.9".parse().unwrap());
        assert_eq!(kinds(&before, &other), [(5432, "address-changed")]);
        let mut owner = testing::snapshot();
        owner.processes.get_mut(&Pid(700)).unwrap().uid = Some(Uid(33));
        assert_eq!(kinds(&before, &owner), [(5432, "owner-changed")]);
        let forward = with(5432, |socket| {
            let nat = crate::model::ForwardedBy::Nat;
            socket.forward = Some(Box::new(crate::model::Forward { by: nat, to: socket.local, container: None }));
        });
        assert_eq!(kinds(&before, &forward), [(5432, "forward-changed")]);
    }

    #[test]
    fn a_holder_that_is_found_in_another_space_has_moved() {
        use crate::model::{SocketSource, Space, SpaceId, SpaceKind};
        let before = testing::snapshot();
        let mut after = with(5432, |socket| socket.space = SpaceId(7));
        after.spaces.push(Space::new(SpaceId(7), SpaceKind::Netns, "blue".to_owned(), SocketSource::Netlink));
        let diff = diff_of(&before, &after);
        assert_eq!(diff.changes.len(), 1);
        assert_eq!((diff.changes[0].kind, diff.changes[0].to_space.as_deref()), (Kind::MovedSpace, Some("blue")));
    }

    #[test]
    fn an_owner_that_is_hidden_on_one_side_is_no_change() {
        let hidden = with(5432, |socket| socket.owner = Owner::Hidden(crate::model::HiddenBecause::Permission));
        let diff = diff_of(&testing::snapshot(), &hidden);
        assert_eq!((diff.changes.len(), diff.incomparable), (0, 1));
    }

    proptest! {
        #[test]
        fn a_listing_is_the_same_as_itself_and_a_diff_has_its_mirror(
            left in prop::collection::vec(any::<bool>(), 6), right in prop::collection::vec(any::<bool>(), 6),
        ) {
            let part = |kept: &[bool]| {
                let mut snapshot = testing::snapshot();
                let mut kept = kept.iter();
                snapshot.sockets.retain(|_| *kept.next().unwrap());
                snapshot
            };
            let (a, b) = (part(&left), part(&right));
            prop_assert_eq!(diff_of(&a, &a), Diff::default());
            let mirrored = |kind: Kind| match kind {
                Kind::Opened => Kind::Closed,
                Kind::Closed => Kind::Opened,
                Kind::ExposureWidened => Kind::ExposureNarrowed,
                Kind::ExposureNarrowed => Kind::ExposureWidened,
                same => same,
            };
            let mut forth: Vec<_> =
                diff_of(&a, &b).changes.into_iter().map(|c| (c.identity, mirrored(c.kind), c.after, c.before)).collect();
            let mut back: Vec<_> =
                diff_of(&b, &a).changes.into_iter().map(|c| (c.identity, c.kind, c.before, c.after)).collect();
            forth.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
            back.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
            prop_assert_eq!(forth, back);
        }
    }
}
