//! Destroys one socket and leaves its process running: `SOCK_DESTROY`.
//!
//! Source: `linux/sock_diag.h`, `net/ipv4/inet_diag.c`, `tcp_abort`, `udp_abort`; tcp(7): the process reads ECONNABORTED.

use std::net::IpAddr;
use std::num::NonZeroU64;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, netdevice};

use super::decode::{self, Message};
use super::request::number;
use super::{DumpError, SockDiag};
use crate::collect::control::ControlError;
use crate::collect::linux::netlink;
use crate::model::{Endpoint, Family, Socket, State};

const SOCK_DESTROY: u16 = 21;
/// How many requests are made to reach each member of a SO_REUSEPORT group.
const TRIES: u16 = 2048;

/// Asks the kernel to destroy the socket with this cookie.
pub fn destroy(socket: &Socket) -> Result<(), ControlError> {
    let Some(cookie) = socket.cookie.map(NonZeroU64::get) else {
        return Err(ControlError::Unsupported(
            "netlink access was refused: without the socket's cookie, the wrong socket could be closed",
        ));
    };
    if socket.state == Some(State::Bound) {
        return Err(ControlError::Unsupported("the kernel cannot look up a bound TCP socket that is not listening"));
    }
    let interface = socket.device.as_deref().map_or(Some(0), index_of).ok_or(ControlError::Gone)?;
    let mut diag = SockDiag::open().map_err(|error| unasked(&error))?;
    let has_peer = socket.peer.is_some();
    let nobody = Endpoint::new(unspecified(socket.family), 0);
    let mut answer = ask(&mut diag, socket, socket.peer.unwrap_or(nobody), interface, cookie);
    // When sockets share a port, the kernel picks one by the peer, as it does for a packet, and then compares the
    // cookie. Requests with other peers reach the other sockets.
    for port in 1..=TRIES {
        if has_peer || answer != Err(ControlError::Gone) {
            break;
        }
        answer = ask(&mut diag, socket, Endpoint::new(nobody.address, port), interface, cookie);
    }
    answer
}

fn ask(diag: &mut SockDiag, socket: &Socket, peer: Endpoint, interface: u32, cookie: u64) -> Result<(), ControlError> {
    diag.sequence = diag.sequence.wrapping_add(1);
    let request = request(socket, peer, interface, cookie, diag.sequence);
    rustix::net::send(&diag.socket, &request, SendFlags::empty()).map_err(answered)?;
    loop {
        if !super::receive(&diag.socket, &mut diag.buffer).map_err(|error| unasked(&error))? {
            continue;
        }
        for framed in decode::messages(&diag.buffer, socket.protocol) {
            let framed = framed.map_err(|_| ControlError::Failed("the kernel's answer is malformed".to_owned()))?;
            match framed.message {
                _ if framed.sequence != diag.sequence => {}
                Message::Error(0) => return Ok(()),
                Message::Error(code) => return Err(answered(Errno::from_raw_os_error(code.saturating_neg()))),
                _ => {}
            }
        }
    }
}

/// `struct nlmsghdr` and `struct inet_diag_req_v2` with the whole identity of the socket.
fn request(socket: &Socket, peer: Endpoint, interface: u32, cookie: u64, sequence: u32) -> Vec<u8> {
    let family = if socket.family == Family::Ipv4 { 2 } else { 10 };
    let protocol = number(socket.protocol);
    let mut payload = vec![family, protocol, 0, 0];
    payload.extend(u32::MAX.to_ne_bytes());
    payload.extend(socket.local.port.get().to_be_bytes());
    payload.extend(peer.port.get().to_be_bytes());
    payload.extend(octets(socket.local.address));
    payload.extend(octets(peer.address));
    payload.extend(interface.to_ne_bytes());
    let [low, high] = [cookie & 0xffff_ffff, cookie >> 32].map(|half| u32::try_from(half).unwrap_or_default());
    payload.extend(low.to_ne_bytes());
    payload.extend(high.to_ne_bytes());
    netlink::request(SOCK_DESTROY, netlink::ACKNOWLEDGE, sequence, &payload)
}

/// The 16 bytes of the request, an IPv4 address in the first four.
fn octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => {
            let mut octets = [0; 16];
            octets[..4].copy_from_slice(&address.octets());
            octets
        }
        IpAddr::V6(address) => address.octets(),
    }
}

fn unspecified(family: Family) -> IpAddr {
    match family {
        Family::Ipv4 => IpAddr::from([0; 4]),
        Family::Ipv6 => IpAddr::from([0; 16]),
    }
}

fn index_of(device: &str) -> Option<u32> {
    if let Ok(index) = device.parse() {
        return Some(index);
    }
    let socket = rustix::net::socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None).ok()?;
    netdevice::name_to_index(socket, device).ok()
}

fn answered(error: Errno) -> ControlError {
    match error {
        Errno::NOENT => ControlError::Gone,
        Errno::PERM | Errno::ACCESS => ControlError::Refused,
        Errno::OPNOTSUPP => ControlError::Unsupported(
            "this kernel cannot destroy sockets: it was built without CONFIG_INET_DIAG_DESTROY",
        ),
        error => ControlError::Failed(std::io::Error::from(error).to_string()),
    }
}

fn unasked(error: &DumpError) -> ControlError {
    ControlError::Failed(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answers_of_the_kernel_are_told_apart() {
        assert_eq!(answered(Errno::NOENT), ControlError::Gone);
        assert_eq!(answered(Errno::PERM), ControlError::Refused);
        let message = answered(Errno::OPNOTSUPP).to_string();
        assert!(message.ends_with("without CONFIG_INET_DIAG_DESTROY"), "{message}");
        assert_eq!(answered(Errno::INVAL), ControlError::Failed("Invalid argument (os error 22)".to_owned()));
    }

    #[test]
    fn an_ipv4_address_stands_in_the_first_four_bytes() {
        assert_eq!(octets("127.0.0.1".parse().unwrap())[..5], [127, 0, 0, 1, 0]);
        assert_eq!(octets("::1".parse().unwrap())[15], 1);
    }
}
