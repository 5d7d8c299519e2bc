//! What changes the system instead of looking at it: signals to processes, the end of sockets, orders to managers.
//!
//! Only `kill` and `close` come here, after they have asked.

use crate::model::Managed;

/// A signal that can end a process.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Signal {
    /// Asks it to end.
    Term,
    /// As Ctrl-C does.
    Int,
    /// Its terminal has gone; many servers read their configuration again instead.
    Hup,
    /// As Ctrl-\ does; often with a dump of its memory.
    Quit,
    /// Ends it with a dump of its memory.
    Abort,
    /// Its own first meaning.
    Usr1,
    /// Its own second meaning.
    Usr2,
    /// Ends it at once; it cannot refuse.
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
            // There are none there, so no number means them.
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
    /// It is a thread of the kernel.
    pub is_kernel: bool,
    /// It lives in another pid namespace: a container's.
    pub is_elsewhere: bool,
    /// This user may not signal it.
    pub is_refused: bool,
    /// What may start it again, by its cgroup.
    pub managed: Option<Managed>,
    /// The paths of its cgroups, that of version 2 first.
    pub cgroups: Vec<String>,
}

/// Why nothing was done.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ControlError {
    /// The process has ended, or the socket is closed.
    #[error("it has gone")]
    Gone,
    /// This user may not.
    #[error("not permitted")]
    Refused,
    /// The system has no way to do it.
    #[error("{0}")]
    Unsupported(&'static str),
    /// The system said something else.
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
