//! Sockets by service: what one program, unit or container has open, as one group.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use std::path::Path;

use crate::model::{Endpoint, Pid, Port, Process, Protocol, Row, SpaceId, Traffic};

/// What one service has open, and who is connected to it.
#[derive(Clone, Debug)]
pub struct Group<'r, 'a> {
    /// Its listeners, in the order of the listing; for a client, which has none, its connections.
    pub rows: Vec<&'r Row<'a>>,
    /// Its processes, the main one first.
    pub processes: Vec<(Pid, Option<&'a Process>)>,
    /// Whether anything of it is open for others.
    pub is_open: bool,
    /// Its connections.
    pub connections: usize,
    /// The other ends of these, the busiest first, with the number of connections of each.
    pub peers: Vec<(Peer<'a>, usize)>,
    /// What these carry together, where that is known.
    pub traffic: Option<Traffic>,
}

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug)]
pub enum Peer<'a> {
    /// A process of this machine.
    Process(Pid, &'a Process),
    /// An address.
    Address(IpAddr),
}

impl Group<'_, '_> {
    /// The ports that are open, or of a client none.
    pub fn ports(&self) -> Vec<(Protocol, Port)> {
        let mut ports: Vec<(Protocol, Port)> =
            self.open().map(|row| (row.socket.protocol, row.socket.local.port)).collect();
        ports.sort_unstable_by_key(|(protocol, port)| (*port, *protocol));
        ports.dedup();
        ports
    }

    /// The rows that are open for others.
    pub fn open(&self) -> impl Iterator<Item = &Row<'_>> {
        self.rows.iter().copied().filter(|row| row.is_listener)
    }
}

/// What makes one service out of several sockets: what its holder runs, as whom, for what.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
enum Key {
    /// By the file, what an interpreter runs, the user, the project's folder, and the container of the first process. Two
    /// services that agree in all of this are told apart by nothing that a reader would know them by.
    Program(SpaceId, Vec<u8>, Vec<u8>, Option<u32>, Vec<u8>, String),
    /// Where no process is known: by the unit or container that made the socket, or by the port alone.
    Made(SpaceId, Option<String>, Option<String>),
    /// A single port.
    Port(SpaceId, Protocol, Port),
}

fn key(row: &Row<'_>) -> Key {
    let space = row.space.id;
    let bytes = |text: &std::ffi::OsStr| text.as_encoded_bytes().to_vec();
    let container = row.belonging().and_then(|belonging| belonging.container.as_ref()).map(|known| known.id.clone());
    if let Some((pid, process)) = row.processes.first() {
        let Some(process) = process else {
            return Key::Program(space, pid.0.to_string().into_bytes(), Vec::new(), None, Vec::new(), String::new());
        };
        let program = process.exe.as_deref().map(Path::as_os_str).or(process.name.as_deref());
        // A proxy stands for one container, and no two of them are one service.
        let stands_for = row.socket.forward().map(|forward| forward.to.to_string());
        return Key::Program(
            space,
            program.map(bytes).unwrap_or_default(),
            process.runs.as_deref().map(bytes).unwrap_or_default(),
            process.uid.map(|uid| uid.0),
            process.project.as_ref().map(|project| bytes(&project.name)).unwrap_or_default(),
            stands_for.or(container).unwrap_or_default(),
        );
    }
    match (row.unit(), container) {
        (None, None) => Key::Port(space, row.socket.protocol, row.socket.local.port),
        (unit, container) => Key::Made(space, unit.map(str::to_owned), container),
    }
}

/// Puts the rows together, services in the order of their first listener; then those that are only connected.
pub fn groups<'r, 'a>(rows: &'r [Row<'a>]) -> Vec<Group<'r, 'a>> {
    groups_of(rows, |_| false)
}

/// The same where some of the sockets are closed: what they have carried counts, and they do not.
pub fn groups_of<'r, 'a>(rows: &'r [Row<'a>], is_closed: impl Fn(&Row<'a>) -> bool) -> Vec<Group<'r, 'a>> {
    let mut groups: Vec<Group<'r, 'a>> = Vec::new();
    let mut by_key: HashMap<Key, usize> = HashMap::new();
    let mut by_pid: HashMap<Pid, usize> = HashMap::new();
    let mut by_end: HashMap<(SpaceId, Protocol, Endpoint), usize> = HashMap::new();
    let mut by_port: HashMap<(SpaceId, Protocol, Port), usize> = HashMap::new();
    let (open, others): (Vec<&Row<'_>>, Vec<&Row<'_>>) = rows.iter().partition(|row| row.is_listener);
    for row in open.into_iter().filter(|row| !is_closed(row)) {
        let index = *by_key.entry(key(row)).or_insert_with(|| {
            groups.push(Group::of_nothing(true));
            groups.len() - 1
        });
        let (space, protocol, local) = (row.space.id, row.socket.protocol, row.socket.local);
        by_end.entry((space, protocol, local)).or_insert(index);
        by_port.entry((space, protocol, local.port)).or_insert(index);
        for (pid, _) in &row.processes {
            by_pid.entry(*pid).or_insert(index);
        }
        groups[index].add(row);
    }
    for row in others {
        let (space, protocol, local) = (row.space.id, row.socket.protocol, row.socket.local);
        // A worker may hold a connection and no listener, and what is left of a connection has no process at all: then
        // the end that it was accepted at tells whose it is.
        let of_process = row.processes.iter().find_map(|(pid, _)| by_pid.get(pid));
        let of_end = || by_end.get(&(space, protocol, local)).or_else(|| by_port.get(&(space, protocol, local.port)));
        let index = of_process.or_else(of_end).copied().unwrap_or_else(|| {
            *by_key.entry(key(row)).or_insert_with(|| {
                groups.push(Group::of_nothing(false));
                groups.len() - 1
            })
        });
        groups[index].connect(row, is_closed(row));
    }
    for group in &mut groups {
        group.finish();
    }
    groups
}

impl<'r, 'a> Group<'r, 'a> {
    fn of_nothing(is_open: bool) -> Group<'r, 'a> {
        Group { rows: Vec::new(), processes: Vec::new(), is_open, connections: 0, peers: Vec::new(), traffic: None }
    }

    fn add(&mut self, row: &'r Row<'a>) {
        self.rows.push(row);
        self.processes.extend(row.processes.iter().copied());
    }

    fn connect(&mut self, row: &'r Row<'a>, is_closed: bool) {
        if !self.is_open {
            self.rows.push(row);
        }
        self.processes.extend(row.processes.iter().copied());
        self.traffic = Traffic::sum(self.traffic.into_iter().chain(row.socket.traffic.as_deref().copied()));
        if is_closed {
            return;
        }
        self.connections += usize::from(row.is_connection());
        let local = row.peer_process().zip(row.peer_row().and_then(|peer| peer.processes.first().map(|(pid, _)| *pid)));
        let peer = match (local, row.socket.peer) {
            (Some((process, pid)), _) => Peer::Process(pid, process),
            (None, Some(end)) => Peer::Address(end.address.to_canonical()),
            (None, None) => return,
        };
        self.peers.push((peer, 1));
    }

    fn finish(&mut self) {
        let mut seen = HashSet::new();
        self.processes.retain(|(pid, _)| seen.insert(*pid));
        let mut counts: BTreeMap<(Option<Pid>, Option<IpAddr>), (Peer<'a>, usize)> = BTreeMap::new();
        for (peer, count) in self.peers.drain(..) {
            let key = match peer {
                Peer::Process(pid, _) => (Some(pid), None),
                Peer::Address(address) => (None, Some(address)),
            };
            counts.entry(key).or_insert((peer, 0)).1 += count;
        }
        self.peers = counts.into_values().collect();
        self.peers.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{join, select, testing};

    #[test]
    fn every_row_is_in_one_group_and_a_server_has_its_connections() {
        let snapshot = testing::snapshot();
        let mut listing = join::listing(&snapshot, None);
        select::in_default_order(&mut listing.rows);
        let groups = groups(&listing.rows);
        let open: usize = groups.iter().map(|group| group.open().count()).sum();
        assert_eq!(open, listing.rows.iter().filter(|row| row.is_listener).count());
        let connections: usize = groups.iter().map(|group| group.connections).sum();
        assert_eq!(connections, listing.rows.iter().filter(|row| row.is_connection()).count());
        let nginx = &groups[0];
        assert_eq!(nginx.ports(), [(Protocol::Tcp, Port::new(443))]);
        assert_eq!(nginx.processes.len(), 3);
        // Both families of the database are one service.
        let database = groups.iter().find(|group| group.ports() == [(Protocol::Tcp, Port::new(5432))]).unwrap();
        assert_eq!(database.rows.len(), 2);
    }
}
