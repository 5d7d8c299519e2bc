//! The socket tables of one port space, by netlink where that is possible.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

use rustix::net::netdevice;

use super::bpf::loaded;
use super::kernel_socket::KernelSocket;
use super::sock_diag::{DumpError, Only, Query, SockDiag, halves};
use super::{counters, proc_net, procfs, uncounted};
use crate::collect::CollectError;
use crate::model::{Family, Gap, Need, Port, Protocol, Socket, SocketSource, SpaceId, State};
use crate::parallel;

/// The directory of the socket tables of this thread's namespace as text.
pub const OWN_TABLES: &str = "/proc/thread-self/net";

/// With fewer TCP sockets to start a thread and to walk over the kernel's tables a second time takes longer than it saves.
const WORTH_TWO_DUMPS: usize = 5000;

/// Says which rows are wanted.
type Wants<'a> = &'a (dyn Fn(&KernelSocket) -> bool + Sync);
/// Makes a socket of a row, where it is wanted.
type Keep<'a> = &'a (dyn Fn(&KernelSocket) -> Option<Socket> + Sync);

/// The socket tables of one network namespace. Once opened they can be read by any thread, wherever it lives.
pub struct Tables {
    space: SpaceId,
    netlink: Result<SockDiag, DumpError>,
    /// The directories of its tables as text, one for each process that lives in it.
    text: Vec<PathBuf>,
    /// The names of interfaces by their numbers.
    devices: BTreeMap<String, String>,
    malformed: usize,
    /// How many sockets of each protocol there are, by the kernel's own count.
    counted: Vec<(String, usize)>,
}

impl Tables {
    /// Opens the tables of the namespace that the calling thread is in; `text` are its directories of tables.
    pub fn open(space: SpaceId, text: Vec<PathBuf>) -> Tables {
        Tables { space, netlink: SockDiag::open(), text, devices: BTreeMap::new(), malformed: 0, counted: Vec::new() }
    }

    /// The tables of a namespace that cannot be entered, through the processes that live in it.
    pub fn as_text(space: SpaceId, text: Vec<PathBuf>, why: DumpError) -> Tables {
        Tables { space, netlink: Err(why), text, devices: BTreeMap::new(), malformed: 0, counted: Vec::new() }
    }

    /// The space that the sockets belong to.
    pub fn space(&self) -> SpaceId {
        self.space
    }

    /// Where the tables are read.
    pub fn source(&self) -> SocketSource {
        if self.netlink.is_ok() { SocketSource::Netlink } else { SocketSource::ProcNet }
    }

    /// Returns whether no process lives in the namespace any more, so that its tables can no longer be read as text.
    pub fn is_gone(&self) -> bool {
        let has_no_process = || !self.text.is_empty() && !self.text.iter().any(|text| is_there(text));
        self.netlink.is_err() && has_no_process() && procfs::open().is_ok()
    }

    /// Like `sockets`, but empty if the namespace no longer exists.
    pub fn sockets_unless_gone(&mut self, need: &Need, wants: Wants<'_>) -> Result<Vec<Socket>, CollectError> {
        let sockets = self.sockets(need, wants);
        self.unless_gone(sockets)
    }

    /// Lists these sockets as they are now; none if the namespace no longer exists.
    pub fn again(&mut self, sockets: &[Socket], need: &Need) -> Result<Vec<Socket>, CollectError> {
        let need = need.narrowed_to(sockets);
        let cookies: BTreeSet<Option<NonZeroU64>> = sockets.iter().map(|socket| socket.cookie).collect();
        let wants = |entry: &KernelSocket| cookies.contains(&entry.cookie);
        let ports: BTreeSet<Port> = sockets.iter().map(|socket| socket.local.port).collect();
        // The kernel reports one port much faster than a large table.
        let only = ports.first().copied().filter(|port| ports.len() == 1 && port.get() != 0).map(Only::Port);
        let sockets = self.list(&need, only, &wants);
        self.unless_gone(sockets)
    }

    fn unless_gone(&self, sockets: Result<Vec<Socket>, CollectError>) -> Result<Vec<Socket>, CollectError> {
        match sockets {
            Err(_) if self.is_gone() => Ok(Vec::new()),
            result => result,
        }
    }

    /// Lists the sockets that are needed, each once, those among them that are wanted.
    pub fn sockets(&mut self, need: &Need, wants: Wants<'_>) -> Result<Vec<Socket>, CollectError> {
        self.list(need, None, wants)
    }

    /// Lists the sockets on one port that are needed; the kernel picks them out.
    pub fn sockets_on(&mut self, port: Port, need: &Need) -> Result<Vec<Socket>, CollectError> {
        self.list(need, Some(Only::Port(port)), &|entry| entry.local.port == port)
    }

    /// Lists the sockets that are needed and wanted.
    fn list(&mut self, need: &Need, only: Option<Only>, wants: Wants<'_>) -> Result<Vec<Socket>, CollectError> {
        let mut sockets = self.rows(need, only, wants)?;
        self.describe(need, &mut sockets);
        Ok(sockets)
    }

    /// The same with the numbers of interfaces for their names, and without a word on which ports the kernel chose.
    pub fn rows(&mut self, need: &Need, only: Option<Only>, wants: Wants<'_>) -> Result<Vec<Socket>, CollectError> {
        let mut sockets = Vec::new();
        let space = self.space;
        // On a host with a million sockets there is no room for all rows beside all sockets.
        let keep = |entry: &KernelSocket| wants(entry).then(|| entry.socket(space));
        let has_udplite = need.protocols.contains(&Protocol::UdpLite) && self.has_udplite();
        for protocol in Protocol::ALL.into_iter().filter(|protocol| need.protocols.contains(protocol)) {
            let states = state_bits(protocol, need.states.as_deref());
            if states == 0 || (protocol == Protocol::UdpLite && !has_udplite) {
                continue;
            }
            let query = Query { protocol, family: None, states, only, traffic: need.traffic };
            if protocol == Protocol::Tcp
                && need.families.len() == Family::ALL.len()
                && self.read_both(query, &keep, &mut sockets)
            {
                continue;
            }
            for family in Family::ALL.into_iter().filter(|family| need.families.contains(family)) {
                self.read(family, query, &keep, &mut sockets)?;
            }
        }
        without_repeats(&mut sockets);
        Ok(sockets)
    }

    /// Names the devices, and says which ports the kernel chose.
    fn describe(&mut self, need: &Need, sockets: &mut [Socket]) {
        for device in sockets.iter_mut().filter_map(|socket| socket.device.as_mut()) {
            *device = name_of(&mut self.devices, &self.netlink, device).into();
        }
        // Those of TCP, which may be a million, come first and are not looked through again.
        let first = sockets.partition_point(|socket| !socket.protocol.is_datagram());
        let datagrams = &mut sockets[first..];
        let chosen_by_kernel = self.chosen_by_kernel(need, datagrams);
        for socket in datagrams {
            socket.autobound = socket.cookie.map(|cookie| chosen_by_kernel.contains(&cookie));
        }
    }

    /// Reads the TCP sockets of both families at once, where the kernel does that; says whether it did.
    fn read_both(&mut self, query: Query, keep: Keep<'_>, sockets: &mut Vec<Socket>) -> bool {
        let before = sockets.len();
        let in_halves = self.is_worth_two_dumps(query);
        let Ok(netlink) = &mut self.netlink else { return false };
        if in_halves && halves::dump(netlink, query, keep, sockets).is_ok() {
            return true;
        }
        sockets.truncate(before);
        let done = netlink.dump(query, keep, sockets).is_ok();
        if !done {
            sockets.truncate(before);
        }
        done
    }

    fn is_worth_two_dumps(&self, query: Query) -> bool {
        // A second socket to the kernel can be opened by a thread that is in the namespace.
        let is_own = self.text.iter().any(|text| text == Path::new(OWN_TABLES));
        is_own && query.only.is_none() && are_worth_two_dumps(query.states)
    }

    /// The cookies of those UDP sockets whose port the kernel chose. Without an answer the ephemeral range decides.
    fn chosen_by_kernel(&mut self, need: &Need, sockets: &[Socket]) -> BTreeSet<NonZeroU64> {
        let mut chosen = Vec::new();
        let Ok(netlink) = &mut self.netlink else { return BTreeSet::new() };
        for (protocol, family) in
            Protocol::ALL.into_iter().flat_map(|protocol| Family::ALL.map(|family| (protocol, family)))
        {
            let is_of_table = |socket: &Socket| (socket.protocol, socket.family) == (protocol, family);
            if !protocol.is_datagram() || !sockets.iter().any(is_of_table) {
                continue;
            }
            let states = state_bits(protocol, need.states.as_deref());
            let query = Query { protocol, family: Some(family), states, only: Some(Only::Autobound), traffic: false };
            let before = chosen.len();
            if netlink.dump(query, &|entry| entry.cookie, &mut chosen).is_err() {
                chosen.truncate(before);
            }
        }
        chosen.into_iter().collect()
    }

    /// Counts the sockets of every protocol, and says whether some may be of UDP-Lite, which nearly no host has.
    fn has_udplite(&mut self) -> bool {
        let texts = self.text.iter().filter_map(|text| std::fs::read(text.join("protocols")).ok());
        let Some(text) = texts.into_iter().next() else { return true };
        self.counted = uncounted::parse(&text);
        self.counted.iter().any(|(name, count)| *count > 0 && uncounted::is_udplite(name))
    }

    /// Reads one table by netlink, or as text where netlink is refused.
    fn read(
        &mut self,
        family: Family,
        query: Query,
        keep: Keep<'_>,
        sockets: &mut Vec<Socket>,
    ) -> Result<(), CollectError> {
        let Query { protocol, states, .. } = query;
        let before = sockets.len();
        if let Ok(netlink) = &mut self.netlink {
            match netlink.dump(Query { family: Some(family), ..query }, keep, sockets) {
                Ok(()) => return Ok(()),
                // A kernel may list TCP and UDP by netlink and not know UDP-Lite there, or not at all.
                Err(_) if protocol == Protocol::UdpLite => {
                    self.read_udplite(family, states, keep, sockets);
                    return Ok(());
                }
                // From here on the text serves for every table, so that all rows are of one kind.
                Err(error) => self.netlink = Err(error),
            }
        }
        let refused = self.netlink.as_ref().err().map(ToString::to_string).unwrap_or_default();
        let lasting = self.text.iter().find(|text| is_there(text)).or(self.text.first());
        let Some(text) = lasting else { return Err(CollectError::SocketTable { protocol, reason: refused }) };
        sockets.truncate(before);
        // To look for listeners, the kernel walks over every connection of the host, whatever space that is of.
        if protocol == Protocol::Tcp && states & !WITHOUT_PEER == 0 && proc_net::has_no_tcp(text, family) {
            return Ok(());
        }
        let mut read = Vec::new();
        match proc_net::read(text, protocol, family, &mut read) {
            Ok(malformed) => {
                self.malformed += malformed;
                sockets.extend(read.iter().filter(|entry| states & (1 << entry.state) != 0).filter_map(keep));
                Ok(())
            }
            Err(error) => Err(CollectError::SocketTable { protocol, reason: format!("{refused}; /proc/net: {error}") }),
        }
    }

    /// Reads the text of UDP-Lite, where the kernel has it.
    fn read_udplite(&mut self, family: Family, states: u32, keep: Keep<'_>, sockets: &mut Vec<Socket>) {
        let mut read = Vec::new();
        for text in self.text.iter().filter(|text| is_there(text)).take(1) {
            self.malformed += proc_net::read(text, Protocol::UdpLite, family, &mut read).unwrap_or_default();
        }
        sockets.extend(read.iter().filter(|entry| states & (1 << entry.state) != 0).filter_map(keep));
    }

    /// Returns the gaps of the way in which the tables were read; `label` names the space.
    pub fn gaps(&self, label: &str) -> Vec<Gap> {
        let mut gaps = Vec::new();
        if let Err(error) = &self.netlink {
            let (space, problem) = (label.to_owned(), error.to_string());
            gaps.push(Gap::NetlinkRefused { space, problem, further_spaces: 0 });
        }
        if self.malformed > 0 {
            gaps.push(Gap::MalformedLines { space: label.to_owned(), count: self.malformed });
        }
        gaps.extend(uncounted::gaps(&self.counted, label));
        gaps
    }
}

/// Says whether two dumps at a time of this namespace's TCP sockets in these states are faster than one. Where the kernel's
/// iterator looks for the holders meanwhile, they are not: it keeps the other core busy.
fn are_worth_two_dumps(states: u32) -> bool {
    states & !WITHOUT_PEER != 0
        && !loaded::may_load_programs()
        && counters::most_tcp_sockets(OWN_TABLES.as_ref()).unwrap_or_default() >= WORTH_TWO_DUMPS
        && parallel::workers(2) > 1
}

/// Says whether every core is needed to list the sockets of this namespace.
pub fn takes_every_core(need: &Need) -> bool {
    const DUMPS: usize = 2;
    let states = state_bits(Protocol::Tcp, need.states.as_deref());
    let are_all_wanted = need.protocols.contains(&Protocol::Tcp) && need.families.len() == Family::ALL.len();
    are_all_wanted && are_worth_two_dumps(states) && parallel::workers(DUMPS + 1) == DUMPS
}

/// Returns whether the process is still in a namespace; a zombie has no tables.
fn is_there(text: &Path) -> bool {
    text.join("protocols").exists()
}

/// The states of TCP sockets that are connected to nothing: listening, closed, bound.
const WITHOUT_PEER: u32 = 1 << 10 | 1 << 7 | 1 << 13;

/// The kernel's bits for the states: a bit is the state's number in `tcp_states.h`.
fn state_bits(protocol: Protocol, states: Option<&[State]>) -> u32 {
    let Some(states) = states else { return Query::ALL_STATES };
    let bits = |state: &State| match (protocol, state) {
        (Protocol::Udp | Protocol::UdpLite, State::Unconnected) => 1 << 7,
        (_, State::Established) => 1 << 1,
        (_, State::Redirect) | (Protocol::Udp | Protocol::UdpLite, _) | (Protocol::Tcp, State::Unconnected) => 0,
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

/// Removes sockets that appear twice, as they may in a dump of a table that changes. Cookies are unique; inodes and
/// addresses are not.
fn without_repeats(sockets: &mut Vec<Socket>) {
    let mut cookies: Vec<NonZeroU64> = sockets.iter().filter_map(|socket| socket.cookie).collect();
    parallel::sort(&mut cookies);
    if cookies.windows(2).any(|pair| pair[0] == pair[1]) {
        let mut seen = BTreeSet::new();
        sockets.retain(|socket| socket.cookie.is_none_or(|cookie| seen.insert(cookie)));
    }
}

/// The name of an interface, which is asked for once, or its number if the name is unknown.
///
/// Any socket of a namespace can be asked for the interfaces of that namespace. Source: netdevice(7), `SIOCGIFNAME`.
fn name_of(names: &mut BTreeMap<String, String>, netlink: &Result<SockDiag, DumpError>, number: &str) -> String {
    if let Some(known) = names.get(number) {
        return known.clone();
    }
    let ask = || netdevice::index_to_name(netlink.as_ref().ok()?, number.parse().ok()?).ok();
    let name = ask().unwrap_or_else(|| number.to_owned());
    names.insert(number.to_owned(), name.clone());
    name
}
