//! From what the kernel says to what is known of it: the socket, its process, its space.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::num::NonZeroU64;
use std::time::{Duration, SystemTime};

use rustix::time::{ClockId, clock_gettime};

use super::layout::Masks;
use super::notices::Notice;
use super::on_port::OnPort;
use super::record::{Kind, Record};
use crate::collect::linux::holdings::Holdings;
use crate::collect::linux::owners::ProcessFacts;
use crate::collect::linux::process_files::is_running;
use crate::collect::linux::{process, users, whose};
use crate::model::{
    Act, BindError, Holder, Inode, Need, Nobody, Observation, Owner, Pid, Process, Seen, Sighting, Socket,
    SocketSource, Space, SpaceChoice, SpaceId, SpaceKind, State, Uid,
};

/// Connections that are being made, whose processes are remembered; more are not.
const MOST_CONNECTING: usize = 65_536;

/// What is known so far.
pub struct Known {
    /// What is wanted of processes.
    need: Need,
    masks: Masks,
    on_port: OnPort,
    /// The spaces that a table has had.
    pub spaces: BTreeSet<SpaceId>,
    users: BTreeMap<Uid, Option<String>>,
    /// Who asks for a connection, by cookie.
    connecting: HashMap<NonZeroU64, Holder>,
}

impl Known {
    pub fn new(need: &Need, own: SpaceId, masks: Masks) -> Known {
        Known {
            need: need.clone(),
            masks,
            on_port: OnPort::new(own, need),
            spaces: BTreeSet::new(),
            users: BTreeMap::new(),
            connecting: HashMap::new(),
        }
    }

    /// Turns records into observations. A number that two processes had one after the other parts them.
    pub fn observed(&mut self, records: Vec<Record>) -> Vec<Observation> {
        let mut observations = Vec::new();
        let mut batch: Vec<Record> = Vec::new();
        let mut started: HashMap<Pid, u64> = HashMap::new();
        for record in records {
            if *started.entry(record.pid).or_insert(record.facts.started) != record.facts.started {
                observations.extend(self.batch(&std::mem::take(&mut batch)));
                started = HashMap::from([(record.pid, record.facts.started)]);
            }
            batch.push(record);
        }
        observations.extend(self.batch(&batch));
        observations
    }

    /// Says whether only a look at everything can answer what these records leave open: whether a socket stays bound
    /// without listening, and which space it is that no table has had.
    pub fn leaves_open(&self, records: &[Record]) -> bool {
        let listens = records.iter().filter(|record| record.kind == Kind::Listening);
        let listens: BTreeSet<Option<Inode>> = listens.map(|record| record.inode).collect();
        records.iter().any(|record| {
            let is_bound = record.kind == Kind::Bound && record.state == State::Bound;
            let is_pending = is_bound && !listens.contains(&record.inode);
            is_pending || (self.need.spaces == SpaceChoice::All && !self.spaces.contains(&record.space))
        })
    }

    fn batch(&mut self, records: &[Record]) -> Option<Observation> {
        let boot = boot_time();
        let sighted: Vec<(&Record, Sighting)> =
            records.iter().filter_map(|record| Some((record, self.sighting(record, boot?)?))).collect();
        if sighted.is_empty() {
            return None;
        }
        let facts: ProcessFacts = sighted.iter().map(|(record, _)| (record.pid, record.facts)).collect();
        let alive: BTreeSet<Pid> =
            facts.iter().filter(|(pid, facts)| is_running(**pid, facts.started)).map(|(pid, _)| *pid).collect();
        // The descriptor may be closed by now, which says nothing against the process.
        let as_holder = |pid: &Pid, socket: &Socket| Socket {
            owner: Owner::Processes(vec![Holder { pid: *pid, fd: None }].into()),
            // The process that asks for a port is as interesting as the one that has it.
            state: Some(State::Listen),
            ..socket.clone()
        };
        let mut of_each: BTreeMap<Pid, Socket> = BTreeMap::new();
        for (_, sighting) in &sighted {
            for holder in sighting.socket.owner.holders() {
                if alive.contains(&holder.pid) {
                    of_each.entry(holder.pid).or_insert_with(|| as_holder(&holder.pid, &sighting.socket));
                }
            }
        }
        let holders: Vec<Socket> = of_each.into_values().collect();
        let holdings = Holdings::of(&holders);
        let looking = whose::Looking::start(&holdings, &facts, &self.need);
        let mut processes = process::describe(&holdings, &self.need, &facts);
        if let Some(looking) = looking {
            looking.finish(&mut processes);
        }
        let mut sightings: Vec<Sighting> = sighted.into_iter().map(|(_, sighting)| sighting).collect();
        for sighting in &mut sightings {
            for holder in sighting.socket.owner.holders() {
                sighting.gone |= !processes.contains_key(&holder.pid);
            }
        }
        for sighting in sightings.iter().filter(|sighting| sighting.gone) {
            for holder in sighting.socket.owner.holders() {
                let facts = facts.get(&holder.pid);
                processes.extend(facts.map(|facts| (holder.pid, process::of_facts(holder.pid, facts))));
            }
        }
        self.on_port.look(&mut sightings, &self.spaces, &mut processes);
        Some(self.sightings(sightings, processes))
    }

    /// Turns notices into an observation.
    pub fn noticed(&mut self, notices: Vec<Notice>) -> Option<Observation> {
        let sighting = |notice: Notice| {
            let is_connection = notice.socket.has_peer();
            let mut socket = notice.socket.socket(notice.space);
            // What it was before is not said.
            socket.state = None;
            socket.owner = Owner::Nobody(Nobody::Closing);
            let act = if is_connection { Act::Disconnected } else { Act::Closed };
            Sighting { at: notice.at, seen: Seen::Netlink, act, socket, gone: false }
        };
        let sightings: Vec<Sighting> = notices.into_iter().map(sighting).collect();
        if sightings.is_empty() { None } else { Some(self.sightings(sightings, BTreeMap::new())) }
    }

    fn sightings(&mut self, sightings: Vec<Sighting>, processes: BTreeMap<Pid, Process>) -> Observation {
        let new = |id: &SpaceId| !self.spaces.contains(id);
        let spaces: BTreeSet<SpaceId> = sightings.iter().map(|sighting| sighting.socket.space).filter(new).collect();
        let space = |id: SpaceId| Space::new(id, SpaceKind::Netns, id.0.to_string(), SocketSource::Netlink);
        let of_sockets = sightings.iter().filter_map(|sighting| sighting.socket.uid);
        let uids: BTreeSet<Uid> = of_sockets.chain(processes.values().filter_map(|process| process.uid)).collect();
        let unknown: BTreeSet<Uid> = uids.iter().copied().filter(|uid| !self.users.contains_key(uid)).collect();
        if !unknown.is_empty() {
            let (mut names, _) = users::names(&unknown);
            self.users.extend(unknown.into_iter().map(|uid| (uid, names.remove(&uid))));
        }
        let name = |uid: &Uid| Some((*uid, self.users.get(uid)?.clone()?));
        Observation::Sightings {
            users: uids.iter().filter_map(name).collect(),
            spaces: spaces.into_iter().map(space).collect(),
            sightings,
            processes,
        }
    }

    fn sighting(&mut self, record: &Record, boot: SystemTime) -> Option<Sighting> {
        let holder = Holder { pid: record.pid, fd: record.fd };
        let owner = Owner::Processes(vec![holder].into());
        let mut socket = self.socket(record, owner);
        let act = match record.kind {
            Kind::Listening => Act::Listening,
            Kind::Unlistened => Act::Closed,
            Kind::Bound => Act::Bound,
            Kind::BindFailed => {
                let (asked, scope) = record.asked?;
                socket.local = asked;
                socket.device = socket.device.or_else(|| (scope != 0).then(|| scope.to_string().into()));
                // It has no place in any table, so what tells it from others there is left out.
                (socket.cookie, socket.state) = (None, None);
                Act::BindFailed {
                    error: error(record.result),
                    reuseaddr: record.flags & self.masks.reuseaddr != 0,
                    reuseport: record.flags & self.masks.reuseport != 0,
                    user: Some(Uid(record.facts.effective_uid)),
                    on_port: Vec::new(),
                }
            }
            Kind::Connecting => {
                if self.connecting.len() < MOST_CONNECTING {
                    self.connecting.extend(record.cookie.map(|cookie| (cookie, holder)));
                }
                return None;
            }
            Kind::Connected | Kind::Disconnected => {
                // What runs at that moment is any process at all; a connection that was accepted has none yet.
                let connecting = record.cookie.and_then(|cookie| self.connecting.remove(&cookie));
                socket.owner = match connecting {
                    Some(holder) => Owner::Processes(vec![Holder { fd: None, ..holder }].into()),
                    None => Owner::Nobody(Nobody::Unaccepted),
                };
                if record.kind == Kind::Connected { Act::Connected } else { Act::Disconnected }
            }
        };
        let is_there = socket.local.port.get() != 0 || record.kind == Kind::BindFailed;
        let at = boot + Duration::from_nanos(record.time);
        is_there.then_some(Sighting { at, seen: Seen::Kernel, act, socket, gone: false })
    }

    fn socket(&self, record: &Record, owner: Owner) -> Socket {
        let has_peer = record.state == State::Established;
        Socket {
            space: record.space,
            protocol: record.protocol,
            family: record.family,
            local: record.local,
            peer: has_peer.then_some(record.peer),
            state: Some(record.state),
            device: (record.device != 0).then(|| record.device.to_string().into()),
            v6only: (record.family == crate::model::Family::Ipv6).then_some(record.flags & self.masks.v6only != 0),
            waiting: None,
            inode: record.inode,
            uid: Some(record.uid),
            cookie: record.cookie,
            autobound: record.protocol.is_datagram().then_some(false),
            traffic: None,
            timer: None,
            cgroup: None,
            stands_for: None,
            owner,
        }
    }
}

/// What bind(2) returned, by its name.
fn error(result: i32) -> BindError {
    match result.saturating_neg() {
        libc::EADDRINUSE => BindError::InUse,
        libc::EACCES => BindError::Access,
        libc::EADDRNOTAVAIL => BindError::NotAvailable,
        libc::EAFNOSUPPORT => BindError::Family,
        libc::ENODEV => BindError::NoDevice,
        libc::EINVAL => BindError::Invalid,
        libc::EPERM => BindError::Other("EPERM".to_owned()),
        libc::ENOMEM => BindError::Other("ENOMEM".to_owned()),
        libc::EFAULT => BindError::Other("EFAULT".to_owned()),
        number => BindError::Other(format!("errno {number}")),
    }
}

/// The point in time from which the kernel counts.
fn boot_time() -> Option<SystemTime> {
    let since = clock_gettime(ClockId::Boottime);
    let since = Duration::new(since.tv_sec.try_into().ok()?, since.tv_nsec.try_into().ok()?);
    SystemTime::now().checked_sub(since)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::collect::linux::owners::Facts;
    use crate::model::{Endpoint, Family, Protocol};

    fn record(kind: Kind, protocol: Protocol, inode: u64, space: u64) -> Record {
        let state = if protocol.is_datagram() { State::Unconnected } else { State::Bound };
        Record {
            kind,
            time: 1,
            cookie: None,
            inode: Inode::new(inode),
            space: SpaceId(space),
            pid: Pid(700),
            facts: Facts { started: 1, parent: 1, effective_uid: 0, name: [0; 16], rights: None },
            fd: None,
            protocol,
            family: Family::Ipv4,
            local: Endpoint::new(Ipv4Addr::LOCALHOST.into(), 80),
            peer: Endpoint::new(Ipv4Addr::UNSPECIFIED.into(), 0),
            uid: Uid(0),
            device: 0,
            flags: 0,
            state: if kind == Kind::Listening { State::Listen } else { state },
            result: 0,
            asked: None,
        }
    }

    #[test]
    fn a_socket_that_may_stay_bound_and_a_space_that_no_table_has_had_need_a_look_at_everything() {
        let need = Need { spaces: SpaceChoice::All, ..Need::default() };
        let mut known = Known::new(&need, SpaceId(1), Masks::default());
        known.spaces.insert(SpaceId(1));
        let bound = record(Kind::Bound, Protocol::Tcp, 7, 1);
        let listening = record(Kind::Listening, Protocol::Tcp, 7, 1);
        assert!(known.leaves_open(std::slice::from_ref(&bound)));
        assert!(!known.leaves_open(&[bound, listening]));
        assert!(!known.leaves_open(&[record(Kind::Bound, Protocol::Udp, 8, 1)]));
        assert!(!known.leaves_open(&[record(Kind::Unlistened, Protocol::Tcp, 9, 1)]));
        assert!(known.leaves_open(&[record(Kind::Listening, Protocol::Tcp, 9, 2)]));
        // Events of other spaces are left out where one was named.
        known.need.spaces = SpaceChoice::Own;
        assert!(!known.leaves_open(&[record(Kind::Listening, Protocol::Tcp, 9, 2)]));
    }
}
