//! Finds the holders of sockets by reading `/proc/PID/fd`, the work shared among the cores.
//!
//! Source: proc_pid_fd(5): the link of a descriptor reads `socket:[INODE]`.

use std::collections::BTreeSet;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags, openat, readlinkat_raw};
use rustix::io::Errno;
use rustix::path::DecInt;

use super::{Scan, indirect};
use crate::collect::linux::descriptors::{is_refusal, is_shortage};
use crate::collect::linux::procfs::{self, Processes, numbers, socket_inode};
use crate::model::{Holder, Inode, Pid};
use crate::parallel;

/// Descriptors of one process that are one piece of work; a process with more of them is shared among the cores.
const PIECE: usize = 2048;

/// The link of an io_uring.
pub const IO_URING: &[u8] = b"anon_inode:[io_uring]";

/// How deep to look.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Depth {
    /// The descriptors of each process.
    Processes,
    /// Also those of each thread, which may have a table of its own and outlive the main thread; files that are
    /// registered with an io_uring; and whether descriptors are on their way through unix sockets.
    Threads,
}

/// What to look for.
struct Search {
    /// The sockets, in order; every one when absent.
    wanted: Option<Vec<u64>>,
    /// The unix sockets, in order: what is on its way through them is in their details.
    unix: Vec<u64>,
    depth: Depth,
}

impl Search {
    fn wants(&self, inode: u64) -> bool {
        self.wanted.as_ref().is_none_or(|wanted| wanted.binary_search(&inode).is_ok())
    }
}

/// A piece of the work.
enum Job {
    Process(u32),
    /// Some descriptors of a table.
    Descriptors(Arc<Table>, Vec<u32>),
}

/// One table of descriptors.
struct Table {
    pid: u32,
    /// `PID/fd` or `PID/task/TID/fd`.
    path: String,
    directory: OwnedFd,
}

/// What one core has found.
#[derive(Default)]
struct Part {
    scan: Scan,
    /// Processes of which something could not be read.
    refused: BTreeSet<u32>,
    /// Why a process could not be read, where that is not because of permissions.
    short: Option<Errno>,
}

impl Part {
    /// Notes what an error means for the process; nothing when the process or its descriptor no longer exists.
    fn note(&mut self, pid: u32, error: Errno) {
        if is_refusal(error) {
            self.refused.insert(pid);
        } else if is_shortage(error) {
            self.short = Some(error);
        }
    }
}

/// Reads the descriptors of every process and reports those of wanted sockets, or of all of them.
///
/// A process that ends meanwhile can be left out, because its sockets are gone too. If a process cannot be read for
/// lack of descriptors, the whole scan fails.
pub fn scan(wanted: Option<&BTreeSet<Inode>>, depth: Depth) -> io::Result<Scan> {
    scan_some(wanted, depth, |_| true)
}

/// Reads the descriptors of every one of these processes, not deeply, and reports those of all sockets.
pub fn scan_all(processes: &Processes) -> io::Result<Scan> {
    scan_these(processes, None, Depth::Processes, |_| true)
}

/// Reads those of some processes only; every process is counted.
pub fn scan_some(wanted: Option<&BTreeSet<Inode>>, depth: Depth, is_meant: impl Fn(u32) -> bool) -> io::Result<Scan> {
    scan_these(&Processes::default(), wanted, depth, is_meant)
}

fn scan_these(
    processes: &Processes,
    wanted: Option<&BTreeSet<Inode>>,
    depth: Depth,
    is_meant: impl Fn(u32) -> bool,
) -> io::Result<Scan> {
    let proc = procfs::open()?;
    let pids = processes.pids(proc.as_fd())?;
    let search = Search {
        wanted: wanted.map(|wanted| wanted.iter().map(|inode| inode.get()).collect()),
        unix: if depth == Depth::Threads { indirect::unix_inodes() } else { Vec::new() },
        depth,
    };
    let jobs: Vec<Job> = pids.iter().rev().filter(|pid| is_meant(**pid)).map(|pid| Job::Process(*pid)).collect();
    let workers = jobs.len() / procfs::WORTH_A_WORKER + 1;
    let parts = parallel::share(jobs, workers, |job, part: &mut Part| match job {
        Job::Process(pid) => scan_process(proc.as_fd(), pid, &search, part),
        Job::Descriptors(table, descriptors) => {
            scan_descriptors(proc.as_fd(), &table, &descriptors, &search, part);
            Vec::new()
        }
    });
    let mut whole = Scan::default();
    let mut refused = BTreeSet::new();
    for part in parts {
        whole.found.extend(part.scan.found);
        whole.in_flight += part.scan.in_flight;
        refused.extend(part.refused);
        if let Some(error) = part.short {
            return Err(error.into());
        }
    }
    whole.refused = refused.len();
    whole.read = pids.len().saturating_sub(refused.len());
    Ok(whole)
}

/// Reads the tables of a process; returns what is left to do where that is much.
fn scan_process(proc: BorrowedFd<'_>, pid: u32, search: &Search, part: &mut Part) -> Vec<Job> {
    let mut tables = vec![format!("{pid}/fd")];
    if search.depth == Depth::Threads {
        let tasks = open_at(proc, &format!("{pid}/task"));
        let threads = tasks.and_then(|tasks| numbers(tasks.as_fd()));
        let threads = threads.inspect_err(|error| part.note(pid, *error)).unwrap_or_default();
        tables.extend(threads.iter().filter(|thread| **thread != pid).map(|thread| format!("{pid}/task/{thread}/fd")));
    }
    let mut left = Vec::new();
    for path in tables {
        let opened = open_at(proc, &path).and_then(|directory| Ok((numbers(directory.as_fd())?, directory)));
        let (descriptors, directory) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                part.note(pid, error);
                continue;
            }
        };
        let table = Table { pid, path, directory };
        if descriptors.len() <= PIECE {
            scan_descriptors(proc, &table, &descriptors, search, part);
        } else {
            let table = Arc::new(table);
            left.extend(descriptors.chunks(PIECE).map(|some| Job::Descriptors(Arc::clone(&table), some.to_vec())));
        }
    }
    left
}

/// Reads some descriptors of a table.
///
/// A readable directory does not mean readable links: the kernel checks the permission again at each link, and refuses
/// those of process 1 even to root in some systems. The permission is about the process, so if the first link is
/// refused, the others would be too.
fn scan_descriptors(proc: BorrowedFd<'_>, table: &Table, descriptors: &[u32], search: &Search, part: &mut Part) {
    for (index, fd) in descriptors.iter().enumerate() {
        let mut link = [MaybeUninit::uninit(); 64];
        let link = match readlinkat_raw(&table.directory, DecInt::new(*fd), &mut link) {
            Ok((link, _)) => link,
            Err(error) => {
                part.note(table.pid, error);
                if index == 0 && is_refusal(error) {
                    return;
                }
                continue;
            }
        };
        let inode = socket_inode(link);
        if let Some(inode) = inode.filter(|inode| search.wants(*inode)) {
            part.scan
                .found
                .extend(Inode::new(inode).map(|inode| (inode, Holder { pid: Pid(table.pid), fd: Some(*fd) })));
        } else if inode.is_some_and(|inode| search.unix.binary_search(&inode).is_ok())
            || (search.depth == Depth::Threads && link == IO_URING)
        {
            let wants = |inode| search.wants(inode);
            if let Err(error) = indirect::read(proc, &table.path, *fd, wants, &mut part.scan) {
                part.note(table.pid, error);
            }
        }
    }
}

fn open_at(parent: BorrowedFd<'_>, path: &str) -> Result<OwnedFd, Errno> {
    openat(parent, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_opened_for_want_of_descriptors_is_neither_gone_nor_refused() {
        let noted = |error| {
            let mut part = Part::default();
            part.note(7, error);
            (part.refused.contains(&7), part.short)
        };
        assert_eq!(noted(Errno::NOENT), (false, None));
        assert_eq!(noted(Errno::SRCH), (false, None));
        assert_eq!(noted(Errno::ACCESS), (true, None));
        for error in [Errno::MFILE, Errno::NFILE, Errno::NOMEM] {
            assert_eq!(noted(error), (false, Some(error)));
        }
    }
}
