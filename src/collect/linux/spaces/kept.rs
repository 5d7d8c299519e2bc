//! Namespaces that nothing lives in: kept by an open file that stands for them, or by one of their sockets.

use std::collections::BTreeSet;
use std::fs;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

use super::{Found, number_of_link, pids};
use crate::collect::linux::crew;
use crate::collect::linux::owners::socket_inode;
use crate::model::{Inode, SpaceKind};

/// Descriptors of sockets that are asked for their namespace; each costs some ten microseconds.
const MOST_ASKED: usize = 20_000;

/// Answers with a new descriptor of the network namespace of a socket. Source: `linux/sockios.h`.
const SIOCGSKNS: u16 = 0x894C;

/// A descriptor of a process.
type Descriptor = (u32, u32);

/// What the descriptors of all processes are of.
#[derive(Default)]
pub struct Links {
    /// Those of network namespaces, with the number of each.
    namespaces: Vec<(Descriptor, u64)>,
    /// Those of sockets.
    sockets: Vec<(Descriptor, Inode)>,
}

/// Reads the descriptors of every process that this user may read.
pub fn links() -> Links {
    let pids = pids().unwrap_or_default();
    let workers = pids.len() / 64 + 1;
    let parts = crew::share(pids, workers, |pid, part: &mut Links| {
        for entry in fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten() {
            let fd = entry.file_name().to_str().and_then(|name| name.parse().ok());
            let link = fs::read_link(entry.path()).ok();
            let (Some(fd), Some(link)) = (fd, link.as_ref().and_then(|link| link.to_str())) else { continue };
            part.namespaces.extend(number_of_link(link).map(|id| ((pid, fd), id)));
            part.sockets.extend(socket_inode(link.as_bytes()).map(|inode| ((pid, fd), Inode(inode))));
        }
        Vec::new()
    });
    let mut all = Links::default();
    for part in parts {
        all.namespaces.extend(part.namespaces);
        all.sockets.extend(part.sockets);
    }
    all
}

/// The namespaces that an open file stands for and that are not known yet.
pub fn by_files(links: &Links, known: &[Found]) -> Vec<Found> {
    let mut known: BTreeSet<u64> = known.iter().map(|found| found.space.id.0).collect();
    let mut found = Vec::new();
    for ((pid, fd), id) in &links.namespaces {
        if !known.contains(id)
            && let Some(handle) = taken(*pid, *fd)
        {
            known.insert(*id);
            found.push(kept(*id, *pid, handle));
        }
    }
    found
}

/// The namespaces of those of these sockets that are not listed and can be asked.
pub fn by_sockets(links: &Links, listed: &BTreeSet<Inode>, known: &[Found]) -> Vec<Found> {
    let mut known: BTreeSet<u64> = known.iter().map(|found| found.space.id.0).collect();
    let mut asked: BTreeSet<Inode> = listed.clone();
    let mut found = Vec::new();
    for ((pid, fd), inode) in &links.sockets {
        if asked.len() > listed.len() + MOST_ASKED || !asked.insert(*inode) {
            continue;
        }
        let Some(namespace) = taken(*pid, *fd).and_then(|socket| namespace_of_socket(&socket)) else { continue };
        let Ok(id) = rustix::fs::fstat(&namespace).map(|status| status.st_ino) else { continue };
        if known.insert(id) {
            found.push(kept(id, *pid, namespace));
        }
    }
    found
}

fn kept(id: u64, pid: u32, handle: OwnedFd) -> Found {
    let name = fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
    let mut found = Found { handle: Some(handle), ..Found::new(id) };
    // Nothing lives in it: the name is that of the process that keeps it.
    (found.space.kind, found.space.processes) = (SpaceKind::Netns, Some(0));
    found.space.label = format!("kept by {}", String::from_utf8_lossy(name.trim_ascii_end()));
    found
}

/// The open file behind a descriptor of another process. Source: pidfd_getfd(2), which takes the right to trace it.
fn taken(pid: u32, fd: u32) -> Option<OwnedFd> {
    let pid = Pid::from_raw(pid.try_into().ok()?)?;
    let process = pidfd_open(pid, PidfdFlags::empty()).ok()?;
    pidfd_getfd(process, fd.try_into().ok()?, PidfdGetfdFlags::empty()).ok()
}

#[expect(unsafe_code, reason = "no maintained crate has SIOCGSKNS")]
fn namespace_of_socket(socket: &OwnedFd) -> Option<OwnedFd> {
    // SAFETY: the request takes no argument and touches no memory of this process; the descriptor is open.
    let namespace = unsafe { libc::ioctl(socket.as_raw_fd(), SIOCGSKNS.into()) };
    if namespace < 0 {
        return None;
    }
    // SAFETY: the kernel has just opened this descriptor for us, and nobody else knows its number.
    Some(unsafe { OwnedFd::from_raw_fd(namespace) })
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn a_socket_tells_its_namespace() {
        let listener = OwnedFd::from(TcpListener::bind(("127.0.0.1", 0)).unwrap());
        match namespace_of_socket(&listener) {
            Some(namespace) => {
                let own = fs::metadata("/proc/self/ns/net").unwrap().ino();
                assert_eq!(rustix::fs::fstat(&namespace).unwrap().st_ino, own);
            }
            // It takes CAP_NET_ADMIN.
            None => assert!(!rustix::process::geteuid().is_root()),
        }
    }
}
