//! Who holds a socket, by what a restart does not change.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::model::{ForwardTarget, Pid, Process, Row, Uid};

/// What a process runs.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Program {
    /// A file. One that was deleted meanwhile is still called by its name.
    File {
        /// Its path.
        path: String,
        /// Whether it has the path only in the mount namespace of its process: every user can give every file every path
        /// there.
        is_of_own_namespace: bool,
    },
    /// A file that is not known; this is the name of the process.
    Named(String),
    /// Not even that is known.
    Unknown,
}

impl Program {
    /// The name of the file, which is what programs are known by; none where its path means nothing here.
    pub fn known_name(&self) -> Option<&str> {
        match self {
            Program::File { path, is_of_own_namespace: false } => Some(file_name(path)),
            Program::File { .. } | Program::Named(_) | Program::Unknown => None,
        }
    }
}

/// The files that the row's processes run; absent where one is not known.
pub fn exes(row: &Row<'_>) -> Vec<Option<Program>> {
    let file = |process: Option<&Process>| {
        let process = process?;
        let path = exe(process)?.into_owned();
        Some(Program::File { path, is_of_own_namespace: is_of_own_namespace(process) })
    };
    row.processes.iter().map(|(_, process)| file(*process)).collect()
}

/// The same files as far as their paths mean them here too: what decides about them may take no others.
pub fn exes_here<'a>(row: &Row<'a>) -> Vec<Option<Cow<'a, str>>> {
    let here = |process: Option<&'a Process>| {
        let process = process?;
        exe(process).filter(|_| !is_of_own_namespace(process))
    };
    row.processes.iter().map(|(_, process)| here(*process)).collect()
}

/// The names of the files that the row's processes run, wherever they have them. They can be another's by choice, so
/// they may make a finding and never clear one.
pub fn claimed_names(row: &Row<'_>) -> Vec<String> {
    let names = row.processes.iter().filter_map(|(_, process)| exe(process.as_ref()?));
    names.map(|exe| file_name(&exe).to_owned()).collect()
}

/// Says whether the path of what it runs means another file, or none, here.
pub fn is_of_own_namespace(process: &Process) -> bool {
    process.executable.as_ref().is_some_and(|executable| !executable.is_here)
}

/// Says whether nobody but root can have put the file there, under this very path.
pub fn is_installed(process: &Process) -> bool {
    process.executable.as_ref().is_some_and(|executable| {
        executable.is_here && executable.owner == Some(Uid(0)) && executable.replaceable.is_empty()
    })
}

/// The file that a process runs, without the kernel's mark that it is gone.
pub fn exe(process: &Process) -> Option<Cow<'_, str>> {
    let whole = process.exe.as_deref()?.as_os_str().to_string_lossy();
    if !is_deleted(process) {
        return Some(whole);
    }
    Some(whole.strip_suffix(DELETED).map(str::to_owned).map_or(whole, Cow::Owned))
}

/// Says whether the file is gone: the kernel marks its name, and no file is there that is really called so.
pub fn is_deleted(process: &Process) -> bool {
    let exe = process.exe.as_deref().map(|exe| exe.as_os_str().as_encoded_bytes()).unwrap_or_default();
    exe.ends_with(DELETED.as_bytes()) && process.exe_deleted != Some(false)
}

/// What the kernel appends to the name of a file that is no longer there. Source: proc_pid_exe(5).
const DELETED: &str = " (deleted)";

/// A user of a holder.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct User<'a> {
    /// The number, where the system has numbers.
    uid: Option<Uid>,
    /// The name, where it has one.
    name: Option<&'a str>,
}

impl<'a> User<'a> {
    /// The name, or else the number.
    pub fn shown(self) -> Cow<'a, str> {
        let number = || self.uid.map(|uid| uid.0.to_string()).unwrap_or_default().into();
        self.name.map_or_else(number, Cow::Borrowed)
    }

    /// Says whether the name or the number fits.
    pub fn is_called(self, fits: impl Fn(&str) -> bool) -> bool {
        self.name.is_some_and(&fits) || self.uid.is_some_and(|uid| fits(&uid.0.to_string()))
    }
}

/// The users of the row's processes; absent where one is not known. Where truly nobody holds the socket, the one that made
/// it; where the holder is hidden nobody, for a socket may be handed on to another user.
pub fn users<'a>(row: &Row<'a>) -> Vec<Option<User<'a>>> {
    let user = |uid: Uid| User { uid: Some(uid), name: row.user_name(uid) };
    if row.processes.is_empty() {
        return row.socket.uid.filter(|_| !row.is_hidden()).map(user).into_iter().map(Some).collect();
    }
    let of_process = |process: &'a Process| match (process.uid, &process.account) {
        (Some(uid), _) => Some(user(uid)),
        (None, Some(account)) => Some(User { uid: None, name: Some(account) }),
        (None, None) => None,
    };
    row.processes.iter().map(|(_, process)| process.and_then(of_process)).collect()
}

/// The name of the file, which is what programs are known by.
pub fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Who holds a socket, and whom they stand for.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Holding {
    /// Who holds it.
    pub holders: Holders,
    /// Where what is sent to it goes: the container, where it is one, and its end.
    pub forward: Option<(Option<String>, ForwardTarget)>,
}

/// Who holds a socket, as far as that is known.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Holders {
    /// Processes, by what they run and as whom.
    Processes {
        /// What they run.
        programs: BTreeSet<Program>,
        /// The names or else the numbers of their users.
        users: BTreeSet<String>,
    },
    /// A container, and the user that made the socket.
    Container(String, Option<String>),
    /// A unit, and the user that made the socket.
    Unit(String, Option<String>),
    /// Somebody that was not seen; the user that made the socket.
    Hidden(Option<String>),
    /// No process.
    Nobody,
}

impl Holding {
    /// Who holds the row's socket.
    pub fn of(row: &Row<'_>) -> Holding {
        let forward = row.socket.forward().map(|forward| {
            let container = forward.container.as_ref().map(|container| container.short_name().to_owned());
            (container, forward.to)
        });
        let holders = if row.processes.is_empty() { without_process(row) } else { processes(row) };
        Holding { holders, forward }
    }
}

fn without_process(row: &Row<'_>) -> Holders {
    let container = row.belonging().and_then(|belonging| belonging.container.as_ref());
    let user = row.user().map(str::to_owned);
    match (container, row.unit()) {
        (Some(container), _) => Holders::Container(container.short_name().to_owned(), user),
        (None, Some(unit)) => Holders::Unit(unit.to_owned(), user),
        (None, None) if row.is_hidden() => Holders::Hidden(user),
        (None, None) => Holders::Nobody,
    }
}

fn processes(row: &Row<'_>) -> Holders {
    let program = |(exe, (_, process)): (Option<Program>, &(Pid, Option<&Process>))| {
        let name = || process.and_then(|process| process.name.as_deref());
        let named = || name().map(|name| Program::Named(name.to_string_lossy().into_owned()));
        exe.or_else(named).unwrap_or(Program::Unknown)
    };
    let programs = exes(row).into_iter().zip(&row.processes).map(program).collect();
    let users = users(row).into_iter().flatten().map(|user| user.shown().into_owned()).collect();
    Holders::Processes { programs, users }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Host;
    use super::*;
    use crate::model::Protocol;

    #[test]
    fn an_owner_is_named_by_what_a_restart_does_not_change() {
        let owner = |host: Host| {
            crate::render::words::finding::holding(&Holding::of(&crate::join::listing(&host.snapshot, None).rows[0]))
        };
        let several = [("/usr/sbin/nginx (deleted)", 0), ("/usr/sbin/nginx", 33), ("/usr/sbin/nginx", 33)];
        let nginx = Host::new().socket(Protocol::Tcp, "0.0.0.0:80", &several);
        assert_eq!(owner(nginx), "/usr/sbin/nginx (root, www-data)");
        assert_eq!(owner(Host::new().listens("0.0.0.0:80", "/opt/x", 7777)), "/opt/x (7777)");
        assert_eq!(owner(Host::new().hidden("0.0.0.0:80")), "hidden owner (created by root)");
        assert_eq!(owner(Host::new().redirect("0.0.0.0:80")), "no process");
    }
}
