//! Events out of what a source observes: keeps what is open, so that each event is reported once and with what is known.
//!
//! What the kernel says and what a table shows are joined by a socket's cookie, else by its inode, else by its addresses.
//! Memory is bounded by what is open.

mod blocked;
mod compared;
mod open;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::num::NonZeroU64;
use std::time::{Duration, SystemTime};

use crate::model::{
    Act, BindError, BindWay, Blocking, Changes, Event, EventKind, Host, Listing, Missing, Observation, Pid, Process,
    Seen, Sighting, Snapshot, Socket, SocketSource, Space, SpaceId, SpaceKind, State, Uid,
};
use blocked::Asked;
use open::{Open, OpenSockets, Phase};

/// A TCP socket that is bound and does not listen is an event of its own once it has been so for this long.
const PATIENCE: Duration = Duration::from_millis(500);

/// Starts that are closer than this are of one process: its number is not used again so soon, and the start is known to
/// a clock tick only.
const SAME: Duration = Duration::from_millis(100);

/// What is wanted of the events, and what the source can see.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Options {
    /// Begin with what is open.
    pub initial: bool,
    /// Connections too.
    pub connections: bool,
    /// How the source sees every bind at once, where it does.
    pub binds: Option<BindWay>,
    /// The tables have every port space.
    pub every_space: bool,
}

/// What is open, as far as it is known.
#[derive(Debug)]
pub struct Ledger {
    options: Options,
    host: Option<Host>,
    open: OpenSockets,
    /// The last table, without its sockets.
    table: Option<Snapshot>,
    processes: BTreeMap<Pid, Process>,
    spaces: BTreeMap<SpaceId, Space>,
    users: BTreeMap<Uid, String>,
    /// Sockets that were closed and that a table may still have, by cookie.
    closed: HashMap<NonZeroU64, SystemTime>,
    /// Sockets that the last table no longer had, by cookie: the kernel's record of their end may still come.
    missed: HashSet<NonZeroU64>,
    /// Something was lost since the last table.
    has_lost: bool,
}

impl Ledger {
    /// Knows of nothing yet but the host, whose name is in events that come before the first table.
    pub fn new(options: Options, host: Option<Host>) -> Ledger {
        Ledger {
            options,
            host,
            open: OpenSockets::default(),
            table: None,
            processes: BTreeMap::new(),
            spaces: BTreeMap::new(),
            users: BTreeMap::new(),
            closed: HashMap::new(),
            missed: HashSet::new(),
            has_lost: false,
        }
    }

    /// Returns the events in an observation.
    pub fn observe(&mut self, observation: Observation) -> Changes {
        let mut page = Page::default();
        match observation {
            Observation::Sightings { sightings, processes, spaces, users } => {
                self.learn(processes, &sightings);
                self.users.extend(users);
                for space in spaces {
                    self.spaces.entry(space.id).or_insert(space);
                }
                for sighting in sightings {
                    self.sighted(sighting, &mut page);
                }
            }
            Observation::Lost { at, lost, seen } => {
                self.has_lost = true;
                page.events.push(Event { lost: Some(lost), ..event(at, EventKind::Lost, seen, None) });
            }
            // Not an event: a sighting or a table already reports that they have ended.
            Observation::Ended(_) => {}
            Observation::Table(table) => self.compare(*table, &mut page),
            Observation::Same(begun) => self.forget_closed(begun),
        }
        self.changes(page)
    }

    /// Returns what has changed of ports that are open in both of two tables: their owners and who can reach them.
    pub fn compared(&self, before: &Listing<'_>, after: &Listing<'_>) -> Changes {
        let mut page = Page::default();
        compared::compare(before, after, &mut page);
        self.changes(page)
    }

    /// Keeps the facts of processes. Facts that were read while a process ran are not replaced by those of its remains.
    fn learn(&mut self, processes: BTreeMap<Pid, Process>, sightings: &[Sighting]) {
        let has_gone = sightings.iter().filter(|sighting| sighting.gone);
        let gone: BTreeSet<Pid> =
            has_gone.flat_map(|sighting| sighting.socket.owner.holders()).map(|holder| holder.pid).collect();
        for (pid, process) in processes {
            let is_known = gone.contains(&pid)
                && self.processes.get(&pid).and_then(|known| known.started_at).zip(process.started_at).is_some_and(
                    |(before, now)| before.max(now).duration_since(before.min(now)).is_ok_and(|apart| apart < SAME),
                );
            if !is_known {
                self.processes.insert(pid, process);
            }
        }
    }

    fn sighted(&mut self, sighting: Sighting, page: &mut Page) {
        let Sighting { at, seen, act, socket, gone } = sighting;
        match act {
            Act::Bound => self.bound(at, seen, socket, gone, page),
            Act::Listening => self.listening(at, seen, socket, gone, page),
            Act::Closed => self.closed(at, seen, socket, gone, page),
            Act::BindFailed { error, reuseaddr, reuseport, user, on_port } => {
                let asked = Asked { socket: &socket, reuseaddr, reuseport, user };
                let is_in_use = error == BindError::InUse;
                let blockers = if is_in_use { self.blockers(asked, &on_port, page) } else { Vec::new() };
                let index = page.add(socket);
                let failed = event(at, EventKind::BindFailed, seen, Some(index));
                page.events.push(Event { gone, error: Some(error), blockers, ..failed });
            }
            Act::Connected if self.options.connections => {
                if self.open.find(&socket).is_none() {
                    page.opened(at, EventKind::Connected, seen, &socket, gone);
                    self.open.add(Open::new(socket, Some(at), at));
                }
            }
            Act::Disconnected if self.options.connections => self.closed(at, seen, socket, gone, page),
            Act::Connected | Act::Disconnected => {}
        }
    }

    fn bound(&mut self, at: SystemTime, seen: Seen, socket: Socket, gone: bool, page: &mut Page) {
        if self.open.find(&socket).is_some() {
            return;
        }
        let may_listen = socket.state == Some(State::Bound);
        if !may_listen {
            page.opened(at, EventKind::Opened, seen, &socket, gone);
        }
        let phase = if may_listen { Phase::Bound { seen, gone } } else { Phase::Told };
        self.open.add(Open { phase, ..Open::new(socket, Some(at), at) });
    }

    fn listening(&mut self, at: SystemTime, seen: Seen, socket: Socket, gone: bool, page: &mut Page) {
        let Some(number) = self.open.find(&socket) else {
            page.opened(at, EventKind::Opened, seen, &socket, gone);
            self.open.add(Open::new(socket, Some(at), at));
            return;
        };
        let Some(open) = self.open.get(number) else { return };
        let (was_told, was_listening) = (open.phase == Phase::Told, open.socket.state == Some(State::Listen));
        // Only bind(2) says which descriptor it is.
        let owner =
            if open.socket.owner.holders().is_empty() { socket.owner.clone() } else { open.socket.owner.clone() };
        let since = if was_told { open.since } else { Some(at) };
        let now = Socket { owner, device: open.socket.device.clone().or(socket.device.clone()), ..socket };
        if !was_told {
            page.opened(at, EventKind::Opened, seen, &now, gone);
        } else if !was_listening {
            // It was reported when it was bound; now it can be reached.
            page.opened(at, EventKind::ExposureWidened, seen, &now, gone);
        }
        self.open.replace(number, Open::new(now, since, at));
    }

    fn closed(&mut self, at: SystemTime, seen: Seen, socket: Socket, gone: bool, page: &mut Page) {
        if let Some(cookie) = socket.cookie {
            self.closed.insert(cookie, at);
        }
        let kind = if socket.peer.is_some() { EventKind::Disconnected } else { EventKind::Closed };
        match self.open.find(&socket) {
            Some(number) => {
                // Of several that are alike nobody knows which one it was.
                let is_sure = self.open.is_certain(&socket);
                let Some(open) = self.open.remove(number) else { return };
                if open.phase != Phase::Told {
                    return;
                }
                let kind = if open.socket.peer.is_some() { EventKind::Disconnected } else { kind };
                let since = open.since.filter(|_| is_sure);
                page.closed(at, kind, seen, &open.socket, since);
            }
            // A source that sees every bind knows that the kernel chose this port for a client.
            None if self.options.binds.is_some() && seen == Seen::Netlink && !self.has_lost => {}
            // Of an aborted connection the kernel has forgotten the addresses by then.
            None if socket.peer.is_some_and(|peer| peer.port.get() == 0) => {}
            // A table that was read between the end and its record has reported it.
            None if socket.cookie.is_some_and(|cookie| self.missed.remove(&cookie)) => {}
            None => {
                let index = page.add(socket);
                page.events.push(Event { gone, ..event(at, kind, seen, Some(index)) });
            }
        }
    }

    /// The sockets that were in the way of a bind, by the bind rule: of those that are known to be open, and of those that
    /// were found on the port right afterwards.
    fn blockers(&self, asked: Asked<'_>, on_port: &[Socket], page: &mut Page) -> Vec<Blocking> {
        // A busy host's first table takes a while, and what fails until then has its reason too.
        let table = self.last_table();
        let unknown = self.space(asked.socket.space);
        let space = self.spaces.get(&asked.socket.space).unwrap_or(&unknown);
        let known = self.open.of_port(asked.socket).map(|open| (&open.socket, open.since));
        let known: Vec<(&Socket, Option<SystemTime>)> = known.collect();
        let is_new = |socket: &&Socket| {
            let is_same = |known: &Socket| {
                // Its cookie is not known yet where nobody had asked for it when it was bound.
                (known.cookie.is_some() && known.cookie == socket.cookie)
                    || (known.inode.is_some() && known.inode == socket.inode)
            };
            let is_known = known.iter().any(|(known, _)| is_same(known));
            // Every listen is seen here, so a listener that is not known yet came after the bind that failed.
            let knows_all = self.options.binds.is_some() && self.table.is_some() && !self.has_lost;
            let is_later = knows_all && socket.state == Some(State::Listen);
            !is_known && !is_later
        };
        let new = on_port.iter().filter(is_new).map(|socket| (socket, None));
        let others: Vec<_> = known.iter().copied().chain(new).collect();
        let found = blocked::in_the_way(asked, &others, space, &table);
        let blocking = |(socket, since): (&Socket, _)| Blocking { socket: page.add(socket.clone()), since };
        found.into_iter().map(blocking).collect()
    }

    /// Compares a table with what is known to be open.
    fn compare(&mut self, table: Snapshot, page: &mut Page) {
        let begun = table.host.captured_at;
        let is_first = self.table.is_none();
        // Where the source could not read everything, what is missing may be open all the same.
        let is_whole = !table.gaps.iter().any(|gap| gap.missing() == Missing::Sockets);
        self.spaces = table.spaces.iter().map(|space| (space.id, space.clone())).collect();
        self.users.extend(table.users.clone());
        self.processes.extend(table.processes.clone());
        self.open.begin();
        let connections = self.options.connections;
        for socket in table.sockets.iter().filter(|socket| is_meant(socket, connections)) {
            match self.open.find(socket) {
                Some(number) => self.still_open(number, socket, begun, page),
                None if socket.cookie.is_some_and(|cookie| self.closed.contains_key(&cookie)) => {}
                None => {
                    let kind = if is_connection(socket) { EventKind::Connected } else { EventKind::Opened };
                    if !is_first || self.options.initial {
                        page.opened(begun, kind, Seen::Poll, socket, false);
                    }
                    let since = (!is_first).then_some(begun);
                    self.open.add(Open::new(socket.clone(), since, begun));
                }
            }
        }
        // A port space that has ended, with a container say, was in the table before and is in none any more.
        let before: BTreeSet<SpaceId> =
            self.table.iter().flat_map(|table| &table.spaces).map(|space| space.id).collect();
        self.missed.clear();
        for open in self.open.missing(begun, is_whole) {
            self.missed.extend(open.socket.cookie);
            // A port that was not reported as open has closed at once, or it is a client's.
            let space = open.socket.space;
            let is_listed = self.options.every_space || self.spaces.contains_key(&space) || before.contains(&space);
            if open.phase == Phase::Told && is_listed {
                let kind = if is_connection(&open.socket) { EventKind::Disconnected } else { EventKind::Closed };
                page.closed(begun, kind, Seen::Poll, &open.socket, open.since);
            }
        }
        self.forget_closed(begun);
        self.has_lost = false;
        self.table = Some(Snapshot { sockets: Vec::new(), processes: BTreeMap::new(), ..table });
    }

    fn still_open(&mut self, number: u64, socket: &Socket, begun: SystemTime, page: &mut Page) {
        let Some(open) = self.open.get(number) else { return };
        let waited = begun.duration_since(open.touched).unwrap_or_default();
        let mut phase = open.phase;
        let mut now = socket.clone();
        // What could not be found out now may have been known before.
        if now.owner.holders().is_empty() && !open.socket.owner.holders().is_empty() {
            now.owner = open.socket.owner.clone();
        }
        if let Phase::Bound { seen, gone } = phase
            && (waited >= PATIENCE || socket.state == Some(State::Listen))
        {
            let at = open.since.unwrap_or(begun);
            page.opened(at, EventKind::Opened, seen, &now, gone && now.owner.holders().is_empty());
            phase = Phase::Told;
        }
        let was_bound = open.socket.state == Some(State::Bound) && open.phase == Phase::Told;
        if was_bound && socket.state == Some(State::Listen) {
            page.opened(begun, EventKind::ExposureWidened, Seen::Poll, &now, false);
        }
        let (since, touched) = (open.since, open.touched);
        self.open.replace(number, Open { phase, ..Open::new(now, since, touched) });
    }

    fn space(&self, id: SpaceId) -> Space {
        let unknown = || Space::new(id, SpaceKind::Netns, id.0.to_string(), SocketSource::Netlink);
        self.spaces.get(&id).cloned().unwrap_or_else(unknown)
    }

    /// Puts the events together with what is known of their sockets.
    fn changes(&self, page: Page) -> Changes {
        let Page { sockets, events } = page;
        let mut spaces: BTreeMap<SpaceId, Space> = BTreeMap::new();
        let mut processes = BTreeMap::new();
        for socket in &sockets {
            spaces.entry(socket.space).or_insert_with(|| self.space(socket.space));
            for holder in socket.owner.holders() {
                let known = self.processes.get(&holder.pid);
                processes.extend(known.map(|process| (holder.pid, process.clone())));
            }
        }
        let spaces = spaces.into_values().collect();
        let users = if sockets.is_empty() { BTreeMap::new() } else { self.users.clone() };
        let snapshot =
            Snapshot { spaces, sockets, processes, users, gaps: Vec::new(), ..self.last_table().into_owned() };
        Changes { snapshot, events, binds: self.options.binds }
    }

    /// The last table, without its sockets; before the first one, that of nothing.
    fn last_table(&self) -> Cow<'_, Snapshot> {
        self.table.as_ref().map_or_else(|| Cow::Owned(open::nothing(self.host.clone())), Cow::Borrowed)
    }

    /// Forgets the sockets that were closed before a look was begun: its table does not have them, nor do later ones.
    fn forget_closed(&mut self, begun: SystemTime) {
        self.closed.retain(|_, at| *at >= begun);
        if self.closed.is_empty() {
            // The room of a burst is given back, and need not be gone through again.
            self.closed = HashMap::new();
        }
    }

    /// Forgets processes that hold nothing that is open.
    pub fn forget(&mut self) {
        let held: BTreeSet<Pid> = self.open.holders().collect();
        self.processes.retain(|pid, _| held.contains(pid));
    }
}

/// Says whether a socket of a table is one that events are about.
fn is_meant(socket: &Socket, connections: bool) -> bool {
    match socket.state {
        Some(State::Listen | State::Bound | State::Unconnected) | None => true,
        Some(State::Established) => connections,
        _ => false,
    }
}

fn is_connection(socket: &Socket) -> bool {
    socket.state == Some(State::Established)
}

fn event(at: SystemTime, kind: EventKind, seen: Seen, socket: Option<usize>) -> Event {
    Event { at, kind, seen, socket, gone: false, open_for: None, error: None, blockers: Vec::new(), lost: None }
}

/// Events and their sockets while they are put together.
#[derive(Debug, Default)]
struct Page {
    sockets: Vec<Socket>,
    events: Vec<Event>,
}

impl Page {
    fn add(&mut self, socket: Socket) -> usize {
        self.sockets.push(socket);
        self.sockets.len() - 1
    }

    fn opened(&mut self, at: SystemTime, kind: EventKind, seen: Seen, socket: &Socket, gone: bool) {
        let index = self.add(socket.clone());
        self.events.push(Event { gone, ..event(at, kind, seen, Some(index)) });
    }

    fn closed(&mut self, at: SystemTime, kind: EventKind, seen: Seen, socket: &Socket, since: Option<SystemTime>) {
        let index = self.add(socket.clone());
        let open_for = since.and_then(|since| at.duration_since(since).ok());
        self.events.push(Event { open_for, ..event(at, kind, seen, Some(index)) });
    }
}

#[cfg(test)]
mod tests;
