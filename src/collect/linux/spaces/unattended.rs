//! Namespaces without processes, which exist because of an open file that stands for them or because of one of their
//! sockets.

use std::collections::BTreeSet;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use rustix::fs::{CWD, Mode, OFlags, openat, readlinkat_raw};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType};
use rustix::path::DecInt;
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

use super::{Namespace, number_of_link, pids, threads};
use crate::collect::linux::descriptors::{self, is_refusal, is_shortage};
use crate::collect::linux::owners;
use crate::collect::linux::process_files::read;
use crate::collect::linux::procfs::{self, Processes, socket_inode};
use crate::model::{Inode, SpaceKind};
use crate::parallel;

/// How many sockets are asked for their namespace at most; each takes some ten microseconds.
const MOST_ASKED: usize = 20_000;

/// More of what is known of a descriptor is not read; of a socket it is a few lines.
const MOST_INFO: usize = 64 * 1024;

/// Answers with a new descriptor of the network namespace of a socket. Source: `linux/sockios.h`.
const SIOCGSKNS: u16 = 0x894C;

/// A handle of one thread. Source: pidfd_open(2), `linux/pidfd.h`.
const PIDFD_THREAD: PidfdFlags = PidfdFlags::from_bits_retain(rustix::fs::OFlags::EXCL.bits());

/// A descriptor of a process, or of a thread with a table of its own.
type Descriptor = (u32, u32);

/// What the descriptors of all processes are of.
#[derive(Default)]
pub struct Links {
    /// Those of network namespaces, with the number of each.
    namespaces: Vec<(Descriptor, u64)>,
    /// Those of sockets.
    sockets: Vec<(Descriptor, Inode)>,
    /// Why some may be missing, or could not be followed.
    problem: Option<String>,
    /// Descriptors that wait in a unix socket to be received: nobody can tell what they are of.
    in_flight: usize,
}

impl Links {
    /// Why there may be more namespaces than those that were found.
    pub fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// How many descriptors are on their way from one process to another. They may be what keeps further namespaces.
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Adds the descriptors of a process, or of a thread, as far as they may be read.
    fn read(&mut self, pid: u32) -> Result<(), Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = openat(CWD, format!("/proc/{pid}/fd"), flags, Mode::empty())?;
        for fd in procfs::numbers(folder.as_fd())? {
            let mut link = [MaybeUninit::uninit(); 64];
            let link = match readlinkat_raw(&folder, DecInt::new(fd), &mut link) {
                Ok((link, _)) => link,
                // The right is about the process: its other links would be refused too.
                Err(error) if is_refusal(error) => return Ok(()),
                Err(_) => continue,
            };
            self.namespaces.extend(number_of_link(link).map(|id| ((pid, fd), id)));
            self.sockets.extend(socket_inode(link).and_then(Inode::new).map(|inode| ((pid, fd), inode)));
        }
        Ok(())
    }

    /// Notes that a file could not be opened for lack of descriptors. A file that no longer exists or may not be opened
    /// is ignored.
    fn note(&mut self, error: Errno) {
        if is_shortage(error) {
            self.problem = Some(io::Error::from(error).to_string());
        }
    }
}

/// Reads the descriptors of every process that this user may read.
pub fn links() -> Links {
    let mut all = Links::default();
    let mut pids =
        pids(&Processes::default()).inspect_err(|error| all.problem = Some(error.to_string())).unwrap_or_default();
    let with_own_table: Vec<u32> = pids.iter().flat_map(|pid| threads::with_own_descriptors(*pid)).collect();
    pids.extend(with_own_table);
    // What this process keeps open, it has opened to look: nobody else may be there.
    pids.retain(|pid| *pid != std::process::id());
    let workers = pids.len() / 64 + 1;
    let parts = parallel::share(pids, workers, |pid, part: &mut Links| {
        if let Err(error) = part.read(pid) {
            part.note(error);
        }
        Vec::new()
    });
    for part in parts {
        all.problem = all.problem.or(part.problem);
        all.namespaces.extend(part.namespaces);
        all.sockets.extend(part.sockets);
    }
    all
}

/// The namespaces that an open file stands for and that are not known yet.
pub fn by_files(links: &mut Links, known: &[Namespace]) -> Vec<Namespace> {
    let mut known: BTreeSet<u64> = known.iter().map(|found| found.space.id.0).collect();
    let mut found = Vec::new();
    let mut handles = Handles::default();
    let room = room();
    for ((pid, fd), id) in std::mem::take(&mut links.namespaces) {
        if known.contains(&id) {
            continue;
        }
        match handles.taken(pid, fd).and_then(|handle| if found.len() < room { Ok(handle) } else { Err(Errno::MFILE) })
        {
            Ok(handle) => {
                known.insert(id);
                found.push(kept(id, pid, handle));
            }
            Err(error) => links.note(error),
        }
    }
    found
}

/// The namespaces of those of these sockets that are not listed and can be asked.
pub fn by_sockets(links: &mut Links, listed: &BTreeSet<Inode>, known: &[Namespace]) -> Vec<Namespace> {
    let mut known: BTreeSet<u64> = known.iter().map(|found| found.space.id.0).collect();
    let mut asked: BTreeSet<Inode> = listed.clone();
    let mut found = Vec::new();
    let mut handles = Handles::default();
    let room = room();
    for ((pid, fd), inode) in std::mem::take(&mut links.sockets) {
        if asked.contains(&inode) {
            continue;
        }
        if asked.len() >= listed.len() + MOST_ASKED {
            links.problem = Some(format!("more than {MOST_ASKED} sockets would have to be inspected"));
            break;
        }
        asked.insert(inode);
        links.in_flight += in_flight(pid, fd);
        let namespace = match handles.taken(pid, fd).and_then(|socket| namespace_of_socket(&socket)) {
            Ok(namespace) => namespace,
            Err(error) => {
                links.note(error);
                continue;
            }
        };
        let Ok(id) = rustix::fs::fstat(&namespace).map(|status| status.st_ino) else { continue };
        if !known.insert(id) {
            continue;
        }
        if found.len() < room {
            found.push(kept(id, pid, namespace));
        } else {
            links.note(Errno::MFILE);
        }
    }
    found
}

/// The kernel's count of descriptors that wait in a socket; only a unix socket has one.
fn in_flight(pid: u32, fd: u32) -> usize {
    read(CWD, &format!("/proc/{pid}/fdinfo/{fd}"), MOST_INFO).map_or(0, |info| owners::in_flight(&info))
}

/// How many namespaces may be kept: each takes one descriptor, and its tables another.
fn room() -> usize {
    descriptors::spare() / 2
}

fn kept(id: u64, pid: u32, handle: OwnedFd) -> Namespace {
    let name = read(CWD, &format!("/proc/{pid}/comm"), 64).unwrap_or_default();
    let mut found = Namespace { handle: Some(handle), ..Namespace::new(id) };
    // No process lives in it, so its label is the name of the process that keeps it open.
    (found.space.kind, found.space.processes) = (SpaceKind::Netns, Some(0));
    found.space.label = format!("kept by {}", String::from_utf8_lossy(name.trim_ascii_end()));
    found
}

/// The handle of the process that was asked last, or of a thread with a table of its own: its descriptors follow each other.
#[derive(Default)]
struct Handles(Option<(u32, OwnedFd)>);

impl Handles {
    /// The open file behind a descriptor of another process. Source: pidfd_getfd(2), which takes the right to trace it.
    fn taken(&mut self, pid: u32, fd: u32) -> Result<OwnedFd, Errno> {
        let process = match self.0.take() {
            Some((of, process)) if of == pid => process,
            _ => handle_of(pid)?,
        };
        let (_, process) = self.0.insert((pid, process));
        pidfd_getfd(process, fd.try_into().map_err(|_| Errno::BADF)?, PidfdGetfdFlags::empty())
    }
}

fn handle_of(pid: u32) -> Result<OwnedFd, Errno> {
    let pid = pid.try_into().ok().and_then(Pid::from_raw).ok_or(Errno::SRCH)?;
    // A thread may have descriptors of its own. Kernels before 6.9 know handles of whole processes only.
    match pidfd_open(pid, PIDFD_THREAD) {
        Err(Errno::INVAL) => pidfd_open(pid, PidfdFlags::empty()),
        process => process,
    }
}

/// Returns the number of this thread's namespace without /proc, if this user may ask a socket for it.
pub fn own_by_socket() -> Option<u64> {
    let socket = rustix::net::socket(AddressFamily::UNIX, SocketType::DGRAM, None).ok()?;
    rustix::fs::fstat(namespace_of_socket(&socket).ok()?).ok().map(|status| status.st_ino)
}

#[expect(unsafe_code, reason = "no maintained crate has SIOCGSKNS")]
fn namespace_of_socket(socket: &OwnedFd) -> Result<OwnedFd, Errno> {
    // SAFETY: the request takes no argument and touches no memory of this process; the descriptor is open.
    let namespace = unsafe { libc::ioctl(socket.as_raw_fd(), SIOCGSKNS.into()) };
    if namespace < 0 {
        return Err(Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::INVAL));
    }
    // SAFETY: the kernel has just opened this descriptor for us, and nobody else knows its number.
    Ok(unsafe { OwnedFd::from_raw_fd(namespace) })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::net::TcpListener;
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn this_process_learns_its_namespace_without_proc() {
        let own = fs::metadata("/proc/self/ns/net").unwrap().ino();
        // It takes CAP_NET_ADMIN.
        let expected = rustix::process::geteuid().is_root().then_some(own);
        assert_eq!(own_by_socket(), expected);
    }

    #[test]
    fn a_socket_tells_its_namespace() {
        let listener = OwnedFd::from(TcpListener::bind(("127.0.0.1", 0)).unwrap());
        match namespace_of_socket(&listener) {
            Ok(namespace) => {
                let own = fs::metadata("/proc/self/ns/net").unwrap().ino();
                assert_eq!(rustix::fs::fstat(&namespace).unwrap().st_ino, own);
            }
            // It takes CAP_NET_ADMIN.
            Err(_) => assert!(!rustix::process::geteuid().is_root()),
        }
    }
}
