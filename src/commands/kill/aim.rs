//! Which sockets are meant.

use std::collections::BTreeSet;

use crate::analyse::stop;
use crate::cli::PortTarget;
use crate::model::{Listing, Need, Protocol, Row, SpaceChoice, State};
use crate::render::holder;
use crate::render::sanitize::Charset;
use crate::select::Wanted;

/// The ports of the command line, and which of their sockets.
pub struct Aims {
    targets: Vec<(String, Wanted)>,
    protocols: Vec<Protocol>,
    clients: bool,
}

impl Aims {
    /// Takes what was typed; `clients` means every socket on the port and the other ends on this host.
    pub fn new(ports: &[PortTarget], protocols: Vec<Protocol>, clients: bool) -> Aims {
        let wanted = |port: &PortTarget| (port.text.clone(), Wanted::new(&port.target, |_| BTreeSet::new()));
        Aims { targets: ports.iter().map(wanted).collect(), protocols, clients }
    }

    /// Everything: what else a process holds is shown too. Helpers are asked once, not at every look.
    pub fn need(helpers: bool) -> Need {
        Need { exe: true, belonging: helpers, spaces: SpaceChoice::Own, helpers, ..Need::default() }
    }

    /// The sockets that are meant, each once.
    pub fn chosen<'r, 'a>(&self, listing: &'r Listing<'a>) -> Vec<&'r Row<'a>> {
        let mut chosen: Vec<&Row<'_>> = listing.rows.iter().filter(|row| self.is_on_port(row)).collect();
        if self.clients {
            let others = stop::other_ends(listing, &chosen);
            chosen.extend(others);
            // What nobody holds has nobody to stop.
            chosen.retain(|row| stop::waits(row) || !row.processes.is_empty() || row.is_hidden());
        } else {
            chosen.retain(|row| stop::waits(row) || row.socket.state == Some(State::Redirect));
        }
        let mut seen = BTreeSet::new();
        chosen.retain(|row| seen.insert(std::ptr::from_ref(*row)));
        chosen
    }

    /// The sockets that keep a server from the ports.
    pub fn blocking<'r, 'a>(&self, listing: &'r Listing<'a>) -> Vec<&'r Row<'a>> {
        let blocks = |row: &&Row<'_>| self.is_on_port(row) && stop::blocks(row.socket.protocol, row.socket.state);
        listing.rows.iter().filter(blocks).collect()
    }

    /// What of the connections on the ports is left.
    pub fn left(&self, listing: &Listing<'_>) -> usize {
        let is_left = |row: &&Row<'_>| self.is_on_port(row) && !stop::blocks(row.socket.protocol, row.socket.state);
        listing.rows.iter().filter(is_left).filter(|row| row.socket.state != Some(State::Redirect)).count()
    }

    /// A line for each port that nobody listens on, with what is there instead.
    pub fn missing(&self, listing: &Listing<'_>, charset: Charset) -> Vec<String> {
        let chosen = self.chosen(listing);
        let is_missing = |(_, wanted): &&(String, Wanted)| !chosen.iter().any(|row| wanted.matches(row));
        self.targets
            .iter()
            .filter(is_missing)
            .map(|(text, wanted)| self.absence(text, wanted, listing, charset))
            .collect()
    }

    fn absence(&self, text: &str, wanted: &Wanted, listing: &Listing<'_>, charset: Charset) -> String {
        let line =
            format!("nobody {} {} {text}", if self.clients { "is on" } else { "listens on" }, self.protocol_names());
        let on_it: Vec<&Row<'_>> = listing.rows.iter().filter(|row| wanted.matches(row)).collect();
        let of_protocol = |row: &&&Row<'_>| self.protocols.contains(&row.socket.protocol);
        let say = |row: &Row<'_>| holder::socket_and_holders(row, charset);
        if let Some(wildcard) = self.wildcard(wanted, listing, charset).filter(|_| !self.clients) {
            return format!("{line}; {wildcard}");
        }
        if let Some(row) = on_it.iter().find(of_protocol) {
            let and_more = if on_it.len() > 1 { format!(" and {} more", on_it.len() - 1) } else { String::new() };
            return format!("{line}; there is {}{and_more}: --clients means them too", say(row));
        }
        match on_it.iter().find(|row| stop::waits(row)) {
            Some(row) => format!("{line}; there is {}: -{} means it", say(row), &row.socket.protocol.name()[..1]),
            None => line,
        }
    }

    /// Who listens on every address and so gets what comes for the one that is meant, and the target that means it.
    fn wildcard(&self, wanted: &Wanted, listing: &Listing<'_>, charset: Charset) -> Option<String> {
        let takes_it = |row: &&Row<'_>| self.protocols.contains(&row.socket.protocol) && wanted.falls_to(row);
        let row = listing.rows.iter().filter(|row| stop::waits(row)).find(takes_it)?;
        let (socket, target) = (holder::socket_and_holders(row, charset), holder::local(row, charset));
        Some(format!("what comes for it goes to {socket}: {target} means that"))
    }

    /// The same for all that is meant.
    pub fn wildcards(&self, listing: &Listing<'_>, charset: Charset) -> Vec<String> {
        self.targets.iter().filter_map(|(_, wanted)| self.wildcard(wanted, listing, charset)).collect()
    }

    /// The ports as they were typed.
    pub fn names(&self) -> String {
        let texts: Vec<&str> = self.targets.iter().map(|(text, _)| text.as_str()).collect();
        format!("{} {}", self.protocol_names(), texts.join(", "))
    }

    fn protocol_names(&self) -> String {
        let names: Vec<&str> = self.protocols.iter().map(|protocol| protocol.name()).collect();
        names.join(" and ")
    }

    /// Says whether the socket's own end is one of the ports.
    pub fn is_on_port(&self, row: &Row<'_>) -> bool {
        self.protocols.contains(&row.socket.protocol) && self.targets.iter().any(|(_, wanted)| wanted.matches(row))
    }
}
