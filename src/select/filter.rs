//! The filters of the command line. Values of one flag are OR-ed, flags are AND-ed.

use std::net::IpAddr;
use std::str::FromStr;

use super::target::{unbracketed, with_interface};
use super::{Pattern, UserName, Wanted};
use crate::model::{Category, Endpoint, Exposure, Family, Pid, Port, PortRange, Protocol, Row, Socket, State};

/// Which rows are wanted. An empty list asks nothing.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// The targets.
    pub targets: Vec<Wanted>,
    /// `-t`, `-u`: of targets that name no protocol.
    pub protocols: Vec<Protocol>,
    /// `-4`, `-6`.
    pub families: Vec<Family>,
    /// `-l`.
    pub listeners_only: bool,
    /// `--state`.
    pub states: Vec<StateSet>,
    /// `--process`.
    pub processes: Vec<Pattern>,
    /// `--pid`.
    pub pids: Vec<Pid>,
    /// `--project`.
    pub projects: Vec<Pattern>,
    /// `--user`.
    pub users: Vec<UserName>,
    /// `--category`.
    pub categories: Vec<Category>,
    /// `--exposure`.
    pub exposures: Vec<Exposure>,
    /// `--space`.
    pub spaces: Vec<String>,
    /// `--port`.
    pub ports: Vec<PortRange>,
    /// `--peer`.
    pub peers: Vec<Peer>,
}

impl Filter {
    /// Says whether the row passes every filter.
    pub fn admits(&self, row: &Row<'_>) -> bool {
        self.admits_apart_from_targets(row) && (self.targets.is_empty() || self.finding(row).next().is_some())
    }

    /// The indices of the targets that find the row.
    pub fn finding<'f>(&'f self, row: &'f Row<'_>) -> impl Iterator<Item = usize> + 'f {
        let finds = |target: &Wanted| target.means(row.socket.protocol, &self.protocols) && target.finds(row);
        self.targets.iter().enumerate().filter(move |(_, target)| finds(target)).map(|(index, _)| index)
    }

    /// Says whether the row passes every filter but the targets.
    pub fn admits_apart_from_targets(&self, row: &Row<'_>) -> bool {
        let socket = row.socket;
        (!self.targets.is_empty() || any(&self.protocols, |protocol| *protocol == socket.protocol))
            && any(&self.families, |family| *family == socket.family)
            && (!self.listeners_only || row.is_listener)
            && any(&self.states, |states| socket.state.is_some_and(|state| states.contains(state)))
            && any(&self.processes, |pattern| pattern.matches_row(row))
            && any(&self.pids, |pid| row.processes.iter().any(|(holder, _)| holder == pid))
            && any(&self.projects, |pattern| pattern.matches_project(row))
            && any(&self.users, |user| user.matches_row(row))
            && any(&self.categories, |category| *category == row.category)
            && any(&self.exposures, |exposure| *exposure == row.exposure)
            && any(&self.spaces, |space| space_matches(space, row))
            && any(&self.ports, |ports| ports.contains(socket.local.port))
            && any(&self.peers, |peer| peer.matches(socket))
    }
}

fn any<T>(wanted: &[T], matches: impl FnMut(&T) -> bool) -> bool {
    wanted.is_empty() || wanted.iter().any(matches)
}

fn space_matches(wanted: &str, row: &Row<'_>) -> bool {
    wanted == "all" || row.space.is_called(wanted)
}

/// The states that one word of `--state` names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StateSet(Vec<State>);

impl StateSet {
    /// Says whether the state is one of them.
    pub fn contains(&self, state: State) -> bool {
        self.0.contains(&state)
    }
}

impl FromStr for StateSet {
    type Err = String;

    /// Reads the names of this program, of `ss` and of `netstat`, in any case, with `-` or `_`; and `connected`.
    fn from_str(text: &str) -> Result<StateSet, String> {
        let plain: String = text.to_ascii_lowercase().replace(['-', '_'], "");
        let same = |state: &State| state.name().to_ascii_lowercase().replace('_', "") == plain;
        let state = match plain.as_str() {
            "listening" => State::Listen,
            "estab" => State::Established,
            "synreceived" | "synrcvd" => State::SynReceived,
            "unconnected" => State::Unconnected,
            "closed" => State::Close,
            "connected" => {
                let idle = [State::Listen, State::Bound, State::Unconnected, State::Close];
                return Ok(StateSet(State::ALL.into_iter().filter(|state| !idle.contains(state)).collect()));
            }
            _ => State::ALL.into_iter().find(same).ok_or_else(|| {
                let names: Vec<_> = State::ALL.iter().map(|state| state.name().to_ascii_lowercase()).collect();
                format!("`{text}` is not a state: expected {} or connected", names.join(", "))
            })?,
        };
        Ok(StateSet(vec![state]))
    }
}

/// A peer as `--peer` names it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Peer {
    /// The address and how many of its leading bits count.
    network: Option<(IpAddr, u8)>,
    /// The interface after the `%` of the address: only peers that are reached through this one, as far as it is known.
    interface: Option<String>,
    port: Option<Port>,
}

impl Peer {
    /// Says whether the socket's other end is meant.
    pub fn matches(&self, socket: &Socket) -> bool {
        let is_there = self.interface.is_none() || self.interface.as_deref() == socket.device.as_deref();
        is_there && socket.peer.is_some_and(|end| self.is_end(end))
    }

    fn is_end(&self, peer: Endpoint) -> bool {
        self.network.is_none_or(|(network, bits)| shares_prefix(network, peer.address, bits))
            && self.port.is_none_or(|port| port == peer.port)
    }
}

fn shares_prefix(network: IpAddr, address: IpAddr, bits: u8) -> bool {
    match (network.to_canonical(), address.to_canonical()) {
        (IpAddr::V4(a), IpAddr::V4(b)) => {
            (a.to_bits() ^ b.to_bits()).checked_shr(32 - u32::from(bits)).unwrap_or(0) == 0
        }
        (IpAddr::V6(a), IpAddr::V6(b)) => {
            (a.to_bits() ^ b.to_bits()).checked_shr(128 - u32::from(bits)).unwrap_or(0) == 0
        }
        _ => false,
    }
}

impl FromStr for Peer {
    type Err = String;

    /// Reads `ADDR`, `ADDR/BITS`, `ADDR:PORT`, `[ADDR6]:PORT` and `:PORT`; an address may have its interface, as in
    /// `fe80::1%eth0`.
    fn from_str(text: &str) -> Result<Peer, String> {
        let problem = || format!("`{text}` is not a peer: expected ADDR, ADDR/BITS, ADDR:PORT, [ADDR6]:PORT or :PORT");
        let whole = |address: IpAddr| if address.to_canonical().is_ipv4() { 32 } else { 128 };
        let made = |(address, interface): (IpAddr, Option<&str>), bits, port| Peer {
            network: Some((address, bits)),
            interface: interface.map(str::to_owned),
            port,
        };
        if let Some((address, bits)) = text.split_once('/') {
            let place = with_interface(address).ok_or_else(problem)?;
            let bits = bits.parse().ok().filter(|bits| *bits <= whole(place.0)).ok_or_else(problem)?;
            return Ok(made(place, bits, None));
        }
        if let Some(place) = with_interface(unbracketed(text).unwrap_or(text)) {
            return Ok(made(place, whole(place.0), None));
        }
        let (address, port) = text.rsplit_once(':').ok_or_else(problem)?;
        let port = Some(port.parse().map_err(|_| problem())?);
        if address.is_empty() {
            return Ok(Peer { network: None, interface: None, port });
        }
        let place = with_interface(unbracketed(address).unwrap_or(address)).ok_or_else(problem)?;
        Ok(made(place, whole(place.0), port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_read_in_the_spelling_of_every_peer() {
        for text in ["ESTABLISHED", "established", "estab", "Established"] {
            assert!(text.parse::<StateSet>().unwrap().contains(State::Established), "{text}");
        }
        for text in ["TIME_WAIT", "time-wait", "timewait"] {
            assert!(text.parse::<StateSet>().unwrap().contains(State::TimeWait), "{text}");
        }
        let connected: StateSet = "connected".parse().unwrap();
        assert!(connected.contains(State::TimeWait) && !connected.contains(State::Listen));
        assert!("open".parse::<StateSet>().unwrap_err().starts_with("`open` is not a state: expected listen, bound"));
    }

    #[test]
    fn a_peer_is_compared_by_its_leading_bits() {
        let end = |text: &str| {
            let address: std::net::SocketAddr = text.parse().unwrap();
            Endpoint::new(address.ip(), address.port())
        };
        for (peer, endpoint, matches) in [
            ("10.0.0.0/8", "10.2.3.4:80", true),
            ("10.0.0.0/8", "11.2.3.4:80", false),
            ("0.0.0.0/0", "11.2.3.4:80", true),
            ("0.0.0.0/0", "[::1]:80", false),
            ("10.2.3.4", "[::ffff:10.2.3.4]:80", true),
            ("10.2.3.4:81", "10.2.3.4:80", false),
            ("[::1]:80", "[::1]:80", true),
            ("2001:db8::/32", "[2001:db8:1::1]:80", true),
            (":80", "10.2.3.4:80", true),
            ("[::1]", "[::1]:80", true),
        ] {
            assert_eq!(peer.parse::<Peer>().unwrap().is_end(end(endpoint)), matches, "{peer} {endpoint}");
        }
        for text in ["", "10.0.0.0/33", "x", "10.0.0.1:", ":0", "10.0.0.1:70000", "fe80::1%", "fe80::x%v0"] {
            assert!(text.parse::<Peer>().unwrap_err().starts_with(&format!("`{text}` is not a peer")), "{text}");
        }
    }

    #[test]
    fn a_peer_with_an_interface_is_one_that_is_reached_through_it() {
        let mut socket = crate::testing::snapshot().sockets[1].clone();
        socket.peer = Some(Endpoint::new("fe80::1".parse().unwrap(), 80));
        socket.device = Some("v0".into());
        for (peer, matches) in [
            ("fe80::1%v0", true),
            ("[fe80::1%v0]:80", true),
            ("[fe80::1%v0]", true),
            ("fe80::%v0/64", true),
            ("fe80::1", true),
            ("fe80::1%v1", false),
            ("[fe80::1%v0]:81", false),
            ("fe80::%v1/64", false),
        ] {
            assert_eq!(peer.parse::<Peer>().unwrap().matches(&socket), matches, "{peer}");
        }
    }
}
