//! Which way the holders are found: the kernel's iterator, or `/proc/PID/fd`.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::AsFd;

use rustix::fs::readlinkat;

use super::fd_scan::{self, Depth, IO_URING};
use super::task_iter::{Kind, Options, Pass, StreamStates, TaskIter, TaskIterError};
use super::{Found, Scan, indirect};
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
    Starting(Background<Result<(TaskIter, Pass, Found), TaskIterError>>),
    /// The kernel's iterator, and what its last pass reported, until a deeper look has used that.
    TaskIter(TaskIter, Option<Pass>),
    /// Reading `/proc/PID/fd`, which is going on or put off.
    Scanning(Background<io::Result<Found>>),
    /// Reading `/proc/PID/fd`; why not the iterator, where that could have been used.
    FdScan(Option<TaskIterError>),
}

impl Finder {
    /// Chooses the fastest way that is open to this user, and starts with it before the sockets are known, if there is a core
    /// for that: where there are many, finding their holders takes as long as listing them. Those that are opened meanwhile
    /// are left to a deeper look.
    pub fn start(need: &Need, processes: &Processes, has_core: bool) -> Finder {
        if !loaded::may_load_programs() || open_files().is_none_or(|files| files < FEW_FILES) {
            return Finder::by_fd_scan(processes, has_core);
        }
        let options = options(need);
        Finder::Starting(Background::start(move || {
            let iterator = TaskIter::load(options)?;
            let pass = iterator.read()?;
            let found = holders(&pass, |_| true).into();
            Ok((iterator, pass, found))
        }))
    }

    /// Reads `/proc/PID/fd`, whatever else there is.
    pub fn by_fd_scan(processes: &Processes, has_core: bool) -> Finder {
        let processes = processes.clone();
        Finder::Scanning(Background::start_if(has_core, move || Ok(fd_scan::scan_all(&processes)?.into())))
    }

    /// Finds the holders of these sockets, and perhaps of others, among the descriptors of processes.
    pub fn find(&mut self, wanted: impl FnOnce() -> BTreeSet<Inode>) -> io::Result<Found> {
        match std::mem::replace(self, Finder::FdScan(None)) {
            Finder::Scanning(scan) => return scan.result(),
            Finder::Starting(pass) => match pass.result() {
                Ok((iterator, pass, found)) => {
                    *self = Finder::TaskIter(iterator, Some(pass));
                    return Ok(found);
                }
                Err(error) => *self = Finder::FdScan(Some(error)),
            },
            other @ (Finder::TaskIter(..) | Finder::FdScan(_)) => *self = other,
        }
        Ok(fd_scan::scan(Some(&wanted()), Depth::Processes)?.into())
    }

    /// Finds them also in the tables of single threads, among the files of an io_uring, and counts descriptors that are
    /// on their way from one process to another. Each call after the first one looks at everything anew.
    pub fn find_deeper(&mut self, wanted: &BTreeSet<Inode>) -> io::Result<Found> {
        if let Finder::TaskIter(iterator, pass) = self {
            match pass.take().map_or_else(|| iterator.read(), Ok) {
                Ok(pass) => return Ok(deeper(&pass, wanted)?.into()),
                Err(error) => *self = Finder::FdScan(Some(error)),
            }
        }
        Ok(fd_scan::scan(Some(wanted), Depth::Threads)?.into())
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

/// The descriptors of wanted sockets.
fn holders(pass: &Pass, wants: impl Fn(u64) -> bool) -> Scan {
    let mut scan = Scan::default();
    for of_process in pass.files.chunk_by(|a, b| a.tgid == b.tgid) {
        let is_socket = |kind| !matches!(kind, Kind::Anonymous | Kind::Unix);
        let wanted = of_process.iter().filter(|file| is_socket(file.kind) && wants(file.inode));
        let before = scan.found.len();
        let holder = |tgid, fd| Holder { pid: Pid(tgid), fd: Some(fd) };
        scan.found.extend(wanted.filter_map(|file| Some((Inode::new(file.inode)?, holder(file.tgid, file.fd)))));
        let tgid = of_process[0].tgid;
        if scan.found.len() > before {
            scan.processes.extend(pass.processes.get(&tgid).map(|process| (Pid(tgid), *process)));
        }
    }
    scan
}

/// Looks into the files that may keep wanted sockets open, and into processes of which the iterator reports nothing:
/// there are systems that keep it out of some.
fn deeper(pass: &Pass, unresolved: &BTreeSet<Inode>) -> io::Result<Scan> {
    let wants = |inode: u64| Inode::new(inode).is_some_and(|inode| unresolved.contains(&inode));
    let proc = procfs::open()?;
    let mut scan = holders(pass, wants);
    let mut refused = BTreeSet::new();
    for file in pass.files.iter().filter(|file| file.kind != Kind::Internet && !wants(file.inode)) {
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
    let others = fd_scan::scan_some(Some(unresolved), Depth::Processes, |pid| !pass.processes.contains_key(&pid))?;
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
