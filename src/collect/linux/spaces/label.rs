//! What a network namespace is, and its label. Names from cgroups are hints, because users to whom a part of that tree
//! is delegated choose them: they are shown and decide nothing.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::{Namespace, is_host};
use crate::collect::linux::cgroup;
use crate::model::{Belonging, Container, SpaceKind};

/// How many processes of a namespace are asked for their cgroup; a pod has a handful of containers.
const MOST_ASKED: usize = 64;

/// Names the namespace: host, container, `ip netns` name, unit, else its lowest process.
pub fn describe(found: &mut Namespace, host: Option<u64>, own_container: Option<&Container>) {
    let id = found.has_own_id.then_some(found.space.id.0);
    if is_host(id, found.tables, host) {
        (found.space.kind, found.space.label) = (SpaceKind::Host, "host".to_owned());
        return;
    }
    let made_by: Vec<Belonging> = found.pids.iter().take(MOST_ASKED).filter_map(belonging_of).collect();
    for container in made_by.iter().filter_map(|made_by| made_by.container.as_ref()) {
        // When portscope runs in a container, every process has this container in its cgroup path, even one with its
        // own network namespace.
        let is_new = !found.space.containers.contains(container);
        if is_new && own_container.is_none_or(|own| own.id != container.id) {
            found.space.containers.push(container.clone());
        }
    }
    let unit = made_by.into_iter().next().and_then(|made_by| made_by.unit);
    (found.space.kind, found.space.label) = match (found.space.containers.first(), name_of_mount(&found.mounts), unit) {
        (Some(container), ..) => (SpaceKind::Container, container.short_name().to_owned()),
        (None, Some(name), _) => (SpaceKind::Netns, name),
        (None, None, Some(unit)) => (SpaceKind::Unit, unit),
        (None, None, None) => (SpaceKind::Netns, name_of_process(found).unwrap_or_else(|| "netns".to_owned())),
    };
}

/// Returns whether its label comes from a process that lives in it or keeps it open.
fn is_of_process(found: &Namespace) -> bool {
    found.space.kind == SpaceKind::Netns && found.mounts.is_empty()
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
    cgroup::of_process(&fs::read(format!("/proc/{pid}/cgroup")).ok()?)
}

/// The name that `ip netns` gave it; without one, the name of any mount point.
pub fn name_of_mount(mounts: &[PathBuf]) -> Option<String> {
    let is_named = |path: &&PathBuf| path.parent().is_some_and(|parent| parent.ends_with("run/netns"));
    let mount: &Path = mounts.iter().find(is_named).or_else(|| mounts.first())?;
    Some(mount.file_name()?.to_string_lossy().into_owned())
}

fn name_of_process(found: &Namespace) -> Option<String> {
    let name = fs::read(format!("/proc/{}/comm", found.pids.first()?)).ok()?;
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
            found.mounts = mounts.iter().map(PathBuf::from).collect();
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
