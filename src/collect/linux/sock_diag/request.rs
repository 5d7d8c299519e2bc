//! What is asked of the kernel: which table, and which of its sockets it sends.
//!
//! Source: `linux/inet_diag.h`, sock_diag(7).

use crate::collect::linux::netlink;
use crate::model::{Family, Port, Protocol};

/// The request for the sockets of one family, and the kind of its answers.
pub const SOCK_DIAG_BY_FAMILY: u16 = 20;
/// The request of kernels before 3.3, still answered. It names no family and gives the TCP sockets of both in one walk
/// over the kernel's tables, which costs half of two (about a millisecond each, however few sockets there are).
pub const TCPDIAG_GETSOCK: u16 = 18;
const REQUEST_BYTECODE: u16 = 1;
/// Asks for `struct tcp_info`: the bit of `INET_DIAG_INFO`.
const EXTENSION_INFO: u8 = 1 << 1;
/// `INET_DIAG_BC_AUTO`: matches ports that the kernel chose.
const BYTECODE_AUTO: u8 = 6;
/// `INET_DIAG_BC_S_GE` and `INET_DIAG_BC_S_LE`: match local ports from one on, and up to one.
const BYTECODE_FROM: u8 = 2;
const BYTECODE_TO: u8 = 3;
/// `INET_DIAG_BC_D_GE` and `INET_DIAG_BC_D_LE`: the same of the peer's port.
const BYTECODE_PEER_FROM: u8 = 4;
const BYTECODE_PEER_TO: u8 = 5;
/// `INET_DIAG_BC_JMP`: goes elsewhere.
const BYTECODE_JUMP: u8 = 1;
/// From here on ports are taken as ephemeral; `ip_local_port_range` of Linux begins here.
const EPHEMERAL: u16 = 32_768;
/// The middle of that range, which ends at 60999.
const MIDDLE: u16 = 46_884;

/// What to dump.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Query {
    /// The protocol.
    pub protocol: Protocol,
    /// The family; both when absent, for TCP only.
    pub family: Option<Family>,
    /// The states, as bits of their numbers; the kernel sends no others.
    pub states: u32,
    /// What the kernel leaves out of them.
    pub only: Option<Only>,
    /// Also what connections have carried.
    pub traffic: bool,
}

/// Which sockets the kernel sends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Only {
    /// Those whose port the kernel chose.
    Autobound,
    /// Those on this local port.
    Port(Port),
    /// One half of the connections, or about that.
    Half(Half),
}

/// A half of the connections, by the end whose port is ephemeral: of a server's it is the peer's, of a client's its own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Half {
    /// Those whose port is below the middle.
    Lower,
    /// All others.
    Upper,
}

impl Query {
    /// Every state, the bound sockets of TCP included.
    pub const ALL_STATES: u32 = u32::MAX;
}

/// The protocol's number in packets. Source: IANA, Protocol Numbers.
pub fn number(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
        Protocol::UdpLite => 136,
    }
}

/// `struct nlmsghdr`, `struct inet_diag_req_v2` or the older `inet_diag_req`, and the filter as an attribute.
pub fn request(query: Query, sequence: u32) -> Vec<u8> {
    let protocol = number(query.protocol);
    let states = query.states.to_ne_bytes();
    // No socket in particular: ports, addresses and interface 0, cookie all ones.
    let any_socket = [[0; 8]; 5].concat().into_iter().chain([0xff; 8]);
    // v6only and the cgroup come without asking.
    let extensions = if query.traffic { EXTENSION_INFO } else { 0 };
    let (kind, mut payload) = match query.family {
        Some(family) => {
            let family = if family == Family::Ipv4 { 2 } else { 10 };
            let head = [family, protocol, extensions, 0].into_iter().chain(states);
            (SOCK_DIAG_BY_FAMILY, head.chain(any_socket).collect::<Vec<u8>>())
        }
        None => {
            (TCPDIAG_GETSOCK, [0, 0, 0, extensions].into_iter().chain(any_socket).chain(states).chain([0; 4]).collect())
        }
    };
    if let Some(only) = query.only {
        let code = bytecode(only);
        payload.extend(u16::try_from(4 + code.len()).unwrap_or_default().to_ne_bytes());
        payload.extend(REQUEST_BYTECODE.to_ne_bytes());
        payload.extend(code);
    }
    netlink::request(kind, netlink::DUMP, sequence, &payload)
}

/// `struct inet_diag_bc_op`: where it goes on a match, and where else: beyond the end, which leaves the socket out.
fn bytecode(only: Only) -> Vec<u8> {
    let operation = |code: u8, length: u8, otherwise: u16| {
        let mut bytes = vec![code, length];
        bytes.extend(otherwise.to_ne_bytes());
        bytes
    };
    // A comparison is followed by an operation that is nothing but its number.
    let port = |code: u8, port: u16, otherwise: u16| [operation(code, 8, otherwise), operation(0, 0, port)].concat();
    match only {
        Only::Autobound => operation(BYTECODE_AUTO, 4, 8),
        Only::Port(own) => [port(BYTECODE_FROM, own.get(), 20), port(BYTECODE_TO, own.get(), 12)].concat(),
        Only::Half(half) => {
            let (own, peer) = match half {
                Half::Lower => (port(BYTECODE_TO, MIDDLE - 1, 12), port(BYTECODE_PEER_TO, MIDDLE - 1, 24)),
                Half::Upper => (port(BYTECODE_FROM, MIDDLE, 12), port(BYTECODE_PEER_FROM, MIDDLE, 24)),
            };
            // Where the peer's port is ephemeral, it alone decides: what follows it is a jump over the last comparison.
            [port(BYTECODE_PEER_FROM, EPHEMERAL, 20), peer, operation(BYTECODE_JUMP, 4, 12), own].concat()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs the operations as the kernel does: `inet_diag_bc_run` in net/ipv4/inet_diag.c.
    fn admits(only: Only, own: u16, peer: u16) -> bool {
        let code = bytecode(only);
        let half = |at: usize| u16::from_ne_bytes([code[at], code[at + 1]]);
        let mut at = 0;
        while at < code.len() {
            let is_met = match code[at] {
                BYTECODE_JUMP => false,
                BYTECODE_FROM => own >= half(at + 6),
                BYTECODE_TO => own <= half(at + 6),
                BYTECODE_PEER_FROM => peer >= half(at + 6),
                BYTECODE_PEER_TO => peer <= half(at + 6),
                code => panic!("operation {code}"),
            };
            at += if is_met { usize::from(code[at + 1]) } else { usize::from(half(at + 2)) };
        }
        at == code.len()
    }

    #[test]
    fn every_connection_is_in_exactly_one_half() {
        let ports = [0, 1, EPHEMERAL - 1, EPHEMERAL, MIDDLE - 1, MIDDLE, MIDDLE + 1, u16::MAX];
        for (own, peer) in ports.into_iter().flat_map(|own| ports.map(|peer| (own, peer))) {
            let [lower, upper] = [Half::Lower, Half::Upper].map(|half| admits(Only::Half(half), own, peer));
            assert_ne!(lower, upper, "{own} {peer}");
        }
        // A server and its client both part by the client's port.
        for (own, peer) in [(443, MIDDLE), (MIDDLE, 443)] {
            assert!(admits(Only::Half(Half::Upper), own, peer) && admits(Only::Half(Half::Lower), own - 1, peer - 1));
        }
        assert!(admits(Only::Port(Port::new(443)), 443, 1) && !admits(Only::Port(Port::new(443)), 444, 443));
    }
}
