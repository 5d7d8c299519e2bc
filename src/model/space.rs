//! A port space: the 65,536 ports of one network stack.

use super::{Container, Origin, PortRange, Proved, SocketSource};

/// Identifies a space of one host: the inode of the network namespace, or 0 on a system without namespaces.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SpaceId(pub u64);

/// What a space is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum SpaceKind {
    /// The network stack that the machine started with.
    Host,
    /// The network namespace of a container, or of the containers of a pod.
    Container,
    /// The network namespace of a systemd unit.
    Unit,
    /// Another network namespace.
    Netns,
}

impl SpaceKind {
    /// Every kind.
    pub const ALL: [SpaceKind; 4] = [SpaceKind::Host, SpaceKind::Container, SpaceKind::Unit, SpaceKind::Netns];

    /// The name in JSON and in tables.
    pub const fn name(self) -> &'static str {
        match self {
            SpaceKind::Host => "host",
            SpaceKind::Container => "container",
            SpaceKind::Unit => "unit",
            SpaceKind::Netns => "netns",
        }
    }
}

/// Which connections in TIME_WAIT the kernel gives up for a new one to the same destination, from the second after they
/// ended. Source: Linux, `tcp_tw_reuse` in Documentation/networking/ip-sysctl.rst.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TimeWaitReuse {
    /// None.
    Never,
    /// Those of loopback.
    Loopback,
    /// All.
    Always,
}

impl TimeWaitReuse {
    /// Every rule, in the order of the kernel's numbers for them.
    pub const ALL: [TimeWaitReuse; 3] = [TimeWaitReuse::Never, TimeWaitReuse::Always, TimeWaitReuse::Loopback];

    /// The name in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            TimeWaitReuse::Never => "never",
            TimeWaitReuse::Loopback => "loopback",
            TimeWaitReuse::Always => "always",
        }
    }
}

/// One port space of the host.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Space {
    /// Identifies it.
    pub id: SpaceId,
    /// What it is.
    pub kind: SpaceKind,
    /// The name that people see.
    pub label: String,
    /// Who gave it that name.
    pub named_by: Origin,
    /// Where the table of its sockets was read.
    pub source: SocketSource,
    /// How many processes live in it.
    pub processes: Option<usize>,
    /// The containers that live in it, as far as is known.
    pub containers: Vec<Container>,
    /// The ports that it hands out for outgoing connections.
    pub ephemeral: Option<PortRange>,
    /// The ports that it never hands out by itself; on Windows the excluded ranges, of which most cannot be bound either.
    pub reserved: Option<Vec<PortRange>>,
    /// The lowest port that a process may bind without a privilege.
    pub unprivileged_start: Option<u32>,
    /// Which connections in TIME_WAIT leave their port to a new one.
    pub time_wait_reuse: Option<TimeWaitReuse>,
    /// Connections that listeners lost since the space began because their accept queue was full. Source: the counter
    /// `ListenOverflows` of Linux; read only when asked for.
    pub listen_overflows: Option<u64>,
}

impl Space {
    /// Returns whether the name refers to this space: its label or id, its label with the id added as when another
    /// space has the same label, or a container's name or the beginning of its id.
    pub fn is_called(&self, name: &str) -> bool {
        self.answers_to(name, |_| true)
    }

    /// Returns whether the name refers to this space only by what a process says of itself.
    pub fn is_claimed(&self, name: &str) -> bool {
        self.is_called(name) && !self.answers_to(name, Origin::decides)
    }

    /// The same by those of its names whose origin counts; the id is the kernel's.
    fn answers_to(&self, name: &str, counts: impl Fn(Origin) -> bool) -> bool {
        let is_container = |container: &Container| {
            counts(container.origin)
                && (container.name.as_deref() == Some(name) || (name.len() >= 6 && container.id.starts_with(name)))
        };
        let id = self.id.0.to_string();
        let with_id = || name.rsplit_once(':').is_some_and(|(_, number)| number == id);
        (counts(self.named_by) && name == self.label)
            || name == id
            || with_id()
            || self.containers.iter().any(is_container)
    }

    /// Its label, where more than a process says that it is called so.
    pub fn proved_label(&self) -> Option<Proved<'_, str>> {
        self.named_by.vouched(&self.label)
    }

    /// A space of which nothing more is known. Its label is a claim, unless it is the host's.
    pub fn new(id: SpaceId, kind: SpaceKind, label: String, source: SocketSource) -> Space {
        Space {
            id,
            kind,
            label,
            named_by: if kind == SpaceKind::Host { Origin::Kernel } else { Origin::Claim },
            source,
            processes: None,
            containers: Vec::new(),
            ephemeral: None,
            reserved: None,
            unprivileged_start: None,
            time_wait_reuse: None,
            listen_overflows: None,
        }
    }
}
