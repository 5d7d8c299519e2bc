//! Which numbers are open in several port spaces, on one host and across hosts. That is no conflict.

use std::collections::BTreeMap;

use crate::model::{Host, Listing, Port, Protocol, Row, Space};

/// One port space of one host, and what is open in it.
#[derive(Clone, Debug)]
pub struct Use<'a> {
    /// The host that it is on.
    pub host: &'a Host,
    /// The space.
    pub space: &'a Space,
    /// How many sockets wait for others, redirected ports included.
    pub listeners: usize,
    /// How many sockets have a peer, in any phase of a conversation.
    pub connections: usize,
}

/// A number that is open in at least one space.
#[derive(Clone, Debug)]
pub struct Open<'a> {
    /// The protocol.
    pub protocol: Protocol,
    /// The number.
    pub port: Port,
    /// The listeners of each space that has some, by the place of the space in the overview.
    pub in_spaces: BTreeMap<usize, Vec<&'a Row<'a>>>,
}

/// All spaces of some listings, and the numbers that are open in them.
#[derive(Clone, Debug)]
pub struct Overview<'a> {
    /// The hosts, one for each listing.
    pub hosts: Vec<&'a Host>,
    /// The spaces, in the order of the listings.
    pub spaces: Vec<Use<'a>>,
    /// The open numbers, by port and protocol.
    pub open: Vec<Open<'a>>,
}

impl Overview<'_> {
    /// The numbers that are open in more than one space.
    pub fn shared(&self) -> impl Iterator<Item = &Open<'_>> {
        self.open.iter().filter(|open| open.in_spaces.len() > 1)
    }
}

/// Looks at listings of one or several hosts together.
pub fn overview<'a>(listings: &'a [Listing<'a>]) -> Overview<'a> {
    let mut spaces = Vec::new();
    let mut open: BTreeMap<(Port, Protocol), BTreeMap<usize, Vec<&Row<'_>>>> = BTreeMap::new();
    for listing in listings {
        let of_space = listing.by_space();
        for space in &listing.snapshot.spaces {
            let rows = of_space.get(&space.id).map_or(&[][..], Vec::as_slice);
            for row in rows.iter().copied().filter(|row| row.is_listener) {
                let socket = row.socket;
                let in_spaces = open.entry((socket.local.port, socket.protocol)).or_default();
                in_spaces.entry(spaces.len()).or_default().push(row);
            }
            spaces.push(Use {
                host: &listing.snapshot.host,
                space,
                listeners: rows.iter().filter(|row| row.is_listener).count(),
                connections: rows.iter().filter(|row| row.is_connection()).count(),
            });
        }
    }
    let open = open.into_iter().map(|((port, protocol), in_spaces)| Open { protocol, port, in_spaces }).collect();
    Overview { hosts: listings.iter().map(|listing| &listing.snapshot.host).collect(), spaces, open }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::join;
    use crate::model::{SocketSource, SpaceId, SpaceKind};
    use crate::testing;

    #[test]
    fn a_number_is_shared_when_two_spaces_have_it_open() {
        let mut snapshot = testing::snapshot();
        let other = SpaceId(7);
        snapshot.spaces.push(Space::new(other, SpaceKind::Netns, "blue".to_owned(), SocketSource::Netlink));
        let listener = snapshot.sockets.iter().find(|socket| socket.local.port == Port::new(443)).cloned();
        let mut twin =
            snapshot.sockets.iter().find(|socket| socket.local.to_string() == "0.0.0.0:443").cloned().unwrap();
        twin.space = other;
        snapshot.sockets.push(twin);
        assert!(listener.is_some());
        let listings = [join::listing(&snapshot, None)];
        let overview = overview(&listings);
        let shared: Vec<_> = overview.shared().map(|open| (open.port.get(), open.in_spaces.len())).collect();
        assert_eq!(shared, [(443, 2)], "5432 is open twice in one space, which is another matter");
        let counts: Vec<_> = overview.spaces.iter().map(|one| (one.listeners, one.connections)).collect();
        assert_eq!(counts, [(4, 2), (1, 0)]);
    }

    #[test]
    fn the_same_number_on_two_hosts_is_shared_across_them() {
        let (one, mut two) = (testing::snapshot(), testing::snapshot());
        two.host.name = Some("web-2".to_owned());
        let listings = [join::listing(&one, None), join::listing(&two, None)];
        let overview = overview(&listings);
        let ports: Vec<u16> = overview.shared().map(|open| open.port.get()).collect();
        assert_eq!(ports, [443, 5353, 5432]);
        assert_eq!(overview.spaces[1].host.name.as_deref(), Some("web-2"));
    }
}
