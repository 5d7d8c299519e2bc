//! Whether ports are as `wait` wants them: listened on, or free.

use std::collections::BTreeSet;

use super::kill;
use crate::model::{Listing, Port, Protocol, Row, Socket, State};
use crate::select::Pattern;

/// What is waited for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Goal {
    /// A socket listens.
    Listening,
    /// Nothing keeps a server from the port.
    Free,
}

impl Goal {
    /// The name in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Goal::Listening => "listening",
            Goal::Free => "free",
        }
    }
}

/// One port that was waited for.
#[derive(Clone, Debug)]
pub struct Outcome<'r, 'a> {
    /// The port.
    pub port: Port,
    /// Its protocol.
    pub protocol: Protocol,
    /// Whether it is as it should be.
    pub is_reached: bool,
    /// The sockets by which that was judged; where it is not reached all that are on the port.
    pub rows: Vec<&'r Row<'a>>,
}

/// What `wait` was asked to wait for.
#[derive(Clone, Debug)]
pub struct Condition {
    /// What each port shall be.
    pub goal: Goal,
    /// The ports, each once.
    pub ports: Vec<(Port, Protocol)>,
    /// Whether one of the ports is enough.
    pub any: bool,
    /// Whether no connection may be left either.
    pub any_state: bool,
    /// The processes one of which shall listen; empty for any process.
    pub processes: Vec<Pattern>,
}

impl Condition {
    /// The states that the table must be asked for again and again.
    pub fn states(&self) -> Option<Vec<State>> {
        let has_udp = self.ports.iter().any(|(_, protocol)| *protocol == Protocol::Udp);
        match self.goal {
            Goal::Listening => Some(vec![State::Listen, State::Unconnected]),
            Goal::Free if self.any_state || has_udp => None,
            Goal::Free => Some(vec![State::Listen, State::Bound]),
        }
    }

    /// The protocols of the ports.
    pub fn protocols(&self) -> Vec<Protocol> {
        let protocols: BTreeSet<Protocol> = self.ports.iter().map(|(_, protocol)| *protocol).collect();
        protocols.into_iter().collect()
    }

    /// Says whether so many ports are as they should be that the wait is over.
    pub fn is_met(&self, mut reached: impl Iterator<Item = bool>) -> bool {
        if self.any { reached.any(|one| one) } else { reached.all(|one| one) }
    }

    /// Says whether the socket keeps the port from being free.
    fn blocks(&self, socket: &Socket) -> bool {
        (self.any_state && socket.state != Some(State::Redirect)) || kill::blocks(socket.protocol, socket.state)
    }

    /// Judges from the sockets alone, without their owners. The answer may only be too hopeful.
    pub fn may_be_met(&self, sockets: &[Socket]) -> bool {
        self.is_met(self.ports.iter().map(|(port, protocol)| {
            let mut on_it = sockets.iter().filter(|s| s.local.port == *port && s.protocol == *protocol);
            match self.goal {
                Goal::Listening => on_it.any(|socket| kill::waits_in(*protocol, socket.state)),
                Goal::Free => !on_it.any(|socket| self.blocks(socket)),
            }
        }))
    }

    /// Judges each port with the owners known.
    pub fn outcomes<'r, 'a>(&self, listing: &'r Listing<'a>) -> Vec<Outcome<'r, 'a>> {
        let is_wanted = |row: &&Row<'_>| {
            kill::waits(row)
                && (self.processes.is_empty() || self.processes.iter().any(|pattern| pattern.matches_row(row)))
        };
        let outcome = |(port, protocol): (Port, Protocol)| {
            let on_it = |row: &&Row<'_>| row.socket.local.port == port && row.socket.protocol == protocol;
            let rows: Vec<&Row<'_>> = listing.rows.iter().filter(on_it).collect();
            match self.goal {
                Goal::Free => {
                    let is_reached = !rows.iter().any(|row| self.blocks(row.socket));
                    Outcome { port, protocol, is_reached, rows }
                }
                Goal::Listening => {
                    let wanted: Vec<&Row<'_>> = rows.iter().copied().filter(is_wanted).collect();
                    let is_reached = !wanted.is_empty();
                    Outcome { port, protocol, is_reached, rows: if is_reached { wanted } else { rows } }
                }
            }
        };
        self.ports.iter().copied().map(outcome).collect()
    }
}
