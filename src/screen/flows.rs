//! How fast connections carry what they carry: what two tables say of the same socket, compared.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, SystemTime};

use super::sockets::{Id, id};
use crate::model::{Endpoint, Family, Pid, Protocol, Rate, Snapshot, Socket, SpaceId, State, Traffic};

/// Rates are taken over at least so long, so that tables that come fast do not make them jump.
const PERIOD: Duration = Duration::from_millis(900);

/// What connections had carried when rates were last taken, and what has come of it.
#[derive(Clone, Debug, Default)]
pub struct Flows {
    /// When the table was begun that later ones are compared with.
    since: Option<SystemTime>,
    /// What each connection had received and sent then.
    before: HashMap<Id, (u64, u64)>,
    /// Connections that have ended since then, with what they had carried.
    ended: HashMap<Id, Socket>,
    rates: HashMap<Id, Rate>,
    /// Connections that had ended when the rates were taken: no table may have had them.
    gone: Vec<Socket>,
    /// Everything together.
    total: Option<Rate>,
}

impl Flows {
    /// What is carried altogether, once two tables were compared.
    pub fn total(&self) -> Option<Rate> {
        self.total
    }

    /// Takes what connections had carried when they ended.
    pub fn end<'s>(&mut self, ended: impl Iterator<Item = &'s Socket>) {
        for socket in ended {
            self.ended.insert(id(socket), socket.clone());
        }
    }

    /// Compares a table with the one before, where that is long enough ago.
    pub fn compare(&mut self, table: &Snapshot) {
        let begun = table.host.captured_at;
        let span = self.since.map(|since| begun.duration_since(since).unwrap_or_default());
        if span.is_some_and(|span| span < PERIOD) {
            return;
        }
        let carried = |traffic: &Traffic| (traffic.received, traffic.sent);
        let now: HashMap<Id, (u64, u64)> =
            table.sockets.iter().filter_map(|socket| Some((id(socket), carried(socket.traffic.as_deref()?)))).collect();
        let ended = std::mem::take(&mut self.ended);
        let gone = ended.values().cloned().collect();
        if let Some(span) = span {
            let ended = ended.iter().filter_map(|(id, socket)| Some((*id, carried(socket.traffic.as_deref()?))));
            let every = now.iter().map(|(id, carried)| (*id, *carried)).chain(ended);
            let rate = |(id, (received, sent)): (Id, (u64, u64))| {
                // What was not there before has carried everything since.
                let (was_received, was_sent) = self.before.get(&id).copied().unwrap_or_default();
                let received = a_second(received.saturating_sub(was_received), span);
                (id, Rate { received, sent: a_second(sent.saturating_sub(was_sent), span) })
            };
            self.rates = every.map(rate).collect();
            self.gone = gone;
            self.total = self.rates.values().copied().reduce(Rate::plus).or(Some(Rate::default()));
        }
        (self.since, self.before) = (Some(begun), now);
    }

    /// Writes to each connection how fast it carries, and to each listener what those of its port carry together.
    pub fn describe(&self, sockets: &mut [Socket]) {
        let mut open: BTreeMap<End, BTreeSet<Pid>> = BTreeMap::new();
        for socket in sockets.iter().filter(|socket| waits(socket)) {
            open.entry(end(socket)).or_default().extend(pids(socket));
        }
        let mut carried: BTreeMap<End, Vec<(BTreeSet<Pid>, Traffic)>> = BTreeMap::new();
        for socket in sockets.iter_mut().filter(|socket| !waits(socket)) {
            let rate = self.rates.get(&id(socket)).copied();
            // Until the rate is known, the bytes so far would be taken for it.
            socket.traffic = rate.map(|rate| {
                let so_far = socket.traffic.as_deref().copied().unwrap_or_default();
                Box::new(Traffic { rate: Some(rate), ..so_far })
            });
            if let Some(traffic) = &socket.traffic {
                let end = if open.contains_key(&end(socket)) { end(socket) } else { any(socket) };
                carried.entry(end).or_default().push((pids(socket), **traffic));
            }
        }
        let listed: HashSet<Id> = sockets.iter().map(id).collect();
        for socket in self.gone.iter().filter(|socket| !listed.contains(&id(socket))) {
            let end = if open.contains_key(&end(socket)) { end(socket) } else { any(socket) };
            let traffic = Traffic { rate: self.rates.get(&id(socket)).copied(), ..Traffic::default() };
            carried.entry(end).or_default().push((pids(socket), traffic));
        }
        for socket in sockets.iter_mut().filter(|socket| waits(socket)) {
            // Of several listeners on one end each has the connections of its own processes.
            let own = pids(socket);
            let all = open.get(&end(socket)).cloned().unwrap_or_default();
            let is_own = |pids: &BTreeSet<Pid>| !pids.is_disjoint(&own) || pids.is_disjoint(&all);
            let of_end = carried.get(&end(socket)).into_iter().flatten();
            let sum = of_end.filter(|(pids, _)| is_own(pids)).map(|(_, traffic)| *traffic);
            socket.traffic = Traffic::sum(sum).map(Box::new);
        }
    }
}

/// Where a connection is accepted.
type End = (SpaceId, Protocol, Family, Endpoint);

fn end(socket: &Socket) -> End {
    (socket.space, socket.protocol, socket.family, socket.local)
}

/// The same port on every address.
fn any(socket: &Socket) -> End {
    let address = match socket.family {
        Family::Ipv4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        Family::Ipv6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    (socket.space, socket.protocol, socket.family, Endpoint { address, ..socket.local })
}

fn a_second(bytes: u64, span: Duration) -> u64 {
    let milliseconds = span.as_millis().max(1);
    u64::try_from(u128::from(bytes) * 1000 / milliseconds).unwrap_or(u64::MAX)
}

fn waits(socket: &Socket) -> bool {
    socket.state == Some(State::Listen)
}

fn pids(socket: &Socket) -> BTreeSet<Pid> {
    socket.owner.holders().iter().map(|holder| holder.pid).collect()
}
