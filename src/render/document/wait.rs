//! The JSON document of `wait`.

use std::path::Path;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use crate::analyse::wait::{Goal, Outcome};
use crate::model::Listing;
use crate::render::document::envelope::Envelope;
use crate::render::document::listing::{self, SocketReport};

/// The result of waiting for ports.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "portscope wait", rename = "Wait")]
pub struct WaitReport<'a> {
    /// The condition: `listening` or `free`.
    pub goal: &'a str,
    /// Whether the condition was met for every port, or with `--any` for at least one.
    pub reached: bool,
    /// How long it took, in milliseconds.
    pub elapsed_ms: u64,
    /// The result for each port and protocol.
    pub ports: Vec<PortReport<'a>>,
}

/// The result for one port.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "WaitedPort")]
pub struct PortReport<'a> {
    /// The port.
    pub port: u16,
    /// `tcp` or `udp`.
    pub protocol: &'a str,
    /// The address as typed; null for any address.
    pub address: Option<String>,
    /// Whether the condition was met.
    pub reached: bool,
    /// The listeners; if the condition was not met, every socket that was seen on the port.
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
