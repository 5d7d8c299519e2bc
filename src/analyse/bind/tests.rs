//! The rule beside the kernel for every pair of addresses and options, and what it says where something is not known.

use super::*;
#[cfg(target_os = "linux")]
use crate::collect::probe;
use crate::join;
use crate::model::{
    Destination, Family, Lead, Listing, Pid, Port, PortRange, Reach, Redirect, Redirection, RuleName, Snapshot,
    SpaceId, SpaceKind, ToPort,
};

/// That of all tests, with the numbers that need a privilege on Linux.
mod testing {
    use crate::model::Snapshot;

    pub fn snapshot() -> Snapshot {
        let mut snapshot = crate::testing::snapshot();
        snapshot.spaces[0].unprivileged_start = Some(1024);
        snapshot
    }
}

const CALLER: Caller = Caller { platform: Platform::Linux, uid: Some(Uid(1000)), is_privileged: Some(false) };

fn bind(address: &str, port: u16) -> Bind {
    Bind::plain(Protocol::Tcp, address.parse().unwrap(), Port::new(port))
}

fn rows<'a>(listing: &'a Listing<'a>) -> Vec<&'a Row<'a>> {
    listing.rows.iter().collect()
}

/// What the rule says of a bind on the host of `testing`, and how many sockets are in the way.
fn judged(snapshot: &Snapshot, bind: &Bind, caller: Caller, address: Option<&BindError>) -> (Answer, usize) {
    let listing = join::listing(snapshot, None);
    let judgement =
        judge(bind, &rows(&listing), &Facts { space: &snapshot.spaces[0], caller, address, redirects: None });
    (judgement.answer, judgement.blockers.len())
}

#[cfg(target_os = "linux")]
const PLACES: [(&str, bool); 5] =
    [("0.0.0.0", false), ("127.0.0.1", false), ("::", false), ("::", true), ("::1", false)];
#[cfg(target_os = "linux")]
const OPTIONS: [(bool, bool); 4] = [(false, false), (true, false), (false, true), (true, true)];

#[cfg(target_os = "linux")]
fn with(protocol: Protocol, place: (&str, bool), options: (bool, bool)) -> Bind {
    let (reuseaddr, reuseport) = options;
    Bind { protocol, v6only: place.1, reuseaddr, reuseport, ..bind(place.0, 0) }
}

/// Says whether the rule refuses the newer bind beside the older one, once the kernel has said the same.
#[cfg(target_os = "linux")]
fn refused(older: &Bind, listens: bool, newer: &Bind) -> Result<bool, String> {
    // A fresh port for each pair: the kernel remembers options of sockets that are closed.
    let held = probe::hold(older).unwrap();
    if listens {
        held.listen();
    }
    let newer = Bind { port: held.port(), ..newer.clone() };
    let state = listens.then_some(State::Listen);
    let facts = Older { reuseaddr: older.reuseaddr, reuseport: older.reuseport, same_user: true, state };
    let expected = newer.reach().meets(older.reach()) && conflicts(&newer, facts);
    let answer = probe::probe(&newer);
    let agrees = answer == if expected { Err(BindError::InUse) } else { Ok(()) };
    if agrees { Ok(expected) } else { Err(format!("{older:?} listens: {listens}\n{newer:?}\n{answer:?}")) }
}

#[cfg(target_os = "linux")]
#[test]
fn the_rule_agrees_with_the_kernel_for_every_pair_of_addresses_and_options() {
    let binds =
        |protocol| PLACES.into_iter().flat_map(move |place| OPTIONS.map(|options| with(protocol, place, options)));
    let mut count = 0;
    for (protocol, listens) in [(Protocol::Tcp, false), (Protocol::Tcp, true), (Protocol::Udp, false)] {
        for (older, newer) in binds(protocol).flat_map(|older| binds(protocol).map(move |newer| (older.clone(), newer)))
        {
            // Another process may have the port at another address; on a crowded host often, but not each time.
            let attempt = || refused(&older, listens, &newer);
            count += usize::from((0..20).find_map(|_| attempt().ok()).map_or_else(attempt, Ok).unwrap());
        }
    }
    assert!(count > 300, "{count}");
}

#[test]
fn a_listener_is_in_the_way_of_what_it_overlaps() {
    let snapshot = testing::snapshot();
    for (address, port, blockers) in [
        ("127.0.0.1", 443, 1),
        ("0.0.0.0", 443, 2),
        ("192.0.2.7", 443, 2),
        ("::", 443, 2),
        ("::1", 443, 0),
        ("127.0.0.2", 5432, 0),
        ("::", 5432, 2),
        ("0.0.0.0", 5433, 0),
    ] {
        let low = Caller { is_privileged: Some(true), ..CALLER };
        let answer = if blockers == 0 { Answer::Bindable } else { Answer::Refused(BindError::InUse) };
        assert_eq!(judged(&snapshot, &bind(address, port), low, None), (answer, blockers), "{address} {port}");
    }
}

#[test]
fn the_first_error_is_that_of_the_kernel() {
    let snapshot = testing::snapshot();
    let gone = BindError::NotAvailable;
    for (address, missing, error) in [
        ("0.0.0.0", None, BindError::Access),
        ("10.9.9.9", Some(&gone), BindError::NotAvailable),
        ("2001:db8::1", Some(&gone), BindError::Access),
        ("::", Some(&BindError::Family), BindError::Family),
    ] {
        assert_eq!(judged(&snapshot, &bind(address, 443), CALLER, missing).0, Answer::Refused(error), "{address}");
    }
    let root = Bind { user: Some(Uid(0)), ..bind("127.0.0.1", 80) };
    assert_eq!(judged(&snapshot, &root, CALLER, None).0, Answer::Bindable);
    let unknown = Caller { is_privileged: None, ..CALLER };
    assert_eq!(judged(&snapshot, &bind("127.0.0.1", 80), unknown, None).0, Answer::Depends);
}

#[test]
fn what_needs_a_privilege_is_not_taken_for_known_where_the_space_does_not_tell() {
    let mut snapshot = testing::snapshot();
    snapshot.spaces[0].unprivileged_start = None;
    let judged = |port, caller| judged(&snapshot, &bind("127.0.0.1", port), caller, None).0;
    // An administrator may have moved the border up as well as down.
    assert_eq!((judged(80, CALLER), judged(8080, CALLER)), (Answer::Depends, Answer::Depends));
    let root = Caller { uid: Some(Uid(0)), is_privileged: Some(true), ..CALLER };
    assert_eq!(judged(80, root), Answer::Bindable);
    let mac = Caller { platform: Platform::MacOs, is_privileged: None, ..CALLER };
    assert_eq!((judged(80, mac), judged(8080, mac)), (Answer::Depends, Answer::Bindable));
    assert_eq!(judged(80, Caller { uid: Some(Uid(0)), ..mac }), Answer::Bindable);
}

#[test]
fn an_ipv6_client_that_could_take_ipv4_may_be_in_the_way_of_every_ipv4_address_only() {
    let mut snapshot = testing::snapshot();
    snapshot.sockets.remove(3);
    snapshot.sockets[3].state = Some(State::Established);
    let mac = Caller { platform: Platform::MacOs, ..CALLER };
    for (v6only, state, address, caller, answer) in [
        (None, Some(State::Established), "0.0.0.0", CALLER, Answer::Depends),
        (None, Some(State::TimeWait), "0.0.0.0", CALLER, Answer::Depends),
        (None, None, "0.0.0.0", CALLER, Answer::Depends),
        (None, Some(State::Established), "127.0.0.1", CALLER, Answer::Bindable),
        (None, Some(State::Established), "::ffff:0.0.0.0", CALLER, Answer::Bindable),
        (None, Some(State::Established), "::", CALLER, Answer::Refused(BindError::InUse)),
        (None, Some(State::Established), "0.0.0.0", mac, Answer::Bindable),
        (Some(true), Some(State::Established), "0.0.0.0", CALLER, Answer::Bindable),
        // What is bound to one address leaves IPv4 alone, whatever the option was before.
        (None, Some(State::Listen), "0.0.0.0", CALLER, Answer::Bindable),
        (None, Some(State::Bound), "0.0.0.0", CALLER, Answer::Bindable),
    ] {
        (snapshot.sockets[3].v6only, snapshot.sockets[3].state) = (v6only, state);
        let judged = judged(&snapshot, &bind(address, 5432), caller, None).0;
        assert_eq!(judged, answer, "{v6only:?} {state:?} {address}");
    }
}

#[test]
fn what_depends_on_options_that_nobody_tells_is_said_to() {
    let mut snapshot = testing::snapshot();
    let reuseport = |port| Bind { reuseport: true, ..bind("127.0.0.1", port) };
    // Made by uid 114: another user can never share it, the same one can if it has set the option.
    assert_eq!(judged(&snapshot, &reuseport(5432), CALLER, None).0, Answer::Refused(BindError::InUse));
    let owner = Caller { uid: Some(Uid(114)), ..CALLER };
    assert_eq!(judged(&snapshot, &reuseport(5432), owner, None).0, Answer::Depends);
    // A second listener on the very same address shows that it has.
    let twin = snapshot.sockets[3].clone();
    snapshot.sockets.push(twin);
    assert_eq!(judged(&snapshot, &reuseport(5432), owner, None), (Answer::Bindable, 0));
    // A listener never shares by SO_REUSEADDR, a connection that is over does.
    let reuseaddr = |port| Bind { reuseaddr: true, ..bind("0.0.0.0", port) };
    assert_eq!(judged(&snapshot, &reuseaddr(5432), CALLER, None).0, Answer::Refused(BindError::InUse));
    assert_eq!(judged(&snapshot, &reuseaddr(40000), CALLER, None).0, Answer::Depends);
    assert_eq!(judged(&snapshot, &bind("0.0.0.0", 40000), CALLER, None).0, Answer::Refused(BindError::InUse));
}

#[test]
fn sockets_of_two_devices_do_not_meet_and_one_without_meets_both() {
    let mut snapshot = testing::snapshot();
    snapshot.sockets[3].device = Some("lo".into());
    let on = |device: &str| Bind { device: Some(device.to_owned()), ..bind("127.0.0.1", 5432) };
    assert_eq!(judged(&snapshot, &on("tt0"), CALLER, None).0, Answer::Bindable);
    assert_eq!(judged(&snapshot, &on("lo"), CALLER, None).0, Answer::Refused(BindError::InUse));
    assert_eq!(judged(&snapshot, &bind("127.0.0.1", 5432), CALLER, None).0, Answer::Refused(BindError::InUse));
}

#[test]
fn the_same_number_in_another_space_is_no_conflict() {
    let mut snapshot = testing::snapshot();
    let web = crate::model::Space::new(SpaceId(7), SpaceKind::Container, "web".into(), snapshot.socket_source);
    snapshot.spaces.push(web);
    for socket in &mut snapshot.sockets {
        socket.space = SpaceId(7);
    }
    let listing = join::listing(&snapshot, None);
    let facts = Facts { space: &snapshot.spaces[0], caller: CALLER, address: None, redirects: None };
    let judgement = judge(&bind("0.0.0.0", 5432), &rows(&listing), &facts);
    assert_eq!((judgement.answer, judgement.blockers.len()), (Answer::Bindable, 0));
    assert_eq!(judgement.elsewhere.len(), 2);
}

#[test]
fn a_published_port_is_bound_in_vain_except_on_loopback() {
    let snapshot = testing::snapshot();
    let to = Destination { address: "172.17.0.2".parse().unwrap(), port: ToPort::Same };
    let rule = RuleName { table: "iptables nat".to_owned(), chain: "DOCKER".to_owned(), number: 2 };
    let outside = Redirection::Certain(Lead { to, rule, service: None });
    let redirect = |family| Redirect {
        protocol: Protocol::Tcp,
        family,
        addresses: None,
        ports: PortRange::single(Port::new(8080)),
        reachability: Reachability { outside: outside.clone(), ..Reachability::default() },
    };
    let both = Redirects { found: vec![redirect(Family::Ipv4), redirect(Family::Ipv6)], is_unread: false };
    let one = Redirects { found: vec![redirect(Family::Ipv4)], is_unread: false };
    let listing = join::listing(&snapshot, None);
    let is_in_vain = |redirects, address: &str| {
        let facts = Facts { space: &snapshot.spaces[0], caller: CALLER, address: None, redirects: Some(redirects) };
        let judgement = judge(&bind(address, 8080), &rows(&listing), &facts);
        assert_eq!(judgement.answer, Answer::Bindable, "{address}");
        judgement.reachability.instead_of(address.parse().unwrap()).is_some()
    };
    let addresses = ["0.0.0.0", "192.0.2.7", "::", "127.0.0.1", "::1"];
    assert_eq!(addresses.map(|address| is_in_vain(&both, address)), [true, true, true, false, false]);
    assert_eq!(addresses.map(|address| is_in_vain(&one, address)), [true, true, false, false, false]);
}

#[test]
fn an_ipv6_socket_that_may_refuse_ipv4_is_not_sure_to_be_in_its_way() {
    let mut snapshot = testing::snapshot();
    snapshot.sockets[4].local.address = "::".parse().unwrap();
    snapshot.sockets.remove(3);
    assert_eq!(judged(&snapshot, &bind("127.0.0.1", 5432), CALLER, None), (Answer::Depends, 1));
    assert_eq!(judged(&snapshot, &bind("::1", 5432), CALLER, None).0, Answer::Refused(BindError::InUse));
    snapshot.sockets[3].v6only = Some(true);
    assert_eq!(judged(&snapshot, &bind("127.0.0.1", 5432), CALLER, None), (Answer::Bindable, 0));
    assert_eq!(snapshot.sockets[3].reach(), Reach { ipv4: None, ipv6: Some(std::net::Ipv6Addr::UNSPECIFIED) });
    assert_eq!(snapshot.sockets[3].owner.holders()[0].pid, Pid(700));
}

#[test]
fn on_other_systems_the_kernel_has_the_word() {
    let mac = Caller { platform: Platform::MacOs, ..CALLER };
    assert_eq!(judged(&testing::snapshot(), &bind("127.0.0.1", 5432), mac, None).0, Answer::Depends);
    assert_eq!(judged(&testing::snapshot(), &bind("127.0.0.1", 5433), mac, None).0, Answer::Bindable);
}
