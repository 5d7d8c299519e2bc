//! The kernel's conflict rule: which sockets are in the way of a bind.
//!
//! Source: Linux, `inet_bind_conflict` in `net/ipv4/inet_connection_sock.c` (TCP), `udp_lib_lport_inuse` in
//! `net/ipv4/udp.c` (UDP), `__inet_bind` in `net/ipv4/af_inet.c` and `__inet6_bind` in `net/ipv6/af_inet6.c` (what is
//! looked at before). Devices of VRFs have tables of their own in newer kernels; the rule here takes them for plain
//! devices. Nobody tells which options other sockets have set, so an answer may depend on what is not known; the
//! kernel itself then has the word.

use crate::model::{Bind, Caller, Platform, Protocol, Refusal, Row, Socket, Space, State, Uid};

/// What the rule says of a bind.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Answer {
    /// Nothing is in the way.
    Bindable,
    /// It fails with this error.
    Refused(Refusal),
    /// It depends on options of other sockets, or on rights, that this run cannot see.
    Depends,
}

impl Answer {
    /// The name in JSON.
    pub const fn name(&self) -> &'static str {
        match self {
            Answer::Bindable => "bindable",
            Answer::Refused(_) => "refused",
            Answer::Depends => "depends",
        }
    }
}

/// How the addresses of a bind and of a socket that is in its way meet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Overlap {
    /// They are the same.
    Same,
    /// The socket has every address, the bind wants one of them.
    Covered,
    /// The bind wants every address, the socket has one of them.
    Covers,
    /// The socket is an IPv6 one that takes IPv4 too, the bind is for IPv4.
    TheirDualStack,
    /// The bind is for IPv6 and takes IPv4 too, where the socket is.
    OurDualStack,
}

impl Overlap {
    /// The name in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Overlap::Same => "same",
            Overlap::Covered => "covered-by-wildcard",
            Overlap::Covers => "covers-specific",
            Overlap::TheirDualStack => "their-dual-stack",
            Overlap::OurDualStack => "our-dual-stack",
        }
    }
}

/// A socket that is in the way of a bind.
#[derive(Clone, Copy, Debug)]
pub struct Blocker<'a> {
    /// The socket.
    pub row: &'a Row<'a>,
    /// How the addresses meet.
    pub overlap: Overlap,
    /// Whether it is in the way whatever options it has set.
    pub is_certain: bool,
}

/// What is known of the place where a bind is tried.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The port space.
    pub space: &'a Space,
    /// Who asks.
    pub caller: Caller,
    /// Why the address cannot be bound at any port.
    pub address: Option<&'a Refusal>,
}

/// What the rule says of a bind, and the sockets that it goes by.
#[derive(Clone, Debug)]
pub struct Judgement<'a> {
    /// What it says.
    pub answer: Answer,
    /// The sockets in the way, the foremost first; also where another error comes before them.
    pub blockers: Vec<Blocker<'a>>,
    /// Rules of the firewall that take what comes for the port, so that a socket there gets nothing.
    pub redirects: Vec<&'a Row<'a>>,
    /// Sockets on the same number in other port spaces, which are not in the way.
    pub elsewhere: Vec<&'a Row<'a>>,
}

/// Judges a bind by the sockets that were seen; those of other ports may be left out.
pub fn judge<'a>(bind: &Bind, rows: &[&'a Row<'a>], facts: &Facts<'_>) -> Judgement<'a> {
    let on_port = |row: &&Row<'_>| row.socket.protocol == bind.protocol && row.socket.local.port == bind.port;
    let (here, elsewhere): (Vec<&Row<'_>>, Vec<&Row<'_>>) =
        rows.iter().copied().filter(on_port).partition(|row| row.socket.space == facts.space.id);
    let (redirects, here): (Vec<_>, Vec<_>) =
        here.into_iter().partition(|row| row.socket.state == Some(State::Redirect));
    let blocker = |row: &&'a Row<'a>| {
        let overlap = overlap(bind, row.socket)?;
        let is_certain = blocks(bind, row.socket, facts.caller, is_shared(row.socket, &here))?;
        Some(Blocker { row, overlap, is_certain })
    };
    let mut blockers: Vec<Blocker<'_>> = here.iter().filter_map(blocker).collect();
    blockers.sort_by_key(|blocker| (prominence(blocker.row), !blocker.is_certain));
    Judgement {
        answer: answer(bind, facts, &blockers),
        blockers,
        redirects: redirects.into_iter().filter(|row| takes_from(row.socket, bind)).collect(),
        elsewhere,
    }
}

/// The errors in the order in which the kernel looks for them: IPv6 asks for the right before the address.
fn answer(bind: &Bind, facts: &Facts<'_>, blockers: &[Blocker<'_>]) -> Answer {
    let address = || facts.address.cloned().map(Answer::Refused);
    let before = match facts.address {
        Some(Refusal::Family | Refusal::NoDevice) => address(),
        _ if bind.address.is_ipv4() => address().or_else(|| privilege(bind, facts)),
        _ => privilege(bind, facts).or_else(address),
    };
    before.unwrap_or_else(|| {
        if blockers.is_empty() && is_set_apart(bind, facts) {
            Answer::Depends
        } else if blockers.is_empty() {
            Answer::Bindable
        } else if facts.caller.platform == Platform::Linux && blockers.iter().any(|blocker| blocker.is_certain) {
            Answer::Refused(Refusal::InUse)
        } else {
            Answer::Depends
        }
    })
}

/// Says whether the port lies in an excluded range of Windows. Those that an administrator made can be bound all the same,
/// and those of a driver (Hyper-V, WSL) cannot.
fn is_set_apart(bind: &Bind, facts: &Facts<'_>) -> bool {
    let mut reserved = facts.space.reserved.iter().flatten();
    facts.caller.platform == Platform::Windows && reserved.any(|range| range.contains(bind.port))
}

/// What the lack of a privilege does; nothing when none is needed or it is there.
fn privilege(bind: &Bind, facts: &Facts<'_>) -> Option<Answer> {
    if !is_privileged(bind, facts.space) {
        return None;
    }
    let is_self = bind.user.is_none() || bind.user == facts.caller.uid;
    let has_right = if is_self { facts.caller.is_privileged } else { Some(bind.user == Some(Uid(0))) };
    match has_right {
        Some(true) => None,
        Some(false) => Some(Answer::Refused(Refusal::Access)),
        None => Some(Answer::Depends),
    }
}

/// Says whether the port needs a privilege in this space.
pub fn is_privileged(bind: &Bind, space: &Space) -> bool {
    space.unprivileged_start.is_some_and(|start| u32::from(bind.port.get()) < start)
}

/// How the addresses and devices meet; nothing where they do not.
fn overlap(bind: &Bind, socket: &Socket) -> Option<Overlap> {
    let on_other_device = bind.device.as_deref().zip(socket.device.as_deref()).is_some_and(|(a, b)| a != b);
    let theirs = socket.reach();
    if on_other_device || !bind.reach().meets(theirs) {
        return None;
    }
    let (ours, address) = (bind.address.to_canonical(), socket.local.address.to_canonical());
    Some(match (ours.is_ipv4(), address.is_ipv4()) {
        (true, false) => Overlap::TheirDualStack,
        (false, true) => Overlap::OurDualStack,
        _ if ours == address => Overlap::Same,
        _ if address.is_unspecified() => Overlap::Covered,
        _ => Overlap::Covers,
    })
}

/// Says whether a socket whose addresses meet those of the bind is in its way for certain; nothing when it is not.
fn blocks(bind: &Bind, socket: &Socket, caller: Caller, is_shared: bool) -> Option<bool> {
    let user = bind.user.or(caller.uid);
    let same_user = user.zip(socket.uid).map(|(a, b)| a == b);
    let is_possible = |known: Option<bool>, value: bool| known.is_none_or(|known| known == value);
    let cases = (0..8u8).map(|bits| Older {
        reuseaddr: bits & 1 != 0,
        reuseport: bits & 2 != 0,
        same_user: bits & 4 != 0,
        state: socket.state,
    });
    let shares = is_shared.then_some(true);
    let possible = |older: &Older| is_possible(shares, older.reuseport) && is_possible(same_user, older.same_user);
    let answers: Vec<bool> = cases.filter(possible).map(|older| conflicts(bind, older)).collect();
    // An IPv6 socket that may or may not take IPv4 is only known to block where it does not matter.
    let is_sure_to_meet =
        socket.v6only.is_some() || bind.reach().meets(crate::model::Reach::of(socket.local.address, true));
    answers.contains(&true).then(|| !answers.contains(&false) && is_sure_to_meet)
}

/// What the kernel looks at in a socket that has the port already.
#[derive(Clone, Copy, Debug)]
struct Older {
    reuseaddr: bool,
    reuseport: bool,
    /// Whether it was made by the user that asks now (effective uid at socket(2)).
    same_user: bool,
    state: Option<State>,
}

/// The rule itself, for sockets whose addresses and devices meet.
fn conflicts(bind: &Bind, older: Older) -> bool {
    match bind.protocol {
        Protocol::Tcp if bind.reuseaddr && older.reuseaddr && older.state != Some(State::Listen) => false,
        Protocol::Tcp => {
            let may_share = older.same_user || older.state == Some(State::TimeWait);
            !(bind.reuseport && older.reuseport && may_share)
        }
        Protocol::Udp if bind.reuseaddr && older.reuseaddr => false,
        Protocol::Udp => !(bind.reuseport && older.reuseport && older.same_user),
    }
}

/// Says whether several listeners have the very same address: then all of them have set `SO_REUSEPORT`.
fn is_shared(socket: &Socket, others: &[&Row<'_>]) -> bool {
    let is_twin = |other: &&&Row<'_>| {
        let other = other.socket;
        other.state == Some(State::Listen)
            && (other.local, other.family, &other.device, other.v6only)
                == (socket.local, socket.family, &socket.device, socket.v6only)
    };
    socket.state == Some(State::Listen) && others.iter().filter(is_twin).count() > 1
}

/// Says whether the rule takes what comes for the address. Rules for published ports leave loopback alone unless they
/// name it.
fn takes_from(redirect: &Socket, bind: &Bind) -> bool {
    let is_loopback = |address: std::net::IpAddr| address.to_canonical().is_loopback();
    redirect.reach().meets(bind.reach()) && (!is_loopback(bind.address) || is_loopback(redirect.local.address))
}

/// Listeners stand for the connections that they accepted; what is over comes last.
fn prominence(row: &Row<'_>) -> u8 {
    match row.socket.state {
        Some(State::Listen) => 0,
        Some(State::Bound) | None => 1,
        Some(State::Unconnected | State::Close) => 2,
        Some(State::TimeWait) => 4,
        Some(_) => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_os = "linux")]
    use crate::collect::probe;
    use crate::model::{
        Endpoint, Forward, ForwardedBy, Listing, Nobody, Owner, Pid, Port, Reach, Snapshot, SpaceId, SpaceKind,
    };
    use crate::{join, testing};

    const CALLER: Caller = Caller { platform: Platform::Linux, uid: Some(Uid(1000)), is_privileged: Some(false) };

    fn bind(address: &str, port: u16) -> Bind {
        Bind::plain(Protocol::Tcp, address.parse().unwrap(), Port::new(port))
    }

    fn rows<'a>(listing: &'a Listing<'a>) -> Vec<&'a Row<'a>> {
        listing.rows.iter().collect()
    }

    /// What the rule says of a bind on the host of `testing`, and how many sockets are in the way.
    fn judged(snapshot: &Snapshot, bind: &Bind, caller: Caller, address: Option<&Refusal>) -> (Answer, usize) {
        let listing = join::listing(snapshot, None);
        let judgement = judge(bind, &rows(&listing), &Facts { space: &snapshot.spaces[0], caller, address });
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
        let agrees = answer == if expected { Err(Refusal::InUse) } else { Ok(()) };
        if agrees { Ok(expected) } else { Err(format!("{older:?} listens: {listens}\n{newer:?}\n{answer:?}")) }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn c13_the_rule_agrees_with_the_kernel_for_every_pair_of_addresses_and_options() {
        let binds =
            |protocol| PLACES.into_iter().flat_map(move |place| OPTIONS.map(|options| with(protocol, place, options)));
        let mut count = 0;
        for (protocol, listens) in [(Protocol::Tcp, false), (Protocol::Tcp, true), (Protocol::Udp, false)] {
            for (older, newer) in
                binds(protocol).flat_map(|older| binds(protocol).map(move |newer| (older.clone(), newer)))
            {
                // Another process may have the port at another address; not each time.
                let attempt = || refused(&older, listens, &newer);
                count += usize::from(attempt().or_else(|_| attempt()).or_else(|_| attempt()).unwrap());
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
            let answer = if blockers == 0 { Answer::Bindable } else { Answer::Refused(Refusal::InUse) };
            assert_eq!(judged(&snapshot, &bind(address, port), low, None), (answer, blockers), "{address} {port}");
        }
    }

    #[test]
    fn the_first_error_is_that_of_the_kernel() {
        let mut snapshot = testing::snapshot();
        snapshot.spaces[0].unprivileged_start = Some(1024);
        let gone = Refusal::NotAvailable;
        for (address, missing, error) in [
            ("0.0.0.0", None, Refusal::Access),
            ("10.9.9.9", Some(&gone), Refusal::NotAvailable),
            ("2001:db8::1", Some(&gone), Refusal::Access),
            ("::", Some(&Refusal::Family), Refusal::Family),
        ] {
            assert_eq!(judged(&snapshot, &bind(address, 443), CALLER, missing).0, Answer::Refused(error), "{address}");
        }
        let root = Bind { user: Some(Uid(0)), ..bind("127.0.0.1", 80) };
        assert_eq!(judged(&snapshot, &root, CALLER, None).0, Answer::Bindable);
        let unknown = Caller { is_privileged: None, ..CALLER };
        assert_eq!(judged(&snapshot, &bind("127.0.0.1", 80), unknown, None).0, Answer::Depends);
    }

    #[test]
    fn what_depends_on_options_that_nobody_tells_is_said_to() {
        let mut snapshot = testing::snapshot();
        let reuseport = |port| Bind { reuseport: true, ..bind("127.0.0.1", port) };
        // Made by uid 114: another user can never share it, the same one can if it has set the option.
        assert_eq!(judged(&snapshot, &reuseport(5432), CALLER, None).0, Answer::Refused(Refusal::InUse));
        let owner = Caller { uid: Some(Uid(114)), ..CALLER };
        assert_eq!(judged(&snapshot, &reuseport(5432), owner, None).0, Answer::Depends);
        // A second listener on the very same address shows that it has.
        let twin = snapshot.sockets[3].clone();
        snapshot.sockets.push(twin);
        assert_eq!(judged(&snapshot, &reuseport(5432), owner, None), (Answer::Bindable, 0));
        // A listener never shares by SO_REUSEADDR, a connection that is over does.
        let reuseaddr = |port| Bind { reuseaddr: true, ..bind("0.0.0.0", port) };
        assert_eq!(judged(&snapshot, &reuseaddr(5432), CALLER, None).0, Answer::Refused(Refusal::InUse));
        assert_eq!(judged(&snapshot, &reuseaddr(40000), CALLER, None).0, Answer::Depends);
        assert_eq!(judged(&snapshot, &bind("0.0.0.0", 40000), CALLER, None).0, Answer::Refused(Refusal::InUse));
    }

    #[test]
    fn c14_sockets_of_two_devices_do_not_meet_and_one_without_meets_both() {
        let mut snapshot = testing::snapshot();
        snapshot.sockets[3].device = Some("lo".to_owned());
        let on = |device: &str| Bind { device: Some(device.to_owned()), ..bind("127.0.0.1", 5432) };
        assert_eq!(judged(&snapshot, &on("tt0"), CALLER, None).0, Answer::Bindable);
        assert_eq!(judged(&snapshot, &on("lo"), CALLER, None).0, Answer::Refused(Refusal::InUse));
        assert_eq!(judged(&snapshot, &bind("127.0.0.1", 5432), CALLER, None).0, Answer::Refused(Refusal::InUse));
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
        let facts = Facts { space: &snapshot.spaces[0], caller: CALLER, address: None };
        let judgement = judge(&bind("0.0.0.0", 5432), &rows(&listing), &facts);
        assert_eq!((judgement.answer, judgement.blockers.len()), (Answer::Bindable, 0));
        assert_eq!(judgement.elsewhere.len(), 2);
    }

    #[test]
    fn c15_a_published_port_is_bound_in_vain_except_on_loopback() {
        let mut snapshot = testing::snapshot();
        let mut published = snapshot.sockets[2].clone();
        published.local = Endpoint::new("0.0.0.0".parse().unwrap(), 8080);
        published.state = Some(State::Redirect);
        published.owner = Owner::Nobody(Nobody::Redirected);
        let to = Endpoint::new("172.17.0.2".parse().unwrap(), 80).into();
        published.forward = Some(Box::new(Forward { by: ForwardedBy::Nat, to, container: None }));
        snapshot.sockets.push(published);
        let listing = join::listing(&snapshot, None);
        let facts = Facts { space: &snapshot.spaces[0], caller: CALLER, address: None };
        for (address, redirects) in [("0.0.0.0", 1), ("192.0.2.7", 1), ("::", 1), ("127.0.0.1", 0), ("::1", 0)] {
            let judgement = judge(&bind(address, 8080), &rows(&listing), &facts);
            assert_eq!((judgement.answer, judgement.redirects.len()), (Answer::Bindable, redirects), "{address}");
        }
    }

    #[test]
    fn an_ipv6_socket_that_may_refuse_ipv4_is_not_sure_to_be_in_its_way() {
        let mut snapshot = testing::snapshot();
        snapshot.sockets[4].local.address = "::".parse().unwrap();
        snapshot.sockets.remove(3);
        assert_eq!(judged(&snapshot, &bind("127.0.0.1", 5432), CALLER, None), (Answer::Depends, 1));
        assert_eq!(judged(&snapshot, &bind("::1", 5432), CALLER, None).0, Answer::Refused(Refusal::InUse));
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
}
