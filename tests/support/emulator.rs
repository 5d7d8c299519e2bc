//! A run of portscope on a screen: a pseudo-terminal, and an emulator that knows what it shows.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, ExitStatus, Stdio};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use rustix::termios::{LocalModes, OptionalActions, Termios, Winsize, tcgetattr, tcsetattr, tcsetwinsize};

use super::pty::pseudo_terminal;
use super::{DEADLINE, Run, eventually, start};

/// A run on a screen.
pub struct OnScreen {
    child: Child,
    /// The person's end; taken away where the terminal is lost.
    person: Option<File>,
    terminal: OwnedFd,
    before: Termios,
    emulator: vt100::Parser,
}

impl Run {
    /// Starts it on a screen of so many columns and lines.
    pub fn on_screen(self, width: u16, height: u16) -> OnScreen {
        let (person, terminal) = pseudo_terminal();
        tcsetwinsize(&terminal, size(width, height)).unwrap();
        let before = tcgetattr(&terminal).unwrap();
        let end = || Stdio::from(terminal.try_clone().unwrap());
        let mut command = self.command();
        command.stdin(end()).stdout(end()).stderr(end());
        let child = start(&mut command);
        drop(command);
        let emulator = vt100::Parser::new(height, width, 0);
        OnScreen { child, person: Some(person.into()), terminal, before, emulator }
    }
}

fn size(width: u16, height: u16) -> Winsize {
    Winsize { ws_row: height, ws_col: width, ws_xpixel: 0, ws_ypixel: 0 }
}

impl OnScreen {
    /// What is on the screen.
    pub fn contents(&self) -> String {
        self.emulator.screen().contents()
    }

    /// Waits until it is so of what is on the screen.
    #[track_caller]
    pub fn until(&mut self, what: &str, is_so: impl Fn(&str) -> bool) {
        let end = Instant::now() + DEADLINE;
        while !is_so(&self.contents()) {
            assert!(Instant::now() < end, "never {what}:\n{}", self.contents());
            assert!(self.read(), "it ended, and never was {what}:\n{}", self.contents());
        }
    }

    /// Waits until the text is on the screen.
    #[track_caller]
    pub fn shows(&mut self, text: &str) {
        self.until(text, |contents| contents.contains(text));
    }

    /// Waits until the text is not on the screen.
    #[track_caller]
    pub fn lacks(&mut self, text: &str) {
        self.until(&format!("without {text}"), |contents| !contents.contains(text));
    }

    /// Types the keys.
    pub fn types(&mut self, keys: &str) {
        self.person.as_mut().unwrap().write_all(keys.as_bytes()).unwrap();
    }

    /// Gives the terminal another size.
    pub fn resize(&mut self, width: u16, height: u16) {
        self.emulator.screen_mut().set_size(height, width);
        tcsetwinsize(&self.terminal, size(width, height)).unwrap();
        // The kernel tells only those whose controlling terminal it is.
        self.signal(Signal::WINCH);
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Waits until it has stopped itself.
    #[track_caller]
    pub fn stops(&mut self) {
        eventually("it stops", || {
            let options = WaitOptions::UNTRACED | WaitOptions::NOHANG;
            let (_, status) = waitpid(Some(self.pid()), options).unwrap()?;
            assert!(status.stopped(), "{status:?}");
            Some(())
        });
        self.drain();
    }

    /// Sets the modes of the terminal as they were before, as a shell does when a job is stopped.
    pub fn is_cooked(&self) {
        tcsetattr(&self.terminal, OptionalActions::Now, &self.before).unwrap();
    }

    /// Whether keys come one by one.
    pub fn is_raw(&self) -> bool {
        !tcgetattr(&self.terminal).unwrap().local_modes.contains(LocalModes::ICANON)
    }

    /// Takes the person's end away.
    pub fn is_lost(&mut self) {
        self.person = None;
    }

    /// Whether the modes and the screen are as they were before it was started.
    #[track_caller]
    pub fn is_restored(&self) {
        let now = tcgetattr(&self.terminal).unwrap();
        let modes = |of: &Termios| (of.input_modes, of.output_modes, of.control_modes, of.local_modes);
        assert_eq!(modes(&now), modes(&self.before));
        let screen = self.emulator.screen();
        assert!(!screen.alternate_screen() && !screen.hide_cursor(), "{}", self.contents());
        assert_eq!(screen.mouse_protocol_mode(), vt100::MouseProtocolMode::None);
    }

    /// Whether it has the terminal.
    #[track_caller]
    pub fn is_taken(&self) {
        let now = tcgetattr(&self.terminal).unwrap();
        assert_ne!(now.local_modes, self.before.local_modes);
        assert!(self.emulator.screen().alternate_screen());
    }

    /// Waits for its end.
    #[track_caller]
    pub fn ends(&mut self) -> ExitStatus {
        let status = eventually("it ends", || {
            self.drain();
            self.child.try_wait().unwrap()
        });
        self.drain();
        status
    }

    /// Reads what is there.
    fn drain(&mut self) {
        while self.person.is_some() && self.read_within(Some(Timespec { tv_sec: 0, tv_nsec: 0 })) == Some(true) {}
    }

    /// Reads some more; no more comes once the other end is closed.
    #[track_caller]
    fn read(&mut self) -> bool {
        let end = Instant::now() + DEADLINE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "nothing more is shown after:\n{}", self.contents());
            let tenth = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
            match self.read_within(Some(tenth)) {
                Some(read) => return read,
                // The test itself has the terminal open, so that its end is seen only so.
                None if self.child.try_wait().unwrap().is_some() => return false,
                None => {}
            }
        }
    }

    fn read_within(&mut self, time: Option<Timespec>) -> Option<bool> {
        let person = self.person.as_mut().unwrap();
        let mut wanted = [PollFd::new(&*person, PollFlags::IN)];
        if poll(&mut wanted, time.as_ref()).unwrap() == 0 {
            return None;
        }
        let mut bytes = [0; 4096];
        match person.read(&mut bytes) {
            Ok(0) | Err(_) => Some(false),
            Ok(length) => {
                self.emulator.process(&bytes[..length]);
                Some(true)
            }
        }
    }
}

impl Drop for OnScreen {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
