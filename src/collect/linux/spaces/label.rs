//! What a network namespace is, its label, and who gave it that label: names of cgroups below a folder of root's and
//! mount points are root's choice, the others decide nothing.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use rustix::fs::CWD;

use super::{Namespace, is_host};
use crate::collect::linux::process_files::{MOST_CGROUP, read};
use crate::collect::linux::{cgroup, cgroup_names};
use crate::model::{Belonging, Container, Origin, SpaceKind};

/// How many processes of a namespace are asked for their cgroup; a pod has a handful of containers.
const MOST_ASKED: usize = 64;

/// Names the namespace: host, container, `ip netns` name, unit, else its lowest process.
pub fn describe(found: &mut Namespace, host: Option<u64>, own_container: Option<&Container>) {
    let id = found.has_own_id.then_some(found.space.id.0);
    if is_host(id, found.tables, host) {
        (found.space.kind, found.space.label) = (SpaceKind::Host, "host".to_owned());
        found.space.named_by = Origin::Kernel;
        return;
    }
    let made_by: Vec<(u32, Belonging)> =
        found.pids.iter().take(MOST_ASKED).filter_map(|pid| Some((*pid, belonging_of(pid)?))).collect();
    for (pid, container) in made_by.iter().filter_map(|(pid, made_by)| Some((pid, made_by.container.as_ref()?))) {
        // When portscope runs in a container, every process has this container in its cgroup path, even one with its
        // own network namespace.
        let is_new = found.space.containers.iter().all(|known| known.id != container.id);
        if is_new && own_container.is_none_or(|own| own.id != container.id) {
            let judged = judged(*pid).and_then(|judged| judged.container).filter(|judged| judged.id == container.id);
            found.space.containers.push(judged.unwrap_or_else(|| container.clone()));
        }
    }
    // What a user's process claims to be must not stand before the container whose space it is.
    found.space.containers.sort_by_key(|container| !container.origin.decides());
    let unit = made_by.first().filter(|(_, first)| first.unit.is_some()).and_then(|(pid, _)| judged(*pid));
    let unit = unit.and_then(|judged| Some((judged.unit?, judged.origin)));
    let space = &mut found.space;
    (space.kind, space.label, space.named_by) = match (space.containers.first(), name_of_mount(&found.mounts), unit) {
        (Some(container), ..) => (SpaceKind::Container, container.short_name().to_owned(), container.origin),
        (None, Some(name), _) => (SpaceKind::Netns, name, Origin::Kernel),
        (None, None, Some((unit, origin))) => (SpaceKind::Unit, unit, origin),
        (None, None, None) => {
            let name = name_of_process(&found.pids).unwrap_or_else(|| "netns".to_owned());
            (SpaceKind::Netns, name, Origin::Claim)
        }
    };
}

/// Returns whether its label comes from a process that lives in it or keeps it open.
fn is_of_process(found: &Namespace) -> bool {
    !found.space.named_by.decides()
}

/// Adds the space's id to labels that are not unique. Processes choose their names, so a label that comes from a
/// process gets the id even if the other space with that label comes from somewhere else. `taken` are labels that other
/// spaces have already.
pub fn distinguish(found: &mut [Namespace], taken: &[String]) {
    let mut counts: HashMap<String, [usize; 2]> = HashMap::new();
    for found in found.iter() {
        counts.entry(found.space.label.clone()).or_default()[usize::from(is_of_process(found))] += 1;
    }
    for found in found.iter_mut().filter(|found| found.space.kind != SpaceKind::Host) {
        let label = found.space.label.as_str();
        let is_only = match (counts[label], is_of_process(found)) {
            ([1, _], false) => true,
            // A label of digits only could be mistaken for the id of another space.
            ([0, 1], true) => !label.bytes().all(|byte| byte.is_ascii_digit()),
            _ => false,
        };
        if !is_only || taken.iter().any(|other| other == label) {
            found.space.label = format!("{label}:{}", found.space.id.0);
        }
    }
}

/// The container that the process belongs to.
pub fn container_of(pid: &str) -> Option<Container> {
    belonging_of(pid)?.container
}

fn belonging_of(pid: impl std::fmt::Display) -> Option<Belonging> {
    cgroup::of_process(&cgroups(pid)?)
}

/// The name that `ip netns` gave it; without one, the name of any mount point.
pub fn name_of_mount(mounts: &[PathBuf]) -> Option<String> {
    let is_named = |path: &&PathBuf| path.parent().is_some_and(|parent| parent.ends_with("run/netns"));
    let mount: &Path = mounts.iter().find(is_named).or_else(|| mounts.first())?;
    Some(mount.file_name()?.to_string_lossy().into_owned())
}

/// The same with who vouches for each name, which takes longer to find out.
fn judged(pid: u32) -> Option<Belonging> {
    cgroup_names::judged(&cgroups(pid)?)
}

/// The text of its `/proc/PID/cgroup`.
fn cgroups(pid: impl std::fmt::Display) -> Option<Vec<u8>> {
    read(CWD, &format!("/proc/{pid}/cgroup"), MOST_CGROUP).ok()
}

fn name_of_process(pids: &[u32]) -> Option<String> {
    let name = read(CWD, &format!("/proc/{}/comm", pids.first()?), 64).ok()?;
    let name = String::from_utf8_lossy(name.trim_ascii_end()).into_owned();
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_label_is_one_spaces_and_a_name_that_a_process_chose_yields() {
        let space = |id, kind, label: &str, mounts: &[&str]| {
            let mut found = Namespace::new(id);
            (found.space.kind, found.space.label) = (kind, label.to_owned());
            let is_named = kind != SpaceKind::Netns || !mounts.is_empty();
            found.space.named_by = if is_named { Origin::Kernel } else { Origin::Claim };
            found
        };
        let mut found = [
            space(1, SpaceKind::Host, "host", &[]),
            space(2, SpaceKind::Netns, "host", &[]),
            space(3, SpaceKind::Container, "web", &[]),
            space(4, SpaceKind::Netns, "web", &[]),
            space(5, SpaceKind::Netns, "python3", &[]),
            space(6, SpaceKind::Netns, "python3", &[]),
            space(7, SpaceKind::Netns, "red", &["/run/netns/red"]),
            space(8, SpaceKind::Netns, "sleep", &[]),
            space(9, SpaceKind::Netns, "12", &[]),
            space(10, SpaceKind::Netns, "netns", &[]),
            space(11, SpaceKind::Container, "twice", &[]),
            space(12, SpaceKind::Container, "twice", &[]),
        ];
        distinguish(&mut found, &["netns".to_owned()]);
        let labels: Vec<&str> = found.iter().map(|found| found.space.label.as_str()).collect();
        let expected = ["host", "host:2", "web", "web:4", "python3:5", "python3:6", "red", "sleep", "12:9", "netns:10"];
        assert_eq!(labels, [&expected[..], &["twice:11", "twice:12"]].concat());
    }

    #[test]
    fn the_name_of_ip_netns_is_preferred_to_that_of_another_mount() {
        let mounts = |paths: &[&str]| paths.iter().map(PathBuf::from).collect::<Vec<_>>();
        assert_eq!(name_of_mount(&mounts(&["/mnt/x", "/run/netns/red"])).as_deref(), Some("red"));
        assert_eq!(name_of_mount(&mounts(&["/run/docker/netns/1f2e"])).as_deref(), Some("1f2e"));
        assert_eq!(name_of_mount(&[]), None);
    }
}
