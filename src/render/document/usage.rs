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

/// How full the port spaces (network namespaces) of one host are. Unknown values are null.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "portscope usage", rename = "Usage")]
pub struct UsageReport<'a> {
    /// The port spaces.
    pub spaces: Vec<SpaceUsageReport<'a>>,
    /// The threshold set with `--warn`, from 0 to 1.
    pub warn: Option<f64>,
    /// Everything fuller than that threshold, or than 0.8 if none was set.
    pub above: Vec<ExcessReport<'a>>,
}

/// How full one port space is.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SpaceUsage")]
pub struct SpaceUsageReport<'a> {
    /// The inode of the network namespace; if this user lacks permission to look it up, the inode of its tables under
    /// /proc (`source` is then `proc-net`); 0 on a system without namespaces.
    pub id: u64,
    /// `host`, `container`, `unit` or `netns`.
    pub kind: &'a str,
    /// Its display name.
    pub label: &'a str,
    /// The lowest and highest port of its ephemeral range, used for outgoing connections.
    pub ephemeral: Option<[u16; 2]>,
    /// The number of reserved ports in that range.
    pub reserved: Option<usize>,
    /// Distinct ports in use.
    pub gauges: Vec<GaugeReport>,
    /// The destinations that TCP clients use the most ports for, fullest first; at most `--top` of them.
    pub destinations: Vec<DestinationReport<'a>>,
    /// The total number of destinations.
    pub destination_count: usize,
    /// The accept queues in which connections are waiting, fullest first; at most `--top` of them.
    pub queues: Vec<QueueUseReport<'a>>,
    /// The number of listeners whose accept queue is known.
    pub queue_count: usize,
    /// Connections lost to full accept queues since the network namespace was created.
    pub listen_overflows: Option<u64>,
}

/// Distinct ports in use.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Gauge")]
pub struct GaugeReport {
    /// `tcp` or `udp`.
    pub protocol: &'static str,
    /// `well-known`, `registered`, `dynamic` or `ephemeral`.
    pub numbers: &'static str,
    /// The lowest of these ports.
    pub first: u16,
    /// The highest of these ports.
    pub last: u16,
    /// The number of ports in use by sockets in any state; for the ephemeral range, excluding connections in TIME_WAIT
    /// that the kernel gives up for a new one.
    pub used: usize,
    /// The number of ports available, excluding reserved ports of the ephemeral range.
    pub limit: usize,
    /// The fraction in use, from 0 to 1.
    pub share: f64,
}

/// A remote endpoint that clients in this port space are connected to, and the local address that they use.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Destination")]
pub struct DestinationReport<'a> {
    /// The local address.
    pub local: IpAddr,
    /// The remote endpoint.
    pub peer: EndpointReport,
    /// The network interface, if one of the addresses is link-local; null otherwise.
    pub device: Option<&'a str>,
    /// Distinct local ports in use for it.
    pub used: usize,
    /// The number of ports available: the ephemeral range without reserved ports and ports of listeners.
    pub limit: Option<usize>,
    /// The fraction that a new connection cannot use, from 0 to 1.
    pub share: Option<f64>,
    /// The number of used ports in TIME_WAIT, which no process holds.
    pub time_wait: usize,
    /// The number of those that the kernel gives up for a new connection (`tcp_tw_reuse`); `share` does not count them.
    pub reusable: usize,
    /// The processes that hold the others, most connections first.
    pub processes: Vec<CauseReport<'a>>,
}

/// A process and its number of connections.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Cause")]
pub struct CauseReport<'a> {
    /// Its PID.
    pub pid: u32,
    /// Its short name, which the process itself can change.
    pub name: Option<Cow<'a, str>>,
    /// The number of these connections that it holds.
    pub connections: usize,
}

/// The accept queue of a listener.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "QueueUse")]
pub struct QueueUseReport<'a> {
    /// `tcp`.
    pub protocol: &'a str,
    /// The listener's local endpoint.
    pub local: EndpointReport,
    /// The number of connections waiting to be accepted.
    pub used: u32,
    /// The number of connections that can wait.
    pub limit: u32,
    /// The fraction in use, where 1 is full; the kernel allows one more than the limit.
    pub share: f64,
    /// The PID of the main listening process.
    pub pid: Option<u32>,
    /// Its short name.
    pub name: Option<Cow<'a, str>>,
}

/// A limit that is fuller than the threshold.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Excess")]
pub struct ExcessReport<'a> {
    /// The ID of its port space.
    pub space: u64,
    /// The display name of that port space.
    pub label: &'a str,
    /// What it is and how full, as text.
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
