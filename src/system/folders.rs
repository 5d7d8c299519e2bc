//! Where a system keeps what programs read.

use std::path::{Path, PathBuf};

use crate::environment::Environment;

/// Where a user keeps the configuration of programs; none where the environment does not tell.
pub fn user_configuration(environment: &Environment) -> Option<PathBuf> {
    if cfg!(windows) {
        return environment.get("APPDATA").map(PathBuf::from);
    }
    let of_home = |home| Path::new(home).join(".config");
    environment.get("XDG_CONFIG_HOME").map(PathBuf::from).or(environment.get("HOME").map(of_home))
}

/// Where a machine keeps the configuration of programs.
pub fn machine_configuration(environment: &Environment) -> PathBuf {
    match environment.get("PROGRAMDATA") {
        Some(folder) if cfg!(windows) => PathBuf::from(folder),
        _ => PathBuf::from("/etc"),
    }
}

/// The host's own table of services.
pub fn services_file(environment: &Environment) -> PathBuf {
    match environment.get("SYSTEMROOT") {
        Some(folder) if cfg!(windows) => Path::new(folder).join("System32/drivers/etc/services"),
        _ => PathBuf::from("/etc/services"),
    }
}

/// The program of this name in the folders that only the system's administrator can write to; nothing is looked up by
/// PATH, which under sudo may lead to another user's program.
#[cfg(unix)]
pub fn system_program(name: &str) -> Option<PathBuf> {
    ["/usr/bin", "/bin", "/usr/local/bin"].iter().map(|folder| Path::new(folder).join(name)).find(|path| path.is_file())
}

/// Windows has no sudo whose PATH could be another user's.
#[cfg(not(unix))]
pub fn system_program(name: &str) -> Option<PathBuf> {
    Some(PathBuf::from(name))
}
