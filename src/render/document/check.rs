//! The JSON document of `check`: a public contract, as the report of a listing is.

use schemars::JsonSchema;
use serde::Serialize;

use crate::analyse::bind::Blocker;
use crate::analyse::cause::{Checked, Probe, Verdict};
use crate::model::{BindError, Caller, Category, Listing, Row, Uid};
use crate::render::document::envelope::Envelope;
use crate::render::document::forward::{self, ReachabilityReport};
use crate::render::document::listing::{self, ServiceReport, SocketReport};
use crate::render::document::space::{self, SpaceReport};
use crate::render::text::safe::Charset;
use crate::render::words::fix;

/// Whether ports can be bound and, if not, why. Unknown values are null.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "portscope check", rename = "Check")]
pub struct CheckReport<'a> {
    /// The port spaces (network namespaces) that were inspected; the first is the one that the binds are for.
    pub spaces: Vec<SpaceReport<'a>>,
    /// Whether every bind below succeeds and receives its traffic (exit code 0).
    pub bindable: bool,
    /// The results, by port.
    pub ports: Vec<PortReport<'a>>,
}

/// The results for one port.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "CheckedPort")]
pub struct PortReport<'a> {
    /// The port.
    pub port: u16,
    /// `well-known`, `registered` or `dynamic`.
    pub category: &'a str,
    /// The services that the port is assigned to, each listed once.
    pub services: Vec<ServiceReport<'a>>,
    /// One result for each protocol and address.
    pub binds: Vec<BindReport<'a>>,
}

/// One bind and its result.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Bind")]
pub struct BindReport<'a> {
    /// `tcp` or `udp`.
    pub protocol: &'a str,
    /// The address.
    pub address: std::net::IpAddr,
    /// The network interface that it is for.
    pub device: Option<&'a str>,
    /// Whether `IPV6_V6ONLY` is set; null for IPv4.
    pub v6only: Option<bool>,
    /// Whether `SO_REUSEADDR` is set.
    pub reuseaddr: bool,
    /// Whether `SO_REUSEPORT` is set.
    pub reuseport: bool,
    /// The user to check for, if one was given.
    pub uid: Option<u32>,
    /// `bindable`, `refused`, `shared` (the bind succeeds next to another receiving socket: it takes that socket's traffic,
    /// or the two share it), `shadowed` (the bind succeeds, but a firewall rule takes the port's traffic), or `unknown`
    /// (it depends on something that cannot be seen, and no real bind was tried).
    pub outcome: &'a str,
    /// Whether the outcome counts as success; also true for a default address that this host does not have.
    pub ok: bool,
    /// The error of bind(2): `EADDRINUSE`, `EACCES`, `EADDRNOTAVAIL`, `EAFNOSUPPORT`, `ENODEV`, `EINVAL`, or the
    /// system's error message.
    pub error: Option<&'a str>,
    /// Why: `listener`, `activation` (systemd holds it for a unit), `bound` (but not listening), `time-wait`, `client`
    /// (the port came from the ephemeral range), `connection`, `privileged`, `excluded`, `address-not-here`,
    /// `no-family`, `no-device`, `multicast` (the protocol does not support it), `redirected`, `unseen` (nothing that could
    /// be seen is in the way) or `other`.
    pub cause: Option<&'a str>,
    /// The result predicted from the sockets that were seen: `bindable`, `refused`, or `depends` (on something
    /// unknown).
    pub rule: &'a str,
    /// The result of a real bind; null if none was tried.
    pub probe: Option<ProbeReport<'a>>,
    /// Whether prediction and probe agree; null if one of them has no result.
    pub agrees: Option<bool>,
    /// Whether a real bind succeeds without `SO_REUSEADDR`; null if that was not tried.
    pub without_reuseaddr: Option<bool>,
    /// Whether a real bind succeeds with `SO_REUSEADDR`, for UDP possibly by taking the datagrams of another socket; null
    /// if that was not tried.
    pub with_reuseaddr: Option<bool>,
    /// Whether a real bind succeeds with `SO_REUSEPORT`; null if that was not tried.
    pub with_reuseport: Option<bool>,
    /// The sockets in the way, most important first.
    pub blockers: Vec<BlockerReport<'a>>,
    /// The sockets that a bind which succeeds takes from or shares with.
    pub shares_with: Vec<SocketReport<'a>>,
    /// What the firewall does to what is sent to the port.
    pub reachability: ReachabilityReport,
    /// Sockets on the same port in other port spaces, which are not in the way.
    pub elsewhere: Vec<SocketReport<'a>>,
    /// Possible fixes, as text.
    pub fixes: Vec<String>,
}

/// The result of a real bind.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Probe")]
pub struct ProbeReport<'a> {
    /// Whether it succeeded.
    pub bound: bool,
    /// The error, as above.
    pub error: Option<&'a str>,
}

/// A socket in the way.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Blocker")]
pub struct BlockerReport<'a> {
    /// How the addresses overlap: `same`, `covered-by-wildcard` (the socket is bound to every address),
    /// `covers-specific` (the bind is for every address), `their-dual-stack` (the socket is IPv6 and also accepts IPv4),
    /// `their-former-dual-stack` (it did before it was connected), `our-dual-stack`.
    pub overlap: &'a str,
    /// Whether it is in the way regardless of its socket options.
    pub certain: bool,
    /// The socket.
    pub socket: SocketReport<'a>,
}

impl<'a> CheckReport<'a> {
    /// Turns the answers into the document.
    pub fn new(
        checked: &'a [Checked<'a>],
        listing: &'a Listing<'a>,
        caller: Caller,
        program: Option<&std::path::Path>,
    ) -> Envelope<'a, CheckReport<'a>> {
        let snapshot = listing.snapshot;
        let is_asked_for = |row: &&Row<'_>| checked.iter().any(|checked| checked.port == row.socket.local.port);
        let rows = listing.rows.iter().filter(is_asked_for).cloned().collect();
        let body = CheckReport {
            spaces: snapshot.spaces.iter().map(space::space).collect(),
            bindable: checked.iter().flat_map(|port| &port.verdicts).all(Verdict::is_good),
            ports: checked.iter().map(|checked| port(checked, caller)).collect(),
        };
        Envelope::of(&Listing { snapshot, rows, filtered: true }, body, program)
    }
}

fn port<'a>(checked: &'a Checked<'a>, caller: Caller) -> PortReport<'a> {
    let mut services: Vec<_> = checked.services.iter().map(|(_, service)| *service).collect();
    services.dedup();
    PortReport {
        port: checked.port.get(),
        category: Category::of(checked.port).name(),
        services: services.into_iter().map(listing::service).collect(),
        binds: checked.verdicts.iter().map(|verdict| bind(verdict, caller)).collect(),
    }
}

/// Turns an answer into its object.
pub fn bind<'a>(verdict: &'a Verdict<'a>, caller: Caller) -> BindReport<'a> {
    let bind = &verdict.bind;
    let judgement = &verdict.judgement;
    let error = match &verdict.outcome {
        crate::analyse::cause::Outcome::Refused(refusal) => Some(refusal.name()),
        _ => None,
    };
    let works = |probe: &Option<Probe>| probe.as_ref().map(Result::is_ok);
    let socket = |row: &&'a Row<'a>| listing::socket(row);
    let blocker = |blocker: &Blocker<'a>| BlockerReport {
        overlap: blocker.overlap.name(),
        certain: blocker.is_certain,
        socket: listing::socket(blocker.row),
    };
    BindReport {
        protocol: bind.protocol.name(),
        address: bind.address,
        device: bind.device.as_deref(),
        v6only: bind.address.is_ipv6().then_some(bind.v6only),
        reuseaddr: bind.reuseaddr,
        reuseport: bind.reuseport,
        uid: bind.user.map(|Uid(uid)| uid),
        outcome: verdict.outcome.name(),
        ok: verdict.is_good(),
        error,
        cause: verdict.cause.map(crate::analyse::cause::Cause::name),
        rule: judgement.answer.name(),
        probe: verdict.probe.as_ref().map(probe),
        agrees: verdict.agrees(),
        without_reuseaddr: works(&verdict.without_reuseaddr),
        with_reuseaddr: works(&verdict.with_reuseaddr),
        with_reuseport: works(&verdict.with_reuseport),
        shares_with: verdict.shares_with().iter().map(|blocker| listing::socket(blocker.row)).collect(),
        blockers: judgement.blockers.iter().map(blocker).collect(),
        reachability: forward::reachability(&judgement.reachability, bind.port),
        elsewhere: judgement.elsewhere.iter().map(socket).collect(),
        fixes: fix::fixes(verdict, caller, Charset::Unicode),
    }
}

fn probe(probe: &Probe) -> ProbeReport<'_> {
    ProbeReport { bound: probe.is_ok(), error: probe.as_ref().err().map(BindError::name) }
}
