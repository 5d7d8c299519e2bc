//! The page about one port.

use std::num::NonZeroU64;

use super::*;
use crate::catalogue::Catalogue;
use crate::model::{
    Belonging, Container, Endpoint, Forward, ForwardedBy, Holder, Nobody, Owner, Pid, Port, Process, Queue, Snapshot,
    Socket, StandsFor, State, Waiting,
};
use crate::{join, select, testing};

fn text(snapshot: &Snapshot, port: u16, style: Style) -> String {
    detailed(snapshot, port, false, style)
}

fn detailed(snapshot: &Snapshot, port: u16, all: bool, style: Style) -> String {
    let catalogue = Catalogue::default();
    let mut listing = join::listing(snapshot, Some(&catalogue));
    listing.rows.retain(|row| row.socket.local.port.get() == port);
    select::in_default_order(&mut listing.rows);
    let dossier = Dossier::new(Port::new(port), snapshot, &listing.rows, &catalogue);
    let mut text = Vec::new();
    write(&mut text, &listing, &dossier, None, all, style).unwrap();
    String::from_utf8(text).unwrap()
}

const TERMINAL: Style = Style { color: false, charset: Charset::Unicode, width: Some(80) };
const PIPE: Style = Style { color: false, charset: Charset::Ascii, width: None };

/// A database with everything that can be known of it.
fn known() -> Snapshot {
    let mut snapshot = testing::snapshot();
    let space = &mut snapshot.spaces[0];
    (space.reserved, space.unprivileged_start) = (Some(Vec::new()), Some(1024));
    for socket in &mut snapshot.sockets[3..=4] {
        socket.waiting = Some(Waiting::Connections(Queue { used: 0, limit: 244 }));
        socket.cgroup = NonZeroU64::new(77);
    }
    let unit = Some("postgresql@15-main.service".to_owned());
    snapshot.cgroups.insert(77, Belonging { unit, ..Belonging::default() });
    let (init, mut process) = (Pid(1), snapshot.processes[&Pid(700)].clone());
    snapshot
        .processes
        .insert(init, Process { pid: init, parent: None, name: Some("systemd".into()), ..process.clone() });
    process.exe = Some("/usr/lib/postgresql/15/bin/postgres (deleted)".into());
    process.exe_deleted = Some(true);
    process.cwd = Some("/var/lib/postgresql/15/main".into());
    let argv = ["/usr/lib/postgresql/15/bin/postgres", "-D", "/var/lib/postgresql/15/main", "--password=hunter2"];
    process.argv = Some(argv.map(Into::into).into());
    snapshot.processes.insert(Pid(700), process);
    let client = |address: &str, state| Socket {
        peer: Some(Endpoint::new(address.parse().unwrap(), 50_000)),
        state: Some(state),
        waiting: None,
        ..snapshot.sockets[3].clone()
    };
    let clients = [client("127.0.0.1", State::Established), client("127.0.0.2", State::CloseWait)];
    snapshot.sockets.extend(clients);
    snapshot
}

#[test]
fn a_dossier_fits_on_a_screen_of_80_columns() {
    let text = text(&known(), 5432, TERMINAL);
    assert!(text.lines().all(|line| unicode_width::UnicodeWidthStr::width(line) <= 80), "{text}");
    assert!(text.lines().count() < 30, "{text}");
    insta::assert_snapshot!("info_80", text);
}

#[test]
fn a_pipe_gets_each_fact_on_one_line_in_plain_characters() {
    let text = text(&known(), 443, PIPE);
    assert!(text.contains("  ancestry  systemd -> nginx\n"), "{text}");
    assert!(text.contains("  also      nginx (812), nginx (813)\n"), "{text}");
    assert!(text.contains("  user      www-data (33)\n"), "{text}");
    assert_eq!(text.matches("  started   ").count(), 2, "{text}");
}

#[test]
fn a_process_is_shown_in_full_once() {
    let mut snapshot = known();
    // Two processes listen, the foremost of them has accepted.
    snapshot.sockets[1].owner = Owner::Processes(vec![Holder { pid: Pid(811), fd: Some(9) }].into());
    let text = text(&snapshot, 443, PIPE);
    assert!(text.ends_with("  process   nginx (811, descriptor 9), shown above\n"), "{text}");
    assert_eq!(text.matches("  started   ").count(), 1, "{text}");
}

#[test]
fn a_hidden_owner_is_described_by_what_is_known_of_it() {
    let text = text(&known(), 5353, PIPE);
    assert!(text.contains("  owner     hidden: no permission to see its process\n  user      avahi (101)\n"), "{text}");
}

#[test]
fn a_published_port_names_the_container_that_it_leads_to() {
    let mut snapshot = known();
    let mut published = snapshot.sockets[0].clone();
    (published.peer, published.state) = (None, Some(State::Redirect));
    published.local = Endpoint::new("0.0.0.0".parse().unwrap(), 8080);
    published.owner = Owner::Nobody(Nobody::Redirected);
    let container = Container { name: Some("web".to_owned()), ..testing_container() };
    let to = Endpoint::new("172.17.0.2".parse().unwrap(), 80).into();
    let forward = Forward { by: ForwardedBy::Nat, to, container: Some(container), service: None };
    published.stands_for = Some(Box::new(StandsFor::Forward(forward)));
    snapshot.sockets.push(published);
    let text = text(&snapshot, 8080, PIPE);
    assert!(text.contains("tcp 0.0.0.0:8080 REDIRECT, every interface\n"), "{text}");
    assert!(text.contains("  leads to  172.17.0.2:80 (nat) container docker "), "{text}");
    assert!(!text.contains("peers"), "who is connected through a rule is not known: {text}");
}

fn testing_container() -> Container {
    Container::of_id(crate::model::Runtime::Docker, "0123456789abcdef".repeat(4))
}

#[test]
fn the_same_port_in_two_spaces_is_told_apart() {
    let mut snapshot = known();
    let mut other = snapshot.spaces[0].clone();
    (other.id, other.label, other.ephemeral) = (SpaceId(7), "blue".to_owned(), "5000-6000".parse().ok());
    let mut socket = snapshot.sockets[3].clone();
    socket.space = other.id;
    snapshot.spaces.push(other);
    snapshot.sockets.push(socket);
    let text = text(&snapshot, 5432, PIPE);
    assert!(text.contains("ephemeral   no: outside the ephemeral range 32768-60999\n"), "{text}");
    let blue = text.split("in port space blue (host)\n").nth(1).unwrap();
    assert!(blue.starts_with("ephemeral   yes: inside the ephemeral range 5000-6000\n"), "{text}");
    assert!(text.contains("\ntcp 127.0.0.1:5432 LISTEN, loopback only, in port space blue\n"), "{text}");
}

#[test]
fn many_clients_are_counted_and_the_rest_is_said() {
    let mut snapshot = known();
    for number in 0..9_u32 {
        let mut client = snapshot.sockets[1].clone();
        client.local.port = Port::new(7000);
        client.owner = Owner::Processes(vec![Holder { pid: Pid(900 + number), fd: Some(3) }].into());
        snapshot.sockets.extend(std::iter::repeat_n(client, 5));
    }
    let text = text(&snapshot, 7000, PIPE);
    assert_eq!(text.matches("and 2 more: 5 from 1 address: 5 ESTABLISHED").count(), 5, "{text}");
    assert!(text.contains("20 more connections of 4 other owners"), "{text}");
}

#[test]
fn a_port_that_many_spaces_have_fits_a_screen_unless_all_is_asked_for() {
    let mut snapshot = known();
    for number in 0..9 {
        let mut other = snapshot.spaces[0].clone();
        // Its settings differ too.
        (other.id, other.label, other.ephemeral) = (SpaceId(70 + number), format!("shop-{number}"), None);
        let mut socket = snapshot.sockets[3].clone();
        socket.space = other.id;
        snapshot.spaces.push(other);
        snapshot.sockets.push(socket);
    }
    let brief = text(&snapshot, 5432, TERMINAL);
    assert!(brief.lines().count() <= 40, "{brief}");
    assert_eq!(brief.matches("\n  started   ").count(), 1, "the owner in this space: {brief}");
    insta::assert_snapshot!("info_of_many_spaces_80", brief);
    let whole = detailed(&snapshot, 5432, true, TERMINAL);
    assert_eq!(whole.matches("LISTEN, loopback only, in port space shop-").count(), 9, "{whole}");
    assert_eq!(whole.matches("in port space shop-3 (host)\n").count(), 1, "{whole}");
    assert!(!whole.contains("info -v"), "{whole}");
}
