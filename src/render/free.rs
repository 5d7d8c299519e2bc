//! The answers of `free` that are more than bare numbers.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;

use super::report::{self, HostReport, SCHEMA, SpaceReport, Visibility};
use super::sanitize::{Charset, Text};
use super::{blocker, summary};
use crate::analyse::free::Reason;
use crate::model::{Listing, Port, PortRange, Row, Snapshot};

/// What was asked for and found.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// The sockets that were looked at.
    pub listing: &'a Listing<'a>,
    /// Of which ports.
    pub range: PortRange,
    /// How many.
    pub count: u16,
    /// Those that were found.
    pub ports: &'a [Port],
}

/// Why a port is or is not offered.
#[derive(Clone, Copy, Debug)]
pub struct Explained<'a> {
    /// The port.
    pub port: Port,
    /// What speaks against it; empty when it is offered.
    pub reasons: &'a [Reason<'a>],
}

/// Ports that are safe for a service of one's own. Absent knowledge is null.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "portscope free", rename = "Free")]
pub struct FreeReport<'a> {
    /// Always `portscope/1`.
    pub schema: &'a str,
    /// The machine.
    pub host: HostReport<'a>,
    /// The port space that the ports are free in.
    pub space: SpaceReport<'a>,
    /// The lowest and highest port that was asked for.
    pub range: [u16; 2],
    /// How many ports were asked for; 0 with `--explain`.
    pub count: u16,
    /// The ports, in the order in which they were found.
    pub ports: Vec<u16>,
    /// Where there are not enough, how many ports of the range are not offered, by the first reason of each.
    pub not_offered: Option<BTreeMap<&'static str, usize>>,
    /// The answer of `--explain`.
    pub explained: Option<ExplainedReport>,
    /// What the run could not see.
    pub visibility: Visibility,
}

/// Why a port is or is not offered.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Explained")]
pub struct ExplainedReport {
    /// The port.
    pub port: u16,
    /// Whether it is offered.
    pub offered: bool,
    /// What speaks against it.
    pub reasons: Vec<ReasonReport>,
}

/// What speaks against a port.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Reason")]
pub struct ReasonReport {
    /// `outside` (of the range), `privileged`, `registered`, `kept-back` (reserved by IANA), `ephemeral`, `reserved` (by
    /// `ip_local_reserved_ports`), `bad-port` (refused by browsers), `published` (by the firewall), `used` (by a socket)
    /// or `refused` (by the kernel).
    pub reason: &'static str,
    /// The same in words.
    pub detail: String,
}

/// Turns the answer into the document.
pub fn report<'a>(
    answer: &Answer<'a>,
    not_offered: Option<BTreeMap<&'static str, usize>>,
    explained: Option<&Explained<'_>>,
    program: Option<&Path>,
) -> FreeReport<'a> {
    let snapshot = answer.listing.snapshot;
    let reason = |reason: &Reason<'_>| ReasonReport { reason: reason.name(), detail: words(reason, Charset::Unicode) };
    FreeReport {
        schema: SCHEMA,
        host: report::host(&snapshot.host),
        space: report::space(&snapshot.spaces[0]),
        range: [answer.range.first().get(), answer.range.last().get()],
        count: answer.count,
        ports: answer.ports.iter().map(|port| port.get()).collect(),
        not_offered,
        explained: explained.map(|explained| ExplainedReport {
            port: explained.port.get(),
            offered: explained.reasons.is_empty(),
            reasons: explained.reasons.iter().map(reason).collect(),
        }),
        visibility: report::visibility(&Listing { snapshot, rows: Vec::new(), filtered: true }, program),
    }
}

/// Writes why a port is not offered, one reason a line.
pub fn write_explained(
    out: &mut dyn Write,
    explained: &Explained<'_>,
    snapshot: &Snapshot,
    charset: Charset,
) -> io::Result<()> {
    let port = explained.port;
    writeln!(out, "{}", summary::title(snapshot, charset).as_str())?;
    if explained.reasons.is_empty() {
        writeln!(out, "{port} is offered: nothing speaks against it, and the kernel lets it be bound")?;
        return summary::not_seen(snapshot)
            .map_or(Ok(()), |line| writeln!(out, "{}", Text::of(&line, charset).as_str()));
    }
    writeln!(out, "{port} is not offered:")?;
    explained.reasons.iter().try_for_each(|reason| writeln!(out, "  {}: {}", reason.name(), words(reason, charset)))
}

/// Says in one line why there are not enough ports.
pub fn not_enough(
    range: PortRange,
    count: u16,
    contiguous: bool,
    found: usize,
    census: &BTreeMap<&'static str, usize>,
) -> String {
    let mut reasons: Vec<(&str, usize)> = census.iter().map(|(name, count)| (*name, *count)).collect();
    reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let reasons: Vec<String> = reasons.into_iter().map(|(name, count)| format!("{count} {name}")).collect();
    let reasons = if reasons.is_empty() { String::new() } else { format!(" (not offered: {})", reasons.join(", ")) };
    match (contiguous, count) {
        (true, _) => format!("no block of {count} free ports in {range}{reasons}"),
        (false, 1) => format!("no free port in {range}{reasons}"),
        (false, _) => format!("only {found} of {count} free ports in {range}{reasons}"),
    }
}

fn words(reason: &Reason<'_>, charset: Charset) -> String {
    match reason {
        Reason::Outside(range) => format!("{range} is asked for"),
        Reason::Privileged(start) => format!("ports below {start} need a privilege"),
        Reason::Registered(protocol, service) => {
            let name = Text::of(service.name, charset);
            format!("{} is {} ({})", protocol.name(), name.as_str(), service.source.name())
        }
        Reason::KeptBack(protocol) => format!("IANA keeps it back for {}", protocol.name()),
        Reason::Ephemeral(range) => format!("the system hands out {range} to clients"),
        Reason::Reserved => {
            "the system sets it apart (ip_local_reserved_ports; on Windows an excluded range)".to_owned()
        }
        Reason::Bad => "browsers refuse to connect to it (WHATWG bad ports)".to_owned(),
        Reason::Published(row) => format!("the firewall sends what comes for it elsewhere: {}", target(row)),
        Reason::Used(row) => blocker::in_full(row, charset),
        Reason::Refused(protocol, refusal) => {
            let refusal = Text::of(refusal.name(), charset);
            format!("a bind of {} fails with {}", protocol.name(), refusal.as_str())
        }
    }
}

fn target(row: &Row<'_>) -> String {
    row.socket.forward.as_ref().map_or_else(|| "it does not say where".to_owned(), |forward| forward.to.to_string())
}
