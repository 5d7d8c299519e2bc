//! A run of portscope at a terminal.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Stdio};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use super::{DEADLINE, Run, start};

/// A run that believes that a person sees it.
pub struct AtTerminal {
    child: Child,
    person: File,
    seen: String,
}

/// A pseudo-terminal: the end of the person, and that of the program.
pub(super) fn pseudo_terminal() -> (OwnedFd, OwnedFd) {
    let person = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&person).unwrap();
    unlockpt(&person).unwrap();
    let name = ptsname(&person, Vec::new()).unwrap();
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let terminal = openat(CWD, name.as_c_str(), flags, Mode::empty()).unwrap();
    (person, terminal)
}

impl Run {
    /// Starts it with a terminal as its input, output and error.
    pub fn at_terminal(self) -> AtTerminal {
        let (person, terminal) = pseudo_terminal();
        let end = |terminal: &OwnedFd| Stdio::from(terminal.try_clone().unwrap());
        let mut command = self.command();
        command.stdin(end(&terminal)).stdout(end(&terminal)).stderr(end(&terminal));
        let child = start(&mut command);
        AtTerminal { child, person: person.into(), seen: String::new() }
    }
}

impl AtTerminal {
    /// Waits until the text has been shown.
    #[track_caller]
    pub fn sees(&mut self, text: &str) {
        while !self.seen.contains(text) {
            assert!(self.read(), "never shown: {text}\n{}", self.seen);
        }
    }

    /// Types the text.
    pub fn types(&mut self, text: &str) {
        self.person.write_all(text.as_bytes()).unwrap();
    }

    /// The exit code, and everything that was shown.
    pub fn ends(mut self) -> (i32, String) {
        while self.read() {}
        (self.child.wait().unwrap().code().unwrap(), std::mem::take(&mut self.seen))
    }

    /// Reads some more; no more comes once the other end is closed.
    #[track_caller]
    fn read(&mut self) -> bool {
        let end = Instant::now() + DEADLINE;
        let mut wanted = [PollFd::new(&self.person, PollFlags::IN)];
        let left = Timespec::try_from(end.saturating_duration_since(Instant::now())).unwrap();
        assert_ne!(poll(&mut wanted, Some(&left)).unwrap(), 0, "nothing more is shown after:\n{}", self.seen);
        let mut bytes = [0; 4096];
        match self.person.read(&mut bytes) {
            Ok(0) | Err(_) => false,
            Ok(length) => {
                self.seen.push_str(&String::from_utf8_lossy(&bytes[..length]));
                true
            }
        }
    }
}

impl Drop for AtTerminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
