//! How full a port space is, and what would run out first.
//!
//! A connection is told apart by both of its ends, so a client's number is taken for one destination only: the limit of
//! TCP holds for each local address, peer address and peer port. A program that binds before it connects, or listens on
//! port 0, needs a number that nothing else uses, as UDP always does: for those the range as a whole is the limit. A number
//! that a listener has, or that a program has bound, is left out when the kernel picks one for a client. Source: Linux,
//! `__inet_hash_connect`, `inet_csk_find_open_port` and `udp_lib_get_port`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use crate::model::{
    Category, Endpoint, Listing, Pid, Port, PortRange, Process, Protocol, Queue, Row, Space, SpaceId, State,
    TimeWaitReuse,
};

/// So many of so many.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Share {
    /// How many are used.
    pub used: usize,
    /// How many there are.
    pub limit: usize,
}

impl Share {
    /// The used part of the whole, 1.0 for all. Where there is nothing to use, nothing is left either.
    #[expect(clippy::cast_precision_loss, reason = "there are 65,536 numbers, and a queue is not longer than 32 bits")]
    pub fn part(self) -> f64 {
        match (self.used, self.limit) {
            (0, _) => 0.0,
            (_, 0) => 1.0,
            (used, limit) => used as f64 / limit as f64,
        }
    }
}

/// What a gauge measures.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Measured {
    /// The numbers of a category.
    Category(Category),
    /// The numbers that are handed out for outgoing connections.
    Ephemeral,
}

/// The distinct numbers of one protocol that are in use, whatever for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Gauge {
    /// The protocol.
    pub protocol: Protocol,
    /// Which numbers.
    pub measured: Measured,
    /// The lowest and the highest of them.
    pub range: PortRange,
    /// How many of them are used. Reserved ones are no part of the ephemeral range here, and TIME_WAIT that the kernel
    /// gives up for new connections does not use one.
    pub share: Share,
}

/// Processes, and how many connections each holds.
pub type Causes<'a> = Vec<(Pid, Option<&'a Process>, usize)>;

/// One end that this space talks to, from one of its addresses.
#[derive(Clone, Debug)]
pub struct Destination<'a> {
    /// The local address.
    pub local: IpAddr,
    /// The other end.
    pub peer: Endpoint,
    /// The interface, where one of the addresses is of a link.
    pub device: Option<&'a str>,
    /// The distinct numbers that are used for it.
    pub used: usize,
    /// How many there are for it; absent where the range is not known.
    pub limit: Option<usize>,
    /// How many of the used ones only wait for late packets, held by nobody.
    pub time_wait: usize,
    /// How many of those the kernel gives up for a new connection.
    pub reusable: usize,
    /// The processes that hold the others, the one with the most first.
    pub causes: Causes<'a>,
}

impl Destination<'_> {
    /// How full it is for a new connection, where that is known.
    pub fn share(&self) -> Option<Share> {
        self.limit.map(|limit| Share { used: self.used - self.reusable, limit })
    }
}

/// A listener with its accept queue.
#[derive(Clone, Copy, Debug)]
pub struct QueueUse<'a> {
    /// The listener.
    pub row: &'a Row<'a>,
    /// Its queue.
    pub queue: Queue,
}

impl QueueUse<'_> {
    /// How full it is.
    pub fn share(&self) -> Share {
        let count = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        Share { used: count(self.queue.used), limit: count(self.queue.limit) }
    }
}

/// How full one space is.
#[derive(Clone, Debug)]
pub struct SpaceUsage<'a> {
    /// The space.
    pub space: &'a Space,
    /// Categories and ephemeral range, TCP before UDP.
    pub gauges: Vec<Gauge>,
    /// Numbers of the ephemeral range that are reserved.
    pub reserved: usize,
    /// Where its clients are connected to by TCP, the fullest first.
    pub destinations: Vec<Destination<'a>>,
    /// Listeners whose queue is known, the fullest first.
    pub queues: Vec<QueueUse<'a>>,
}

/// Something that is fuller than it should be.
#[derive(Clone, Copy, Debug)]
pub enum Excess<'u, 'a> {
    /// A category, or the ephemeral range.
    Gauge(Gauge),
    /// The numbers for a destination.
    Destination(&'u Destination<'a>),
    /// The accept queue of a listener.
    Queue(QueueUse<'a>),
}

impl Excess<'_, '_> {
    /// How much of it is used.
    pub fn share(&self) -> Share {
        match self {
            Excess::Gauge(gauge) => gauge.share,
            Excess::Destination(destination) => destination.share().unwrap_or(Share { used: 0, limit: 0 }),
            Excess::Queue(queue) => queue.share(),
        }
    }
}

impl<'a> SpaceUsage<'a> {
    /// What is used beyond this part of its limit.
    pub fn above(&self, part: f64) -> Vec<Excess<'_, 'a>> {
        let is_above = |share: Share| share.part() > part;
        let gauges = self.gauges.iter().filter(|gauge| is_above(gauge.share));
        let destinations = self.destinations.iter().filter(|destination| destination.share().is_some_and(is_above));
        let queues = self.queues.iter().filter(|queue| is_above(queue.share()));
        let gauges = gauges.map(|gauge| Excess::Gauge(*gauge));
        gauges.chain(destinations.map(Excess::Destination)).chain(queues.map(|queue| Excess::Queue(*queue))).collect()
    }
}

/// Measures every space of the listing, in the order of the snapshot.
pub fn usage<'a>(listing: &'a Listing<'a>) -> Vec<SpaceUsage<'a>> {
    let mut rows: BTreeMap<SpaceId, Vec<&'a Row<'a>>> = BTreeMap::new();
    for row in &listing.rows {
        rows.entry(row.socket.space).or_default().push(row);
    }
    let of_space = |space: &'a Space| of_space(space, rows.get(&space.id).map_or(&[], Vec::as_slice));
    listing.snapshot.spaces.iter().map(of_space).collect()
}

fn of_space<'a>(space: &'a Space, rows: &[&'a Row<'a>]) -> SpaceUsage<'a> {
    let handed_out = space.ephemeral.map(|range| HandedOut::new(range, space.reserved.as_deref().unwrap_or_default()));
    let mut gauges = Vec::new();
    for protocol in Protocol::REGISTERED {
        let used: BTreeSet<Port> = rows
            .iter()
            .filter(|row| row.socket.protocol == protocol && row.socket.state != Some(State::Redirect))
            .map(|row| row.socket.local.port)
            .collect();
        for category in Category::ALL {
            let range = category.range();
            let share = Share { used: used.iter().filter(|port| range.contains(**port)).count(), limit: size(range) };
            gauges.push(Gauge { protocol, measured: Measured::Category(category), range, share });
        }
        if let Some(HandedOut { range, ports }) = &handed_out {
            let is_taken =
                |row: &&&Row<'_>| row.socket.protocol == protocol && !is_reusable(row, space.time_wait_reuse);
            let taken: BTreeSet<Port> = rows.iter().filter(is_taken).map(|row| row.socket.local.port).collect();
            let share = Share {
                used: used.intersection(ports).filter(|port| taken.contains(port)).count(),
                limit: ports.len(),
            };
            gauges.push(Gauge { protocol, measured: Measured::Ephemeral, range: *range, share });
        }
    }
    let mut queues: Vec<QueueUse<'a>> =
        rows.iter().filter_map(|row| Some(QueueUse { row, queue: row.socket.queue? })).collect();
    queues.sort_by(|a, b| {
        let fullest = b.share().part().total_cmp(&a.share().part());
        fullest.then_with(|| b.queue.used.cmp(&a.queue.used)).then_with(|| end(a.row).cmp(&end(b.row)))
    });
    SpaceUsage {
        space,
        gauges,
        reserved: handed_out.as_ref().map_or(0, |handed_out| size(handed_out.range) - handed_out.ports.len()),
        destinations: destinations(rows, handed_out.as_ref(), space.time_wait_reuse),
        queues,
    }
}

/// Says whether the kernel gives the connection up for a new one from the same port. Source: Linux, `tcp_twsk_unique`:
/// from the second after the connection ended.
fn is_reusable(row: &Row<'_>, rule: Option<TimeWaitReuse>) -> bool {
    const LONGEST_LEFT: Duration = Duration::from_secs(59);
    let socket = row.socket;
    let ends = || std::iter::once(socket.local).chain(socket.peer);
    let is_meant = match rule {
        Some(TimeWaitReuse::Always) => true,
        Some(TimeWaitReuse::Loopback) => ends().any(|end| end.address.to_canonical().is_loopback()),
        Some(TimeWaitReuse::Never) | None => false,
    };
    let is_old = socket.time_left().is_none_or(|left| left <= LONGEST_LEFT);
    socket.state == Some(State::TimeWait) && is_meant && is_old
}

fn end(row: &Row<'_>) -> (Port, IpAddr) {
    (row.socket.local.port, row.socket.local.address)
}

/// How many numbers a range has.
fn size(range: PortRange) -> usize {
    usize::from(range.last().get()) - usize::from(range.first().get()) + 1
}

/// The numbers that a space hands out.
struct HandedOut {
    range: PortRange,
    /// Those of the range that are not reserved.
    ports: BTreeSet<Port>,
}

impl HandedOut {
    fn new(range: PortRange, reserved: &[PortRange]) -> HandedOut {
        let numbers = (range.first().get()..=range.last().get()).map(Port::new);
        let is_free = |port: &Port| !reserved.iter().any(|reserved| reserved.contains(*port));
        HandedOut { range, ports: numbers.filter(is_free).collect() }
    }
}

/// What was counted of one destination.
#[derive(Default)]
struct Tally<'a> {
    ports: BTreeSet<Port>,
    time_wait: BTreeSet<Port>,
    reusable: BTreeSet<Port>,
    causes: BTreeMap<Pid, (Option<&'a Process>, usize)>,
}

fn destinations<'a>(
    rows: &[&'a Row<'a>],
    handed_out: Option<&HandedOut>,
    reuse: Option<TimeWaitReuse>,
) -> Vec<Destination<'a>> {
    let tcp = || rows.iter().copied().filter(|row| row.socket.protocol == Protocol::Tcp);
    let is_taken = |row: &&Row<'_>| matches!(row.socket.state, Some(State::Listen | State::Bound));
    // Such a number is used for no client, and what is connected on it came from outside.
    let taken: BTreeSet<Port> = tcp().filter(is_taken).map(|row| row.socket.local.port).collect();
    let limit = handed_out.map(|handed_out| handed_out.ports.difference(&taken).count());
    let mut tallies: BTreeMap<(IpAddr, Endpoint, Option<&'a str>), Tally<'a>> = BTreeMap::new();
    for row in tcp().filter(|row| row.is_connection() && !taken.contains(&row.socket.local.port)) {
        let (local, Some(peer)) = (row.socket.local, row.socket.peer) else { continue };
        // A number that a program chose itself, outside of the range, takes nothing from it.
        if handed_out.is_some_and(|handed_out| !handed_out.ports.contains(&local.port)) {
            continue;
        }
        // An IPv6 socket that talks to IPv4 takes the numbers of IPv4.
        let peer = Endpoint { address: peer.address.to_canonical(), ..peer };
        let is_of_a_link = local.is_of_a_link() || peer.is_of_a_link();
        let device = row.socket.device.as_deref().filter(|_| is_of_a_link);
        let tally = tallies.entry((local.address.to_canonical(), peer, device)).or_default();
        tally.ports.insert(local.port);
        if row.socket.state == Some(State::TimeWait) {
            tally.time_wait.insert(local.port);
        }
        if is_reusable(row, reuse) {
            tally.reusable.insert(local.port);
        }
        if let Some((pid, process)) = row.processes.first() {
            tally.causes.entry(*pid).or_insert((*process, 0)).1 += 1;
        }
    }
    let destination = |((local, peer, device), tally): ((IpAddr, Endpoint, Option<&'a str>), Tally<'a>)| {
        let mut causes: Causes<'a> =
            tally.causes.into_iter().map(|(pid, (process, count))| (pid, process, count)).collect();
        causes.sort_by_key(|(pid, _, count)| (usize::MAX - count, *pid));
        let (used, time_wait, reusable) = (tally.ports.len(), tally.time_wait.len(), tally.reusable.len());
        Destination { local, peer, device, used, limit, time_wait, reusable, causes }
    };
    let mut destinations: Vec<Destination<'a>> = tallies.into_iter().map(destination).collect();
    // The sort is stable: equally full ones stay in the order of their addresses.
    destinations.sort_by_key(|destination| usize::MAX - destination.used);
    destinations
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Owner, Snapshot, Socket, Timer, TimerKind};
    use crate::{join, testing};

    fn client(snapshot: &Snapshot, local: &str, peer: &str, state: State) -> Socket {
        let end = |text: &str| {
            let end: std::net::SocketAddr = text.parse().unwrap();
            Endpoint::new(end.ip(), end.port())
        };
        let (local, peer) = (end(local), Some(end(peer)));
        Socket { local, peer, state: Some(state), queue: None, ..snapshot.sockets[1].clone() }
    }

    fn measured(snapshot: &Snapshot, check: impl Fn(&SpaceUsage<'_>)) {
        let listing = join::listing(snapshot, None);
        check(&usage(&listing)[0]);
    }

    /// A space that hands out 41000-41009, two of them reserved.
    fn small() -> Snapshot {
        let mut snapshot = testing::snapshot();
        snapshot.spaces[0].ephemeral = "41000-41009".parse().ok();
        snapshot.spaces[0].reserved = Some(vec!["41001".parse().unwrap(), "41009-50000".parse().unwrap()]);
        snapshot
    }

    #[test]
    fn gauges_count_distinct_numbers_of_each_protocol() {
        measured(&testing::snapshot(), |space| {
            let shares: Vec<(usize, usize)> =
                space.gauges.iter().map(|gauge| (gauge.share.used, gauge.share.limit)).collect();
            let tcp = [(1, 1024), (2, 48_128), (0, 16_384), (1, 28_232)];
            let udp = [(0, 1024), (1, 48_128), (0, 16_384), (0, 28_232)];
            assert_eq!(shares, [tcp, udp].concat(), "443; 5432 twice and 40000; 5353");
        });
    }

    #[test]
    fn reserved_numbers_and_those_of_listeners_are_not_there_for_a_destination() {
        let mut snapshot = small();
        let mut listener = snapshot.sockets[2].clone();
        listener.local.port = Port::new(41_002);
        let accepted = client(&snapshot, "192.0.2.7:41002", "203.0.113.9:50000", State::Established);
        let one = client(&snapshot, "192.0.2.7:41003", "203.0.113.9:443", State::Established);
        let two = client(&snapshot, "[::ffff:192.0.2.7]:41004", "[::ffff:203.0.113.9]:443", State::Established);
        let mut over = client(&snapshot, "192.0.2.7:41005", "203.0.113.9:443", State::TimeWait);
        over.owner = Owner::Nobody(crate::model::Nobody::TimeWait);
        let elsewhere = client(&snapshot, "192.0.2.7:41003", "203.0.113.9:80", State::SynSent);
        let chosen = client(&snapshot, "192.0.2.7:7000", "203.0.113.9:443", State::Established);
        snapshot.sockets.extend([listener, accepted, one, two, over, elsewhere, chosen]);
        measured(&snapshot, |space| {
            let told: Vec<_> = space
                .destinations
                .iter()
                .map(|place| (place.peer.to_string(), place.used, place.limit, place.time_wait))
                .collect();
            let first = ("203.0.113.9:443".to_owned(), 3, Some(7), 1);
            assert_eq!(told, [first, ("203.0.113.9:80".to_owned(), 1, Some(7), 0)]);
            let causes: Vec<_> = space.destinations[0].causes.iter().map(|(pid, _, count)| (pid.0, *count)).collect();
            assert_eq!(causes, [(812, 2)]);
            assert_eq!(space.reserved, 2);
            let ephemeral = space.gauges.iter().find(|gauge| gauge.measured == Measured::Ephemeral).unwrap();
            assert_eq!(ephemeral.share, Share { used: 4, limit: 8 });
            let above = |part: f64| space.above(part).len();
            assert_eq!((above(0.42), above(0.43), above(0.5)), (2, 1, 0), "3 of 7 is 42.9 %, 4 of 8 are half");
        });
    }

    #[test]
    fn ports_that_were_bound_first_fill_the_range_for_every_destination() {
        let mut snapshot = small();
        for number in [41_000, 41_002, 41_003, 41_004, 41_005, 41_006, 41_007, 41_008] {
            let (local, peer) = (format!("192.0.2.7:{number}"), format!("203.0.113.9:{number}"));
            snapshot.sockets.push(client(&snapshot, &local, &peer, State::Established));
        }
        measured(&snapshot, |space| {
            assert!(space.destinations.iter().all(|place| place.used == 1));
            let above: Vec<Excess<'_, '_>> = space.above(0.9);
            assert!(matches!(above[..], [Excess::Gauge(Gauge { measured: Measured::Ephemeral, .. })]), "{above:?}");
        });
    }

    #[test]
    fn time_wait_that_the_kernel_gives_up_uses_no_port() {
        for (reuse, time_left, local, left) in [
            (TimeWaitReuse::Never, 30, "192.0.2.7", 2),
            (TimeWaitReuse::Always, 30, "192.0.2.7", 0),
            (TimeWaitReuse::Always, 60, "192.0.2.7", 2),
            (TimeWaitReuse::Loopback, 30, "192.0.2.7", 2),
            (TimeWaitReuse::Loopback, 30, "127.0.0.1", 0),
        ] {
            let mut snapshot = small();
            snapshot.spaces[0].time_wait_reuse = Some(reuse);
            for number in [41_002, 41_003] {
                let over = client(&snapshot, &format!("{local}:{number}"), "203.0.113.9:443", State::TimeWait);
                snapshot.sockets.push(Socket {
                    timer: Some(Timer { kind: TimerKind::TimeWait, retries: 0, left_ms: time_left * 1000 }),
                    ..over
                });
            }
            measured(&snapshot, |space| {
                let place = &space.destinations[0];
                let gauge = space.gauges.iter().find(|gauge| gauge.measured == Measured::Ephemeral).unwrap();
                assert_eq!((place.used, place.time_wait, place.reusable), (2, 2, 2 - left), "{reuse:?} {local}");
                assert_eq!((place.share().unwrap().used, gauge.share.used), (left, left), "{reuse:?} {local}");
            });
        }
    }

    #[test]
    fn the_same_address_of_two_links_is_two_destinations() {
        let mut snapshot = small();
        for (number, device) in [(41002, "v0"), (41003, "v0"), (41002, "v1")] {
            let local = format!("[fe80::1]:{number}");
            let mut socket = client(&snapshot, &local, "[fe80::9]:443", State::Established);
            socket.device = Some(device.to_owned());
            snapshot.sockets.push(socket);
        }
        let mut bound = client(&snapshot, "192.0.2.7:41004", "203.0.113.9:443", State::Established);
        bound.device = Some("v0".to_owned());
        snapshot.sockets.push(bound);
        measured(&snapshot, |space| {
            let of = |peer: &str| -> Vec<(Option<&str>, usize)> {
                let is_it = |place: &&Destination<'_>| place.peer.address.to_string() == peer;
                space.destinations.iter().filter(is_it).map(|place| (place.device, place.used)).collect()
            };
            assert_eq!(of("fe80::9"), [(Some("v0"), 2), (Some("v1"), 1)]);
            assert_eq!(of("203.0.113.9"), [(None, 1)], "an address that is the same everywhere needs none");
        });
    }

    #[test]
    fn without_a_known_range_nothing_is_called_full() {
        let mut snapshot = small();
        let one = client(&snapshot, "192.0.2.7:41003", "203.0.113.9:443", State::Established);
        snapshot.spaces[0].ephemeral = None;
        snapshot.sockets.push(one);
        measured(&snapshot, |space| {
            assert_eq!(space.gauges.len(), 6);
            let place = space.destinations.iter().find(|place| place.peer.port.get() == 443).unwrap();
            assert_eq!((place.limit, place.share()), (None, None));
        });
    }

    #[test]
    fn the_fullest_queue_comes_first_and_an_impossible_limit_is_full() {
        let mut snapshot = testing::snapshot();
        for (place, used, limit) in [(2, 3, 4), (3, 0, 128), (4, 1, 0)] {
            snapshot.sockets[place].queue = Some(Queue { used, limit });
        }
        measured(&snapshot, |space| {
            let used: Vec<u32> = space.queues.iter().map(|queue| queue.queue.used).collect();
            assert_eq!(used, [1, 3, 0]);
            assert_eq!(space.above(0.8).len(), 1);
            assert_eq!(space.above(0.7).len(), 2);
        });
    }
}
