//! Which file a process really runs, and who could have put it there.
//!
//! A path counts only where the process sees the same files as this one: in a mount namespace of its own a user can put
//! any file under any path. So the file itself is asked, by its device and inode, and the folders on the way to it.
//!
//! Source: proc_pid_exe(5), proc_pid_maps(5), mount_namespaces(7), inode(7).

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Statx, StatxFlags, statx};
use rustix::io::Errno;

use super::deadline::within;
use super::process_files::{PATIENCE, arguments, link, read};
use crate::model::{Executable, Part, Replaceable, Replacer, Uid, is_interpreter, is_loader};

/// More of the list of a process's mappings is not read.
const MOST_MAPS: usize = 4 * 1024 * 1024;
const WRITABLE_BY_ALL: u16 = 0o002;

/// What tells one file from all others.
type FileId = (u32, u32, u64);

/// Describes the file that the process behind the handle runs under this path, as the user.
pub fn describe(process: BorrowedFd<'_>, path: &Path, user: Option<Uid>) -> Option<Executable> {
    let file = ask(process, Path::new("exe")).ok()?;
    let is_deleted = file.stx_nlink == 0;
    let is_here = sees_our_files(process) || names(path, &file);
    let path = if is_deleted { without_mark(path) } else { path };
    let mut replaceable = Vec::new();
    let judge = Judge { user, sees_our_files: is_here };
    replaceable.extend(judge.file(Part::Program, path, &file));
    if is_here {
        replaceable.extend(judge.folders(Part::Program, path));
    }
    let name = path.file_name().map(OsStr::to_string_lossy).unwrap_or_default();
    if is_loader(&name) {
        replaceable.extend(loaded(process).iter().flat_map(|(path, file)| way(Part::Loaded, path, file, user)));
    } else if is_interpreter(&name)
        && let (Some(script), Ok(process)) = (script(process), process.try_clone_to_owned())
    {
        // The way to a script may lead through a file system that does not answer.
        let judged = within(PATIENCE, move || {
            let file = ask(process.as_fd(), &Path::new("root").join(script.strip_prefix("/").ok()?)).ok()?;
            Some(way(Part::Script, &script, &file, user))
        });
        replaceable.extend(judged.ok().flatten().into_iter().flatten());
    }
    replaceable.sort_unstable();
    replaceable.dedup();
    Some(Executable { is_here, owner: Some(Uid(file.stx_uid)), replaceable })
}

/// The path without what the kernel appends to that of a file which is gone. Source: proc_pid_exe(5).
fn without_mark(path: &Path) -> &Path {
    let whole = path.as_os_str().as_bytes();
    whole.strip_suffix(b" (deleted)").map_or(path, |path| Path::new(OsStr::from_bytes(path)))
}

/// Says whether the process has the mount namespace and the root of this one.
fn sees_our_files(process: BorrowedFd<'_>) -> bool {
    let namespace = link(process, "ns/mnt");
    let root = ask(process, Path::new("root")).map(|root| id(&root));
    namespace.is_some()
        && namespace.as_deref() == std::fs::read_link("/proc/thread-self/ns/mnt").ok().as_deref().map(Path::as_os_str)
        && root.is_ok_and(|root| ask(CWD, Path::new("/")).is_ok_and(|own| id(&own) == root))
}

/// Says whether the path leads to the file here.
fn names(path: &Path, file: &Statx) -> bool {
    let wanted = id(file);
    let path = path.to_owned();
    within(PATIENCE, move || ask(CWD, &path)).is_ok_and(|here| here.is_ok_and(|here| id(&here) == wanted))
}

/// What others could do to the files of one process.
#[derive(Clone, Copy)]
struct Judge {
    user: Option<Uid>,
    sees_our_files: bool,
}

impl Judge {
    /// Who else than root and the process's own user can write a file. Of a file that has its path only in a mount
    /// namespace of the process's own, that user counts too: the path is of that user's making.
    fn file(self, part: Part, path: &Path, file: &Statx) -> Option<Replaceable> {
        let owner = Uid(file.stx_uid);
        let is_trusted = owner == Uid(0) || (self.sees_our_files && self.user == Some(owner));
        let by = match file.stx_mode & WRITABLE_BY_ALL {
            0 if is_trusted => return None,
            0 => Replacer::User(owner),
            _ => Replacer::Everybody,
        };
        Some(Replaceable { part, path: path.to_owned(), by })
    }

    /// The folders above the path in which others could put another file.
    fn folders(self, part: Part, path: &Path) -> Vec<Replaceable> {
        let folders = path.ancestors().skip(1).filter(|folder| folder.is_absolute());
        let found = |folder: &Path| self.file(part, folder, &ask(CWD, folder).ok()?);
        folders.filter_map(found).collect()
    }
}

/// Who else could replace the file that the process has under this path, or write to it. Only where
/// the path leads to that very file here do the folders on the way say anything.
fn way(part: Part, path: &Path, file: &Statx, user: Option<Uid>) -> Vec<Replaceable> {
    let judge = Judge { user, sees_our_files: names(path, file) };
    let mut found = if judge.sees_our_files { judge.folders(part, path) } else { Vec::new() };
    found.extend(judge.file(part, path, file));
    found
}

/// The files that are mapped to be run, as the kernel has them: the path alone may be another file here.
fn loaded(process: BorrowedFd<'_>) -> Vec<(PathBuf, Statx)> {
    let maps = read(process, "maps", MOST_MAPS).unwrap_or_default();
    let file = |(place, path): (String, PathBuf)| {
        // Root alone may follow these links.
        let file = ask(process, &Path::new("map_files").join(place)).or_else(|_| ask(CWD, &path)).ok()?;
        Some((path, file))
    };
    mapped(&maps).into_iter().filter_map(file).collect()
}

/// `7f0-7f1 r-xp 00000000 08:01 4242   /usr/lib/libc.so.6`: of each file that may be run one place, with its path.
fn mapped(maps: &[u8]) -> Vec<(String, PathBuf)> {
    let line = |line: &[u8]| {
        let (fields, path) = line.split_at(line.iter().position(|byte| *byte == b'/')?);
        let mut fields = std::str::from_utf8(fields).ok()?.split_ascii_whitespace();
        let (start, end) = fields.next()?.split_once('-')?;
        let (permissions, file) = (fields.next()?, (fields.nth(1)?.to_owned(), fields.next()?.to_owned()));
        let place = format!("{}-{}", start.trim_start_matches('0'), end.trim_start_matches('0'));
        permissions.contains('x').then(|| (PathBuf::from(OsStr::from_bytes(path)), file, place))
    };
    let mut found: Vec<_> = maps.split(|byte| *byte == b'\n').filter_map(line).collect();
    found.sort_unstable();
    found.dedup_by(|one, other| (&one.0, &one.1) == (&other.0, &other.1));
    found.into_iter().map(|(path, _, place)| (place, path)).collect()
}

/// The first argument that is no option, below the folder that the process works in.
fn script(process: BorrowedFd<'_>) -> Option<PathBuf> {
    let arguments = arguments(process)?;
    let script = arguments.iter().skip(1).find(|argument| !argument.as_bytes().starts_with(b"-"))?;
    Some(Path::new(&link(process, "cwd")?).join(script))
}

fn id(file: &Statx) -> FileId {
    (file.stx_dev_major, file.stx_dev_minor, file.stx_ino)
}

/// Asks without waiting for a server of files.
fn ask(folder: BorrowedFd<'_>, path: &Path) -> Result<Statx, Errno> {
    statx(folder, path, AtFlags::STATX_DONT_SYNC | AtFlags::NO_AUTOMOUNT, StatxFlags::BASIC_STATS)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::collect::linux::process_files::open_process;
    use crate::model::Pid;

    #[test]
    fn this_process_runs_a_file_that_is_here() {
        let own = open_process(Pid(std::process::id())).unwrap();
        let exe = std::env::current_exe().unwrap();
        let user = Some(Uid(rustix::process::geteuid().as_raw()));
        assert!(describe(own.as_fd(), &exe, user).unwrap().is_here);
    }

    #[test]
    fn a_folder_where_every_user_may_put_a_file_is_found_by_its_mode() {
        let folder = tempfile::tempdir_in(std::env::current_dir().unwrap()).unwrap();
        let file = folder.path().join("server");
        std::fs::write(&file, "").unwrap();
        let user = Some(Uid(rustix::process::geteuid().as_raw()));
        let by = |path: &Path| {
            let found = way(Part::Program, path, &ask(CWD, &file).unwrap(), user);
            let own = found.into_iter().filter(|found| found.path.starts_with(folder.path()) || found.path == path);
            own.map(|found| found.by).collect::<Vec<Replacer>>()
        };
        assert_eq!(by(&file), []);
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o1777)).unwrap();
        assert_eq!(by(&file), [Replacer::Everybody]);
        assert_eq!(by(Path::new("/usr/bin/env")), [], "the path is another file here, and this one is root's");
        std::os::unix::fs::chown(&file, Some(1000), None).unwrap_or_default();
        if std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(&file).unwrap()) == 1000 {
            assert_eq!(by(Path::new("/usr/bin/env")), [Replacer::User(Uid(1000))], "not so the files of a user");
        }
    }

    #[test]
    fn files_that_are_mapped_to_be_run_are_read_from_the_list() {
        let maps = b"55a-55b r--p 00000000 08:01 1   /opt/a\n55b-55c r-xp 00001000 08:01 2   /opt/my lib.so\n\
            7ff-800 r-xp 00000000 00:00 0   [vdso]\n7fa-7fb rwxp 00000000 00:00 0\n55d-55e r-xp 0 08:01 2   /opt/my lib.so";
        assert_eq!(mapped(maps), [("55b-55c".to_owned(), PathBuf::from("/opt/my lib.so"))]);
        assert!(mapped(b"\xff\n\n").is_empty());
    }
}
