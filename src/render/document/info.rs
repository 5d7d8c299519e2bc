//! The JSON document of `info`.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;

use crate::analyse::cause::{Checked, Verdict};
use crate::analyse::dossier::{Assignment, Dossier, Objection, Peers, Place, User};
use crate::model::{Caller, Category, Listing, Pid, Process, Snapshot, Uid};
use crate::render::document::check::{self, BindReport};
use crate::render::document::envelope::Envelope;
use crate::render::document::listing::{self, ServiceReport, SocketReport};
use crate::render::document::process::{self, ProjectReport};
use crate::render::text::secrets;
use crate::render::text::time;
use crate::render::words::category as category_words;

/// Everything about one or more ports. Unknown values are null.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "portscope info", rename = "Info")]
pub struct InfoReport<'a> {
    /// How the data was collected: `native` (the kernel, Linux) or `portable` (netstat2 and sysinfo).
    pub backend: &'a str,
    /// The ports: one, or every port with the requested name.
    pub ports: Vec<PortReport<'a>>,
    /// The processes that hold the sockets, by PID.
    pub processes: Vec<OwnerProcess<'a>>,
}

/// Everything about one port.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Port")]
pub struct PortReport<'a> {
    /// The port.
    pub port: u16,
    /// Its category.
    pub category: CategoryRule,
    /// The registered services, by protocol.
    pub registrations: Vec<RegistrationReport<'a>>,
    /// Reasons against using it for your own service in this process's port space; empty if there are none.
    /// `assigned`, `well-known`, `kept-back` (reserved by IANA), `privileged`, `ephemeral`, `reserved` (by the system),
    /// `bad-port` (refused by browsers) or `in-use`. If a setting of the port space is unknown, the usual one is assumed.
    pub objections: Vec<&'static str>,
    /// The settings of each port space for it, this process's own port space first.
    pub spaces: Vec<PlaceReport<'a>>,
    /// The sockets on it by owner: listeners before connections.
    pub holdings: Vec<HoldingReport<'a>>,
    /// Whether it can be bound here, as reported by `check`, for both protocols and the default addresses; null for a
    /// saved report.
    pub binds: Option<Vec<BindReport<'a>>>,
}

/// A category of port numbers.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "CategoryRule")]
pub struct CategoryRule {
    /// `well-known`, `registered` or `dynamic`.
    pub name: &'static str,
    /// Its lowest port.
    pub first: u16,
    /// Its highest port.
    pub last: u16,
    /// How its ports are assigned, as text.
    pub rule: &'static str,
}

/// The services registered for a port and protocol.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Registration")]
pub struct RegistrationReport<'a> {
    /// `tcp` or `udp`.
    pub protocol: &'static str,
    /// The services; the first is the one that listings show.
    pub services: Vec<ServiceReport<'a>>,
    /// The IANA status of a port without a service: `Reserved` or `Unassigned`.
    pub status: Option<&'static str>,
}

/// The settings of a port space for a port.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Place")]
pub struct PlaceReport<'a> {
    /// The inode of the network namespace; if this user lacks permission to look it up, the inode of its tables under
    /// /proc (`source` is then `proc-net`); 0 on a system without namespaces.
    pub id: u64,
    /// `host`, `container`, `unit` or `netns`.
    pub kind: &'a str,
    /// Its display name.
    pub label: &'a str,
    /// The lowest and highest port of its ephemeral range, used for outgoing connections.
    pub ephemeral: Option<[u16; 2]>,
    /// Whether the port is in that range.
    pub in_ephemeral: Option<bool>,
    /// Whether it is reserved, so that no outgoing connection gets it (`ip_local_reserved_ports`).
    pub reserved: Option<bool>,
    /// The lowest port that can be bound without a privilege (`ip_unprivileged_port_start`).
    pub unprivileged_start: Option<u32>,
    /// Whether binding the port requires a privilege.
    pub privileged: Option<bool>,
}

/// The sockets on the port that have the same owner.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Holding")]
pub struct HoldingReport<'a> {
    /// Its listeners, and sockets that occupy the port without listening.
    pub open: Vec<SocketReport<'a>>,
    /// Its connections.
    pub connections: Vec<SocketReport<'a>>,
    /// The connections to its listeners, whichever process holds them; null if there are no listeners.
    pub peers: Option<PeersReport<'a>>,
}

/// A summary of connections.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Peers")]
pub struct PeersReport<'a> {
    /// The number of connections.
    pub connections: usize,
    /// The number of distinct peer addresses.
    pub addresses: usize,
    /// The number of connections in each state.
    pub states: std::collections::BTreeMap<&'static str, usize>,
    /// The processes of this machine at their other ends, those that run the same together, the busiest first.
    pub used_by: Vec<UserReport<'a>>,
}

/// Processes of this machine that run the same and are connected.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ConnectedProcesses")]
pub struct UserReport<'a> {
    /// Their short name, which the processes themselves may change.
    pub name: Option<Cow<'a, str>>,
    /// What they run, when they are interpreters; a claim.
    pub runs: Option<Cow<'a, str>>,
    /// The project of the first of them.
    pub project: Option<ProjectReport<'a>>,
    /// Their numbers.
    pub pids: Vec<u32>,
    /// How many connections they have.
    pub connections: usize,
}

/// A process that holds a socket, in full.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "OwnerProcess")]
pub struct OwnerProcess<'a> {
    /// Its PID.
    pub pid: u32,
    /// Its short name, which the process itself can change.
    pub name: Option<Cow<'a, str>>,
    /// Its ancestors, starting with the first process; ancestors that cannot be seen are missing.
    pub ancestry: Vec<AncestorReport<'a>>,
    /// The ID of the user that it runs as.
    pub uid: Option<u32>,
    /// The user that it runs as.
    pub user: Option<&'a str>,
    /// When it started, RFC 3339 in UTC.
    pub started_at: Option<String>,
    /// How long it has been running, in seconds.
    pub age_seconds: Option<u64>,
    /// Its executable as the kernel reports it, with ` (deleted)` at the end if the file is gone.
    pub exe: Option<Cow<'a, str>>,
    /// Whether that file is gone.
    pub exe_deleted: Option<bool>,
    /// What it runs, if it is an interpreter; the process can change this.
    pub runs: Option<Cow<'a, str>>,
    /// The project that it belongs to.
    pub project: Option<ProjectReport<'a>>,
    /// Its working directory.
    pub cwd: Option<Cow<'a, str>>,
    /// Its arguments with the usual secrets masked.
    pub argv: Option<Vec<String>>,
    /// The names of the fields above that are not valid UTF-8, in which bytes were replaced by U+FFFD.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub undecodable: Vec<&'a str>,
}

/// An ancestor of a process.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Ancestor")]
pub struct AncestorReport<'a> {
    /// Its PID.
    pub pid: u32,
    /// Its short name.
    pub name: Option<Cow<'a, str>>,
    /// The PID of its parent; null for the first process.
    pub parent: Option<u32>,
}

impl<'a> InfoReport<'a> {
    /// Turns dossiers into the document.
    pub fn new(
        listing: &'a Listing<'a>,
        dossiers: &'a [Dossier<'a>],
        checked: &'a [Checked<'a>],
        caller: Caller,
        program: Option<&Path>,
    ) -> Envelope<'a, InfoReport<'a>> {
        let snapshot = listing.snapshot;
        let pids: BTreeSet<Pid> =
            listing.rows.iter().flat_map(|row| row.processes.iter().map(|(pid, _)| *pid)).collect();
        let known = pids.iter().filter_map(|pid| snapshot.processes.get(pid));
        let body = InfoReport {
            backend: snapshot.backend.name(),
            ports: dossiers
                .iter()
                .enumerate()
                .map(|(index, dossier)| port(dossier, checked.get(index), caller))
                .collect(),
            processes: known.map(|process| owner_process(process, snapshot)).collect(),
        };
        Envelope::of(listing, body, program)
    }
}

fn port<'a>(dossier: &'a Dossier<'a>, checked: Option<&'a Checked<'a>>, caller: Caller) -> PortReport<'a> {
    let bind = |verdict: &'a Verdict<'a>| check::bind(verdict, caller);
    let objection = |objection: &Objection<'_>| match objection {
        Objection::Assigned(_) => "assigned",
        Objection::WellKnown => "well-known",
        Objection::Privileged => "privileged",
        Objection::Ephemeral => "ephemeral",
        Objection::KeptBack(_) => "kept-back",
        Objection::Reserved => "reserved",
        Objection::Bad => "bad-port",
        Objection::InUse => "in-use",
    };
    let holding = |holding: &'a crate::analyse::dossier::Holding<'a>| HoldingReport {
        open: holding.open.iter().map(|row| listing::socket(row)).collect(),
        connections: holding.connections.iter().map(|row| listing::socket(row)).collect(),
        peers: holding.peers.as_ref().map(peers),
    };
    PortReport {
        port: dossier.port.get(),
        category: category(dossier.category),
        registrations: dossier.assignments.iter().map(registration).collect(),
        objections: dossier.objections().iter().map(objection).collect(),
        spaces: dossier.places.iter().map(place).collect(),
        holdings: dossier.holdings.iter().map(holding).collect(),
        binds: checked.map(|checked| checked.verdicts.iter().map(bind).collect()),
    }
}

fn category(category: Category) -> CategoryRule {
    CategoryRule {
        name: category.name(),
        first: category.range().first().get(),
        last: category.range().last().get(),
        rule: category_words::rule(category),
    }
}

fn registration<'a>(assignment: &Assignment<'a>) -> RegistrationReport<'a> {
    RegistrationReport {
        protocol: assignment.protocol.name(),
        services: assignment.services.iter().map(|service| listing::service(*service)).collect(),
        status: assignment.status,
    }
}

fn place<'a>(place: &Place<'a>) -> PlaceReport<'a> {
    let space = place.space;
    PlaceReport {
        id: space.id.0,
        kind: space.kind.name(),
        label: &space.label,
        ephemeral: space.ephemeral.map(|range| [range.first().get(), range.last().get()]),
        in_ephemeral: place.is_ephemeral,
        reserved: place.is_reserved,
        unprivileged_start: space.unprivileged_start,
        privileged: place.is_privileged,
    }
}

fn peers<'a>(peers: &Peers<'a>) -> PeersReport<'a> {
    let user = |user: &User<'a>| UserReport {
        name: user.process.name.as_deref().map(OsStr::to_string_lossy),
        runs: user.process.runs.as_deref().map(OsStr::to_string_lossy),
        project: user.process.project.as_ref().map(process::project),
        pids: user.pids.iter().map(|pid| pid.0).collect(),
        connections: user.connections,
    };
    PeersReport {
        connections: peers.connections,
        addresses: peers.addresses,
        states: peers.states.iter().map(|(state, count)| (state.name(), *count)).collect(),
        used_by: peers.users.iter().map(user).collect(),
    }
}

fn owner_process<'a>(process: &'a Process, snapshot: &'a Snapshot) -> OwnerProcess<'a> {
    let mut undecodable = Vec::new();
    let mut text = |field, bytes: &'a OsStr| {
        if bytes.to_str().is_none() {
            undecodable.push(field);
        }
        bytes.to_string_lossy()
    };
    let name = process.name.as_deref().map(|name| text("name", name));
    let exe = process.exe.as_deref().map(|exe| text("exe", exe.as_os_str()));
    let cwd = process.cwd.as_deref().map(|cwd| text("cwd", cwd.as_os_str()));
    let runs = process.runs.as_deref().map(|runs| text("runs", runs));
    if process.project.as_ref().is_some_and(process::is_undecodable) {
        undecodable.push("project");
    }
    let argv = process.argv.as_ref().map(|argv| {
        if argv.iter().any(|argument| argument.to_str().is_none()) {
            undecodable.push("argv");
        }
        secrets::masked(argv).iter().map(|argument| argument.to_string_lossy().into_owned()).collect()
    });
    let ancestor = |ancestor: &&'a Process| AncestorReport {
        pid: ancestor.pid.0,
        name: ancestor.name.as_deref().map(OsStr::to_string_lossy),
        parent: ancestor.parent.map(|Pid(pid)| pid),
    };
    let age = |started| snapshot.host.captured_at.duration_since(started).ok();
    OwnerProcess {
        pid: process.pid.0,
        name,
        ancestry: snapshot.ancestors(process).iter().rev().map(ancestor).collect(),
        uid: process.uid.map(|Uid(uid)| uid),
        user: process.account.as_deref().or_else(|| snapshot.user(process.uid)),
        started_at: process.started_at.map(time::rfc3339),
        age_seconds: process.started_at.and_then(age).map(|age| age.as_secs()),
        exe,
        exe_deleted: process.exe_deleted,
        runs,
        project: process.project.as_ref().map(process::project),
        cwd,
        argv,
        undecodable,
    }
}
