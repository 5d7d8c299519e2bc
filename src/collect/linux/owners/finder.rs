//! Which way the holders are found: the kernel's iterator, or `/proc/PID/fd`.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::AsFd;

use rustix::fs::readlinkat;

use super::fd_scan::{self, Depth, IO_URING};
use super::task_iter::{Kind, OpenFile, Options, StreamStates, TaskIter, TaskIterError};
use super::{Scan, indirect};
use crate::collect::background::Background;
use crate::collect::linux::bpf::loaded;
use crate::collect::linux::descriptors::is_refusal;
use crate::collect::linux::procfs::{self, Processes};
use crate::model::{Holder, Inode, Need, OwnerSource, Pid, Protocol, State};

/// Below this many open files on the whole host the walk through /proc is as fast as loading a program (0.7 ms).
///
/// This is the only switch between the two. The walk takes some 3 microseconds for each open file, the iterator a tenth
/// of that.
const FEW_FILES: u64 = 300;

/// The way that holders are found.
pub enum Finder {
    /// The kernel's iterator, which is being loaded and makes its first pass.
    Starting(Background<Result<(TaskIter, Vec<OpenFile>), TaskIterError>>),
    /// The kernel's iterator, and the files that its last pass reported, until a deeper look has used them.
    TaskIter(TaskIter, Option<Vec<OpenFile>>),
    /// Reading `/proc/PID/fd`, which is going on.
    Scanning(Background<io::Result<Scan>>),
    /// Reading `/proc/PID/fd`; why not the iterator, where that could have been used.
    FdScan(Option<TaskIterError>),
}

impl Finder {
    /// Chooses the fastest way that is open to this user, and starts with it before the sockets are known: where there
    /// are many, finding their holders takes as long as listing them. Those that are opened meanwhile are left to a deeper
    /// look.
    pub fn start(need: &Need, processes: &Processes) -> Finder {
        if !loaded::may_load_programs() || open_files().is_none_or(|files| files < FEW_FILES) {
            return Finder::by_fd_scan(processes);
        }
        let options = options(need);
        Finder::Starting(Background::start(move || {
            let iterator = TaskIter::load(options)?;
            let files = iterator.read()?;
            Ok((iterator, files))
        }))
    }

    /// Reads `/proc/PID/fd`, whatever else there is.
    pub fn by_fd_scan(processes: &Processes) -> Finder {
        let processes = processes.clone();
        Finder::Scanning(Background::start(move || fd_scan::scan_all(&processes)))
    }

    /// Finds the holders of these sockets among the descriptors of processes.
    pub fn find(&mut self, wanted: &BTreeSet<Inode>) -> io::Result<Scan> {
        if matches!(self, Finder::Scanning(_))
            && let Finder::Scanning(scan) = std::mem::replace(self, Finder::FdScan(None))
        {
            return scan.result();
        }
        if matches!(self, Finder::Starting(_))
            && let Finder::Starting(pass) = std::mem::replace(self, Finder::FdScan(None))
        {
            *self = match pass.result() {
                Ok((iterator, files)) => Finder::TaskIter(iterator, Some(files)),
                Err(error) => Finder::FdScan(Some(error)),
            };
        }
        match self {
            Finder::TaskIter(_, Some(files)) => Ok(holders(files, &in_order(wanted))),
            _ => fd_scan::scan(Some(wanted), Depth::Processes),
        }
    }

    /// Finds them also in the tables of single threads, among the files of an io_uring, and counts descriptors that are
    /// on their way from one process to another. Each call after the first one looks at everything anew.
    pub fn find_deeper(&mut self, wanted: &BTreeSet<Inode>) -> io::Result<Scan> {
        if let Finder::TaskIter(iterator, files) = self {
            match files.take().map_or_else(|| iterator.read(), Ok) {
                Ok(files) => return deeper(&files, wanted),
                Err(error) => *self = Finder::FdScan(Some(error)),
            }
        }
        fd_scan::scan(Some(wanted), Depth::Threads)
    }

    /// Which way it was.
    pub fn source(&self) -> OwnerSource {
        match self {
            Finder::Starting(_) | Finder::TaskIter(..) => OwnerSource::TaskIter,
            Finder::Scanning(_) | Finder::FdScan(_) => OwnerSource::FdScan,
        }
    }

    /// Why the iterator was tried and not used.
    pub fn failure(&self) -> Option<&TaskIterError> {
        match self {
            Finder::FdScan(error) => error.as_ref(),
            Finder::Starting(_) | Finder::TaskIter(..) | Finder::Scanning(_) => None,
        }
    }
}

fn in_order(inodes: &BTreeSet<Inode>) -> Vec<u64> {
    inodes.iter().map(|inode| inode.0).collect()
}

/// How many files are open on the whole host. Source: proc_sys_fs(5), `file-nr`.
fn open_files() -> Option<u64> {
    std::fs::read_to_string("/proc/sys/fs/file-nr").ok()?.split_ascii_whitespace().next()?.parse().ok()
}

/// The sockets that can be in the listing, and no fewer.
fn options(need: &Need) -> Options {
    // A redirect is a rule of the firewall: nobody has it open.
    let is_one_of = |few: &[State]| {
        let is_meant = |state: &State| *state == State::Redirect || few.contains(state);
        need.states.as_ref().is_some_and(|all| all.iter().all(is_meant))
    };
    let states = if is_one_of(&[State::Listen, State::Unconnected]) {
        StreamStates::Listening
    } else if is_one_of(&[State::Listen, State::Unconnected, State::Bound]) {
        StreamStates::ListeningOrBound
    } else {
        StreamStates::Any
    };
    Options {
        stream: need.protocols.contains(&Protocol::Tcp).then_some(states),
        datagram: need.protocols.iter().any(|protocol| protocol.is_datagram()),
        keepers: true,
    }
}

/// The descriptors of wanted sockets; `wanted` in order.
fn holders(files: &[OpenFile], wanted: &[u64]) -> Scan {
    let mut scan = Scan::default();
    let is_wanted = |file: &&OpenFile| file.kind != Kind::Anonymous && wanted.binary_search(&file.inode).is_ok();
    let mut last = None;
    for file in files.iter().filter(is_wanted) {
        let pid = Pid(file.tgid);
        scan.found.push((Inode(file.inode), Holder { pid, fd: Some(file.fd) }));
        // The files of a process follow each other.
        if last.replace(pid) != Some(pid) {
            scan.processes.insert(pid, file.process);
        }
    }
    scan
}

/// Looks into the files that may keep wanted sockets open, and into processes of which the iterator reports nothing:
/// there are systems that keep it out of some.
fn deeper(files: &[OpenFile], unresolved: &BTreeSet<Inode>) -> io::Result<Scan> {
    let wanted = in_order(unresolved);
    let wants = |inode: u64| wanted.binary_search(&inode).is_ok();
    let proc = procfs::open()?;
    let mut scan = holders(files, &wanted);
    let mut refused = BTreeSet::new();
    let reported: BTreeSet<u32> = files.iter().map(|file| file.tgid).collect();
    for file in files.iter().filter(|file| file.kind != Kind::Internet && !wants(file.inode)) {
        let table = match file.tgid {
            tgid if tgid == file.pid => format!("{tgid}/fd"),
            tgid => format!("{tgid}/task/{}/fd", file.pid),
        };
        if file.kind == Kind::Anonymous {
            match readlinkat(&proc, format!("{table}/{}", file.fd), Vec::new()) {
                Ok(link) if link.to_bytes() == IO_URING => {}
                Err(error) if is_refusal(error) => {
                    refused.insert(file.tgid);
                    continue;
                }
                _ => continue,
            }
        }
        match indirect::read(proc.as_fd(), &table, file.fd, wants, &mut scan) {
            Err(error) if is_refusal(error) => drop(refused.insert(file.tgid)),
            result => result?,
        }
    }
    let others = fd_scan::scan_some(Some(unresolved), Depth::Processes, |pid| !reported.contains(&pid))?;
    scan.found.extend(others.found);
    scan.refused = others.refused + refused.len();
    scan.read = others.read.saturating_sub(refused.len());
    Ok(scan)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_listeners_reads_no_connection() {
        let of = |states: &[State]| options(&Need { states: Some(states.to_vec()), ..Need::default() }).stream;
        assert_eq!(of(&[State::Listen, State::Unconnected, State::Redirect]), Some(StreamStates::Listening));
        assert_eq!(of(&[State::Listen, State::Bound, State::Redirect]), Some(StreamStates::ListeningOrBound));
        assert_eq!(of(&[State::Listen, State::Established]), Some(StreamStates::Any));
    }
}
