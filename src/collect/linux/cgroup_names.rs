//! Who gave a cgroup its name: root, whose managers name units and containers, or a user to whom that part of the tree
//! belongs and who can give any name there.
//!
//! A folder of the tree is made, and so named, by a user who may write to the folder around it. So a name can be relied on
//! as long as every folder above it belongs to root, or to the user who runs this program. Source: cgroups(7).

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::cgroup;
use super::mountinfo::{self, Mount};
use crate::model::{Belonging, Origin, Uid};

/// What a process belongs to, by the text of its `/proc/PID/cgroup`, and whose word that is.
///
/// Where a user has made folders below those of root's managers, what these say is taken.
pub fn judged(text: &[u8]) -> Option<Belonging> {
    let mut found = cgroup::of_process(text)?;
    let text = String::from_utf8_lossy(text);
    let by_root = cgroup::of_process(named_by_root(&text).as_bytes()).unwrap_or_default();
    found.user = paths(&text).find_map(|path| cgroup::unit_of_host(path)?.1).map(Uid);
    let is_own = |user: Uid| user.0 == rustix::process::geteuid().as_raw() && user.0 != 0;
    if by_root.unit.is_some() && found.user.is_none_or(is_own) {
        found.unit = by_root.unit;
        found.origin = Origin::Kernel;
    }
    let by_root = [by_root.container, by_root.outer];
    for container in found.container.iter_mut().chain(&mut found.outer) {
        if by_root.iter().flatten().any(|by_root| by_root.id == container.id) {
            container.origin = Origin::Kernel;
        }
    }
    Some(found)
}

/// The lines with their paths cut off behind the last name that root, or the user of this program, has given.
pub fn named_by_root(text: &str) -> String {
    let cut = |line: &str| {
        let mut parts = line.splitn(3, ':');
        let (number, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        let root = trees().iter().find(|tree| tree.has(controllers))?;
        Some(format!("{number}:{controllers}:{}\n", trusted(path, &|above| owner(&root.point, above))))
    };
    text.lines().filter_map(cut).collect()
}

fn paths(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| line.splitn(3, ':').nth(2))
}

/// The longest beginning of the path in which every name was given by somebody who can be relied on; `owner` tells the
/// user that a folder belongs to.
fn trusted<'p>(path: &'p str, owner: &dyn Fn(&str) -> Option<u32>) -> &'p str {
    let own = rustix::process::geteuid().as_raw();
    let mut end = 0;
    loop {
        let is_relied_on = owner(&path[..end]).is_some_and(|user| user == 0 || user == own);
        let rest = &path[end..];
        if !is_relied_on || rest.len() <= 1 {
            return &path[..end];
        }
        end += rest[1..].find('/').map_or(rest.len(), |next| next + 1);
    }
}

fn owner(point: &Path, above: &str) -> Option<u32> {
    fs::symlink_metadata(point.join(above.trim_start_matches('/'))).ok().map(|folder| folder.uid())
}

/// A mounted tree of cgroups.
#[derive(Debug)]
struct Tree {
    /// Where it is mounted.
    point: PathBuf,
    /// Its controllers; empty for the tree of version 2.
    controllers: Vec<String>,
}

impl Tree {
    /// Says whether it is that of a line of `/proc/PID/cgroup`, which names all of a tree's controllers.
    fn has(&self, controllers: &str) -> bool {
        match controllers.split(',').next() {
            None | Some("") => self.controllers.is_empty(),
            Some(first) => self.controllers.iter().any(|controller| controller == first),
        }
    }
}

/// The trees that are mounted here. They are the same as long as this program runs.
fn trees() -> &'static [Tree] {
    static TREES: OnceLock<Vec<Tree>> = OnceLock::new();
    TREES.get_or_init(|| parse(&mountinfo::read().unwrap_or_default()))
}

/// The options of a tree of version 1 name its controllers.
fn parse(mounts: &[u8]) -> Vec<Tree> {
    let tree = |mount: Mount<'_>| {
        let controllers = match mount.filesystem {
            b"cgroup2" => Vec::new(),
            b"cgroup" => String::from_utf8_lossy(mount.options).split(',').map(str::to_owned).collect(),
            _ => return None,
        };
        (mount.root == b"/").then(|| Tree { point: mount.point(), controllers })
    };
    mountinfo::parse(mounts).filter_map(tree).collect()
}

/// The reader of mounted trees.
#[cfg(any(feature = "fuzzing", test))]
pub mod fuzzing {
    /// Reads `/proc/PID/mountinfo`.
    pub fn mountinfo(bytes: &[u8]) {
        let _ = super::parse(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_counts_as_long_as_every_folder_above_it_is_roots() {
        let path = "/user.slice/user-1000.slice/user@1000.service/app.slice/ssh.service";
        let of_user = |above: &str| Some(if above.contains("user@") { 4_000_000 } else { 0 });
        assert_eq!(trusted(path, &of_user), "/user.slice/user-1000.slice/user@1000.service");
        assert_eq!(trusted(path, &|_| Some(0)), path);
        assert_eq!(trusted(path, &|_| None), "");
        assert_eq!(trusted("/", &|_| Some(0)), "");
        let gone = |above: &str| (above.len() < 12).then_some(0);
        assert_eq!(trusted("/system.slice/a.service", &gone), "/system.slice");
    }

    #[test]
    fn the_trees_of_both_versions_are_found() {
        let line =
            |point: &str, kind: &str, options: &str| format!("30 25 0:26 / {point} rw - {kind} {kind} {options}\n");
        let text = line("/sys/fs/cgroup/systemd", "cgroup", "rw,xattr,name=systemd")
            + &line("/sys/fs/cgroup/unified", "cgroup2", "rw,nsdelegate")
            + &line("/sys/fs/cgroup/cpu,cpuacct", "cgroup", "rw,cpu,cpuacct");
        let trees = parse(text.as_bytes());
        let point = |controllers: &str| trees.iter().find(|tree| tree.has(controllers)).map(|tree| tree.point.clone());
        assert_eq!(point(""), Some("/sys/fs/cgroup/unified".into()));
        assert_eq!(point("name=systemd"), Some("/sys/fs/cgroup/systemd".into()));
        assert_eq!(point("cpu,cpuacct"), Some("/sys/fs/cgroup/cpu,cpuacct".into()));
        assert_eq!(point("memory"), None);
        assert!(parse(b"\xff\nx - y\n").is_empty());
    }
}
