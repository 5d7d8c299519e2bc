//! Which mounts may be asked for files.
//!
//! A file system that is served by a program (FUSE, autofs) may never answer, and a thread that waits for it cannot
//! always be killed: the whole run would hang. So such file systems are not read at all. A thread that waits for a
//! network file system can be killed, and the reader's deadline is enough.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, StatxFlags, openat, statx};
use rustix::io::Errno;

use crate::collect::linux::mountinfo;
use crate::collect::linux::process_files::open_process;
use crate::model::Pid;

/// More of the list of mounts is not read.
const MOST_BYTES: u64 = 4 << 20;

/// What was learned about mounts; their numbers are unique over all mount namespaces.
#[derive(Debug, Default)]
pub struct Mounts(HashMap<u64, bool>);

/// A file as the kernel knows it without asking its file system.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Identity {
    /// The mount.
    pub mount: u64,
    device: (u32, u32),
    inode: u64,
}

/// What there is under a name.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Which file it is.
    pub identity: Identity,
    /// What kind of file.
    pub kind: FileType,
    /// The user that owns it.
    pub owner: u32,
}

impl Entry {
    /// Looks at a name in a folder, and follows no link; an empty name is the folder itself. Nothing is found out about
    /// mounts on a kernel that does not number them (before 5.8).
    pub fn at(folder: BorrowedFd<'_>, name: &str) -> Result<Entry, Errno> {
        let flags = if name.is_empty() { AtFlags::EMPTY_PATH } else { AtFlags::empty() };
        Entry::ask(folder, name, flags | AtFlags::SYMLINK_NOFOLLOW)
    }

    fn ask(folder: BorrowedFd<'_>, name: &str, flags: AtFlags) -> Result<Entry, Errno> {
        let flags = flags | AtFlags::NO_AUTOMOUNT | AtFlags::STATX_DONT_SYNC;
        let wanted = StatxFlags::TYPE | StatxFlags::UID | StatxFlags::INO | StatxFlags::MNT_ID;
        let found = statx(folder, name, flags, wanted)?;
        if found.stx_mask & StatxFlags::MNT_ID.bits() == 0 {
            return Err(Errno::NOSYS);
        }
        let device = (found.stx_dev_major, found.stx_dev_minor);
        Ok(Entry {
            identity: Identity { mount: found.stx_mnt_id, device, inode: found.stx_ino },
            kind: FileType::from_raw_mode(found.stx_mode.into()),
            owner: found.stx_uid,
        })
    }
}

impl Identity {
    /// That of the file behind the descriptor.
    pub fn of(file: BorrowedFd<'_>) -> Option<Identity> {
        Entry::at(file, "").ok().map(|entry| entry.identity)
    }

    /// That of the folder that a process works in, or has as its root: the link leads to the folder as it is, without a
    /// look at any name of it.
    pub fn behind(process: BorrowedFd<'_>, link: &str) -> Option<Identity> {
        Entry::ask(process, link, AtFlags::empty()).ok().map(|entry| entry.identity)
    }
}

impl Mounts {
    /// Says whether files of this mount may be read; `directory` is that of a process that sees the mount.
    pub fn may_ask(&mut self, mount: u64, directory: BorrowedFd<'_>) -> bool {
        if !self.0.contains_key(&mount) {
            self.0.extend(parse(&read_mounts(directory)));
        }
        // The kernel shows a process that was put below another root (chroot) nothing of the mount that the root is in.
        if !self.0.contains_key(&mount)
            && let Some(own) = open_process(Pid(std::process::id()))
        {
            self.0.extend(parse(&read_mounts(own.as_fd())));
        }
        self.0.get(&mount).copied().unwrap_or(false)
    }
}

/// The mounts as the process behind the handle sees them. The kernel gives this file piece by piece.
fn read_mounts(directory: BorrowedFd<'_>) -> Vec<u8> {
    let mut text = Vec::new();
    if let Ok(file) = openat(directory, c"mountinfo", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
        // What was read until an error says enough of the mounts in it.
        let _ = File::from(file).take(MOST_BYTES).read_to_end(&mut text);
    }
    text
}

/// The number of each mount, and whether its file system is one that answers by itself.
pub(super) fn parse(mountinfo: &[u8]) -> impl Iterator<Item = (u64, bool)> {
    let answers = |kind: &[u8]| !(kind.starts_with(b"fuse") || kind == b"autofs");
    mountinfo::parse(mountinfo).map(move |mount| (mount.id, answers(mount.filesystem)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_systems_that_a_program_serves_are_not_asked() {
        let text = b"22 1 8:1 / / rw - ext4 /dev/sda1 rw\n41 22 0:30 / /mnt/a\\040b rw shared:1 - fuse.sshfs h: rw\n\
                     42 22 0:31 / /home rw - autofs x rw\n43 22 0:32 / /n rw - nfs4 h:/ rw\n44 22 0:33 / /w rw - fuseblk /d rw\nx\n";
        let found: Vec<_> = parse(text).collect();
        assert_eq!(found, [(22, true), (41, false), (42, false), (43, true), (44, false)]);
    }
}
