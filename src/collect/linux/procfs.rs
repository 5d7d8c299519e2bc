//! Makes sure that /proc is the procfs of this process's pid namespace.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::{Arc, OnceLock};

use rustix::fs::{CWD, Mode, OFlags, PROC_SUPER_MAGIC, RawDir, fstatfs, openat, readlinkat};
use rustix::io::Errno;

/// Opens /proc. Fails when something else is mounted there, or the procfs of another pid namespace: reading it would
/// find no processes, or the wrong ones.
pub fn open() -> io::Result<OwnedFd> {
    let proc = openat(CWD, "/proc", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    if fstatfs(&proc)?.f_type != PROC_SUPER_MAGIC {
        return Err(io::Error::other("/proc is not a procfs mount"));
    }
    match readlinkat(&proc, "self", Vec::new()) {
        Err(Errno::NOENT) => {
            Err(io::Error::other("/proc belongs to another PID namespace, which does not contain this process"))
        }
        _ => Ok(proc),
    }
}

/// Processes that are worth one more worker: to look at fewer of them takes no longer than to start a thread.
pub const WORTH_A_WORKER: usize = 128;

/// The processes that there were at the first look. Searches that begin at the same time share it: listing them takes as
/// long as looking at each.
#[derive(Clone, Default)]
pub struct Processes(Arc<OnceLock<Result<Vec<u32>, Errno>>>);

impl Processes {
    /// Looks, unless that is done or being done.
    pub fn pids(&self, proc: BorrowedFd<'_>) -> Result<&[u32], Errno> {
        self.0.get_or_init(|| processes(proc)).as_deref().map_err(|error| *error)
    }
}

/// The processes, without the threads of the kernel, which hold no descriptors and live in the namespace that the
/// machine started with.
fn processes(proc: BorrowedFd<'_>) -> Result<Vec<u32>, Errno> {
    let mut pids = numbers(proc)?;
    let kernel = kernel_threads(proc);
    pids.retain(|pid| !kernel.contains(pid));
    Ok(pids)
}

/// The threads of the kernel: process 2 and its children, where that is a thread of the kernel and not, as in a pid
/// namespace, any process. None where the kernel lists no children (`CONFIG_PROC_CHILDREN`). On a quiet host they are
/// most of the entries of /proc. Source: proc_pid_stat(5), proc_tid_children(5), `PF_KTHREAD` in `linux/sched.h`.
fn kernel_threads(proc: BorrowedFd<'_>) -> HashSet<u32> {
    const FIRST: u32 = 2;
    if !read(proc, "2/stat").is_some_and(|stat| is_of_the_kernel(&stat)) {
        return HashSet::new();
    }
    let children = read(proc, "2/task/2/children").unwrap_or_default();
    children.split(u8::is_ascii_whitespace).filter_map(number).chain([FIRST]).collect()
}

/// Whether the flags in this `stat` are those of a thread of the kernel. The name, in parentheses, can be anything.
fn is_of_the_kernel(stat: &[u8]) -> bool {
    const KERNEL_THREAD: u32 = 0x0020_0000;
    let after_name = stat.iter().rposition(|byte| *byte == b')').map(|end| &stat[end + 1..]).unwrap_or_default();
    // After the name: state, ppid, pgrp, session, tty_nr, tpgid, flags.
    let flags = after_name.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).nth(6);
    flags.and_then(number).is_some_and(|flags| flags & KERNEL_THREAD != 0)
}

fn read(proc: BorrowedFd<'_>, path: &str) -> Option<Vec<u8>> {
    let file = openat(proc, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let mut text = Vec::with_capacity(4096);
    File::from(file).read_to_end(&mut text).ok()?;
    Some(text)
}

/// The entries of a directory that are numbers: processes, threads or descriptors.
pub fn numbers(directory: BorrowedFd<'_>) -> Result<Vec<u32>, Errno> {
    let mut buffer = [MaybeUninit::uninit(); 16 * 1024];
    let mut entries = RawDir::new(directory, &mut buffer);
    let mut found = Vec::new();
    while let Some(entry) = entries.next() {
        found.extend(number(entry?.file_name().to_bytes()));
    }
    Ok(found)
}

/// The inode of a socket, by the link of a descriptor: `socket:[4242]`. Source: proc_pid_fd(5).
pub fn socket_inode(link: &[u8]) -> Option<u64> {
    let digits = link.strip_prefix(b"socket:[")?.strip_suffix(b"]")?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn number(text: &[u8]) -> Option<u32> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn threads_of_the_kernel_are_told_from_processes_by_their_flags() {
        let kernel = b"2 (kthreadd) S 0 0 0 0 -1 2129984 0 0 0 0 0 0 0 0 20 0 1 0 26 0 0\n";
        assert!(is_of_the_kernel(kernel));
        let forged = b"2 (x) S 0 0 0 0 -1 2129984 ) S 1 2 2 0 -1 4194560 0 0 0 0\n";
        assert!(!is_of_the_kernel(forged));
        for short in [&b""[..], b")", b"2 (x) S 0", b"2 (x) S 0 0 0 0 -1 x"] {
            assert!(!is_of_the_kernel(short));
        }
        let proc = open().unwrap();
        let processes = processes(proc.as_fd()).unwrap();
        assert!(processes.contains(&std::process::id()) && !kernel_threads(proc.as_fd()).contains(&1));
        // A thread of the kernel has no program; a process that has ended has none either.
        for thread in kernel_threads(proc.as_fd()) {
            assert!(!std::path::Path::new(&format!("/proc/{thread}/exe")).exists(), "{thread}");
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
