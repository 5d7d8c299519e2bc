//! Every kind of change, and what must not look like one.

mod blind;
mod random;

use std::num::NonZeroU64;

use super::*;
use crate::join;
use crate::model::{
    Activation, Belonging, Family, Forward, ForwardedBy, Gap, HiddenBecause, Missing, Nobody, Owner, Pid, Process,
    RulesUnread, Snapshot, Socket, SocketSource, Space, SpaceId, SpaceKind, StandsFor, State, Uid,
};
use crate::testing;

fn diff_of(before: &Snapshot, after: &Snapshot) -> Diff {
    diff(&join::listing(before, None), &join::listing(after, None), false)
}

fn kinds(before: &Snapshot, after: &Snapshot) -> Vec<(u16, &'static str)> {
    diff_of(before, after).changes.iter().map(|change| (change.identity.port.get(), change.kind.name())).collect()
}

/// Changes the listeners on the port.
fn with(port: u16, mut change: impl FnMut(&mut Socket)) -> Snapshot {
    let mut snapshot = testing::snapshot();
    snapshot.sockets.iter_mut().filter(|socket| socket.local.port == Port::new(port)).for_each(&mut change);
    snapshot
}

fn gap(missing: Missing) -> Gap {
    match missing {
        Missing::Users => Gap::RedactedUsers,
        Missing::Peers => Gap::RedactedPeers,
        Missing::Spaces => Gap::SpacesOfHiddenProcesses,
        Missing::Sockets => Gap::SocketsOfOthers,
        Missing::UdpPeers => Gap::UdpPeers { count: 1 },
        _ => Gap::Redirects { space: None, why: RulesUnread::NotAsked, further_spaces: 0 },
    }
}

/// A host with a further space that has a listener, and with a port that is forwarded.
fn with_further() -> Snapshot {
    let mut snapshot = testing::snapshot();
    snapshot.spaces.push(Space::new(SpaceId(7), SpaceKind::Netns, "blue".to_owned(), SocketSource::Netlink));
    let further = Socket { space: SpaceId(7), ..snapshot.sockets[3].clone() };
    let mut redirected = snapshot.sockets[2].clone();
    redirected.local.port = Port::new(8080);
    redirected.state = Some(State::Redirect);
    redirected.owner = Owner::Nobody(Nobody::Redirected);
    let forward = Forward { by: ForwardedBy::Nat, to: redirected.local.into(), container: None, service: None };
    redirected.stands_for = Some(Box::new(StandsFor::Forward(forward)));
    snapshot.sockets.extend([further, redirected]);
    snapshot
}

#[test]
fn nothing_changes_when_only_process_numbers_do() {
    let before = testing::snapshot();
    let mut after = testing::snapshot();
    let holders = |socket: &mut Socket| {
        if let Owner::Processes(holders) = &mut socket.owner {
            for holder in holders.iter_mut() {
                holder.pid = Pid(holder.pid.0 + 5000);
            }
        }
    };
    after.sockets.iter_mut().for_each(holders);
    after.processes = std::mem::take(&mut after.processes)
        .into_values()
        .map(|process| (Pid(process.pid.0 + 5000), Process { pid: Pid(process.pid.0 + 5000), ..process }))
        .collect();
    assert_eq!(diff_of(&before, &after).changes, []);
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
        let forward = Forward { by: ForwardedBy::Nat, to: socket.local.into(), container: None, service: None };
        socket.stands_for = Some(Box::new(StandsFor::Forward(forward)));
    });
    assert_eq!(kinds(&before, &forward), [(5432, "forward-changed")]);
}

#[test]
fn a_holder_that_is_found_in_another_space_has_moved() {
    let mut before = testing::snapshot();
    before.further_spaces = Some(0);
    let mut after = with(5432, |socket| socket.space = SpaceId(7));
    after.spaces.push(Space::new(SpaceId(7), SpaceKind::Netns, "blue".to_owned(), SocketSource::Netlink));
    let diff = diff_of(&before, &after);
    assert_eq!(diff.changes.len(), 1);
    assert_eq!(
        (diff.changes[0].kind, diff.changes[0].to_space.as_ref().map(|to| to.label())),
        (Kind::MovedSpace, Some("blue"))
    );
}

#[test]
fn a_service_that_systemd_starts_on_demand_has_the_same_owner_before_and_after() {
    let systemd = || Process { name: Some("systemd".into()), ..testing::snapshot().processes[&Pid(700)].clone() };
    let activation = Activation { socket: "db.socket".to_owned(), service: Some("db.service".to_owned()) };
    let held = |socket: &mut Socket, pids: &[u32]| {
        let holder = |pid: &u32| crate::model::Holder { pid: Pid(*pid), fd: Some(3) };
        socket.owner = Owner::Processes(pids.iter().map(holder).collect());
    };
    let mut waiting = with(5432, |socket| {
        held(socket, &[1]);
        socket.stands_for = Some(Box::new(StandsFor::Activation(activation.clone())));
    });
    waiting.processes.insert(Pid(1), Process { pid: Pid(1), ..systemd() });
    let unit = |name: &str| {
        let mut started = with(5432, |socket| {
            held(socket, &[1, 700]);
            socket.cgroup = NonZeroU64::new(9);
        });
        started.processes.insert(Pid(1), Process { pid: Pid(1), ..systemd() });
        started.cgroups.insert(9, Belonging { unit: Some(name.to_owned()), ..Belonging::default() });
        started
    };
    assert_eq!(kinds(&waiting, &unit("db.service")), []);
    assert_eq!(kinds(&waiting, &unit("other.service")), [(5432, "owner-changed")]);
}

#[test]
fn connections_are_known_by_both_ends_and_their_end_is_no_other_owner() {
    let all = |before: &Snapshot, after: &Snapshot| -> Vec<(u16, &'static str, bool)> {
        let (before, after) = (join::listing(before, None), join::listing(after, None));
        let change = |change: &Change| (change.identity.port.get(), change.kind.name(), change.identity.peer.is_some());
        diff(&before, &after, true).changes.iter().map(change).collect()
    };
    let before = testing::snapshot();
    let is_accepted = |socket: &Socket| socket.state == Some(State::Established);
    let mut without = testing::snapshot();
    without.sockets.retain(|socket| !is_accepted(socket));
    assert_eq!(kinds(&before, &without), []);
    assert_eq!(all(&before, &without), [(443, "closed", true)], "the listener on 443 is not touched by it");
    let mut over = testing::snapshot();
    for socket in over.sockets.iter_mut().filter(|socket| is_accepted(socket)) {
        (socket.state, socket.owner) = (Some(State::TimeWait), Owner::Nobody(Nobody::TimeWait));
    }
    assert_eq!(all(&before, &over), []);
    let mut redacted = testing::snapshot();
    redacted.sockets.iter_mut().for_each(|socket| socket.peer = None);
    redacted.gaps.push(gap(Missing::Peers));
    assert_eq!(all(&before, &redacted), []);
}

/// The further space as a user reads it who may not look into it: no device, no word on who chose a port, no range.
fn as_text(mut snapshot: Snapshot) -> Snapshot {
    snapshot.spaces[1].source = SocketSource::ProcNet;
    snapshot.spaces[1].ephemeral = None;
    let id = snapshot.spaces[1].id;
    for socket in snapshot.sockets.iter_mut().filter(|socket| socket.space == id) {
        (socket.device, socket.autobound) = (None, None);
    }
    snapshot
}

#[test]
fn whoever_can_reach_a_listener_by_more_or_fewer_ways_is_a_change_of_exposure() {
    let bound = |address: &str, v6only: Option<bool>, device: Option<&str>| {
        with(443, |socket| {
            socket.local.address = address.parse().unwrap();
            socket.family = if socket.local.address.is_ipv4() { Family::Ipv4 } else { Family::Ipv6 };
            (socket.v6only, socket.device) = (v6only, device.map(Into::into));
        })
    };
    let only_ipv6 = bound("::", Some(true), None);
    let both = bound("::", Some(false), None);
    let not_told = bound("::", None, None);
    let ipv4 = bound("0.0.0.0", None, None);
    let through_one = bound("0.0.0.0", None, Some("eth0"));
    let through_other = bound("0.0.0.0", None, Some("eth1"));
    for (before, after, kind) in [
        (&only_ipv6, &both, Some("exposure-widened")),
        (&both, &only_ipv6, Some("exposure-narrowed")),
        (&ipv4, &both, Some("exposure-widened")),
        (&both, &ipv4, Some("exposure-narrowed")),
        (&ipv4, &only_ipv6, Some("address-changed")),
        (&through_one, &ipv4, Some("exposure-widened")),
        (&ipv4, &through_one, Some("exposure-narrowed")),
        (&through_one, &through_other, Some("address-changed")),
        (&only_ipv6, &not_told, None),
    ] {
        let expected: Vec<(u16, &str)> = kind.into_iter().map(|kind| (443, kind)).collect();
        assert_eq!(kinds(before, after), expected);
    }
}

#[test]
fn another_script_of_the_same_interpreter_is_another_owner() {
    let running = |runs: Option<&str>| {
        let mut snapshot = testing::snapshot();
        snapshot.processes.get_mut(&Pid(700)).unwrap().runs = runs.map(Into::into);
        snapshot
    };
    assert_eq!(kinds(&running(Some("a.py")), &running(Some("b.py"))), [(5432, "owner-changed")]);
    assert_eq!(kinds(&running(Some("a.py")), &running(Some("a.py"))), []);
    assert_eq!(kinds(&running(Some("a.py")), &running(None)), [], "one side does not tell it");
}
