//! What an event says, in a phrase.

use crate::model::{BindError, BindWay, Event, EventKind, Lost, Owner, Row, Seen, State, Ways};
use crate::render::text::palette::Tone;
use crate::render::text::safe::{Charset, Text};
use crate::render::text::time;
use crate::render::words::cell;
use crate::render::words::column::Column;
use crate::render::words::socket::answering as local;

/// The mark in front of an event.
pub const fn sign(kind: EventKind) -> char {
    match kind {
        EventKind::Opened => '+',
        EventKind::Closed => '-',
        EventKind::BindFailed => '!',
        EventKind::Connected => '>',
        EventKind::Disconnected => '<',
        EventKind::OwnerChanged | EventKind::ExposureWidened | EventKind::ExposureNarrowed => '~',
        EventKind::Lost => '?',
    }
}

/// The color of the mark, which says enough without it.
pub const fn tone(kind: EventKind) -> Option<Tone> {
    match kind {
        EventKind::BindFailed | EventKind::Lost => Some(Tone::Alarm),
        EventKind::OwnerChanged | EventKind::ExposureWidened | EventKind::ExposureNarrowed => Some(Tone::Attention),
        EventKind::Opened | EventKind::Closed | EventKind::Connected | EventKind::Disconnected => None,
    }
}

/// `node server.js (2214, shop@feature-x, ada)`, or what is known of an owner that is not.
pub fn who(row: &Row<'_>, gone: bool, charset: Charset) -> String {
    let user = Column::User.value(row, charset).map(Text::into_string);
    let process = row.processes.first().filter(|_| matches!(row.socket.owner, Owner::Processes(_)));
    let Some((pid, process)) = process else {
        return match (Column::Unit.value(row, charset), user) {
            (Some(unit), _) => format!("unit {}", unit.as_str()),
            (None, Some(user)) => format!("unknown process of user {user}"),
            (None, None) => "unknown process".to_owned(),
        };
    };
    let name = cell::running(*process, charset).map(|name| name.into_string() + " ").unwrap_or_default();
    let others = row.processes.len() - 1;
    let others = if others > 0 { format!("+{others} ") } else { String::new() };
    let mut facts = vec![pid.0.to_string()];
    facts.extend(cell::project_cell(row, charset).map(Text::into_string));
    facts.extend(user);
    facts.extend(gone.then(|| "has ended".to_owned()));
    format!("{name}{others}({})", facts.join(", "))
}

/// What follows the process: how long the port was open, why a bind failed.
pub fn outcome(event: &Event, blockers: &[&Row<'_>], charset: Charset) -> String {
    match event.kind {
        EventKind::Closed | EventKind::Disconnected => {
            event.open_for.map(|span| format!(", open for {}", time::lifetime(span))).unwrap_or_default()
        }
        EventKind::BindFailed => {
            let error = event.error.as_ref().map_or("unknown error", BindError::name);
            format!(" could not bind: {error}{}", in_the_way(event, blockers, charset))
        }
        EventKind::OwnerChanged => " is the new owner".to_owned(),
        EventKind::ExposureWidened => ", can be reached by more".to_owned(),
        EventKind::ExposureNarrowed => ", can be reached by fewer".to_owned(),
        EventKind::Opened | EventKind::Connected | EventKind::Lost => String::new(),
    }
}

/// `, node server.js (2214) has *:3000 since 14:02`; nothing where nothing was found in the way.
fn in_the_way(event: &Event, blockers: &[&Row<'_>], charset: Charset) -> String {
    let [first, others @ ..] = blockers else { return String::new() };
    let since = event.blockers.first().and_then(|blocker| blocker.since);
    let since = since.map(|since| format!(" since {}", time::clock_minute(since))).unwrap_or_default();
    let more = if others.is_empty() { String::new() } else { format!(" and {} more", others.len()) };
    let address = local(first, charset);
    let what = match (&first.socket.owner, first.socket.state) {
        (_, Some(State::TimeWait)) => format!("closed connections in TIME_WAIT still have {address}"),
        (Owner::Nobody(_), Some(state)) => {
            format!("connections in {} that no process holds have {address}", state.name())
        }
        (_, Some(state)) if first.socket.peer.is_some() => {
            format!("{} has connections ({}) on {address}", who(first, false, charset), state.name())
        }
        _ => format!("{} has {address}", who(first, false, charset)),
    };
    format!(", {what}{since}{more}")
}

/// `12 events lost: too many at once; the list was read again`.
pub fn lost(lost: Lost, seen: Seen) -> String {
    let parts =
        [(lost.opened, "opened"), (lost.closed, "closed"), (lost.binds, "binds"), (lost.connections, "connections")];
    let known: Vec<(u64, &str)> =
        parts.iter().filter_map(|(count, what)| Some(((*count)?, *what))).filter(|(count, _)| *count > 0).collect();
    let total: u64 = known.iter().map(|(count, _)| count).sum();
    let noun = if total == 1 { "event" } else { "events" };
    let each: Vec<String> = known.iter().map(|(count, what)| format!("{count} {what}")).collect();
    // Notices of connections that ended are among those that were dropped.
    let bound = if seen == Seen::Netlink { "up to " } else { "" };
    format!("{bound}{total} {noun} lost ({}): too many at once; the list was read again", each.join(", "))
}

/// How the events are seen, for `--verbose`.
pub fn ways(ways: &Ways) -> String {
    let way = |seen: Seen| match seen {
        Seen::Kernel => "BPF programs",
        Seen::Netlink => "netlink notices",
        Seen::Poll => "polling",
    };
    let binds = match ways.binds {
        Some(BindWay::OfItself) => "BPF programs",
        Some(BindWay::OfEveryCall) => "BPF programs on every system call",
        None => "not seen",
    };
    format!("events: opened by {}, closed by {}, failed binds: {binds}", way(ways.opened), way(ways.closed))
}

/// What it costs that tracefs is refused.
pub const EVERY_CALL: &str =
    "tracefs is not available: every system call is checked for bind(2), which slows every process slightly";

/// What is not seen, and what would help.
pub fn unseen(ways: &Ways, program: Option<&std::path::Path>) -> (String, Option<String>) {
    let needs_root = ways.refused.iter().any(|reason| reason.contains("Operation not permitted"));
    let opened = if ways.opened == Seen::Kernel {
        ""
    } else {
        ", and ports that are opened and closed between two looks at the table have no owner"
    };
    let why = match ways.refused.first() {
        Some(_) if needs_root => ": BPF programs need root".to_owned(),
        Some(reason) => format!(": {reason}"),
        None => String::new(),
    };
    let hint = || {
        let program = program.map_or("portscope".into(), |program| program.to_string_lossy());
        format!("sudo {program} events")
    };
    (format!("failed binds are not seen{opened}{why}"), needs_root.then(hint))
}

/// The program that holds a socket, without its number.
pub fn program(row: &Row<'_>, charset: Charset) -> String {
    let name = row.processes.first().and_then(|(_, process)| cell::running(*process, charset));
    name.map_or_else(|| "unknown process".to_owned(), Text::into_string)
}

/// `tcp *:3000  node server.js (2214, ada)`.
pub fn holding(row: &Row<'_>, charset: Charset) -> String {
    format!("{} {}  {}", row.socket.protocol.name(), local(row, charset), who(row, false, charset))
}

/// Lines of a record that were passed over.
pub fn strange(count: u64) -> String {
    let (noun, verb) = if count == 1 { ("line", "is not an event") } else { ("lines", "are not events") };
    format!("skipped {count} {noun} of the record that {verb}")
}
