//! A service of several sockets in words: its ports, addresses, processes, and who is connected.

use std::net::{IpAddr, Ipv6Addr};

use crate::model::{Port, Protocol, Row};
use crate::render::text::safe::{Charset, Text};
use crate::render::words::cell;
use crate::render::words::column::Column;
use crate::render::words::process;
use crate::select::group::{Group, Peer};

/// More ports or addresses of one service are only counted in a table.
const MOST_NAMED: usize = 3;

/// More connected services than these are only counted.
const MOST_PEERS: usize = 3;

/// `80 443 53/udp`; with `all` every port, else the first ones.
pub fn ports(group: &Group<'_, '_>, all: bool) -> String {
    let name = |(protocol, port): (Protocol, Port)| match protocol {
        Protocol::Tcp => port.to_string(),
        protocol => format!("{port}/{}", protocol.name()),
    };
    some(group.ports().into_iter().map(name).collect(), all)
}

/// `*`, `127.0.0.1 ::1`: where it is open.
pub fn addresses(group: &Group<'_, '_>, all: bool) -> String {
    let mut addresses: Vec<String> = Vec::new();
    for row in group.open() {
        let socket = row.socket;
        let is_of_both = socket.v6only == Some(false) && socket.local.address == IpAddr::V6(Ipv6Addr::UNSPECIFIED);
        let device = socket.device.as_deref().map(|device| format!("%{device}")).unwrap_or_default();
        let address = if is_of_both { "*".to_owned() } else { socket.local.address.to_canonical().to_string() };
        let address = format!("{address}{device}");
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    some(addresses, all)
}

/// The services that its ports are assigned to.
pub fn services(group: &Group<'_, '_>, all: bool, charset: Charset) -> String {
    let mut names: Vec<String> = Vec::new();
    for service in group.open().filter_map(Row::service) {
        let name = Text::of(service.name, charset).into_string();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    some(names, all)
}

fn some(mut names: Vec<String>, all: bool) -> String {
    if all || names.len() <= MOST_NAMED {
        return names.join(" ");
    }
    let more = names.len() - (MOST_NAMED - 1);
    names.truncate(MOST_NAMED - 1);
    format!("{} +{more}", names.join(" "))
}

/// `nginx +4`, or why no process is named.
pub fn program(group: &Group<'_, '_>, charset: Charset) -> Text {
    let Some(row) = group.rows.first() else { return Text::unknown() };
    let named = group.processes.first().and_then(|(_, process)| cell::running(*process, charset));
    match named {
        Some(name) if row.socket.forward().is_none() => match group.processes.len() {
            0 | 1 => name,
            count => Text::join(&[name, Text::plain(format!("+{}", count - 1))], " "),
        },
        _ => Column::Process.cell(row, charset),
    }
}

/// `node server.js ×12, 198.51.100.23 ×2, 3 more`: who is connected, the busiest first.
pub fn peers(group: &Group<'_, '_>, charset: Charset) -> String {
    let mut counts: Vec<(String, usize)> = Vec::new();
    for (peer, count) in &group.peers {
        let name = match peer {
            Peer::Process(_, known) => process::called(known, charset).into_string(),
            Peer::Address(address) => address.to_string(),
        };
        match counts.iter_mut().find(|(known, _)| *known == name) {
            Some((_, all)) => *all += count,
            None => counts.push((name, *count)),
        }
    }
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let times = if charset == Charset::Unicode { "×" } else { "x" };
    let named = counts.iter().take(MOST_PEERS).map(|(name, count)| match count {
        1 => name.clone(),
        count => format!("{name} {times}{count}"),
    });
    let mut named: Vec<String> = named.collect();
    let more = counts.len().saturating_sub(MOST_PEERS);
    named.extend((more > 0).then(|| format!("{more} more")));
    named.join(", ")
}
