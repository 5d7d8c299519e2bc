//! Signals on systems without process handles: a signal is sent by number, right after the process was seen to hold the
//! socket.

use std::time::Duration;

use super::processes;
use crate::collect::control::{ControlError, Signal, Standing};
use crate::model::{BackendChoice, Need, Pid, Socket, SpaceChoice};

/// A process identified by its number, which may be reused after it ends.
#[derive(Debug)]
pub struct ProcessHandle {
    pid: Pid,
    /// When the process with this number started, in seconds since 1970.
    started: u64,
}

impl ProcessHandle {
    /// Remembers the number and when its process started.
    pub fn open(pid: Pid) -> Result<ProcessHandle, ControlError> {
        let started = processes::started(pid).ok_or(ControlError::Gone)?;
        Ok(ProcessHandle { pid, started })
    }

    fn is_same(&self) -> bool {
        processes::started(self.pid) == Some(self.started)
    }

    /// Returns whether the system currently lists it as a holder of the socket.
    pub fn holds(&self, socket: &Socket) -> Result<bool, ControlError> {
        let need = Need {
            protocols: vec![socket.protocol],
            backend: BackendChoice::Portable,
            spaces: SpaceChoice::Own,
            helpers: false,
            ..Need::default()
        };
        let listed = super::snapshot(&need).map_err(|error| ControlError::Failed(error.to_string()))?.sockets;
        let is_same = |other: &Socket| other.local == socket.local && other.peer == socket.peer;
        let is_holder = |other: &Socket| other.owner.holders().iter().any(|holder| holder.pid == self.pid);
        Ok(listed.iter().any(|other| is_same(other) && is_holder(other)))
    }

    /// Returns what is known here of whether it may be signalled.
    pub fn standing(&self) -> Result<Standing, ControlError> {
        Ok(Standing {
            is_kernel: system::is_kernel(self.pid),
            is_refused: system::test(self.pid) == Err(ControlError::Refused),
            ..Standing::default()
        })
    }

    /// Sends it the signal.
    pub fn send(&self, signal: Signal) -> Result<(), ControlError> {
        if self.is_same() { system::send(self.pid, signal) } else { Err(ControlError::Gone) }
    }

    /// Waits up to `limit` for the process to end; returns whether it has ended.
    pub fn has_ended_within(&self, limit: Duration) -> bool {
        let end = std::time::Instant::now() + limit;
        loop {
            if system::test(self.pid) == Err(ControlError::Gone) || !self.is_same() {
                return true;
            }
            if std::time::Instant::now() >= end {
                return false;
            }
            std::thread::sleep(Duration::from_millis(10).min(limit));
        }
    }
}

/// Returns the ancestors of this process; here only its parent is known.
pub fn ancestors() -> Vec<Pid> {
    system::parent().into_iter().collect()
}

/// Other systems have no cgroups.
pub fn control_groups_of(_: Pid) -> Vec<String> {
    Vec::new()
}

/// Says why no socket can be destroyed here at all.
pub fn can_destroy() -> Result<(), ControlError> {
    Err(ControlError::Unsupported("closing the socket of another process is supported on Linux only (SOCK_DESTROY)"))
}

/// Only Linux lets a socket be destroyed from outside.
pub fn destroy(_: &Socket) -> Result<(), ControlError> {
    can_destroy()
}

#[cfg(unix)]
mod system {
    use rustix::io::Errno;
    use rustix::process::{getppid, kill_process, test_kill_process};

    use super::{ControlError, Pid, Signal};

    fn number(pid: Pid) -> Result<rustix::process::Pid, ControlError> {
        i32::try_from(pid.0).ok().and_then(rustix::process::Pid::from_raw).ok_or(ControlError::Gone)
    }

    fn failed(error: Errno) -> ControlError {
        match error {
            Errno::SRCH => ControlError::Gone,
            Errno::PERM => ControlError::Refused,
            error => ControlError::Failed(std::io::Error::from(error).to_string()),
        }
    }

    pub fn test(pid: Pid) -> Result<(), ControlError> {
        test_kill_process(number(pid)?).map_err(failed)
    }

    pub fn send(pid: Pid, signal: Signal) -> Result<(), ControlError> {
        use rustix::process::Signal as Numbered;
        let signal = match signal {
            Signal::Term => Numbered::TERM,
            Signal::Int => Numbered::INT,
            Signal::Hup => Numbered::HUP,
            Signal::Quit => Numbered::QUIT,
            Signal::Abort => Numbered::ABORT,
            Signal::Usr1 => Numbered::USR1,
            Signal::Usr2 => Numbered::USR2,
            Signal::Kill => Numbered::KILL,
        };
        kill_process(number(pid)?, signal).map_err(failed)
    }

    pub fn is_kernel(pid: Pid) -> bool {
        pid == Pid(0)
    }

    pub fn parent() -> Option<Pid> {
        getppid().map(|pid| Pid(pid.as_raw_nonzero().get().unsigned_abs()))
    }
}

#[cfg(not(unix))]
mod system {
    use super::{ControlError, Pid, Signal};

    pub fn test(pid: Pid) -> Result<(), ControlError> {
        super::processes::started(pid).map(|_| ()).ok_or(ControlError::Gone)
    }

    /// The only way to end a process of another console is TerminateProcess, which the process cannot handle.
    pub fn send(pid: Pid, signal: Signal) -> Result<(), ControlError> {
        match signal {
            Signal::Term | Signal::Kill if super::processes::terminate(pid) => Ok(()),
            Signal::Term | Signal::Kill => Err(ControlError::Refused),
            _ => Err(ControlError::Unsupported(
                "this system has no signals: expected TERM or KILL, which end the process immediately",
            )),
        }
    }

    /// The drivers of Windows hold their sockets as process 4.
    pub fn is_kernel(pid: Pid) -> bool {
        pid == Pid(4)
    }

    pub fn parent() -> Option<Pid> {
        None
    }
}
