//! Describes the processes that hold sockets.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, statat};
use rustix::time::{ClockId, clock_gettime};

use super::ancestry::ancestors;
use super::deadline::within;
use super::holdings::Holdings;
use super::opened::Handles;
use super::owners::{Facts, ProcessFacts};
use super::process_files::{MOST_CGROUP, PATIENCE, Stat, arguments, link, read};
use super::{cgroup_names, executable};
use crate::collect::runs;
use crate::model::{Belonging, Executable, Inode, Need, Pid, Process, Uid};
use crate::parallel;

/// A process, and what it was seen to hold.
type Observed<'a> = (Pid, &'a [(u32, Inode)]);

/// What one worker has put together.
#[derive(Default)]
struct Described {
    holders: Vec<Process>,
    ancestors: Vec<Process>,
}

/// Describes every process that holds something, and where that is needed those that they descend from; those
/// that have ended are left out.
///
/// A process of which the search for holders has found out enough is not read again.
pub fn describe(holdings: &Holdings, need: &Need, facts: &ProcessFacts) -> BTreeMap<Pid, Process> {
    let boot = boot_time();
    let jobs: Vec<Observed<'_>> = holdings.processes.iter().map(|(pid, held)| (*pid, &held.proofs[..])).collect();
    let workers = jobs.len() / 64 + 1;
    let parts = parallel::share(jobs, workers, |held, described: &mut Described| {
        let holder = process(&held, &holdings.handles, need, facts.get(&held.0), boot, &mut described.ancestors);
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

/// Says whether more is needed of each process than the search for holders finds out.
pub fn opens(need: &Need) -> bool {
    need.exe || need.argv || need.belonging || need.dossier
}

fn process(
    (pid, held): &Observed<'_>,
    handles: &Handles,
    need: &Need,
    facts: Option<&Facts>,
    boot: Option<Duration>,
    others: &mut Vec<Process>,
) -> Option<Process> {
    let known = facts.map(|facts| known_by(facts, *pid, boot));
    if known.as_ref().is_some_and(|process| process.name.is_some()) && !opens(need) {
        return known;
    }
    let opened = handles.open(*pid, held)?;
    let (directory, exe) = (opened.directory.as_fd(), opened.exe.as_ref());
    if let Some(process) = known
        && !need.argv
        && !need.dossier
    {
        let exe = exe.filter(|_| need.exe).map(PathBuf::from);
        let executable = executable(directory, need, exe.as_deref(), process.uid);
        return Some(Process { exe, executable, belonging: belonging(directory, need), ..process });
    }
    let stat = Stat::read(directory)?;
    // A process may have blanked its name; the file's is shown then.
    let exe = exe.filter(|_| need.exe || stat.name.is_empty());
    let mut described = Process {
        // Reading the arguments of a process in uninterruptible sleep can block as long as the sleep lasts.
        argv: (need.argv && stat.state != b'D').then(|| arguments(directory)).flatten(),
        exe: exe.map(PathBuf::from),
        belonging: belonging(directory, need),
        ..stat.process(*pid, boot)
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

/// Returns what the kernel said of a process, which may have ended since.
pub fn of_facts(pid: Pid, facts: &Facts) -> Process {
    known_by(facts, pid, boot_time())
}

/// What is known from the search for holders alone. A blank name counts as unknown.
fn known_by(facts: &Facts, pid: Pid, boot: Option<Duration>) -> Process {
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
        account: None,
        belonging: None,
    }
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

/// The point in time at which the system's clock of `/proc/PID/stat` started.
fn boot_time() -> Option<Duration> {
    let since_boot = clock_gettime(ClockId::Boottime);
    let since_boot = Duration::new(since_boot.tv_sec.try_into().ok()?, since_boot.tv_nsec.try_into().ok()?);
    SystemTime::now().duration_since(UNIX_EPOCH).ok()?.checked_sub(since_boot)
}
