//! The environment variables that count, and what is known of the terminal.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

/// The environment variables that portscope reads; no other is looked at.
pub const VARIABLES: &[&str] = &[
    "APPDATA",
    "CLICOLOR_FORCE",
    "COLUMNS",
    "FORCE_COLOR",
    "HOME",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "NO_COLOR",
    "PAGER",
    "PATH",
    "PORTSCOPE_COMPLETE",
    "PORTSCOPE_CONFIG",
    "PORTSCOPE_PAGER",
    "PROGRAMDATA",
    "SUDO_UID",
    "SYSTEMROOT",
    "TERM",
    "XDG_CONFIG_HOME",
];

/// The terminal that standard output goes to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Terminal {
    /// Whether standard output is a terminal at all.
    pub is_tty: bool,
    /// Its columns and lines.
    pub size: Option<(u16, u16)>,
    /// Whether it shows Unicode though no locale says so (Windows).
    pub is_unicode_by_default: bool,
    /// Whether it shows colors even if `TERM` is not set; absent where only `TERM` says so.
    pub has_color: Option<bool>,
}

/// The environment variables in [`VARIABLES`] that are set and not empty.
#[derive(Clone, Debug, Default)]
pub struct Environment(BTreeMap<&'static str, OsString>);

impl Environment {
    /// Those of this process.
    pub fn of_process() -> Environment {
        let set = |name: &&'static str| Some((*name, std::env::var_os(name).filter(|value| !value.is_empty())?));
        Environment(VARIABLES.iter().filter_map(set).collect())
    }

    /// The value, when it is set and not empty.
    pub fn get(&self, name: &'static str) -> Option<&OsStr> {
        debug_assert!(VARIABLES.contains(&name), "{name} is not in the list of variables");
        self.0.get(name).map(OsString::as_os_str)
    }

    /// The value as text, when it is set, not empty and valid UTF-8.
    pub fn text(&self, name: &'static str) -> Option<&str> {
        self.get(name)?.to_str()
    }

    /// Says whether the run was started through sudo, so that these variables may be another user's.
    pub fn is_sudo(&self) -> bool {
        self.get("SUDO_UID").is_some()
    }

    #[cfg(test)]
    pub fn of(pairs: &[(&'static str, &str)]) -> Environment {
        Environment(pairs.iter().map(|(name, value)| (*name, OsString::from(value))).collect())
    }
}
