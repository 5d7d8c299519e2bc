//! The kernel's socket tables through netlink, near its own speed.
//!
//! A dump is not a snapshot: while sockets come and go, it can miss a socket that was there all the time. A new netlink
//! socket for each dump missed a listener in up to a third of the dumps. With one socket for all dumps, a large buffer,
//! and a first request from which the kernel learns the buffer's size, batches are large and no socket was ever missed.

mod answer;
pub mod decode;
pub mod destroy;
pub mod halves;
mod request;
mod tcp_info;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::SendFlags;
use rustix::net::netlink::SOCK_DIAG;

use super::kernel_socket::KernelSocket;
use super::netlink::{self, ReceiveError};
use crate::model::{Family, Protocol};
use answer::Answer;
use request::request;
pub use request::{Only, Query};

/// How long one answer may take. The kernel usually answers at once.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many times a dump is tried when the kernel says that the table changed.
const ATTEMPTS: usize = 4;
/// Larger than the largest batch that the kernel makes (32 KiB).
const BUFFER: usize = 64 * 1024;

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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::net::{TcpListener, UdpSocket};

    use super::decode::Message;
    use super::*;
    use crate::model::Port;

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
