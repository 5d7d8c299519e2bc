//! Threads that live apart from their process: in a network namespace or with descriptors of their own.
//!
//! A thread can leave what it shares with its process by unshare(2), and its main thread may have ended. So a process
//! whose main thread shows nothing unusual, or nothing at all, may hold sockets that only its threads tell of.

use std::fs;
use std::os::unix::fs::MetadataExt;

use super::{procfs, tables_of};

/// The threads of a process but for the main one.
pub fn others(pid: u32) -> Vec<u32> {
    let path = format!("/proc/{pid}/task");
    // The kernel counts the threads as links of the folder, which spares reading that of nearly every process.
    if fs::metadata(&path).is_ok_and(|folder| folder.nlink() <= 3) {
        return Vec::new();
    }
    let folder = fs::File::open(path);
    let threads = folder.ok().and_then(|folder| procfs::numbers(std::os::fd::AsFd::as_fd(&folder)).ok());
    threads.into_iter().flatten().filter(|thread| *thread != pid).collect()
}

/// One thread for each namespace that these threads of a process live in and its main thread does not, by the inode of the
/// namespace's tables. A thread's number serves below /proc as that of a process does.
pub fn elsewhere(threads: &[u32], tables_of_main: Option<u64>) -> Vec<(u32, u64)> {
    let mut found: Vec<(u32, u64)> = Vec::new();
    for &thread in threads {
        let Some(tables) = tables_of(&thread.to_string()) else { continue };
        if Some(tables) != tables_of_main && !found.iter().any(|(_, known)| *known == tables) {
            found.push((thread, tables));
        }
    }
    found
}

/// The threads whose descriptors are not those of the main thread.
pub fn with_own_descriptors(pid: u32) -> Vec<u32> {
    others(pid).into_iter().filter(|thread| !shares_descriptors(pid, *thread)).collect()
}

/// Source: kcmp(2). Where the kernel does not answer, they are looked at.
#[expect(unsafe_code, reason = "no maintained crate has kcmp(2)")]
fn shares_descriptors(pid: u32, thread: u32) -> bool {
    /// `KCMP_FILES` in `linux/kcmp.h`.
    const FILES: libc::c_long = 2;
    // SAFETY: the call compares two objects of the kernel by numbers and touches no memory of this process.
    let order = unsafe {
        libc::syscall(
            libc::SYS_kcmp,
            libc::c_long::from(pid.cast_signed()),
            libc::c_long::from(thread.cast_signed()),
            FILES,
            0 as libc::c_long,
            0 as libc::c_long,
        )
    };
    order == 0
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_thread_with_descriptors_of_its_own_is_found() {
        let (tell, told) = mpsc::channel();
        let (end, wait) = mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            let own = rustix::thread::gettid().as_raw_nonzero().get().cast_unsigned();
            tell.send(own).unwrap();
            wait.recv().unwrap();
            // SAFETY of the test itself: unshare is called through rustix, which checks nothing else.
            #[expect(deprecated, reason = "the safe variant needs a newer rustix")]
            rustix::thread::unshare(rustix::thread::UnshareFlags::FILES).unwrap();
            tell.send(own).unwrap();
            wait.recv().unwrap();
        });
        let own = told.recv().unwrap();
        assert!(!with_own_descriptors(std::process::id()).contains(&own));
        end.send(()).unwrap();
        told.recv().unwrap();
        assert_eq!(with_own_descriptors(std::process::id()), [own]);
        end.send(()).unwrap();
        thread.join().unwrap();
    }
}
