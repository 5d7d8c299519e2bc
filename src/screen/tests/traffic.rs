//! What connections carry: rates as differences, their sums, and connections that end between two tables.

use std::num::NonZeroU64;

use super::*;
use crate::model::{Endpoint, Holder, Owner, Pid, Rate, Traffic};

const SERVER: u16 = 7000;

/// A connection that the server has accepted, which has received and sent so much.
fn connection(cookie: u64, received: u64, sent: u64) -> Socket {
    let address = "127.0.0.1".parse().unwrap();
    let peer = Some(Endpoint::new(address, 40_000 + u16::try_from(cookie).unwrap()));
    let traffic = Traffic { received, sent, rtt_us: Some(80), retransmits: 2, ..Traffic::default() };
    Socket {
        local: Endpoint::new(address, SERVER),
        peer,
        state: Some(SocketState::Established),
        cookie: NonZeroU64::new(cookie),
        traffic: Some(Box::new(traffic)),
        ..listener(SERVER)
    }
}

/// A table that was begun in this second, with the server's listener and these connections.
fn table(second: u64, connections: &[Socket]) -> Snapshot {
    let mut table = testing::snapshot();
    table.host.captured_at = at(second);
    table.sockets = [&[listener(SERVER)], connections].concat();
    table
}

impl Scene {
    fn with_traffic() -> Scene {
        let mut scene = Scene::of(Charset::Unicode, table(0, &[connection(1, 1_000, 50)]));
        assert_eq!(scene.press(&[Key::Char('b')]), Some(Act::Traffic(true)));
        scene.state.replace(table(1, &[connection(1, 1_000, 50)]));
        scene
    }

    /// The cells of a row: what it receives and sends.
    fn flows(&mut self, text: &str) -> Vec<String> {
        let frame = self.frame(200, 24);
        let line = frame.lines().find(|line| line.contains(text)).unwrap_or_else(|| panic!("{frame}"));
        assert!(line.contains("/s"), "{frame}");
        line.split_whitespace().filter(|word| word.ends_with("/s")).map(str::to_owned).collect()
    }
}

#[test]
fn a_rate_is_what_came_between_two_tables() {
    let mut scene = Scene::with_traffic();
    scene.state.replace(table(3, &[connection(1, 3_048, 50)]));
    scene.lay();
    assert_eq!(scene.flows("ESTABLISHED"), ["1.0K/s", "0/s"]);
    let title = scene.frame(200, 24).lines().next().unwrap().to_owned();
    assert!(title.ends_with("rx 1.0K/s, tx 0/s"), "{title}");
    // What comes sooner than a rate can be taken leaves it as it is.
    let mut soon = table(3, &[connection(1, 9_999_999, 50)]);
    soon.host.captured_at += Duration::from_millis(200);
    scene.state.replace(soon);
    scene.lay();
    assert_eq!(scene.flows("ESTABLISHED"), ["1.0K/s", "0/s"]);
}

#[test]
fn a_listener_has_the_sum_of_its_port_and_so_has_a_service() {
    let mut scene = Scene::with_traffic();
    // The second was opened between the tables: all it has carried came since.
    scene.state.replace(table(2, &[connection(1, 1_100, 50), connection(2, 200, 30)]));
    scene.lay();
    assert_eq!(scene.flows("LISTEN"), ["300/s", "30/s"]);
    scene.press(&[Key::Char('g')]);
    assert_eq!(scene.flows(&SERVER.to_string()), ["300/s", "30/s"]);
}

#[test]
fn the_last_bytes_of_a_connection_count_even_if_no_table_ever_had_it() {
    let mut scene = Scene::with_traffic();
    let short = Socket { state: None, ..connection(3, 700, 90) };
    scene.happens(EventKind::Disconnected, short.clone(), at(2));
    scene.state.end(&[short, Socket { state: None, ..connection(1, 1_300, 50) }]);
    scene.happens(EventKind::Disconnected, connection(1, 0, 0), at(2));
    scene.state.replace(table(2, &[]));
    scene.lay();
    assert_eq!(scene.flows("LISTEN"), ["1000/s", "90/s"]);
}

#[test]
fn a_connection_whose_row_has_left_by_then_counts_too() {
    let mut scene = Scene::with_traffic();
    scene.state.end(&[connection(3, 3_000, 0)]);
    scene.state.replace(table(31, &[connection(1, 1_000, 50)]));
    scene.lay();
    assert_eq!(scene.flows("LISTEN"), ["100/s", "0/s"]);
    // Once, and not again.
    scene.state.replace(table(32, &[connection(1, 1_000, 50)]));
    scene.lay();
    assert_eq!(scene.flows("LISTEN"), ["0/s", "0/s"]);
}

#[test]
fn of_two_listeners_on_one_end_each_has_the_connections_of_its_process() {
    let held_by = |socket: Socket, pid: u32| Socket {
        owner: Owner::Processes(vec![Holder { pid: Pid(pid), fd: Some(3) }].into()),
        ..socket
    };
    let both = |second: u64, bytes: u64| {
        let mut table =
            table(second, &[held_by(connection(1, bytes, 0), 811), held_by(connection(2, 2 * bytes, 0), 700)]);
        table.sockets[0] = held_by(listener(SERVER), 811);
        table.sockets.push(Socket { cookie: NonZeroU64::new(9), ..held_by(listener(SERVER), 700) });
        for socket in &mut table.sockets {
            socket.local.address = "127.0.0.1".parse().unwrap();
        }
        table
    };
    let mut scene = Scene::with_traffic();
    scene.state.replace(both(2, 100));
    scene.state.replace(both(3, 200));
    scene.lay();
    let frame = scene.frame(200, 24);
    let of = |name: &str| frame.lines().find(|line| line.contains("LISTEN") && line.contains(name)).unwrap();
    assert!(of("nginx").contains(" 100/s") && of("postgres").contains(" 200/s"), "{frame}");
}

#[test]
fn the_busiest_come_first_and_without_traffic_nothing_is_left_of_it() {
    let mut scene = Scene::with_traffic();
    scene.state.replace(table(2, &[connection(1, 1_010, 50), connection(2, 900, 0)]));
    scene.lay();
    let is_by_traffic = |scene: &Scene| scene.state.message().unwrap().ends_with("rx");
    while scene.state.message().is_none() || !is_by_traffic(&scene) {
        scene.press(&[Key::Char('s')]);
    }
    let busiest: Vec<u64> = scene.state.laid.lines.iter().filter_map(|line| line.id.2.0).map(NonZeroU64::get).collect();
    assert_eq!(busiest, [u64::from(SERVER), 2, 1]);
    assert_eq!(scene.press(&[Key::Char('b')]), Some(Act::Traffic(false)));
    let frame = scene.frame(200, 24);
    assert!(!frame.contains("/s") && !frame.contains(" RX"), "{frame}");
    assert_eq!(scene.state.laid.lines[0].id.2.0, NonZeroU64::new(u64::from(SERVER)));
}

#[test]
fn a_rate_is_a_number_of_bytes_in_a_second() {
    let rate = Rate { received: 1, sent: u64::MAX };
    assert_eq!(rate.plus(rate), Rate { received: 2, sent: u64::MAX });
}
