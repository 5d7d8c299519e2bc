//! The JSON document of `spaces`.

use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;

use crate::analyse::spaces::{Open, Overview, Use};
use crate::model::Listing;
use crate::render::document::envelope::Envelope;
use crate::render::document::listing::{self, SocketReport, Visibility};
use crate::render::document::space::{self, HostReport, SpaceReport};

/// The port spaces (network namespaces) of one or more hosts, and the ports that are open in more than one of them.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "portscope spaces", rename = "Spaces")]
pub struct SpacesReport<'a> {
    /// The hosts, in the order of the command line.
    pub hosts: Vec<SeenHost<'a>>,
    /// The port spaces, by host.
    pub spaces: Vec<SpaceUse<'a>>,
    /// The ports that are open in more than one port space; this is not a conflict.
    pub shared: Vec<SharedPort<'a>>,
}

/// A host, and what could not be seen there.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SeenHost<'a> {
    /// The host.
    #[serde(flatten)]
    pub host: HostReport<'a>,
    /// What could not be seen there.
    pub visibility: Visibility,
}

/// A port space, and the number of sockets in it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SpaceUse<'a> {
    /// The name of its host.
    pub host: Option<&'a str>,
    /// The boot ID of its host, which distinguishes it from another host with the same name.
    pub boot_id: Option<&'a str>,
    /// The port space.
    #[serde(flatten)]
    pub space: SpaceReport<'a>,
    /// The number of listening sockets.
    pub listeners: usize,
    /// The number of connected sockets.
    pub connections: usize,
}

/// A port that is open in more than one port space.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SharedPort<'a> {
    /// `tcp` or `udp`.
    pub protocol: &'a str,
    /// The port.
    pub port: u16,
    /// Its listeners.
    pub listeners: Vec<SharedListener<'a>>,
}

/// A listener on a shared port.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SharedListener<'a> {
    /// The name of its host.
    pub host: Option<&'a str>,
    /// The boot ID of its host, which distinguishes it from another host with the same name.
    pub boot_id: Option<&'a str>,
    /// The label of its port space.
    pub label: &'a str,
    /// The socket.
    pub socket: SocketReport<'a>,
}

impl<'a> SpacesReport<'a> {
    /// Turns an overview of these listings into the document.
    pub fn new(
        overview: &'a Overview<'a>,
        listings: &'a [Listing<'a>],
        program: Option<&Path>,
    ) -> Envelope<'a, SpacesReport<'a>> {
        let space = |one: &Use<'a>| SpaceUse {
            host: one.host.name.as_deref(),
            boot_id: one.host.boot_id.as_deref(),
            space: space::space(one.space),
            listeners: one.listeners,
            connections: one.connections,
        };
        let shared = |open: &'a Open<'a>| SharedPort {
            protocol: open.protocol.name(),
            port: open.port.get(),
            listeners: open
                .in_spaces
                .iter()
                .flat_map(|(index, rows)| rows.iter().map(move |row| (&overview.spaces[*index], row)))
                .map(|(one, row)| SharedListener {
                    host: one.host.name.as_deref(),
                    boot_id: one.host.boot_id.as_deref(),
                    label: &one.space.label,
                    socket: listing::socket(row),
                })
                .collect(),
        };
        let seen = |listing: &'a Listing<'a>| SeenHost {
            host: space::host(&listing.snapshot.host),
            visibility: listing::visibility(listing, program),
        };
        let body = SpacesReport {
            hosts: listings.iter().map(seen).collect(),
            spaces: overview.spaces.iter().map(space).collect(),
            shared: overview.shared().map(shared).collect(),
        };
        Envelope::of_several(listings, &listings[0], body, program)
    }
}
