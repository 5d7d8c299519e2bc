//! The JSON document of `usage`.

use std::borrow::Cow;
use std::net::IpAddr;
use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;

use crate::analyse::usage::{Destination, Gauge, QueueUse, Share, SpaceUsage};
use crate::model::{Endpoint, Listing, Pid, Process};
use crate::render::document::envelope::Envelope;
use crate::render::document::listing::EndpointReport;
use crate::render::words::usage::{MARKED_ABOVE, described, measured};

/// How full the port spaces of one host are. Absent knowledge is null.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "portscope usage", rename = "Usage")]
pub struct UsageReport<'a> {
    /// The spaces.
    pub spaces: Vec<SpaceUsageReport<'a>>,
    /// The part of a limit that was asked about with `--warn`, from 0 to 1.
    pub warn: Option<f64>,
    /// What is used beyond that part; beyond 0.8 where none was asked about.
    pub above: Vec<ExcessReport<'a>>,
}

/// How full one space is.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SpaceUsage")]
pub struct SpaceUsageReport<'a> {
    /// The inode of the network namespace; that of its tables below /proc where this user may not look up more (`source` is
    /// `proc-net` then); 0 on a system without namespaces.
    pub id: u64,
    /// `host`, `container`, `unit` or `netns`.
    pub kind: &'a str,
    /// Its name for people.
    pub label: &'a str,
    /// The lowest and highest port that it hands out for outgoing connections.
    pub ephemeral: Option<[u16; 2]>,
    /// How many numbers of that range are reserved.
    pub reserved: Option<usize>,
    /// Distinct numbers in use.
    pub gauges: Vec<GaugeReport>,
    /// The destinations that TCP clients use the most numbers for, the fullest first; as many as `--top` says.
    pub destinations: Vec<DestinationReport<'a>>,
    /// How many destinations there are.
    pub destination_count: usize,
    /// The accept queues in which connections wait, the fullest first; as many as `--top` says.
    pub queues: Vec<QueueUseReport<'a>>,
    /// How many listeners there are whose queue is known.
    pub queue_count: usize,
    /// Connections lost to full accept queues since the space began.
    pub listen_overflows: Option<u64>,
}

/// Distinct numbers in use.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Gauge")]
pub struct GaugeReport {
    /// `tcp` or `udp`.
    pub protocol: &'static str,
    /// `well-known`, `registered`, `dynamic` or `ephemeral`.
    pub numbers: &'static str,
    /// The lowest of these numbers.
    pub first: u16,
    /// The highest of these numbers.
    pub last: u16,
    /// How many are in use by sockets in any state; of the ephemeral range without those of connections in TIME_WAIT that
    /// the kernel gives up for a new one.
    pub used: usize,
    /// How many there are, without the reserved ones of the ephemeral range.
    pub limit: usize,
    /// The used part, from 0 to 1.
    pub share: f64,
}

/// One end that clients of this space are connected to, from one of its addresses.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Destination")]
pub struct DestinationReport<'a> {
    /// The local address.
    pub local: IpAddr,
    /// The other end.
    pub peer: EndpointReport,
    /// The interface, where one of the addresses is link-local; null otherwise.
    pub device: Option<&'a str>,
    /// Distinct local ports in use for it.
    pub used: usize,
    /// How many there are: the ephemeral range without reserved numbers and those of listeners.
    pub limit: Option<usize>,
    /// The part that a new connection cannot have, from 0 to 1.
    pub share: Option<f64>,
    /// How many of the used ones are in TIME_WAIT, held by nobody.
    pub time_wait: usize,
    /// How many of those the kernel gives up for a new connection (`tcp_tw_reuse`); they do not count for `share`.
    pub reusable: usize,
    /// The processes that hold the others, the one with the most first.
    pub processes: Vec<CauseReport<'a>>,
}

/// A process and what it holds.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Cause")]
pub struct CauseReport<'a> {
    /// Its number.
    pub pid: u32,
    /// Its short name, which the process itself may change.
    pub name: Option<Cow<'a, str>>,
    /// How many of the connections it holds.
    pub connections: usize,
}

/// The accept queue of a listener.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "QueueUse")]
pub struct QueueUseReport<'a> {
    /// `tcp`.
    pub protocol: &'a str,
    /// The listener's end.
    pub local: EndpointReport,
    /// Connections that wait to be accepted.
    pub used: u32,
    /// How many may wait.
    pub limit: u32,
    /// The used part, 1 for full; the kernel lets one more wait than the limit says.
    pub share: f64,
    /// The foremost process that listens.
    pub pid: Option<u32>,
    /// Its short name.
    pub name: Option<Cow<'a, str>>,
}

/// Something that is fuller than it should be.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Excess")]
pub struct ExcessReport<'a> {
    /// The id of its space.
    pub space: u64,
    /// That space's name for people.
    pub label: &'a str,
    /// What it is and how full, in words.
    pub what: String,
}

impl<'a> UsageReport<'a> {
    /// Turns measured spaces into the document.
    pub fn new(
        listing: &'a Listing<'a>,
        spaces: &'a [SpaceUsage<'a>],
        top: usize,
        warn: Option<f64>,
        program: Option<&Path>,
    ) -> Envelope<'a, UsageReport<'a>> {
        let above = |space: &'a SpaceUsage<'a>| {
            let excesses = space.above(warn.unwrap_or(MARKED_ABOVE)).into_iter();
            excesses.map(move |excess| ExcessReport {
                space: space.space.id.0,
                label: &space.space.label,
                what: described(&excess),
            })
        };
        let body = UsageReport {
            spaces: spaces.iter().map(|space| space_usage(space, top)).collect(),
            warn,
            above: spaces.iter().flat_map(above).collect(),
        };
        Envelope::of(listing, body, program)
    }
}

fn space_usage<'a>(usage: &'a SpaceUsage<'a>, top: usize) -> SpaceUsageReport<'a> {
    let space = usage.space;
    SpaceUsageReport {
        id: space.id.0,
        kind: space.kind.name(),
        label: &space.label,
        ephemeral: space.ephemeral.map(|range| [range.first().get(), range.last().get()]),
        reserved: space.ephemeral.and(space.reserved.as_ref()).map(|_| usage.reserved),
        gauges: usage.gauges.iter().map(gauge).collect(),
        destinations: usage.destinations.iter().take(top).map(destination).collect(),
        destination_count: usage.destinations.len(),
        queues: usage.queues.iter().filter(|queue| queue.queue.used > 0).take(top).map(queue).collect(),
        queue_count: usage.queues.len(),
        listen_overflows: space.listen_overflows,
    }
}

fn gauge(gauge: &Gauge) -> GaugeReport {
    GaugeReport {
        protocol: gauge.protocol.name(),
        numbers: measured(gauge.measured),
        first: gauge.range.first().get(),
        last: gauge.range.last().get(),
        used: gauge.share.used,
        limit: gauge.share.limit,
        share: gauge.share.part(),
    }
}

fn end(end: Endpoint) -> EndpointReport {
    EndpointReport { address: end.address, port: end.port.get() }
}

fn name(process: Option<&Process>) -> Option<Cow<'_, str>> {
    process?.name.as_deref().map(std::ffi::OsStr::to_string_lossy)
}

fn destination<'a>(destination: &Destination<'a>) -> DestinationReport<'a> {
    let cause = |(pid, process, connections): &(Pid, Option<&'a Process>, usize)| CauseReport {
        pid: pid.0,
        name: name(*process),
        connections: *connections,
    };
    DestinationReport {
        local: destination.local,
        peer: end(destination.peer),
        device: destination.device,
        used: destination.used,
        limit: destination.limit,
        share: destination.share().map(Share::part),
        time_wait: destination.time_wait,
        reusable: destination.reusable,
        processes: destination.causes.iter().map(cause).collect(),
    }
}

fn queue<'a>(queue: &QueueUse<'a>) -> QueueUseReport<'a> {
    let process = queue.row.processes.first();
    QueueUseReport {
        protocol: queue.row.socket.protocol.name(),
        local: end(queue.row.socket.local),
        used: queue.queue.used,
        limit: queue.queue.limit,
        share: queue.share().part(),
        pid: process.map(|(pid, _)| pid.0),
        name: process.and_then(|(_, process)| name(*process)),
    }
}
