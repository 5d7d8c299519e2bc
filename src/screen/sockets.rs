//! What is open now, and what has changed of it lately.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use super::flows::Flows;
use crate::model::{
    Changes, Event, EventKind, Protocol, Rate, Snapshot, Socket, SocketIdentity, Space, SpaceId, Traffic,
};

/// How long a change stays marked, and a socket that was closed stays listed.
pub const FADE: Duration = Duration::from_secs(5);

/// What tells sockets apart.
pub type Id = (SpaceId, Protocol, SocketIdentity);

/// Identifies a socket for as long as it lives.
pub fn id(socket: &Socket) -> Id {
    (socket.space, socket.protocol, socket.identity())
}

/// A change of a socket.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    /// What has changed.
    pub kind: EventKind,
    /// When it came to the screen, since the screen was opened.
    pub since: Duration,
    /// When it happened, by the clock of the host.
    at: SystemTime,
    /// How long it had been open when it was closed, where that is known.
    pub lived: Option<Duration>,
}

impl Mark {
    /// Whether the socket is closed.
    pub fn is_closed(&self) -> bool {
        matches!(self.kind, EventKind::Closed | EventKind::Disconnected)
    }
}

/// The sockets, those included that were closed lately.
#[derive(Clone, Debug, Default)]
pub struct Sockets {
    snapshot: Option<Snapshot>,
    marks: BTreeMap<Id, Mark>,
    flows: Flows,
}

impl Sockets {
    /// The sockets with their processes; nothing before the first table.
    pub fn snapshot(&self) -> Option<&Snapshot> {
        self.snapshot.as_ref()
    }

    /// What has changed of the socket lately.
    pub fn mark(&self, id: &Id) -> Option<&Mark> {
        self.marks.get(id)
    }

    /// Whether something is marked.
    pub fn has_marks(&self) -> bool {
        !self.marks.is_empty()
    }

    /// What all connections carry, once that is known.
    pub fn total(&self) -> Option<Rate> {
        self.flows.total()
    }

    /// Forgets what connections carry.
    pub fn forget_flows(&mut self) {
        self.flows = Flows::default();
        for socket in self.snapshot.iter_mut().flat_map(|snapshot| &mut snapshot.sockets) {
            socket.traffic = None;
        }
    }

    /// Takes what connections had carried when they ended.
    pub fn end(&mut self, ended: &[Socket]) {
        self.flows.end(ended.iter());
    }

    /// Takes what has happened to sockets; says whether one of them was opened, closed or changed.
    pub fn apply(&mut self, changes: &Changes, now: Duration) -> bool {
        let known = self.snapshot.get_or_insert_with(|| Snapshot {
            sockets: Vec::new(),
            gaps: Vec::new(),
            ..changes.snapshot.clone()
        });
        known.processes.extend(changes.snapshot.processes.clone());
        known.users.extend(changes.snapshot.users.clone());
        for space in &changes.snapshot.spaces {
            if known.space(space.id).is_none() {
                known.spaces.push(space.clone());
            }
        }
        // The last event of a socket says how it is.
        let mut last: BTreeMap<Id, (&Event, &Socket)> = BTreeMap::new();
        for event in &changes.events {
            let socket = event.socket.and_then(|index| changes.snapshot.sockets.get(index));
            if let Some(socket) = socket.filter(|_| !matches!(event.kind, EventKind::BindFailed | EventKind::Lost)) {
                last.insert(id(socket), (event, socket));
            }
        }
        if last.is_empty() {
            return false;
        }
        let mut unknown: BTreeSet<Id> = last.keys().copied().collect();
        for socket in &known.sockets {
            unknown.remove(&id(socket));
        }
        for (id, (event, socket)) in last {
            if unknown.contains(&id) {
                known.sockets.push(socket.clone());
            }
            self.marks.insert(id, Mark { kind: event.kind, since: now, at: event.at, lived: event.open_for });
        }
        true
    }

    /// Takes a new table. What happened after it was begun counts more than what it says. Returns whether it differs from
    /// the one before; in what changes all the time, such as timers, only with `exact`.
    pub fn replace(&mut self, mut table: Snapshot, exact: bool) -> bool {
        self.flows.compare(&table);
        let begun = table.host.captured_at;
        let is_closed = |id: &Id| self.marks.get(id).is_some_and(|mark| mark.is_closed() && mark.at >= begun);
        table.sockets.retain(|socket| !is_closed(&id(socket)));
        let listed: BTreeSet<Id> = table.sockets.iter().map(id).collect();
        // It is open again, or it never was closed.
        self.marks.retain(|id, mark| !(mark.is_closed() && listed.contains(id)));
        let stays = |socket: &Socket| {
            let id = id(socket);
            let is_later = |mark: &Mark| mark.is_closed() || mark.at >= begun;
            !listed.contains(&id) && self.marks.get(&id).is_some_and(is_later)
        };
        if let Some(before) = &self.snapshot {
            let kept: Vec<Socket> = before.sockets.iter().filter(|socket| stays(socket)).cloned().collect();
            for socket in &kept {
                for holder in socket.owner.holders() {
                    if let Some(process) = before.processes.get(&holder.pid) {
                        table.processes.entry(holder.pid).or_insert_with(|| process.clone());
                    }
                }
                if let Some(space) = before.space(socket.space).filter(|space| table.space(space.id).is_none()) {
                    table.spaces.push(space.clone());
                }
                if let Some((uid, name)) = socket.uid.and_then(|uid| before.users.get_key_value(&uid)) {
                    table.users.entry(*uid).or_insert_with(|| name.clone());
                }
            }
            table.sockets.extend(kept);
        }
        self.flows.describe(&mut table.sockets);
        let differs = !self.snapshot.as_ref().is_some_and(|before| is_same(before, &table, exact));
        self.snapshot = Some(table);
        differs
    }

    /// Lets marks fade, and sockets leave that were closed. Returns whether something did.
    pub fn fade(&mut self, now: Duration) -> bool {
        let is_over = |mark: &Mark| now.saturating_sub(mark.since) >= FADE;
        if !self.marks.values().any(is_over) {
            return false;
        }
        let gone: BTreeSet<Id> =
            self.marks.iter().filter(|(_, mark)| mark.is_closed() && is_over(mark)).map(|(id, _)| *id).collect();
        if let Some(snapshot) = self.snapshot.as_mut().filter(|_| !gone.is_empty()) {
            snapshot.sockets.retain(|socket| !gone.contains(&id(socket)));
        }
        self.marks.retain(|_, mark| !is_over(mark));
        true
    }
}

/// Whether two tables look the same.
fn is_same(one: &Snapshot, other: &Snapshot, exact: bool) -> bool {
    let are_alike = |(one, other): (&Socket, &Socket)| {
        if exact { one == other } else { is_alike(one, other) }
    };
    let named = |space: &Space| (space.id, space.kind, space.label.clone(), space.ephemeral);
    one.sockets.len() == other.sockets.len()
        && one.sockets.iter().zip(&other.sockets).all(are_alike)
        && one.processes == other.processes
        && one.users == other.users
        && one.spaces.iter().map(named).eq(other.spaces.iter().map(named))
}

/// Whether two sockets are the same but for their timers and what waits in them.
fn is_alike(one: &Socket, other: &Socket) -> bool {
    let flows = |traffic: &Traffic| (traffic.rate, traffic.rtt_us, traffic.retransmits);
    let flows = |socket: &Socket| socket.traffic.as_deref().map(flows);
    id(one) == id(other)
        && (one.family, one.local, one.peer, one.state) == (other.family, other.local, other.peer, other.state)
        && (one.v6only, one.inode, one.uid, one.autobound) == (other.v6only, other.inode, other.uid, other.autobound)
        && (one.cgroup, &one.device, &one.stands_for) == (other.cgroup, &other.device, &other.stands_for)
        && one.owner == other.owner
        && flows(one) == flows(other)
}
