//! The native backend: sockets by netlink, holders by the kernel's iterator or by /proc, details through /proc.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::SystemTime;

use rustix::net::{AddressFamily, SocketFlags, SocketType, netdevice};

use super::entry::Entry;
use super::sock_diag::{DumpError, Query, SockDiag};
use super::{cgroup, counters, host, owners, proc_net, process, spaces, users};
use crate::collect::{CollectError, hidden_owners};
use crate::model::{
    Backend, Family, Gap, Missing, Need, Protocol, Reason, Snapshot, Socket, SocketSource, SpaceId, State, Uid,
};

/// Collects sockets, their holders, and what is known of these.
pub fn snapshot(need: &Need) -> Result<Snapshot, CollectError> {
    let captured_at = SystemTime::now();
    let mut space = spaces::current();
    if need.counters {
        space.listen_overflows = counters::listen_overflows(Path::new("/proc/thread-self/net"));
    }
    let mut finder = owners::Finder::start(need);
    let mut tables = Tables::open();
    let mut sockets = tables.sockets(need, space.id, &|entry| need.wants_port(entry.local.port))?;
    let (seen, met) = owners::assign(&mut sockets, &mut finder, |in_doubt| {
        let cookies: BTreeSet<Option<u64>> = in_doubt.iter().map(|socket| socket.cookie).collect();
        tables.sockets(&need.narrowed_to(in_doubt), space.id, &|entry| cookies.contains(&entry.cookie))
    })?;
    let processes = process::describe(&sockets, need, &met);
    let made_by = sockets.iter().filter_map(|socket| socket.uid);
    let uids: BTreeSet<Uid> = made_by.chain(processes.values().filter_map(|process| process.uid)).collect();
    let mut gaps = hidden_owners(&sockets, |because| owners::explain(because, seen));
    gaps.extend(tables.gaps());
    Ok(Snapshot {
        host: host::describe(captured_at),
        backend: Backend::Native,
        socket_source: tables.source(),
        owner_source: finder.source(),
        owner_fallback: finder.failure().map(ToString::to_string),
        users: users::names(&uids),
        cgroups: cgroup::belongings(&sockets.iter().filter_map(|socket| socket.cgroup).collect()),
        spaces: vec![space],
        further_spaces: None,
        sockets,
        processes,
        gaps,
    })
}

/// The socket tables of this network namespace.
struct Tables {
    netlink: Result<SockDiag, DumpError>,
    malformed: usize,
}

impl Tables {
    fn open() -> Tables {
        Tables { netlink: SockDiag::open(), malformed: 0 }
    }

    fn source(&self) -> SocketSource {
        if self.netlink.is_ok() { SocketSource::Netlink } else { SocketSource::ProcNet }
    }

    /// Lists the sockets that are needed, each once, those among them that are wanted.
    fn sockets(
        &mut self,
        need: &Need,
        space: SpaceId,
        wants: &dyn Fn(&Entry) -> bool,
    ) -> Result<Vec<Socket>, CollectError> {
        let mut rows = Vec::new();
        let mut chosen_by_kernel = BTreeSet::new();
        for protocol in Protocol::ALL.into_iter().filter(|protocol| need.protocols.contains(protocol)) {
            let states = state_bits(protocol, need.states.as_deref());
            if states == 0 {
                continue;
            }
            if protocol == Protocol::Tcp
                && need.families.len() == Family::ALL.len()
                && self.read_both(states, wants, &mut rows)
            {
                continue;
            }
            for family in Family::ALL.into_iter().filter(|family| need.families.contains(family)) {
                self.read(protocol, family, states, wants, &mut rows)?;
                if protocol == Protocol::Udp {
                    chosen_by_kernel.extend(self.chosen_by_kernel(family, states));
                }
            }
        }
        without_repeats(&mut rows);
        let mut devices = Devices::default();
        let socket = |entry: &Entry| {
            let mut socket = entry.socket(space, |index| devices.name(index));
            if socket.protocol == Protocol::Udp {
                socket.autobound = socket.cookie.map(|cookie| chosen_by_kernel.contains(&cookie));
            }
            socket
        };
        Ok(rows.iter().map(socket).collect())
    }

    /// Reads the TCP sockets of both families at once, where the kernel does that; says whether it did.
    fn read_both(&mut self, states: u32, wants: &dyn Fn(&Entry) -> bool, rows: &mut Vec<Entry>) -> bool {
        let query = Query { protocol: Protocol::Tcp, family: None, states, autobound: false };
        let before = rows.len();
        let done = self.netlink.as_mut().is_ok_and(|netlink| netlink.dump(query, wants, rows).is_ok());
        if !done {
            rows.truncate(before);
        }
        done
    }

    /// The cookies of UDP sockets whose port the kernel chose. Without an answer the ephemeral range decides.
    fn chosen_by_kernel(&mut self, family: Family, states: u32) -> Vec<u64> {
        let Ok(netlink) = &mut self.netlink else { return Vec::new() };
        let query = Query { protocol: Protocol::Udp, family: Some(family), states, autobound: true };
        let mut chosen = Vec::new();
        match netlink.dump(query, &|_| true, &mut chosen) {
            Ok(()) => chosen.iter().filter_map(|entry| entry.cookie).collect(),
            Err(_) => Vec::new(),
        }
    }

    /// Reads one table by netlink, or as text where netlink is refused.
    fn read(
        &mut self,
        protocol: Protocol,
        family: Family,
        states: u32,
        wants: &dyn Fn(&Entry) -> bool,
        rows: &mut Vec<Entry>,
    ) -> Result<(), CollectError> {
        let before = rows.len();
        if let Ok(netlink) = &mut self.netlink {
            match netlink.dump(Query { protocol, family: Some(family), states, autobound: false }, wants, rows) {
                Ok(()) => return Ok(()),
                // From here on the text serves for every table, so that all rows are of one kind.
                Err(error) => self.netlink = Err(error),
            }
        }
        let refused = self.netlink.as_ref().err().map(ToString::to_string).unwrap_or_default();
        rows.truncate(before);
        match proc_net::read(Path::new("/proc/thread-self/net"), protocol, family, rows) {
            Ok(malformed) => {
                self.malformed += malformed;
                let mut read = rows.split_off(before);
                read.retain(|entry| states & (1 << entry.state) != 0 && wants(entry));
                rows.extend(read);
                Ok(())
            }
            Err(error) => Err(CollectError::SocketTable { protocol, reason: format!("{refused}; /proc/net: {error}") }),
        }
    }

    /// What the way that was taken does not tell.
    fn gaps(&self) -> Vec<Gap> {
        let gap = |missing, reason, count, detail: String| Gap { missing, reason, count, detail };
        let mut gaps = vec![
            gap(
                Missing::Spaces,
                Reason::NotLookedFor,
                None,
                "only the port space that portscope runs in was read".into(),
            ),
            gap(
                Missing::Redirects,
                Reason::NotLookedFor,
                None,
                "ports forwarded without a socket were not looked for".into(),
            ),
        ];
        if let Err(error) = &self.netlink {
            let detail = format!(
                "{error}; /proc/net was read instead, which tells no v6only, device, accept queue, cookie, cgroup, \
                 and no bound sockets that do not listen"
            );
            gaps.push(gap(Missing::Attributes, Reason::Backend, None, detail));
        }
        if self.malformed > 0 {
            let detail = "lines of /proc/net were not understood".to_owned();
            gaps.push(gap(Missing::Sockets, Reason::Backend, Some(self.malformed), detail));
        }
        gaps
    }
}

/// The kernel's bits for the states: a bit is the state's number in `tcp_states.h`.
fn state_bits(protocol: Protocol, states: Option<&[State]>) -> u32 {
    let Some(states) = states else { return Query::ALL_STATES };
    let bits = |state: &State| match (protocol, state) {
        (Protocol::Udp, State::Unconnected) => 1 << 7,
        (_, State::Established) => 1 << 1,
        (_, State::Redirect) | (Protocol::Udp, _) | (Protocol::Tcp, State::Unconnected) => 0,
        (Protocol::Tcp, State::SynSent) => 1 << 2,
        (Protocol::Tcp, State::SynReceived) => 1 << 3 | 1 << 12,
        (Protocol::Tcp, State::FinWait1) => 1 << 4,
        (Protocol::Tcp, State::FinWait2) => 1 << 5,
        (Protocol::Tcp, State::TimeWait) => 1 << 6,
        (Protocol::Tcp, State::Close) => 1 << 7,
        (Protocol::Tcp, State::CloseWait) => 1 << 8,
        (Protocol::Tcp, State::LastAck) => 1 << 9,
        (Protocol::Tcp, State::Listen) => 1 << 10,
        (Protocol::Tcp, State::Closing) => 1 << 11,
        (Protocol::Tcp, State::Bound) => 1 << 7 | 1 << 13,
    };
    states.iter().map(bits).fold(0, |all, bit| all | bit)
}

/// A dump of a moving table may give a row twice. Cookies are unique; inodes and addresses are not.
fn without_repeats(rows: &mut Vec<Entry>) {
    let mut cookies: Vec<u64> = rows.iter().filter_map(|entry| entry.cookie).collect();
    cookies.sort_unstable();
    if cookies.windows(2).any(|pair| pair[0] == pair[1]) {
        let mut seen = BTreeSet::new();
        rows.retain(|entry| entry.cookie.is_none_or(|cookie| seen.insert(cookie)));
    }
}

/// The names of interfaces, asked for once each.
#[derive(Default)]
struct Devices(BTreeMap<u32, String>);

impl Devices {
    fn name(&mut self, index: u32) -> String {
        let ask = || {
            let socket =
                rustix::net::socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None).ok()?;
            netdevice::index_to_name(socket, index).ok()
        };
        self.0.entry(index).or_insert_with(|| ask().unwrap_or_else(|| index.to_string())).clone()
    }
}
