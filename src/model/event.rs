//! What happens to ports while one looks: what a source sees, and the events that are made of it.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use super::{BindError, Pid, Process, Snapshot, Socket, Space, Uid};

/// The version of an event's object; it changes only when a field changes its meaning or leaves.
pub const EVENT_SCHEMA: &str = "portscope-event/1";

/// What an event says.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum EventKind {
    /// A port was opened: a socket listens, was bound, or receives datagrams.
    Opened,
    /// It was closed.
    Closed,
    /// A process asked for a port and did not get it.
    BindFailed,
    /// A connection is open.
    Connected,
    /// A connection is over.
    Disconnected,
    /// Another program, unit, container or user holds it.
    OwnerChanged,
    /// More can reach it.
    ExposureWidened,
    /// Fewer can reach it.
    ExposureNarrowed,
    /// Events were lost.
    Lost,
}

impl EventKind {
    /// Every kind.
    pub const ALL: [EventKind; 9] = [
        EventKind::Opened,
        EventKind::Closed,
        EventKind::BindFailed,
        EventKind::Connected,
        EventKind::Disconnected,
        EventKind::OwnerChanged,
        EventKind::ExposureWidened,
        EventKind::ExposureNarrowed,
        EventKind::Lost,
    ];

    /// The name in every output and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            EventKind::Opened => "opened",
            EventKind::Closed => "closed",
            EventKind::BindFailed => "bind-failed",
            EventKind::Connected => "connected",
            EventKind::Disconnected => "disconnected",
            EventKind::OwnerChanged => "owner-changed",
            EventKind::ExposureWidened => "exposure-widened",
            EventKind::ExposureNarrowed => "exposure-narrowed",
            EventKind::Lost => "lost",
        }
    }
}

/// How something was seen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Seen {
    /// The kernel said so at that moment.
    Kernel,
    /// The kernel's notice of a socket that has gone was read.
    Netlink,
    /// Two looks at the table differ; it happened between them.
    Poll,
}

impl Seen {
    /// Every way.
    pub const ALL: [Seen; 3] = [Seen::Kernel, Seen::Netlink, Seen::Poll];

    /// The name in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Seen::Kernel => "kernel",
            Seen::Netlink => "netlink",
            Seen::Poll => "poll",
        }
    }
}

/// Events that could not be kept, by kind.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Lost {
    /// Openings; for a source that cannot tell, absent.
    pub opened: Option<u64>,
    /// Closings; an upper bound where `is_bound`.
    pub closed: Option<u64>,
    /// Binds, successful or not.
    pub binds: Option<u64>,
    /// Connections, opened or closed.
    pub connections: Option<u64>,
}

impl Lost {
    /// All of them together, as far as they are counted.
    pub fn total(self) -> u64 {
        [self.opened, self.closed, self.binds, self.connections].into_iter().flatten().sum()
    }
}

/// What a source saw happen to one socket.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sighting {
    /// When.
    pub at: SystemTime,
    /// How it was seen.
    pub seen: Seen,
    /// What.
    pub act: Act,
    /// The socket, with the process that did it as its owner where that is known.
    pub socket: Socket,
    /// Whether that process had ended by the time it was looked up.
    pub gone: bool,
}

/// What happened to a socket.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Act {
    /// It was bound. A TCP socket may listen next.
    Bound,
    /// It listens.
    Listening,
    /// It has gone.
    Closed,
    /// It could not be bound; the socket has the address that was asked for.
    BindFailed {
        /// Why.
        error: BindError,
        /// Whether it had set `SO_REUSEADDR`.
        reuseaddr: bool,
        /// Whether it had set `SO_REUSEPORT`.
        reuseport: bool,
        /// Who asked.
        user: Option<Uid>,
        /// Every socket on the port right afterwards, where that was looked for; also connections and those in TIME_WAIT,
        /// which the table of what is open leaves out.
        on_port: Vec<Socket>,
    },
    /// A connection is open.
    Connected,
    /// A connection is over.
    Disconnected,
}

/// What a source has to say.
#[derive(Clone, Debug)]
pub enum Observation {
    /// What happened, in order, with what is known of the processes, spaces and users in it.
    Sightings {
        /// What happened.
        sightings: Vec<Sighting>,
        /// The processes.
        processes: BTreeMap<Pid, Process>,
        /// Spaces that no table has had yet.
        spaces: Vec<Space>,
        /// The names of the users.
        users: BTreeMap<Uid, String>,
    },
    /// Not everything that happened is known. The table follows.
    Lost {
        /// When that was noticed.
        at: SystemTime,
        /// How much is missing.
        lost: Lost,
        /// How it would have been seen.
        seen: Seen,
    },
    /// Connections that have ended, where that is wanted.
    Ended(Ended),
    /// No table that was begun before then comes any more: a look has shown nothing new, or none goes on.
    Same(SystemTime),
    /// The table of sockets. Everything that happened before the table was read, and is reported at all, has been reported.
    Table(Box<Snapshot>),
}

/// Connections that have ended.
#[derive(Clone, Debug, Default)]
pub struct Ended {
    /// Those, with what they had carried by then.
    pub connections: Vec<Socket>,
    /// How many more there may have been: their notices were lost, and with them what they had carried.
    pub lost: u64,
}

/// One event.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Event {
    /// When; for what was seen by comparing, when the later table was read.
    pub at: SystemTime,
    /// What.
    pub kind: EventKind,
    /// How it was seen.
    pub seen: Seen,
    /// Which socket of the snapshot; none for events that were lost.
    pub socket: Option<usize>,
    /// Whether the process that did it has ended meanwhile.
    pub gone: bool,
    /// How long the port or the connection was open; absent where its opening was not seen.
    pub open_for: Option<Duration>,
    /// Why the bind failed.
    pub error: Option<BindError>,
    /// What stood in the way: sockets of the snapshot, the foremost first.
    pub blockers: Vec<Blocking>,
    /// How much was lost.
    pub lost: Option<Lost>,
}

/// A socket that was in the way of a bind.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Blocking {
    /// Which socket of the snapshot.
    pub socket: usize,
    /// Since when it is open, where that is known.
    pub since: Option<SystemTime>,
}

/// Events, and a snapshot of just the sockets that they are about.
#[derive(Clone, Debug)]
pub struct Changes {
    /// The sockets, each with its space, its processes and its users.
    pub snapshot: Snapshot,
    /// The events, in order.
    pub events: Vec<Event>,
    /// How binds were seen, where they were.
    pub binds: Option<BindWay>,
}

/// What is to be watched.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Watching {
    /// Connections too.
    pub connections: bool,
    /// The time between two looks at the table; the source chooses when absent.
    pub interval: Option<Duration>,
    /// By looking at the table alone.
    pub poll_only: bool,
    /// Whether to give up privileges that are not needed for watching alone, once everything is attached.
    pub drop_privileges: bool,
}

/// How it is seen that a process asks for a port.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BindWay {
    /// Programs are called with each bind.
    OfItself,
    /// Programs are called with each system call of any process, which costs all of them some.
    OfEveryCall,
}

impl BindWay {
    /// Every way, the best first.
    pub const ALL: [BindWay; 2] = [BindWay::OfItself, BindWay::OfEveryCall];

    /// The tracepoint that reports the end of bind(2).
    pub const fn tracepoint(self) -> &'static str {
        match self {
            BindWay::OfItself => "sys_exit_bind",
            BindWay::OfEveryCall => "sys_exit",
        }
    }
}

/// How a source sees what happens.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ways {
    /// How it sees that a TCP port is opened.
    pub opened: Seen,
    /// How it sees that a port is closed.
    pub closed: Seen,
    /// How it sees binds: of UDP sockets at once, and those that fail; absent where it does not.
    pub binds: Option<BindWay>,
    /// Why a better way is not taken, in words of the system; empty where none is.
    pub refused: Vec<String>,
    /// Whether it sees what happens in other port spaces.
    pub other_spaces: bool,
}
