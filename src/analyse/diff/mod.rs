//! What changed between two listings, by what a listener is and never by its process number: a restart is no change.

mod comparable;
mod side;
mod spaces;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::rc::Rc;

use comparable::Comparable;
pub use comparable::{Doubt, Which};
pub use side::{Holder, Side};
pub use spaces::PairedSpace;

use crate::model::{Endpoint, Listing, Port, Protocol};

/// What a listener is, whichever process holds it.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Identity {
    /// The number.
    pub port: Port,
    /// The protocol.
    pub protocol: Protocol,
    /// Its port space.
    pub space: Rc<PairedSpace>,
    /// The other end of a connection; absent for everything else.
    pub peer: Option<Endpoint>,
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
    pub to_space: Option<Rc<PairedSpace>>,
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
    /// Sockets on both sides whose owners cannot be compared, since they are hidden on one or on both.
    pub incomparable: usize,
    /// Why more may have changed than is said, or less.
    pub doubts: Vec<Doubt>,
}

/// Compares two listings. Connections and UDP ports that the kernel handed out are left out unless `all`.
pub fn diff(before: &Listing<'_>, after: &Listing<'_>, all: bool) -> Diff {
    let Comparable { old, new, doubts } = comparable::of(before, after, all);
    let mut diff = Diff { doubts, ..Diff::default() };
    let mut opened: Vec<Change> = Vec::new();
    for (identity, side) in &new {
        match old.get(identity) {
            Some(was) => compare(identity, was, side, &mut diff),
            None => opened.push(Change::new(Kind::Opened, identity, None, Some(side))),
        }
    }
    for (identity, side) in gone(&old, &new) {
        let moved = opened.iter().position(|open| {
            let there = &open.identity;
            (there.port, there.protocol, there.peer) == (identity.port, identity.protocol, identity.peer)
                && open.after.as_ref().is_some_and(|after| side.is_held_as(after))
        });
        match moved.map(|index| opened.remove(index)) {
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

fn gone<'a>(
    old: &'a BTreeMap<Identity, Side>,
    new: &BTreeMap<Identity, Side>,
) -> impl Iterator<Item = (&'a Identity, &'a Side)> {
    old.iter().filter(|(identity, _)| !new.contains_key(identity))
}

impl Change {
    fn new(kind: Kind, identity: &Identity, before: Option<&Side>, after: Option<&Side>) -> Change {
        Change { kind, identity: identity.clone(), to_space: None, before: before.cloned(), after: after.cloned() }
    }
}

fn compare(identity: &Identity, was: &Side, is: &Side, diff: &mut Diff) {
    let mut changed = |kind| diff.changes.push(Change::new(kind, identity, Some(was), Some(is)));
    // Where one side cannot tell a device, and the other has one, the addresses alone say nothing of who can reach it.
    let is_in_doubt = was.tells_devices != is.tells_devices && (was.has_device || is.has_device);
    let exposure = match (is.covers(was), was.covers(is)) {
        _ if is_in_doubt => Ordering::Equal,
        // The addresses alone say who can reach it where not every family of a socket is known.
        _ if was.is_vague || is.is_vague => is.exposure.cmp(&was.exposure),
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        _ => is.exposure.cmp(&was.exposure),
    };
    match exposure {
        Ordering::Greater => changed(Kind::ExposureWidened),
        Ordering::Less => changed(Kind::ExposureNarrowed),
        Ordering::Equal if is.addresses != was.addresses => changed(Kind::AddressChanged),
        Ordering::Equal if !(is_in_doubt || was.is_vague || is.is_vague) && is.doors != was.doors => {
            changed(Kind::AddressChanged);
        }
        Ordering::Equal => {}
    }
    let (Some(were), Some(are)) = (&was.holders, &is.holders) else {
        // Where a proxy leads is known by its process too.
        diff.incomparable += 1;
        return;
    };
    if was.forward != is.forward {
        changed(Kind::ForwardChanged);
    }
    // A connection that is over is held by nobody; that is the end of it and no other owner.
    let is_over = identity.peer.is_some() && (were.is_empty() || are.is_empty());
    if !is_over && !side::are_same(were, are) {
        changed(Kind::OwnerChanged);
    }
}
