//! The kernel's conflict rule: which sockets are in the way of a bind.
//!
//! Source: Linux, `inet_bind_conflict` in `net/ipv4/inet_connection_sock.c` (TCP), `udp_lib_lport_inuse` in
//! `net/ipv4/udp.c` (UDP), `__inet_bind` in `net/ipv4/af_inet.c` and `__inet6_bind` in `net/ipv6/af_inet6.c` (what is
//! looked at before). Devices of VRFs have tables of their own in newer kernels; the rule here takes them for plain
//! devices. Nobody tells which options other sockets have set, so an answer may depend on what is not known; the
//! kernel itself then has the word.

use crate::model::{
    Bind, BindError, Caller, Family, Platform, Protocol, Reach, Reachability, Redirects, Row, Socket, Space, State, Uid,
};

/// What the rule says of a bind.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Answer {
    /// Nothing is in the way.
    Bindable,
    /// It fails with this error.
    Refused(BindError),
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
    /// The socket is an IPv6 one that took IPv4 too before it was connected: every IPv4 address is still too many.
    TheirFormerDualStack,
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
            Overlap::TheirFormerDualStack => "their-former-dual-stack",
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
    pub address: Option<&'a BindError>,
    /// What the firewall's rules do in the space, where that is known.
    pub redirects: Option<&'a Redirects>,
}

/// What the rule says of a bind, and the sockets that it goes by.
#[derive(Clone, Debug)]
pub struct Judgement<'a> {
    /// What it says.
    pub answer: Answer,
    /// The sockets in the way, the foremost first; also where another error comes before them.
    pub blockers: Vec<Blocker<'a>>,
    /// Sockets that receive on an address of the bind, whether or not they are in its way: where it succeeds all the same,
    /// it takes from them or shares with them.
    pub beside: Vec<Blocker<'a>>,
    /// What the firewall does to what is sent to the port.
    pub reachability: Reachability,
    /// The rows of ports that are published without a socket and would be this one.
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
        let overlap = overlap(bind, row.socket, facts.caller.platform)?;
        let is_certain = blocks(bind, row.socket, facts.caller, is_shared(row.socket, &here))?;
        Some(Blocker { row, overlap, is_certain })
    };
    let mut blockers: Vec<Blocker<'_>> = here.iter().filter_map(blocker).collect();
    blockers.sort_by_key(|blocker| (prominence(blocker.row), !blocker.is_certain));
    let receiver = |row: &&'a Row<'a>| {
        let overlap = overlap(bind, row.socket, facts.caller.platform).filter(|_| receives(row.socket))?;
        Some(Blocker { row, overlap, is_certain: false })
    };
    let beside = here.iter().filter_map(receiver).collect();
    Judgement {
        answer: answer(bind, facts, &blockers),
        blockers,
        beside,
        reachability: reachability(bind, facts),
        redirects: redirects.into_iter().filter(|row| row.socket.reach().meets(bind.reach())).collect(),
        elsewhere,
    }
}

/// Says whether the socket receives what any peer sends, or is about to: a connection keeps its port, whatever else is bound.
fn receives(socket: &Socket) -> bool {
    match socket.protocol {
        Protocol::Tcp => matches!(socket.state, Some(State::Listen | State::Bound)),
        Protocol::Udp | Protocol::UdpLite => matches!(socket.state, None | Some(State::Unconnected)),
    }
}

/// The errors in the order in which the kernel looks for them: IPv6 asks for the right before the address.
fn answer(bind: &Bind, facts: &Facts<'_>, blockers: &[Blocker<'_>]) -> Answer {
    let address = || facts.address.cloned().map(Answer::Refused);
    let before = match facts.address {
        Some(BindError::Family | BindError::NoDevice | BindError::Invalid) => address(),
        _ if bind.address.is_ipv4() => address().or_else(|| privilege(bind, facts)),
        _ => privilege(bind, facts).or_else(address),
    };
    before.unwrap_or_else(|| {
        if blockers.is_empty() && is_set_apart(bind, facts) {
            Answer::Depends
        } else if blockers.is_empty() {
            Answer::Bindable
        } else if facts.caller.platform == Platform::Linux && blockers.iter().any(|blocker| blocker.is_certain) {
            Answer::Refused(BindError::InUse)
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
    let is_needed = needs_privilege(bind, facts);
    let Caller { platform, uid, is_privileged } = facts.caller;
    let is_self = bind.user.is_none() || bind.user == uid;
    let is_root = bind.user.or(uid) == Some(Uid(0));
    let has_right = match is_privileged {
        _ if !is_self => Some(is_root),
        // Only Linux takes rights from root.
        None if is_root && platform != Platform::Linux => Some(true),
        known => known,
    };
    match (is_needed, has_right) {
        (Some(false), _) | (_, Some(true)) => None,
        (Some(true), Some(false)) => Some(Answer::Refused(BindError::Access)),
        (None, _) | (_, None) => Some(Answer::Depends),
    }
}

/// Says whether the port needs a privilege in this space; nothing where the space does not tell from where on none is
/// needed. Linux lets an administrator move that number both ways, the others do not let it rise.
pub fn needs_privilege(bind: &Bind, facts: &Facts<'_>) -> Option<bool> {
    /// Unix's old rule.
    const USUAL_START: u32 = 1024;
    let port = u32::from(bind.port.get());
    match facts.space.unprivileged_start {
        Some(start) => Some(port < start),
        None if facts.caller.platform != Platform::Linux && port >= USUAL_START => Some(false),
        None => None,
    }
}

/// How the addresses and devices meet; nothing where they do not.
fn overlap(bind: &Bind, socket: &Socket, platform: Platform) -> Option<Overlap> {
    let on_other_device = bind.device.as_deref().zip(socket.device.as_deref()).is_some_and(|(a, b)| a != b);
    if on_other_device {
        return None;
    }
    if !bind.reach().meets(socket.reach()) {
        let is_former = platform == Platform::Linux
            && bind.address.is_ipv4()
            && may_be_formerly_dual_stack(socket)
            && bind.reach().meets(Reach::of_connected(socket.local.address));
        return is_former.then_some(Overlap::TheirFormerDualStack);
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

/// Says whether it may be an IPv6 socket that took IPv4 too until it was connected. The kernel tells `IPV6_V6ONLY` of
/// sockets without a peer only, and a bind to one address sets it (`__inet6_bind`).
fn may_be_formerly_dual_stack(socket: &Socket) -> bool {
    let has_no_peer = matches!(
        socket.state,
        Some(State::Listen | State::Bound | State::Unconnected | State::Close | State::Redirect)
    );
    socket.family == Family::Ipv6 && !has_no_peer && socket.v6only != Some(true)
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
    let is_sure_to_meet = socket.v6only.is_some() || bind.reach().meets(Reach::of(socket.local.address, true));
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
        Protocol::Udp | Protocol::UdpLite if bind.reuseaddr && older.reuseaddr => false,
        Protocol::Udp | Protocol::UdpLite => !(bind.reuseport && older.reuseport && older.same_user),
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

/// What the firewall would do to what is sent to the socket.
fn reachability(bind: &Bind, facts: &Facts<'_>) -> Reachability {
    let of = |redirects: &Redirects| redirects.of(bind.protocol, bind.reach(), bind.port);
    facts.redirects.map(of).unwrap_or_default()
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
mod tests;
