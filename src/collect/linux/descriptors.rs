//! How many files this process may have open, and what happens when the limit is low.
//!
//! Hundreds of small files are read one after the other. If one of them could not be opened for lack of descriptors, a
//! process would seem to hold nothing, or a container to have no name. So there must be room for all files that are
//! open at the same time before anything is read. Port spaces are kept open only in the room beyond that.

use std::fs::File;
use std::os::fd::{AsFd, RawFd};
use std::sync::OnceLock;

use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::process::{Resource, getrlimit};

use super::procfs;
use crate::collect::CollectError;

/// Files that may be open at the same time, those of port spaces left out: eight workers with up to eight each, and
/// what is read or asked beside them.
const ROOM: usize = 96;

/// How many files most systems let a process have open.
const USUAL: usize = 1024;

/// Fails where there is no room for the files that are read.
pub fn require() -> Result<(), CollectError> {
    let (limit, open) = counted();
    if limit - open < ROOM {
        return Err(CollectError::Descriptors { limit, open, room: ROOM });
    }
    has_large_table();
    Ok(())
}

/// Says whether the kernel's table of this process's files has room for the usual number. It is made so large while there is
/// one thread: with several the kernel waits for milliseconds each time that it enlarges the table.
fn has_large_table() -> bool {
    static IS_LARGE: OnceLock<bool> = OnceLock::new();
    let highest = RawFd::try_from(USUAL - 1).unwrap_or_default();
    *IS_LARGE.get_or_init(|| fcntl_dupfd_cloexec(std::io::stdin(), highest).is_ok())
}

/// How many files may be kept open beyond those that are read, if that takes no larger table.
pub fn spare_in_table() -> usize {
    let (limit, open) = counted();
    if has_large_table() { limit.min(USUAL).saturating_sub(open + ROOM) } else { 0 }
}

/// How many files may be kept open beyond those that are read.
pub fn spare() -> usize {
    let (limit, open) = counted();
    (limit - open).saturating_sub(ROOM)
}

/// Returns whether a file was not opened for lack of descriptors or memory, which says nothing about the file.
pub fn is_shortage(error: Errno) -> bool {
    matches!(error, Errno::MFILE | Errno::NFILE | Errno::NOMEM)
}

/// Returns whether a file was not opened because this user may not open it.
pub fn is_refusal(error: Errno) -> bool {
    matches!(error, Errno::ACCESS | Errno::PERM)
}

/// How many files may be open, and how many of these are.
fn counted() -> (usize, usize) {
    let limit = getrlimit(Resource::Nofile).current.and_then(|limit| limit.try_into().ok()).unwrap_or(usize::MAX);
    let open = match File::open("/proc/self/fd") {
        // The directory itself is closed again.
        Ok(directory) => procfs::numbers(directory.as_fd()).map_or(0, |open| open.len().saturating_sub(1)),
        Err(error) if Errno::from_io_error(&error).is_some_and(is_shortage) => limit,
        // The number is unknown; a process usually has three.
        Err(_) => 3,
    };
    (limit, open.min(limit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_open_is_counted() {
        let (limit, before) = counted();
        let files: Vec<_> = (0..50).map(|_| File::open("/dev/null").unwrap()).collect();
        let (_, after) = counted();
        // Other tests open and close files too.
        assert!(after >= files.len() && after + ROOM < limit && before < limit, "{before} {after} {limit}");
    }
}
