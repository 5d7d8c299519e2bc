//! Actions that change the system: sending signals, destroying sockets, telling managers to stop something.
//!
//! Only `kill` and `close` use this module, after the user has confirmed.

use crate::model::Managed;

/// A signal that can end a process.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Signal {
    /// Asks the process to end.
    Term,
    /// The signal that Ctrl-C sends.
    Int,
    /// The terminal was closed; many servers reload their configuration instead of ending.
    Hup,
    /// The signal that Ctrl-\ sends; often the process dumps its memory.
    Quit,
    /// Ends the process with a memory dump.
    Abort,
    /// A signal whose meaning the process defines.
    Usr1,
    /// Another signal whose meaning the process defines.
    Usr2,
    /// Ends the process at once; it cannot be caught or ignored.
    Kill,
}

impl Signal {
    /// Every signal that can be sent.
    pub const ALL: [Signal; 8] =
        [Signal::Term, Signal::Int, Signal::Hup, Signal::Quit, Signal::Abort, Signal::Usr1, Signal::Usr2, Signal::Kill];

    /// The name with which every system's signal(7) starts.
    pub const fn name(self) -> &'static str {
        match self {
            Signal::Term => "SIGTERM",
            Signal::Int => "SIGINT",
            Signal::Hup => "SIGHUP",
            Signal::Quit => "SIGQUIT",
            Signal::Abort => "SIGABRT",
            Signal::Usr1 => "SIGUSR1",
            Signal::Usr2 => "SIGUSR2",
            Signal::Kill => "SIGKILL",
        }
    }

    /// The number on this system.
    fn number(self) -> i32 {
        match self {
            Signal::Hup => 1,
            Signal::Int => 2,
            Signal::Quit => 3,
            Signal::Abort => 6,
            Signal::Kill => 9,
            Signal::Term => 15,
            #[cfg(unix)]
            Signal::Usr1 => rustix::process::Signal::USR1.as_raw(),
            #[cfg(unix)]
            Signal::Usr2 => rustix::process::Signal::USR2.as_raw(),
            // These signals do not exist on Windows, so no number stands for them.
            #[cfg(not(unix))]
            Signal::Usr1 | Signal::Usr2 => i32::MIN,
        }
    }
}

impl std::str::FromStr for Signal {
    type Err = String;

    /// Reads `SIGTERM`, `TERM`, `term` and `15`; numbers are those of this system.
    fn from_str(text: &str) -> Result<Signal, String> {
        let name = text.to_ascii_uppercase();
        let is_it = |signal: &Signal| {
            let own = signal.name();
            own == name || own.strip_prefix("SIG") == Some(&name) || signal.number().to_string() == name
        };
        Signal::ALL.into_iter().find(is_it).ok_or_else(|| {
            let names: Vec<&str> = Signal::ALL.iter().map(|signal| &signal.name()[3..]).collect();
            format!("`{text}` is not a signal that ends a process: expected {}", names.join(", "))
        })
    }
}

/// What a process is, as far as that decides whether it may be signalled.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Standing {
    /// Whether it is a kernel thread.
    pub is_kernel: bool,
    /// Whether it is in another pid namespace, such as a container's.
    pub is_elsewhere: bool,
    /// Whether this user may not signal it.
    pub is_refused: bool,
    /// The manager that may start it again, according to its cgroup.
    pub managed: Option<Managed>,
    /// The paths of its cgroups, the version 2 path first.
    pub cgroups: Vec<String>,
}

/// Why nothing was done.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ControlError {
    /// The process has ended, or the socket is closed.
    #[error("it no longer exists")]
    Gone,
    /// This user is not allowed to do it.
    #[error("not permitted")]
    Refused,
    /// The system has no way to do it.
    #[error("{0}")]
    Unsupported(&'static str),
    /// The system returned another error.
    #[error("{0}")]
    Failed(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_read_in_every_usual_spelling() {
        for (text, signal) in [
            ("TERM", Signal::Term),
            ("SIGTERM", Signal::Term),
            ("sigterm", Signal::Term),
            ("15", Signal::Term),
            ("9", Signal::Kill),
            ("hup", Signal::Hup),
            ("USR1", Signal::Usr1),
        ] {
            assert_eq!(text.parse(), Ok(signal), "{text}");
        }
        for text in ["", "SIG", "0", "-9", "SIGSIGTERM", "STOP", "64"] {
            let message = text.parse::<Signal>().unwrap_err();
            assert!(message.starts_with(&format!("`{text}` is not a signal that ends a process: expected TERM")));
        }
    }
}
