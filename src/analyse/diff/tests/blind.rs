//! What one report could not have seen is no change.

use super::*;

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
fn a_device_that_one_side_cannot_tell_widens_and_narrows_nothing() {
    let further = |address: &str, device: Option<&str>| {
        let mut snapshot = with_further();
        let socket = snapshot.sockets.iter_mut().find(|socket| socket.space == SpaceId(7)).unwrap();
        (socket.local.address, socket.device) = (address.parse().unwrap(), device.map(Into::into));
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
    let socket = Socket { space: SpaceId(107), inode: crate::model::Inode::new(9), ..before.sockets[3].clone() };
    after.sockets.push(socket);
    let diff = diff_of(&before, &after);
    let unsure = [Doubt::SpacesUnsure(Which::Before, 1), Doubt::SpacesUnsure(Which::After, 1)];
    assert_eq!((diff.changes, &diff.doubts[..]), (vec![], &unsure[..]));
    after.host.boot_id = Some("another".to_owned());
    assert_eq!(kinds(&before, &after), [(5432, "moved-space")], "another machine has other spaces");
}
