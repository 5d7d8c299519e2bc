//! Who holds a socket, in words that a restart does not change.

use crate::analyse::audit::{Holders, Holding, Program};

/// Names the distinct programs and users, and whom they stand for: `/usr/sbin/nginx (root, www-data)`,
/// `/usr/bin/docker-proxy (root) for container web, 172.17.0.2:80`.
pub fn holding(holding: &Holding) -> String {
    let target = holding.forward.as_ref().map(|(container, to)| match container {
        Some(container) => format!("container {container}, {to}"),
        None => to.to_string(),
    });
    let made_by = |user: &Option<String>| user.as_ref().map(|user| format!(" (created by {user})")).unwrap_or_default();
    match (&holding.holders, target) {
        (Holders::Processes { programs, users }, target) => {
            let programs = programs.iter().map(program).collect::<Vec<_>>().join(", ");
            let users = users.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            let users = if users.is_empty() { users } else { format!(" ({users})") };
            let target = target.map(|target| format!(" for {target}")).unwrap_or_default();
            format!("{programs}{users}{target}")
        }
        (_, Some(target)) => format!("forwarded to {target}"),
        (Holders::Container(name, user), None) => format!("container {name}{}", made_by(user)),
        (Holders::Unit(name, user), None) => format!("{name}{}", made_by(user)),
        (Holders::Hidden(user), None) => format!("hidden owner{}", made_by(user)),
        (Holders::Nobody, None) => "no process".to_owned(),
    }
}

/// Names what a process runs.
pub fn program(program: &Program) -> String {
    match program {
        Program::File { path, is_of_own_namespace: false } => path.clone(),
        Program::File { path, is_of_own_namespace: true } => format!("{path} ({OF_OWN_NAMESPACE})"),
        Program::Named(name) => name.clone(),
        Program::Unknown => "unknown program".to_owned(),
    }
}

/// What is said of a file whose path means another file, or none, outside of its process's mount namespace.
pub const OF_OWN_NAMESPACE: &str = "in its own mount namespace";
