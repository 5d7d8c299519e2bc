//! Makes sure that /proc is the procfs of this process's pid namespace.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

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
    use super::*;

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
