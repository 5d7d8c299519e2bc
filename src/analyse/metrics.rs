//! What is worth watching over time, as numbers: counts of a listing by things of which there are few.
//!
//! Nothing is counted by process or by peer: each new one would be a new series of the database that keeps the numbers.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::usage::{Destination, Measured, Share, SpaceUsage};
use crate::model::{Category, Exposure, Listing, Missing, Port, Protocol, Row, Space, SpaceId, State};

/// What a space is called among the numbers; several of one name are counted together.
pub type Name = Rc<str>;

/// The accept queues of the listeners on one port.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Queues {
    /// Connections that wait, of all together.
    pub used: u64,
    /// Connections that may wait, of all together.
    pub limit: u64,
    /// How full the fullest of them is, 1.0 for full: the sums hide it among the empty ones.
    pub fullest: f64,
}

/// The numbers of one listing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metrics {
    /// How many sockets wait for others, redirected ports included.
    pub listeners: BTreeMap<(Name, Protocol, Category, Exposure), usize>,
    /// How many sockets have a peer.
    pub connections: BTreeMap<(Name, Protocol, State), usize>,
    /// Numbers of the ephemeral range, without reserved ones; absent where the range is not known.
    pub ephemeral: BTreeMap<(Name, Protocol), Share>,
    /// The part of the numbers for one destination that is in use, of the fullest; absent where it cannot be told.
    pub fullest_destination: BTreeMap<Name, f64>,
    /// The accept queues that are known.
    pub queues: BTreeMap<(Name, Port), Queues>,
    /// Connections lost to full accept queues since the space began; absent where the kernel does not tell it.
    pub overflows: BTreeMap<Name, u64>,
    /// How many sockets somebody may hold, and this run could not see who.
    pub hidden_owners: usize,
    /// How many port spaces were counted.
    pub spaces: usize,
}

/// Counts the listing, and how full its spaces are, under the names that `name` gives to them.
pub fn metrics(listing: &Listing<'_>, usage: &[SpaceUsage<'_>], name: impl Fn(&Space) -> String) -> Metrics {
    let names: BTreeMap<SpaceId, Name> =
        listing.snapshot.spaces.iter().map(|space| (space.id, name(space).into())).collect();
    let mut metrics = Metrics { spaces: usage.len(), ..Metrics::default() };
    for row in &listing.rows {
        metrics.hidden_owners += usize::from(row.is_hidden());
        if let Some(name) = names.get(&row.space.id) {
            metrics.count_row(row, name);
        }
    }
    let knows_peers = !listing.snapshot.misses(Missing::Peers);
    for space in usage {
        if let Some(name) = names.get(&space.space.id) {
            metrics.count_space(space, name, knows_peers);
        }
    }
    metrics
}

impl Metrics {
    fn count_row(&mut self, row: &Row<'_>, name: &Name) {
        let (name, protocol) = (Rc::clone(name), row.socket.protocol);
        if row.is_listener {
            *self.listeners.entry((name, protocol, row.category, row.exposure)).or_default() += 1;
        } else if let (true, Some(state)) = (row.is_connection(), row.socket.state) {
            *self.connections.entry((name, protocol, state)).or_default() += 1;
        }
    }

    fn count_space(&mut self, usage: &SpaceUsage<'_>, name: &Name, knows_peers: bool) {
        for gauge in usage.gauges.iter().filter(|gauge| gauge.measured == Measured::Ephemeral) {
            let key = (Rc::clone(name), gauge.protocol);
            let sum = self.ephemeral.entry(key).or_insert(Share { used: 0, limit: 0 });
            *sum = Share { used: sum.used + gauge.share.used, limit: sum.limit + gauge.share.limit };
        }
        // Without the range, or without peers in a redacted report, no number would be true.
        if usage.space.ephemeral.is_some() && knows_peers {
            let shares = usage.destinations.iter().filter_map(Destination::share);
            let fullest = self.fullest_destination.entry(Rc::clone(name)).or_default();
            *fullest = shares.map(Share::part).fold(*fullest, f64::max);
        }
        for queue in &usage.queues {
            let sum = self.queues.entry((Rc::clone(name), queue.row.socket.local.port)).or_default();
            sum.used += u64::from(queue.queue.used);
            sum.limit += u64::from(queue.queue.limit);
            sum.fullest = sum.fullest.max(queue.share().part());
        }
        if let Some(count) = usage.space.listen_overflows {
            let sum = self.overflows.entry(Rc::clone(name)).or_default();
            // A saved report may hold any numbers.
            *sum = sum.saturating_add(count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyse::usage::usage;
    use crate::model::{Gap, Queue, Snapshot, Waiting};
    use crate::{join, testing};

    fn counted(snapshot: &Snapshot) -> Metrics {
        let listing = join::listing(snapshot, None);
        metrics(&listing, &usage(&listing), |space| space.label.clone())
    }

    fn host() -> Name {
        "host".into()
    }

    #[test]
    fn every_listener_and_connection_is_counted_once_and_nothing_else() {
        let metrics = counted(&testing::snapshot());
        let listeners: Vec<_> = metrics
            .listeners
            .iter()
            .map(|((_, protocol, category, exposure), count)| {
                (protocol.name(), category.name(), exposure.name(), *count)
            })
            .collect();
        assert_eq!(
            listeners,
            [("tcp", "well-known", "any", 1), ("tcp", "registered", "loopback", 2), ("udp", "registered", "any", 1),]
        );
        let connections: Vec<_> =
            metrics.connections.iter().map(|((_, _, state), count)| (state.name(), *count)).collect();
        assert_eq!(connections, [("ESTABLISHED", 1), ("TIME_WAIT", 1)]);
        assert_eq!((metrics.hidden_owners, metrics.spaces), (1, 1));
    }

    #[test]
    fn a_full_queue_shows_beside_an_empty_one_of_the_same_port() {
        let mut snapshot = testing::snapshot();
        for (index, used, limit) in [(3, 5, 5), (4, 0, 4096)] {
            snapshot.sockets[index].waiting = Some(Waiting::Connections(Queue { used, limit }));
        }
        let metrics = counted(&snapshot);
        let expected = Queues { used: 5, limit: 4101, fullest: 1.0 };
        assert_eq!(metrics.queues, BTreeMap::from([((host(), Port::new(5432)), expected)]));
    }

    #[test]
    fn what_is_not_known_has_no_number() {
        let mut snapshot = testing::snapshot();
        let metrics = counted(&snapshot);
        let fullest = BTreeMap::from([(host(), 1.0 / 28_232.0)]);
        assert_eq!(metrics.fullest_destination, fullest, "40000 is used for 203.0.113.80:443");
        assert_eq!(metrics.ephemeral[&(host(), Protocol::Tcp)], Share { used: 1, limit: 28_232 });
        assert!(metrics.overflows.is_empty());
        snapshot.gaps.push(Gap::RedactedPeers);
        assert!(counted(&snapshot).fullest_destination.is_empty(), "peers were left out");
        snapshot.gaps.clear();
        snapshot.spaces[0].ephemeral = None;
        let metrics = counted(&snapshot);
        assert!(metrics.fullest_destination.is_empty() && metrics.ephemeral.is_empty());
    }

    #[test]
    fn spaces_of_one_name_are_counted_together_and_others_apart() {
        let mut snapshot = testing::snapshot();
        for (id, label, overflows) in [(1, "host", 3), (2, "web", u64::MAX)] {
            let mut space = snapshot.spaces[0].clone();
            (space.id, space.label, space.listen_overflows) = (SpaceId(id), label.to_owned(), Some(overflows));
            let mut listener = snapshot.sockets[2].clone();
            listener.space = space.id;
            snapshot.spaces.push(space);
            snapshot.sockets.push(listener);
        }
        snapshot.spaces[0].listen_overflows = Some(4);
        let metrics = counted(&snapshot);
        let on_443 = |name: &str| metrics.listeners[&(name.into(), Protocol::Tcp, Category::WellKnown, Exposure::Any)];
        assert_eq!((on_443("host"), on_443("web"), metrics.spaces), (2, 1, 3));
        assert_eq!(metrics.overflows, BTreeMap::from([(host(), 7), ("web".into(), u64::MAX)]));
        assert_eq!(metrics.ephemeral[&(host(), Protocol::Udp)].limit, 2 * 28_232);
    }
}
