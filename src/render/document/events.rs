//! The JSON object of an event, one a line: a public contract.

use std::io::{self, Write};

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::{BindError, BindWay, Changes, EVENT_SCHEMA, Event, EventKind, Listing, Row, Seen, State};
use crate::render::document::json::write_line;
use crate::render::document::listing::{self, EndpointReport, ServiceReport, SocketReport};
use crate::render::document::owner::OwnerReport;
use crate::render::text::time;

/// One event. It carries what it needs itself; absent knowledge is null.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "portscope event", rename = "Event")]
pub struct EventReport<'a> {
    /// Always `portscope-event/1`.
    pub schema: &'a str,
    /// `opened`, `closed`, `bind-failed`, `connected`, `disconnected`, `owner-changed`, `exposure-widened`,
    /// `exposure-narrowed` or `lost`.
    pub event: &'a str,
    /// When, RFC 3339 in UTC with microseconds; for `seen: "poll"` when the difference was noticed.
    pub time: String,
    /// The host name.
    pub host: Option<&'a str>,
    /// The id of the port space (network namespace); null for `lost`.
    pub space: Option<u64>,
    /// The name of the space; its id where it has none.
    pub space_label: Option<&'a str>,
    /// `host`, `container`, `unit` or `netns`.
    pub space_kind: Option<&'a str>,
    /// `tcp` or `udp`; null for `lost`.
    pub protocol: Option<&'a str>,
    /// `ipv4` or `ipv6`.
    pub family: Option<&'a str>,
    /// The end on this host; for `bind-failed` what was asked for.
    pub local: Option<EndpointReport>,
    /// The other end of a connection.
    pub peer: Option<EndpointReport>,
    /// `LISTEN`, `BOUND`, `UNCONN` or `ESTABLISHED`; of what was closed its last known state.
    pub state: Option<&'a str>,
    /// The kernel's unique number for the socket since boot.
    pub cookie: Option<u64>,
    /// The number of its file in the kernel.
    pub inode: Option<u64>,
    /// The interface that it is bound to.
    pub device: Option<&'a str>,
    /// Whether an IPv6 socket refuses IPv4.
    pub v6only: Option<bool>,
    /// The user that made it.
    pub uid: Option<u32>,
    /// That user's name.
    pub user: Option<&'a str>,
    /// `well-known`, `registered` or `dynamic`.
    pub category: Option<&'a str>,
    /// What the port is assigned to; not what runs there.
    pub service: Option<ServiceReport<'a>>,
    /// Who can reach the address: `loopback`, `link-local`, `private`, `public` or `any`.
    pub exposure: Option<&'a str>,
    /// Who opened, held or asked for it. A process that had ended when it was looked up has the tier `none` and the reason
    /// `gone`, with what the kernel said of it.
    pub owner: Option<OwnerReport<'a>>,
    /// How long it was open, in milliseconds; null where its opening was not seen.
    pub open_for_ms: Option<u64>,
    /// Why a bind failed: the name of the error in errno(3).
    pub errno: Option<&'a str>,
    /// What stood in the way of a bind, by the bind rule: listeners, else connections and `TIME_WAIT`; null for every other
    /// event, empty where nothing was found.
    pub blocked_by: Option<Vec<BlockerReport<'a>>>,
    /// Events that were lost; null for every other event.
    pub count: Option<LostReport>,
    /// `kernel` (at that moment), `netlink` (a notice of the kernel) or `poll` (two looks at the table differ).
    pub seen: &'a str,
    /// For `seen: "kernel"` the tracepoint that reported it: `inet_sock_set_state`, `sys_exit_bind`, or, where tracefs is
    /// refused, `sys_exit`; null otherwise.
    pub tracepoint: Option<&'a str>,
}

/// A socket that stood in the way of a bind, and who held it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "EventBlocker")]
pub struct BlockerReport<'a> {
    /// Its end on this host.
    pub local: EndpointReport,
    /// Its state.
    pub state: Option<&'a str>,
    /// Since when it was open; null where its opening was not seen.
    pub since: Option<String>,
    /// Who held it.
    #[serde(flatten)]
    pub owner: OwnerReport<'a>,
}

/// How many events were lost.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "LostEvents")]
pub struct LostReport {
    /// TCP ports opened; null where that is not counted.
    pub opened: Option<u64>,
    /// Ports closed. With `seen: "netlink"` an upper bound: connections that ended are among them.
    pub closed: Option<u64>,
    /// Calls of bind(2), failed or not.
    pub binds: Option<u64>,
    /// Connections opened or closed.
    pub connections: Option<u64>,
}

/// Writes the events that are wanted, one a line. The listing has a row for each socket of the changes, in their order.
pub fn write(
    out: &mut dyn Write,
    changes: &Changes,
    listing: &Listing<'_>,
    is_wanted: impl Fn(usize, &Event) -> bool,
) -> io::Result<()> {
    for (index, event) in changes.events.iter().enumerate() {
        if is_wanted(index, event) {
            write_line(out, &report(event, listing, changes.binds))?;
        }
    }
    Ok(())
}

fn report<'a>(event: &'a Event, listing: &'a Listing<'a>, binds: Option<BindWay>) -> EventReport<'a> {
    let row = event.socket.and_then(|index| listing.rows.get(index));
    let socket = row.map(listing::socket);
    let mut report = EventReport {
        schema: EVENT_SCHEMA,
        event: event.kind.name(),
        time: time::rfc3339_micros(event.at),
        host: listing.snapshot.host.name.as_deref(),
        space: row.map(|row| row.space.id.0),
        space_label: row.map(|row| row.space.label.as_str()),
        space_kind: row.map(|row| row.space.kind.name()),
        protocol: None,
        family: None,
        local: None,
        peer: None,
        state: None,
        cookie: None,
        inode: None,
        device: None,
        v6only: None,
        uid: None,
        user: None,
        category: None,
        service: None,
        exposure: None,
        owner: None,
        open_for_ms: event.open_for.map(|span| u64::try_from(span.as_millis()).unwrap_or(u64::MAX)),
        errno: event.error.as_ref().map(BindError::name),
        blocked_by: None,
        count: event.lost.map(|lost| LostReport {
            opened: lost.opened,
            closed: lost.closed,
            binds: lost.binds,
            connections: lost.connections,
        }),
        seen: event.seen.name(),
        tracepoint: tracepoint(event, row, binds),
    };
    if let Some(socket) = socket {
        fill(&mut report, socket, event.gone);
    }
    if event.kind == EventKind::BindFailed {
        let blocker =
            |blocking: &crate::model::Blocking| Some(blocker(listing.rows.get(blocking.socket)?, blocking.since));
        report.blocked_by = Some(event.blockers.iter().filter_map(blocker).collect());
    }
    report
}

/// The tracepoint behind an event: what is bound and does not listen, or could not be bound, is reported by bind(2).
fn tracepoint(event: &Event, row: Option<&Row<'_>>, binds: Option<BindWay>) -> Option<&'static str> {
    if event.seen != Seen::Kernel || event.kind == EventKind::Lost {
        return None;
    }
    let is_bound = row.is_some_and(|row| matches!(row.socket.state, Some(State::Bound | State::Unconnected)));
    match event.kind {
        EventKind::BindFailed => binds.map(BindWay::tracepoint),
        EventKind::Opened if is_bound => binds.map(BindWay::tracepoint),
        _ => Some("inet_sock_set_state"),
    }
}

fn fill<'a>(report: &mut EventReport<'a>, socket: SocketReport<'a>, gone: bool) {
    report.protocol = Some(socket.protocol);
    report.family = Some(socket.family);
    report.local = Some(socket.local);
    report.peer = socket.peer;
    report.state = socket.state;
    report.cookie = socket.cookie;
    report.inode = socket.inode;
    report.device = socket.device;
    report.v6only = socket.v6only;
    report.uid = socket.uid;
    report.user = socket.user;
    report.category = Some(socket.category);
    report.service = socket.service;
    report.exposure = Some(socket.exposure);
    let ended = if gone { OwnerReport { tier: "none", reason: Some("gone"), ..socket.owner } } else { socket.owner };
    report.owner = Some(ended);
}

fn blocker<'a>(row: &'a Row<'a>, since: Option<std::time::SystemTime>) -> BlockerReport<'a> {
    let socket = listing::socket(row);
    BlockerReport {
        local: socket.local,
        state: socket.state,
        since: since.map(time::rfc3339_micros),
        owner: socket.owner,
    }
}
