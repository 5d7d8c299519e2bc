//! Facts as the operating system states them.
//!
//! This module and the portable backend are the only places that ask which system this is.

#[cfg(any(target_os = "linux", windows))]
mod background;
pub mod control;
pub mod events;
mod helper;
pub mod manager;
mod portable;
pub mod probe;
mod runs;
mod saved;
mod wait;

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
mod runtime;

#[cfg(target_os = "linux")]
pub use linux::control::{ProcessHandle, ancestors, can_destroy, control_groups_of, destroy};
#[cfg(target_os = "linux")]
use linux::probe as probe_system;
#[cfg(not(target_os = "linux"))]
pub use portable::control::{ProcessHandle, ancestors, can_destroy, control_groups_of, destroy};
#[cfg(not(target_os = "linux"))]
use portable::probe as probe_system;

#[cfg(any(feature = "fuzzing", test))]
pub mod fuzzing;

use std::collections::BTreeMap;
use std::path::PathBuf;

pub use events::Events;
use events::Polling;
pub use saved::{Recorded, Saved};
pub use wait::Wait;

use crate::model::{
    BackendChoice, Coverage, Gap, HiddenBecause, Host, Names, Need, Owner, Pid, Protocol, Snapshot, Socket, Watching,
};

/// Where snapshots come from.
pub trait Source {
    /// Collects what is needed. What exists and cannot be seen is a gap in the snapshot, not an error.
    fn snapshot(&self, need: &Need) -> Result<Snapshot, CollectError>;

    /// Lists the sockets of this process's own port space, for `wait`'s polling; their owners are placeholders.
    fn sockets(&self, need: &Need) -> Result<Vec<Socket>, CollectError> {
        Ok(self.snapshot(need)?.sockets)
    }

    /// Describes the host without looking at its sockets.
    fn host(&self) -> Result<Host, CollectError> {
        Ok(self.snapshot(&Need::default())?.host)
    }

    /// Returns the names that exist on this machine, of `users` only those that exist. A saved report returns nothing.
    fn names(&self, _users: &[String]) -> Names {
        Names::default()
    }

    /// Returns whether a process with this number is running; `None` for a saved report.
    fn has_process(&self, _pid: Pid) -> Option<bool> {
        None
    }

    /// Starts to watch what happens to ports. The need says which sockets the table has, and of which spaces.
    fn events(&self, need: &Need, watching: Watching) -> Result<Box<dyn Events>, CollectError>;
}

/// The machine that this program runs on.
pub struct System;

impl Source for System {
    fn snapshot(&self, need: &Need) -> Result<Snapshot, CollectError> {
        #[cfg(target_os = "linux")]
        linux::descriptors::require()?;
        match need.backend {
            BackendChoice::Portable => portable::snapshot(need),
            #[cfg(target_os = "linux")]
            BackendChoice::Auto | BackendChoice::Native => linux::snapshot(need),
            #[cfg(not(target_os = "linux"))]
            BackendChoice::Auto => portable::snapshot(need),
            #[cfg(not(target_os = "linux"))]
            BackendChoice::Native => Err(CollectError::NoNativeBackend),
        }
    }

    fn sockets(&self, need: &Need) -> Result<Vec<Socket>, CollectError> {
        #[cfg(target_os = "linux")]
        if need.backend != BackendChoice::Portable {
            return linux::sockets(need);
        }
        portable::sockets_alone(need)
    }

    fn host(&self) -> Result<Host, CollectError> {
        let now = std::time::SystemTime::now();
        #[cfg(target_os = "linux")]
        return Ok(linux::host::describe(now));
        #[cfg(not(target_os = "linux"))]
        Ok(portable::host(now))
    }

    fn names(&self, users: &[String]) -> Names {
        #[cfg(target_os = "linux")]
        let users = linux::users_named(users);
        #[cfg(not(target_os = "linux"))]
        let users = users.to_vec();
        Names { processes: portable::process_names(), users }
    }

    fn has_process(&self, pid: Pid) -> Option<bool> {
        Some(!matches!(ProcessHandle::open(pid), Err(control::ControlError::Gone)))
    }

    fn events(&self, need: &Need, watching: Watching) -> Result<Box<dyn Events>, CollectError> {
        #[cfg(target_os = "linux")]
        if need.backend != BackendChoice::Portable {
            linux::descriptors::require()?;
            return Ok(linux::events(need, watching));
        }
        Ok(Box::new(Polling::new(System, need, watching)))
    }
}

/// Why nothing could be collected.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// The socket table cannot be read, so there is nothing to show.
    #[error("cannot read the {} socket table: {reason}", .protocol.name())]
    SocketTable {
        /// Which sockets.
        protocol: Protocol,
        /// What the system answered.
        reason: String,
    },
    /// The limit of open files is too low to read everything.
    #[cfg(target_os = "linux")]
    #[error("too few file descriptors: {open} of {limit} are in use and {room} more are needed (see `ulimit -n`)")]
    Descriptors {
        /// How many files may be open.
        limit: usize,
        /// How many files are open.
        open: usize,
        /// How many more are needed.
        room: usize,
    },
    /// The file is not a portscope report.
    #[error("cannot read {}: {problem}", .path.display())]
    Saved {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// No port space has that name.
    #[error("no port space is named `{name}`: expected all or one of {known}")]
    NoSuchSpace {
        /// The name that was asked for.
        name: String,
        /// The names that there are.
        known: String,
    },
    /// None of the port spaces that were asked for can be read.
    #[cfg(target_os = "linux")]
    #[error("cannot read port space {names}: {problem}")]
    SpaceOutOfReach {
        /// The names that were asked for.
        names: String,
        /// Why they cannot be read.
        problem: String,
    },
    /// What was saved does not go on.
    #[error("a saved report cannot be watched")]
    NothingHappens,
    /// Only Linux has a native backend.
    #[cfg(not(target_os = "linux"))]
    #[error("this system has no native backend: expected --backend auto or portable")]
    NoNativeBackend,
}

/// Returns what is not known of the traffic that was asked for; `is_reported` says whether the system tells any.
fn unknown_traffic(sockets: &[Socket], need: &Need, is_reported: bool) -> Vec<Gap> {
    if !need.traffic {
        return Vec::new();
    }
    if !is_reported {
        return vec![Gap::Traffic];
    }
    let udp = sockets.iter().filter(|socket| socket.protocol.is_datagram()).count();
    if udp > 0 { vec![Gap::UdpTraffic { count: udp }] } else { Vec::new() }
}

/// Returns one gap for each reason that hides owners of sockets.
fn hidden_owners(sockets: &[Socket], coverage: Option<&Coverage>) -> Vec<Gap> {
    let mut counts: BTreeMap<HiddenBecause, usize> = BTreeMap::new();
    for socket in sockets {
        if let Owner::Hidden(because) = socket.owner {
            *counts.entry(because).or_default() += 1;
        }
    }
    let gap = |(because, count)| Gap::HiddenOwners { because, count, coverage: coverage.cloned() };
    counts.into_iter().map(gap).collect()
}
