//! Processes that were opened to be read.

use std::collections::HashMap;
use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::descriptors;
use super::process_files::{living, open_process, still_holds};
use crate::model::{Inode, Pid};

/// With fewer processes to open some of them twice takes less time than to ask how many files may be kept open.
const WORTH_SHARING: usize = 64;

/// A process that was opened, and still is the one that was seen.
#[derive(Debug)]
pub struct Opened {
    /// `/proc/PID`, or the folder of a thread that lives where the first one has ended.
    pub directory: OwnedFd,
    /// The path of what it runs, where that may be read.
    pub exe: Option<OsString>,
}

/// The handles of processes that two ask for at the same time: the first one leaves its handle for the other.
#[derive(Debug, Default)]
pub struct Handles {
    left: Mutex<HashMap<Pid, Arc<Opened>>>,
    /// How many may be left.
    most: usize,
}

impl Handles {
    /// For so many processes.
    pub fn of(processes: usize) -> Handles {
        let most = if processes < WORTH_SHARING { 0 } else { descriptors::spare_in_table() };
        Handles { most, ..Handles::default() }
    }

    /// Opens the process that has this number, unless the other who asks has done that; nothing where it holds none of these
    /// sockets any more, and so may be another one than was seen.
    pub fn open(&self, pid: Pid, held: &[(u32, Inode)]) -> Option<Arc<Opened>> {
        if let Some(opened) = self.left().remove(&pid) {
            return Some(opened);
        }
        let (directory, exe) = living(open_process(pid)?, pid);
        if !still_holds(directory.as_fd(), held) {
            return None;
        }
        let opened = Arc::new(Opened { directory, exe });
        let mut left = self.left();
        if left.len() < self.most {
            left.insert(pid, Arc::clone(&opened));
        }
        drop(left);
        Some(opened)
    }

    /// Closes what nobody has asked for again.
    pub fn close(&self) {
        self.left().clear();
    }

    fn left(&self) -> MutexGuard<'_, HashMap<Pid, Arc<Opened>>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn two_who_ask_for_a_process_open_it_once() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let inode = std::fs::metadata(format!("/proc/self/fd/{}", listener.as_raw_fd())).unwrap().ino();
        let proof = |inode| (u32::try_from(listener.as_raw_fd()).unwrap(), Inode::new(inode).unwrap());
        let (pid, handles) = (Pid(std::process::id()), Handles { most: 1, ..Handles::default() });
        let first = handles.open(pid, &[proof(inode)]).unwrap();
        assert_eq!(first.exe, std::env::current_exe().ok().map(Into::into));
        assert!(Arc::ptr_eq(&first, &handles.open(pid, &[proof(inode)]).unwrap()));
        // Nothing is left for a third one.
        assert_eq!(Arc::strong_count(&first), 1);
        assert!(!Arc::ptr_eq(&first, &handles.open(pid, &[proof(inode)]).unwrap()));
        handles.close();
        // Another process may have had the number when the socket was seen.
        assert!(handles.open(pid, &[proof(inode + 1)]).is_none());
    }

    #[test]
    fn no_more_handles_are_left_than_there_is_room_for() {
        let handles = Handles { most: 1, ..Handles::default() };
        let opened = [std::process::id(), 1].map(|pid| handles.open(Pid(pid), &[]).unwrap());
        assert_eq!(opened.each_ref().map(Arc::strong_count), [2, 1]);
        assert_eq!(Handles::of(1).most, 0);
    }
}
