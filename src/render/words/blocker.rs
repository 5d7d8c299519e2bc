//! A socket that is in the way and who holds it, in a phrase.

use crate::model::{Owner, Protocol, Row, State};
use crate::render::text::safe::{Charset, Text};
use crate::render::words::cell;
use crate::render::words::column::Column;
use crate::render::words::socket;

/// `nginx (pid 811)`, or what is known of a holder that is hidden.
pub fn name(row: &Row<'_>, charset: Charset) -> String {
    let process = Column::Process.cell(row, charset);
    match &row.socket.owner {
        Owner::Processes(_) => match row.processes.first() {
            Some((pid, _)) => format!("{} (pid {})", process.as_str(), pid.0),
            None => process.as_str().to_owned(),
        },
        Owner::Nobody(_) => "no process".to_owned(),
        Owner::Hidden(_) => match Column::User.value(row, charset) {
            Some(user) => format!("a hidden process of user {}", user.as_str()),
            None => "a hidden process".to_owned(),
        },
    }
}

/// `nginx +2`: what holds the socket itself, also where it forwards what it gets.
pub fn called(row: &Row<'_>, charset: Charset) -> String {
    let name = row.processes.first().and_then(|(_, process)| cell::running(*process, charset));
    let name = name.map_or_else(|| "unknown program".to_owned(), Text::into_string);
    match row.processes.len() {
        0 | 1 => name,
        count => format!("{name} +{}", count - 1),
    }
}

/// `nginx (811)`, or what is known of a holder that is hidden: for a cell of a table.
pub fn brief(row: &Row<'_>, charset: Charset) -> String {
    match (&row.socket.owner, row.processes.first()) {
        (Owner::Processes(_), Some((pid, _))) => {
            format!("{} ({})", called(row, charset), pid.0)
        }
        _ => name(row, charset),
    }
}

/// The socket with its holder in full: `tcp LISTEN 0.0.0.0:80: nginx (pid 811), user root, started 2026-...`.
pub fn in_full(row: &Row<'_>, charset: Charset) -> String {
    let value = |column: Column| column.value(row, charset).map(Text::into_string);
    let mut parts = vec![name(row, charset)];
    if matches!(row.socket.owner, Owner::Processes(_)) {
        parts.extend(value(Column::User).map(|user| format!("user {user}")));
    }
    parts.extend(value(Column::Project).map(|project| format!("project {project}")));
    parts.extend(value(Column::Unit).map(|unit| format!("unit {unit}")));
    parts.extend(value(Column::Container).map(|container| format!("container {container}")));
    parts.extend(value(Column::Started).map(|time| format!("started {time}")));
    if row.socket.state == Some(State::TimeWait) {
        parts = row.socket.time_left().map(|left| format!("{} s left", left.as_secs())).into_iter().collect();
    }
    let peer = socket::peer(row, charset).map(|peer| format!(" with {peer}")).unwrap_or_default();
    let state = row.socket.state.map_or(String::new(), |state| format!(" {}", state.name()));
    let socket = format!("{}{state} {}{peer}", row.socket.protocol.name(), socket::answering(row, charset));
    if parts.is_empty() { socket } else { format!("{socket}: {}", parts.join(", ")) }
}

/// What its holder does with it.
pub fn verb(row: &Row<'_>) -> &'static str {
    match (row.socket.protocol, row.is_listener) {
        (Protocol::Tcp, true) => "listens on",
        (Protocol::Udp | Protocol::UdpLite, true) => "receives on",
        _ => "uses",
    }
}
