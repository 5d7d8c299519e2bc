//! Which processes hold a socket, and how well that is known.

use super::{Few, Origin, Proved};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Runtime;

/// A process number, as this process sees it (in its own pid namespace).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Pid(pub u32);

/// A user number, as this process sees it (in its own user namespace).
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, JsonSchema, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Uid(pub u32);

/// One descriptor of a socket in one process.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Holder {
    /// The process.
    pub pid: Pid,
    /// The descriptor's number in that process; absent if the system does not report it.
    pub fd: Option<u32>,
}

/// The holders of a socket, as far as this run could see.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Owner {
    /// Every descriptor for it that was seen, by pid and descriptor; never empty.
    Processes(Few<Holder>),
    /// No process holds it, for a known reason.
    Nobody(Nobody),
    /// A process may hold it, but this run could not see which.
    Hidden(HiddenBecause),
}

impl Owner {
    /// The descriptors that were seen; empty unless processes are known.
    pub fn holders(&self) -> &[Holder] {
        match self {
            Owner::Processes(holders) => holders,
            Owner::Nobody(_) | Owner::Hidden(_) => &[],
        }
    }
}

/// Why no process holds a socket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Nobody {
    /// The connection is over; the kernel keeps the numbers for a while.
    TimeWait,
    /// The handshake is not finished; the listener does not know of it yet.
    Handshake,
    /// The process has closed it; the kernel finishes the conversation.
    Closing,
    /// It waits in a listener's queue to be accepted.
    Unaccepted,
    /// Its descriptor is on its way from one process to another through a unix socket.
    InFlight,
    /// There is no socket: a rule of the firewall takes what comes for the port.
    Redirected,
}

impl Nobody {
    /// Every reason.
    pub const ALL: [Nobody; 6] = [
        Nobody::TimeWait,
        Nobody::Handshake,
        Nobody::Closing,
        Nobody::Unaccepted,
        Nobody::InFlight,
        Nobody::Redirected,
    ];

    /// The name in JSON and in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Nobody::TimeWait => "time-wait",
            Nobody::Handshake => "handshake",
            Nobody::Closing => "closing",
            Nobody::Unaccepted => "unaccepted",
            Nobody::InFlight => "in-flight",
            Nobody::Redirected => "redirected",
        }
    }
}

/// Why the holder of a socket is not known.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum HiddenBecause {
    /// Descriptors of some processes may not be read by this user.
    Permission,
    /// The same, though this user is root: a capability is missing, or the process is protected.
    Protected,
    /// It may be outside of this process's pid namespace.
    PidNamespace,
    /// No process that could be read holds it, and every process was read.
    NotFound,
    /// The table of processes itself could not be read.
    NoProcesses,
    /// The kernel gave its number to another socket too, so the holder could be of either.
    Ambiguous,
    /// The system gives sockets without their process.
    Unsupported,
}

impl HiddenBecause {
    /// Every reason.
    pub const ALL: [HiddenBecause; 7] = [
        HiddenBecause::Permission,
        HiddenBecause::Protected,
        HiddenBecause::PidNamespace,
        HiddenBecause::NotFound,
        HiddenBecause::NoProcesses,
        HiddenBecause::Ambiguous,
        HiddenBecause::Unsupported,
    ];

    /// The name in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            HiddenBecause::Permission => "permission",
            HiddenBecause::Protected => "protected",
            HiddenBecause::PidNamespace => "pid-namespace",
            HiddenBecause::NotFound => "not-found",
            HiddenBecause::NoProcesses => "no-processes",
            HiddenBecause::Ambiguous => "ambiguous",
            HiddenBecause::Unsupported => "unsupported",
        }
    }
}

/// What a cgroup belongs to, or a process of Windows. It is a hint: a user to whom a part of the tree is delegated
/// chooses the names there.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Belonging {
    /// The systemd unit of this host, never one of a container's own; on Windows the service, or the services that share the process, separated by `, `.
    pub unit: Option<String>,
    /// The container; the innermost one if containers are nested.
    pub container: Option<Container>,
    /// The outermost container if containers are nested, which is the one that this host can stop.
    pub outer: Option<Container>,
    /// Where the unit's name comes from.
    pub origin: Origin,
    /// The user whose systemd runs the unit; absent where it is the system's.
    pub user: Option<Uid>,
}

impl Belonging {
    /// The unit, where more than its user says so.
    pub fn proved_unit(&self) -> Option<Proved<'_, str>> {
        self.origin.vouched(self.unit.as_deref()?)
    }

    /// The container that this host's engine can stop.
    pub fn to_stop(&self) -> Option<&Container> {
        self.outer.as_ref().or(self.container.as_ref())
    }
}

/// A container, as far as it is known from a cgroup's path and from its engine.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Container {
    /// The engine that runs it.
    pub runtime: Runtime,
    /// Its id, or its name if the engine has no ids.
    pub id: String,
    /// Its name, if the engine reported it.
    pub name: Option<String>,
    /// The image that it was made from, if the engine reported it.
    pub image: Option<String>,
    /// The pod that it belongs to: its name where that is known, else its uid.
    pub pod: Option<String>,
    /// The service of Compose that it is of, as `PROJECT/SERVICE`, where the runtime reported its labels.
    pub compose: Option<String>,
    /// Where it comes from that the process belongs to it, or that the port leads to it.
    pub origin: Origin,
}

impl Container {
    /// A container of which only the id is known.
    pub fn of_id(runtime: Runtime, id: String) -> Container {
        Container { runtime, id, name: None, image: None, pod: None, compose: None, origin: Origin::Claim }
    }

    /// The container, where more than a process says that it is this one.
    pub fn proved(&self) -> Option<Proved<'_, Container>> {
        self.origin.vouched(self)
    }

    /// Its name, or as much of its id as its own tools show.
    pub fn short_name(&self) -> &str {
        match &self.name {
            Some(name) => name,
            None if self.has_long_id() => &self.id[..12],
            None => &self.id,
        }
    }

    /// Says whether its id is the usual 64 hexadecimal digits, of which tools show twelve.
    pub fn has_long_id(&self) -> bool {
        self.id.len() == 64 && self.id.bytes().all(|byte| byte.is_ascii_hexdigit())
    }
}

/// How well the owner of a socket is known, best first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Tier {
    /// At least one process that holds it is known.
    Process,
    /// The holder is hidden; the container that made it is known.
    Container,
    /// The holder is hidden; the systemd unit that made it is known. Or systemd holds it for a unit.
    Unit,
    /// Only the user that created it is known; the holder is hidden.
    User,
    /// Nothing is known of its holder.
    Hidden,
    /// It has no holder.
    None,
}

impl Tier {
    /// The name in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Tier::Process => "process",
            Tier::Container => "container",
            Tier::Unit => "unit",
            Tier::User => "user",
            Tier::Hidden => "hidden",
            Tier::None => "none",
        }
    }
}
