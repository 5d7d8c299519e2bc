//! Asks the managers of units and containers what they run, and has them stop it. Only `kill --via-manager` uses this
//! module.
//!
//! Each is run by absolute path from a fixed list and with an empty environment: under sudo neither PATH nor DOCKER_HOST
//! may lead anywhere else. What a cgroup is called is its user's choice, so the manager itself must say that the
//! process is its own.

use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

use super::control_groups_of;
use super::helper::{self, RunAs};
use crate::model::{Managed, Manager, Pid, Uid};

/// Where systems keep the programs of managers.
const FOLDERS: [&str; 5] = ["/usr/bin", "/bin", "/usr/local/bin", "/usr/sbin", "/snap/bin"];
/// How long a manager may take to answer.
const ANSWER: Duration = Duration::from_secs(5);
/// How long it may take to stop something: longer than systemd and Docker wait before they kill it.
const STOP: Duration = Duration::from_mins(2);

/// Says whether the manager runs a process in one of these cgroups under this name.
pub fn owns(managed: &Managed, cgroups: &[String]) -> Result<bool, String> {
    let is_inside = |path: &str, outer: &str| {
        let outer = outer.trim_end_matches('/');
        !outer.is_empty() && path.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let own: Vec<String> = match managed.manager() {
        Manager::Systemd => {
            vec![ask(managed, &["show", "--property=ControlGroup", "--value", "--", managed.name()], ANSWER)?]
        }
        Manager::SystemdOf(_) => {
            vec![ask(managed, &["--user", "show", "--property=ControlGroup", "--value", "--", managed.name()], ANSWER)?]
        }
        Manager::Docker | Manager::Podman => {
            let pid = ask(managed, &["inspect", "--format={{.State.Pid}}", "--", managed.name()], ANSWER)?;
            pid.trim().parse().ok().filter(|pid| *pid != 0).map(|pid| control_groups_of(Pid(pid))).unwrap_or_default()
        }
    };
    Ok(own.iter().any(|outer| cgroups.iter().any(|path| is_inside(path, outer.trim()))))
}

/// Has the manager stop it, and waits until it says that it has.
pub fn stop(managed: &Managed) -> Result<(), String> {
    ask(managed, &managed.stop_command().1, STOP).map(drop)
}

/// Runs the manager's program and returns what it prints; that of a user's manager as that user.
fn ask(managed: &Managed, arguments: &[&str], patience: Duration) -> Result<String, String> {
    let program = managed.stop_command().0;
    let path = FOLDERS.iter().map(|folder| Path::new(folder).join(program)).find(|path| path.is_file());
    let path = path.ok_or_else(|| format!("{program} was not found in {}", FOLDERS.join(", ")))?;
    let mut environment: Vec<(&str, &OsStr)> = vec![("LC_ALL", OsStr::new("C"))];
    let mut user = None;
    let folder;
    if let Manager::SystemdOf(uid) = managed.manager() {
        user = as_user(uid)?;
        folder = format!("/run/user/{}", uid.0);
        environment.push(("XDG_RUNTIME_DIR", OsStr::new(&folder)));
    }
    let text = helper::run_as(user, &path, arguments, &environment, patience).map_err(|error| error.to_string())?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// How a user's manager is asked: as that user, and never with more rights, since whatever answers is the user's own.
#[cfg(unix)]
fn as_user(uid: Uid) -> Result<Option<RunAs>, String> {
    use std::os::unix::fs::MetadataExt;
    let own = rustix::process::geteuid();
    if own.as_raw() == uid.0 {
        return Ok(None);
    }
    if !own.is_root() {
        return Err(format!("only root and user {} have access", uid.0));
    }
    let folder = format!("/run/user/{}", uid.0);
    match std::fs::symlink_metadata(&folder) {
        Ok(metadata) if metadata.is_dir() && metadata.uid() == uid.0 => {
            Ok(Some(RunAs { uid: uid.0, gid: metadata.gid() }))
        }
        _ => Err(format!("user {} has no session: {folder} does not exist", uid.0)),
    }
}

#[cfg(not(unix))]
fn as_user(_: Uid) -> Result<Option<RunAs>, String> {
    Err("only systemd has per-user managers".to_owned())
}
