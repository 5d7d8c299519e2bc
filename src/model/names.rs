//! Names that exist on a machine, whether or not they have to do with a socket.

use std::ffi::OsString;

/// The names of processes and users.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Names {
    /// The short names of the processes that run.
    pub processes: Vec<OsString>,
    /// The names of users, as far as they can be listed or were asked for and exist.
    pub users: Vec<String>,
}
