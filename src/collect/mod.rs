//! Facts as the operating system states them.
//!
//! The one place, with the portable backend, that asks which system this is.

mod portable;

#[cfg(target_os = "linux")]
mod linux;

use crate::model::{Need, Protocol, Snapshot};

/// Where snapshots come from.
pub trait Source {
    /// Collects what is needed. What exists and cannot be seen is a gap in the snapshot, not an error.
    fn snapshot(&self, need: &Need) -> Result<Snapshot, CollectError>;
}

/// The machine that this program runs on.
pub struct System;

impl Source for System {
    fn snapshot(&self, need: &Need) -> Result<Snapshot, CollectError> {
        portable::snapshot(need)
    }
}

/// Why the operating system could not be asked at all.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// The socket table is out of reach; there is nothing to show.
    #[error("cannot read the table of {} sockets: {reason}", .protocol.name())]
    SocketTable {
        /// Which sockets.
        protocol: Protocol,
        /// What the system answered.
        reason: String,
    },
}
