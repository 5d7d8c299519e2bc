//! Files that keep sockets open though no descriptor refers to these: an io_uring keeps the files registered with it,
//! a unix socket keeps descriptors that are on their way to another process.

use std::os::fd::BorrowedFd;

use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;

use super::Scan;
use crate::collect::linux::descriptors::{is_refusal, is_shortage};
use crate::collect::linux::procfs::socket_inode;
use crate::model::{Holder, Inode, Pid};

/// The inodes of the unix sockets of this network namespace. Source: proc_pid_net(5), `net/unix`.
pub fn unix_inodes() -> Vec<u64> {
    let text = std::fs::read("/proc/thread-self/net/unix").unwrap_or_default();
    let inode = |line: &[u8]| std::str::from_utf8(line).ok()?.split_ascii_whitespace().nth(6)?.parse().ok();
    let mut inodes: Vec<u64> = text.split(|byte| *byte == b'\n').skip(1).filter_map(inode).collect();
    inodes.sort_unstable();
    inodes
}

/// Reads what the file behind a descriptor keeps: `table` is `PID/fd` or `PID/task/TID/fd` below `proc`.
///
/// Fails when the details may not be read, or cannot be for want of descriptors; a file that is gone keeps nothing.
pub fn read(
    proc: BorrowedFd<'_>,
    table: &str,
    fd: u32,
    wants: impl Fn(u64) -> bool,
    scan: &mut Scan,
) -> Result<(), Errno> {
    let path = format!("{table}info/{fd}");
    let file = match openat(proc, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
        Err(error) if is_refusal(error) || is_shortage(error) => return Err(error),
        Err(_) => return Ok(()),
        Ok(file) => file,
    };
    let mut info = Vec::new();
    if std::io::Read::read_to_end(&mut std::fs::File::from(file), &mut info).is_err() {
        return Ok(());
    }
    let pid = table.split('/').next().and_then(|pid| pid.parse().ok()).map(Pid);
    let holder = pid.map(|pid| Holder { pid, fd: None });
    let registered = registered_sockets(&info).filter(|inode| wants(*inode));
    scan.found.extend(registered.filter_map(|inode| Some((Inode::new(inode)?, holder?))));
    scan.in_flight += in_flight(&info);
    Ok(())
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
pub fn in_flight(info: &[u8]) -> usize {
    let line = info.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"scm_fds:"));
    line.and_then(|count| std::str::from_utf8(count).ok()?.trim().parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_files_of_an_io_uring_are_read() {
        let info = b"pos:\t0\nSqMask:\t0x0\nUserFiles:\t3\n    0: socket:[77]\n    1: /dev/null\n    2: socket:[78]\nUserBufs:\t1\n    0: 0x7f\n";
        assert_eq!(registered_sockets(info).collect::<Vec<_>>(), [77, 78]);
        assert_eq!(registered_sockets(b"pos:\t0\n").count(), 0);
    }

    #[test]
    fn descriptors_on_their_way_are_counted() {
        assert_eq!(in_flight(b"pos:\t0\nino:\t5\nscm_fds: 2\n"), 2);
        assert_eq!(in_flight(b"pos:\t0\n"), 0);
    }

    proptest! {
        #[test]
        fn no_details_make_it_panic(info in any::<Vec<u8>>()) {
            let _ = (registered_sockets(&info).count(), in_flight(&info));
        }
    }
}
