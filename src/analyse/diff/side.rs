//! One side of a comparison: the sockets of an identity, and who holds them.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::analyse::audit::holders::exe;
use crate::model::{Device, Exposure, Family, Nobody, Owner, Pid, Process, Row, SocketSource};

/// Who holds a listener, as far as a restart leaves it the same. What is not known is absent.
#[derive(Clone, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Holder {
    /// The file that it runs, or its name where that is not known; absent for what systemd holds for a unit.
    pub program: Option<String>,
    /// What it runs, where the program is an interpreter.
    pub runs: Option<String>,
    /// The systemd unit.
    pub unit: Option<String>,
    /// The container, by name.
    pub container: Option<String>,
    /// The user that it runs as.
    pub user: Option<String>,
}

/// Whom one socket lets in.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Door {
    exposure: Exposure,
    /// Over which family; absent for loopback, since a peer that has one of them there has the other.
    family: Option<Family>,
    /// The only interface through which they come.
    device: Option<Device>,
}

impl Door {
    fn of(row: &Row<'_>) -> impl Iterator<Item = Door> {
        let (reach, exposure, device) = (row.socket.reach(), row.exposure, row.socket.device.clone());
        let families = [(Family::Ipv4, reach.ipv4.is_some()), (Family::Ipv6, reach.ipv6.is_some())];
        families.into_iter().filter(|(_, is_open)| *is_open).map(move |(family, _)| Door {
            exposure,
            family: Some(family).filter(|_| exposure != Exposure::Loopback),
            device: device.clone(),
        })
    }

    /// Says whether every peer that the other one admits is admitted by this one too.
    fn covers(&self, other: &Door) -> bool {
        self.exposure >= other.exposure
            && (other.family.is_none() || self.family == other.family)
            && (self.device.is_none() || self.device == other.device)
    }
}

/// The sockets of one identity on one side.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Side {
    /// The addresses that it is bound to, in order.
    pub addresses: BTreeSet<String>,
    /// Who can reach the widest of them.
    pub exposure: Option<Exposure>,
    /// Whom they let in.
    pub(super) doors: BTreeSet<Door>,
    /// Whether it is not known of one of them if it takes IPv4 too.
    pub(super) is_vague: bool,
    /// Whether one of them is bound to a device, or is a link-local address, which has one.
    pub has_device: bool,
    /// Whether a device would have been seen.
    pub tells_devices: bool,
    /// Who holds it, empty for nobody; absent where one of the holders is hidden.
    pub holders: Option<BTreeSet<Holder>>,
    /// Why nobody holds one of them.
    pub nobody: Option<Nobody>,
    /// Where it leads, for a published port.
    pub forward: Option<String>,
}

impl Side {
    /// One without any socket.
    pub(super) fn empty() -> Side {
        Side { holders: Some(BTreeSet::new()), tells_devices: true, ..Side::default() }
    }

    /// Adds a socket.
    pub(super) fn add(&mut self, row: &Row<'_>) {
        let socket = row.socket;
        self.addresses.insert(socket.local.address.to_canonical().to_string());
        self.exposure = self.exposure.max(Some(row.exposure));
        self.doors.extend(Door::of(row));
        let is_every_ipv6 = matches!(socket.local.address, IpAddr::V6(address) if address.is_unspecified());
        self.is_vague |= is_every_ipv6 && socket.v6only.is_none();
        self.has_device |= socket.device.is_some();
        self.tells_devices &= row.space.source == SocketSource::Netlink;
        if let Owner::Nobody(why) = socket.owner {
            self.nobody = Some(why);
        }
        let forward = socket.forward().map(|forward| match &forward.container {
            Some(container) => {
                let port = forward.to.ports.map(|ports| format!(" :{ports}"));
                format!("container {}{}", container.short_name(), port.unwrap_or_default())
            }
            None => forward.to.to_string(),
        });
        self.forward = self.forward.take().max(forward);
        self.holders = match (self.holders.take(), holders(row)) {
            (Some(mut known), Some(more)) => {
                known.extend(more);
                Some(known)
            }
            _ => None,
        };
    }

    /// Says whether a socket has every IPv6 address and no IPv4 one.
    pub fn is_ipv6_only(&self) -> bool {
        self.addresses.contains("::")
            && !self.is_vague
            && self.doors.iter().all(|door| door.family == Some(Family::Ipv6))
    }

    /// Says whether every peer that could reach the other one can reach this one.
    pub(super) fn covers(&self, other: &Side) -> bool {
        other.doors.iter().all(|wanted| self.doors.iter().any(|door| door.covers(wanted)))
    }

    /// Says whether this and the other are known to be held by the same program: only that tells a move.
    pub(super) fn is_held_as(&self, other: &Side) -> bool {
        let (Some(left), Some(right)) = (&self.holders, &other.holders) else { return false };
        left.iter().chain(right).any(|holder| holder.program.is_some()) && are_same(left, right)
    }
}

/// Says whether the holders are the same in all that is known of every one of them.
pub(super) fn are_same(left: &BTreeSet<Holder>, right: &BTreeSet<Holder>) -> bool {
    let is_known = |of: fn(&Holder) -> &Option<String>| left.iter().chain(right).all(|holder| of(holder).is_some());
    let (program, user) = (is_known(|holder| &holder.program), is_known(|holder| &holder.user));
    // Other programs run nothing; of an interpreter that is not known to run something nothing can be said.
    let is_interpreter = |program: &Option<String>| {
        left.iter().chain(right).any(|holder| holder.program == *program && holder.runs.is_some())
    };
    let runs = left.iter().chain(right).all(|holder| holder.runs.is_some() || !is_interpreter(&holder.program));
    let known = |holders: &BTreeSet<Holder>| -> BTreeSet<Holder> {
        let known = |holder: &Holder| Holder {
            program: holder.program.clone().filter(|_| program),
            user: holder.user.clone().filter(|_| user),
            runs: holder.runs.clone().filter(|_| runs && program),
            ..holder.clone()
        };
        holders.iter().map(known).collect()
    };
    known(left) == known(right)
}

/// The holders of a socket; nothing where they are hidden.
fn holders(row: &Row<'_>) -> Option<BTreeSet<Holder>> {
    if row.is_hidden() {
        return None;
    }
    let container = row.belonging().and_then(|belonging| belonging.container.as_ref());
    let shared = Holder {
        unit: row.unit().map(str::to_owned),
        container: container.map(|c| c.short_name().to_owned()),
        ..Holder::default()
    };
    if row.socket.activation().is_some() {
        // systemd holds it for the unit, whose program takes it over when somebody connects: the same owner.
        return Some(BTreeSet::from([shared]));
    }
    let holder = |process: &Process| Holder {
        program: exe(process)
            .map(std::borrow::Cow::into_owned)
            .or_else(|| process.name.as_ref().map(|name| name.to_string_lossy().into_owned())),
        runs: process.runs.as_ref().map(|runs| runs.to_string_lossy().into_owned()),
        user: row.user_of(process).map(str::to_owned).or_else(|| process.uid.map(|uid| uid.0.to_string())),
        ..shared.clone()
    };
    // Process 1 keeps what it has passed on.
    let is_passed_on = row.processes.len() > 1;
    let processes = row.processes.iter().filter(|(pid, _)| !(is_passed_on && *pid == Pid(1)));
    // A process that was gone before it could be described held it all the same.
    Some(processes.map(|(_, process)| process.map_or_else(|| shared.clone(), holder)).collect())
}
