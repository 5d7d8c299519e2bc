//! Facts from other programs: container engines, systemd, Kubernetes.
//!
//! They are asked only when something that was seen requires it and `--no-helpers` was not given: through local sockets
//! and absolute paths only, with an empty environment and a time limit. A missing answer is a gap. Environment
//! variables such as DOCKER_HOST are ignored, because under sudo another user may have set them.

pub mod containers;
pub mod cri;
pub mod systemd;

use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

use super::helper::{self, HelperError};
use crate::model::Runtime;

/// What knows the names of an engine's containers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NameSource {
    /// The engine, through its local socket.
    LocalSocket,
    /// The program `crictl`.
    Crictl,
    /// Nothing that portscope asks. The container is shown by its id, which for LXC and systemd-nspawn is its name.
    Nobody,
}

/// Returns what knows the names of an engine's containers.
pub fn source_of(runtime: Runtime) -> NameSource {
    match runtime {
        Runtime::Docker | Runtime::Podman => NameSource::LocalSocket,
        Runtime::Containerd | Runtime::CriO | Runtime::Cri => NameSource::Crictl,
        Runtime::Lxc | Runtime::Nspawn | Runtime::Unknown => NameSource::Nobody,
    }
}

/// Returns the engine's socket below `/run` or `/run/user/UID`, where it answers questions in Docker's language.
fn socket_of(runtime: Runtime) -> Option<&'static str> {
    match runtime {
        Runtime::Docker => Some("docker.sock"),
        Runtime::Podman => Some("podman/podman.sock"),
        Runtime::Containerd | Runtime::CriO | Runtime::Cri | Runtime::Lxc | Runtime::Nspawn | Runtime::Unknown => None,
    }
}

/// Where systems keep programs for administrators.
const FOLDERS: [&str; 6] = ["/usr/sbin", "/sbin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/local/bin"];
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_millis(800);

/// Returns what the program of that name prints, when it ends well.
pub fn output(name: &'static str, arguments: &[&str]) -> Result<Vec<u8>, HelperError> {
    let path = FOLDERS.iter().map(|folder| Path::new(folder).join(name)).find(|path| path.is_file());
    helper::run(&path.ok_or(HelperError::Missing(name))?, arguments, &[("LC_ALL", OsStr::new("C"))], PATIENCE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_helper_that_is_missing_is_named() {
        let error = output("portscope-no-such-helper", &[]).unwrap_err();
        assert_eq!(error.to_string(), "portscope-no-such-helper is not installed");
    }
}
