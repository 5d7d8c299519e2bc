//! What the programs write, and how it is read back.

use std::net::IpAddr;
use std::num::NonZeroU64;

use crate::collect::linux::kernel_socket::address;
use crate::collect::linux::owners::Facts;
use crate::model::{Endpoint, Family, Inode, Pid, Protocol, SpaceId, State, Uid};

/// Bytes of one record, and behind it what the programs use while they work.
pub const SIZE: i16 = 168;
/// Bytes of the record and of what is behind it.
pub const FRAME: i16 = SIZE + 8;

/// Where the programs put what, in bytes from the start of the record; native byte order.
pub mod at {
    pub const TIME: i16 = 0;
    pub const COOKIE: i16 = 8;
    pub const INODE: i16 = 16;
    /// Number of the thread, and above it that of the process.
    pub const THREAD: i16 = 24;
    pub const STARTED: i16 = 32;
    pub const KIND: i16 = 40;
    pub const NETWORK: i16 = 44;
    pub const PARENT: i16 = 48;
    pub const EFFECTIVE_UID: i16 = 52;
    pub const NAME: i16 = 56;
    pub const FAMILY: i16 = 72;
    pub const PROTOCOL: i16 = 74;
    pub const PORT: i16 = 76;
    /// Network order.
    pub const PEER_PORT: i16 = 78;
    pub const LOCAL: i16 = 80;
    pub const PEER: i16 = 96;
    pub const UID: i16 = 112;
    pub const DEVICE: i16 = 116;
    pub const FLAGS: i16 = 120;
    /// Network order.
    pub const SOURCE_PORT: i16 = 122;
    pub const RESULT: i16 = 124;
    /// What was asked of bind(2): 40 bytes, in the form in which it is kept from entry to exit.
    pub const ASKED: i16 = 128;
    /// In that: the descriptor.
    pub const FD: i16 = ASKED;
    /// In that: `struct sockaddr_in` or `sockaddr_in6`, 28 bytes.
    pub const ADDRESS: i16 = ASKED + 8;
    /// Behind the record.
    pub const SCRATCH: i16 = super::SIZE;
}

/// Bytes of what was asked of bind(2).
pub const ASKED: i16 = 40;

/// What happened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// A TCP socket started to listen.
    Listening,
    /// A TCP socket does not listen any more.
    Unlistened,
    /// A socket was bound.
    Bound,
    /// A bind failed.
    BindFailed,
    /// A process asks for a connection.
    Connecting,
    /// A connection is open.
    Connected,
    /// A connection is over.
    Disconnected,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 7] = [
        Kind::Listening,
        Kind::Unlistened,
        Kind::Bound,
        Kind::BindFailed,
        Kind::Connecting,
        Kind::Connected,
        Kind::Disconnected,
    ];

    /// The number in the record, which is that of its counter of lost records too.
    pub const fn number(self) -> i32 {
        self as i32
    }
}

/// One record.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Record {
    pub kind: Kind,
    /// Nanoseconds since boot.
    pub time: u64,
    /// Absent where nobody had asked for it yet.
    pub cookie: Option<NonZeroU64>,
    pub inode: Option<Inode>,
    pub space: SpaceId,
    /// The process that ran at that moment, as numbered in the initial pid namespace.
    pub pid: Pid,
    pub facts: Facts,
    /// Its descriptor of the socket, where that is known.
    pub fd: Option<u32>,
    pub protocol: Protocol,
    pub family: Family,
    pub local: Endpoint,
    pub peer: Endpoint,
    /// The user that made the socket.
    pub uid: Uid,
    /// Number of the interface that it is bound to; 0 for none.
    pub device: u32,
    pub flags: u8,
    pub state: State,
    /// What bind(2) returned: 0, or an errno below it.
    pub result: i32,
    /// What bind(2) was asked for, with the scope of a link-local address.
    pub asked: Option<(Endpoint, u32)>,
}

impl Record {
    /// Reads a record; nothing for what is no socket of TCP or UDP.
    pub fn read(bytes: &[u8]) -> Option<Record> {
        let bytes: &[u8; SIZE as usize] = bytes.get(..SIZE as usize)?.try_into().ok()?;
        let number = |at: i16| u32::from_ne_bytes(read(bytes, at));
        let long = |at: i16| u64::from_ne_bytes(read(bytes, at));
        let family = family(u16::from_ne_bytes(read(bytes, at::FAMILY)))?;
        let protocol = match u16::from_ne_bytes(read(bytes, at::PROTOCOL)) {
            6 => Protocol::Tcp,
            17 => Protocol::Udp,
            136 => Protocol::UdpLite,
            _ => return None,
        };
        let thread = long(at::THREAD);
        let kind = Kind::ALL.into_iter().find(|kind| u32::try_from(kind.number()) == Ok(number(at::KIND)))?;
        let is_bind = matches!(kind, Kind::Bound | Kind::BindFailed);
        let port = match u16::from_ne_bytes(read(bytes, at::PORT)) {
            0 => u16::from_be_bytes(read(bytes, at::SOURCE_PORT)),
            port => port,
        };
        let peer_port = u16::from_be_bytes(read(bytes, at::PEER_PORT));
        Some(Record {
            kind,
            time: long(at::TIME),
            cookie: NonZeroU64::new(long(at::COOKIE)),
            inode: Inode::new(long(at::INODE)),
            space: SpaceId(u64::from(number(at::NETWORK))),
            pid: Pid(u32::try_from(thread >> 32).unwrap_or_default()),
            facts: Facts {
                started: long(at::STARTED),
                parent: number(at::PARENT),
                effective_uid: number(at::EFFECTIVE_UID),
                rights: None,
                name: read(bytes, at::NAME),
            },
            fd: is_bind.then(|| number(at::FD)),
            protocol,
            family,
            local: Endpoint::new(address(family, read(bytes, at::LOCAL)), port),
            peer: Endpoint::new(address(family, read(bytes, at::PEER)), peer_port),
            uid: Uid(number(at::UID)),
            device: number(at::DEVICE),
            flags: read::<1>(bytes, at::FLAGS)[0],
            state: match (kind, protocol) {
                (Kind::Listening | Kind::Unlistened, _) => State::Listen,
                (Kind::Bound | Kind::BindFailed, Protocol::Tcp) => State::Bound,
                (Kind::Bound | Kind::BindFailed, Protocol::Udp | Protocol::UdpLite) => State::Unconnected,
                (Kind::Connecting | Kind::Connected | Kind::Disconnected, _) => State::Established,
            },
            result: i32::from_ne_bytes(read(bytes, at::RESULT)),
            asked: if is_bind { asked(bytes) } else { None },
        })
    }
}

/// Reads `struct sockaddr_in` or `struct sockaddr_in6`; nothing where the address could not be read.
fn asked(bytes: &[u8; SIZE as usize]) -> Option<(Endpoint, u32)> {
    let family = family(u16::from_ne_bytes(read(bytes, at::ADDRESS)))?;
    let port = u16::from_be_bytes(read(bytes, at::ADDRESS + 2));
    let (address, scope) = match family {
        Family::Ipv4 => (IpAddr::from(read::<4>(bytes, at::ADDRESS + 4)), 0),
        Family::Ipv6 => {
            let scope = u32::from_ne_bytes(read(bytes, at::ADDRESS + 24));
            (IpAddr::from(read::<16>(bytes, at::ADDRESS + 8)), scope)
        }
    };
    Some((Endpoint::new(address, port), scope))
}

fn family(number: u16) -> Option<Family> {
    match number {
        2 => Some(Family::Ipv4),
        10 => Some(Family::Ipv6),
        _ => None,
    }
}

fn read<const N: usize>(bytes: &[u8; SIZE as usize], at: i16) -> [u8; N] {
    let at = usize::try_from(at).unwrap_or_default();
    bytes.get(at..).and_then(|bytes| bytes.first_chunk()).copied().unwrap_or([0; N])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Record::read(&bytes);
        }
    }
}
