//! The JSON document of `free`.

use std::collections::BTreeMap;
use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;

use crate::analyse::free::Reason;
use crate::model::{Listing, Port, PortRange};
use crate::render::document::envelope::Envelope;
use crate::render::document::listing::{self, SpaceReport};
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

/// Ports that are safe for a service of one's own. Absent knowledge is null.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "portscope free", rename = "Free")]
pub struct FreeReport<'a> {
    /// The port space that the ports are free in.
    pub space: SpaceReport<'a>,
    /// The lowest and highest port that was asked for.
    pub range: [u16; 2],
    /// How many ports were asked for; 0 with `--explain`.
    pub count: u16,
    /// The ports, in the order in which they were found.
    pub ports: Vec<u16>,
    /// Those of them that are in use by your own server, which works in the folder that `--seed` names.
    pub in_use_by_own_server: Vec<u16>,
    /// Where there are not enough, how many ports of the range are not offered, by the first reason of each.
    pub not_offered: Option<BTreeMap<&'static str, usize>>,
    /// The answer of `--explain`.
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
) -> Envelope<'a, FreeReport<'a>> {
    let snapshot = answer.listing.snapshot;
    let reason = |reason: &Reason<'_>| ReasonReport { reason: reason.name(), detail: words(reason, Charset::Unicode) };
    let body = FreeReport {
        space: listing::space(&snapshot.spaces[0]),
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
