//! The engines that run containers.
//!
//! Each place that treats engines differently has one `match` without a wildcard, so that a new engine does not compile
//! until every one of them has an answer: the two below, `socket_of` and `source_of` in `collect/runtime`, and
//! `names_in_paths` in `collect/linux/cgroup`.

use super::Manager;

/// A program that runs containers.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[allow(dead_code, reason = "some are made on Linux only")]
pub enum Runtime {
    /// Docker, or Moby.
    Docker,
    /// Podman.
    Podman,
    /// containerd, by itself or for Kubernetes.
    Containerd,
    /// CRI-O.
    CriO,
    /// Any engine of Kubernetes, where a path does not say which one.
    Cri,
    /// LXC, and what is built on it: LXD, Incus.
    Lxc,
    /// systemd-nspawn.
    Nspawn,
    /// An engine that is not known; the container is recognized by its id.
    Unknown,
}

/// How a container is stopped from the host that it runs on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum StoppedBy {
    /// By the engine's own program.
    Engine(Manager),
    /// By systemd: the unit around the container runs nothing else.
    Unit,
    /// By means that are not known here.
    Other,
}

impl Runtime {
    /// Every engine.
    pub const ALL: [Runtime; 8] = [
        Runtime::Docker,
        Runtime::Podman,
        Runtime::Containerd,
        Runtime::CriO,
        Runtime::Cri,
        Runtime::Lxc,
        Runtime::Nspawn,
        Runtime::Unknown,
    ];

    /// The name in JSON and in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Runtime::Docker => "docker",
            Runtime::Podman => "podman",
            Runtime::Containerd => "containerd",
            Runtime::CriO => "cri-o",
            Runtime::Cri => "cri",
            Runtime::Lxc => "lxc",
            Runtime::Nspawn => "nspawn",
            Runtime::Unknown => "container",
        }
    }

    /// Returns the engine with that name.
    pub fn named(name: &str) -> Option<Runtime> {
        Runtime::ALL.into_iter().find(|runtime| runtime.name() == name)
    }

    /// How a container of this engine is stopped.
    pub const fn stopped_by(self) -> StoppedBy {
        match self {
            Runtime::Docker => StoppedBy::Engine(Manager::Docker),
            Runtime::Podman => StoppedBy::Engine(Manager::Podman),
            Runtime::Nspawn => StoppedBy::Unit,
            Runtime::Containerd | Runtime::CriO | Runtime::Cri | Runtime::Lxc | Runtime::Unknown => StoppedBy::Other,
        }
    }
}

// A variant that is missing in the list would never be found by its name.
const _: () = assert!(Runtime::ALL.len() == Runtime::Unknown as usize + 1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_engine_is_found_by_its_name() {
        for runtime in Runtime::ALL {
            assert_eq!(Runtime::named(runtime.name()), Some(runtime));
        }
        assert_eq!(Runtime::named("rkt"), None);
    }
}
