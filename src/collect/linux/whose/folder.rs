//! The project that a process works on: the nearest folder above its working directory that is one.
//!
//! Everything is reached through `/proc/PID/cwd` and `/proc/PID/root`, so it is what the process sees; with the file
//! rights of the process's user; name by name, so that no link is followed; and no program is run.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, openat};
use rustix::io::Errno;

use super::mounts::{Entry, Identity, Mounts};
use super::rights::Rights;
use crate::collect::linux::process_files::link;
use crate::model::{Project, ProjectSource};

/// More folders are not climbed.
const MOST_LEVELS: usize = 64;
/// A longer file is neither `HEAD` nor the `.git` of a worktree.
const MOST_BYTES: u16 = 4096;

const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// The folders that were looked at, since many processes work in the same one.
#[derive(Default)]
pub struct Folders {
    known: HashMap<(Identity, Identity, Rights), Option<Project>>,
    /// Folders that, like all above them, have none of the names that mark a project. They have none for any user, so the
    /// rights of a process that works there are not read, which takes longest of all.
    pub(super) bare: HashSet<(Identity, Identity)>,
    mounts: Mounts,
    stranded: bool,
}

impl Folders {
    /// Says whether the thread has lost its own rights, and must not go on.
    pub fn is_stranded(&self) -> bool {
        self.stranded
    }

    /// The project that the process behind the handle of `/proc/PID` works on; absent also where that cannot be known. Its
    /// rights are read where they are not known yet.
    pub fn project_of(&mut self, directory: BorrowedFd<'_>, rights: Option<&Rights>) -> Option<Project> {
        let (place, top) = (Identity::behind(directory, "cwd")?, Identity::behind(directory, "root")?);
        if place == top || self.bare.contains(&(place, top)) {
            return None;
        }
        let key = (place, top, rights.cloned().or_else(|| Rights::of(directory))?);
        if let Some(known) = self.known.get(&key) {
            return known.clone();
        }
        // Both are opened as they are, without a look at any name of theirs.
        let open = |name| {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            openat(directory, name, flags, Mode::empty()).ok()
        };
        let (cwd, root) = (open("cwd")?, open("root")?);
        // The process may have moved meanwhile.
        let (place, top) = (Identity::of(cwd.as_fd())?, Identity::of(root.as_fd())?);
        if place == top {
            return None;
        }
        let rights = key.2;
        let key = (place, top, rights.clone());
        let mounts = &mut self.mounts;
        let search = || {
            let owners = vec![0, rights.uid];
            let mut search = Search { directory, root: &root, top, owners, mounts, met_a_name: false, is_bare: false };
            let project = search.project(cwd);
            (project, search.is_bare)
        };
        let found = rights.with(search);
        self.stranded |= found.is_err();
        let (project, is_bare) = found.ok().flatten().unwrap_or_default();
        if is_bare {
            self.bare.insert((place, top));
        }
        self.known.insert(key, project.clone());
        project
    }
}

/// One search, with the rights of the process.
struct Search<'a> {
    directory: BorrowedFd<'a>,
    root: &'a OwnedFd,
    top: Identity,
    /// The users whose files count. Every user may put files into a folder such as /tmp.
    owners: Vec<u32>,
    mounts: &'a mut Mounts,
    /// Whether one of the names that mark a project was there, no matter who owns the file.
    met_a_name: bool,
    /// Whether the root was reached and no such name was there.
    is_bare: bool,
}

/// What a folder has of a project.
enum Marker {
    Git,
    Manifest(&'static str),
}

impl Search<'_> {
    /// Climbs from the folder to the root. Where something cannot be read, what is nearest cannot be known.
    fn project(&mut self, cwd: OwnedFd) -> Option<Project> {
        if !self.may_ask(cwd.as_fd()) {
            return None;
        }
        let of_cwd = rustix::fs::fstat(&cwd).ok()?;
        // A folder that was removed is in no project.
        if of_cwd.st_nlink == 0 {
            return None;
        }
        self.owners.push(of_cwd.st_uid);
        let mut folder = cwd;
        let mut found: Option<Project> = None;
        for _ in 0..MOST_LEVELS {
            if Identity::of(folder.as_fd())? == self.top {
                self.is_bare = !self.met_a_name;
                return found;
            }
            if !self.may_ask(folder.as_fd()) {
                return found;
            }
            match self.marker(folder.as_fd()) {
                Ok(None) => {}
                // What was found is still the nearest; only its branch is unknown.
                Err(_) => return found,
                Ok(Some(Marker::Git)) => {
                    let branch = self.branch(folder.as_fd());
                    return match found {
                        Some(found) => Some(Project { branch, ..found }),
                        None => project(folder.as_fd(), ProjectSource::Git, branch),
                    };
                }
                Ok(Some(Marker::Manifest(name))) => {
                    // A folder that a package manager installed is not a project of its own.
                    if found.is_none() && !is_installed(&path_of(folder.as_fd())?) {
                        found = Some(project(folder.as_fd(), ProjectSource::Manifest(name), None)?);
                    }
                }
            }
            folder = match openat(&folder, c"..", FOLDER, Mode::empty()) {
                Ok(above) => above,
                Err(_) => return found,
            };
        }
        found
    }

    fn may_ask(&mut self, file: BorrowedFd<'_>) -> bool {
        Identity::of(file).is_some_and(|identity| self.mounts.may_ask(identity.mount, self.directory))
    }

    fn marker(&mut self, folder: BorrowedFd<'_>) -> Result<Option<Marker>, Errno> {
        match self.look(folder, ".git")? {
            // As git has it, a folder without HEAD is no repository.
            Some(FileType::Directory) if self.look(folder, ".git/HEAD")?.is_none() => {}
            Some(FileType::Directory | FileType::RegularFile | FileType::Symlink) => return Ok(Some(Marker::Git)),
            _ => {}
        }
        for name in ProjectSource::MANIFESTS {
            if matches!(self.look(folder, name)?, Some(FileType::RegularFile | FileType::Symlink)) {
                return Ok(Some(Marker::Manifest(name)));
            }
        }
        Ok(None)
    }

    /// What there is under the name, where it counts.
    fn look(&mut self, folder: BorrowedFd<'_>, name: &str) -> Result<Option<FileType>, Errno> {
        let entry = Entry::at(folder, name);
        self.met_a_name |= entry.is_ok();
        match entry {
            // A file system may be mounted on any name.
            Ok(found) if !self.mounts.may_ask(found.identity.mount, self.directory) => Err(Errno::NODATA),
            Ok(found) => Ok(self.owners.contains(&found.owner).then_some(found.kind)),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The branch that `HEAD` names; absent where none is checked out.
    fn branch(&mut self, folder: BorrowedFd<'_>) -> Option<OsString> {
        let git = self.step(folder, OsStr::new(".git"))?;
        let repository = match kind(git.as_fd())? {
            FileType::Directory => git,
            FileType::RegularFile => {
                let text = contents(&git)?;
                let path = text.strip_prefix(b"gitdir: ")?.strip_suffix(b"\n")?;
                self.walk(folder, Path::new(OsStr::from_bytes(path)))?
            }
            _ => return None,
        };
        let head = self.step(repository.as_fd(), OsStr::new("HEAD"))?;
        branch_in(&contents(&head)?)
    }

    /// Goes the path name by name, from the process's own root where it begins there.
    fn walk(&mut self, from: BorrowedFd<'_>, path: &Path) -> Option<OwnedFd> {
        let mut place = from.try_clone_to_owned().ok()?;
        for component in path.components().take(MOST_LEVELS) {
            match component {
                Component::RootDir => place = self.root.try_clone().ok()?,
                Component::CurDir => {}
                Component::ParentDir if Identity::of(place.as_fd())? == self.top => {}
                Component::ParentDir => place = self.step(place.as_fd(), OsStr::new(".."))?,
                Component::Normal(name) => place = self.step(place.as_fd(), name)?,
                Component::Prefix(_) => return None,
            }
        }
        (path.components().count() <= MOST_LEVELS).then_some(place)
    }

    /// Opens what has the name in the folder, whatever it is and without doing anything to it.
    fn step(&mut self, folder: BorrowedFd<'_>, name: &OsStr) -> Option<OwnedFd> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let found = self.may_ask(folder).then(|| openat(folder, name, flags, Mode::empty()).ok()).flatten()?;
        self.may_ask(found.as_fd()).then_some(found)
    }
}

fn kind(file: BorrowedFd<'_>) -> Option<FileType> {
    Some(FileType::from_raw_mode(rustix::fs::fstat(file).ok()?.st_mode))
}

/// Reads a regular file that is known to be one before it is opened for reading: to open a device may do something.
fn contents(file: &OwnedFd) -> Option<Vec<u8>> {
    use std::os::fd::AsRawFd;
    let found = rustix::fs::fstat(file).ok()?;
    if FileType::from_raw_mode(found.st_mode) != FileType::RegularFile || found.st_size > MOST_BYTES.into() {
        return None;
    }
    let name = format!("/proc/self/fd/{}", file.as_raw_fd());
    let file = openat(CWD, name, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK, Mode::empty()).ok()?;
    let most = usize::from(MOST_BYTES);
    let mut text = vec![0; most + 1];
    let mut length = 0;
    while length < text.len() {
        match rustix::io::read(&file, &mut text[length..]).ok()? {
            0 => break,
            more => length += more,
        }
    }
    text.truncate(length);
    (length <= most).then_some(text)
}

/// `ref: refs/heads/NAME`. Source: gitrepository-layout(5), git-check-ref-format(1).
fn branch_in(head: &[u8]) -> Option<OsString> {
    let name = head.strip_prefix(b"ref: refs/heads/")?;
    let name = name.strip_suffix(b"\n").unwrap_or(name);
    let is_bad = |byte: &u8| *byte <= b' ' || *byte == 0x7f || b"~^:?*[\\".contains(byte);
    // A repository that keeps its branches elsewhere (reftable) has `.invalid` here.
    let is_bad_part = |part: &[u8]| part.is_empty() || part.starts_with(b".") || part.ends_with(b".lock");
    let is_name = !name.iter().any(is_bad)
        && !name.split(|byte| *byte == b'/').any(is_bad_part)
        && !name.windows(2).any(|pair| pair == b".." || pair == b"@{")
        && !name.ends_with(b".")
        && name != b"@";
    is_name.then(|| OsStr::from_bytes(name).to_owned())
}

fn is_installed(path: &Path) -> bool {
    path.components().any(|part| part.as_os_str() == "node_modules")
}

/// The path of an open folder as the kernel has it, seen from the root of its mounts.
fn path_of(folder: BorrowedFd<'_>) -> Option<PathBuf> {
    use std::os::fd::AsRawFd;
    let path = PathBuf::from(link(CWD, &format!("/proc/self/fd/{}", folder.as_raw_fd()))?);
    path.is_absolute().then_some(path)
}

fn project(folder: BorrowedFd<'_>, source: ProjectSource, branch: Option<OsString>) -> Option<Project> {
    let path = path_of(folder)?;
    let name = path.file_name()?.to_owned();
    Some(Project { name, branch, folder: Some(path), source })
}
