//! A listing by service, for programs.

use std::borrow::Cow;
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::{Listing, Row};
use crate::render::document::csv;
use crate::render::document::envelope::Envelope;
use crate::render::document::flow::{self, TrafficReport};
use crate::render::document::listing;
use crate::render::document::owner::ContainerReport;
use crate::render::document::process::{self, ProcessReport};
use crate::render::document::space::{self, SpaceReport};
use crate::render::text::safe::Charset;
use crate::render::words::column::Column;
use crate::render::words::{self, service_group};
use crate::select::group::{Group, Peer};

/// What is open, one entry for each service: what a program, unit, or container has open.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "portscope --group", rename = "Groups")]
pub struct GroupsReport<'a> {
    /// The port spaces (network namespaces) that were listed.
    pub spaces: Vec<SpaceReport<'a>>,
    /// The services, in the order of their first listener; then the clients, which have no open port.
    pub groups: Vec<GroupReport<'a>>,
}

/// A service.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Group")]
pub struct GroupReport<'a> {
    /// The ID of its port space.
    pub space: u64,
    /// Its open ports; empty for a client.
    pub ports: Vec<GroupPort<'a>>,
    /// The addresses that they are open on.
    pub addresses: Vec<IpAddr>,
    /// Its processes, the main one first. The descriptors are those of its first socket.
    pub processes: Vec<ProcessReport<'a>>,
    /// The systemd unit that created its first socket.
    pub unit: Option<&'a str>,
    /// The container that created its first socket.
    pub container: Option<ContainerReport<'a>>,
    /// The number of its connections.
    pub connections: usize,
    /// What these carry together; null unless `--traffic` asked for it, and where the system does not report it.
    pub traffic: Option<TrafficReport>,
    /// The other ends of these, the busiest first.
    pub peers: Vec<GroupPeer<'a>>,
}

/// An open port of a service.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "GroupPort")]
pub struct GroupPort<'a> {
    /// `tcp`, `udp`, or `udplite`.
    pub protocol: &'a str,
    /// The port.
    pub port: u16,
    /// The service that it is assigned to.
    pub service: Option<&'a str>,
}

/// The other end of connections.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "GroupPeer")]
pub struct GroupPeer<'a> {
    /// Its address; null for a process of this machine.
    pub address: Option<IpAddr>,
    /// The process of this machine.
    pub pid: Option<u32>,
    /// The short name of that process, which it can change.
    pub name: Option<Cow<'a, str>>,
    /// The number of connections.
    pub connections: usize,
}

impl<'a> GroupsReport<'a> {
    /// Turns the groups of a listing into the document.
    pub fn new(
        listing: &'a Listing<'a>,
        groups: &'a [Group<'a, 'a>],
        program: Option<&Path>,
    ) -> Envelope<'a, GroupsReport<'a>> {
        let body = GroupsReport {
            spaces: listing.snapshot.spaces.iter().map(space::space).collect(),
            groups: groups.iter().filter_map(report).collect(),
        };
        Envelope::of(listing, body, program)
    }
}

fn report<'a>(group: &'a Group<'a, 'a>) -> Option<GroupReport<'a>> {
    let first = *group.rows.first()?;
    let service = |protocol, port| {
        let mut rows = group.open();
        rows.find(|row| (row.socket.protocol, row.socket.local.port) == (protocol, port))
            .and_then(Row::service)
            .map(|service| service.name)
    };
    let mut addresses: Vec<IpAddr> = group.open().map(|row| row.socket.local.address).collect();
    addresses.sort_unstable();
    addresses.dedup();
    let peer = |(peer, connections): &(Peer<'a>, usize)| match peer {
        Peer::Process(pid, process) => GroupPeer {
            address: None,
            pid: Some(pid.0),
            name: process.name.as_deref().map(std::ffi::OsStr::to_string_lossy),
            connections: *connections,
        },
        Peer::Address(address) => {
            GroupPeer { address: Some(*address), pid: None, name: None, connections: *connections }
        }
    };
    let owner = listing::socket(first).owner;
    Some(GroupReport {
        space: first.space.id.0,
        ports: group
            .ports()
            .into_iter()
            .map(|(protocol, port)| GroupPort {
                protocol: protocol.name(),
                port: port.get(),
                service: service(protocol, port),
            })
            .collect(),
        addresses,
        processes: group.processes.iter().map(|(pid, known)| process::process_report(first, *pid, *known)).collect(),
        unit: owner.unit,
        container: owner.container,
        connections: group.connections,
        traffic: group.traffic.as_ref().map(flow::traffic),
        peers: group.peers.iter().map(peer).collect(),
    })
}

/// The columns of CSV and TSV; those of traffic are there where it was asked for.
const HEADS: [&str; 12] = [
    "space",
    "ports",
    "addresses",
    "services",
    "pids",
    "process",
    "project",
    "user",
    "connections",
    "rx",
    "tx",
    "peers",
];

/// Writes a line for each service. Several values stand in one cell, parted by blanks.
pub fn write_csv(
    out: &mut dyn Write,
    groups: &[Group<'_, '_>],
    delimiter: u8,
    bare: bool,
    traffic: bool,
) -> io::Result<()> {
    let is_shown = |place: usize| traffic || !matches!(HEADS[place], "rx" | "tx");
    let places: Vec<usize> = (0..HEADS.len()).filter(|place| is_shown(*place)).collect();
    let heads: Vec<&str> = places.iter().map(|place| HEADS[*place]).collect();
    let record = |group: &Group<'_, '_>| {
        let charset = Charset::Unicode;
        let of_first = |column: Column| {
            let value = group.rows.first().and_then(|row| column.value(row, charset));
            value.unwrap_or_default().into_string()
        };
        let of_traffic =
            |column: Column| words::traffic::value(column, group.traffic.as_ref()).unwrap_or_default().into_string();
        let pids: Vec<String> = group.processes.iter().map(|(pid, _)| pid.0.to_string()).collect();
        let cells = [
            of_first(Column::Space),
            service_group::ports(group, true),
            service_group::addresses(group, true),
            service_group::services(group, true, charset),
            pids.join(" "),
            service_group::program(group, charset).into_string(),
            of_first(Column::Project),
            of_first(Column::User),
            group.connections.to_string(),
            of_traffic(Column::Rx),
            of_traffic(Column::Tx),
            service_group::peers(group, charset),
        ];
        let shown = cells.into_iter().enumerate().filter(|(place, _)| places.contains(place));
        shown.map(|(_, cell)| cell).collect()
    };
    csv::write_records(out, (!bare).then_some(&heads[..]), groups.iter().map(record), delimiter)
}
