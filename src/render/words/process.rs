//! A process as people call it: by its name, and for an interpreter by what it runs.

use std::path::{Path, PathBuf};

use crate::model::{Pid, Process, Snapshot};
use crate::render::text::safe::{Charset, Text};
use crate::render::words::cell;
use crate::render::words::column;

/// `systemd → sshd → bash → node server.js`: the process and what it descends from, the first process first.
pub fn ancestry(process: &Process, snapshot: &Snapshot, charset: Charset) -> Text {
    let ancestors = snapshot.ancestors(process);
    let eldest = ancestors.last().copied().unwrap_or(process);
    let mut chain = Vec::new();
    if let Some(Pid(unseen)) = eldest.parent {
        chain.push(Text::plain(format!("({unseen}, not seen)")));
    }
    chain.extend(ancestors.iter().rev().map(|ancestor| short(ancestor, charset)));
    chain.push(called(process, charset));
    Text::join(&chain, if charset == Charset::Unicode { " → " } else { " -> " })
}

/// Its name; failing that its number.
fn short(process: &Process, charset: Charset) -> Text {
    column::name(Some(process), charset).unwrap_or_else(|| Text::plain(process.pid.0.to_string()))
}

/// Its name, and what it runs when it is an interpreter.
pub fn called(process: &Process, charset: Charset) -> Text {
    cell::running(Some(process), charset).unwrap_or_else(|| short(process, charset))
}

/// A folder with `~` for the home folder of the process's user, as systems usually lay them out.
pub fn folder(path: &Path, user: Option<&str>, charset: Charset) -> Text {
    let homes = user.into_iter().flat_map(|user| {
        let root = (user == "root").then(|| PathBuf::from("/root"));
        root.into_iter().chain(["/home", "/Users"].map(|homes| Path::new(homes).join(user)))
    });
    let inside = homes.into_iter().find_map(|home| path.strip_prefix(home).ok());
    match inside {
        Some(rest) if rest.as_os_str().is_empty() => Text::plain("~"),
        Some(rest) => Text::join(&[Text::plain("~"), Text::of_os(rest.as_os_str(), charset)], "/"),
        None => Text::of_os(path.as_os_str(), charset),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn a_folder_below_the_home_of_its_user_begins_with_a_tilde() {
        for (path, user, shown) in [
            ("/home/ada/src/shop", Some("ada"), "~/src/shop"),
            ("/Users/ada", Some("ada"), "~"),
            ("/root/x", Some("root"), "~/x"),
            ("/root/x", Some("ada"), "/root/x"),
            ("/home/adam", Some("ada"), "/home/adam"),
            ("/home/ada", None, "/home/ada"),
        ] {
            assert_eq!(folder(Path::new(path), user, Charset::Unicode).as_str(), shown);
        }
    }

    #[test]
    fn the_first_process_stands_first_and_what_is_not_seen_is_said() {
        let mut snapshot = testing::snapshot();
        let shown = |snapshot: &crate::model::Snapshot| {
            ancestry(&snapshot.processes[&Pid(812)], snapshot, Charset::Ascii).into_string()
        };
        assert_eq!(shown(&snapshot), "(1, not seen) -> nginx -> nginx");
        snapshot.processes.get_mut(&Pid(811)).unwrap().parent = None;
        snapshot.processes.get_mut(&Pid(812)).unwrap().runs = Some("worker.py".into());
        assert_eq!(shown(&snapshot), "nginx -> nginx worker.py");
        snapshot.processes.get_mut(&Pid(811)).unwrap().parent = Some(Pid(812));
        assert!(shown(&snapshot).ends_with("nginx -> nginx worker.py"), "a circle ends");
    }
}
