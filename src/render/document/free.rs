//! The JSON document of `free`.

use std::collections::BTreeMap;
use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;

use crate::analyse::free::Reason;
use crate::model::{Listing, Port, PortRange};
use crate::render::document::envelope::Envelope;
use crate::render::document::space::{self, SpaceReport};
use crate::render::text::safe::Charset;
use crate::render::words::reason::{Explained, words};

/// What was asked for and found.
#[derive(Clone, Debug)]
pub struct Answer<'a> {
    /// The sockets that were looked at.
    pub listing: &'a Listing<'a>,
    /// Of which ports.
    pub range: PortRange,
    /// How many.
    pub count: u16,
    /// Those that were found.
    pub ports: &'a [Port],
    /// Those of them that the server of the seed's folder has.
    pub own: Vec<Port>,
}

/// Free ports that are safe to use for your own service. Unknown values are null.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "portscope free", rename = "Free")]
pub struct FreeReport<'a> {
    /// The port space (network namespace) in which the ports are free.
    pub space: SpaceReport<'a>,
    /// The lowest and highest requested port.
    pub range: [u16; 2],
    /// The number of requested ports; 0 with `--explain`.
    pub count: u16,
    /// The ports, in the order in which they were chosen.
    pub ports: Vec<u16>,
    /// The ports among them that your own server uses, which runs in the directory given by `--seed`.
    pub in_use_by_own_server: Vec<u16>,
    /// If there are not enough, the number of ports in the range that are not offered, by the first reason for each.
    pub not_offered: Option<BTreeMap<&'static str, usize>>,
    /// The result of `--explain`.
    pub explained: Option<ExplainedReport>,
}

/// Why a port is or is not offered.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Explained")]
pub struct ExplainedReport {
    /// The port.
    pub port: u16,
    /// Whether it is offered.
    pub offered: bool,
    /// The reasons against it; empty if it is offered.
    pub reasons: Vec<ReasonReport>,
}

/// One reason against a port.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Reason")]
pub struct ReasonReport {
    /// `outside` (of the range), `privileged`, `registered`, `kept-back` (reserved by IANA), `ephemeral`, `reserved` (by
    /// `ip_local_reserved_ports`), `bad-port` (refused by browsers), `published` (by the firewall), `used` (by a socket)
    /// or `refused` (by the kernel).
    pub reason: &'static str,
    /// The reason as text.
    pub detail: String,
}

/// Turns the answer into the document.
pub fn report<'a>(
    answer: &Answer<'a>,
    not_offered: Option<BTreeMap<&'static str, usize>>,
    explained: Option<&Explained<'_>>,
    program: Option<&Path>,
) -> Envelope<'a, FreeReport<'a>> {
    let snapshot = answer.listing.snapshot;
    let reason = |reason: &Reason<'_>| ReasonReport { reason: reason.name(), detail: words(reason, Charset::Unicode) };
    let body = FreeReport {
        space: space::space(&snapshot.spaces[0]),
        range: [answer.range.first().get(), answer.range.last().get()],
        count: answer.count,
        ports: answer.ports.iter().map(|port| port.get()).collect(),
        in_use_by_own_server: answer.own.iter().map(|port| port.get()).collect(),
        not_offered,
        explained: explained.map(|explained| ExplainedReport {
            port: explained.port.get(),
            offered: explained.reasons.is_empty(),
            reasons: explained.reasons.iter().map(reason).collect(),
        }),
    };
    Envelope::of(&Listing { snapshot, rows: Vec::new(), filtered: true }, body, program)
}
