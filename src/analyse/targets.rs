//! The sockets that `kill` and `close` mean by the ports that were typed.

use std::collections::BTreeSet;

use super::kill;
use super::wait::Place;
use crate::model::{Listing, Need, Protocol, Row, SpaceChoice, State};
use crate::select::Wanted;

/// The ports of the command line, and which of their sockets are meant.
pub struct PortTargets {
    /// Each target without its protocol, and what it means.
    targets: Vec<(String, Wanted)>,
    /// The protocols of targets that name none.
    protocols: Vec<Protocol>,
    /// Whether every socket on the port is meant, and the other ends on this host, not only the listeners.
    clients: bool,
}

/// A target that no socket matches, and what is there instead.
pub struct Absence<'r, 'a> {
    /// The target with its protocol: `tcp 8080`.
    pub text: String,
    /// What there is instead.
    pub instead: Instead<'r, 'a>,
}

/// What there is in place of a listener on a target.
#[derive(Clone, Copy)]
pub enum Instead<'r, 'a> {
    /// No socket.
    Nothing,
    /// A listener on every address, which answers there too.
    Wildcard(&'r Row<'a>),
    /// Sockets of the same protocol that do not listen: one of them, and how many there are beside it.
    Connection(&'r Row<'a>, usize),
    /// A listener of another protocol.
    OtherProtocol(&'r Row<'a>),
}

impl PortTargets {
    /// Takes what was typed; `clients` means every socket on the port and the other ends on this host.
    pub fn new(targets: Vec<(String, Wanted)>, protocols: Vec<Protocol>, clients: bool) -> PortTargets {
        PortTargets { targets, protocols, clients }
    }

    /// What must be collected: everything, since what else a process holds is shown too. Helpers are asked once, not at
    /// every look.
    pub fn need(helpers: bool) -> Need {
        Need {
            exe: true,
            runs: true,
            project: true,
            belonging: helpers,
            dossier: helpers,
            spaces: SpaceChoice::Own,
            helpers,
            ..Need::default()
        }
    }

    /// Whether every socket on the ports is meant.
    pub fn has_clients(&self) -> bool {
        self.clients
    }

    /// The sockets that are meant, each once.
    pub fn chosen<'r, 'a>(&self, listing: &'r Listing<'a>) -> Vec<&'r Row<'a>> {
        let mut chosen: Vec<&Row<'_>> = listing.rows.iter().filter(|row| self.is_on_port(row)).collect();
        if self.clients {
            let others = kill::other_ends(listing, &chosen);
            chosen.extend(others);
            // What nobody holds has nobody to stop.
            chosen.retain(|row| kill::waits(row) || !row.processes.is_empty() || row.is_hidden());
        } else {
            chosen.retain(|row| kill::waits(row) || row.socket.state == Some(State::Redirect));
        }
        let mut seen = BTreeSet::new();
        chosen.retain(|row| seen.insert(std::ptr::from_ref(*row)));
        chosen
    }

    /// The sockets that keep a server from the ports.
    pub fn blocking<'r, 'a>(&self, listing: &'r Listing<'a>) -> Vec<&'r Row<'a>> {
        let blocks = |row: &&Row<'_>| self.is_on_port(row) && kill::blocks(row.socket.protocol, row.socket.state);
        listing.rows.iter().filter(blocks).collect()
    }

    /// The number of connections that are left on the ports.
    pub fn left(&self, listing: &Listing<'_>) -> usize {
        listing.rows.iter().filter(|row| self.is_on_port(row) && row.is_connection()).count()
    }

    /// Where these listeners are, at the address that was asked for: what a server must be able to bind in the end.
    pub fn places(&self, rows: &[&Row<'_>]) -> Vec<Place> {
        let mut places: Vec<Place> = Vec::new();
        for row in rows.iter().filter(|row| kill::waits(row)) {
            let (port, protocol) = (row.socket.local.port, row.socket.protocol);
            let is_meant = |wanted: &Wanted| wanted.means(protocol, &self.protocols) && wanted.matches(row);
            let targets = self.targets.iter().map(|(_, wanted)| wanted).filter(|wanted| is_meant(wanted));
            for address in targets.map(|wanted| wanted.address().cloned()) {
                let place = Place { address, port, protocol };
                if !places.contains(&place) {
                    places.push(place);
                }
            }
        }
        places
    }

    /// The targets that no socket matches.
    pub fn missing<'r, 'a>(&self, listing: &'r Listing<'a>) -> Vec<Absence<'r, 'a>> {
        let chosen = self.chosen(listing);
        let is_missing = |(_, wanted): &&(String, Wanted)| {
            !chosen.iter().any(|row| wanted.means(row.socket.protocol, &self.protocols) && wanted.matches(row))
        };
        let missing = self.targets.iter().filter(is_missing);
        missing
            .map(|(text, wanted)| Absence { text: self.label(text, wanted), instead: self.instead(wanted, listing) })
            .collect()
    }

    fn instead<'r, 'a>(&self, wanted: &Wanted, listing: &'r Listing<'a>) -> Instead<'r, 'a> {
        if let Some(row) = self.wildcard(wanted, listing).filter(|_| !self.clients) {
            return Instead::Wildcard(row);
        }
        let on_it: Vec<&Row<'_>> = listing.rows.iter().filter(|row| wanted.matches(row)).collect();
        if let Some(row) = on_it.iter().find(|row| wanted.means(row.socket.protocol, &self.protocols)) {
            return Instead::Connection(row, on_it.len() - 1);
        }
        match on_it.iter().find(|row| kill::waits(row)) {
            Some(row) => Instead::OtherProtocol(row),
            None => Instead::Nothing,
        }
    }

    /// The listener on every address that gets what is sent to the one that is meant.
    fn wildcard<'r, 'a>(&self, wanted: &Wanted, listing: &'r Listing<'a>) -> Option<&'r Row<'a>> {
        let takes_it = |row: &&Row<'_>| wanted.means(row.socket.protocol, &self.protocols) && wanted.falls_to(row);
        listing.rows.iter().filter(|row| kill::waits(row)).find(takes_it)
    }

    /// The same for every target.
    pub fn wildcards<'r, 'a>(&self, listing: &'r Listing<'a>) -> Vec<&'r Row<'a>> {
        self.targets.iter().filter_map(|(_, wanted)| self.wildcard(wanted, listing)).collect()
    }

    /// The ports as they were typed: `tcp 8080, 9000`.
    pub fn names(&self) -> String {
        if self.targets.iter().any(|(_, wanted)| wanted.protocol().is_some()) {
            let labels: Vec<String> = self.targets.iter().map(|(text, wanted)| self.label(text, wanted)).collect();
            return labels.join(", ");
        }
        let texts: Vec<&str> = self.targets.iter().map(|(text, _)| text.as_str()).collect();
        format!("{} {}", self.protocol_names(), texts.join(", "))
    }

    fn label(&self, text: &str, wanted: &Wanted) -> String {
        match wanted.protocol() {
            Some(protocol) => format!("{} {text}", protocol.name()),
            None => format!("{} {text}", self.protocol_names()),
        }
    }

    /// The protocols: `tcp`, `tcp and udp`.
    fn protocol_names(&self) -> String {
        let typed = self.protocols.iter().filter(|protocol| **protocol != Protocol::UdpLite);
        let names: Vec<&str> = typed.map(|protocol| protocol.name()).collect();
        names.join(" and ")
    }

    /// Says whether the socket's own end is one of the ports.
    pub fn is_on_port(&self, row: &Row<'_>) -> bool {
        let means = |wanted: &Wanted| wanted.means(row.socket.protocol, &self.protocols) && wanted.matches(row);
        self.targets.iter().any(|(_, wanted)| means(wanted))
    }
}
