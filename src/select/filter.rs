//! The filters of the command line. Values of one flag are OR-ed, flags are AND-ed.

use std::net::IpAddr;
use std::str::FromStr;

use super::{Pattern, UserName, Wanted};
use crate::model::{Category, Endpoint, Exposure, Family, Pid, Port, PortRange, Protocol, Row, State};

/// Which rows are wanted. An empty list asks nothing.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// The targets.
    pub targets: Vec<Wanted>,
    /// `-t`, `-u`.
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
        let socket = row.socket;
        any(&self.targets, |target| target.matches(row))
            && any(&self.protocols, |protocol| *protocol == socket.protocol)
            && any(&self.families, |family| *family == socket.family)
            && (!self.listeners_only || row.is_listener)
            && any(&self.states, |states| socket.state.is_some_and(|state| states.contains(state)))
            && any(&self.processes, |pattern| pattern.matches_row(row))
            && any(&self.pids, |pid| row.processes.iter().any(|(holder, _)| holder == pid))
            && any(&self.users, |user| user.matches_row(row))
            && any(&self.categories, |category| *category == row.category)
            && any(&self.exposures, |exposure| *exposure == row.exposure)
            && any(&self.spaces, |space| space_matches(space, row))
            && any(&self.ports, |ports| ports.contains(socket.local.port))
            && any(&self.peers, |peer| socket.peer.is_some_and(|end| peer.matches(end)))
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
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Peer {
    /// The address and how many of its leading bits count.
    network: Option<(IpAddr, u8)>,
    port: Option<Port>,
}

impl Peer {
    /// Says whether the other end is meant.
    pub fn matches(&self, peer: Endpoint) -> bool {
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

    /// Reads `ADDR`, `ADDR/BITS`, `ADDR:PORT`, `[ADDR6]:PORT` and `:PORT`.
    fn from_str(text: &str) -> Result<Peer, String> {
        let problem = || format!("`{text}` is not a peer: expected ADDR, ADDR/BITS, ADDR:PORT, [ADDR6]:PORT or :PORT");
        let whole = |address: IpAddr| if address.to_canonical().is_ipv4() { 32 } else { 128 };
        if let Some((address, bits)) = text.split_once('/') {
            let address: IpAddr = address.parse().map_err(|_| problem())?;
            let bits = bits.parse().ok().filter(|bits| *bits <= whole(address)).ok_or_else(problem)?;
            return Ok(Peer { network: Some((address, bits)), port: None });
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Peer { network: Some((address, whole(address))), port: None });
        }
        let (address, port) = text.rsplit_once(':').ok_or_else(problem)?;
        let port = Some(port.parse().map_err(|_| problem())?);
        if address.is_empty() {
            return Ok(Peer { network: None, port });
        }
        let address: IpAddr = super::target::unbracketed(address).unwrap_or(address).parse().map_err(|_| problem())?;
        Ok(Peer { network: Some((address, whole(address))), port })
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
        ] {
            assert_eq!(peer.parse::<Peer>().unwrap().matches(end(endpoint)), matches, "{peer} {endpoint}");
        }
        for text in ["", "10.0.0.0/33", "x", "10.0.0.1:", ":0", "10.0.0.1:70000"] {
            assert!(text.parse::<Peer>().unwrap_err().starts_with(&format!("`{text}` is not a peer")), "{text}");
        }
    }
}
