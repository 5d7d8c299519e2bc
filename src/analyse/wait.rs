//! Whether ports are as `wait` wants them: listened on, or free.

use std::collections::BTreeSet;
use std::fmt;

use super::kill;
use crate::model::{BindError, Listing, Port, Protocol, Row, Socket, State};
use crate::select::{Address, Pattern};

/// What is waited for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Goal {
    /// A socket listens.
    Listening,
    /// A server can bind the port.
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

/// A port, at an address or at any one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Place {
    /// The address; `None` for whichever a socket has.
    pub address: Option<Address>,
    /// The port.
    pub port: Port,
    /// Its protocol.
    pub protocol: Protocol,
}

impl Place {
    /// Says whether the socket is bound there: to the address itself, or to every address.
    pub fn has(&self, socket: &Socket) -> bool {
        socket.local.port == self.port
            && socket.protocol == self.protocol
            && self.address.as_ref().is_none_or(|address| address.is_answered_by(socket))
    }
}

impl fmt::Display for Place {
    /// Writes `tcp 8080` or `tcp 127.0.0.1:8080`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = self.protocol.name();
        match &self.address {
            Some(address) => write!(f, "{protocol} {address}:{}", self.port),
            None => write!(f, "{protocol} {}", self.port),
        }
    }
}

/// One port that was waited for.
#[derive(Clone, Debug)]
pub struct Outcome<'r, 'a> {
    /// Where.
    pub place: Place,
    /// Whether it is as it should be.
    pub is_reached: bool,
    /// Why the kernel refuses the port to a server, where that is what keeps it from being free.
    pub refusal: Option<BindError>,
    /// The sockets by which that was judged; where it is not reached all that are on the port.
    pub rows: Vec<&'r Row<'a>>,
}

/// What `wait` was asked to wait for.
#[derive(Clone, Debug)]
pub struct Condition {
    /// What each port shall be.
    pub goal: Goal,
    /// The ports, each once.
    pub ports: Vec<Place>,
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
        let has_udp = self.ports.iter().any(|place| place.protocol == Protocol::Udp);
        match self.goal {
            Goal::Listening => Some(vec![State::Listen, State::Unconnected]),
            Goal::Free if self.any_state || has_udp => None,
            Goal::Free => Some(vec![State::Listen]),
        }
    }

    /// The protocols of the ports.
    pub fn protocols(&self) -> Vec<Protocol> {
        let protocols: BTreeSet<Protocol> = self.ports.iter().map(|place| place.protocol).collect();
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

    /// Judges from the sockets alone, without their owners. The answer may only be too hopeful. Where the table leaves a
    /// port free, `refuses` asks the kernel.
    pub fn may_be_met(&self, sockets: &[Socket], refuses: &dyn Fn(&Place) -> Option<BindError>) -> bool {
        self.is_met(self.ports.iter().map(|place| {
            let mut on_it = sockets.iter().filter(|socket| place.has(socket));
            match self.goal {
                Goal::Listening => on_it.any(|socket| kill::waits_in(place.protocol, socket.state)),
                Goal::Free => !on_it.any(|socket| self.blocks(socket)) && refuses(place).is_none(),
            }
        }))
    }

    /// Judges each port with the owners known, and asks the kernel with `refuses` as above.
    ///
    /// A port that a rule of the firewall publishes is served without a socket.
    pub fn outcomes<'r, 'a>(
        &self,
        listing: &'r Listing<'a>,
        refuses: &dyn Fn(&Place) -> Option<BindError>,
    ) -> Vec<Outcome<'r, 'a>> {
        let is_wanted = |row: &&Row<'_>| {
            let is_served = kill::waits(row) || row.socket.state == Some(State::Redirect);
            is_served && (self.processes.is_empty() || self.processes.iter().any(|pattern| pattern.matches_row(row)))
        };
        let outcome = |place: &Place| {
            let place = place.clone();
            let rows: Vec<&Row<'_>> = listing.rows.iter().filter(|row| place.has(row.socket)).collect();
            match self.goal {
                Goal::Free => {
                    let is_blocked = rows.iter().any(|row| self.blocks(row.socket));
                    let refusal = if is_blocked { None } else { refuses(&place) };
                    Outcome { is_reached: !is_blocked && refusal.is_none(), place, refusal, rows }
                }
                Goal::Listening => {
                    let wanted: Vec<&Row<'_>> = rows.iter().copied().filter(is_wanted).collect();
                    let is_reached = !wanted.is_empty();
                    Outcome { place, is_reached, refusal: None, rows: if is_reached { wanted } else { rows } }
                }
            }
        };
        self.ports.iter().map(outcome).collect()
    }
}
