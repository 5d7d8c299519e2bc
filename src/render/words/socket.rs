//! A socket and its holders in words, for sentences and not for tables.

use std::net::IpAddr;

use crate::model::{Endpoint, Pid, Process, Row};
use crate::render::text::safe::{Charset, Text};
use crate::render::words::cell;
use crate::render::words::column::Column;

/// More holders of one socket are only counted.
const MOST_HOLDERS: usize = 4;

/// `4242 node server.js`, by the name that the process gives itself, else by its file's.
pub fn process(pid: Pid, process: Option<&Process>, charset: Charset) -> String {
    match cell::running(process, charset) {
        Some(name) => format!("{} {}", pid.0, name.as_str()),
        None => pid.0.to_string(),
    }
}

/// Every holder, or why there is none: `4242 node, 4243 node`, `(hidden)`.
pub fn all(row: &Row<'_>, charset: Charset) -> String {
    if row.processes.is_empty() {
        return Column::Process.cell(row, charset).into_string();
    }
    let named = row.processes.iter().take(MOST_HOLDERS).map(|(pid, known)| process(*pid, *known, charset));
    let mut text = named.collect::<Vec<_>>().join(", ");
    if row.processes.len() > MOST_HOLDERS {
        text = format!("{text} and {} more", row.processes.len() - MOST_HOLDERS);
    }
    text
}

/// `tcp 127.0.0.1:8080 LISTEN (4242 node)`.
pub fn socket_and_holders(row: &Row<'_>, charset: Charset) -> String {
    let (socket, holders) = (socket(row, charset), all(row, charset));
    // Why there is no process stands in parentheses already.
    if row.processes.is_empty() { format!("{socket} {holders}") } else { format!("{socket} ({holders})") }
}

/// `tcp *:8080 LISTEN`, with the other end of a connection.
pub fn socket(row: &Row<'_>, charset: Charset) -> String {
    let socket = row.socket;
    let mut text = format!("{} {}", socket.protocol.name(), answering(row, charset));
    if let Some(state) = socket.state {
        text = format!("{text} {}", state.name());
    }
    match peer(row, charset) {
        Some(peer) => format!("{text} with {peer}"),
        None => text,
    }
}

/// The local end, with the interface that it is bound to: `127.0.0.1:80`, `127.0.0.1%lo:80`, `[fe80::1%eth0]:80`.
pub fn local(row: &Row<'_>, charset: Charset) -> String {
    end(row.socket.local, row.socket.device.as_deref(), charset)
}

/// The local end as a listing shows it: `*:3000` for a socket that takes both families.
pub fn answering(row: &Row<'_>, charset: Charset) -> String {
    let socket = row.socket;
    let is_dual =
        socket.local.address.is_unspecified() && socket.local.address.is_ipv6() && socket.v6only == Some(false);
    if is_dual && socket.device.is_none() {
        return format!("*:{}", socket.local.port);
    }
    local(row, charset)
}

/// The other end, with its interface where its address says nothing without.
pub fn peer(row: &Row<'_>, charset: Charset) -> Option<String> {
    let peer = row.socket.peer?;
    Some(end(peer, row.socket.device.as_deref().filter(|_| peer.is_of_a_link()), charset))
}

/// An end as a target takes it; an IPv4 address that an IPv6 socket uses is shown as IPv4.
pub fn end(end: Endpoint, device: Option<&str>, charset: Charset) -> String {
    let end = Endpoint { address: end.address.to_canonical(), ..end };
    let Some(device) = device else { return end.to_string() };
    let device = Text::of(device, charset);
    match end.address {
        IpAddr::V4(address) => format!("{address}%{}:{}", device.as_str(), end.port),
        IpAddr::V6(address) => format!("[{address}%{}]:{}", device.as_str(), end.port),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{join, testing};

    #[test]
    fn a_socket_and_its_holders_read_as_words() {
        let snapshot = testing::snapshot();
        let listing = join::listing(&snapshot, None);
        let words = |index: usize| {
            let row = &listing.rows[index];
            format!("{}: {}", socket(row, Charset::Unicode), all(row, Charset::Unicode))
        };
        assert_eq!(words(0), "tcp 192.0.2.7:40000 TIME_WAIT with 203.0.113.80:443: (time-wait)");
        assert_eq!(words(2), "tcp 0.0.0.0:443 LISTEN: 811 nginx, 812 nginx, 813 nginx");
        assert_eq!(words(4), "tcp [::1]:5432 LISTEN: 700 postgres");
        assert_eq!(words(5), "udp [::]:5353: (hidden)");
        let both = |index: usize| socket_and_holders(&listing.rows[index], Charset::Unicode);
        assert_eq!(both(4), "tcp [::1]:5432 LISTEN (700 postgres)");
        assert_eq!(both(5), "udp [::]:5353 (hidden)");
    }

    #[test]
    fn an_interface_belongs_to_the_address_and_what_is_shown_is_a_target() {
        let mut snapshot = testing::snapshot();
        for (index, address) in [(1, "fe80::1"), (2, "0.0.0.0"), (4, "fe80::1")] {
            let socket = &mut snapshot.sockets[index];
            (socket.local.address, socket.device) = (address.parse().unwrap(), Some("v0".into()));
        }
        snapshot.sockets[1].peer = Some(Endpoint::new("fe80::2".parse().unwrap(), 4000));
        let listing = join::listing(&snapshot, None);
        let shown = |index: usize| socket(&listing.rows[index], Charset::Unicode);
        assert_eq!(shown(1), "tcp [fe80::1%v0]:443 ESTABLISHED with [fe80::2%v0]:4000");
        assert_eq!(shown(2), "tcp 0.0.0.0%v0:443 LISTEN");
        assert_eq!(shown(4), "tcp [fe80::1%v0]:5432 LISTEN");
        for index in [1, 2, 4] {
            let row = &listing.rows[index];
            let target = local(row, Charset::Unicode).parse().unwrap();
            assert!(crate::select::Wanted::new(&target, |_| std::collections::BTreeSet::new()).matches(row));
        }
        let row = &listing.rows[1];
        let peer: crate::select::Peer = peer(row, Charset::Unicode).unwrap().parse().unwrap();
        assert!(peer.matches(row.socket));
    }

    #[test]
    fn a_socket_of_both_families_reads_as_a_star_and_one_of_ipv6_alone_does_not() {
        let mut snapshot = testing::snapshot();
        snapshot.sockets[2].local.address = "::".parse().unwrap();
        for (v6only, shown) in [(false, "tcp *:443 LISTEN"), (true, "tcp [::]:443 LISTEN")] {
            snapshot.sockets[2].v6only = Some(v6only);
            let listing = join::listing(&snapshot, None);
            assert_eq!(super::socket(&listing.rows[2], Charset::Unicode), shown);
        }
    }

    #[test]
    fn the_ipv4_addresses_of_an_ipv6_socket_read_as_ipv4() {
        let mut snapshot = testing::snapshot();
        let socket = &mut snapshot.sockets[1];
        socket.local.address = "::ffff:192.0.2.7".parse().unwrap();
        socket.peer = Some(Endpoint::new("::ffff:198.51.100.23".parse().unwrap(), 4000));
        let listing = join::listing(&snapshot, None);
        let row = &listing.rows[1];
        assert_eq!(super::socket(row, Charset::Unicode), "tcp 192.0.2.7:443 ESTABLISHED with 198.51.100.23:4000");
        for (column, shown, value) in [
            (Column::Address, "192.0.2.7", "::ffff:192.0.2.7"),
            (Column::Peer, "198.51.100.23:4000", "[::ffff:198.51.100.23]:4000"),
        ] {
            assert_eq!(column.cell(row, Charset::Unicode).as_str(), shown);
            assert_eq!(column.value(row, Charset::Unicode).unwrap().as_str(), value);
        }
    }

    #[test]
    fn many_holders_are_counted_and_names_are_made_safe() {
        let mut snapshot = testing::snapshot();
        for pid in 1000..1010 {
            let holder = crate::model::Holder { pid: Pid(pid), fd: None };
            snapshot.sockets[3].owner = match &snapshot.sockets[3].owner {
                crate::model::Owner::Processes(holders) => {
                    crate::model::Owner::Processes(holders.iter().copied().chain([holder]).collect())
                }
                owner => owner.clone(),
            };
        }
        snapshot.processes.get_mut(&Pid(700)).unwrap().name = Some("a\x1b[2J\n".into());
        let listing = join::listing(&snapshot, None);
        assert_eq!(all(&listing.rows[3], Charset::Unicode), "700 a\\x1b[2J\\x0a, 1000, 1001, 1002 and 7 more");
    }
}
