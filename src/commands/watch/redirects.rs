//! Ports that rules of the firewall lead elsewhere. To read the rules may take a helper program, which is too much for
//! every look at the table: they are read apart from it, and less often.

use std::collections::BTreeSet;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::time::{Duration, Instant};

use crate::collect::{Source, System};
use crate::model::{BackendChoice, Missing, Need, Snapshot, Socket, State};

/// The time between two looks at the rules.
const INTERVAL: Duration = Duration::from_secs(30);

/// The thread that reads them, and what it has read last.
pub struct Redirects {
    ask: SyncSender<()>,
    answers: Receiver<Snapshot>,
    due: Instant,
    known: Option<Snapshot>,
}

impl Redirects {
    /// Starts to read; nothing where no backend reads rules.
    pub fn start(need: &Need, now: Instant) -> Option<Redirects> {
        if need.backend == BackendChoice::Portable {
            return None;
        }
        let need = Need { states: Some(vec![State::Redirect]), traffic: false, ..need.clone() };
        let (ask, asked) = mpsc::sync_channel::<()>(1);
        let (answer, answers) = mpsc::sync_channel(1);
        let work = move || {
            for () in asked {
                // What cannot be read now is tried again later; the table is there all the same.
                if let Ok(snapshot) = System.snapshot(&need)
                    && answer.send(snapshot).is_err()
                {
                    return;
                }
            }
        };
        // Without a thread there are no such rows.
        std::thread::Builder::new().name("rules".to_owned()).spawn(work).ok()?;
        Some(Redirects { ask, answers, due: now, known: None })
    }

    /// Has the rules read again when it is time. Returns whether new ones have come.
    pub fn look(&mut self, now: Instant) -> bool {
        if now >= self.due {
            self.due = now + INTERVAL;
            let _ = self.ask.try_send(());
        }
        let Ok(read) = self.answers.try_recv() else { return false };
        let is_new = self.known.as_ref().is_none_or(|known| known.sockets != read.sockets);
        self.known = Some(read);
        is_new
    }

    /// Adds what is known of redirected ports to a table that has none.
    pub fn add_to(&self, table: &mut Snapshot) {
        let Some(known) = &self.known else { return };
        let end = |socket: &Socket| (socket.space, socket.protocol, socket.local);
        let waits = |socket: &&Socket| matches!(socket.state, Some(State::Listen | State::Unconnected));
        let taken: BTreeSet<_> = table.sockets.iter().filter(waits).map(end).collect();
        let rows: Vec<Socket> =
            known.sockets.iter().filter(|redirect| !taken.contains(&end(redirect))).cloned().collect();
        table.sockets.extend(rows);
        table.redirects.clone_from(&known.redirects);
        table.gaps.retain(|gap| gap.missing() != Missing::Redirects);
        table.gaps.extend(known.gaps.iter().filter(|gap| gap.missing() == Missing::Redirects).cloned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Port;
    use crate::testing;

    #[test]
    fn redirected_ports_join_the_table_unless_a_socket_has_the_port_by_now() {
        let (ask, _asked) = mpsc::sync_channel(1);
        let (_answer, answers) = mpsc::sync_channel(1);
        let mut rules = testing::snapshot();
        let listener = rules.sockets.iter().find(|socket| socket.state == Some(State::Listen)).unwrap().clone();
        let redirect = Socket { state: Some(State::Redirect), ..listener.clone() };
        let mut other = redirect.clone();
        other.local.port = Port::new(8443);
        rules.sockets = vec![redirect, other];
        let redirects = Redirects { ask, answers, due: Instant::now(), known: Some(rules) };
        let mut table = testing::snapshot();
        let before = table.sockets.len();
        redirects.add_to(&mut table);
        let added: Vec<u16> = table.sockets[before..].iter().map(|socket| socket.local.port.get()).collect();
        assert_eq!(added, [8443]);
    }
}
