//! A process that holds a socket, or that one descends from.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::SystemTime;

use super::{Belonging, Executable, Pid, Project, Uid};

/// What is known of one process. Texts are the system's bytes and may contain anything but NUL.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Process {
    /// Its number.
    pub pid: Pid,
    /// The process that started it, or that inherited it.
    pub parent: Option<Pid>,
    /// Its short name, which the process itself may change (a claim, not a fact).
    pub name: Option<OsString>,
    /// The file that it runs; absent if this user may not read it.
    pub exe: Option<PathBuf>,
    /// Its arguments, which are read only when needed, because they may contain secrets.
    pub argv: Option<Vec<OsString>>,
    /// What it runs as an interpreter: a script, a module, a jar, a class or a task, read out of its arguments (a claim).
    /// Absent for other programs, and where nobody looked.
    pub runs: Option<OsString>,
    /// The project of the folder that it works in; absent if it is in none, or if it was not or could not be read.
    pub project: Option<Project>,
    /// The folder that it works in, read only when asked for; absent when this user may not know.
    pub cwd: Option<PathBuf>,
    /// Whether the file that it runs no longer exists, as after an upgrade; absent if that was not or could not be
    /// read.
    pub exe_deleted: Option<bool>,
    /// When it started, to the second.
    pub started_at: Option<SystemTime>,
    /// The user it runs as (effective).
    pub uid: Option<Uid>,
    /// The account of its token, on Windows, which has no numbers of users: its name, else its SID.
    pub account: Option<String>,
    /// What the kernel tells of that file beside its path; absent when nobody looked, or may look.
    pub executable: Option<Box<Executable>>,
    /// The unit and container that it belongs to, by its cgroup; on Windows the services that it runs.
    pub belonging: Option<Belonging>,
}
