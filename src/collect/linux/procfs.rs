//! Whether /proc is what everything here takes it for.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{CWD, Mode, OFlags, PROC_SUPER_MAGIC, RawDir, fstatfs, openat, readlinkat};
use rustix::io::Errno;

/// Opens /proc. Fails where something else is mounted there, or the processes of a pid namespace that this one is not
/// in: whoever looked there would find nobody, or name the wrong ones.
pub fn open() -> io::Result<OwnedFd> {
    let proc = openat(CWD, "/proc", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    if fstatfs(&proc)?.f_type != PROC_SUPER_MAGIC {
        return Err(io::Error::other("what is mounted on /proc is no procfs"));
    }
    match readlinkat(&proc, "self", Vec::new()) {
        Err(Errno::NOENT) => {
            Err(io::Error::other("the procfs on /proc is that of another pid namespace, without this process"))
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

fn number(text: &[u8]) -> Option<u32> {
    std::str::from_utf8(text).ok()?.parse().ok()
}
