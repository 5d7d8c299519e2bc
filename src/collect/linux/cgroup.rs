//! Which systemd unit or container a cgroup belongs to, by its path.
//!
//! sock_diag gives every caller the id of the cgroup that made a socket, and the id is the inode of the cgroup's
//! directory. So a unit can be named even where the process is hidden. A user to whom a part of the tree is delegated
//! can choose the names of directories there, so what is read from a path is a hint and decides nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::DirEntryExt;
use std::path::PathBuf;

use super::{cgroup_names, mountinfo};
use crate::model::{Belonging, Container, Runtime};

/// How many directories are visited at most.
const MOST_DIRECTORIES: usize = 100_000;

/// What the cgroups with these ids belong to, where their paths say.
pub fn belongings(ids: &BTreeSet<u64>) -> BTreeMap<u64, Belonging> {
    // The root of the tree has the id 1; every other one must be looked for.
    let mut missing: BTreeSet<u64> = ids.iter().copied().filter(|id| *id > 1).collect();
    let mut found = BTreeMap::new();
    if missing.is_empty() {
        return found;
    }
    let Some(root) = mount_point(&mountinfo::read().unwrap_or_default()) else { return found };
    let mut folders = vec![root.clone()];
    let mut looked_at = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            if missing.is_empty() || looked_at >= MOST_DIRECTORIES {
                return found;
            }
            // The kind and the inode come with the directory entry. Each directory also has dozens of files, which need
            // no system call this way.
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            looked_at += 1;
            let path = entry.path();
            if missing.remove(&entry.ino()) {
                let below = path.strip_prefix(&root).unwrap_or(&path);
                let text = [b"0::/", below.as_os_str().as_encoded_bytes()].concat();
                found.extend(cgroup_names::judged(&text).map(|belonging| (entry.ino(), belonging)));
            }
            folders.push(path);
        }
    }
    found
}

/// Where the cgroup-v2 tree is mounted: `/sys/fs/cgroup`, or `/sys/fs/cgroup/unified` beside version 1.
fn mount_point(mountinfo: &[u8]) -> Option<PathBuf> {
    let mut mounts = mountinfo::parse(mountinfo);
    mounts.find(|mount| mount.filesystem == b"cgroup2" && mount.root == b"/").map(|mount| mount.point())
}

/// What a process belongs to, by the text of its `/proc/PID/cgroup`.
///
/// The lines may differ: where version 1 is used beside version 2, `0::` often has only the unit of the engine, and a
/// named tree has the container. So a line that names a container is preferred to one that does not, one that names
/// more containers inside of each other to one that names fewer; then version 2, then systemd's own tree, then any.
/// Source: cgroups(7).
pub fn of_process(text: &[u8]) -> Option<Belonging> {
    let text = String::from_utf8_lossy(text);
    belonging(most_specific(&lines(&text))?)
}

/// The path that says most of what a process belongs to.
pub fn most_specific<'a>(paths: &[&'a str]) -> Option<&'a str> {
    let rank = |path: &str| {
        let parts = parts(path);
        let containers = (0..parts.len()).filter(|index| container(&parts, *index).is_some()).count();
        (containers, parts.iter().any(|part| is_unit(part)))
    };
    // Of those that say the same the first is preferred, while a maximum is the last one.
    paths.iter().rev().copied().max_by_key(|path| rank(path))
}

/// The paths of the lines: that of version 2, then systemd's own, then the others.
pub fn lines(text: &str) -> Vec<&str> {
    let mut lines: Vec<(u8, &str)> = Vec::new();
    for line in text.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let rank = match controllers {
            "" => 0,
            "name=systemd" => 1,
            _ => 2,
        };
        lines.push((rank, path));
    }
    lines.sort_by_key(|(rank, _)| *rank);
    lines.into_iter().map(|(_, path)| path).collect()
}

/// Reads the innermost container of a path, also the outermost if containers are nested, and the last unit of this
/// host; `None` if the path names none of them.
pub fn belonging(path: &str) -> Option<Belonging> {
    let parts = parts(path);
    let mut containers = (0..parts.len()).filter_map(|index| container(&parts, index));
    let outermost = containers.next();
    let innermost = containers.next_back();
    let in_pod = |container: Container| Container { pod: parts.iter().find_map(|part| pod(part)), ..container };
    let (container, outer) = match (innermost, outermost) {
        // A path may name one container twice, as systemd-nspawn's does.
        (Some(inner), Some(outer)) if inner.id != outer.id => (Some(inner), Some(in_pod(outer))),
        (inner, outer) => (outer.or(inner), None),
    };
    let unit = of_host(&parts).iter().rev().find(|part| is_unit(part)).map(|part| unescaped(part));
    let container = container.map(in_pod);
    (container.is_some() || unit.is_some()).then_some(Belonging { unit, container, outer, ..Belonging::default() })
}

fn parts(path: &str) -> Vec<&str> {
    path.split('/').filter(|part| !part.is_empty()).collect()
}

/// The parts of a path down to the first container: the systemd of this host knows nothing of what is below, where a
/// systemd of the container's own gives names, the same ones as likely as not.
fn of_host<'p, 'a>(parts: &'p [&'a str]) -> &'p [&'a str] {
    let is_inside = |index: &usize| container(parts, *index).is_some() || is_payload(parts, *index);
    let first = (0..parts.len()).find(is_inside);
    // A directory that is both, such as that of `systemd-nspawn@box.service`, is the host's.
    first.map_or(parts, |first| &parts[..=first])
}

/// The container that this host's runtime runs: what is inside of it may run containers of its own.
pub fn container_of_host(path: &str) -> Option<Container> {
    let parts = parts(path);
    (0..parts.len()).find_map(|index| container(&parts, index))
}

/// The last unit of this host, as it is written there, and the user whose systemd runs it.
pub fn unit_of_host(path: &str) -> Option<(&str, Option<u32>)> {
    let parts = parts(path);
    let mut own = of_host(&parts).iter().rev();
    let unit = own.find(|part| is_unit(part))?;
    let user = own.find_map(|part| part.strip_prefix("user@")?.strip_suffix(".service")?.parse().ok());
    Some((unit, user))
}

fn is_unit(part: &str) -> bool {
    // A scope is a unit too, but only names a session or a container, which is no better known by it; but for a virtual
    // machine, which nothing else names.
    (part.ends_with(".service") && !part.starts_with("user@")) || is_virtual_machine(part)
}

/// `machine-qemu\x2d1\x2dcentos7.scope`: libvirt names a machine by its driver, its number and its name.
fn is_virtual_machine(part: &str) -> bool {
    const DRIVERS: [&str; 5] = ["qemu", "kvm", "xen", "ch", "bhyve"];
    let Some((driver, number, _)) = libvirt(part) else { return false };
    DRIVERS.contains(&driver.as_str()) && number
}

/// The driver of libvirt that made the scope, whether a number follows, and the name.
fn libvirt(part: &str) -> Option<(String, bool, String)> {
    let name = unescaped(part.strip_prefix("machine-")?.strip_suffix(".scope")?);
    let (driver, rest) = name.split_once('-')?;
    let (number, name) = rest.split_once('-')?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    Some((driver.to_owned(), is_number, name.to_owned()))
}

/// Says whether systemd-nspawn has set the directory apart for what it runs, whatever the unit is called that it runs
/// in. Source: systemd, `src/nspawn/nspawn-cgroup.c`.
fn is_payload(parts: &[&str], index: usize) -> bool {
    parts[index] == "payload" && index.checked_sub(1).is_some_and(|before| is_unit(parts[before]))
}

/// Reads one part of a path, with those around it where they name the engine.
///
/// Engines differ in what stands around a container's id, and agree on the id: 64 hexadecimal digits, alone or at the end
/// of a name, after `-` or `:`.
fn container(parts: &[&str], index: usize) -> Option<Container> {
    let part = parts[index];
    let before = index.checked_sub(1).map(|before| parts[before]);
    let made = |runtime, id: &str| Some(Container::of_id(runtime, unescaped(id)));
    let scope = part.strip_suffix(".scope").unwrap_or(part);
    // Helper processes of an engine run beside the container, not in it.
    if ["libpod-conmon-", "crio-conmon-", "lxc.monitor"].iter().any(|helper| scope.starts_with(helper)) {
        return None;
    }
    if let Some(name) = part.strip_prefix("lxc.payload.") {
        return made(Runtime::Lxc, name);
    }
    if let Some(machine) = part.strip_prefix("machine-").and_then(|rest| rest.strip_suffix(".scope")) {
        return match libvirt(part) {
            _ if is_virtual_machine(part) => None,
            Some((driver, true, name)) if driver == "lxc" => made(Runtime::Lxc, &name),
            _ => made(Runtime::Nspawn, machine),
        };
    }
    if let Some(name) = part.strip_prefix("systemd-nspawn@").and_then(|rest| rest.strip_suffix(".service")) {
        // The unit's own directory, or its `supervisor`, has systemd-nspawn itself in it.
        let is_inside = parts.get(index + 1).is_some_and(|after| *after != "supervisor");
        return is_inside.then(|| made(Runtime::Nspawn, name)).flatten();
    }
    if matches!(before, Some("lxc" | "lxc.payload")) {
        return made(Runtime::Lxc, part);
    }
    let (prefix, id) = scope.split_at_checked(scope.len().checked_sub(ID_DIGITS)?)?;
    if !is_id(id) {
        return None;
    }
    match prefix.strip_suffix(['-', ':']) {
        Some(prefix) => made(engine(prefix.rsplit(':').next().unwrap_or(prefix)).unwrap_or(Runtime::Unknown), id),
        None if prefix.is_empty() => made(
            before.and_then(engine).unwrap_or(match before {
                Some(before) if is_pod(before) => Runtime::Cri,
                _ => Runtime::Unknown,
            }),
            id,
        ),
        None => None,
    }
}

/// The engine that writes this in front of an id, or gives this name to the directory around it.
fn engine(name: &str) -> Option<Runtime> {
    Runtime::ALL.into_iter().find(|runtime| names_in_paths(*runtime).contains(&name))
}

/// The names that identify an engine in a path.
fn names_in_paths(runtime: Runtime) -> &'static [&'static str] {
    match runtime {
        Runtime::Docker => &["docker"],
        Runtime::Podman => &["libpod", "libpod-payload", "libpod_parent"],
        Runtime::Containerd => &["cri-containerd", "nerdctl"],
        Runtime::CriO => &["crio"],
        // These are recognized by the form of a path: a pod around an id, or a name instead of an id.
        Runtime::Cri | Runtime::Lxc | Runtime::Nspawn | Runtime::Unknown => &[],
    }
}

fn is_pod(part: &str) -> bool {
    part.starts_with("pod") || part.contains("-pod")
}

/// The uid of a Kubernetes pod: `pod12-3`, or `kubepods-burstable-pod12_3.slice` where systemd makes the tree.
fn pod(part: &str) -> Option<String> {
    let name = part.strip_suffix(".slice").unwrap_or(part);
    let uid = match name.rsplit_once("-pod") {
        Some((before, uid)) if before.starts_with("kubepods") => uid.replace('_', "-"),
        _ => name.strip_prefix("pod")?.to_owned(),
    };
    let is_uid = uid.len() >= 8 && uid.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    is_uid.then_some(uid)
}

/// How long the ids of containers are.
const ID_DIGITS: usize = 64;

fn is_id(text: &str) -> bool {
    text.len() == ID_DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// systemd writes `-` in names as `\x2d`. Source: systemd-escape(1).
fn unescaped(text: &str) -> String {
    text.replace("\\x2d", "-")
}

#[cfg(test)]
mod tests;
