//! How full a port space is, and what would run out first.
//!
//! Both ends identify a connection, so a client uses up its port for one destination only: the limit of TCP holds for each
//! local address, peer address, and peer port. A program that binds before it connects, or listens on port 0, needs a port
//! that nothing else uses, as UDP always does: for those the range as a whole is the limit. The kernel skips a port that a
//! listener has, or that a program has bound, when it picks one for a client. Source: Linux,
//! `__inet_hash_connect`, `inet_csk_find_open_port` and `udp_lib_get_port`.

mod destination;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

pub use self::destination::Destination;
use self::destination::destinations;

use crate::model::{
    Category, Listing, Pid, Port, PortRange, Process, Protocol, Queue, Row, Space, State, TimeWaitReuse,
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
    let rows = listing.by_space();
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
        if let Some(handed_out) = &handed_out {
            let is_taken =
                |row: &&&Row<'_>| row.socket.protocol == protocol && !is_reusable(row, space.time_wait_reuse);
            let taken: BTreeSet<Port> = rows.iter().filter(is_taken).map(|row| row.socket.local.port).collect();
            let share = Share {
                used: used.intersection(&taken).filter(|port| handed_out.contains(**port)).count(),
                limit: handed_out.count,
            };
            gauges.push(Gauge { protocol, measured: Measured::Ephemeral, range: handed_out.range, share });
        }
    }
    let mut queues: Vec<QueueUse<'a>> =
        rows.iter().filter_map(|row| Some(QueueUse { row, queue: row.socket.queue()? })).collect();
    queues.sort_by(|a, b| {
        let fullest = b.share().part().total_cmp(&a.share().part());
        fullest.then_with(|| b.queue.used.cmp(&a.queue.used)).then_with(|| end(a.row).cmp(&end(b.row)))
    });
    SpaceUsage {
        space,
        gauges,
        reserved: handed_out.as_ref().map_or(0, |handed_out| size(handed_out.range) - handed_out.count),
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

/// The numbers that a space hands out: those of a range that are not reserved.
struct HandedOut {
    range: PortRange,
    /// In ascending order, within the range, and apart.
    reserved: Vec<PortRange>,
    /// How many there are.
    count: usize,
}

impl HandedOut {
    fn new(range: PortRange, reserved: &[PortRange]) -> HandedOut {
        let within = |one: &PortRange| PortRange::new(one.first().max(range.first()), one.last().min(range.last()));
        let mut within: Vec<PortRange> = reserved.iter().filter_map(within).collect();
        within.sort_unstable_by_key(|one| one.first());
        let mut apart: Vec<PortRange> = Vec::new();
        for one in within {
            match apart.last_mut().filter(|last| last.contains(one.first())) {
                Some(last) => *last = PortRange::new(last.first(), one.last().max(last.last())).unwrap_or(*last),
                None => apart.push(one),
            }
        }
        let count = size(range) - apart.iter().map(|one| size(*one)).sum::<usize>();
        HandedOut { range, reserved: apart, count }
    }

    fn contains(&self, port: Port) -> bool {
        self.range.contains(port) && !self.reserved.iter().any(|reserved| reserved.contains(port))
    }
}

#[cfg(test)]
mod tests;
