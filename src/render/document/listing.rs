//! The JSON document: a public contract, apart from the model so that the model may change.
//!
//! `portscope schema` prints its JSON Schema; the doc comments below are its descriptions.

use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use crate::model::{
    Container, Endpoint, Forward, ForwardTarget, Host, Listing, Owner, Pid, Port, PortRange, Process, Reachability,
    Redirection, Row, Service, Space, TimeWaitReuse, Uid,
};
use crate::render::document::envelope::Envelope;
use crate::render::document::flow::{self, PendingReport, QueueReport, TimerReport, TrafficReport};
use crate::render::document::process::{ProcessReport, process_report};
pub use crate::render::document::visibility::{Visibility, visibility};
use crate::render::text::time;

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

/// The host that was inspected.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Host")]
pub struct HostReport<'a> {
    /// Its hostname.
    pub name: Option<&'a str>,
    /// The operating system and its version.
    pub os: Option<&'a str>,
    /// The kernel release.
    pub kernel: Option<&'a str>,
    /// The boot ID, which changes each time the system boots (Linux).
    pub boot_id: Option<&'a str>,
    /// When the sockets were listed, in RFC 3339 format and UTC.
    pub captured_at: String,
}

/// One port space (network namespace): the 65,536 ports of one network stack.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Space")]
pub struct SpaceReport<'a> {
    /// The inode of the network namespace; if this user lacks permission to look it up, the inode of its tables under
    /// /proc (`source` is then `proc-net`); 0 on a system without namespaces.
    pub id: u64,
    /// `host`, `container`, `unit` or `netns`.
    pub kind: &'a str,
    /// Its display name.
    pub label: &'a str,
    /// Where its socket table was read, as in `socket_source`.
    pub source: &'a str,
    /// The number of processes in it; null if they were not counted.
    pub processes: Option<usize>,
    /// The containers in it.
    pub containers: Vec<ContainerReport<'a>>,
    /// The lowest and highest port of its ephemeral range, used for outgoing connections.
    pub ephemeral: Option<[u16; 2]>,
    /// Reserved ports, which outgoing connections never get, as pairs of lowest and highest.
    pub reserved: Option<Vec<[u16; 2]>>,
    /// The lowest port that can be bound without a privilege.
    pub unprivileged_start: Option<u32>,
    /// Which connections in TIME_WAIT leave their port to a new connection to the same destination: `never`, `loopback`
    /// or `always`.
    pub time_wait_reuse: Option<&'a str>,
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
pub struct SocketReport<'a> {
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
    /// The inode of the socket.
    /// What waits in the buffers of any other socket; null where the system does not report it.
    pub pending: Option<PendingReport>,
    /// The number of its file in the kernel.
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
    pub reachability: Option<ReachabilityReport>,
    /// The systemd units that a listener of process 1 is held for.
    pub activation: Option<ActivationReport<'a>>,
    /// Its owner.
    pub owner: OwnerReport<'a>,
    /// Who holds the other end of a connection, where that is on this machine: in the same port space, or in another one
    /// that was listed. Null where it is elsewhere or not known, and in a redacted report.
    pub peer_owner: Option<OwnerReport<'a>>,
}

/// Where a published port is forwarded to.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Forward")]
pub struct ForwardReport<'a> {
    /// `proxy` (a process such as docker-proxy) or `nat` (a firewall rule).
    pub by: &'a str,
    /// The endpoint that answers.
    pub to: TargetReport,
    /// The container with this address.
    pub container: Option<ContainerReport<'a>>,
    /// The service of Kubernetes that the rules name: `default/web`.
    pub service: Option<&'a str>,
}

/// What the firewall does to what is sent to a port.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Reachability")]
pub struct ReachabilityReport {
    /// To connections of other hosts.
    pub outside: RedirectionReport,
    /// To connections of this host.
    pub local: RedirectionReport,
    /// The rule that is sure to drop everything from other hosts; null where none is known to.
    pub filtered: Option<String>,
}

/// What it does to the connections of one class of senders.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Redirection")]
pub struct RedirectionReport {
    /// `not` (they reach the port), `certain` (all of them go elsewhere), `some` (those of some senders do), or
    /// `unknown`.
    pub answer: &'static str,
    /// Where they go; of several targets the first.
    pub to: Option<TargetReport>,
    /// By which rule: its table, chain and place.
    pub rule: Option<String>,
    /// Which senders, for `some`: `via tun0, from 10.0.0.0/8`.
    pub senders: Option<String>,
    /// Why it is not known.
    pub reason: Option<String>,
}

/// The endpoint that answers for a published port.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Target")]
pub struct TargetReport {
    /// The IP address; all zeros means this host.
    pub address: std::net::IpAddr,
    /// The port; null if it is one of several or unknown.
    pub port: Option<u16>,
    /// The first and last of several ports among which the firewall chooses; null if there is only one.
    pub ports: Option<[u16; 2]>,
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

/// The owner of a socket, and how well it is known.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Owner")]
pub struct OwnerReport<'a> {
    /// `process`; for a hidden owner the best that is known about it: `container`, `unit`, `user` or `hidden` (nothing);
    /// `none` if no process holds it. `unit` also if systemd holds it for a unit that it starts on demand.
    pub tier: &'a str,
    /// Why there is no process. For tier `none`, one of `time-wait`, `handshake`, `closing`, `unaccepted`, `in-flight`,
    /// `redirected`;
    /// for a hidden owner, one of `permission`, `protected`, `pid-namespace`, `not-found`, `no-processes`,
    /// `ambiguous`, `unsupported`.
    pub reason: Option<&'a str>,
    /// Every process that holds it, the main one first.
    pub processes: Vec<ProcessReport<'a>>,
    /// The systemd unit of this host whose cgroup created it, never a unit inside a container. Only a hint, because users
    /// can name their own units.
    pub unit: Option<&'a str>,
    /// The container whose cgroup created it. Only a hint, like the unit.
    pub container: Option<ContainerReport<'a>>,
    /// For nested containers, the outermost one, which is the one to stop; `container` is the innermost.
    pub outer_container: Option<ContainerReport<'a>>,
    /// The names of the fields above that only the process itself, or its user, vouches for: `unit`, `container`,
    /// `outer_container`, and `exe` for a path that means another file outside of its mount namespace. The names, `runs`,
    /// and arguments of processes are always such claims.
    pub claims: Vec<&'a str>,
}

/// A container, as far as it is known from the cgroup path.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Container")]
pub struct ContainerReport<'a> {
    /// What runs it: `docker`, `podman`, `containerd`, `cri-o`, `cri`, `lxc`, `nspawn`, or `container` if
    /// its runtime is unknown.
    pub runtime: &'a str,
    /// Its ID, or its name if the runtime has no IDs.
    pub id: &'a str,
    /// Its name, if the runtime reported it.
    pub name: Option<&'a str>,
    /// The image that it was created from, if the runtime reported it.
    pub image: Option<&'a str>,
    /// Its pod: the name if it is known, otherwise the UID.
    pub pod: Option<&'a str>,
    /// Its Compose service as `PROJECT/SERVICE`, if the runtime reported it.
    pub compose: Option<&'a str>,
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

/// Turns the host into its object.
pub fn host(host: &Host) -> HostReport<'_> {
    HostReport {
        name: host.name.as_deref(),
        os: host.os.as_deref(),
        kernel: host.kernel.as_deref(),
        boot_id: host.boot_id.as_deref(),
        captured_at: time::rfc3339(host.captured_at),
    }
}

/// Turns a space into its object.
pub fn space(space: &Space) -> SpaceReport<'_> {
    SpaceReport {
        id: space.id.0,
        kind: space.kind.name(),
        label: &space.label,
        source: space.source.name(),
        processes: space.processes,
        containers: space.containers.iter().map(container).collect(),
        ephemeral: space.ephemeral.map(pair),
        reserved: space.reserved.as_ref().map(|ranges| ranges.iter().copied().map(pair).collect()),
        unprivileged_start: space.unprivileged_start,
        time_wait_reuse: space.time_wait_reuse.map(TimeWaitReuse::name),
    }
}

fn pair(range: PortRange) -> [u16; 2] {
    [range.first().get(), range.last().get()]
}

fn forward(forward: &Forward) -> ForwardReport<'_> {
    ForwardReport {
        by: forward.by.name(),
        to: target(forward.to),
        container: forward.container.as_ref().map(container),
        service: forward.service.as_deref(),
    }
}

/// Turns what happens to a port into its object.
pub(super) fn reachability(reachability: &Reachability, port: Port) -> ReachabilityReport {
    let redirection = |redirection: &Redirection| RedirectionReport {
        answer: redirection.name(),
        to: redirection.lead().map(|lead| target(lead.to.of(port))),
        rule: redirection.lead().map(|lead| lead.rule.to_string()),
        senders: match redirection {
            Redirection::Some(_, senders) => Some(senders.to_string()),
            _ => None,
        },
        reason: match redirection {
            Redirection::Unknown(why) => Some(why.clone()),
            _ => None,
        },
    };
    ReachabilityReport {
        outside: redirection(&reachability.outside),
        local: redirection(&reachability.local),
        filtered: reachability.filtered.as_ref().map(ToString::to_string),
    }
}

fn target(to: ForwardTarget) -> TargetReport {
    let port = to.port();
    let ports = to.ports.filter(|_| port.is_none()).map(pair);
    TargetReport { address: to.address, port: port.map(Port::get), ports }
}

pub(super) fn endpoint(end: Endpoint) -> EndpointReport {
    EndpointReport { address: end.address, port: end.port.get() }
}

/// Turns a row into its object.
pub fn socket<'a>(row: &'a Row<'a>) -> SocketReport<'a> {
    let socket = row.socket;
    SocketReport {
        space: socket.space.0,
        protocol: socket.protocol.name(),
        family: socket.family.name(),
        local: endpoint(socket.local),
        peer: socket.peer.map(endpoint),
        state: socket.state.map(crate::model::State::name),
        category: row.category.name(),
        service: row.service.map(service),
        exposure: row.exposure.name(),
        device: socket.device.as_deref(),
        v6only: socket.v6only,
        queue: socket.queue.map(flow::queue),
        pending: socket.pending.map(flow::pending),
        inode: socket.inode.map(|inode| inode.0),
        uid: socket.uid.map(|Uid(uid)| uid),
        user: row.user,
        cookie: socket.cookie,
        autobound: socket.autobound,
        traffic: socket.traffic.as_deref().map(flow::traffic),
        timer: socket.timer.map(flow::timer),
        time_left_ms: socket.time_left().map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
        forward: socket.forward.as_deref().map(forward),
        reachability: row
            .snapshot
            .reachability(socket)
            .filter(|_| row.is_listener)
            .map(|known| reachability(&known, socket.local.port)),
        activation: socket
            .activation
            .as_ref()
            .map(|activation| ActivationReport { socket: &activation.socket, service: activation.service.as_deref() }),
        owner: owner(row),
        peer_owner: row.peer_row().as_ref().map(owner),
    }
}

/// Turns a service into its object.
pub(super) fn service(service: Service<'_>) -> ServiceReport<'_> {
    ServiceReport { name: service.name, source: service.source.name(), description: service.description }
}

fn owner<'a>(row: &Row<'a>) -> OwnerReport<'a> {
    let reason = match &row.socket.owner {
        Owner::Processes(_) => None,
        Owner::Nobody(why) => Some(why.name()),
        Owner::Hidden(because) => Some(because.name()),
    };
    let process = |(pid, process): &(Pid, Option<&'a Process>)| process_report(row, *pid, *process);
    OwnerReport {
        tier: row.tier().name(),
        reason,
        processes: row.processes.iter().map(process).collect(),
        unit: row.unit(),
        container: row.belonging.and_then(|belonging| belonging.container.as_ref()).map(container),
        outer_container: row.belonging.and_then(|belonging| belonging.outer.as_ref()).map(container),
        claims: claims(row),
    }
}

fn claims(row: &Row<'_>) -> Vec<&'static str> {
    let claims_unit = row.unit().is_some() && !row.belonging.is_some_and(|belonging| belonging.origin.decides());
    let claimed = |container: Option<&Container>| container.is_some_and(|container| !container.origin.decides());
    let container = row.belonging.and_then(|belonging| belonging.container.as_ref());
    let outer = row.belonging.and_then(|belonging| belonging.outer.as_ref());
    let mut processes =
        row.processes.iter().filter_map(|(_, process)| process.and_then(|process| process.executable.as_ref()));
    let claims = [
        ("unit", claims_unit),
        ("container", claimed(container)),
        ("outer_container", claimed(outer)),
        ("exe", processes.any(|executable| !executable.is_here)),
    ];
    claims.into_iter().filter(|(_, is_claim)| *is_claim).map(|(name, _)| name).collect()
}

fn container(container: &Container) -> ContainerReport<'_> {
    ContainerReport {
        runtime: container.runtime.name(),
        id: &container.id,
        name: container.name.as_deref(),
        image: container.image.as_deref(),
        pod: container.pod.as_deref(),
        compose: container.compose.as_deref(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Catalogue;
    use crate::model::Snapshot;
    use crate::render::document::{csv, json};
    use crate::render::words::column::Column;
    use crate::{join, testing};

    fn listing_of<'a>(snapshot: &'a Snapshot, catalogue: &'a Catalogue) -> Listing<'a> {
        let mut listing = join::listing(snapshot, Some(catalogue));
        crate::select::in_default_order(&mut listing.rows);
        listing
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
