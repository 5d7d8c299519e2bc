//! The managers of units and containers: asked what they run, and told to stop it. Only `kill --via-manager` comes here.
//!
//! Each is run by absolute path from a fixed list and with an empty environment: under sudo neither PATH nor DOCKER_HOST
//! may lead anywhere else. What a cgroup is called is its user's choice, so the manager itself must say that the
//! process is its own.

use std::path::Path;
use std::process::{Command, Stdio};

use super::control_groups_of;
use crate::model::{Managed, Manager, Pid};

/// Where systems keep the programs of managers.
const FOLDERS: [&str; 5] = ["/usr/bin", "/bin", "/usr/local/bin", "/usr/sbin", "/snap/bin"];
/// More of what a manager says is not shown.
const MOST_BYTES: usize = 400;

/// Says whether the manager runs a process in one of these cgroups under this name.
pub fn owns(managed: &Managed, cgroups: &[String]) -> Result<bool, String> {
    let is_inside = |path: &str, outer: &str| {
        let outer = outer.trim_end_matches('/');
        !outer.is_empty() && path.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let own: Vec<String> = match managed.manager {
        Manager::Systemd => vec![ask(managed, &["show", "--property=ControlGroup", "--value", "--", &managed.name])?],
        Manager::SystemdOf(_) => {
            vec![ask(managed, &["--user", "show", "--property=ControlGroup", "--value", "--", &managed.name])?]
        }
        Manager::Docker | Manager::Podman => {
            let pid = ask(managed, &["inspect", "--format={{.State.Pid}}", "--", &managed.name])?;
            pid.trim().parse().ok().filter(|pid| *pid != 0).map(|pid| control_groups_of(Pid(pid))).unwrap_or_default()
        }
    };
    Ok(own.iter().any(|outer| cgroups.iter().any(|path| is_inside(path, outer.trim()))))
}

/// Has the manager stop it, and waits until it says that it has.
pub fn stop(managed: &Managed) -> Result<(), String> {
    ask(managed, &managed.stop_command().1).map(drop)
}

/// Runs the manager's program and returns what it prints.
fn ask(managed: &Managed, arguments: &[&str]) -> Result<String, String> {
    let program = managed.stop_command().0;
    let path = FOLDERS.iter().map(|folder| Path::new(folder).join(program)).find(|path| path.is_file());
    let path = path.ok_or_else(|| format!("{program} is not installed in any of {}", FOLDERS.join(", ")))?;
    let mut command = Command::new(&path);
    command.args(arguments).env_clear().env("LC_ALL", "C").current_dir("/").stdin(Stdio::null());
    if let Manager::SystemdOf(uid) = managed.manager {
        command.env("XDG_RUNTIME_DIR", format!("/run/user/{}", uid.0));
    }
    let output = command.output().map_err(|error| format!("{}: {error}", path.display()))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said =
        String::from_utf8_lossy(&output.stderr[..output.stderr.len().min(MOST_BYTES)]).trim().replace('\n', "; ");
    Err(format!("{}: {}", path.display(), if said.is_empty() { output.status.to_string() } else { said }))
}
