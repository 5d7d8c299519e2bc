//! Why a bind fails, or succeeds but cannot be reached: one word for each cause, drawn from the rule and from the kernel's answer.

use super::bind::{Answer, Blocker, Facts, Judgement, Overlap};
pub use super::squatter::Squatter;
use crate::model::{Bind, BindError, Pid, Platform, Port, Protocol, Row, Service, State};

/// What the kernel said to a real bind.
pub type Probe = Result<(), BindError>;

/// How a bind comes out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// It succeeds.
    Bindable,
    /// It succeeds beside another socket that receives there: it takes from that one, or the two share.
    Shared,
    /// It succeeds, and a rule of the firewall takes what comes for the port.
    Shadowed,
    /// It fails with this error.
    Refused(BindError),
    /// Only the kernel knows, and it was not asked.
    Unknown,
}

impl Outcome {
    /// The name in JSON.
    pub const fn name(&self) -> &'static str {
        match self {
            Outcome::Bindable => "bindable",
            Outcome::Shared => "shared",
            Outcome::Shadowed => "shadowed",
            Outcome::Refused(_) => "refused",
            Outcome::Unknown => "unknown",
        }
    }
}

/// Why.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Cause {
    /// A socket that serves the port: TCP LISTEN, or UDP without a peer on a port that a program chose.
    Listener,
    /// The same, held by systemd for a unit that starts on demand.
    Activation,
    /// A TCP socket that is bound and does not listen.
    Bound,
    /// Connections that are over; the kernel keeps their numbers for a minute.
    TimeWait,
    /// A client to which the kernel gave the port from the ephemeral range.
    Client,
    /// A connection on a port that a program chose: of a server that listens no more, or of a client that bound it.
    Connection,
    /// The port needs a privilege.
    Privileged,
    /// A rule of the system: on Windows a range that is set apart.
    Excluded,
    /// No interface of this port space has the address.
    AddressNotHere,
    /// The system does not do the family.
    NoFamily,
    /// There is no such interface.
    NoDevice,
    /// An address of many hosts, which this protocol does not do.
    Multicast,
    /// The firewall sends what comes for the port elsewhere.
    Redirected,
    /// The kernel refuses it, and nothing that this run can see is in the way.
    Unseen,
    /// What the kernel says has no place in this list.
    Other,
}

impl Cause {
    /// The name in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Cause::Listener => "listener",
            Cause::Activation => "activation",
            Cause::Bound => "bound",
            Cause::TimeWait => "time-wait",
            Cause::Client => "client",
            Cause::Connection => "connection",
            Cause::Privileged => "privileged",
            Cause::Excluded => "excluded",
            Cause::AddressNotHere => "address-not-here",
            Cause::NoFamily => "no-family",
            Cause::NoDevice => "no-device",
            Cause::Multicast => "multicast",
            Cause::Redirected => "redirected",
            Cause::Unseen => "unseen",
            Cause::Other => "other",
        }
    }

    /// Says whether it is a socket.
    const fn is_socket(self) -> bool {
        matches!(
            self,
            Cause::Listener | Cause::Activation | Cause::Bound | Cause::TimeWait | Cause::Client | Cause::Connection
        )
    }
}

/// All that is known of one bind.
#[derive(Clone, Debug)]
pub struct Verdict<'a> {
    /// What was asked.
    pub bind: Bind,
    /// What the rule says, and by which sockets.
    pub judgement: Judgement<'a>,
    /// What the kernel said; absent when it was not asked.
    pub probe: Option<Probe>,
    /// What it says without `SO_REUSEADDR`; absent when it was not asked or the bind has none, or fails with it.
    pub without_reuseaddr: Option<Probe>,
    /// What it says when `SO_REUSEADDR` is set; absent when it was not asked or the bind succeeds without.
    pub with_reuseaddr: Option<Probe>,
    /// The same for `SO_REUSEPORT`.
    pub with_reuseport: Option<Probe>,
    /// Whether the address was only tried because it is one of the usual ones: that it is not there is no failure.
    pub is_usual: bool,
    /// How it comes out.
    pub outcome: Outcome,
    /// Why it does not succeed, or succeeds but cannot be reached.
    pub cause: Option<Cause>,
}

/// Every answer about one port.
#[derive(Clone, Debug)]
pub struct Checked<'a> {
    /// The port.
    pub port: Port,
    /// What it is assigned to, by protocol.
    pub services: Vec<(Protocol, Service<'a>)>,
    /// The answers, by protocol and address.
    pub verdicts: Vec<Verdict<'a>>,
}

impl<'a> Verdict<'a> {
    /// Joins what the rule says with what the kernel said; the kernel has the last word.
    pub fn new(bind: Bind, judgement: Judgement<'a>, probe: Option<Probe>, facts: &Facts<'_>) -> Verdict<'a> {
        let outcome = match (&probe, &judgement.answer) {
            (Some(Err(refusal)), _) | (None, Answer::Refused(refusal)) => Outcome::Refused(refusal.clone()),
            (None, Answer::Depends) => Outcome::Unknown,
            (Some(Ok(())), _) | (None, Answer::Bindable)
                if judgement.reachability.instead_of(bind.address).is_some() =>
            {
                Outcome::Shadowed
            }
            // Each socket of a multicast group gets its own copy.
            (Some(Ok(())), _) | (None, Answer::Bindable)
                if judgement.beside.is_empty() || bind.address.is_multicast() =>
            {
                Outcome::Bindable
            }
            (Some(Ok(())), _) | (None, Answer::Bindable) => Outcome::Shared,
        };
        let cause = cause(&bind, &outcome, &judgement, facts);
        Verdict {
            bind,
            judgement,
            probe,
            without_reuseaddr: None,
            with_reuseaddr: None,
            with_reuseport: None,
            is_usual: false,
            outcome,
            cause,
        }
    }

    /// Says whether the rule and the kernel agree; nothing when one of them gave no answer.
    pub fn agrees(&self) -> Option<bool> {
        match (&self.judgement.answer, self.probe.as_ref()?) {
            (Answer::Depends, _) => None,
            (Answer::Bindable, probe) => Some(probe.is_ok()),
            (Answer::Refused(refusal), probe) => Some(probe.as_ref() == Err(refusal)),
        }
    }

    /// Says whether the address or family just is not there and nobody asked for it.
    pub fn is_beside_the_point(&self) -> bool {
        self.is_usual && matches!(self.cause, Some(Cause::AddressNotHere | Cause::NoFamily))
    }

    /// Says whether a program can serve the port so.
    pub fn is_good(&self) -> bool {
        matches!(self.outcome, Outcome::Bindable | Outcome::Shared) || self.is_beside_the_point()
    }

    /// The sockets that it takes from or shares with when it succeeds.
    pub fn shares_with(&self) -> &[Blocker<'a>] {
        if self.outcome == Outcome::Shared { &self.judgement.beside } else { &[] }
    }

    /// The error of the same bind without `SO_REUSEADDR`, where it succeeds only because of that option.
    pub fn strict_refusal(&self) -> Option<&BindError> {
        self.without_reuseaddr.as_ref()?.as_ref().err()
    }

    /// The sockets that explain the outcome; none when it has another cause.
    pub fn culprits(&self) -> &[Blocker<'a>] {
        match (&self.outcome, self.cause) {
            (Outcome::Refused(BindError::InUse) | Outcome::Unknown, _) => &self.judgement.blockers,
            (Outcome::Refused(BindError::Access), Some(cause)) if cause.is_socket() => &self.judgement.blockers,
            _ => &[],
        }
    }

    /// The known program that sits on the port by default, where it is the one.
    pub fn squatter(&self, platform: Platform) -> Option<&'static Squatter> {
        self.culprits().iter().find_map(|blocker| Squatter::of(blocker.row, platform))
    }

    /// Says whether the bind would succeed if it left IPv4 alone.
    pub fn is_only_in_the_way_by_dual_stack(&self) -> bool {
        let blockers = self.culprits();
        !blockers.is_empty() && blockers.iter().all(|blocker| blocker.overlap == Overlap::OurDualStack)
    }
}

fn cause(bind: &Bind, outcome: &Outcome, judgement: &Judgement<'_>, facts: &Facts<'_>) -> Option<Cause> {
    let first = judgement.blockers.first();
    Some(match outcome {
        Outcome::Bindable | Outcome::Shared => return None,
        Outcome::Shadowed => Cause::Redirected,
        Outcome::Refused(BindError::InUse) => first.map_or(Cause::Unseen, |blocker| kind_of(blocker.row)),
        // There a socket may have the port for itself (SO_EXCLUSIVEADDRUSE), and no user needs a right for a low one.
        Outcome::Refused(BindError::Access) | Outcome::Unknown if facts.caller.platform == Platform::Windows => {
            first.map_or(Cause::Excluded, |blocker| kind_of(blocker.row))
        }
        Outcome::Refused(BindError::Access)
            if bind.port.get() < 1024 || super::bind::needs_privilege(bind, facts) == Some(true) =>
        {
            Cause::Privileged
        }
        Outcome::Refused(BindError::NotAvailable) => Cause::AddressNotHere,
        Outcome::Refused(BindError::Family) => Cause::NoFamily,
        Outcome::Refused(BindError::NoDevice) => Cause::NoDevice,
        Outcome::Refused(BindError::Invalid) if bind.address.is_multicast() => Cause::Multicast,
        Outcome::Refused(BindError::Access | BindError::Invalid | BindError::Other(_)) => Cause::Other,
        Outcome::Unknown => first.map_or(Cause::Privileged, |blocker| kind_of(blocker.row)),
    })
}

/// What kind of socket is in the way.
pub fn kind_of(row: &Row<'_>) -> Cause {
    let socket = row.socket;
    match socket.state {
        Some(State::Redirect) => Cause::Redirected,
        Some(State::TimeWait) => Cause::TimeWait,
        Some(State::Bound | State::Close) if socket.protocol == Protocol::Tcp => Cause::Bound,
        _ if row.is_listener && is_held_by_systemd(row) => Cause::Activation,
        _ if row.is_listener => Cause::Listener,
        // A client of UDP may have no peer that the kernel knows: it sends to many.
        _ if row.space.ephemeral.is_some_and(|range| range.contains(socket.local.port)) => Cause::Client,
        _ => Cause::Connection,
    }
}

/// Says whether systemd itself has the socket, alone or beside the service that it started for it.
fn is_held_by_systemd(row: &Row<'_>) -> bool {
    if row.socket.activation().is_some() {
        return true;
    }
    let is_systemd = |name: &std::ffi::OsStr| name == "systemd";
    row.processes.iter().any(|(pid, process)| {
        *pid == Pid(1) && process.is_some_and(|process| process.name.as_deref().is_some_and(is_systemd))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyse::bind::judge;
    use crate::model::{Caller, Holder, Snapshot, Uid};
    use crate::{join, testing};

    const CALLER: Caller = Caller { platform: Platform::Linux, uid: Some(Uid(0)), is_privileged: Some(true) };

    fn cause_of(snapshot: &Snapshot, address: &str, port: u16, probe: Option<Probe>, caller: Caller) -> Option<Cause> {
        let listing = join::listing(snapshot, None);
        let facts = Facts { space: &snapshot.spaces[0], caller, address: None, redirects: None };
        let bind = Bind::plain(Protocol::Tcp, address.parse().unwrap(), Port::new(port));
        Verdict::new(bind.clone(), judge(&bind, &listing.rows.iter().collect::<Vec<_>>(), &facts), probe, &facts).cause
    }

    #[test]
    fn each_kind_of_socket_in_the_way_is_its_own_cause() {
        let mut snapshot = testing::snapshot();
        let cause = |snapshot: &Snapshot, address, port| cause_of(snapshot, address, port, None, CALLER);
        assert_eq!(cause(&snapshot, "0.0.0.0", 443), Some(Cause::Listener));
        assert_eq!(cause(&snapshot, "0.0.0.0", 40000), Some(Cause::TimeWait));
        assert_eq!(cause(&snapshot, "0.0.0.0", 444), None);
        snapshot.sockets[0].state = Some(State::Established);
        assert_eq!(cause(&snapshot, "0.0.0.0", 40000), Some(Cause::Client));
        snapshot.sockets[2].state = Some(State::Bound);
        assert_eq!(cause(&snapshot, "0.0.0.0", 443), Some(Cause::Bound));
        snapshot.sockets.remove(2);
        assert_eq!(cause(&snapshot, "0.0.0.0", 443), Some(Cause::Connection));
    }

    #[test]
    fn systemd_holds_a_port_for_a_unit_and_another_pid_1_for_itself() {
        let mut snapshot = testing::snapshot();
        let mut init = snapshot.processes[&Pid(700)].clone();
        snapshot.sockets[3].owner = crate::model::Owner::Processes(vec![Holder { pid: Pid(1), fd: Some(3) }].into());
        for (name, cause) in [("systemd", Cause::Activation), ("postgres", Cause::Listener)] {
            init.name = Some(name.into());
            snapshot.processes.insert(Pid(1), init.clone());
            assert_eq!(cause_of(&snapshot, "127.0.0.1", 5432, None, CALLER), Some(cause));
        }
    }

    #[test]
    fn the_kernel_has_the_last_word() {
        let snapshot = testing::snapshot();
        let cause =
            |port, probe, platform| cause_of(&snapshot, "127.0.0.1", port, Some(probe), Caller { platform, ..CALLER });
        assert_eq!(cause(5432, Ok(()), Platform::Linux), None);
        assert_eq!(cause(5433, Err(BindError::InUse), Platform::Linux), Some(Cause::Unseen));
        assert_eq!(cause(80, Err(BindError::Access), Platform::Linux), Some(Cause::Privileged));
        assert_eq!(cause(8080, Err(BindError::Access), Platform::Linux), Some(Cause::Other));
        assert_eq!(cause(8080, Err(BindError::Access), Platform::Windows), Some(Cause::Excluded));
        assert_eq!(cause(8080, Err(BindError::NotAvailable), Platform::Linux), Some(Cause::AddressNotHere));
    }

    #[test]
    fn a_refused_right_on_windows_is_a_socket_or_an_excluded_range() {
        let mut snapshot = testing::snapshot();
        snapshot.spaces[0].reserved = Some(vec!["8000-8099".parse().unwrap()]);
        let windows = Caller { platform: Platform::Windows, ..CALLER };
        let cause = |port, probe| cause_of(&snapshot, "127.0.0.1", port, probe, windows);
        assert_eq!(cause(5432, Some(Err(BindError::Access))), Some(Cause::Listener));
        assert_eq!(cause(8080, None), Some(Cause::Excluded));
        assert_eq!(cause(8080, Some(Err(BindError::Access))), Some(Cause::Excluded));
        assert_eq!(cause(8080, Some(Ok(()))), None);
        assert_eq!(cause(8100, None), None);
        assert_eq!(cause_of(&snapshot, "127.0.0.1", 8080, None, CALLER), None);
    }
}
