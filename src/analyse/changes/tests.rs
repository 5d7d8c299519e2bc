use std::time::{Duration, SystemTime};

use super::*;
use crate::join;
use crate::model::{Endpoint, Family, Holder, Inode, Lost, Nobody, Owner, Protocol};
use crate::testing;

/// So many milliseconds after the events begin.
fn at(milliseconds: u64) -> SystemTime {
    testing::snapshot().host.captured_at + Duration::from_millis(milliseconds)
}

fn socket(local: &str, state: State, cookie: u64, pid: u32) -> Socket {
    let local: std::net::SocketAddr = local.parse().unwrap();
    Socket {
        local: Endpoint::new(local.ip(), local.port()),
        family: if local.is_ipv4() { Family::Ipv4 } else { Family::Ipv6 },
        protocol: if state == State::Unconnected { Protocol::Udp } else { Protocol::Tcp },
        state: Some(state),
        cookie: NonZeroU64::new(cookie),
        inode: Inode::new(cookie),
        uid: Some(Uid(33)),
        owner: Owner::Processes(vec![Holder { pid: Pid(pid), fd: None }].into()),
        ..testing::snapshot().sockets[2].clone()
    }
}

fn snapshot(begun: u64, sockets: Vec<Socket>) -> Snapshot {
    let mut snapshot = Snapshot { sockets, gaps: Vec::new(), ..testing::snapshot() };
    snapshot.host.captured_at = at(begun);
    snapshot
}

fn table(begun: u64, sockets: &[&Socket]) -> Observation {
    Observation::Table(Box::new(snapshot(begun, sockets.iter().map(|socket| (*socket).clone()).collect())))
}

fn sighted(when: u64, seen: Seen, act: Act, socket: &Socket) -> Observation {
    let sighting = Sighting { at: at(when), seen, act, socket: socket.clone(), gone: false };
    let (processes, users) = (BTreeMap::new(), BTreeMap::new());
    Observation::Sightings { sightings: vec![sighting], processes, spaces: Vec::new(), users }
}

/// A ledger of a source that sees binds, with these sockets open.
fn ledger(sockets: &[&Socket]) -> Ledger {
    let mut ledger =
        Ledger::new(Options { binds: Some(BindWay::OfItself), every_space: true, ..Options::default() }, None);
    assert_eq!(ledger.observe(table(0, sockets)).events, []);
    ledger
}

/// The events in short: what, how it was seen, which socket by its cookie.
fn told(changes: &Changes) -> Vec<(EventKind, Seen, Option<u64>)> {
    let cookie = |event: &Event| Some(changes.snapshot.sockets[event.socket?].cookie?.get());
    changes.events.iter().map(|event| (event.kind, event.seen, cookie(event))).collect()
}

#[test]
fn what_is_open_from_the_start_is_told_only_if_that_is_wanted() {
    let web = socket("0.0.0.0:80", State::Listen, 1, 811);
    let mut ledger = Ledger::new(Options { initial: true, ..Options::default() }, None);
    assert_eq!(told(&ledger.observe(table(0, &[&web]))), [(EventKind::Opened, Seen::Poll, Some(1))]);
    assert_eq!(told(&ledger.observe(table(1000, &[&web]))), []);
}

#[test]
fn two_tables_differ_by_what_was_opened_and_closed_between_them() {
    let (old, new) = (socket("0.0.0.0:80", State::Listen, 1, 811), socket("0.0.0.0:80", State::Listen, 2, 811));
    let mut ledger = ledger(&[&old]);
    let changes = ledger.observe(table(1000, &[&new]));
    assert_eq!(told(&changes), [(EventKind::Opened, Seen::Poll, Some(2)), (EventKind::Closed, Seen::Poll, Some(1))]);
    assert_eq!(changes.events[1].open_for, None);
}

#[test]
fn what_was_open_in_a_space_that_has_ended_has_closed() {
    let web = socket("0.0.0.0:80", State::Listen, 1, 811);
    let inside = Socket { space: SpaceId(77), ..socket("0.0.0.0:80", State::Listen, 2, 812) };
    let mut with_container = snapshot(0, vec![web.clone(), inside]);
    with_container.spaces.push(Space::new(SpaceId(77), SpaceKind::Container, "web".into(), SocketSource::Netlink));
    let mut ledger = Ledger::new(Options::default(), None);
    assert_eq!(told(&ledger.observe(Observation::Table(Box::new(with_container)))), []);
    assert_eq!(told(&ledger.observe(table(1000, &[&web]))), [(EventKind::Closed, Seen::Poll, Some(2))]);
    assert_eq!(told(&ledger.observe(table(2000, &[&web]))), []);
}

#[test]
fn an_end_that_a_table_shows_before_the_kernels_record_comes_is_told_once() {
    let web = socket("0.0.0.0:80", State::Listen, 1, 811);
    let mut ledger = ledger(&[&web]);
    assert_eq!(told(&ledger.observe(table(1000, &[]))), [(EventKind::Closed, Seen::Poll, Some(1))]);
    assert_eq!(told(&ledger.observe(sighted(999, Seen::Kernel, Act::Closed, &web))), []);
}

#[test]
fn an_aborted_connection_is_told_by_its_cookie_and_never_by_what_is_left_of_its_addresses() {
    let known = connection(State::Established, 1, 50_000);
    let mut ledger = Ledger::new(Options { connections: true, ..Options::default() }, None);
    ledger.observe(table(0, &[&known]));
    let ends = |cookie| {
        let peer = Some(Endpoint::new([198, 51, 100, 23].into(), 0));
        let left = Socket { peer, ..socket("0.0.0.0:80", State::Close, cookie, 811) };
        sighted(1, Seen::Netlink, Act::Disconnected, &left)
    };
    assert_eq!(told(&ledger.observe(ends(2))), []);
    let changes = ledger.observe(ends(1));
    assert_eq!(told(&changes), [(EventKind::Disconnected, Seen::Netlink, Some(1))]);
    assert_eq!(changes.snapshot.sockets[0].local, known.local);
}

#[test]
fn of_a_table_that_is_not_whole_nothing_is_missing() {
    let web = socket("0.0.0.0:80", State::Listen, 1, 811);
    let mut ledger = ledger(&[&web]);
    let gap = crate::model::Gap::SocketTables { space: "host".to_owned(), problem: "refused".to_owned() };
    let partial = Snapshot { gaps: vec![gap], ..snapshot(1000, Vec::new()) };
    assert_eq!(told(&ledger.observe(Observation::Table(Box::new(partial)))), []);
    assert_eq!(told(&ledger.observe(table(2000, &[]))), [(EventKind::Closed, Seen::Poll, Some(1))]);
}

#[test]
fn a_bind_that_is_followed_by_listen_is_one_opening() {
    let mut ledger = ledger(&[]);
    let (bound, listening) = (socket("0.0.0.0:80", State::Bound, 1, 811), socket("0.0.0.0:80", State::Listen, 1, 811));
    assert_eq!(told(&ledger.observe(sighted(10, Seen::Kernel, Act::Bound, &bound))), []);
    let opened = ledger.observe(sighted(11, Seen::Kernel, Act::Listening, &listening));
    assert_eq!(told(&opened), [(EventKind::Opened, Seen::Kernel, Some(1))]);
    assert_eq!(told(&ledger.observe(table(1000, &[&listening]))), []);
    let closed = ledger.observe(sighted(2011, Seen::Kernel, Act::Closed, &listening));
    assert_eq!(closed.events[0].open_for, Some(Duration::from_secs(2)));
}

#[test]
fn a_socket_that_stays_bound_is_told_once_it_has_been_so_for_a_while_and_listening_widens_it() {
    let mut ledger = ledger(&[]);
    let (bound, listening) = (socket("0.0.0.0:80", State::Bound, 1, 811), socket("0.0.0.0:80", State::Listen, 1, 811));
    ledger.observe(sighted(10, Seen::Kernel, Act::Bound, &bound));
    assert_eq!(told(&ledger.observe(table(100, &[&bound]))), []);
    let opened = ledger.observe(table(1100, &[&bound]));
    assert_eq!(told(&opened), [(EventKind::Opened, Seen::Kernel, Some(1))]);
    assert_eq!(opened.events[0].at, at(10));
    let widened = ledger.observe(sighted(2000, Seen::Kernel, Act::Listening, &listening));
    assert_eq!(told(&widened), [(EventKind::ExposureWidened, Seen::Kernel, Some(1))]);
    // Without the kernel's word two tables say the same.
    let mut polled = super::tests::ledger(&[&bound]);
    assert_eq!(told(&polled.observe(table(1000, &[&listening]))), [(EventKind::ExposureWidened, Seen::Poll, Some(1))]);
}

#[test]
fn a_socket_that_is_closed_before_it_listens_is_not_told() {
    let mut ledger = ledger(&[]);
    let bound = socket("0.0.0.0:80", State::Bound, 1, 811);
    ledger.observe(sighted(10, Seen::Kernel, Act::Bound, &bound));
    assert_eq!(told(&ledger.observe(table(2000, &[]))), []);
}

#[test]
fn sockets_that_share_a_port_are_told_apart_by_their_cookies() {
    let [first, second, third] = [1, 2, 3].map(|cookie| socket("0.0.0.0:80", State::Listen, cookie, 811));
    let mut ledger = ledger(&[&first]);
    let opened = ledger.observe(sighted(1000, Seen::Kernel, Act::Listening, &second));
    assert_eq!(told(&opened), [(EventKind::Opened, Seen::Kernel, Some(2))]);
    assert_eq!(
        told(&ledger.observe(table(1500, &[&first, &second, &third]))),
        [(EventKind::Opened, Seen::Poll, Some(3))]
    );
    // A notice names the cookie and no process.
    let notice = Socket { state: None, inode: None, owner: Owner::Nobody(Nobody::Closing), ..second };
    let closed = ledger.observe(sighted(4000, Seen::Netlink, Act::Closed, &notice));
    assert_eq!(told(&closed), [(EventKind::Closed, Seen::Netlink, Some(2))]);
    assert_eq!(closed.events[0].open_for, Some(Duration::from_secs(3)));
    assert_eq!(closed.snapshot.sockets[0].owner.holders()[0].pid, Pid(811));
    assert_eq!(told(&ledger.observe(table(5000, &[&first, &third]))), []);
}

#[test]
fn a_table_that_was_begun_before_a_socket_was_closed_does_not_open_it_again() {
    let web = socket("0.0.0.0:80", State::Listen, 1, 811);
    let mut ledger = ledger(&[&web]);
    ledger.observe(sighted(1010, Seen::Kernel, Act::Closed, &web));
    ledger.observe(Observation::Same(at(1000)));
    assert_eq!(told(&ledger.observe(table(1000, &[&web]))), []);
    ledger.observe(Observation::Same(at(1020)));
    assert!(ledger.closed.is_empty(), "nothing is kept of what is not open");
}

#[test]
fn what_was_lost_is_told_by_the_table_that_is_read_again() {
    let [kept, closed, opened] = [("0.0.0.0:80", 1), ("0.0.0.0:81", 2), ("0.0.0.0:82", 3)]
        .map(|(at, cookie)| socket(at, State::Listen, cookie, 811));
    let mut ledger = ledger(&[&kept, &closed]);
    let counts = Lost { opened: Some(1), closed: Some(1), ..Lost::default() };
    let lost = ledger.observe(Observation::Lost { at: at(500), lost: counts, seen: Seen::Kernel });
    assert_eq!(told(&lost), [(EventKind::Lost, Seen::Kernel, None)]);
    assert_eq!(lost.events[0].lost.map(Lost::total), Some(2));
    // The opening of this one may have been among the lost events, so its closing is reported.
    let unknown = Socket { state: None, ..socket("0.0.0.0:83", State::Unconnected, 4, 811) };
    let told_meanwhile = ledger.observe(sighted(600, Seen::Netlink, Act::Closed, &unknown));
    assert_eq!(told(&told_meanwhile), [(EventKind::Closed, Seen::Netlink, Some(4))]);
    assert_eq!(
        told(&ledger.observe(table(1000, &[&kept, &opened]))),
        [(EventKind::Opened, Seen::Poll, Some(3)), (EventKind::Closed, Seen::Poll, Some(2))]
    );
    // A source that sees every bind knows from here on that the kernel chose such a port for a client.
    let client = Socket { cookie: NonZeroU64::new(5), ..unknown };
    assert_eq!(told(&ledger.observe(sighted(1100, Seen::Netlink, Act::Closed, &client))), []);
}

#[test]
fn of_a_process_that_has_ended_what_was_known_while_it_ran_is_kept() {
    let web = socket("0.0.0.0:80", State::Listen, 1, 811);
    let close = |started: Duration| {
        let mut ledger = ledger(&[&web]);
        let known = testing::snapshot().processes[&Pid(811)].clone();
        let poor = Process { exe: None, started_at: known.started_at.map(|at| at + started), ..known };
        let gone = Sighting { at: at(10), seen: Seen::Kernel, act: Act::Closed, socket: web.clone(), gone: true };
        let (sightings, processes) = (vec![gone], BTreeMap::from([(Pid(811), poor)]));
        let all = Observation::Sightings { sightings, processes, spaces: Vec::new(), users: BTreeMap::new() };
        ledger.observe(all).snapshot.processes[&Pid(811)].exe.is_some()
    };
    assert!(close(Duration::from_millis(7)));
    assert!(!close(Duration::from_secs(7)), "another process with the same number");
}

/// What has changed of ports that are open in both tables.
fn compared(before: &Socket, after: &Socket) -> Vec<EventKind> {
    let (before, after) = (snapshot(0, vec![before.clone()]), snapshot(1000, vec![after.clone()]));
    let mut ledger = ledger(&[]);
    ledger.observe(Observation::Table(Box::new(after.clone())));
    let changes = ledger.compared(&join::listing(&before, None), &join::listing(&after, None));
    changes.events.iter().map(|event| event.kind).collect()
}

#[test]
fn more_or_fewer_who_can_reach_a_port_and_another_owner_are_told_by_two_tables() {
    let (loopback, any) = (socket("127.0.0.1:80", State::Listen, 1, 811), socket("0.0.0.0:80", State::Listen, 2, 811));
    assert_eq!(compared(&loopback, &any), [EventKind::ExposureWidened]);
    assert_eq!(compared(&any, &loopback), [EventKind::ExposureNarrowed]);
    let other = Socket { cookie: NonZeroU64::new(3), ..socket("0.0.0.0:80", State::Listen, 3, 700) };
    assert_eq!(compared(&any, &other), [EventKind::OwnerChanged]);
    assert_eq!(compared(&any, &any), []);
}

fn failed(ledger: &mut Ledger, asked: &Socket, reuseaddr: bool, on_port: Vec<Socket>) -> Changes {
    let act = Act::BindFailed { error: BindError::InUse, reuseaddr, reuseport: false, user: Some(Uid(33)), on_port };
    ledger.observe(sighted(1000, Seen::Kernel, act, asked))
}

/// The sockets that are named where this one could not be bound, by their cookies.
fn blockers(ledger: &mut Ledger, asked: &Socket, reuseaddr: bool, on_port: Vec<Socket>) -> Vec<u64> {
    let changes = failed(ledger, asked, reuseaddr, on_port);
    let cookie = |blocking: &Blocking| changes.snapshot.sockets[blocking.socket].cookie.unwrap().get();
    changes.events[0].blockers.iter().map(cookie).collect()
}

fn connection(state: State, cookie: u64, peer: u16) -> Socket {
    let peer = Some(Endpoint::new([198, 51, 100, 23].into(), peer));
    let connection = Socket { peer, ..socket("192.0.2.7:80", state, cookie, 811) };
    if state == State::TimeWait {
        let owner = Owner::Nobody(Nobody::TimeWait);
        return Socket { inode: None, uid: None, owner, ..connection };
    }
    connection
}

#[test]
fn a_listener_stands_for_its_connections_and_one_that_came_later_was_not_in_the_way() {
    let web = socket("0.0.0.0:80", State::Listen, 1, 811);
    let mut ledger = ledger(&[&web]);
    let later = socket("0.0.0.0:80", State::Listen, 9, 700);
    let on_port = vec![connection(State::Established, 2, 40000), web.clone(), later];
    let asked = Socket { cookie: None, ..socket("0.0.0.0:80", State::Bound, 0, 700) };
    assert_eq!(blockers(&mut ledger, &asked, true, on_port), [1]);
    // What the kernel told of when it was bound has no cookie yet.
    let bound = Socket { cookie: None, ..socket("0.0.0.0:82", State::Bound, 5, 811) };
    ledger.observe(sighted(900, Seen::Kernel, Act::Bound, &bound));
    let wanted = Socket { cookie: None, ..socket("0.0.0.0:82", State::Bound, 0, 700) };
    assert_eq!(
        failed(&mut ledger, &wanted, false, vec![Socket { cookie: NonZeroU64::new(5), ..bound }]).events[0]
            .blockers
            .len(),
        1
    );
    let elsewhere = Socket { cookie: None, ..socket("0.0.0.0:81", State::Bound, 0, 700) };
    assert!(blockers(&mut ledger, &elsewhere, true, Vec::new()).is_empty());
}

#[test]
fn without_a_listener_connections_and_time_wait_are_named_each_kind_once() {
    let mut ledger = ledger(&[]);
    let asked = Socket { cookie: None, ..socket("0.0.0.0:80", State::Bound, 0, 700) };
    let over = vec![connection(State::TimeWait, 3, 40000), connection(State::TimeWait, 4, 40001)];
    assert_eq!(blockers(&mut ledger, &asked, false, over.clone()), [3]);
    let alive = vec![connection(State::Established, 5, 40002), connection(State::Established, 6, 40003)];
    // With SO_REUSEADDR each of them may have been it: nobody knows whether they had set it too.
    let both = [over, alive].concat();
    assert_eq!(blockers(&mut ledger, &asked, true, both), [5, 3]);
}

#[test]
fn a_socket_of_both_families_is_in_the_way_of_ipv4_and_one_of_ipv6_alone_is_not() {
    let dual = Socket { v6only: Some(false), ..socket("[::]:80", State::Listen, 1, 811) };
    let asked = Socket { cookie: None, ..socket("0.0.0.0:80", State::Bound, 0, 700) };
    assert_eq!(blockers(&mut ledger(&[&dual]), &asked, true, Vec::new()), [1]);
    let only = Socket { v6only: Some(true), ..dual };
    assert!(blockers(&mut ledger(&[&only]), &asked, true, Vec::new()).is_empty());
}

#[test]
fn what_is_in_the_way_is_named_before_the_first_table_too() {
    let mut ledger = Ledger::new(Options { binds: Some(BindWay::OfItself), ..Options::default() }, None);
    let asked = Socket { cookie: None, ..socket("0.0.0.0:80", State::Bound, 0, 700) };
    assert_eq!(blockers(&mut ledger, &asked, true, vec![socket("0.0.0.0:80", State::Listen, 1, 811)]), [1]);
    assert_eq!(blockers(&mut ledger, &asked, false, vec![connection(State::TimeWait, 3, 40000)]), [3]);
}
