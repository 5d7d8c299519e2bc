//! The values of columns that need more than a name or a number.

use std::ffi::OsStr;
use std::net::{IpAddr, Ipv6Addr};
use std::path::Path;

use compact_str::{CompactString, ToCompactString};

use crate::model::{Container, Holder, Pid, Process, Row, Timer, Uid};
use crate::render::text::safe::{Charset, Text};
use crate::render::text::time;
use crate::render::words::socket;

pub(super) fn number(number: u32) -> Text {
    Text::plain(number.to_compact_string())
}

/// `keepalive 50 min`, `retransmit 200 ms, retry 3`.
pub(super) fn timer(timer: Timer) -> String {
    let left = match timer.left_ms {
        left @ ..1000 => format!("{left} ms"),
        left => time::span(std::time::Duration::from_millis(u64::from(left))),
    };
    match timer.retries {
        0 => format!("{} {left}", timer.kind.name()),
        retries => format!("{} {left}, retry {retries}", timer.kind.name()),
    }
}

/// The foremost process that holds the socket.
pub fn foremost<'a>(row: &Row<'a>) -> Option<&'a Process> {
    row.processes.first().and_then(|(_, process)| *process)
}

pub(super) fn list(texts: impl Iterator<Item = Option<Text>>) -> Option<Text> {
    let texts: Vec<Text> = texts.flatten().collect();
    if texts.is_empty() { None } else { Some(Text::join(&texts, " ")) }
}

pub(super) fn descriptor(holder: &Holder) -> Option<Text> {
    let Pid(pid) = holder.pid;
    holder.fd.map(|fd| Text::plain(format!("{pid}:{fd}")))
}

/// Every address of both families is `*`, as ss has it, so that it is not taken for IPv6 only.
pub(super) fn address_cell(row: &Row<'_>, charset: Charset) -> Text {
    let socket = row.socket;
    let is_of_both = socket.v6only == Some(false) && socket.local.address == IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    let address = if is_of_both { "*".into() } else { socket.local.address.to_canonical().to_compact_string() };
    with_device(address, row, charset)
}

pub(super) fn address(row: &Row<'_>, charset: Charset) -> Text {
    with_device(row.socket.local.address.to_compact_string(), row, charset)
}

fn with_device(address: CompactString, row: &Row<'_>, charset: Charset) -> Text {
    let address = Text::plain(address);
    match row.socket.device.as_deref() {
        Some(device) => Text::join(&[address, Text::of(device, charset)], "%"),
        None => address,
    }
}

/// The other end; an IPv4 address that an IPv6 socket talks to is shown as such.
pub(super) fn peer_cell(row: &Row<'_>, charset: Charset) -> Option<Text> {
    let peer = row.socket.peer?;
    match peer.address.to_canonical() {
        address @ IpAddr::V4(_) if peer.address.is_ipv6() => {
            Some(Text::plain(crate::model::Endpoint { address, ..peer }.to_compact_string()))
        }
        _ => self::peer(row, charset),
    }
}

/// With its interface where its address says nothing without.
pub(super) fn peer(row: &Row<'_>, charset: Charset) -> Option<Text> {
    let peer = row.socket.peer?;
    match row.socket.device.as_deref().filter(|_| peer.is_of_a_link()) {
        Some(device) => Some(Text::of(&socket::end(peer, Some(device), charset), charset)),
        None => Some(Text::plain(peer.to_compact_string())),
    }
}

/// The short name, or that of the file when the process has blanked it.
pub fn name(process: Option<&Process>, charset: Charset) -> Option<Text> {
    let process = process?;
    let own = process.name.as_deref().filter(|name| !name.is_empty());
    let exe = process.exe.as_deref().and_then(Path::file_name);
    own.or(exe).map(|name| Text::of_os(name, charset))
}

/// The runtime, and the name or as much of the id as its own tools show.
pub fn container(container: &Container, charset: Charset) -> Text {
    Text::join(&[Text::plain(container.runtime.name()), Text::of(container.short_name(), charset)], " ")
}

/// The user that the foremost process runs as; where it is not known, the user that made the socket.
pub(super) fn user(row: &Row<'_>, charset: Charset) -> Option<Text> {
    let made_by = || {
        let Uid(uid) = row.socket.uid?;
        Some(row.user().map_or_else(|| number(uid), |name| Text::of(name, charset)))
    };
    if let Some(account) = foremost(row).and_then(|process| process.account.as_deref()) {
        return Some(Text::of(account, charset));
    }
    let runs_as = foremost(row).and_then(|process| process.uid);
    if runs_as == row.socket.uid {
        return made_by();
    }
    match runs_as {
        Some(uid) => Some(row.user_name(uid).map_or_else(|| number(uid.0), |name| Text::of(name, charset))),
        None => made_by(),
    }
}

/// The arguments, the usual secrets masked.
pub fn command_line(argv: &[std::ffi::OsString], charset: Charset) -> Option<Text> {
    let masked = crate::render::text::secrets::masked(argv);
    list(masked.iter().map(|argument| Some(quoted(argument, charset))))
}

/// An argument, in quotes where blanks or its emptiness would hide its limits.
fn quoted(argument: &OsStr, charset: Charset) -> Text {
    let text = Text::of_os(argument, charset);
    if text.as_str().is_empty() || text.as_str().contains([' ', '"', '\'']) {
        return Text::join(&[Text::default(), text, Text::default()], "'");
    }
    text
}
