//! One row of the kernel's socket tables, however it was read, and what it means.

use std::net::IpAddr;
use std::num::NonZeroU64;

use crate::model::{
    Endpoint, Family, HiddenBecause, Inode, Nobody, Owner, Pending, Protocol, Queue, Socket, SpaceId, State, Timer,
    TimerKind, Traffic, Uid, Waiting,
};

/// A row as the kernel states it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KernelSocket {
    /// TCP or UDP.
    pub protocol: Protocol,
    /// The family of the table that it stands in.
    pub family: Family,
    /// Its state as numbered in `tcp_states.h`; UDP uses 1 and 7.
    pub state: u8,
    /// The end on this host.
    pub local: Endpoint,
    /// The other end; all zero without one.
    pub peer: Endpoint,
    /// The index of the interface that it is bound to; 0 for none.
    pub interface: u32,
    /// The kernel's unique number for it; `/proc/net` does not have it.
    pub cookie: Option<NonZeroU64>,
    /// The user that made it; 0 where the kernel has none.
    pub uid: u32,
    /// The number of its file; 0 without one.
    pub inode: u64,
    /// Bytes to be read; for a listener the connections that wait to be accepted.
    pub receive_queue: u32,
    /// Bytes not acknowledged; for a listener how many connections may wait.
    pub send_queue: u32,
    /// The kind of the running timer as the kernel numbers it; 0 without one.
    pub timer: u8,
    /// How often that timer has ended before.
    pub retries: u8,
    /// Milliseconds until the running timer ends; 0 without one.
    pub expires: u32,
    /// Whether it refuses IPv4; known for IPv6 listeners and unconnected sockets, and through netlink only.
    pub v6only: Option<bool>,
    /// The inode of its cgroup-v2 directory.
    pub cgroup: Option<NonZeroU64>,
    /// What it has carried, where that was asked for.
    pub traffic: Option<Box<Traffic>>,
}

impl KernelSocket {
    /// Turns the row into a socket of the space. The number of its interface stands for the name.
    pub fn socket(&self, space: SpaceId) -> Socket {
        let state = self.state();
        Socket {
            space,
            protocol: self.protocol,
            family: self.family,
            local: self.local,
            peer: Some(self.peer).filter(|_| self.has_peer()),
            state: Some(state),
            device: Some(self.interface).filter(|index| *index != 0).map(|index| index.to_string().into()),
            v6only: self.v6only,
            waiting: self.waiting(state),
            inode: Inode::new(self.inode),
            uid: Some(Uid(self.uid)).filter(|_| self.knows_uid(state)),
            cookie: self.cookie,
            autobound: None,
            timer: self.timer(),
            cgroup: self.cgroup,
            traffic: self.traffic.clone().filter(|_| self.carries()),
            stands_for: None,
            owner: match self.inode {
                0 => Owner::Nobody(nobody(state)),
                _ => Owner::Hidden(HiddenBecause::NotFound),
            },
        }
    }

    /// The numbers are those of the kernel's `tcp_states.h`. UDP has two of them.
    fn state(&self) -> State {
        match (self.protocol, self.state) {
            (Protocol::Udp | Protocol::UdpLite, 1) => State::Established,
            (Protocol::Udp | Protocol::UdpLite, _) => State::Unconnected,
            (Protocol::Tcp, 1) => State::Established,
            (Protocol::Tcp, 2) => State::SynSent,
            (Protocol::Tcp, 3 | 12) => State::SynReceived,
            (Protocol::Tcp, 4) => State::FinWait1,
            (Protocol::Tcp, 5) => State::FinWait2,
            (Protocol::Tcp, 6) => State::TimeWait,
            (Protocol::Tcp, 8) => State::CloseWait,
            (Protocol::Tcp, 9) => State::LastAck,
            (Protocol::Tcp, 10) => State::Listen,
            (Protocol::Tcp, 11) => State::Closing,
            // A socket that was bound and does not listen is dumped with the state CLOSE.
            (Protocol::Tcp, 7 | 13) if self.local.port.get() != 0 => State::Bound,
            (Protocol::Tcp, _) => State::Close,
        }
    }

    /// The timer that runs. Source: `idiag_timer` in sock_diag(7); `/proc/net/tcp` has the same numbers.
    fn timer(&self) -> Option<Timer> {
        let kind = match self.timer {
            1 => TimerKind::Retransmit,
            2 => TimerKind::Keepalive,
            3 => TimerKind::TimeWait,
            4 => TimerKind::Probe,
            _ => return None,
        };
        (self.protocol == Protocol::Tcp).then_some(Timer { kind, retries: self.retries, left_ms: self.expires })
    }

    /// Only netlink reports a listener's queue; `/proc/net` does not have its limit.
    fn waiting(&self, state: State) -> Option<Waiting> {
        let (received, sent) = (self.receive_queue, self.send_queue);
        match state {
            State::Listen if self.cookie.is_some() => Some(Waiting::Connections(Queue { used: received, limit: sent })),
            _ if self.has_buffers(state) => Some(Waiting::Bytes(Pending { unread: received, unacknowledged: sent })),
            _ => None,
        }
    }

    /// What is over, and what is not established yet, has no buffers.
    fn has_buffers(&self, state: State) -> bool {
        match state {
            State::Listen | State::Bound | State::Close | State::TimeWait | State::SynReceived => false,
            State::FinWait2 => self.inode != 0,
            _ => true,
        }
    }

    /// Whether it is one end of a connection. One that was aborted (RST) has lost its own address and the port of its peer
    /// by the time that the kernel tells of its end.
    pub fn has_peer(&self) -> bool {
        self.peer.port.get() != 0 || !self.peer.address.is_unspecified()
    }

    /// Only a connection carries anything; the state of one that has just ended does not tell it from others.
    fn carries(&self) -> bool {
        self.protocol == Protocol::Tcp && self.peer.port.get() != 0
    }

    /// A connection that is being established or has ended belongs to no socket, and its uid reads as 0.
    fn knows_uid(&self, state: State) -> bool {
        let is_over = state == State::TimeWait || (state == State::FinWait2 && self.inode == 0 && self.uid == 0);
        self.inode != 0 || !(is_over || state == State::SynReceived)
    }
}

/// Why a socket without a file has no holder.
pub fn nobody(state: State) -> Nobody {
    match state {
        State::TimeWait | State::FinWait2 => Nobody::TimeWait,
        State::SynReceived => Nobody::Handshake,
        // Only a connection that has not been accepted is open without a file.
        State::Established | State::CloseWait => Nobody::Unaccepted,
        _ => Nobody::Closing,
    }
}

/// Returns the address with its bytes in network order, as the kernel keeps it.
pub fn address(family: Family, bytes: [u8; 16]) -> IpAddr {
    match family {
        Family::Ipv4 => IpAddr::from([bytes[0], bytes[1], bytes[2], bytes[3]]),
        Family::Ipv6 => IpAddr::from(bytes),
    }
}
