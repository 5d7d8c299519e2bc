//! Everything one run learnt of one host: the hinge between collecting and answering.

use std::collections::BTreeMap;
use std::time::SystemTime;

use super::{Gap, Pid, Process, Socket, Space, SpaceId, Uid};

/// The machine that was looked at.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Host {
    /// Its host name.
    pub name: Option<String>,
    /// The operating system with its version.
    pub os: Option<String>,
    /// The kernel's release.
    pub kernel: Option<String>,
    /// A number that changes at each start of the system (Linux).
    pub boot_id: Option<String>,
    /// When the sockets were listed.
    pub captured_at: SystemTime,
}

/// Which way the facts were collected.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Backend {
    /// The crates netstat2 and sysinfo, on every system.
    Portable,
}

impl Backend {
    /// The name in JSON and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Backend::Portable => "portable",
        }
    }
}

/// The facts as the operating system states them, before any meaning is added.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Snapshot {
    /// The machine.
    pub host: Host,
    /// How the facts were collected.
    pub backend: Backend,
    /// The port spaces that were listed; never empty.
    pub spaces: Vec<Space>,
    /// The sockets of those spaces.
    pub sockets: Vec<Socket>,
    /// Every process that holds one of the sockets and still could be described.
    pub processes: BTreeMap<Pid, Process>,
    /// The names of the users that sockets and processes belong to, where they have one.
    pub users: BTreeMap<Uid, String>,
    /// What was not seen.
    pub gaps: Vec<Gap>,
}

impl Snapshot {
    /// Returns the space with that id, when it was listed.
    pub fn space(&self, id: SpaceId) -> Option<&Space> {
        self.spaces.iter().find(|space| space.id == id)
    }

    /// Returns the user's name.
    pub fn user(&self, uid: Option<Uid>) -> Option<&str> {
        self.users.get(&uid?).map(String::as_str)
    }
}
