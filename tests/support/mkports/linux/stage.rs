//! The processes and things of one scene: started here, ended here, by their own ids.
//!
//! The supervisor is the process that the test started. A child is a fork of it that makes its part, reports through a
//! pipe, and then does nothing until it is killed. Whatever a child starts in turn falls to the supervisor, which is a
//! subreaper, when the child dies; every process asks to be killed with its parent.

use std::any::Any;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::process::ChildStdin;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal, WaitOptions, getpid, getppid, kill_process, set_parent_process_death_signal, wait};
use serde_json::{Value, json};

use super::made::Made;
use super::outcome::{Context, DEADLINE, Failure, Outcome};
use super::sys;

/// What a process of the scene holds on to.
#[derive(Default)]
pub struct Stage {
    kept: Vec<Box<dyn Any>>,
    children: Vec<Pid>,
    programs: Vec<(std::process::Child, Option<ChildStdin>)>,
    folders: Vec<PathBuf>,
    stop_signals: Option<OwnedFd>,
    ending: Option<Box<dyn FnOnce()>>,
}

/// A child and what it reported.
pub struct Child {
    pub pid: u32,
    pub made: Made,
}

impl Stage {
    /// Prepares the process that the test started.
    pub fn of_supervisor() -> Outcome<Self> {
        let stop_signals = sys::catch_stop_signals().context("catch signals")?;
        set_parent_process_death_signal(Some(Signal::TERM)).context("ask to die with the parent")?;
        rustix::process::set_child_subreaper(Some(getpid())).context("become a subreaper")?;
        let mut stage = Self::default();
        stage.stop_signals = Some(stop_signals);
        Ok(stage)
    }

    /// Keeps a socket, or anything else, open until the end.
    pub fn keep(&mut self, thing: impl Any) {
        self.kept.push(Box::new(thing));
    }

    /// Makes a folder that is removed at the end.
    pub fn own_folder(&mut self, name: PathBuf) -> Outcome<()> {
        use std::os::unix::fs::DirBuilderExt as _;
        std::fs::DirBuilder::new().mode(0o700).create(&name).context("make a folder")?;
        self.folders.push(name);
        Ok(())
    }

    /// In a child: what it does once it has reported, instead of waiting.
    pub fn end_with(&mut self, ending: impl FnOnce() + 'static) {
        self.ending = Some(Box::new(ending));
    }

    /// Forks a child that makes its part of the scene. What `part` captured is in the child a copy: of a descriptor, a
    /// second one for the same socket.
    pub fn child(&mut self, part: impl FnOnce(&mut Stage) -> Outcome<Made>) -> Outcome<Child> {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).context("make a pipe")?;
        let parent = getpid();
        let Some(pid) = sys::fork().context("fork")? else {
            drop(reader);
            act(parent, writer, part);
        };
        self.children.push(pid);
        drop(writer);
        let report = read_line(File::from(reader))?;
        let report: Value = serde_json::from_str(&report)
            .map_err(|_| Failure::Error(format!("a child ended without a report: {report:?}")))?;
        if let Some(why) = report["skipped"].as_str() {
            return Err(Failure::Skipped(why.to_owned()));
        }
        if let Some(why) = report["error"].as_str() {
            return Err(Failure::Error(why.to_owned()));
        }
        let outside = pid.as_raw_pid().unsigned_abs();
        let mut made = Made::from_json(&report);
        made.renumber(u32::try_from(report["pid"].as_u64().unwrap_or(0)).unwrap_or(0), outside);
        Ok(Child { pid: outside, made })
    }

    /// Takes over a program that was started with pipes for its standard streams, and returns its line.
    pub fn program(&mut self, mut program: std::process::Child) -> Outcome<Value> {
        let stdout = program.stdout.take().expect("started with a pipe");
        let stdin = program.stdin.take();
        self.programs.push((program, stdin));
        let line = read_line(File::from(OwnedFd::from(stdout)))?;
        serde_json::from_str(&line).map_err(|_| Failure::Error(format!("the program reported {line:?}")))
    }

    /// Waits until standard input closes or a signal asks to stop.
    pub fn wait_for_the_end(self) -> Outcome<()> {
        let stdin = io::stdin();
        let signals = self.stop_signals.as_ref().expect("only the supervisor waits");
        loop {
            let mut watched = [PollFd::new(&stdin, PollFlags::IN), PollFd::new(signals, PollFlags::IN)];
            match poll(&mut watched, None) {
                Err(rustix::io::Errno::INTR) => continue,
                result => result.context("wait for standard input")?,
            };
            if !watched[1].revents().is_empty() {
                return Ok(());
            }
            let read = rustix::io::read(&stdin, &mut [0_u8; 512]);
            if !watched[0].revents().is_empty() && read.is_ok_and(|length| length == 0) {
                return Ok(());
            }
        }
    }
}

impl Drop for Stage {
    /// Only the supervisor gets here: children end by a signal or [`sys::exit_now`].
    fn drop(&mut self) {
        for (program, _) in &mut self.programs {
            let _ = program.kill();
            let _ = program.wait();
        }
        for child in &self.children {
            // Not reaped yet, so the number is still this child's; ESRCH cannot hit a stranger.
            let _ = kill_process(*child, Signal::KILL);
        }
        // Its own children, then the orphans that they leave, which die by their death signal.
        while wait(WaitOptions::empty()).is_ok() {}
        for folder in &self.folders {
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

/// The life of a child.
fn act(parent: Pid, report: OwnedFd, part: impl FnOnce(&mut Stage) -> Outcome<Made>) -> ! {
    sys::release_stop_signals();
    let mut stage = Stage::default();
    let made = die_with(parent).and_then(|()| part(&mut stage));
    let failed = made.is_err();
    let line = match made {
        Ok(made) => {
            let mut line = made.to_json();
            line["pid"] = std::process::id().into();
            line
        }
        Err(Failure::Error(why)) => json!({"error": why}),
        Err(Failure::Skipped(why)) => json!({"skipped": why}),
    };
    let _ = writeln!(File::from(report), "{line}");
    if failed {
        sys::exit_now(1);
    }
    if let Some(ending) = stage.ending.take() {
        ending();
    }
    sys::park()
}

/// Asks the kernel to kill this process when its parent ends. Lost by changing the uid, so to be said again then.
pub fn die_with(parent: Pid) -> Outcome<()> {
    set_parent_process_death_signal(Some(Signal::KILL)).context("ask to die with the parent")?;
    // In a pid namespace of its own a child cannot see its parent's number: the kernel says 0, which is `None`.
    if getppid().is_some_and(|now| now != parent) {
        sys::exit_now(1); // it ended before we could ask
    }
    Ok(())
}

/// Reads up to the first line feed, or to the end, but never longer than the deadline.
fn read_line(mut file: File) -> Outcome<String> {
    let start = Instant::now();
    let mut line = Vec::new();
    while !line.ends_with(b"\n") {
        let left = DEADLINE.saturating_sub(start.elapsed()).max(Duration::from_millis(1));
        let left = Timespec::try_from(left).expect("seconds fit");
        if poll(&mut [PollFd::new(&file.as_fd(), PollFlags::IN)], Some(&left)).context("wait for a child")? == 0 {
            return Err(Failure::Error("a child did not report in time".to_owned()));
        }
        let mut buffer = [0; 4096];
        let length = file.read(&mut buffer).context("read a child's report")?;
        if length == 0 {
            break;
        }
        line.extend(&buffer[..length]);
    }
    Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
}
