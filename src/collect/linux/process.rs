//! Reads from /proc what is known of the processes that hold sockets.
//!
//! A process number can be reused at any time, so everything is read through one handle of `/proc/PID`. The handle
//! stays with its process: once that has ended, reading through it fails. The socket that the process still holds
//! proves that the handle refers to the right process.

use std::collections::{BTreeMap, HashMap};
use std::ffi::{OsStr, OsString};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, openat, readlinkat_raw, statat};
use rustix::io::Errno;
use rustix::time::{ClockId, clock_gettime};

use super::ancestry::ancestors;
use super::deadline::within;
use super::owners::{Facts, ProcessFacts};
use super::parallel;
use super::procfs::{numbers, socket_inode};
use super::{cgroup_names, executable};
use crate::collect::runs;
use crate::model::{Belonging, Executable, Holder, Inode, Need, Pid, Process, Socket, Uid};

/// How long reading the arguments of one process may take.
pub const PATIENCE: Duration = Duration::from_millis(250);
/// More of a command line is not read: it may be as long as memory.
pub(super) const MOST_ARGV: usize = 64 * 1024;

/// More of the list of a process's cgroups is not read.
const MOST_CGROUP: usize = 64 * 1024;

/// Descriptors that are kept to prove later that the process is the one that was seen; some may be closed by then.
const MOST_PROOFS: usize = 16;

/// A process, and what it was seen to hold.
type Observed = (Pid, Vec<(u32, Inode)>);

/// What one worker has put together.
#[derive(Default)]
struct Described {
    holders: Vec<Process>,
    ancestors: Vec<Process>,
}

/// Describes every process that holds one of the sockets, and where that is needed those that they descend from; those
/// that have ended are left out.
///
/// A process of which the search for holders has found out enough is not read again.
pub fn describe(sockets: &[Socket], need: &Need, met: &ProcessFacts) -> BTreeMap<Pid, Process> {
    let mut held: HashMap<Pid, Vec<(u32, Inode)>> = HashMap::new();
    for socket in sockets {
        for Holder { pid, fd } in socket.owner.holders() {
            let descriptors = held.entry(*pid).or_default();
            if descriptors.len() < MOST_PROOFS {
                descriptors.extend(fd.zip(socket.inode));
            }
        }
    }
    let boot = boot_time();
    let jobs: Vec<Observed> = held.into_iter().collect();
    let workers = jobs.len() / 64 + 1;
    let parts = parallel::share(jobs, workers, |held, described: &mut Described| {
        let holder = process(&held, need, met.get(&held.0), boot, &mut described.ancestors);
        described.holders.extend(holder);
        Vec::new()
    });
    let by_pid = |process: Process| (process.pid, process);
    let (holders, ancestors): (Vec<_>, Vec<_>) = parts.into_iter().map(|part| (part.holders, part.ancestors)).unzip();
    // For a process that is both, the entry of the holder has more facts.
    let mut described: BTreeMap<Pid, Process> = ancestors.into_iter().flatten().map(by_pid).collect();
    described.extend(holders.into_iter().flatten().map(by_pid));
    described
}

fn process(
    (pid, held): &Observed,
    need: &Need,
    met: Option<&Facts>,
    boot: Option<Duration>,
    others: &mut Vec<Process>,
) -> Option<Process> {
    let met = met.map(|facts| as_met(*pid, facts, boot));
    if let Some(process) = &met
        && process.name.is_some()
        && !need.exe
        && !need.argv
        && !need.belonging
        && !need.dossier
    {
        return met;
    }
    let directory = living(open_process(*pid)?, *pid);
    let directory = directory.as_fd();
    if !still_holds(directory, held) {
        return None;
    }
    if let Some(process) = met
        && !need.argv
        && !need.dossier
    {
        let exe = need.exe.then(|| link(directory, "exe").map(PathBuf::from)).flatten();
        let executable = executable(directory, need, exe.as_deref(), process.uid);
        return Some(Process { exe, executable, belonging: belonging(directory, need), ..process });
    }
    let stat = Stat::read(directory)?;
    // A process may have blanked its name; the file's is shown then.
    let exe = if need.exe || stat.name.is_empty() { link(directory, "exe") } else { None };
    let mut described = Process {
        // Reading the arguments of a process in uninterruptible sleep can block as long as the sleep lasts.
        argv: (need.argv && stat.state != b'D').then(|| arguments(directory)).flatten(),
        exe: exe.map(PathBuf::from),
        belonging: belonging(directory, need),
        ..stat.process(*pid, directory, boot)
    };
    described.runs = described.argv.as_deref().and_then(runs::runs);
    described.executable = executable(directory, need, described.exe.as_deref(), described.uid);
    if need.dossier {
        described.cwd = link(directory, "cwd").map(PathBuf::from);
        described.exe_deleted = described.exe.as_deref().and_then(|exe| is_deleted(directory, exe.as_os_str()));
        let ancestors = ancestors(directory, boot);
        // A process whose parent ends gets another one, so what was read first may be out of date.
        described.parent = ancestors.first().map(|parent| parent.pid).or(described.parent);
        others.extend(ancestors);
    }
    Some(described)
}

/// Says whether the file that a process runs is gone; the kernel marks its path then, but a file may be called so.
fn is_deleted(directory: BorrowedFd<'_>, exe: &OsStr) -> Option<bool> {
    if !exe.as_bytes().ends_with(b" (deleted)") {
        return Some(false);
    }
    let directory = directory.try_clone_to_owned().ok()?;
    // A file system whose server is gone may never answer.
    let file = within(PATIENCE, move || statat(directory, "exe", AtFlags::empty())).ok()?.ok()?;
    Some(file.st_nlink == 0)
}

/// What is known from the search for holders alone. A blank name counts as unknown.
fn as_met(pid: Pid, facts: &Facts, boot: Option<Duration>) -> Process {
    let length = facts.name.iter().position(|byte| *byte == 0).unwrap_or(facts.name.len());
    let name = Some(OsStr::from_bytes(&facts.name[..length]).to_owned());
    Process {
        pid,
        parent: Some(Pid(facts.parent)).filter(|parent| parent.0 != 0),
        name: name.filter(|name| !name.is_empty()),
        exe: None,
        argv: None,
        cwd: None,
        runs: None,
        project: None,
        exe_deleted: None,
        executable: None,
        started_at: boot.map(|boot| UNIX_EPOCH + boot + Duration::from_nanos(facts.started)),
        uid: Some(Uid(facts.effective_uid)),
        belonging: None,
    }
}

/// Returns the handle of a thread that lives where the main thread has ended: nothing can be read of that any more.
fn living(process: OwnedFd, pid: Pid) -> OwnedFd {
    // The descriptors of a thread that has ended can be opened, and there are none.
    let has_ended = |handle: &OwnedFd| link(handle.as_fd(), "exe").is_none() && is_dead(handle.as_fd());
    if !has_ended(&process) {
        return process;
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let threads = openat(&process, "task", flags, Mode::empty()).and_then(|tasks| Ok((numbers(tasks.as_fd())?, tasks)));
    let Ok((threads, tasks)) = threads else { return process };
    let others = threads.into_iter().filter(|thread| *thread != pid.0);
    let mut living = others.filter_map(|thread| openat(&tasks, thread.to_string(), flags, Mode::empty()).ok());
    living.find(|thread| !is_dead(thread.as_fd())).unwrap_or(process)
}

/// Says whether the main thread of a process, or another thread, has ended.
fn is_dead(directory: BorrowedFd<'_>) -> bool {
    Stat::read(directory).is_some_and(|stat| matches!(stat.state, b'Z' | b'X'))
}

/// Who could have put the file there, where that is wanted.
fn executable(
    directory: BorrowedFd<'_>,
    need: &Need,
    exe: Option<&Path>,
    user: Option<Uid>,
) -> Option<Box<Executable>> {
    exe.filter(|_| need.executables).and_then(|exe| executable::describe(directory, exe, user)).map(Box::new)
}

/// What its cgroup belongs to, where that is wanted.
fn belonging(directory: BorrowedFd<'_>, need: &Need) -> Option<Belonging> {
    if need.belonging { cgroup_names::judged(&read(directory, "cgroup", MOST_CGROUP).ok()?) } else { None }
}

/// Opens `/proc/PID`, which stays that of the process that had this number now.
pub fn open_process(pid: Pid) -> Option<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(CWD, format!("/proc/{}", pid.0), flags, Mode::empty()).ok()
}

/// Says whether the process has one of the descriptors that were seen, and so is the one that was seen.
///
/// One of a thread's own table cannot be found here; then there is nothing to compare.
pub(super) fn still_holds(directory: BorrowedFd<'_>, held: &[(u32, Inode)]) -> bool {
    let mut compared = false;
    for (fd, inode) in held {
        let Some(link) = link(directory, &format!("fd/{fd}")) else { continue };
        if socket_inode(link.as_bytes()) == Some(inode.0) {
            return true;
        }
        compared = true;
    }
    !compared
}

/// The point in time at which the system's clock of `/proc/PID/stat` started.
fn boot_time() -> Option<Duration> {
    let since_boot = clock_gettime(ClockId::Boottime);
    let since_boot = Duration::new(since_boot.tv_sec.try_into().ok()?, since_boot.tv_nsec.try_into().ok()?);
    SystemTime::now().duration_since(UNIX_EPOCH).ok()?.checked_sub(since_boot)
}

fn ticks(count: u64) -> Duration {
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    Duration::from_millis(count.saturating_mul(1000) / per_second)
}

/// The fields of `/proc/PID/stat` that are of use here. Source: proc_pid_stat(5).
#[derive(Debug, Eq, PartialEq)]
pub struct Stat {
    name: OsString,
    state: u8,
    /// The number of its parent; 0 without one, or with one outside of the pid namespace.
    pub parent: u32,
    /// In ticks since the start of the system.
    started: u64,
}

impl Stat {
    /// Reads that of the process behind the handle.
    pub fn read(directory: BorrowedFd<'_>) -> Option<Stat> {
        Stat::parse(&read(directory, "stat", 1024).ok()?)
    }

    /// Returns what it says of the process, with the process's user.
    pub fn process(self, pid: Pid, directory: BorrowedFd<'_>, boot: Option<Duration>) -> Process {
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
            uid: effective_uid(directory),
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
        Some(Stat { name, state, parent, started })
    }
}

fn effective_uid(directory: BorrowedFd<'_>) -> Option<Uid> {
    parse_effective_uid(&read(directory, "status", 4096).ok()?)
}

/// The second number of the line `Uid:`. Source: proc_pid_status(5).
fn parse_effective_uid(text: &[u8]) -> Option<Uid> {
    let line = text.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"Uid:"))?;
    std::str::from_utf8(line).ok()?.split_ascii_whitespace().nth(1)?.parse().ok().map(Uid)
}

/// The arguments lie in memory of the process, which may be backed by a file system that does not answer.
pub fn arguments(directory: BorrowedFd<'_>) -> Option<Vec<OsString>> {
    let directory = directory.try_clone_to_owned().ok()?;
    let text = within(PATIENCE, move || read(directory.as_fd(), "cmdline", MOST_ARGV)).ok()?;
    Some(split_arguments(&text.ok()?))
}

/// Each argument ends with NUL; empty ones are arguments too. A process may have overwritten the whole.
pub(super) fn split_arguments(text: &[u8]) -> Vec<OsString> {
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
        assert!(still_holds(own.as_fd(), &[(fd, Inode(inode))]));
        assert!(!still_holds(own.as_fd(), &[(fd, Inode(inode + 1))]), "another socket in its place");
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
            assert_eq!(stat, Stat { name: name.into(), state: b'S', parent: 41, started: 31337 }, "{name}");
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
    fn the_effective_user_is_the_second_number() {
        assert_eq!(parse_effective_uid(b"Name:\ta\nUid:\t0\t33\t0\t0\nGid:\t1\t2\n"), Some(Uid(33)));
        assert_eq!(parse_effective_uid(b"Uid:\n"), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_parser_panic(text in any::<Vec<u8>>()) {
            let _ = (Stat::parse(&text), parse_effective_uid(&text), split_arguments(&text));
        }
    }
}
