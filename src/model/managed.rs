//! The managers that start a process again when it ends, and the commands that stop it for good.
//!
//! The one place where a name becomes part of a command line. A name that its manager could not have given makes none.

use super::{Belonging, Container, Proved, StoppedBy, Uid, shell_word};

/// A program that keeps others running.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Manager {
    /// systemd, the one of the system.
    Systemd,
    /// systemd, the one of a user.
    #[allow(dead_code, reason = "made on Linux")]
    SystemdOf(Uid),
    /// Docker.
    Docker,
    /// Podman.
    Podman,
}

/// A unit or a container that a process runs in. A hint until its manager has been asked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Managed {
    manager: Manager,
    name: String,
}

/// Returns whether the unit is a manager of containers or virtual machines itself. It is never stopped to free a port,
/// because everything that it runs would stop too, or lose its network.
fn is_of_manager(unit: &str) -> bool {
    const MANAGERS: [&str; 22] = [
        "docker",
        "docker-rootless",
        "moby-engine",
        "balena",
        "containerd",
        "crio",
        "cri-o",
        "podman",
        "kubelet",
        "k3s",
        "k3s-agent",
        "k0scontroller",
        "k0sworker",
        "rke2-server",
        "rke2-agent",
        "lxc",
        "lxd",
        "incus",
        "libvirtd",
        "virtqemud",
        "systemd-machined",
        "buildkit",
    ];
    let name = unit.strip_suffix(".service").or_else(|| unit.strip_suffix(".socket")).unwrap_or(unit);
    // Packages of snap: `snap.docker.dockerd`, `snap.microk8s.daemon-kubelite`.
    let package = name.strip_prefix("snap.").and_then(|rest| rest.split('.').next());
    MANAGERS.contains(&name) || package.is_some_and(|package| ["docker", "microk8s", "lxd", "k8s"].contains(&package))
}

/// What the names of units end in. Source: systemd.unit(5).
const UNIT_TYPES: [&str; 11] =
    ["service", "socket", "device", "mount", "automount", "swap", "target", "path", "timer", "slice", "scope"];

impl Managed {
    /// Accepts only names that cannot be anything else: a user can call a cgroup `x; reboot` or `--all`.
    pub fn new(manager: Manager, name: &str) -> Option<Managed> {
        let is_name = match manager {
            Manager::Systemd | Manager::SystemdOf(_) => is_unit(name) && !is_of_manager(name),
            Manager::Docker | Manager::Podman => is_container(name),
        };
        is_name.then(|| Managed { manager, name: name.to_owned() })
    }

    /// The container as its runtime takes it: by name where that is known. None where its runtime is not one of ours.
    pub fn container(container: &Proved<'_, Container>) -> Option<Managed> {
        let container = container.get();
        match container.runtime.stopped_by() {
            StoppedBy::Engine(manager) => Managed::new(manager, container.short_name()),
            StoppedBy::Unit | StoppedBy::Other => None,
        }
    }

    /// The service that a process belongs to. What a user calls a service in the part of the tree that is the user's is
    /// asked of nobody but that user's own systemd.
    pub fn service(belonging: &Belonging) -> Option<Managed> {
        let (manager, unit) = match belonging.user {
            Some(user) => (Manager::SystemdOf(user), belonging.unit.as_deref()?),
            None => (Manager::Systemd, belonging.proved_unit()?.get()),
        };
        Managed::new(manager, unit).filter(|_| unit.ends_with(".service"))
    }

    /// The manager that runs it.
    pub fn manager(&self) -> Manager {
        self.manager
    }

    /// Its name, as its manager takes it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is: `unit nginx.service`, `container web`.
    pub fn title(&self) -> String {
        match self.manager {
            Manager::Systemd => format!("unit {}", self.name),
            Manager::SystemdOf(Uid(uid)) => format!("unit {} of user {uid}", self.name),
            Manager::Docker | Manager::Podman => format!("container {}", self.name),
        }
    }

    /// The program and the arguments that stop it for good; those of a user's unit are for that user to run.
    pub fn stop_command(&self) -> (&'static str, Vec<&str>) {
        match self.manager {
            Manager::Systemd => ("systemctl", vec!["stop", "--", &self.name]),
            Manager::SystemdOf(_) => ("systemctl", vec!["--user", "stop", "--", &self.name]),
            Manager::Docker => ("docker", vec!["stop", &self.name]),
            Manager::Podman => ("podman", vec!["stop", &self.name]),
        }
    }

    /// The same, as a user with the permission types it into a shell.
    pub fn stop_line(&self) -> String {
        let (program, arguments) = self.stop_command();
        let words: Vec<String> = arguments.into_iter().filter(|word| *word != "--").map(shell_word).collect();
        let line = format!("{program} {}", words.join(" "));
        match self.manager {
            Manager::SystemdOf(Uid(uid)) => format!("sudo -u '#{uid}' XDG_RUNTIME_DIR=/run/user/{uid} {line}"),
            Manager::Systemd | Manager::Docker | Manager::Podman => line,
        }
    }
}

/// Source: systemd.unit(5): letters, digits and `:-_.\@`, at most 255 of them, and a type.
fn is_unit(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b":_.@\\-".contains(&byte);
    let has_type = name.rsplit_once('.').is_some_and(|(stem, kind)| !stem.is_empty() && UNIT_TYPES.contains(&kind));
    has_type && name.len() <= 255 && !name.starts_with('-') && name.bytes().all(is_plain)
}

/// Source: Docker, `RestrictedNameChars`; Podman has the same.
fn is_container(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    name.len() <= 255
        && name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric())
        && name.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Origin;

    #[test]
    fn the_unit_of_a_manager_is_never_what_to_stop() {
        for name in
            ["docker.service", "containerd.service", "snap.docker.dockerd.service", "k3s.service", "crio.service"]
        {
            assert!(is_of_manager(name) && Managed::new(Manager::Systemd, name).is_none(), "{name}");
        }
        for name in ["nginx.service", "dockerish.service", "snap.web.service", "docker-registry.service"] {
            assert!(Managed::new(Manager::Systemd, name).is_some(), "{name}");
        }
    }

    #[test]
    fn the_command_is_the_one_that_its_manager_takes() {
        for (manager, name, line) in [
            (Manager::Systemd, "nginx.service", "systemctl stop nginx.service"),
            (Manager::Systemd, "a\\x2db@1.service", "systemctl stop 'a\\x2db@1.service'"),
            (
                Manager::SystemdOf(Uid(1000)),
                "web.service",
                "sudo -u '#1000' XDG_RUNTIME_DIR=/run/user/1000 systemctl --user stop web.service",
            ),
            (Manager::Docker, "web", "docker stop web"),
            (Manager::Podman, "0123456789ab", "podman stop 0123456789ab"),
        ] {
            assert_eq!(Managed::new(manager, name).unwrap().stop_line(), line);
        }
    }

    #[test]
    fn a_name_that_is_more_than_a_name_is_none() {
        for name in ["", "-a", "--all", "a b.service", "a;reboot", "a$(x).service", "a'b", "a\nb", "é", "x", ".service"]
        {
            assert_eq!(Managed::new(Manager::Systemd, name), None, "{name}");
        }
        for name in ["", "-a", "a b", "a;reboot", "a\\b", "a@b", "a:b", ".a", "é"] {
            assert_eq!(Managed::new(Manager::Docker, name), None, "{name}");
        }
    }

    #[test]
    fn what_is_only_claimed_makes_no_command_of_the_systems_managers() {
        let unit =
            |origin, user| Belonging { unit: Some("ssh.service".to_owned()), origin, user, ..Belonging::default() };
        let line = |belonging: Belonging| Managed::service(&belonging).map(|managed| managed.stop_line());
        assert_eq!(line(unit(Origin::Kernel, None)).as_deref(), Some("systemctl stop ssh.service"));
        assert_eq!(line(unit(Origin::Claim, None)), None);
        assert!(line(unit(Origin::Claim, Some(Uid(1000)))).unwrap().starts_with("sudo -u '#1000' "));
        let container = Container::of_id(crate::model::Runtime::Docker, "a".repeat(64));
        assert!(container.proved().is_none());
        let proved = Container { origin: Origin::Kernel, ..container };
        assert!(Managed::container(&proved.proved().unwrap()).is_some());
    }
}
