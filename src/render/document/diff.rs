//! The JSON document of `diff`.

use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;

use crate::analyse::diff::{Change, Diff, Holder, PairedSpace, Side};
use crate::model::{Listing, Snapshot};
use crate::render::document::envelope::Envelope;
use crate::render::document::listing::{self, EndpointReport};
use crate::render::document::space::{self, HostReport};
use crate::render::words::doubt::doubts;

/// What changed between two reports.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "portscope diff", rename = "Diff")]
pub struct DiffReport<'a> {
    /// The host of the first report, and when it was made.
    pub before: HostReport<'a>,
    /// The host of the second report.
    pub after: HostReport<'a>,
    /// The changes, by port, protocol and space.
    pub changes: Vec<ChangeReport<'a>>,
    /// The number of sockets on both sides that were not compared because their owners are hidden on one or both sides.
    pub incomparable_owners: usize,
}

/// One change.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Change")]
pub struct ChangeReport<'a> {
    /// `opened`, `closed`, `owner-changed`, `exposure-widened`, `exposure-narrowed`, `address-changed`, `moved-space` or
    /// `forward-changed`.
    pub kind: &'a str,
    /// `tcp` or `udp`.
    pub protocol: &'a str,
    /// The port.
    pub port: u16,
    /// The current label of the port space, or its last one if it is gone; for a move, the space before the move.
    pub space: &'a str,
    /// The ID of that port space.
    pub space_id: Option<u64>,
    /// The peer of a connection (with `--all`); null for everything else.
    pub peer: Option<EndpointReport>,
    /// The label of the port space that it moved to.
    pub to_space: Option<&'a str>,
    /// The ID of that port space.
    pub to_space_id: Option<u64>,
    /// The state before; null if it was opened.
    pub before: Option<SideReport<'a>>,
    /// The state after; null if it was closed.
    pub after: Option<SideReport<'a>>,
}

/// A listener on one side.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Side")]
pub struct SideReport<'a> {
    /// The addresses that it is bound to.
    pub addresses: Vec<&'a str>,
    /// The exposure of the widest of these addresses.
    pub exposure: Option<&'a str>,
    /// The owners; null if any of them is hidden.
    pub holders: Option<Vec<HolderReport<'a>>>,
    /// Why no process holds one of them: `time-wait`, `handshake`, `closing`, `unaccepted`, `in-flight` or
    /// `redirected`.
    pub nobody: Option<&'a str>,
    /// Where a published port is forwarded to, as text.
    pub forward: Option<&'a str>,
}

/// The owner of a listener, described by what a restart does not change.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Holder")]
pub struct HolderReport<'a> {
    /// The executable, or the process name if the executable is unknown.
    pub program: Option<&'a str>,
    /// What it runs, where the program is an interpreter.
    pub runs: Option<&'a str>,
    /// The systemd unit.
    pub unit: Option<&'a str>,
    /// The name of the container.
    pub container: Option<&'a str>,
    /// The user that it runs as.
    pub user: Option<&'a str>,
}

impl<'a> DiffReport<'a> {
    /// Turns a comparison into the document.
    pub fn new(
        diff: &'a Diff,
        before: &'a Snapshot,
        after: &'a Snapshot,
        program: Option<&Path>,
    ) -> Envelope<'a, DiffReport<'a>> {
        let change = |change: &'a Change| ChangeReport {
            kind: change.kind.name(),
            protocol: change.identity.protocol.name(),
            port: change.identity.port.get(),
            space: change.identity.space.label(),
            space_id: id(&change.identity.space),
            peer: change.identity.peer.map(listing::endpoint),
            to_space: change.to_space.as_ref().map(|space| space.label()),
            to_space_id: change.to_space.as_deref().and_then(id),
            before: change.before.as_ref().map(side),
            after: change.after.as_ref().map(side),
        };
        let body = DiffReport {
            before: space::host(&before.host),
            after: space::host(&after.host),
            changes: diff.changes.iter().map(change).collect(),
            incomparable_owners: diff.incomparable,
        };
        let whole = |snapshot: &'a Snapshot| Listing { snapshot, rows: Vec::new(), filtered: true };
        let sides = [whole(before), whole(after)];
        Envelope::of_several(&sides, &sides[1], body, program).warning(doubts(diff))
    }
}

fn id(space: &PairedSpace) -> Option<u64> {
    space.latest().map(|known| known.id.0)
}

fn side(side: &Side) -> SideReport<'_> {
    SideReport {
        addresses: side.addresses.iter().map(String::as_str).collect(),
        exposure: side.exposure.map(crate::model::Exposure::name),
        holders: side.holders.as_ref().map(|holders| holders.iter().map(holder_report).collect()),
        nobody: side.nobody.map(crate::model::Nobody::name),
        forward: side.forward.as_deref(),
    }
}

fn holder_report(holder: &Holder) -> HolderReport<'_> {
    HolderReport {
        program: holder.program.as_deref(),
        runs: holder.runs.as_deref(),
        unit: holder.unit.as_deref(),
        container: holder.container.as_deref(),
        user: holder.user.as_deref(),
    }
}
