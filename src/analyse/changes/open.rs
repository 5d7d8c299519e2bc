//! The sockets that are open, found again by cookie, inode or addresses.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::num::NonZeroU64;
use std::time::SystemTime;

use crate::model::{
    Backend, Endpoint, Host, Inode, OwnerSource, Pid, Port, Protocol, Scope, Seen, Snapshot, Socket, SocketSource,
    SpaceId, Stages,
};

/// How much of it has been reported.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Phase {
    /// It was, or it was there from the start.
    Told,
    /// It was bound, and may listen yet; this is how that was seen, and whether its process had ended.
    Bound { seen: Seen, gone: bool },
}

/// A socket that is open.
#[derive(Clone, Debug)]
pub(super) struct Open {
    pub socket: Socket,
    /// Since when; absent where it was there before.
    pub since: Option<SystemTime>,
    /// When something was last said of it, other than by a table.
    pub touched: SystemTime,
    pub phase: Phase,
    /// The table that it was last in.
    pub generation: u64,
}

impl Open {
    pub fn new(socket: Socket, since: Option<SystemTime>, touched: SystemTime) -> Open {
        Open { socket, since, touched, phase: Phase::Told, generation: 0 }
    }
}

/// What tells sockets apart where the system gives neither cookie nor inode: the port, which several may share.
type OfPort = (SpaceId, Protocol, Port);

/// Both ends of a socket, and its number: a busy server has thousands of connections on its port.
type Ends = (Endpoint, Option<Endpoint>, u64);

/// All of them.
#[derive(Debug, Default)]
pub(super) struct OpenSockets {
    all: HashMap<u64, Open>,
    cookies: HashMap<NonZeroU64, u64>,
    inodes: HashMap<Inode, u64>,
    ports: HashMap<OfPort, BTreeSet<Ends>>,
    next: u64,
    generation: u64,
}

impl OpenSockets {
    /// Finds the same socket; of several that could be it, the one that was opened first.
    pub fn find(&self, socket: &Socket) -> Option<u64> {
        let by_cookie = socket.cookie.and_then(|cookie| self.cookies.get(&cookie)).copied();
        let by_inode = || {
            let number = socket.inode.and_then(|inode| self.inodes.get(&inode)).copied()?;
            // The 32 bits of an inode wrap around; subflows of MPTCP share one.
            let known = &self.all.get(&number)?.socket;
            (known.cookie.is_none() || socket.cookie.is_none()).then_some(number)
        };
        by_cookie.or_else(by_inode).or_else(|| self.alike(socket).next())
    }

    /// Says whether no other socket could have been meant.
    pub fn is_certain(&self, socket: &Socket) -> bool {
        let by_cookie = socket.cookie.is_some_and(|cookie| self.cookies.contains_key(&cookie));
        by_cookie || self.alike(socket).count() < 2
    }

    /// Sockets with the same addresses that cannot be told from it.
    fn alike(&self, socket: &Socket) -> impl Iterator<Item = u64> {
        let is_alike = |open: &Open| {
            let known = &open.socket;
            known.family == socket.family
                && (known.cookie.is_none() || socket.cookie.is_none())
                && (known.inode.is_none() || socket.inode.is_none())
        };
        let of_port = self.ports.get(&of_port(socket));
        let numbers = of_port.into_iter().flat_map(|ends| ends.range(ends_of(socket, 0)..=ends_of(socket, u64::MAX)));
        numbers.map(|(.., number)| *number).filter(move |number| self.all.get(number).is_some_and(is_alike))
    }

    pub fn get(&self, number: u64) -> Option<&Open> {
        self.all.get(&number)
    }

    /// The others on its port.
    pub fn of_port(&self, socket: &Socket) -> impl Iterator<Item = &Open> {
        self.ports.get(&of_port(socket)).into_iter().flatten().filter_map(|(.., number)| self.all.get(number))
    }

    pub fn add(&mut self, open: Open) {
        self.next += 1;
        self.insert(self.next, open);
    }

    fn insert(&mut self, number: u64, open: Open) {
        self.cookies.extend(open.socket.cookie.map(|cookie| (cookie, number)));
        self.inodes.extend(open.socket.inode.map(|inode| (inode, number)));
        self.ports.entry(of_port(&open.socket)).or_default().insert(ends_of(&open.socket, number));
        self.all.insert(number, Open { generation: self.generation, ..open });
    }

    /// Puts what is known now in its place. What was known of it and is not told now stays.
    pub fn replace(&mut self, number: u64, mut open: Open) {
        if let Some(was) = self.remove(number) {
            let (now, was) = (&mut open.socket, was.socket);
            now.cookie = now.cookie.or(was.cookie);
            now.inode = now.inode.or(was.inode);
        }
        self.insert(number, open);
    }

    pub fn remove(&mut self, number: u64) -> Option<Open> {
        let open = self.all.remove(&number)?;
        if let Some(cookie) = open.socket.cookie
            && self.cookies.get(&cookie) == Some(&number)
        {
            self.cookies.remove(&cookie);
        }
        if let Some(inode) = open.socket.inode
            && self.inodes.get(&inode) == Some(&number)
        {
            self.inodes.remove(&inode);
        }
        let key = of_port(&open.socket);
        if let Some(ends) = self.ports.get_mut(&key) {
            ends.remove(&ends_of(&open.socket, number));
            if ends.is_empty() {
                self.ports.remove(&key);
            }
        }
        Some(open)
    }

    /// A new table is gone through.
    pub fn begin(&mut self) {
        self.generation += 1;
    }

    /// Takes out those that the table has not, in the order in which they were opened, unless they were opened while it
    /// was read. Of a table that is not whole nothing is missing.
    pub fn missing(&mut self, begun: SystemTime, is_whole: bool) -> Vec<Open> {
        if !is_whole {
            return Vec::new();
        }
        let is_missing = |open: &Open| open.generation < self.generation && open.touched < begun;
        let mut numbers: Vec<u64> =
            self.all.iter().filter(|(_, open)| is_missing(open)).map(|(number, _)| *number).collect();
        numbers.sort_unstable();
        numbers.into_iter().filter_map(|number| self.remove(number)).collect()
    }

    /// The processes that hold any.
    pub fn holders(&self) -> impl Iterator<Item = Pid> {
        self.all.values().flat_map(|open| open.socket.owner.holders()).map(|holder| holder.pid)
    }
}

fn ends_of(socket: &Socket, number: u64) -> Ends {
    (socket.local, socket.peer, number)
}

fn of_port(socket: &Socket) -> OfPort {
    (socket.space, socket.protocol, socket.local.port)
}

/// A snapshot of nothing, for events that come before the first table.
pub(super) fn nothing(host: Option<Host>) -> Snapshot {
    let unknown = Host { name: None, os: None, kernel: None, boot_id: None, captured_at: SystemTime::UNIX_EPOCH };
    Snapshot {
        host: host.unwrap_or(unknown),
        backend: Backend::Native,
        scope: Scope::default(),
        socket_source: SocketSource::Netlink,
        owner_source: OwnerSource::TaskIter,
        owner_fallback: None,
        own: SpaceId(0),
        spaces: Vec::new(),
        further_spaces: None,
        sockets: Vec::new(),
        processes: BTreeMap::new(),
        users: BTreeMap::new(),
        cgroups: BTreeMap::new(),
        redirects: BTreeMap::new(),
        saved_reachability: BTreeMap::new(),
        gaps: Vec::new(),
        saved: None,
        warnings: Vec::new(),
        stages: Stages::default(),
    }
}
