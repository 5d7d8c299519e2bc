//! A process as people call it: by its name, and for an interpreter by what it runs.

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

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
