//! The kernel's socket tables through netlink, near its own speed.
//!
//! A dump is not a snapshot: while sockets come and go, it can miss a socket that was there all the time. A new netlink
//! socket for each dump missed a listener in up to a third of the dumps. With one socket for all dumps, a large buffer,
//! and a first request from which the kernel learns the buffer's size, batches are large and no socket was ever missed.

mod answer;
pub mod decode;
pub mod destroy;
pub mod halves;
mod tcp_info;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::SendFlags;
use rustix::net::netlink::SOCK_DIAG;

use super::kernel_socket::KernelSocket;
use super::netlink::{self, ReceiveError};
use crate::model::{Family, Port, Protocol};
use answer::Answer;

/// How long one answer may take. The kernel usually answers at once.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many times a dump is tried when the kernel says that the table changed.
const ATTEMPTS: usize = 4;
/// Larger than the largest batch that the kernel makes (32 KiB).
const BUFFER: usize = 64 * 1024;

const SOCK_DIAG_BY_FAMILY: u16 = 20;
/// The request of kernels before 3.3, still answered. It names no family and gives the TCP sockets of both in one walk
/// over the kernel's tables, which costs half of two (about a millisecond each, however few sockets there are).
const TCPDIAG_GETSOCK: u16 = 18;
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

/// Why a dump is not complete. Never an empty success.
#[derive(Debug, thiserror::Error)]
pub enum DumpError {
    /// The socket or the request was refused.
    #[error("netlink access was refused: {0}")]
    Refused(io::Error),
    /// The kernel ended the dump with an error.
    #[error("the kernel aborted the dump: {0}")]
    Kernel(io::Error),
    /// The network namespace cannot be entered.
    #[error("cannot enter its network namespace: {0}")]
    NotEntered(io::Error),
    /// Rows were lost.
    #[error("the kernel's answer is incomplete ({0})")]
    Incomplete(&'static str),
}

/// One netlink socket for all dumps of a run.
pub struct SockDiag {
    socket: OwnedFd,
    sequence: u32,
    buffer: Vec<u8>,
}

impl AsFd for SockDiag {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl SockDiag {
    /// Opens the socket in the network namespace of this thread and teaches the kernel the size of the buffer.
    pub fn open() -> Result<SockDiag, DumpError> {
        let refused = |error: Errno| DumpError::Refused(error.into());
        let socket = netlink::open(Some(SOCK_DIAG), PATIENCE).map_err(refused)?;
        let mut diag = SockDiag { socket, sequence: 0, buffer: Vec::with_capacity(BUFFER) };
        // No state at all: an empty answer, whatever it is.
        let nothing =
            Query { protocol: Protocol::Tcp, family: Some(Family::Ipv4), states: 0, only: None, traffic: false };
        match diag.dump_once(nothing, answer::FEW, &|_| Some(()), &mut Vec::new()) {
            Err(error @ DumpError::Refused(_)) => Err(error),
            _ => Ok(diag),
        }
    }

    /// Appends what `keep` makes of the rows of the table.
    pub fn dump<T>(
        &mut self,
        query: Query,
        keep: &dyn Fn(&KernelSocket) -> Option<T>,
        rows: &mut Vec<T>,
    ) -> Result<(), DumpError> {
        self.dump_with(query, answer::FEW, keep, rows)
    }

    /// The same on this thread alone, however long the answer is.
    fn dump_alone<T>(
        &mut self,
        query: Query,
        keep: &dyn Fn(&KernelSocket) -> Option<T>,
        rows: &mut Vec<T>,
    ) -> Result<(), DumpError> {
        self.dump_with(query, usize::MAX, keep, rows)
    }

    /// Receives no more than a few datagrams on this thread.
    fn dump_with<T>(
        &mut self,
        query: Query,
        few: usize,
        keep: &dyn Fn(&KernelSocket) -> Option<T>,
        rows: &mut Vec<T>,
    ) -> Result<(), DumpError> {
        let before = rows.len();
        let mut attempt = 1;
        loop {
            match self.dump_once(query, few, keep, rows) {
                Err(DumpError::Incomplete(_)) if attempt < ATTEMPTS => rows.truncate(before),
                result => return result,
            }
            attempt += 1;
        }
    }

    fn dump_once<T>(
        &mut self,
        query: Query,
        few: usize,
        keep: &dyn Fn(&KernelSocket) -> Option<T>,
        rows: &mut Vec<T>,
    ) -> Result<(), DumpError> {
        self.sequence = self.sequence.wrapping_add(1);
        let request = request(query, self.sequence);
        rustix::net::send(&self.socket, &request, SendFlags::empty()).map_err(|e| DumpError::Refused(e.into()))?;
        let (protocol, sequence) = (query.protocol, self.sequence);
        let mut answer = Answer { protocol, sequence, keep, rows, few, is_interrupted: false };
        answer.read(&self.socket, &mut self.buffer)
    }
}

/// Receives one datagram; says whether the kernel sent it, and not a process.
fn receive(socket: &OwnedFd, buffer: &mut Vec<u8>) -> Result<bool, DumpError> {
    netlink::receive(socket, buffer).map_err(|error| match error {
        ReceiveError::Incomplete(why) => DumpError::Incomplete(why),
        ReceiveError::Kernel(error) => DumpError::Kernel(error.into()),
    })
}

/// The protocol's number in packets. Source: IANA, Protocol Numbers.
fn number(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
        Protocol::UdpLite => 136,
    }
}

/// `struct nlmsghdr`, `struct inet_diag_req_v2` or the older `inet_diag_req`, and the filter as an attribute.
fn request(query: Query, sequence: u32) -> Vec<u8> {
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
    use std::collections::BTreeSet;
    use std::net::{TcpListener, UdpSocket};

    use super::decode::Message;
    use super::*;

    /// Keeps a row as it is.
    const WHOLE: fn(&KernelSocket) -> Option<KernelSocket> = |row| Some(row.clone());

    fn dump(protocol: Protocol, states: u32, only: Option<Only>) -> Vec<KernelSocket> {
        let mut rows = Vec::new();
        let mut diag = SockDiag::open().unwrap();
        for family in [Family::Ipv4, Family::Ipv6] {
            diag.dump(Query { protocol, family: Some(family), states, only, traffic: false }, &WHOLE, &mut rows)
                .unwrap();
        }
        rows
    }

    /// Another socket may have the same port at another address.
    fn has_port(rows: &[KernelSocket], port: u16) -> bool {
        let address = std::net::IpAddr::from([127, 0, 0, 1]);
        rows.iter().any(|row| (row.local.address, row.local.port.get()) == (address, port))
    }

    #[test]
    fn a_message_that_did_not_fit_is_not_a_short_table() {
        let _listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let mut diag = SockDiag::open().unwrap();
        diag.buffer = Vec::with_capacity(64);
        let all = Query {
            protocol: Protocol::Tcp,
            family: Some(Family::Ipv4),
            states: Query::ALL_STATES,
            only: None,
            traffic: false,
        };
        let error = diag.dump(all, &WHOLE, &mut Vec::new()).unwrap_err();
        assert!(matches!(error, DumpError::Incomplete("a truncated message")), "{error}");
    }

    #[test]
    fn the_kernel_sends_only_the_states_that_are_asked_for() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(has_port(&dump(Protocol::Tcp, 1 << 10, None), port));
        assert!(!has_port(&dump(Protocol::Tcp, 1 << 1, None), port));
        assert!(dump(Protocol::Tcp, 1 << 10, None).iter().all(|row| row.state == 10));
    }

    #[test]
    fn the_kernel_tells_ports_that_it_chose_itself() {
        let own = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
        let port = own.local_addr().unwrap().port();
        assert!(has_port(&dump(Protocol::Udp, Query::ALL_STATES, Some(Only::Autobound)), port));
        assert!(has_port(&dump(Protocol::Udp, Query::ALL_STATES, None), port));
        drop(own);
        // The same port, now asked for by number.
        let own = UdpSocket::bind(("127.0.0.1", port)).unwrap();
        assert!(!has_port(&dump(Protocol::Udp, Query::ALL_STATES, Some(Only::Autobound)), port));
        assert!(has_port(&dump(Protocol::Udp, Query::ALL_STATES, None), port));
        drop(own);
    }

    #[test]
    fn the_kernel_sends_one_port_alone_where_that_is_asked_for() {
        let listeners = [TcpListener::bind(("127.0.0.1", 0)).unwrap(), TcpListener::bind(("127.0.0.1", 0)).unwrap()];
        let [port, _] = listeners.each_ref().map(|listener| listener.local_addr().unwrap().port());
        let rows = dump(Protocol::Tcp, Query::ALL_STATES, Some(Only::Port(Port::new(port))));
        assert!(has_port(&rows, port));
        assert!(rows.iter().all(|row| row.local.port.get() == port));
        // A number outside of the ephemeral range, on which nothing is.
        assert!(dump(Protocol::Udp, Query::ALL_STATES, Some(Only::Port(Port::new(1)))).is_empty());
    }

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

    #[test]
    fn an_answer_that_another_thread_receives_is_the_same() {
        let _listeners = [TcpListener::bind(("127.0.0.1", 0)).unwrap(), TcpListener::bind(("::1", 0)).unwrap()];
        let SockDiag { socket, mut sequence, mut buffer } = SockDiag::open().unwrap();
        let query = Query { protocol: Protocol::Tcp, family: None, states: 1 << 10, only: None, traffic: false };
        let mut read = |few, is_interrupted| {
            sequence += 1;
            rustix::net::send(&socket, &request(query, sequence), SendFlags::empty()).unwrap();
            let mut rows = Vec::new();
            let (protocol, keep) = (Protocol::Tcp, &WHOLE);
            Answer { protocol, sequence, keep, rows: &mut rows, few, is_interrupted }.read(&socket, &mut buffer)?;
            Ok::<_, DumpError>(rows.iter().map(|row| row.cookie).collect::<BTreeSet<_>>())
        };
        // Other tests open and close listeners meanwhile.
        assert!((0..1000).any(|_| {
            let beside = read(0, false).unwrap();
            beside.len() >= 2 && beside == read(usize::MAX, false).unwrap()
        }));
        // A table that changed is an error there too.
        assert!(matches!(read(0, true), Err(DumpError::Incomplete("the table changed"))));
    }

    #[test]
    fn a_refused_dump_is_an_error() {
        let mut diag = SockDiag::open().unwrap();
        // A family that has no table is asked for by hand, since a query cannot name it.
        let mut bytes = request(
            Query { protocol: Protocol::Tcp, family: Some(Family::Ipv4), states: 0, only: None, traffic: false },
            9,
        );
        bytes[16] = 77;
        diag.sequence = 9;
        rustix::net::send(&diag.socket, &bytes, SendFlags::empty()).unwrap();
        assert!(receive(&diag.socket, &mut diag.buffer).unwrap());
        let answer: Vec<_> = decode::messages(&diag.buffer, Protocol::Tcp).collect();
        assert!(matches!(answer[0].as_ref().unwrap().message, Message::Error(code) | Message::Done(code) if code < 0));
    }

    #[test]
    fn one_dump_of_both_families_is_two_dumps_of_one() {
        let _listeners = [TcpListener::bind(("127.0.0.1", 0)).unwrap(), TcpListener::bind(("::1", 0)).unwrap()];
        let mut diag = SockDiag::open().unwrap();
        let listeners = 1 << 10;
        let mut cookies = |families: &[Option<Family>]| {
            let mut rows = Vec::new();
            for family in families {
                let query =
                    Query { protocol: Protocol::Tcp, family: *family, states: listeners, only: None, traffic: false };
                diag.dump(query, &WHOLE, &mut rows).unwrap();
            }
            let mut cookies: Vec<_> = rows.iter().map(|row| (row.family, row.cookie)).collect();
            cookies.sort_unstable();
            cookies
        };
        // Other tests open and close listeners meanwhile.
        let agree = (0..1000).any(|_| {
            let both = cookies(&[None]);
            both.len() >= 2 && both == cookies(&[Some(Family::Ipv4), Some(Family::Ipv6)])
        });
        assert!(agree);
    }
}
