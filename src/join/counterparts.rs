//! The other end of each connection, where it is on this machine.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::model::{Endpoint, ForwardTarget, ForwardedBy, Listing, Protocol, Row, Snapshot, Socket, SpaceId};
use crate::parallel;

/// Finds the socket at the other end of each connection of the listing, among all sockets of its snapshot.
///
/// The other end has the same two addresses and ports, exchanged. It is looked for in the same port space; where it is
/// not there, and the addresses are not those of a loopback or a link, in every other space that was listed, and behind
/// the ports that the firewall redirects. Where several sockets could be it, none is taken.
pub fn add_counterparts(listing: &mut Listing<'_>) {
    let forwards = forwards(listing.snapshot);
    if !listing.rows.iter().any(|row| row.is_connection() && row.socket.peer.is_some()) {
        return;
    }
    let ends = Ends::of(&listing.snapshot.sockets);
    let redirected = redirected(listing.snapshot, &ends, &forwards);
    parallel::each(&mut listing.rows, |_, rows| {
        for rows in rows.chunks_mut(AT_ONCE) {
            ends.load(rows);
            for row in rows.iter_mut().filter(|row| row.is_connection()) {
                row.counterpart = ends.other_end(row.socket).or_else(|| redirected.get(&address(row.socket)).copied());
            }
        }
    });
}

/// So many rows are looked at together.
const AT_ONCE: usize = 16;

/// A connection as one of its ends has it: the protocol, then the addresses and ports of this end and the other one. An
/// IPv4 address is the same whether an IPv4 or an IPv6 socket has it.
type Pair = (Protocol, [(u128, u16); 2]);

fn pair(protocol: Protocol, local: Endpoint, peer: Endpoint) -> Pair {
    let bits = |end: Endpoint| match end.address {
        IpAddr::V4(address) => (address.to_ipv6_mapped().to_bits(), end.port.get()),
        IpAddr::V6(address) => (address.to_bits(), end.port.get()),
    };
    (protocol, [bits(local), bits(peer)])
}

fn pair_of(socket: &Socket) -> Option<Pair> {
    Some(pair(socket.protocol, socket.local, socket.peer?))
}

/// The connections by their pairs: a hash table whose lists go through the sockets, since on a host with a million
/// sockets a table of pairs would take as much memory as these.
struct Ends<'a> {
    sockets: &'a [Socket],
    lasts: Lasts,
    /// The socket before each socket with the same hash.
    before: Vec<u32>,
}

/// The last socket with each hash, counted from 1; 0 for none.
struct Lasts {
    numbers: Vec<AtomicU32>,
    seed: u64,
}

impl Lasts {
    /// No socket yet, of so many.
    fn new(sockets: usize) -> Lasts {
        // Nobody who chooses ports can foresee which of them come together.
        let seed = RandomState::new().hash_one(sockets);
        // With more places fewer sockets come together. A look at another one waits for memory.
        let places = sockets.next_power_of_two() * 2;
        Lasts { numbers: (0..places).map(|_| AtomicU32::new(0)).collect(), seed }
    }

    /// The last socket with the hash of the pair.
    #[expect(clippy::cast_possible_truncation, reason = "what is cut off is in no need of being kept")]
    fn of(&self, (protocol, [local, peer]): Pair) -> &AtomicU32 {
        const FACTOR: u128 = 0x9e37_79b9_7f4a_7c15;
        let ports = u64::from(local.1) << 32 | u64::from(peer.1) << 8 | protocol as u64;
        let words = [local.0 as u64, (local.0 >> 64) as u64, peer.0 as u64, (peer.0 >> 64) as u64, ports];
        let hash = words.into_iter().fold(self.seed, |hash, word| {
            let product = u128::from(hash ^ word) * FACTOR;
            product as u64 ^ (product >> 64) as u64
        });
        &self.numbers[hash as usize & (self.numbers.len() - 1)]
    }
}

impl<'a> Ends<'a> {
    fn of(sockets: &'a [Socket]) -> Ends<'a> {
        let lasts = Lasts::new(sockets.len());
        let mut before = vec![0; sockets.len()];
        parallel::each(&mut before, |first, before| {
            for ((socket, number), before) in sockets[first..].iter().zip(first + 1..).zip(before) {
                let Some(pair) = pair_of(socket) else { continue };
                // Nobody lists four billion sockets.
                let number = u32::try_from(number).unwrap_or_default();
                *before = lasts.of(pair).swap(number, Ordering::Relaxed);
            }
        });
        Ends { sockets, lasts, before }
    }

    /// Loads the sockets that are looked at first for the other ends of these rows. They are anywhere in memory: a processor
    /// that meets them one by one waits for each, and here for many at a time.
    fn load(&self, rows: &[Row<'_>]) {
        let mut numbers = [0; AT_ONCE];
        for (number, socket) in numbers.iter_mut().zip(rows.iter().map(|row| row.socket)) {
            let last = socket.peer.map(|peer| self.lasts.of(pair(socket.protocol, peer, socket.local)));
            *number = last.map_or(0, |last| last.load(Ordering::Relaxed));
        }
        let places = numbers.into_iter().filter_map(NonZeroU32::new);
        let load = |socket: &Socket| usize::from(socket.peer.is_some()) + usize::from(socket.space == SpaceId(0));
        std::hint::black_box(places.map(|place| load(&self.sockets[place.get() as usize - 1])).sum::<usize>());
    }

    /// The sockets with these two ends: several in different spaces, or on different interfaces.
    fn with(&self, protocol: Protocol, local: Endpoint, peer: Endpoint) -> impl Iterator<Item = Placed<'a>> + Clone {
        let wanted = pair(protocol, local, peer);
        let mut number = self.lasts.of(wanted).load(Ordering::Relaxed);
        let alike = std::iter::from_fn(move || {
            let place = NonZeroU32::new(number)?;
            let index = number as usize - 1;
            number = self.before[index];
            Some((place, &self.sockets[index]))
        });
        alike.filter(move |(_, socket)| pair_of(socket) == Some(wanted))
    }

    /// The socket that has the same ends, exchanged.
    fn other_end(&self, socket: &Socket) -> Option<NonZeroU32> {
        let peer = socket.peer?;
        let found = self.with(socket.protocol, peer, socket.local);
        match only(found.clone().filter(|(_, other)| other.space == socket.space)) {
            Ok(Some(same_space)) => Some(same_space),
            // Every link has the same addresses of this kind, so that only the interface tells them apart.
            _ if is_of_one_stack(peer.address) || is_of_one_stack(socket.local.address) => None,
            Ok(None) => only(found).ok().flatten(),
            Err(Ambiguous) => None,
        }
        .filter(|(_, other)| !peer.is_of_a_link() || other.device == socket.device)
        .map(|(place, _)| place)
    }
}

/// A socket, and its place among all, counted from 1.
type Placed<'a> = (NonZeroU32, &'a Socket);

struct Ambiguous;

fn only<'a>(mut sockets: impl Iterator<Item = Placed<'a>>) -> Result<Option<Placed<'a>>, Ambiguous> {
    let first = sockets.next();
    if sockets.next().is_some() { Err(Ambiguous) } else { Ok(first) }
}

fn canonical(end: Endpoint) -> Endpoint {
    Endpoint { address: end.address.to_canonical(), ..end }
}

/// Says whether the address means another interface in each network stack.
fn is_of_one_stack(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => address.is_loopback() || address.is_link_local(),
        IpAddr::V6(address) => address.is_loopback() || address.is_unicast_link_local(),
    }
}

/// A port that the firewall redirects to one other end.
struct Redirected {
    space: SpaceId,
    protocol: Protocol,
    from: Endpoint,
    to: ForwardTarget,
}

fn forwards(snapshot: &Snapshot) -> Vec<Redirected> {
    let forward = |socket: &Socket| {
        let forward = socket.forward().filter(|forward| forward.by == ForwardedBy::Nat)?;
        let (space, protocol, from, to) = (socket.space, socket.protocol, canonical(socket.local), forward.to);
        to.port().map(|_| Redirected { space, protocol, from, to })
    };
    snapshot.sockets.iter().filter_map(forward).collect()
}

/// Where a socket is in memory, which tells it from every other one.
fn address(socket: &Socket) -> usize {
    std::ptr::from_ref(socket).addr()
}

/// Both ends of the connections that come through a redirect: a client has the address before it as its peer, and the
/// process that answers has the address behind it as its own.
fn redirected(snapshot: &Snapshot, ends: &Ends<'_>, forwards: &[Redirected]) -> HashMap<usize, NonZeroU32> {
    let mut found = HashMap::new();
    if forwards.is_empty() {
        return found;
    }
    for (client, number) in snapshot.sockets.iter().zip(1..) {
        let Some(peer) = client.peer.map(canonical) else { continue };
        let is_redirected = |forward: &&Redirected| {
            (forward.space, forward.protocol, forward.from.port) == (client.space, client.protocol, peer.port)
                && (forward.from.address == peer.address || forward.from.address.is_unspecified())
        };
        if ends.other_end(client).is_some() {
            continue;
        }
        let behind = |forward: &Redirected| {
            let (address, port) = (forward.to.address, forward.to.port()?);
            let address = if address.is_unspecified() { peer.address } else { address };
            Some(Endpoint { address, port })
        };
        let servers: Vec<Placed<'_>> = forwards
            .iter()
            .filter(is_redirected)
            .filter_map(behind)
            .flat_map(|end| ends.with(client.protocol, end, client.local))
            .collect();
        if let [(place, server)] = servers[..] {
            found.insert(address(client), place);
            found.extend(NonZeroU32::new(number).map(|place| (address(server), place)));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::join;
    use crate::model::{Forward, Holder, Owner, Pid, Row, Space, SpaceKind, StandsFor, State};
    use crate::testing;

    /// A connection in the space, held by the process.
    fn connection(snapshot: &mut Snapshot, space: u64, local: &str, peer: &str, pid: u32) {
        let end = |text: &str| {
            let end: std::net::SocketAddr = text.parse().unwrap();
            Endpoint::new(end.ip(), end.port())
        };
        let id = SpaceId(space);
        let mut socket = snapshot.sockets[1].clone();
        (socket.space, socket.local, socket.peer) = (id, end(local), Some(end(peer)));
        (socket.state, socket.device) = (Some(State::Established), None);
        socket.owner = Owner::Processes(vec![Holder { pid: Pid(pid), fd: Some(3) }].into());
        snapshot.sockets.push(socket);
        if snapshot.space(id).is_none() {
            let source = snapshot.socket_source;
            snapshot.spaces.push(Space::new(id, SpaceKind::Container, format!("c{space}"), source));
        }
    }

    fn own() -> u64 {
        testing::snapshot().spaces[0].id.0
    }

    /// The process at the other end of each connection of the process.
    fn peers_of(snapshot: &Snapshot, pid: u32) -> Vec<Option<u32>> {
        let mut listing = join::listing(snapshot, None);
        add_counterparts(&mut listing);
        let own = listing.rows.iter().filter(|row| row.processes.first().is_some_and(|(first, _)| first.0 == pid));
        let peer = |row: &Row<'_>| Some(row.peer_row()?.processes.first()?.0.0);
        own.filter(|row| row.socket.peer.is_some()).map(peer).collect()
    }

    #[test]
    fn both_ends_of_a_local_connection_name_each_other_also_in_mixed_families() {
        for (client, server) in [
            (("127.0.0.1:50000", "127.0.0.1:5432"), ("127.0.0.1:5432", "127.0.0.1:50000")),
            (("127.0.0.1:50000", "127.0.0.1:5432"), ("[::ffff:127.0.0.1]:5432", "[::ffff:127.0.0.1]:50000")),
            (("192.0.2.7:50000", "192.0.2.7:5432"), ("192.0.2.7:5432", "192.0.2.7:50000")),
            (("[::1]:50000", "[::1]:5432"), ("[::1]:5432", "[::1]:50000")),
        ] {
            let mut snapshot = testing::snapshot();
            connection(&mut snapshot, own(), client.0, client.1, 900);
            connection(&mut snapshot, own(), server.0, server.1, 901);
            assert_eq!(peers_of(&snapshot, 900), [Some(901)], "{client:?}");
            assert_eq!(peers_of(&snapshot, 901), [Some(900)], "{server:?}");
        }
    }

    #[test]
    fn a_connection_to_another_machine_has_no_other_end_here() {
        let mut snapshot = testing::snapshot();
        connection(&mut snapshot, own(), "192.0.2.7:50000", "198.51.100.1:443", 900);
        connection(&mut snapshot, own(), "192.0.2.7:443", "198.51.100.1:50000", 901);
        assert_eq!(peers_of(&snapshot, 900), [None]);
        assert_eq!(peers_of(&snapshot, 901), [None]);
    }

    #[test]
    fn a_container_is_found_by_its_address_and_never_by_a_loopback() {
        let mut snapshot = testing::snapshot();
        connection(&mut snapshot, own(), "172.17.0.1:50000", "172.17.0.2:5432", 900);
        connection(&mut snapshot, 7, "172.17.0.2:5432", "172.17.0.1:50000", 901);
        connection(&mut snapshot, own(), "127.0.0.1:50001", "127.0.0.1:5432", 902);
        connection(&mut snapshot, 7, "127.0.0.1:5432", "127.0.0.1:50001", 903);
        assert_eq!(peers_of(&snapshot, 900), [Some(901)]);
        assert_eq!(peers_of(&snapshot, 901), [Some(900)]);
        assert_eq!(peers_of(&snapshot, 902), [None]);
        assert_eq!(peers_of(&snapshot, 903), [None]);
    }

    #[test]
    fn where_two_sockets_could_be_the_other_end_none_is_named() {
        let mut snapshot = testing::snapshot();
        connection(&mut snapshot, own(), "172.17.0.1:50000", "172.17.0.2:5432", 900);
        connection(&mut snapshot, 7, "172.17.0.2:5432", "172.17.0.1:50000", 901);
        connection(&mut snapshot, 8, "172.17.0.2:5432", "172.17.0.1:50000", 902);
        assert_eq!(peers_of(&snapshot, 900), [None]);
        connection(&mut snapshot, own(), "127.0.0.1:50000", "127.0.0.1:5432", 903);
        connection(&mut snapshot, own(), "127.0.0.1:5432", "127.0.0.1:50000", 904);
        connection(&mut snapshot, own(), "127.0.0.1:5432", "127.0.0.1:50000", 905);
        assert_eq!(peers_of(&snapshot, 903), [None]);
    }

    #[test]
    fn a_link_local_address_belongs_to_its_interface() {
        let mut snapshot = testing::snapshot();
        connection(&mut snapshot, own(), "[fe80::1]:50000", "[fe80::2]:5432", 900);
        connection(&mut snapshot, own(), "[fe80::2]:5432", "[fe80::1]:50000", 901);
        let last = snapshot.sockets.len() - 1;
        snapshot.sockets[last].device = Some("v0".into());
        assert_eq!(peers_of(&snapshot, 900), [None]);
        snapshot.sockets[last - 1].device = Some("v0".into());
        assert_eq!(peers_of(&snapshot, 900), [Some(901)]);
    }

    #[test]
    fn a_redirected_connection_leads_to_the_process_that_answers_and_back() {
        let mut snapshot = testing::snapshot();
        connection(&mut snapshot, own(), "192.0.2.7:50000", "192.0.2.7:8080", 900);
        connection(&mut snapshot, 7, "172.17.0.2:80", "192.0.2.7:50000", 901);
        assert_eq!(peers_of(&snapshot, 900), [None]);
        let mut rule = snapshot.sockets[2].clone();
        rule.local = Endpoint::new("0.0.0.0".parse().unwrap(), 8080);
        (rule.state, rule.owner) = (Some(State::Redirect), Owner::Nobody(crate::model::Nobody::Redirected));
        let to = Endpoint::new("172.17.0.2".parse().unwrap(), 80).into();
        let forward = Forward { by: ForwardedBy::Nat, to, service: None, container: None };
        rule.stands_for = Some(Box::new(StandsFor::Forward(forward)));
        snapshot.sockets.push(rule);
        assert_eq!(peers_of(&snapshot, 900), [Some(901)]);
        assert_eq!(peers_of(&snapshot, 901), [Some(900)]);
    }
}
