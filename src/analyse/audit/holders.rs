//! Who holds a socket, in words that a restart does not change.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::model::{Process, Row, Uid};

/// The files that the row's processes run, as they are shown; absent where one is not known. A file that was deleted
/// meanwhile is still called by its name; one that has its path only in a mount namespace of its process is marked, since
/// every user can give every file every path there.
pub fn exes<'a>(row: &Row<'a>) -> Vec<Option<Cow<'a, str>>> {
    let shown = |process: Option<&'a Process>| {
        let process = process?;
        let path = exe(process)?;
        Some(if is_of_own_namespace(process) { format!("{path} ({OF_OWN_NAMESPACE})").into() } else { path })
    };
    row.processes.iter().map(|(_, process)| shown(*process)).collect()
}

/// What is said of a file whose path means another file, or none, outside of its process's mount namespace.
pub const OF_OWN_NAMESPACE: &str = "in its own mount namespace";

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
    /// The number.
    uid: Uid,
    /// The name, where it has one.
    name: Option<&'a str>,
}

impl<'a> User<'a> {
    /// The name, or else the number.
    pub fn shown(self) -> Cow<'a, str> {
        self.name.map_or_else(|| self.uid.0.to_string().into(), Cow::Borrowed)
    }

    /// Says whether the name or the number fits.
    pub fn is_called(self, fits: impl Fn(&str) -> bool) -> bool {
        self.name.is_some_and(&fits) || fits(&self.uid.0.to_string())
    }
}

/// The users of the row's processes; absent where one is not known. Where truly nobody holds the socket, the one that made
/// it; where the holder is hidden nobody, for a socket may be handed on to another user.
pub fn users<'a>(row: &Row<'a>) -> Vec<Option<User<'a>>> {
    let user = |uid: Uid| User { uid, name: row.user_name(uid) };
    if row.processes.is_empty() {
        return row.socket.uid.filter(|_| !row.is_hidden()).map(user).into_iter().map(Some).collect();
    }
    row.processes.iter().map(|(_, process)| process.and_then(|process| process.uid).map(user)).collect()
}

/// The name of the file, which is what programs are known by.
pub fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Names the distinct programs and users, and whom they stand for: `/usr/sbin/nginx (root, www-data)`,
/// `/usr/bin/docker-proxy (root) for container web, 172.17.0.2:80`.
pub fn summary(row: &Row<'_>) -> String {
    let holders = if row.processes.is_empty() { None } else { Some(programs(row)) };
    let target = row.socket.forward.as_ref().map(|forward| {
        let container = forward.container.as_ref().map(|container| format!("container {}, ", container.short_name()));
        format!("{}{}", container.unwrap_or_default(), forward.to)
    });
    match (holders, target) {
        (Some(holders), Some(target)) => format!("{holders} for {target}"),
        (Some(holders), None) => holders,
        (None, Some(target)) => format!("forwarded to {target}"),
        (None, None) => without_process(row),
    }
}

fn without_process(row: &Row<'_>) -> String {
    let container = row.belonging.and_then(|belonging| belonging.container.as_ref());
    let user = row.user.map(|user| format!(" (created by {user})")).unwrap_or_default();
    match (container, row.unit()) {
        (Some(container), _) => format!("container {}{user}", container.short_name()),
        (None, Some(unit)) => format!("{unit}{user}"),
        (None, None) if row.is_hidden() => format!("hidden owner{user}"),
        (None, None) => "no process".to_owned(),
    }
}

fn programs(row: &Row<'_>) -> String {
    let exes = exes(row).into_iter().zip(&row.processes).map(|(exe, (_, process))| {
        let name = || process.and_then(|process| process.name.as_deref()).map(std::ffi::OsStr::to_string_lossy);
        exe.or_else(name).unwrap_or("unknown program".into())
    });
    let exes: BTreeSet<Cow<'_, str>> = exes.collect();
    let users: BTreeSet<Cow<'_, str>> = users(row).into_iter().flatten().map(User::shown).collect();
    let join = |texts: BTreeSet<Cow<'_, str>>| texts.into_iter().collect::<Vec<_>>().join(", ");
    if users.is_empty() { join(exes) } else { format!("{} ({})", join(exes), join(users)) }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Host;
    use super::*;
    use crate::model::Protocol;

    #[test]
    fn an_owner_is_named_by_what_a_restart_does_not_change() {
        let owner = |host: Host| summary(&crate::join::listing(&host.snapshot, None).rows[0]);
        let several = [("/usr/sbin/nginx (deleted)", 0), ("/usr/sbin/nginx", 33), ("/usr/sbin/nginx", 33)];
        let nginx = Host::new().socket(Protocol::Tcp, "0.0.0.0:80", &several);
        assert_eq!(owner(nginx), "/usr/sbin/nginx (root, www-data)");
        assert_eq!(owner(Host::new().listens("0.0.0.0:80", "/opt/x", 7777)), "/opt/x (7777)");
        assert_eq!(owner(Host::new().hidden("0.0.0.0:80")), "hidden owner (created by root)");
        assert_eq!(owner(Host::new().redirect("0.0.0.0:80")), "no process");
    }
}
