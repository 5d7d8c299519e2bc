//! What a network namespace is and how it is called. Names from cgroups are hints, since whoever a part of that tree
//! is delegated to chooses them: they are shown and decide nothing (C32).

use std::fs;
use std::path::{Path, PathBuf};

use super::{FIRST_NAMESPACE, Found};
use crate::collect::linux::cgroup;
use crate::model::{Belonging, Container, SpaceKind};

/// Processes of a namespace that are asked for their cgroup; a pod has a handful of containers.
const MOST_ASKED: usize = 64;

/// Names the namespace: host, container, `ip netns` name, unit, else its lowest process.
pub fn describe(found: &mut Found, host: Option<u64>, own_container: Option<&Container>) {
    if found.space.id.0 == FIRST_NAMESPACE || (found.tables.is_some() && found.tables == host) {
        (found.space.kind, found.space.label) = (SpaceKind::Host, "host".to_owned());
        return;
    }
    let made_by: Vec<Belonging> = found.pids.iter().take(MOST_ASKED).filter_map(belonging_of).collect();
    for container in made_by.iter().filter_map(|made_by| made_by.container.as_ref()) {
        // Inside of a container every process has its name, also one with a namespace of its own.
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

fn name_of_process(found: &Found) -> Option<String> {
    let name = fs::read(format!("/proc/{}/comm", found.pids.first()?)).ok()?;
    let name = String::from_utf8_lossy(name.trim_ascii_end()).into_owned();
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_ip_netns_is_preferred_to_that_of_another_mount() {
        let mounts = |paths: &[&str]| paths.iter().map(PathBuf::from).collect::<Vec<_>>();
        assert_eq!(name_of_mount(&mounts(&["/mnt/x", "/run/netns/red"])).as_deref(), Some("red"));
        assert_eq!(name_of_mount(&mounts(&["/run/docker/netns/1f2e"])).as_deref(), Some("1f2e"));
        assert_eq!(name_of_mount(&[]), None);
    }
}
