//! Everything about one number: what it is meant for, what each space makes of it, who has it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::num::NonZeroU64;

use super::free::{self, Reason};
use crate::catalogue::Catalogue;
use crate::model::{
    Category, Family, Owner, Pid, Port, Process, Project, Protocol, Row, Service, Snapshot, Space, SpaceId, State, Uid,
};

/// Everything about one number.
#[derive(Clone, Debug)]
pub struct Dossier<'a> {
    /// The number.
    pub port: Port,
    /// Its category.
    pub category: Category,
    /// What it is assigned to, for each protocol.
    pub assignments: Vec<Assignment<'a>>,
    /// What the spaces make of it, the one of this process first.
    pub places: Vec<Place<'a>>,
    /// The sockets on it by their owner: those that are open for others before those that are only connected.
    pub holdings: Vec<Holding<'a>>,
    /// What speaks against the number itself in the space of this process.
    against: Vec<Reason<'a>>,
}

/// What a number is assigned to for one protocol.
#[derive(Clone, Debug)]
pub struct Assignment<'a> {
    /// The protocol.
    pub protocol: Protocol,
    /// The services, the name that lists show first.
    pub services: Vec<Service<'a>>,
    /// What IANA says of a number without a service: `Reserved` or `Unassigned`.
    pub status: Option<&'static str>,
}

/// What a space makes of a number. Absent where its settings are not known.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The space.
    pub space: &'a Space,
    /// Whether it lies in the range that is handed out for outgoing connections.
    pub is_ephemeral: Option<bool>,
    /// Whether it is kept from being handed out.
    pub is_reserved: Option<bool>,
    /// Whether binding it takes a privilege.
    pub is_privileged: Option<bool>,
    /// Whether there is a socket on it.
    pub is_used: bool,
}

/// A reason not to use the port for your own service.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Objection<'a> {
    /// It belongs to another service: these.
    Assigned(Vec<&'a str>),
    /// Its whole category is assigned under the strictest rules.
    WellKnown,
    /// IANA keeps it back for these.
    KeptBack(Vec<Protocol>),
    /// Binding it takes a privilege in this space, or may take one where its settings are not known.
    Privileged,
    /// A client may get it at any time in this space; where its settings are not known: on some system.
    Ephemeral,
    /// The system of this space sets it apart.
    Reserved,
    /// Browsers refuse to connect to it.
    Bad,
    /// There is a socket on it in this space.
    InUse,
}

/// The sockets on the number that have one and the same owner.
#[derive(Clone, Debug)]
pub struct Holding<'a> {
    /// Those that are open for others: they listen, wait for datagrams, or take the number without doing either.
    pub open: Vec<&'a Row<'a>>,
    /// Its connections.
    pub connections: Vec<&'a Row<'a>>,
    /// Who is connected to those that are open, whichever process holds the connections; absent when none is open
    /// or that cannot be known.
    pub peers: Option<Peers<'a>>,
}

impl<'a> Holding<'a> {
    /// One of the sockets, for what they have in common: space and owner.
    pub fn row(&self) -> Option<&'a Row<'a>> {
        self.open.first().or(self.connections.first()).copied()
    }
}

/// Connections in numbers.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Peers<'a> {
    /// How many connections there are.
    pub connections: usize,
    /// From how many addresses.
    pub addresses: usize,
    /// How many are in each state.
    pub states: BTreeMap<State, usize>,
    /// The processes of this machine at their other ends, those that run the same together.
    pub users: Vec<User<'a>>,
}

/// Processes that run the same and are connected.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct User<'a> {
    /// One of them.
    pub process: &'a Process,
    /// All of them, by number.
    pub pids: BTreeSet<Pid>,
    /// How many connections they have.
    pub connections: usize,
}

impl<'a> Peers<'a> {
    /// Counts the connections.
    pub fn of(connections: &[&Row<'a>]) -> Peers<'a> {
        let addresses: BTreeSet<IpAddr> =
            connections.iter().filter_map(|row| row.socket.peer).map(|peer| peer.address.to_canonical()).collect();
        let mut states = BTreeMap::new();
        for state in connections.iter().filter_map(|row| row.socket.state) {
            *states.entry(state).or_default() += 1;
        }
        Peers { connections: connections.len(), addresses: addresses.len(), states, users: users(connections) }
    }
}

/// The processes at the other ends of the connections, those with most connections first.
fn users<'a>(connections: &[&Row<'a>]) -> Vec<User<'a>> {
    let mut users: Vec<User<'a>> = Vec::new();
    for process in connections.iter().filter_map(|row| row.peer_process()) {
        let name = |of: &Project| of.name.clone();
        let what = |of: &Process| (of.name.clone(), of.runs.clone(), of.project.as_ref().map(name));
        match users.iter_mut().find(|known| what(known.process) == what(process)) {
            Some(known) => {
                known.pids.insert(process.pid);
                known.connections += 1;
            }
            None => users.push(User { process, pids: BTreeSet::from([process.pid]), connections: 1 }),
        }
    }
    users.sort_by_key(|user| (usize::MAX - user.connections, user.process.pid));
    users
}

impl<'a> Dossier<'a> {
    /// Puts together what is known of the number.
    pub fn new(port: Port, snapshot: &'a Snapshot, rows: &'a [Row<'a>], catalogue: &'a Catalogue) -> Dossier<'a> {
        let rows: Vec<&'a Row<'a>> = rows.iter().filter(|row| row.socket.local.port == port).collect();
        let assignment = |protocol| Assignment {
            protocol,
            services: catalogue.registrations(port, protocol),
            status: Catalogue::status(port, protocol),
        };
        let place = |space: &'a Space| Place {
            space,
            is_ephemeral: space.ephemeral.map(|range| range.contains(port)),
            is_reserved: space.reserved.as_ref().map(|ranges| ranges.iter().any(|range| range.contains(port))),
            is_privileged: space.unprivileged_start.map(|start| u32::from(port.get()) < start),
            is_used: rows.iter().any(|row| row.socket.space == space.id),
        };
        Dossier {
            port,
            category: Category::of(port),
            assignments: Protocol::REGISTERED.map(assignment).into(),
            places: snapshot.spaces.iter().map(place).collect(),
            holdings: holdings(&rows, snapshot),
            against: snapshot.spaces.first().map_or(Vec::new(), |own| free::against(port, catalogue, own)),
        }
    }

    /// The reasons not to use the port for your own service in the space of this process.
    pub fn objections(&self) -> Vec<Objection<'a>> {
        let mut names: Vec<&str> = Vec::new();
        for service in self.assignments.iter().flat_map(|assignment| &assignment.services) {
            if !names.contains(&service.name) {
                names.push(service.name);
            }
        }
        let kept_back = |reason: &Reason<'_>| match reason {
            Reason::KeptBack(protocol) => Some(*protocol),
            _ => None,
        };
        let kept_back: Vec<Protocol> = self.against.iter().filter_map(kept_back).collect();
        let says = |test: fn(&Reason<'_>) -> bool| self.against.iter().any(test);
        let is_used = self.places.first().is_some_and(|own| own.is_used);
        let all = [
            (!names.is_empty(), Objection::Assigned(names)),
            (self.category == Category::WellKnown, Objection::WellKnown),
            (!kept_back.is_empty(), Objection::KeptBack(kept_back)),
            (says(|reason| matches!(reason, Reason::Privileged(_))), Objection::Privileged),
            (says(|reason| matches!(reason, Reason::Ephemeral(_))), Objection::Ephemeral),
            (says(|reason| matches!(reason, Reason::Reserved)), Objection::Reserved),
            (says(|reason| matches!(reason, Reason::Bad)), Objection::Bad),
            (is_used, Objection::InUse),
        ];
        all.into_iter().filter(|(applies, _)| *applies).map(|(_, objection)| objection).collect()
    }
}

/// Says whether the socket is open for others, or takes the number for nobody: all that is no connection.
fn is_open(row: &Row<'_>) -> bool {
    !row.is_connection() || row.socket.state == Some(State::Redirect)
}

/// What tells owners apart.
type OwnerKey = (SpaceId, Vec<u32>, &'static str, Option<Uid>, Option<NonZeroU64>);

fn owner_key(row: &Row<'_>) -> OwnerKey {
    let space = row.socket.space;
    match &row.socket.owner {
        Owner::Processes(_) => (space, row.processes.iter().map(|(pid, _)| pid.0).collect(), "", None, None),
        Owner::Nobody(why) => (space, Vec::new(), why.name(), None, None),
        Owner::Hidden(why) => (space, Vec::new(), why.name(), row.socket.uid, row.socket.cgroup),
    }
}

fn holdings<'a>(rows: &[&'a Row<'a>], snapshot: &Snapshot) -> Vec<Holding<'a>> {
    let (open, connections): (Vec<_>, Vec<_>) = rows.iter().copied().partition(|row| is_open(row));
    let mut by_owner: BTreeMap<OwnerKey, Holding<'a>> = BTreeMap::new();
    for row in rows {
        let empty = Holding { open: Vec::new(), connections: Vec::new(), peers: None };
        let holding = by_owner.entry(owner_key(row)).or_insert(empty);
        if is_open(row) { holding.open.push(row) } else { holding.connections.push(row) }
    }
    let mut holdings: Vec<Holding<'a>> = by_owner.into_values().collect();
    // What comes through a rule of the firewall is no connection of this space.
    let may_serve = |row: &&Row<'_>| row.socket.state != Some(State::Redirect);
    for holding in holdings.iter_mut().filter(|holding| holding.open.iter().any(may_serve)) {
        let served = connections.iter().copied().filter(|connection| serves(&holding.open, connection, &open));
        holding.peers = Some(Peers::of(&served.collect::<Vec<_>>()));
        holding.open.sort_by_key(|row| (row.socket.protocol, row.socket.local.address));
    }
    let rank = |holding: &Holding<'_>| {
        let row = holding.row()?;
        let space = snapshot.spaces.iter().position(|space| space.id == row.socket.space);
        let local = row.socket.local.address;
        // Of those that are only connected, the one with the most connections comes first.
        Some((space, holding.open.is_empty(), row.socket.protocol, usize::MAX - holding.connections.len(), local))
    };
    holdings.sort_by_cached_key(rank);
    holdings
}

/// Says whether one of `own` has taken the connection: the socket of the very address goes before a wildcard.
fn serves(own: &[&Row<'_>], connection: &Row<'_>, all: &[&Row<'_>]) -> bool {
    let is_among =
        |rows: &[&Row<'_>], test: fn(&Row<'_>, &Row<'_>) -> bool| rows.iter().any(|row| test(row, connection));
    let test = if is_among(all, is_of_address) { is_of_address } else { is_wildcard_for };
    is_among(own, test)
}

fn is_of_address(open: &Row<'_>, connection: &Row<'_>) -> bool {
    let (open, connection) = (open.socket, connection.socket);
    (open.space, open.protocol) == (connection.space, connection.protocol)
        && open.local.address.to_canonical() == connection.local.address.to_canonical()
}

fn is_wildcard_for(open: &Row<'_>, connection: &Row<'_>) -> bool {
    let (open, connection) = (open.socket, connection.socket);
    let is_ipv4 = connection.local.address.to_canonical().is_ipv4();
    let fits = match open.family {
        Family::Ipv4 => is_ipv4,
        Family::Ipv6 => !is_ipv4 || open.v6only != Some(true),
    };
    (open.space, open.protocol) == (connection.space, connection.protocol)
        && open.local.address.is_unspecified()
        && fits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Listing;
    use crate::{join, testing};

    fn with_dossier(snapshot: &Snapshot, port: u16, check: impl Fn(&Dossier<'_>)) {
        let catalogue = Catalogue::default();
        let Listing { rows, .. } = join::listing(snapshot, Some(&catalogue));
        check(&Dossier::new(Port::new(port), snapshot, &rows, &catalogue));
    }

    #[test]
    fn sockets_of_one_owner_stand_together_and_others_apart() {
        with_dossier(&testing::snapshot(), 443, |dossier| {
            let shown: Vec<(usize, usize)> =
                dossier.holdings.iter().map(|holding| (holding.open.len(), holding.connections.len())).collect();
            assert_eq!(shown, [(1, 0), (0, 1)], "the listener of three processes, the connection of one of them");
            let peers = dossier.holdings[0].peers.clone().unwrap();
            assert_eq!((peers.connections, peers.addresses), (1, 1), "counted at the listener too");
            assert_eq!(dossier.holdings[1].peers, None);
        });
        with_dossier(&testing::snapshot(), 5432, |dossier| {
            assert_eq!(dossier.holdings.len(), 1, "two addresses, one owner");
            assert_eq!(dossier.holdings[0].open.len(), 2);
        });
    }

    #[test]
    fn a_connection_belongs_to_the_listener_of_its_address_before_the_wildcard() {
        let mut snapshot = testing::snapshot();
        let mut specific = snapshot.sockets[3].clone();
        specific.local = snapshot.sockets[1].local;
        snapshot.sockets.push(specific);
        with_dossier(&snapshot, 443, |dossier| {
            let counts: Vec<Option<usize>> =
                dossier.holdings.iter().map(|holding| holding.peers.as_ref().map(|peers| peers.connections)).collect();
            assert_eq!(counts, [Some(0), Some(1), None]);
        });
    }

    #[test]
    fn an_ipv6_wildcard_serves_ipv4_unless_it_refuses_to() {
        for (v6only, served) in [(None, 1), (Some(false), 1), (Some(true), 0)] {
            let mut snapshot = testing::snapshot();
            let wildcard = &mut snapshot.sockets[2];
            wildcard.local.address = "::".parse().unwrap();
            (wildcard.family, wildcard.v6only) = (Family::Ipv6, v6only);
            with_dossier(&snapshot, 443, |dossier| {
                assert_eq!(dossier.holdings[0].peers.as_ref().unwrap().connections, served, "{v6only:?}");
            });
        }
    }

    #[test]
    fn every_objection_has_its_fact() {
        let mut snapshot = testing::snapshot();
        snapshot.spaces[0].unprivileged_start = Some(1024);
        snapshot.spaces[0].reserved = Some(vec!["45010".parse().unwrap()]);
        for (port, expected) in [
            (
                443,
                vec![Objection::Assigned(vec!["https"]), Objection::WellKnown, Objection::Privileged, Objection::InUse],
            ),
            (5432, vec![Objection::Assigned(vec!["postgresql"]), Objection::InUse]),
            (40000, vec![Objection::Assigned(vec!["safetynetp"]), Objection::Ephemeral, Objection::InUse]),
            (45123, vec![Objection::Ephemeral]),
            // What is reserved is never handed out.
            (45010, vec![Objection::Reserved]),
            (
                1023,
                vec![
                    Objection::WellKnown,
                    Objection::KeptBack(vec![Protocol::Tcp, Protocol::Udp]),
                    Objection::Privileged,
                ],
            ),
            (1024, vec![Objection::KeptBack(vec![Protocol::Tcp, Protocol::Udp])]),
            (6666, vec![Objection::Bad]),
            (29_998, vec![]),
        ] {
            with_dossier(&snapshot, port, |dossier| {
                assert_eq!(dossier.objections(), expected, "{port}");
            });
        }
    }

    #[test]
    fn the_number_itself_is_judged_as_free_judges_it() {
        let mut snapshot = testing::snapshot();
        snapshot.spaces[0].reserved = Some(vec!["45010".parse().unwrap()]);
        for (start, ephemeral) in [(Some(1024), snapshot.spaces[0].ephemeral), (Some(0), None), (None, None)] {
            (snapshot.spaces[0].unprivileged_start, snapshot.spaces[0].ephemeral) = (start, ephemeral);
            let catalogue = Catalogue::default();
            for number in 1..=65535 {
                let port = Port::new(number);
                let dossier = Dossier::new(port, &snapshot, &[], &catalogue);
                let objects = !dossier.objections().is_empty();
                let is_refused = !free::against(port, &catalogue, &snapshot.spaces[0]).is_empty();
                // That the well-known numbers are for IANA to assign is a question of the range to free.
                assert_eq!(objects, is_refused || number < 1024, "{number}");
            }
        }
    }
}
