//! The managers that start a process again when it ends, and the commands that stop it for good.

use super::{Container, StoppedBy, Uid};

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

/// A unit or a container that a process runs in, according to the path of its cgroup. It is a hint until the manager
/// has confirmed it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Managed {
    /// The manager that runs it.
    pub manager: Manager,
    /// The unit's name, or the container's name or id, as its manager takes it.
    pub name: String,
}

/// Returns whether the unit is a manager of containers or virtual machines itself. It is never stopped to free a port,
/// because everything that it runs would stop too, or lose its network.
pub fn is_of_manager(unit: &str) -> bool {
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

impl Managed {
    /// Accepts only names that cannot be anything else: a user can call a cgroup `x; reboot` or `--all`.
    pub fn new(manager: Manager, name: &str) -> Option<Managed> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b":_.@\\-".contains(&byte);
        let is_name = !name.is_empty() && name.len() <= 255 && !name.starts_with('-') && name.bytes().all(is_plain);
        let is_unit = matches!(manager, Manager::Systemd | Manager::SystemdOf(_));
        (is_name && !(is_unit && is_of_manager(name))).then(|| Managed { manager, name: name.to_owned() })
    }

    /// Returns the container as its engine identifies it, by name if that is known. `None` if the engine cannot be told
    /// to stop it.
    pub fn container(container: &Container) -> Option<Managed> {
        match container.runtime.stopped_by() {
            StoppedBy::Engine(manager) => Managed::new(manager, container.short_name()),
            StoppedBy::Unit | StoppedBy::Other => None,
        }
    }

    /// What it is: `unit nginx.service`, `container web`.
    pub fn title(&self) -> String {
        match self.manager {
            Manager::Systemd => format!("unit {}", self.name),
            Manager::SystemdOf(Uid(uid)) => format!("unit {} of user {uid}", self.name),
            Manager::Docker | Manager::Podman => format!("container {}", self.name),
        }
    }

    /// The program and the arguments that stop it for good.
    pub fn stop_command(&self) -> (&'static str, Vec<&str>) {
        match self.manager {
            Manager::Systemd => ("systemctl", vec!["stop", &self.name]),
            Manager::SystemdOf(_) => ("systemctl", vec!["--user", "stop", &self.name]),
            Manager::Docker => ("docker", vec!["stop", &self.name]),
            Manager::Podman => ("podman", vec!["stop", &self.name]),
        }
    }

    /// Returns the command as it is typed into a shell.
    pub fn stop_line(&self) -> String {
        let (program, arguments) = self.stop_command();
        let quoted = |word: &str| if word.contains('\\') { format!("'{word}'") } else { word.to_owned() };
        let words: Vec<String> = arguments.into_iter().map(quoted).collect();
        format!("{program} {}", words.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            (Manager::SystemdOf(Uid(1000)), "web.service", "systemctl --user stop web.service"),
            (Manager::Docker, "web", "docker stop web"),
            (Manager::Podman, "0123456789ab", "podman stop 0123456789ab"),
        ] {
            assert_eq!(Managed::new(manager, name).unwrap().stop_line(), line);
        }
    }

    #[test]
    fn a_name_that_is_more_than_a_name_is_none() {
        for name in ["", "-a", "--all", "a b.service", "a;reboot", "a$(x).service", "a'b", "a\nb", "é"] {
            assert_eq!(Managed::new(Manager::Systemd, name), None, "{name}");
        }
    }
}
