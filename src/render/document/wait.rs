//! The JSON document of `wait`.

use std::path::Path;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use crate::analyse::wait::{Goal, Outcome};
use crate::model::Listing;
use crate::render::document::envelope::Envelope;
use crate::render::document::listing::{self, SocketReport};

/// What came of waiting for a port.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "portscope wait", rename = "Wait")]
pub struct WaitReport<'a> {
    /// What was waited for: `listening` or `free`.
    pub goal: &'a str,
    /// Whether it came true for every port, or with `--any` for one.
    pub reached: bool,
    /// How long that took, in milliseconds.
    pub elapsed_ms: u64,
    /// Each port and protocol.
    pub ports: Vec<PortReport<'a>>,
}

/// One port that was waited for.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "WaitedPort")]
pub struct PortReport<'a> {
    /// The port.
    pub port: u16,
    /// `tcp` or `udp`.
    pub protocol: &'a str,
    /// The address, as it was typed; null for any one.
    pub address: Option<String>,
    /// Whether it is as it should be.
    pub reached: bool,
    /// Who listens; where it is not reached every socket that was seen on the port instead.
    pub sockets: Vec<SocketReport<'a>>,
}

impl<'a> WaitReport<'a> {
    /// Turns outcomes into the document.
    pub fn new(
        listing: &Listing<'a>,
        goal: Goal,
        reached: bool,
        elapsed: Duration,
        outcomes: &'a [Outcome<'a, 'a>],
        program: Option<&Path>,
    ) -> Envelope<'a, WaitReport<'a>> {
        let port = |outcome: &'a Outcome<'a, 'a>| PortReport {
            port: outcome.place.port.get(),
            protocol: outcome.place.protocol.name(),
            address: outcome.place.address.as_ref().map(ToString::to_string),
            reached: outcome.is_reached,
            sockets: outcome.rows.iter().map(|row| listing::socket(row)).collect(),
        };
        let body = WaitReport {
            goal: goal.name(),
            reached,
            elapsed_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
            ports: outcomes.iter().map(port).collect(),
        };
        Envelope::of(listing, body, program)
    }
}
