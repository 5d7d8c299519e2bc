//! Messages of netlink: how they are framed, sent and received.
//!
//! Numbers are in the machine's order. Source: `linux/netlink.h`, netlink(7).

use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::sockopt::{self, Timeout};
use rustix::net::{AddressFamily, Protocol, RecvFlags, SocketFlags, SocketType};

/// The kind of a message without a meaning.
pub const NOOP: u16 = 1;
/// The kind of an answer that says whether a request succeeded.
pub const ERROR: u16 = 2;
/// The kind of the message that ends a dump.
pub const DONE: u16 = 3;
/// The kind of a message that says that others were lost.
pub const OVERRUN: u16 = 4;

/// The flag of every request.
pub const REQUEST: u16 = 0x1;
/// The flag of a request that is to be acknowledged.
pub const ACKNOWLEDGE: u16 = 0x4;
/// The flags of a request for everything of a kind.
pub const DUMP: u16 = 0x300;
/// The flag of an answer that says that the table changed while it was read.
pub const DUMP_INTERRUPTED: u16 = 0x10;

/// How many bytes the header of a message takes.
pub const HEADER: usize = 16;

/// Opens a socket to the kernel in the network namespace of the calling thread. `patience` bounds each wait for an answer.
pub fn open(protocol: Option<Protocol>, patience: Duration) -> Result<OwnedFd, Errno> {
    let socket = rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, protocol)?;
    rustix::net::connect(&socket, &SocketAddrNetlink::new(0, 0))?;
    sockopt::set_socket_timeout(&socket, Timeout::Recv, Some(patience))?;
    Ok(socket)
}

/// Puts the header in front of the payload.
pub fn request(kind: u16, flags: u16, sequence: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(HEADER + payload.len()).unwrap_or(u32::MAX);
    let mut bytes = length.to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend((REQUEST | flags).to_ne_bytes());
    bytes.extend(sequence.to_ne_bytes());
    bytes.extend(0u32.to_ne_bytes());
    bytes.extend(payload);
    bytes
}

/// Why a datagram was not received.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ReceiveError {
    /// The answer may come yet, or messages were lost; the text says which.
    Incomplete(&'static str),
    /// The kernel refuses.
    Kernel(Errno),
}

/// Receives one datagram, which replaces what the buffer has; says whether the kernel sent it, and not a process.
///
/// Only as much of the buffer is written to as is received: having the kernel give and clear the memory of all of it takes
/// longer than most answers.
pub fn receive(socket: &OwnedFd, buffer: &mut Vec<u8>) -> Result<bool, ReceiveError> {
    buffer.clear();
    let room = buffer.capacity();
    let (_, length, sender) = loop {
        match rustix::net::recvfrom(socket, spare_capacity(buffer), RecvFlags::TRUNC) {
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return Err(ReceiveError::Incomplete("timed out")),
            Err(Errno::NOBUFS) => return Err(ReceiveError::Incomplete("no buffer space")),
            Err(error) => return Err(ReceiveError::Kernel(error)),
            Ok(received) => break received,
        }
    };
    match length {
        0 => Err(ReceiveError::Incomplete("an empty message")),
        _ if length > room => Err(ReceiveError::Incomplete("a truncated message")),
        _ => {
            let sender = sender.and_then(|sender| SocketAddrNetlink::try_from(sender).ok());
            Ok(sender.is_some_and(|sender| sender.pid() == 0))
        }
    }
}

/// One message of a datagram.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Message<'a> {
    /// What it is; the meaning depends on the protocol from 16 on.
    pub kind: u16,
    /// Its flags.
    pub flags: u16,
    /// The number of the request that it answers.
    pub sequence: u32,
    /// What follows the header.
    pub payload: &'a [u8],
}

/// A datagram whose lengths are wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Malformed;

/// Splits a datagram into its messages; ends after the first that is malformed.
pub fn messages(datagram: &[u8]) -> impl Iterator<Item = Result<Message<'_>, Malformed>> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let Some((message, length)) = message(rest) else {
            rest = &[];
            return Some(Err(Malformed));
        };
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(Ok(message))
    })
}

fn message(bytes: &[u8]) -> Option<(Message<'_>, usize)> {
    let length = usize::try_from(word(bytes, 0)?).ok()?;
    let payload = bytes.get(HEADER..length)?;
    Some((Message { kind: half(bytes, 4)?, flags: half(bytes, 6)?, sequence: word(bytes, 8)?, payload }, length))
}

/// Splits what follows the fixed part of a payload into attributes, each with its kind; ends before the first that is
/// malformed.
pub fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (length, kind) = (usize::from(half(rest, 0)?), half(rest, 2)?);
        let value = rest.get(4..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// The number of 32 bits at that offset.
pub fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes))
}

/// The number of 16 bits at that offset.
pub fn half(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|bytes| u16::from_ne_bytes(*bytes))
}
