//! Dumps over netlink that take one request and no options.

use std::io;

use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::{AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType};

/// The protocol of links and addresses.
pub const ROUTE: Option<Protocol> = None;
/// The protocol of the firewall.
pub const NETFILTER: Option<Protocol> = Some(netlink::NETFILTER);

const REQUEST_DUMP: u16 = 0x301;
const ERROR: u16 = 2;
const DONE: u16 = 3;
/// The header of a message.
const HEADER: usize = 16;
/// The flags in the upper bits of an attribute's kind.
const KIND: u16 = 0x3fff;

/// Asks for all things of a kind, and gives the kind and the payload of each message to `each`.
pub fn dump(protocol: Option<Protocol>, kind: u16, payload: &[u8], mut each: impl FnMut(u16, &[u8])) -> io::Result<()> {
    let flags = SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, protocol)?;
    rustix::net::connect(&socket, &SocketAddrNetlink::new(0, 0))?;
    let patience = Some(std::time::Duration::from_secs(2));
    rustix::net::sockopt::set_socket_timeout(&socket, rustix::net::sockopt::Timeout::Recv, patience)?;
    let length = u32::try_from(HEADER + payload.len()).unwrap_or_default();
    let header = [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), &REQUEST_DUMP.to_ne_bytes(), &1u32.to_ne_bytes()];
    let request = [&header.concat()[..], &[0; 4], payload].concat();
    rustix::net::send(&socket, &request, SendFlags::empty())?;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let (length, _) = rustix::net::recv(&socket, &mut buffer[..], RecvFlags::empty())?;
        match messages(&buffer[..length], &mut each) {
            Some(End::More) => {}
            Some(End::Done(0)) => return Ok(()),
            Some(End::Done(code)) => return Err(io::Error::from_raw_os_error(-code)),
            None => return Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

/// What follows a datagram.
#[derive(Debug, Eq, PartialEq)]
pub enum End {
    /// Others.
    More,
    /// Nothing; below zero it is an error.
    Done(i32),
}

/// Goes through the messages of a datagram; nothing when its lengths lie.
pub fn messages(mut bytes: &[u8], each: &mut impl FnMut(u16, &[u8])) -> Option<End> {
    while !bytes.is_empty() {
        let length = usize::try_from(u32::from_ne_bytes(*bytes.first_chunk()?)).ok()?;
        let message = bytes.get(..length).filter(|_| length >= HEADER)?;
        let code = || message.get(HEADER..)?.first_chunk().map(|code| i32::from_ne_bytes(*code));
        match half(message, 4)? {
            DONE | ERROR => return Some(End::Done(code().unwrap_or(0))),
            kind => each(kind, message.get(HEADER..)?),
        }
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Some(End::More)
}

/// The value of the first attribute of that kind.
pub fn attribute(mut attributes: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let (length, kind) = (half(attributes, 0)?, half(attributes, 2)?);
        let value = attributes.get(4..usize::from(length))?;
        if kind & KIND == wanted {
            return Some(value);
        }
        attributes = attributes.get(usize::from(length).next_multiple_of(4)..)?;
    }
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|bytes| u16::from_ne_bytes(*bytes))
}
