//! Every kind of change, and what must not look like one.

use proptest::prelude::*;

use super::*;
use crate::join;
use crate::model::{
    Activation, Belonging, Family, Forward, ForwardedBy, Gap, HiddenBecause, Missing, Nobody, Owner, Pid, Process,
    Reason, Snapshot, Socket, SocketSource, Space, SpaceId, SpaceKind, State, Uid,
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

#[test]
fn nothing_changes_when_only_process_numbers_do() {
    let before = testing::snapshot();
    let mut after = testing::snapshot();
    let holders = |socket: &mut Socket| {
        if let Owner::Processes(holders) = &mut socket.owner {
            for holder in holders {
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
        socket.forward = Some(Box::new(Forward { by: ForwardedBy::Nat, to: socket.local, container: None }));
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
fn an_owner_that_is_hidden_on_any_side_is_no_change_and_is_said() {
    let hidden = with(5432, |socket| socket.owner = Owner::Hidden(HiddenBecause::Permission));
    // The socket on 5353 is hidden everywhere.
    for (before, after, incomparable) in
        [(&testing::snapshot(), &hidden, 2), (&hidden, &testing::snapshot(), 2), (&hidden, &hidden, 2)]
    {
        let diff = diff_of(before, after);
        assert_eq!((diff.changes.len(), diff.incomparable), (0, incomparable));
    }
}

#[test]
fn what_is_not_known_of_a_holder_on_one_side_is_not_compared() {
    let before = testing::snapshot();
    let mut redacted = testing::snapshot();
    redacted.processes.values_mut().for_each(|process| process.uid = None);
    redacted.gaps.push(gap(Missing::Users));
    let diff = diff_of(&redacted, &before);
    assert_eq!((diff.changes, diff.doubts), (vec![], vec![Doubt::UsersMissing(Which::Before)]));
    // The process was gone before anything could be asked of it.
    let mut gone = testing::snapshot();
    gone.processes.remove(&Pid(700));
    assert_eq!(kinds(&gone, &before), []);
    let mut deleted = testing::snapshot();
    deleted.processes.get_mut(&Pid(700)).unwrap().exe = Some("/usr/sbin/postgres (deleted)".into());
    assert_eq!(kinds(&before, &deleted), [], "the same program, replaced by an update");
    let mut other = testing::snapshot();
    other.processes.get_mut(&Pid(700)).unwrap().exe = Some("/tmp/postgres".into());
    assert_eq!(kinds(&before, &other), [(5432, "owner-changed")]);
    other.processes.get_mut(&Pid(700)).unwrap().uid = None;
    assert_eq!(kinds(&before, &other), [(5432, "owner-changed")]);
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
        socket.activation = Some(Box::new(activation.clone()));
    });
    waiting.processes.insert(Pid(1), Process { pid: Pid(1), ..systemd() });
    let unit = |name: &str| {
        let mut started = with(5432, |socket| {
            held(socket, &[1, 700]);
            socket.cgroup = Some(9);
        });
        started.processes.insert(Pid(1), Process { pid: Pid(1), ..systemd() });
        started.cgroups.insert(9, Belonging { unit: Some(name.to_owned()), container: None });
        started
    };
    assert_eq!(kinds(&waiting, &unit("db.service")), []);
    assert_eq!(kinds(&waiting, &unit("other.service")), [(5432, "owner-changed")]);
}

fn gap(missing: Missing) -> Gap {
    Gap { missing, reason: Reason::Refused, count: None, detail: "for a reason".to_owned() }
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
    redirected.forward = Some(Box::new(Forward { by: ForwardedBy::Nat, to: redirected.local, container: None }));
    snapshot.sockets.extend([further, redirected]);
    snapshot
}

#[test]
fn what_one_side_could_not_have_seen_was_neither_opened_nor_closed() {
    let all = with_further();
    let mut own = testing::snapshot();
    let opened = [(5432, "opened"), (8080, "opened")];
    own.further_spaces = Some(0);
    assert_eq!(kinds(&own, &all), opened);
    let expect = |own: &Snapshot, opened: &[(u16, &str)], left_out| {
        assert_eq!(kinds(own, &all), opened);
        assert!(diff_of(own, &all).doubts.contains(&Doubt::NotSeen(Which::Before, left_out)));
        assert!(diff_of(&all, own).doubts.contains(&Doubt::NotSeen(Which::After, left_out)));
        assert_eq!(kinds(&all, own).len(), opened.len());
    };
    for further in [None, Some(1)] {
        own.further_spaces = further;
        expect(&own, &opened[1..], 1);
    }
    own.further_spaces = Some(0);
    for missing in [Missing::Spaces, Missing::Sockets] {
        own.gaps = vec![gap(missing)];
        expect(&own, &opened[1..], 1);
    }
    own.gaps = vec![gap(Missing::Redirects)];
    expect(&own, &opened[..1], 1);
    own.gaps = vec![gap(Missing::Spaces), gap(Missing::Redirects)];
    expect(&own, &[], 2);
}

#[test]
fn a_report_of_one_family_or_protocol_is_compared_in_that_only() {
    let mut narrow = testing::snapshot();
    narrow.sockets.retain(|socket| socket.family == Family::Ipv4 && socket.protocol == Protocol::Tcp);
    narrow.scope.families = vec![Family::Ipv4];
    narrow.scope.protocols = vec![Protocol::Tcp];
    // Its ::1 is not there, so 5432 has fewer addresses; the rest of both families is left out.
    let diff = diff_of(&narrow, &testing::snapshot());
    assert_eq!((diff.changes, diff.doubts), (vec![], vec![Doubt::NotSeen(Which::Before, 2)]));
    // Without states every UDP socket counts as a listener.
    let mut portable = testing::snapshot();
    portable.gaps.push(gap(Missing::UdpPeers));
    portable.sockets.retain(|socket| socket.protocol == Protocol::Tcp);
    assert_eq!(kinds(&portable, &testing::snapshot()), []);
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

/// Something that happens to one socket.
#[derive(Clone, Copy, Debug)]
enum Event {
    Closes,
    Widens,
    MovesAddress,
    MovesSpace,
    ChangesHands,
    IsForwarded,
    IsHidden,
    ConnectsElsewhere,
}

fn happen(snapshot: &mut Snapshot, place: usize, event: Event) {
    if snapshot.sockets.is_empty() {
        return;
    }
    let place = place % snapshot.sockets.len();
    let socket = &mut snapshot.sockets[place];
    match event {
        Event::Closes => drop(snapshot.sockets.remove(place)),
        Event::Widens => socket.local.address = "0.0.0.0".parse().unwrap(),
        Event::MovesAddress => socket.local.address = "127.0.0.9".parse().unwrap(),
        Event::MovesSpace => socket.space = SpaceId(7),
        Event::ChangesHands => {
            socket.owner = Owner::Processes(vec![crate::model::Holder { pid: Pid(811), fd: None }]);
        }
        Event::IsForwarded => {
            socket.forward = Some(Box::new(Forward { by: ForwardedBy::Nat, to: socket.local, container: None }));
        }
        Event::IsHidden => socket.owner = Owner::Hidden(HiddenBecause::Permission),
        Event::ConnectsElsewhere => socket.peer = Some(Endpoint::new("192.0.2.77".parse().unwrap(), 7)),
    }
}

fn any_host() -> impl Strategy<Value = Snapshot> {
    let events = [
        Event::Closes,
        Event::Widens,
        Event::MovesAddress,
        Event::MovesSpace,
        Event::ChangesHands,
        Event::IsForwarded,
        Event::IsHidden,
        Event::ConnectsElsewhere,
    ];
    prop::collection::vec((0..8_usize, prop::sample::select(events.to_vec())), 0..6).prop_map(|events| {
        let mut snapshot = with_further();
        for (place, event) in events {
            happen(&mut snapshot, place, event);
        }
        snapshot
    })
}

/// A change as it looks from the other end.
fn mirrored(change: Change) -> Change {
    let kind = match change.kind {
        Kind::Opened => Kind::Closed,
        Kind::Closed => Kind::Opened,
        Kind::ExposureWidened => Kind::ExposureNarrowed,
        Kind::ExposureNarrowed => Kind::ExposureWidened,
        same => same,
    };
    let turned =
        |space: &PairedSpace| Rc::new(PairedSpace { before: space.after.clone(), after: space.before.clone() });
    let from = turned(&change.identity.space);
    let to = change.to_space.as_deref().map(turned);
    let (space, to_space) = to.map_or((Rc::clone(&from), None), |to| (to, Some(Rc::clone(&from))));
    let identity = Identity { space, ..change.identity };
    Change { kind, identity, to_space, before: change.after, after: change.before }
}

proptest! {
    #[test]
    fn a_listing_is_the_same_as_itself(host in any_host(), all in any::<bool>()) {
        let listing = join::listing(&host, None);
        let diff = diff(&listing, &listing, all);
        prop_assert_eq!((diff.changes, diff.doubts), (vec![], vec![]));
    }

    #[test]
    fn a_diff_has_its_mirror(a in any_host(), b in any_host(), all in any::<bool>()) {
        let (a, b) = (join::listing(&a, None), join::listing(&b, None));
        let (forth, back) = (diff(&a, &b, all), diff(&b, &a, all));
        prop_assert_eq!(forth.incomparable, back.incomparable);
        let mut mirror: Vec<Change> = forth.changes.into_iter().map(mirrored).collect();
        mirror.sort_by(|a, b| (&a.identity, a.kind).cmp(&(&b.identity, b.kind)));
        prop_assert_eq!(mirror, back.changes);
    }
}
