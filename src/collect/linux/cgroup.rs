//! Which systemd unit or container a cgroup belongs to, by its path.
//!
//! sock_diag gives every caller the id of the cgroup that made a socket, and the id is the inode of the cgroup's
//! directory. So a unit can be named where the process may not be seen. Whoever a part of the tree is delegated to
//! can name directories there as he likes: what is read from a path is a hint and decides nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::DirEntryExt;
use std::path::{Path, PathBuf};

use crate::model::{Belonging, Container};

/// More directories are not looked at.
const MOST_DIRECTORIES: usize = 100_000;

/// What the cgroups with these ids belong to, where their paths say.
pub fn belongings(ids: &BTreeSet<u64>) -> BTreeMap<u64, Belonging> {
    // The root of the tree has the id 1; every other one must be looked for.
    let mut missing: BTreeSet<u64> = ids.iter().copied().filter(|id| *id > 1).collect();
    let mut found = BTreeMap::new();
    if missing.is_empty() {
        return found;
    }
    let Some(root) = mount_point(&fs::read("/proc/self/mountinfo").unwrap_or_default()) else { return found };
    let mut folders = vec![root.clone()];
    let mut looked_at = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            if missing.is_empty() || looked_at >= MOST_DIRECTORIES {
                return found;
            }
            // Both stand in the directory; there are some dozens of files beside each directory, which are not asked.
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            looked_at += 1;
            let path = entry.path();
            if missing.remove(&entry.ino()) {
                let below = path.strip_prefix(&root).unwrap_or(&path);
                found.extend(belonging(&below.to_string_lossy()).map(|belonging| (entry.ino(), belonging)));
            }
            folders.push(path);
        }
    }
    found
}

/// Where the cgroup-v2 tree is mounted: `/sys/fs/cgroup`, or `/sys/fs/cgroup/unified` beside version 1.
fn mount_point(mountinfo: &[u8]) -> Option<PathBuf> {
    let lines = mountinfo.split(|byte| *byte == b'\n').filter_map(|line| std::str::from_utf8(line).ok());
    let mut points = lines.filter_map(|line| {
        let (mount, filesystem) = line.split_once(" - ")?;
        let mut fields = mount.split(' ');
        let (root, point) = (fields.nth(3)?, fields.next()?);
        (filesystem.split(' ').next() == Some("cgroup2") && root == "/").then(|| Path::new(point).to_owned())
    });
    points.next()
}

/// What a process belongs to, by the text of its `/proc/PID/cgroup`.
///
/// A line of version 2, `0::PATH`, is asked first, then systemd's own tree, then any. Source: cgroups(7).
pub fn of_process(text: &[u8]) -> Option<Belonging> {
    let text = String::from_utf8_lossy(text);
    let lines = || {
        text.lines().filter_map(|line| {
            let (_, rest) = line.split_once(':')?;
            rest.split_once(':')
        })
    };
    let of_tree = |is_it: &dyn Fn(&str) -> bool| {
        let mut paths = lines().filter(|(controllers, _)| is_it(controllers));
        paths.find_map(|(_, path)| belonging(path))
    };
    of_tree(&str::is_empty).or_else(|| of_tree(&|name| name == "name=systemd")).or_else(|| of_tree(&|_| true))
}

/// Reads the innermost container of a path and the last unit of this host; nothing when there is neither.
pub fn belonging(path: &str) -> Option<Belonging> {
    let parts = parts(path);
    let container = (0..parts.len()).rev().find_map(|place| container(&parts, place));
    let container = container.map(|container| Container { pod: parts.iter().find_map(|part| pod(part)), ..container });
    let unit = of_host(&parts).iter().rev().find(|part| is_unit(part)).map(|part| unescaped(part));
    (container.is_some() || unit.is_some()).then_some(Belonging { unit, container })
}

fn parts(path: &str) -> Vec<&str> {
    path.split('/').filter(|part| !part.is_empty()).collect()
}

/// The parts of a path down to the first container: the systemd of this host knows nothing of what is below, where a
/// systemd of the container's own gives names, the same ones as likely as not.
fn of_host<'p, 'a>(parts: &'p [&'a str]) -> &'p [&'a str] {
    let is_inside = |place: &usize| container(parts, *place).is_some() || is_payload(parts, *place);
    let first = (0..parts.len()).find(is_inside);
    // A directory that is both, such as that of `systemd-nspawn@box.service`, is the host's.
    first.map_or(parts, |first| &parts[..=first])
}

/// The container that this host's runtime runs: what is inside of it may run containers of its own.
pub fn container_of_host(path: &str) -> Option<Container> {
    let parts = parts(path);
    (0..parts.len()).find_map(|place| container(&parts, place))
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
    // A scope is a unit too, but only names a session or a container, which is no better known by it.
    part.ends_with(".service") && !part.starts_with("user@")
}

/// Says whether systemd-nspawn has set the directory apart for what it runs, whatever the unit is called that it runs
/// in. Source: systemd, `src/nspawn/nspawn-cgroup.c`.
fn is_payload(parts: &[&str], place: usize) -> bool {
    parts[place] == "payload" && place.checked_sub(1).is_some_and(|before| is_unit(parts[before]))
}

/// Reads one part of a path, with those around it where they name the runtime.
fn container(parts: &[&str], place: usize) -> Option<Container> {
    let part = parts[place];
    let before = place.checked_sub(1).map(|before| parts[before]);
    let made = |runtime, id: &str| Some(Container::of_id(runtime, unescaped(id)));
    let scope = part.strip_suffix(".scope").unwrap_or(part);
    // Helpers of a runtime that live beside the container, not in it.
    if scope.starts_with("libpod-conmon-") || scope.starts_with("crio-conmon-") || scope.starts_with("lxc.monitor") {
        return None;
    }
    for (prefix, runtime) in [
        ("docker-", "docker"),
        ("libpod-payload-", "podman"),
        ("libpod-", "podman"),
        ("cri-containerd-", "containerd"),
        ("crio-", "cri-o"),
    ] {
        if let Some(id) = scope.strip_prefix(prefix).filter(|id| is_id(id)) {
            return made(runtime, id);
        }
    }
    if let Some(name) = part.strip_prefix("lxc.payload.") {
        return made("lxc", name);
    }
    if let Some(name) = part.strip_prefix("machine-").and_then(|rest| rest.strip_suffix(".scope")) {
        return made("nspawn", name);
    }
    if let Some(name) = part.strip_prefix("systemd-nspawn@").and_then(|rest| rest.strip_suffix(".service")) {
        // The unit's own directory, or its `supervisor`, has systemd-nspawn itself in it.
        let is_inside = parts.get(place + 1).is_some_and(|after| *after != "supervisor");
        return is_inside.then(|| made("nspawn", name)).flatten();
    }
    match before {
        Some("docker") if is_id(part) => made("docker", part),
        Some("lxc") => made("lxc", part),
        Some(before) if is_id(part) && (before.starts_with("pod") || before.contains("-pod")) => made("cri", part),
        Some("libpod_parent") => part.strip_prefix("libpod-").and_then(|id| made("podman", id)),
        _ => None,
    }
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

/// Container ids are 64 hexadecimal digits.
fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// systemd writes `-` in names as `\x2d`. Source: systemd-escape(1).
fn unescaped(text: &str) -> String {
    text.replace("\\x2d", "-")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn every_form_of_path_is_read() {
        for (path, unit, container) in [
            ("/system.slice/sshd.service", Some("sshd.service"), None),
            ("/system.slice/docker-ID.scope", None, Some("docker")),
            ("/docker/ID", None, Some("docker")),
            ("/machine.slice/libpod-ID.scope/container", None, Some("podman")),
            ("/user.slice/user-1000.slice/user@1000.service/app.slice/web.service", Some("web.service"), None),
            ("/user.slice/user-1000.slice/session-3.scope", None, None),
            ("/user.slice/user-1000.slice/user@1000.service/init.scope", None, None),
            (
                "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod12_3.slice/cri-containerd-ID.scope",
                None,
                Some("containerd"),
            ),
            ("/kubepods/besteffort/pod12-3/ID", None, Some("cri")),
            ("/kubepods.slice/crio-ID.scope", None, Some("cri-o")),
            ("/lxc.payload.web", None, Some("lxc")),
            ("/lxc/web", None, Some("lxc")),
            ("/machine.slice/machine-web\\x2d1.scope", None, Some("nspawn")),
            // What is below a container's directory is named by the container.
            ("/system.slice/docker-ID.scope/system.slice/nginx.service", None, Some("docker")),
            ("/docker/ID/system.slice/nginx.service", None, Some("docker")),
            ("/machine.slice/libpod-ID.scope/container/system.slice/nginx.service", None, Some("podman")),
            ("/lxc.payload.web/system.slice/nginx.service", None, Some("lxc")),
            ("/lxc/web/system.slice/nginx.service", None, Some("lxc")),
            ("/machine.slice/machine-box.scope/payload/system.slice/nginx.service", None, Some("nspawn")),
            ("/kubepods/pod12-3/ID/system.slice/nginx.service", None, Some("cri")),
            // A unit of the host may be around a container.
            ("/system.slice/web.service/libpod-payload-ID", Some("web.service"), Some("podman")),
            ("/system.slice/web.service/libpod-payload-ID/system.slice/x.service", Some("web.service"), Some("podman")),
            (
                "/machine.slice/systemd-nspawn@box.service/payload/system.slice/nginx.service",
                Some("systemd-nspawn@box.service"),
                Some("nspawn"),
            ),
            (
                "/machine.slice/systemd-nspawn@box.service/system.slice/nginx.service",
                Some("systemd-nspawn@box.service"),
                Some("nspawn"),
            ),
            ("/machine.slice/systemd-nspawn@box.service/supervisor", Some("systemd-nspawn@box.service"), None),
            ("/machine.slice/systemd-nspawn@box.service", Some("systemd-nspawn@box.service"), None),
            ("/system.slice/own.service/payload/system.slice/nginx.service", Some("own.service"), None),
            ("/payload/system.slice/nginx.service", Some("nginx.service"), None),
            ("/machine.slice/libpod-conmon-ID.scope", None, None),
            ("/docker/buildkit", None, None),
            ("/docker/0123", None, None),
            ("/../x", None, None),
            ("/", None, None),
            ("", None, None),
        ] {
            let found = belonging(&path.replace("ID", ID)).unwrap_or_default();
            assert_eq!(found.unit.as_deref(), unit, "{path}");
            assert_eq!(found.container.map(|container| container.runtime), container, "{path}");
        }
        for path in
            ["/machine.slice/machine-web\\x2d1.scope", "/machine.slice/systemd-nspawn@web\\x2d1.service/payload"]
        {
            assert_eq!(belonging(path).unwrap().container.unwrap().id, "web-1", "{path}");
        }
    }

    #[test]
    fn a_pod_is_named_by_its_uid() {
        let uid = "0a1b2c3d-0000-4000-8000-0123456789ab";
        for path in [
            format!("/kubepods/besteffort/pod{uid}/{ID}"),
            format!(
                "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{}.slice/cri-containerd-{ID}.scope",
                uid.replace('-', "_")
            ),
        ] {
            assert_eq!(belonging(&path).unwrap().container.unwrap().pod.as_deref(), Some(uid), "{path}");
        }
        assert_eq!(belonging(&format!("/docker/{ID}")).unwrap().container.unwrap().pod, None);
    }

    #[test]
    fn version_2_is_asked_before_systemds_tree_and_that_before_any() {
        let unit = |text: &str| of_process(text.as_bytes()).and_then(|belonging| belonging.unit);
        let (second, systemd, any) =
            ("0::/a.slice/a.service\n", "1:name=systemd:/a.slice/b.service\n", "7:blkio:/c.service\n");
        assert_eq!(unit(&[any, systemd, second].concat()).as_deref(), Some("a.service"));
        assert_eq!(unit(&[any, systemd, "0::/\n"].concat()).as_deref(), Some("b.service"));
        assert_eq!(unit(&[any, "0::/\n"].concat()).as_deref(), Some("c.service"));
        assert_eq!(unit("0::/\n\nx\n"), None);
        let docker = of_process(format!("9:name=systemd:/docker/{ID}\n0::/docker/{ID}\n").as_bytes());
        assert_eq!(docker.unwrap().container.unwrap().runtime, "docker");
    }

    #[test]
    fn the_tree_of_version_2_is_found_also_beside_version_1() {
        let line = |point: &str, kind: &str| format!("30 25 0:26 / {point} rw,nosuid shared:9 - {kind} {kind} rw\n");
        let hybrid = line("/sys/fs/cgroup/cpu", "cgroup") + &line("/sys/fs/cgroup/unified", "cgroup2");
        assert_eq!(mount_point(hybrid.as_bytes()), Some("/sys/fs/cgroup/unified".into()));
        assert_eq!(mount_point(line("/sys/fs/cgroup", "cgroup2").as_bytes()), Some("/sys/fs/cgroup".into()));
        assert_eq!(mount_point(b"x\n\xff - cgroup2\n"), None);
    }

    proptest! {
        #[test]
        fn no_path_makes_it_panic(path in any::<String>(), mountinfo in any::<Vec<u8>>()) {
            let _ = (belonging(&path), mount_point(&mountinfo), of_process(&mountinfo));
        }
    }
}
