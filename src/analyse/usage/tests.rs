//! What is counted of a port space, and which shares are above a limit.

use super::*;
use crate::model::{Endpoint, Owner, Snapshot, Socket, Timer, TimerKind, Waiting};
use crate::{join, testing};

fn client(snapshot: &Snapshot, local: &str, peer: &str, state: State) -> Socket {
    let end = |text: &str| {
        let end: std::net::SocketAddr = text.parse().unwrap();
        Endpoint::new(end.ip(), end.port())
    };
    let (local, peer) = (end(local), Some(end(peer)));
    Socket { local, peer, state: Some(state), waiting: None, ..snapshot.sockets[1].clone() }
}

fn measured(snapshot: &Snapshot, check: impl Fn(&SpaceUsage<'_>)) {
    let listing = join::listing(snapshot, None);
    check(&usage(&listing)[0]);
}

/// A space that hands out 41000-41009, two of them reserved.
fn small() -> Snapshot {
    let mut snapshot = testing::snapshot();
    snapshot.spaces[0].ephemeral = "41000-41009".parse().ok();
    snapshot.spaces[0].reserved = Some(vec!["41001".parse().unwrap(), "41009-50000".parse().unwrap()]);
    snapshot
}

#[test]
fn gauges_count_distinct_numbers_of_each_protocol() {
    measured(&testing::snapshot(), |space| {
        let shares: Vec<(usize, usize)> =
            space.gauges.iter().map(|gauge| (gauge.share.used, gauge.share.limit)).collect();
        let tcp = [(1, 1024), (2, 48_128), (0, 16_384), (1, 28_232)];
        let udp = [(0, 1024), (1, 48_128), (0, 16_384), (0, 28_232)];
        assert_eq!(shares, [tcp, udp].concat(), "443; 5432 twice and 40000; 5353");
    });
}

#[test]
fn reserved_numbers_and_those_of_listeners_are_not_there_for_a_destination() {
    let mut snapshot = small();
    let mut listener = snapshot.sockets[2].clone();
    listener.local.port = Port::new(41_002);
    let accepted = client(&snapshot, "192.0.2.7:41002", "203.0.113.9:50000", State::Established);
    let one = client(&snapshot, "192.0.2.7:41003", "203.0.113.9:443", State::Established);
    let two = client(&snapshot, "[::ffff:192.0.2.7]:41004", "[::ffff:203.0.113.9]:443", State::Established);
    let mut over = client(&snapshot, "192.0.2.7:41005", "203.0.113.9:443", State::TimeWait);
    over.owner = Owner::Nobody(crate::model::Nobody::TimeWait);
    let elsewhere = client(&snapshot, "192.0.2.7:41003", "203.0.113.9:80", State::SynSent);
    let chosen = client(&snapshot, "192.0.2.7:7000", "203.0.113.9:443", State::Established);
    snapshot.sockets.extend([listener, accepted, one, two, over, elsewhere, chosen]);
    measured(&snapshot, |space| {
        let told: Vec<_> = space
            .destinations
            .iter()
            .map(|destination| {
                (destination.peer.to_string(), destination.used, destination.limit, destination.time_wait)
            })
            .collect();
        let first = ("203.0.113.9:443".to_owned(), 3, Some(7), 1);
        assert_eq!(told, [first, ("203.0.113.9:80".to_owned(), 1, Some(7), 0)]);
        let causes: Vec<_> = space.destinations[0].causes.iter().map(|(pid, _, count)| (pid.0, *count)).collect();
        assert_eq!(causes, [(812, 2)]);
        assert_eq!(space.reserved, 2);
        let ephemeral = space.gauges.iter().find(|gauge| gauge.measured == Measured::Ephemeral).unwrap();
        assert_eq!(ephemeral.share, Share { used: 4, limit: 8 });
        let above = |part: f64| space.above(part).len();
        assert_eq!((above(0.42), above(0.43), above(0.5)), (2, 1, 0), "3 of 7 is 42.9 %, 4 of 8 are half");
    });
}

#[test]
fn ports_that_were_bound_first_fill_the_range_for_every_destination() {
    let mut snapshot = small();
    for number in [41_000, 41_002, 41_003, 41_004, 41_005, 41_006, 41_007, 41_008] {
        let (local, peer) = (format!("192.0.2.7:{number}"), format!("203.0.113.9:{number}"));
        snapshot.sockets.push(client(&snapshot, &local, &peer, State::Established));
    }
    measured(&snapshot, |space| {
        assert!(space.destinations.iter().all(|destination| destination.used == 1));
        let above: Vec<Excess<'_, '_>> = space.above(0.9);
        assert!(matches!(above[..], [Excess::Gauge(Gauge { measured: Measured::Ephemeral, .. })]), "{above:?}");
    });
}

#[test]
fn time_wait_that_the_kernel_gives_up_uses_no_port() {
    for (reuse, time_left, local, left) in [
        (TimeWaitReuse::Never, 30, "192.0.2.7", 2),
        (TimeWaitReuse::Always, 30, "192.0.2.7", 0),
        (TimeWaitReuse::Always, 60, "192.0.2.7", 2),
        (TimeWaitReuse::Loopback, 30, "192.0.2.7", 2),
        (TimeWaitReuse::Loopback, 30, "127.0.0.1", 0),
    ] {
        let mut snapshot = small();
        snapshot.spaces[0].time_wait_reuse = Some(reuse);
        for number in [41_002, 41_003] {
            let over = client(&snapshot, &format!("{local}:{number}"), "203.0.113.9:443", State::TimeWait);
            snapshot.sockets.push(Socket {
                timer: Some(Timer { kind: TimerKind::TimeWait, retries: 0, left_ms: time_left * 1000 }),
                ..over
            });
        }
        measured(&snapshot, |space| {
            let destination = &space.destinations[0];
            let gauge = space.gauges.iter().find(|gauge| gauge.measured == Measured::Ephemeral).unwrap();
            assert_eq!(
                (destination.used, destination.time_wait, destination.reusable),
                (2, 2, 2 - left),
                "{reuse:?} {local}"
            );
            assert_eq!((destination.share().unwrap().used, gauge.share.used), (left, left), "{reuse:?} {local}");
        });
    }
}

#[test]
fn the_same_address_of_two_links_is_two_destinations() {
    let mut snapshot = small();
    for (number, device) in [(41002, "v0"), (41003, "v0"), (41002, "v1")] {
        let local = format!("[fe80::1]:{number}");
        let mut socket = client(&snapshot, &local, "[fe80::9]:443", State::Established);
        socket.device = Some(device.into());
        snapshot.sockets.push(socket);
    }
    let mut bound = client(&snapshot, "192.0.2.7:41004", "203.0.113.9:443", State::Established);
    bound.device = Some("v0".into());
    snapshot.sockets.push(bound);
    measured(&snapshot, |space| {
        let of = |peer: &str| -> Vec<(Option<&str>, usize)> {
            let is_it = |destination: &&Destination<'_>| destination.peer.address.to_string() == peer;
            space.destinations.iter().filter(is_it).map(|destination| (destination.device, destination.used)).collect()
        };
        assert_eq!(of("fe80::9"), [(Some("v0"), 2), (Some("v1"), 1)]);
        assert_eq!(of("203.0.113.9"), [(None, 1)], "an address that is the same everywhere needs none");
    });
}

#[test]
fn without_a_known_range_nothing_is_called_full() {
    let mut snapshot = small();
    let one = client(&snapshot, "192.0.2.7:41003", "203.0.113.9:443", State::Established);
    snapshot.spaces[0].ephemeral = None;
    snapshot.sockets.push(one);
    measured(&snapshot, |space| {
        assert_eq!(space.gauges.len(), 6);
        let destination = space.destinations.iter().find(|destination| destination.peer.port.get() == 443).unwrap();
        assert_eq!((destination.limit, destination.share()), (None, None));
    });
}

#[test]
fn the_fullest_queue_comes_first_and_an_impossible_limit_is_full() {
    let mut snapshot = testing::snapshot();
    for (index, used, limit) in [(2, 3, 4), (3, 0, 128), (4, 1, 0)] {
        snapshot.sockets[index].waiting = Some(Waiting::Connections(Queue { used, limit }));
    }
    measured(&snapshot, |space| {
        let used: Vec<u32> = space.queues.iter().map(|queue| queue.queue.used).collect();
        assert_eq!(used, [1, 3, 0]);
        assert_eq!(space.above(0.8).len(), 1);
        assert_eq!(space.above(0.7).len(), 2);
    });
}

#[test]
fn numbers_that_are_reserved_twice_count_once() {
    let range = |text: &str| text.parse::<PortRange>().unwrap();
    let handed_out = |reserved: &[&str]| {
        let reserved: Vec<PortRange> = reserved.iter().map(|text| range(text)).collect();
        let handed_out = HandedOut::new(range("41000-41009"), &reserved);
        let free = (0..=u16::MAX).map(Port::new).filter(|port| handed_out.contains(*port)).count();
        assert_eq!(free, handed_out.count, "{reserved:?}");
        free
    };
    assert_eq!(handed_out(&[]), 10);
    assert_eq!(handed_out(&["41005-41007", "41001", "1-41001", "41007-50000", "41003-41004", "7"]), 1);
    assert_eq!(handed_out(&["1-65535", "41001"]), 0);
}
