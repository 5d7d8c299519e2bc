//! Every kind of change, and what must not look like one.

use proptest::prelude::*;

use super::*;
use crate::join;
use crate::model::{
    Activation, Belonging, Family, Forward, ForwardedBy, Gap, HiddenBecause, Missing, Nobody, Owner, Pid, Process,
    RulesUnread, Snapshot, Socket, SocketSource, Space, SpaceId, SpaceKind, State, Uid,
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
        socket.forward =
            Some(Box::new(Forward { by: ForwardedBy::Nat, to: socket.local.into(), container: None, service: None }));
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
        started.cgroups.insert(9, Belonging { unit: Some(name.to_owned()), ..Belonging::default() });
        started
    };
    assert_eq!(kinds(&waiting, &unit("db.service")), []);
    assert_eq!(kinds(&waiting, &unit("other.service")), [(5432, "owner-changed")]);
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
    redirected.forward =
        Some(Box::new(Forward { by: ForwardedBy::Nat, to: redirected.local.into(), container: None, service: None }));
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
fn a_device_that_one_side_cannot_tell_widens_and_narrows_nothing() {
    let further = |address: &str, device: Option<&str>| {
        let mut snapshot = with_further();
        let socket = snapshot.sockets.iter_mut().find(|socket| socket.space == SpaceId(7)).unwrap();
        (socket.local.address, socket.device) = (address.parse().unwrap(), device.map(str::to_owned));
        snapshot
    };
    let for_lo = further("0.0.0.0", Some("lo"));
    let for_all = further("0.0.0.0", None);
    assert_eq!(kinds(&for_lo, &for_all), [(5432, "exposure-widened")], "both sides tell devices");
    let diff = diff_of(&for_lo, &as_text(for_lo.clone()));
    assert_eq!((diff.changes, diff.doubts), (vec![], vec![Doubt::DevicesNotTold(Which::After, 1)]));
    assert_eq!(diff_of(&as_text(for_all.clone()), &for_all).doubts, [Doubt::DevicesNotTold(Which::Before, 1)]);
    // Another address is another address, whatever the device.
    let elsewhere = further("127.0.0.1", None);
    assert_eq!(kinds(&for_lo, &as_text(elsewhere.clone())), [(5432, "address-changed")]);
    assert_eq!(kinds(&as_text(elsewhere), &for_all), [(5432, "exposure-widened")]);
    assert_eq!(diff_of(&as_text(for_all.clone()), &as_text(for_all)).doubts, []);
}

#[test]
fn a_udp_port_that_the_kernel_may_have_chosen_is_no_difference_where_one_side_cannot_tell() {
    let receiver = |port: u16, autobound| {
        let mut snapshot = with_further();
        snapshot.spaces[1].ephemeral = "32768-60999".parse().ok();
        let socket = Socket {
            space: SpaceId(7),
            protocol: Protocol::Udp,
            state: Some(State::Unconnected),
            autobound: Some(autobound),
            ..snapshot.sockets[3].clone()
        };
        let local = Endpoint::new(socket.local.address, port);
        snapshot.sockets.push(Socket { local, ..socket });
        snapshot
    };
    let (none, client, server) = (with_further(), receiver(44297, true), receiver(44297, false));
    assert_eq!(kinds(&none, &client), []);
    assert_eq!(kinds(&none, &server), [(44297, "opened")]);
    assert_eq!(kinds(&client, &server), [(44297, "opened")], "both sides know who chose the port");
    let doubts = |before: &Snapshot, after: &Snapshot| {
        let diff = diff_of(before, after);
        assert_eq!(diff.changes, []);
        diff.doubts
    };
    // By the range of the other side, or of the host, it is a client's, and so it is left out as clients are.
    let devices = Doubt::DevicesNotTold(Which::After, 1);
    assert_eq!(doubts(&client, &as_text(client.clone())), [devices]);
    assert_eq!(doubts(&none, &as_text(client.clone())), [devices]);
    assert_eq!(doubts(&server, &as_text(server.clone())), [Doubt::ChoiceNotTold(Which::After, 1), devices]);
    let below = receiver(53, false);
    assert_eq!(kinds(&none, &as_text(below.clone())), [(53, "opened")]);
    assert_eq!(kinds(&as_text(below), &none), [(53, "closed")]);
    // A range of its own says otherwise than the other side's knowledge.
    let mut narrow = as_text(client.clone());
    narrow.spaces[1].ephemeral = "32768-40000".parse().ok();
    assert_eq!(doubts(&client, &narrow), [Doubt::ChoiceNotTold(Which::After, 1), devices]);
}

#[test]
fn a_socket_that_only_netlink_lists_was_not_closed() {
    let mut bound = with_further();
    let local = Endpoint::new("127.0.0.1".parse().unwrap(), 7000);
    let socket = Socket { space: SpaceId(7), state: Some(State::Bound), local, ..bound.sockets[3].clone() };
    bound.sockets.push(socket);
    let mut text = as_text(bound.clone());
    text.sockets.pop();
    let (before, after) = (join::listing(&bound, None), join::listing(&text, None));
    let diff = diff(&before, &after, true);
    assert_eq!(diff.changes, []);
    assert!(diff.doubts.contains(&Doubt::NotSeen(Which::After, 1)), "{:?}", diff.doubts);
}

#[test]
fn sockets_of_spaces_that_cannot_be_told_apart_are_left_out_and_said() {
    let mut before = with_further();
    before.further_spaces = Some(0);
    let mut after = as_text(before.clone());
    (after.spaces[1].id, after.spaces[1].label) = (SpaceId(107), "red".to_owned());
    after.sockets.retain(|socket| socket.space != SpaceId(7));
    let socket = Socket { space: SpaceId(107), inode: Some(crate::model::Inode(9)), ..before.sockets[3].clone() };
    after.sockets.push(socket);
    let diff = diff_of(&before, &after);
    let unsure = [Doubt::SpacesUnsure(Which::Before, 1), Doubt::SpacesUnsure(Which::After, 1)];
    assert_eq!((diff.changes, &diff.doubts[..]), (vec![], &unsure[..]));
    after.host.boot_id = Some("another".to_owned());
    assert_eq!(kinds(&before, &after), [(5432, "moved-space")], "another machine has other spaces");
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
    IsRenumbered,
    IsCalledAnew,
    IsReadAsText,
    IsForDevice,
    IsChosenByKernel,
}

fn happen(snapshot: &mut Snapshot, place: usize, event: Event) {
    if snapshot.sockets.is_empty() {
        return;
    }
    let place = place % snapshot.sockets.len();
    let spaces = &mut snapshot.spaces;
    match event {
        Event::IsRenumbered => {
            let from = std::mem::replace(&mut spaces[1].id, SpaceId(8));
            snapshot
                .sockets
                .iter_mut()
                .filter(|socket| socket.space == from)
                .for_each(|socket| socket.space = SpaceId(8));
        }
        Event::IsCalledAnew => spaces[1].label = "red".to_owned(),
        Event::IsReadAsText => {
            let place = place % spaces.len();
            spaces[place].source = SocketSource::ProcNet;
            let id = spaces[place].id;
            for socket in snapshot.sockets.iter_mut().filter(|socket| socket.space == id) {
                (socket.device, socket.autobound) = (None, None);
            }
        }
        _ => {}
    }
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
            socket.forward = Some(Box::new(Forward {
                by: ForwardedBy::Nat,
                to: socket.local.into(),
                container: None,
                service: None,
            }));
        }
        Event::IsHidden => socket.owner = Owner::Hidden(HiddenBecause::Permission),
        Event::ConnectsElsewhere => socket.peer = Some(Endpoint::new("192.0.2.77".parse().unwrap(), 7)),
        Event::IsForDevice => socket.device = Some("lo".to_owned()),
        Event::IsChosenByKernel => {
            (socket.protocol, socket.state, socket.autobound) = (Protocol::Udp, None, Some(true));
        }
        Event::IsRenumbered | Event::IsCalledAnew | Event::IsReadAsText => {}
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
        Event::IsRenumbered,
        Event::IsCalledAnew,
        Event::IsReadAsText,
        Event::IsForDevice,
        Event::IsChosenByKernel,
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

#[test]
fn whoever_can_reach_a_listener_by_more_or_fewer_ways_is_a_change_of_exposure() {
    let bound = |address: &str, v6only: Option<bool>, device: Option<&str>| {
        with(443, |socket| {
            socket.local.address = address.parse().unwrap();
            socket.family = if socket.local.address.is_ipv4() { Family::Ipv4 } else { Family::Ipv6 };
            (socket.v6only, socket.device) = (v6only, device.map(str::to_owned));
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
