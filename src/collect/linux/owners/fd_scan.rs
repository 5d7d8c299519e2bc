//! Finds the holders of sockets by reading `/proc/PID/fd`, the work shared among the cores.
//!
//! Source: proc_pid_fd(5): the link of a descriptor reads `socket:[INODE]`.

use std::collections::BTreeSet;
use std::ffi::CStr;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::fs::{CWD, Mode, OFlags, RawDir, openat, readlinkat_raw};
use rustix::io::Errno;

use crate::model::{Holder, Inode, Pid};

/// How deep to look.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Depth {
    /// The descriptors of each process.
    Processes,
    /// Also those of each thread, which may have a table of its own and outlive the main thread; files that are
    /// registered with an io_uring; and whether descriptors are on their way through unix sockets.
    Threads,
}

/// What the processes hold, as far as this user may see.
#[derive(Debug, Default)]
pub struct Scan {
    /// Each descriptor of a wanted socket.
    pub found: Vec<(Inode, Holder)>,
    /// Descriptors on their way through unix sockets, whatever they are of.
    pub in_flight: usize,
    /// Processes whose descriptors were all read.
    pub read: usize,
    /// Processes of which some descriptors could not be read.
    pub refused: usize,
}

impl Scan {
    fn add(&mut self, other: Scan) {
        self.found.extend(other.found);
        self.in_flight += other.in_flight;
        self.read += other.read;
        self.refused += other.refused;
    }
}

/// Reads the descriptors of every process and reports those of wanted sockets.
///
/// A process that ends meanwhile is not missed: its sockets are gone too.
pub fn scan(wanted: &BTreeSet<Inode>, depth: Depth) -> io::Result<Scan> {
    let proc = open_directory(CWD, c"/proc")?;
    let pids = numbers(proc.as_fd())?;
    let wanted: Vec<u64> = wanted.iter().map(|inode| inode.0).collect();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut part = Scan::default();
        while let Some(pid) = pids.get(next.fetch_add(1, Ordering::Relaxed)) {
            scan_process(proc.as_fd(), *pid, &wanted, depth, &mut part);
        }
        part
    };
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(8).min(pids.len().div_ceil(64));
    let mut whole = Scan::default();
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..workers).map(|_| scope.spawn(work)).collect();
        whole.add(work());
        for other in others {
            whole.add(other.join().expect("a worker does not panic"));
        }
    });
    Ok(whole)
}

fn scan_process(proc: BorrowedFd<'_>, pid: u32, wanted: &[u64], depth: Depth, scan: &mut Scan) {
    let mut refused = false;
    let mut tables = vec![format!("{pid}/fd\0")];
    if depth == Depth::Threads {
        let tasks = c_string(&format!("{pid}/task\0")).map(|path| open_directory(proc, path));
        let threads = tasks.and_then(Result::ok).and_then(|tasks| numbers(tasks.as_fd()).ok()).unwrap_or_default();
        tables
            .extend(threads.iter().filter(|thread| **thread != pid).map(|thread| format!("{pid}/task/{thread}/fd\0")));
    }
    for table in &tables {
        let Some(path) = c_string(table) else { continue };
        match scan_table(proc, path, pid, wanted, depth, scan) {
            Ok(all_read) => refused |= !all_read,
            Err(error) => refused |= is_refusal(error),
        }
    }
    if refused { scan.refused += 1 } else { scan.read += 1 }
}

/// Reads one descriptor table; says whether every link in it could be read.
///
/// A readable directory is no proof: each link is checked on its own (some files of process 1 refuse even root).
fn scan_table(
    proc: BorrowedFd<'_>,
    path: &CStr,
    pid: u32,
    wanted: &[u64],
    depth: Depth,
    scan: &mut Scan,
) -> Result<bool, Errno> {
    let directory = open_directory(proc, path)?;
    let mut all_read = true;
    let mut buffer = [MaybeUninit::uninit(); 16 * 1024];
    let mut entries = RawDir::new(&directory, &mut buffer);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let Some(fd) = number(entry.file_name().to_bytes()) else { continue };
        let mut link = [MaybeUninit::uninit(); 64];
        let link = match readlinkat_raw(&directory, entry.file_name(), &mut link) {
            Ok((link, _)) => link,
            Err(error) => {
                all_read &= !is_refusal(error);
                continue;
            }
        };
        let inode = socket_inode(link);
        if let Some(inode) = inode.filter(|inode| wanted.binary_search(inode).is_ok()) {
            scan.found.push((Inode(inode), Holder { pid: Pid(pid), fd: Some(fd) }));
        } else if depth == Depth::Threads && (inode.is_some() || link == b"anon_inode:[io_uring]") {
            let info = details(proc, path, fd);
            let holder = Holder { pid: Pid(pid), fd: None };
            let registered = registered_sockets(&info).filter(|inode| wanted.binary_search(inode).is_ok());
            scan.found.extend(registered.map(|inode| (Inode(inode), holder)));
            scan.in_flight += in_flight(&info);
        }
    }
    Ok(all_read)
}

/// Reads the details of a descriptor beside its table; nothing when it is gone.
fn details(proc: BorrowedFd<'_>, table: &CStr, fd: u32) -> Vec<u8> {
    let path = format!("{}info/{fd}", table.to_string_lossy());
    let Ok(file) = openat(proc, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) else { return Vec::new() };
    let mut text = Vec::new();
    let _ = std::io::Read::read_to_end(&mut std::fs::File::from(file), &mut text);
    text
}

/// The sockets in the list of files that an io_uring keeps open itself: `    1: socket:[4242]` after `UserFiles:`.
///
/// Source: `io_uring/fdinfo.c`.
fn registered_sockets(info: &[u8]) -> impl Iterator<Item = u64> {
    let lines = info.split(|byte| *byte == b'\n').skip_while(|line| !line.starts_with(b"UserFiles:")).skip(1);
    lines
        .map_while(|line| {
            let target = line.splitn(2, |byte| *byte == b':').nth(1)?;
            Some(socket_inode(target.trim_ascii()))
        })
        .flatten()
}

/// How many descriptors wait in a unix socket to be received. Source: `net/unix/af_unix.c`, `scm_fds`.
fn in_flight(info: &[u8]) -> usize {
    let line = info.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"scm_fds:"));
    line.and_then(|count| std::str::from_utf8(count).ok()?.trim().parse().ok()).unwrap_or(0)
}

fn is_refusal(error: Errno) -> bool {
    matches!(error, Errno::ACCESS | Errno::PERM)
}

fn open_directory(parent: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd, Errno> {
    openat(parent, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// The entries of a directory that are numbers.
fn numbers(directory: BorrowedFd<'_>) -> Result<Vec<u32>, Errno> {
    let mut buffer = [MaybeUninit::uninit(); 16 * 1024];
    let mut entries = RawDir::new(directory, &mut buffer);
    let mut found = Vec::new();
    while let Some(entry) = entries.next() {
        found.extend(number(entry?.file_name().to_bytes()));
    }
    Ok(found)
}

fn number(text: &[u8]) -> Option<u32> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// The inode of a link to a socket.
pub fn socket_inode(link: &[u8]) -> Option<u64> {
    let digits = link.strip_prefix(b"socket:[")?.strip_suffix(b"]")?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn c_string(text: &str) -> Option<&CStr> {
    CStr::from_bytes_with_nul(text.as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn c24_the_files_of_an_io_uring_are_read() {
        let info = b"pos:\t0\nSqMask:\t0x0\nUserFiles:\t3\n    0: socket:[77]\n    1: /dev/null\n    2: socket:[78]\nUserBufs:\t1\n    0: 0x7f\n";
        assert_eq!(registered_sockets(info).collect::<Vec<_>>(), [77, 78]);
        assert_eq!(registered_sockets(b"pos:\t0\n").count(), 0);
    }

    #[test]
    fn c23_descriptors_on_their_way_are_counted() {
        assert_eq!(in_flight(b"pos:\t0\nino:\t5\nscm_fds: 2\n"), 2);
        assert_eq!(in_flight(b"pos:\t0\n"), 0);
    }

    proptest! {
        #[test]
        fn no_details_make_it_panic(info in any::<Vec<u8>>()) {
            let _ = (registered_sockets(&info).count(), in_flight(&info), socket_inode(&info));
        }
    }

    #[test]
    fn only_a_link_to_a_socket_has_an_inode() {
        for (link, inode) in [
            (&b"socket:[123]"[..], Some(123)),
            (b"socket:[18446744073709551615]", Some(u64::MAX)),
            (b"socket:[]", None),
            (b"socket:[1", None),
            (b"/tmp/socket:[1]", None),
            (b"pipe:[1]", None),
            (b"", None),
        ] {
            assert_eq!(socket_inode(link), inode);
        }
    }
}
