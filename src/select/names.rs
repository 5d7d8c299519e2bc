//! How a word of the command line is compared with the names of processes, units, containers and users.

use std::ffi::OsStr;

use crate::model::{Process, Row};

/// A word that a process name may begin with, in any case of letters: `post` finds `postgres`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pattern(String);

impl Pattern {
    /// Takes the word as it was typed.
    pub fn new(word: &str) -> Pattern {
        Pattern(word.to_ascii_lowercase())
    }

    /// Says whether the process's own name, or the name of the file that it runs, begins with the word.
    pub fn matches(&self, process: &Process) -> bool {
        let exe = process.exe.as_deref().and_then(|path| path.file_name());
        process.name.as_deref().is_some_and(|name| self.begins(name)) || exe.is_some_and(|name| self.begins(name))
    }

    /// Says whether one of the processes that hold the row's socket matches.
    pub fn matches_row(&self, row: &Row<'_>) -> bool {
        row.processes.iter().filter_map(|(_, process)| *process).any(|process| self.matches(process))
    }

    /// Says whether what one of the processes runs begins with the word: `http.server` finds `python3 -m http.server`.
    pub fn matches_runs(&self, row: &Row<'_>) -> bool {
        let runs = row.processes.iter().filter_map(|(_, process)| process.as_ref()?.runs.as_deref());
        runs.map(OsStr::as_encoded_bytes).any(|runs| {
            let name = runs.strip_prefix(b"-m ").unwrap_or(runs);
            self.begins_bytes(name) || name.split(|byte| *byte == b' ').any(|word| self.begins_bytes(word))
        })
    }

    /// Says whether the name of a project that one of the processes belongs to begins with the word, or that of the
    /// service of Compose which it leads to.
    pub fn matches_project(&self, row: &Row<'_>) -> bool {
        let projects = row.processes.iter().filter_map(|(_, process)| process.as_ref()?.project.as_ref());
        let of_cgroup = row.belonging().and_then(|belonging| belonging.container.as_ref());
        let of_forward = row.socket.forward().and_then(|forward| forward.container.as_ref());
        let mut composed = of_cgroup.into_iter().chain(of_forward).filter_map(|container| container.compose.as_ref());
        projects.map(|project| &project.name).any(|name| self.begins(name))
            || composed.any(|name| self.begins(OsStr::new(name)))
    }

    /// Says whether the unit, or the id or name of a container that it is of or leads to, begins with the word.
    pub fn matches_belonging(&self, row: &Row<'_>) -> bool {
        self.matches_unit(row) || self.matches_container(row)
    }

    /// Says whether the name of the unit begins with the word.
    pub fn matches_unit(&self, row: &Row<'_>) -> bool {
        let mut units = row.unit().into_iter().flat_map(|unit| unit.split(", "));
        units.any(|unit| self.begins(OsStr::new(unit)))
    }

    /// Says whether the id or name of a container that the row is of or leads to begins with the word.
    pub fn matches_container(&self, row: &Row<'_>) -> bool {
        let of_cgroup = row.belonging().and_then(|belonging| belonging.container.as_ref());
        let of_forward = row.socket.forward().and_then(|forward| forward.container.as_ref());
        // Several containers may share a space; then each has only what is known to be its own.
        let of_space = row.space.containers.iter().filter(|_| of_cgroup.is_none() && row.space.containers.len() == 1);
        let containers = of_cgroup.into_iter().chain(of_forward).chain(of_space);
        let mut names = containers.flat_map(|container| [Some(&container.id), container.name.as_ref()]).flatten();
        names.any(|name| self.begins(OsStr::new(name)))
    }

    /// Says whether the name begins with the word.
    pub fn begins(&self, name: &OsStr) -> bool {
        self.begins_bytes(name.as_encoded_bytes())
    }

    fn begins_bytes(&self, name: &[u8]) -> bool {
        name.len() >= self.0.len() && name[..self.0.len()].eq_ignore_ascii_case(self.0.as_bytes())
    }
}

/// A user by name or by number.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UserName(String);

impl UserName {
    /// Takes the word as it was typed.
    pub fn new(word: &str) -> UserName {
        UserName(word.to_owned())
    }

    /// Says whether the socket was made by this user, or is held by one of its processes.
    pub fn matches_row(&self, row: &Row<'_>) -> bool {
        let made_by = row.socket.uid.into_iter();
        let held_by = row.processes.iter().filter_map(|(_, process)| process.and_then(|process| process.uid));
        let is_account = |process: &Process| process.account.as_ref().is_some_and(|account| *account == self.0);
        made_by.chain(held_by).any(|uid| self.0 == uid.0.to_string() || row.user_name(uid) == Some(&*self.0))
            || row.processes.iter().any(|(_, process)| process.is_some_and(is_account))
    }
}
