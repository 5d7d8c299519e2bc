//! The file rights of another process, taken on by the calling thread for a while.
//!
//! Files that users put into their folders must not make root read anything else: what a process's own user may not
//! read is not read for that user's project either.

use std::os::fd::BorrowedFd;

use rustix::fs::{Gid, Uid};
use rustix::process::{getegid, geteuid, getgroups};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use crate::collect::linux::owners::FileRights;
use crate::collect::linux::process_files::{effective_uid, read};

/// The user and the groups that decide what files a process may read.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Rights {
    /// The user.
    pub uid: u32,
    gid: u32,
    groups: Vec<u32>,
}

impl Rights {
    /// Those that a process was seen to have; nothing where it has too many groups to be seen.
    pub fn seen(seen: &FileRights) -> Option<Rights> {
        Some(Rights { uid: seen.uid, gid: seen.gid, groups: seen.groups()?.to_vec() })
    }

    /// Those of the process behind the handle. Source: proc_pid_status(5).
    ///
    /// A user reads with no rights but their own, and has no use for more than whether the process is theirs.
    pub fn of(directory: BorrowedFd<'_>) -> Option<Rights> {
        let own = geteuid();
        if !own.is_root() {
            let is_own = effective_uid(directory).is_some_and(|uid| uid.0 == own.as_raw());
            return is_own.then(|| Rights { uid: own.as_raw(), gid: getegid().as_raw(), groups: Vec::new() });
        }
        Rights::parse(&read(directory, "status", 64 * 1024).ok()?)
    }

    /// The fourth numbers of `Uid:` and `Gid:` are those for files.
    pub(super) fn parse(status: &[u8]) -> Option<Rights> {
        let field = |name: &str| {
            let line = status.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(name.as_bytes()))?;
            Some(std::str::from_utf8(line).ok()?.split_ascii_whitespace().filter_map(|number| number.parse().ok()))
        };
        Some(Rights { uid: field("Uid:")?.nth(3)?, gid: field("Gid:")?.nth(3)?, groups: field("Groups:")?.collect() })
    }

    /// Does the work with these rights. Absent where they cannot be had: a user has no rights but their own.
    pub fn with<T>(&self, work: impl FnOnce() -> T) -> Result<Option<T>, Stranded> {
        let own = geteuid();
        if !own.is_root() {
            return Ok((own.as_raw() == self.uid).then(work));
        }
        let (gid, groups) = (getegid(), getgroups().map_err(|_| Stranded)?);
        let wanted: Vec<Gid> = self.groups.iter().map(|group| Gid::from_raw(*group)).collect();
        // The effective ids are those for files too; as the real and saved ones stay, the way back is open. Without
        // a user id of 0 the capabilities that overrule file rights are out of effect.
        let is_taken = set_thread_groups(&wanted).is_ok()
            && set_thread_res_gid(None, Gid::from_raw(self.gid), None).is_ok()
            && set_thread_res_uid(None, Uid::from_raw(self.uid), None).is_ok();
        let result = is_taken.then(work);
        let is_back = set_thread_res_uid(None, own, None).is_ok()
            && set_thread_res_gid(None, gid, None).is_ok()
            && set_thread_groups(&groups).is_ok();
        if is_back { Ok(result) } else { Err(Stranded) }
    }
}

/// The thread could not take its own rights back, and must end.
#[derive(Debug)]
pub struct Stranded;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rights_for_files_are_the_fourth_numbers() {
        let status = b"Name:\tx\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nFDSize:\t64\nGroups:\t9 10 \n";
        assert_eq!(Rights::parse(status), Some(Rights { uid: 4, gid: 8, groups: vec![9, 10] }));
        assert_eq!(Rights::parse(b"Uid:\t1\t2\t3\nGid:\t5\t6\t7\t8\nGroups:\t\n"), None);
    }

    #[test]
    fn a_thread_reads_with_the_rights_of_another_user_and_takes_its_own_back() {
        if !geteuid().is_root() {
            assert!(std::env::var_os("CI").is_none(), "this needs root");
            println!("skipped: only root has the rights of others");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("private");
        std::fs::write(&file, "x").unwrap();
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let nobody = Rights { uid: 65534, gid: 65534, groups: Vec::new() };
        std::thread::spawn(move || {
            let refused = nobody.with(|| std::fs::read(&file).map_err(|error| error.kind())).unwrap();
            assert_eq!(refused, Some(Err(std::io::ErrorKind::PermissionDenied)));
            assert_eq!(std::fs::read(&file).unwrap(), b"x");
        })
        .join()
        .unwrap();
    }
}
