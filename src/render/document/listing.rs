//! The JSON document: a public contract, apart from the model so that the model may change.
//!
//! `portscope schema` prints its JSON Schema; the doc comments below are its descriptions.

use std::io;
use std::num::NonZeroU64;

use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use crate::model::{Endpoint, Inode, Listing, Reachability, Row, Service, Uid};
use crate::render::document::envelope::Envelope;
use crate::render::document::flow::{self, PendingReport, QueueReport, TimerReport, TrafficReport};
use crate::render::document::forward::{ForwardReport, ReachabilityReport, forward, reachability};
use crate::render::document::owner::{OwnerReport, owner};
use crate::render::document::repeats::Repeat;
use crate::render::document::space::{SpaceReport, space};
pub use crate::render::document::visibility::{Visibility, visibility};

pub use crate::model::SCHEMA;

/// The sockets of one host and their owners. Unknown values are null.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "portscope report", rename = "Report")]
pub struct Report<'a> {
    /// How the data was collected: `native` (the kernel, Linux) or `portable` (netstat2 and sysinfo).
    pub backend: &'a str,
    /// Where the socket table was read: `netlink`, `proc-net` (netlink was refused; less detail) or `netstat2`.
    pub socket_source: &'a str,
    /// How owners were found: `task-iter` (a BPF iterator), `fd-scan` (`/proc/PID/fd`) or `system`.
    pub owner_source: &'a str,
    /// Which sockets the report covers.
    pub scope: ScopeReport,
    /// The port spaces (network namespaces) that were listed.
    pub spaces: Vec<SpaceReport<'a>>,
    /// The sockets that match the command line, in the order of the table.
    #[schemars(with = "Vec<SocketReport<'a>>")]
    pub sockets: Sockets<'a>,
}

/// Rows that become objects one by one as they are written: on a host with 100,000 sockets that saves a copy of all.
#[derive(Debug)]
pub struct Sockets<'a>(&'a [Row<'a>]);

impl Sockets<'_> {
    /// No socket; for what is around the list.
    pub fn none() -> Self {
        Sockets(&[])
    }
}

impl Serialize for Sockets<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(socket))
    }
}

/// Which sockets a report covers.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Scope")]
pub struct ScopeReport {
    /// The protocols covered; empty if unknown.
    pub protocols: Vec<&'static str>,
    /// The address families covered; empty if unknown.
    pub families: Vec<&'static str>,
    /// Whether some of those sockets were left out by filters.
    pub filtered: bool,
}

/// One end of a connection.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Endpoint")]
pub struct EndpointReport {
    /// The IP address; `0.0.0.0` and `::` mean every address.
    pub address: std::net::IpAddr,
    /// The port.
    pub port: u16,
}

/// One socket.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Socket")]
pub struct SocketReport<'a, Owner = OwnerReport<'a>, Reached = ReachabilityReport> {
    /// The ID of its port space.
    pub space: u64,
    /// `tcp` or `udp`.
    pub protocol: &'a str,
    /// `ipv4` or `ipv6`: the family that the socket was created for.
    pub family: &'a str,
    /// The local endpoint.
    pub local: EndpointReport,
    /// The remote endpoint; null if there is none or it is unknown.
    pub peer: Option<EndpointReport>,
    /// `LISTEN`, `BOUND`, `UNCONN`, `ESTABLISHED`, `SYN_SENT`, `SYN_RECV`, `FIN_WAIT1`, `FIN_WAIT2`, `CLOSE_WAIT`,
    /// `CLOSING`, `LAST_ACK`, `TIME_WAIT`, `CLOSE`, or `REDIRECT` for a published port without a socket; null if the
    /// system does not report it.
    pub state: Option<&'a str>,
    /// `well-known` (0-1023), `registered` (1024-49151) or `dynamic` (49152-65535).
    pub category: &'a str,
    /// The service that the local port is assigned to, which is not necessarily what runs there.
    pub service: Option<ServiceReport<'a>>,
    /// The kind of local address: `loopback`, `link-local`, `private`, `public` or `any`.
    pub exposure: &'a str,
    /// The network interface that it is bound to.
    pub device: Option<&'a str>,
    /// Whether an IPv6 socket does not accept IPv4.
    pub v6only: Option<bool>,
    /// The accept queue of a listener.
    pub queue: Option<QueueReport>,
    /// What waits in the buffers of any other socket; null where the system does not report it.
    pub pending: Option<PendingReport>,
    /// Its inode: the number of its file in the kernel.
    pub inode: Option<u64>,
    /// The ID of the user that created it; null if the kernel does not know it (`TIME_WAIT`).
    pub uid: Option<u32>,
    /// The name of that user.
    pub user: Option<&'a str>,
    /// The kernel's ID for it, unique since boot.
    pub cookie: Option<u64>,
    /// Whether the kernel chose the local port of a UDP socket; null if that is not reported.
    pub autobound: Option<bool>,
    /// How long a connection in TIME_WAIT keeps its ports, in milliseconds.
    pub time_left_ms: Option<u64>,
    /// What a TCP connection has carried; null unless `--traffic` asked for it, for other sockets, and where the system
    /// does not report it.
    pub traffic: Option<TrafficReport>,
    /// The timer that is running for a TCP connection; null if there is none or the system does not report it.
    pub timer: Option<TimerReport>,
    /// Where a published port is forwarded to.
    pub forward: Option<ForwardReport<'a>>,
    /// What the firewall does to what is sent to the port of a listener; null for other sockets, and where nobody looks
    /// for its rules.
    pub reachability: Option<Reached>,
    /// The systemd units that a listener of process 1 is held for.
    pub activation: Option<ActivationReport<'a>>,
    /// Its owner.
    pub owner: Owner,
    /// Who holds the other end of a connection, where that is on this machine: in the same port space, or in another one
    /// that was listed. Null where it is elsewhere or not known, and in a redacted report.
    pub peer_owner: Option<Owner>,
}

/// The systemd units that a listener is held for until a client connects.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Activation")]
pub struct ActivationReport<'a> {
    /// The `.socket` unit.
    pub socket: &'a str,
    /// The unit that it starts.
    pub service: Option<&'a str>,
}

/// A registered service.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Service")]
pub struct ServiceReport<'a> {
    /// Its short name.
    pub name: &'a str,
    /// `user` (a label), `well-known` (the built-in table), `host` (`/etc/services`) or `iana`.
    pub source: &'a str,
    /// A description.
    pub description: Option<&'a str>,
}

impl<'a> Report<'a> {
    /// Turns a listing into the document.
    pub fn new(listing: &'a Listing<'a>, program: Option<&std::path::Path>) -> Envelope<'a, Report<'a>> {
        let snapshot = listing.snapshot;
        let body = Report {
            backend: snapshot.backend.name(),
            socket_source: snapshot.socket_source.name(),
            owner_source: snapshot.owner_source.name(),
            scope: scope(listing),
            spaces: snapshot.spaces.iter().map(space).collect(),
            sockets: Sockets(&listing.rows),
        };
        Envelope::of(listing, body, program)
    }
}

fn scope(listing: &Listing<'_>) -> ScopeReport {
    let scope = &listing.snapshot.scope;
    ScopeReport {
        protocols: scope.protocols.iter().map(|protocol| protocol.name()).collect(),
        families: scope.families.iter().map(|family| family.name()).collect(),
        filtered: scope.filtered || listing.filtered,
    }
}

pub(super) fn endpoint(end: Endpoint) -> EndpointReport {
    EndpointReport { address: end.address, port: end.port.get() }
}

/// Turns a row into its object.
pub fn socket<'a>(row: &'a Row<'a>) -> SocketReport<'a> {
    let reached = |known: Reachability| reachability(&known, row.socket.local.port);
    fields(row, reached, owner(row), row.peer_row().as_ref().map(owner))
}

/// Writes the fields of a row's object up to its owners, a comma behind each. serde_json would look for characters to
/// escape in the names and words of this program, which are most of the text.
pub(super) fn write_fields(
    row: &Row<'_>,
    last_reachability: &mut Repeat<Reachability>,
    text: &mut Vec<u8>,
) -> io::Result<()> {
    let port = row.socket.local.port;
    let mut reached = |text: &mut Vec<u8>, name: &str, known: Option<Reachability>| -> io::Result<()> {
        let Some(known) = known else { return any(text, name, ()) };
        // Where a rule leads may depend on the port.
        let has_lead = [&known.outside, &known.local].iter().any(|redirection| redirection.lead().is_some());
        if has_lead {
            return any(text, name, reachability(&known, port));
        }
        last_reachability.add(known, text, |known, text| any(text, name, reachability(known, port)))
    };
    macro_rules! write_in_order {
        ($($name:ident: $way:ident)*) => {
            let SocketReport { $($name,)* owner: (), peer_owner: None | Some(()) } =
                fields(row, |known| known, (), None);
            $(
                $way(text, concat!("\"", stringify!($name), "\":"), $name)?;
            )*
        };
    }
    write_in_order!(
        space: any protocol: word family: word local: end peer: end state: word category: word service: any
        exposure: word device: any v6only: any queue: any pending: any inode: any uid: any user: any cookie: any
        autobound: any time_left_ms: any traffic: any timer: any forward: any reachability: reached activation: any
    );
    Ok(())
}

/// Writes a field and a comma.
fn any(text: &mut Vec<u8>, name: &str, value: impl Serialize) -> io::Result<()> {
    text.extend(name.as_bytes());
    serde_json::to_writer(&mut *text, &value)?;
    text.push(b',');
    Ok(())
}

/// One of the words of this program: nothing in them is escaped.
fn word<'a>(text: &mut Vec<u8>, name: &str, word: impl Into<Option<&'a str>>) -> io::Result<()> {
    let Some(word) = word.into() else { return any(text, name, ()) };
    for part in [name, "\"", word, "\","] {
        text.extend(part.as_bytes());
    }
    Ok(())
}

/// One end of a connection.
fn end(text: &mut Vec<u8>, name: &str, end: impl Into<Option<EndpointReport>>) -> io::Result<()> {
    let Some(EndpointReport { address, port }) = end.into() else { return any(text, name, ()) };
    text.extend(name.as_bytes());
    any(text, "{\"address\":", address)?;
    any(text, "\"port\":", port)?;
    text.pop();
    text.extend(b"},");
    Ok(())
}

/// The same with these owners, and what `reached` makes of what the firewall does.
fn fields<'a, Owner, Reached>(
    row: &'a Row<'a>,
    reached: impl FnOnce(Reachability) -> Reached,
    owner: Owner,
    peer_owner: Option<Owner>,
) -> SocketReport<'a, Owner, Reached> {
    let socket = row.socket;
    SocketReport {
        space: socket.space.0,
        protocol: socket.protocol.name(),
        family: socket.family.name(),
        local: endpoint(socket.local),
        peer: socket.peer.map(endpoint),
        state: socket.state.map(crate::model::State::name),
        category: row.category.name(),
        service: row.service().map(service),
        exposure: row.exposure.name(),
        device: socket.device.as_deref(),
        v6only: socket.v6only,
        queue: socket.queue().map(flow::queue),
        pending: socket.pending().map(flow::pending),
        inode: socket.inode.map(Inode::get),
        uid: socket.uid.map(|Uid(uid)| uid),
        user: row.user(),
        cookie: socket.cookie.map(NonZeroU64::get),
        autobound: socket.autobound,
        traffic: socket.traffic.as_deref().map(flow::traffic),
        timer: socket.timer.map(flow::timer),
        time_left_ms: socket.time_left().map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
        forward: socket.forward().map(forward),
        reachability: row.is_listener.then(|| row.snapshot.reachability(socket)).flatten().map(reached),
        activation: socket
            .activation()
            .as_ref()
            .map(|activation| ActivationReport { socket: &activation.socket, service: activation.service.as_deref() }),
        owner,
        peer_owner,
    }
}

/// Turns a service into its object.
pub(super) fn service(service: Service<'_>) -> ServiceReport<'_> {
    ServiceReport { name: service.name, source: service.source.name(), description: service.description }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::catalogue::Catalogue;
    use crate::model::{Activation, Belonging, Holder, Owner, Snapshot, Socket, StandsFor};
    use crate::render::document::{csv, json};
    use crate::render::words::column::Column;
    use crate::{join, testing};

    fn listing_of<'a>(snapshot: &'a Snapshot, catalogue: &'a Catalogue) -> Listing<'a> {
        let mut listing = join::listing(snapshot, Some(catalogue));
        crate::select::in_default_order(&mut listing.rows);
        listing
    }

    #[test]
    fn a_report_that_is_written_in_blocks_is_the_same_as_in_one_piece() {
        let (mut snapshot, catalogue) = (testing::snapshot(), Catalogue::default());
        let unit = Belonging { unit: Some("other.service".to_owned()), ..Belonging::default() };
        snapshot.cgroups.insert(77, unit);
        let held = snapshot.sockets.iter().find(|socket| socket.owner.holders().len() == 1).unwrap().clone();
        for (fd, cgroup) in [(Some(7), held.cgroup), (None, held.cgroup), (Some(8), NonZeroU64::new(77))] {
            let owner = Owner::Processes(vec![Holder { fd, ..held.owner.holders()[0] }].into());
            snapshot.sockets.push(Socket { cgroup, owner, ..held.clone() });
        }
        let activation = StandsFor::Activation(Activation { socket: "web.socket".to_owned(), service: None });
        snapshot.sockets.push(Socket { stands_for: Some(Box::new(activation)), ..held });
        let mut listing = listing_of(&snapshot, &catalogue);
        for (row, place) in listing.rows.iter_mut().zip(1..) {
            row.counterpart = NonZeroU32::new(place);
        }
        let (mut blocks, mut whole) = (Vec::new(), Vec::new());
        json::write_report(&mut blocks, &listing, None, false).unwrap();
        json::write(&mut whole, &Report::new(&listing, None), false).unwrap();
        assert_eq!(String::from_utf8(blocks).unwrap(), String::from_utf8(whole).unwrap());
    }

    #[test]
    #[cfg_attr(windows, ignore = "the hint is sudo's")]
    fn the_other_formats_carry_every_holder() {
        let (snapshot, catalogue) = (testing::snapshot(), Catalogue::default());
        let listing = listing_of(&snapshot, &catalogue);
        let mut text = Vec::new();
        json::write(&mut text, &Report::new(&listing, Some("/usr/bin/portscope".as_ref())), true).unwrap();
        insta::assert_snapshot!("json", String::from_utf8(text).unwrap());
        for (name, delimiter) in [("csv", b','), ("tsv", b'\t')] {
            let mut text = Vec::new();
            csv::write(&mut text, &listing, &Column::DEFAULT, delimiter, false).unwrap();
            insta::assert_snapshot!(name, String::from_utf8(text).unwrap());
        }
        let mut text = Vec::new();
        json::write_lines(&mut text, &listing).unwrap();
        insta::assert_snapshot!("ndjson", String::from_utf8(text).unwrap());
    }
}
