//! The files of one process below /proc.
//!
//! A process number can be reused at any time, so everything is read through one handle of `/proc/PID`. The handle
//! stays with its process: once that has ended, reading through it fails. A socket that the process still holds proves
//! that the handle refers to the right process.

use std::ffi::{OsStr, OsString};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::time::{Duration, UNIX_EPOCH};

use rustix::fs::{CWD, Mode, OFlags, fstat, openat, readlinkat_raw};
use rustix::io::Errno;

use super::deadline::within;
use super::procfs::{numbers, socket_inode};
use crate::model::{Inode, Pid, Process, Uid};

/// How long reading the arguments of one process may take.
pub const PATIENCE: Duration = Duration::from_millis(250);

/// More of the list of a process's cgroups is not read.
pub const MOST_CGROUP: usize = 64 * 1024;

/// More of a command line is not read: it may be as long as memory.
pub const MOST_ARGV: usize = 64 * 1024;

/// Returns the handle of a thread that lives where the main thread has ended: nothing can be read of that any more; and
/// the path of what it runs, where that may be read.
pub fn living(process: OwnedFd, pid: Pid) -> (OwnedFd, Option<OsString>) {
    // The descriptors of a thread that has ended can be opened, and there are none.
    let exe = link(process.as_fd(), "exe");
    if exe.is_some() || !is_dead(process.as_fd()) {
        return (process, exe);
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let threads = openat(&process, "task", flags, Mode::empty()).and_then(|tasks| Ok((numbers(tasks.as_fd())?, tasks)));
    let Ok((threads, tasks)) = threads else { return (process, None) };
    let others = threads.into_iter().filter(|thread| *thread != pid.0);
    let mut living = others.filter_map(|thread| openat(&tasks, thread.to_string(), flags, Mode::empty()).ok());
    let living = living.find(|thread| !is_dead(thread.as_fd())).unwrap_or(process);
    let exe = link(living.as_fd(), "exe");
    (living, exe)
}

/// Says whether the main thread of a process, or another thread, has ended.
fn is_dead(directory: BorrowedFd<'_>) -> bool {
    Stat::read(directory).is_some_and(|stat| matches!(stat.state, b'Z' | b'X'))
}

/// Opens `/proc/PID`, which stays that of the process that had this number now.
pub fn open_process(pid: Pid) -> Option<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(CWD, format!("/proc/{}", pid.0), flags, Mode::empty()).ok()
}

/// Says whether the process has one of the descriptors that were seen, and so is the one that was seen.
///
/// One of a thread's own table cannot be found here; then there is nothing to compare.
pub fn still_holds(directory: BorrowedFd<'_>, held: &[(u32, Inode)]) -> bool {
    let mut compared = false;
    for (fd, inode) in held {
        let Some(link) = link(directory, &format!("fd/{fd}")) else { continue };
        if socket_inode(link.as_bytes()) == Some(inode.get()) {
            return true;
        }
        compared = true;
    }
    !compared
}

fn ticks(count: u64) -> Duration {
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    Duration::from_millis(count.saturating_mul(1000) / per_second)
}

/// Says whether the process with this number runs, and started so many nanoseconds after the system.
pub fn is_running(pid: Pid, started: u64) -> bool {
    let Some(directory) = open_process(pid) else { return false };
    let per_second = u128::from(rustix::param::clock_ticks_per_second());
    let expected = u64::try_from(u128::from(started) * per_second / 1_000_000_000).unwrap_or(u64::MAX);
    let is_it = Stat::read(directory.as_fd()).is_some_and(|stat| stat.started.abs_diff(expected) <= 1);
    is_it && !is_dead(living(directory, pid).0.as_fd())
}

/// The fields of `/proc/PID/stat` that are of use here, and the process's user. Source: proc_pid_stat(5).
#[derive(Debug, Eq, PartialEq)]
pub struct Stat {
    /// Its short name, which may be blank.
    pub name: OsString,
    /// The letter of its state.
    pub state: u8,
    /// The number of its parent; 0 without one, or with one outside of the pid namespace.
    pub parent: u32,
    /// In ticks since the start of the system.
    started: u64,
    /// The effective one.
    user: Option<Uid>,
}

impl Stat {
    /// Reads that of the process behind the handle.
    pub fn read(directory: BorrowedFd<'_>) -> Option<Stat> {
        // The user first: a process that can be read afterwards was there.
        let user = effective_uid(directory);
        Some(Stat { user, ..Stat::parse(&read(directory, "stat", 1024).ok()?)? })
    }

    /// Returns what it says of the process.
    pub fn process(self, pid: Pid, boot: Option<Duration>) -> Process {
        Process {
            pid,
            parent: Some(Pid(self.parent)).filter(|parent| parent.0 != 0),
            name: Some(self.name),
            exe: None,
            argv: None,
            cwd: None,
            runs: None,
            project: None,
            exe_deleted: None,
            executable: None,
            started_at: boot.map(|boot| UNIX_EPOCH + boot + ticks(self.started)),
            uid: self.user,
            account: None,
            belonging: None,
        }
    }

    /// The name stands in parentheses and may hold any byte, parentheses too; so the last one closes it.
    fn parse(text: &[u8]) -> Option<Stat> {
        let open = text.iter().position(|byte| *byte == b'(')?;
        let close = text.iter().rposition(|byte| *byte == b')')?;
        let name = OsStr::from_bytes(text.get(open + 1..close)?).to_owned();
        let mut fields = std::str::from_utf8(text.get(close + 1..)?).ok()?.split_ascii_whitespace();
        let state = *fields.next()?.as_bytes().first()?;
        let parent = fields.next()?.parse().ok()?;
        // Field 22 of the line; the state is field 3 and its parent field 4.
        let started = fields.nth(17)?.parse().ok()?;
        Some(Stat { name, state, parent, started, user: None })
    }
}

/// Returns the effective user of the process behind the handle, as long as it is there: of one that is gone the kernel says
/// that it is root's. Source: Linux, fs/proc/base.c, `task_dump_owner`; reading `status` takes ten times as long.
pub fn effective_uid(directory: BorrowedFd<'_>) -> Option<Uid> {
    Some(Uid(fstat(directory).ok()?.st_uid))
}

/// The arguments lie in memory of the process, which may be backed by a file system that does not answer.
pub fn arguments(directory: BorrowedFd<'_>) -> Option<Vec<OsString>> {
    let directory = directory.try_clone_to_owned().ok()?;
    let text = within(PATIENCE, move || read(directory.as_fd(), "cmdline", MOST_ARGV)).ok()?;
    Some(split_arguments(&text.ok()?))
}

/// Each argument ends with NUL; empty ones are arguments too. A process may have overwritten the whole.
pub fn split_arguments(text: &[u8]) -> Vec<OsString> {
    if text.is_empty() {
        return Vec::new();
    }
    let text = text.strip_suffix(b"\0").unwrap_or(text);
    text.split(|byte| *byte == 0).map(|argument| OsStr::from_bytes(argument).to_owned()).collect()
}

fn open(directory: BorrowedFd<'_>, name: &str) -> Result<OwnedFd, Errno> {
    openat(directory, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
}

/// Reads a file of /proc up to so many bytes.
pub fn read(directory: BorrowedFd<'_>, name: &str, most: usize) -> Result<Vec<u8>, Errno> {
    let file = open(directory, name)?;
    let mut text = vec![0; most.min(4096)];
    let mut length = 0;
    loop {
        match rustix::io::read(&file, &mut text[length..])? {
            0 => break,
            more => length += more,
        }
        // These files are given whole; a short piece is the last.
        if length < text.len() {
            break;
        }
        if length == text.len() {
            if length >= most {
                break;
            }
            text.resize((length * 2).min(most), 0);
        }
    }
    text.truncate(length);
    Ok(text)
}

pub fn link(directory: BorrowedFd<'_>, name: &str) -> Option<OsString> {
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let (target, _) = readlinkat_raw(directory, name, &mut buffer).ok()?;
    Some(OsString::from_vec(target.to_vec()))
}

/// The readers of a process's files.
#[cfg(any(feature = "fuzzing", test))]
pub mod fuzzing {
    /// Reads the bytes as each of the files.
    pub fn files(bytes: &[u8]) {
        let _ = super::Stat::parse(bytes);
        let _ = super::split_arguments(bytes);
    }
}

#[cfg(test)]
pub mod testing {
    use std::io::Read;
    use std::process::{Child, Command, Stdio};

    /// A process of Python that has run a script, and waits until it is dropped.
    pub struct Python(Child);

    impl Python {
        /// Starts it, and returns once it has run the script.
        pub fn after(script: &str) -> Python {
            let script = format!("{script}\nimport sys; print(flush=True); sys.stdin.read()");
            let mut command = Command::new("python3");
            command.args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::piped());
            let mut child = command.spawn().unwrap();
            child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
            Python(child)
        }

        /// Its number.
        pub fn id(&self) -> u32 {
            self.0.id()
        }
    }

    impl Drop for Python {
        fn drop(&mut self) {
            drop(self.0.stdin.take());
            let _ = self.0.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_process_that_does_not_hold_the_socket_is_not_the_one_that_was_seen() {
        use std::os::fd::AsRawFd;
        use std::os::unix::fs::MetadataExt;
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let fd = u32::try_from(listener.as_raw_fd()).unwrap();
        let inode = std::fs::metadata(format!("/proc/self/fd/{fd}")).unwrap().ino();
        let own = open_process(Pid(std::process::id())).unwrap();
        assert!(still_holds(own.as_fd(), &[(fd, Inode::new(inode).unwrap())]));
        assert!(!still_holds(own.as_fd(), &[(fd, Inode::new(inode + 1).unwrap())]), "another socket in its place");
        let mut ended = std::process::Command::new("true").spawn().unwrap();
        let handle = open_process(Pid(ended.id())).unwrap();
        ended.wait().unwrap();
        // Even if the number was reused, the handle reads nothing.
        assert!(read(handle.as_fd(), "stat", 1024).is_err());
        assert_eq!(link(handle.as_fd(), "exe"), None);
    }

    #[test]
    fn the_last_parenthesis_closes_the_name() {
        let rest = "S 41 2 2 0 -1 1 1 0 0 0 0 0 0 0 20 0 1 0 31337 1";
        for name in ["sshd", "x) S 1 (y", "", ")", "(", "a b\nc"] {
            let stat = Stat::parse(format!("22431 ({name}) {rest}").as_bytes()).unwrap();
            assert_eq!(stat, Stat { name: name.into(), state: b'S', parent: 41, started: 31337, user: None }, "{name}");
        }
        for text in ["", "1 (a", "1 (a) S", "1 (a) S x", ")("] {
            assert_eq!(Stat::parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn empty_arguments_are_arguments() {
        for (text, argv) in [
            (&b"a\0b\0"[..], &["a", "b"][..]),
            (b"a\0\0b\0", &["a", "", "b"]),
            (b"a\0\0", &["a", ""]),
            (b"postgres: writer", &["postgres: writer"]),
            (b"", &[]),
        ] {
            assert_eq!(split_arguments(text), argv);
        }
    }

    #[test]
    fn the_user_of_a_process_is_its_effective_one_even_if_its_files_are_roots() {
        if !rustix::process::geteuid().is_root() {
            assert!(std::env::var_os("CI").is_none(), "this needs root");
            println!("skipped: only root can start a process of another user");
            return;
        }
        // Without PR_SET_DUMPABLE, which a change of the user resets, all files of a process are root's.
        let python = testing::Python::after("import os; os.setresuid(7, 8, 9)");
        let directory = open_process(Pid(python.id())).unwrap();
        assert_eq!(rustix::fs::statat(&directory, "stat", rustix::fs::AtFlags::empty()).unwrap().st_uid, 0);
        assert_eq!(Stat::read(directory.as_fd()).unwrap().user, Some(Uid(8)));
        drop(python);
        assert_eq!(Stat::read(directory.as_fd()), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_parser_panic(text in any::<Vec<u8>>()) {
            let _ = (Stat::parse(&text), split_arguments(&text));
        }
    }
}
