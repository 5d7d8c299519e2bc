//! One socket as the operating system states it.

use std::fmt;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::num::NonZeroU64;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Activation, Device, Forward, Owner, Port, Reach, SpaceId, StandsFor, Traffic, Uid};

/// A transport protocol with port numbers.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, JsonSchema, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP, RFC 9293.
    Tcp,
    /// UDP, RFC 768.
    Udp,
    /// UDP-Lite, RFC 3828: ports of its own, named by the registrations of UDP.
    UdpLite,
}

impl Protocol {
    /// Every protocol that is listed.
    pub const ALL: [Protocol; 3] = [Protocol::Tcp, Protocol::Udp, Protocol::UdpLite];

    /// Those that ports are registered for, and that servers are written for.
    pub const REGISTERED: [Protocol; 2] = [Protocol::Tcp, Protocol::Udp];

    /// Says whether its sockets take datagrams from any peer until they are connected.
    pub const fn is_datagram(self) -> bool {
        matches!(self, Protocol::Udp | Protocol::UdpLite)
    }

    /// The name in every output and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
            Protocol::UdpLite => "udplite",
        }
    }
}

/// The address family that a socket was made for.
///
/// It can differ from that of its addresses: an IPv6 socket serves IPv4 peers as `::ffff:a.b.c.d`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, JsonSchema, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// `AF_INET`.
    Ipv4,
    /// `AF_INET6`.
    Ipv6,
}

impl Family {
    /// The family of an address.
    pub const fn of(address: IpAddr) -> Family {
        if address.is_ipv4() { Family::Ipv4 } else { Family::Ipv6 }
    }

    /// Both families.
    pub const ALL: [Family; 2] = [Family::Ipv4, Family::Ipv6];

    /// The name in every output.
    pub const fn name(self) -> &'static str {
        match self {
            Family::Ipv4 => "ipv4",
            Family::Ipv6 => "ipv6",
        }
    }
}

/// What a socket is doing; the names are those of the kernel's `tcp_states.h`.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum State {
    /// Waits for connections.
    Listen,
    /// TCP that was bound and does not listen. It occupies the port, and most tools do not show it.
    Bound,
    /// UDP that any peer can send to.
    Unconnected,
    /// Connected: TCP in the open state, or UDP with a fixed peer.
    Established,
    /// A connection was asked for and not answered yet.
    SynSent,
    /// A connection was asked for by the peer; the handshake is under way.
    SynReceived,
    /// Closed here; not yet acknowledged by the peer.
    FinWait1,
    /// Closed here and acknowledged; the peer has not closed.
    FinWait2,
    /// Closed by the peer; this side has not closed.
    CloseWait,
    /// Closed by both at the same time.
    Closing,
    /// Closed by the peer, then here; the last acknowledgement is missing.
    LastAck,
    /// Over; the pair of addresses is kept for a minute so that late packets do no harm.
    TimeWait,
    /// Not connected, and nothing more is known.
    Close,
    /// No socket at all: a rule of the firewall sends what comes for the port elsewhere.
    Redirect,
}

impl State {
    /// Every state, listeners first, then in the order of a connection's life.
    pub const ALL: [State; 14] = [
        State::Listen,
        State::Bound,
        State::Unconnected,
        State::Established,
        State::SynSent,
        State::SynReceived,
        State::FinWait1,
        State::FinWait2,
        State::CloseWait,
        State::Closing,
        State::LastAck,
        State::TimeWait,
        State::Close,
        State::Redirect,
    ];

    /// The name in every output.
    pub const fn name(self) -> &'static str {
        match self {
            State::Listen => "LISTEN",
            State::Bound => "BOUND",
            State::Unconnected => "UNCONN",
            State::Established => "ESTABLISHED",
            State::SynSent => "SYN_SENT",
            State::SynReceived => "SYN_RECV",
            State::FinWait1 => "FIN_WAIT1",
            State::FinWait2 => "FIN_WAIT2",
            State::CloseWait => "CLOSE_WAIT",
            State::Closing => "CLOSING",
            State::LastAck => "LAST_ACK",
            State::TimeWait => "TIME_WAIT",
            State::Close => "CLOSE",
            State::Redirect => "REDIRECT",
        }
    }
}

/// An address and a port: one end of a connection.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Endpoint {
    /// The address; `0.0.0.0` and `::` stand for every address of the host.
    pub address: IpAddr,
    /// The port; 0 when the other end has none.
    pub port: Port,
}

impl Endpoint {
    /// Joins an address and a port number.
    pub fn new(address: IpAddr, port: u16) -> Endpoint {
        Endpoint { address, port: Port::new(port) }
    }

    /// Returns whether the address is meaningful only together with an interface, because every link can have it (RFC
    /// 4007).
    pub fn is_of_a_link(&self) -> bool {
        matches!(self.address, IpAddr::V6(address) if address.is_unicast_link_local())
    }
}

impl fmt::Display for Endpoint {
    /// Writes `127.0.0.1:80` and `[::1]:80`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            IpAddr::V4(address) => write!(f, "{address}:{}", self.port),
            IpAddr::V6(address) => SocketAddr::V6(SocketAddrV6::new(address, self.port.get(), 0, 0)).fmt(f),
        }
    }
}

/// The number of a socket's file in the kernel's sockfs; unique over all namespaces.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Inode(NonZeroU64);

impl Inode {
    /// Makes an inode of a number; 0 stands for none.
    pub const fn new(number: u64) -> Option<Inode> {
        match NonZeroU64::new(number) {
            Some(number) => Some(Inode(number)),
            None => None,
        }
    }

    /// Returns the number.
    pub const fn get(self) -> u64 {
        self.0.get()
    }
}

/// A listener's accept queue, in connections.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Queue {
    /// Connections that wait to be accepted.
    pub used: u32,
    /// How many may wait.
    pub limit: u32,
}

/// What waits in the buffers of a socket that is no listener.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Pending {
    /// Bytes that were received and not read yet. For UDP the memory that they take up.
    pub unread: u32,
    /// Bytes that were written and that the peer has not acknowledged yet. For UDP the memory that they take up.
    pub unacknowledged: u32,
}

/// What waits at a socket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Waiting {
    /// Connections, at a listener.
    Connections(Queue),
    /// Bytes, in the buffers of any other socket.
    Bytes(Pending),
}

/// What a timer of TCP waits for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TimerKind {
    /// To send again what was not acknowledged.
    Retransmit,
    /// To ask whether the peer is still there.
    Keepalive,
    /// To forget a connection that is over.
    TimeWait,
    /// To ask a peer that has no room whether it has some now.
    Probe,
}

impl TimerKind {
    /// Every kind.
    pub const ALL: [TimerKind; 4] =
        [TimerKind::Retransmit, TimerKind::Keepalive, TimerKind::TimeWait, TimerKind::Probe];

    /// The name in every output.
    pub const fn name(self) -> &'static str {
        match self {
            TimerKind::Retransmit => "retransmit",
            TimerKind::Keepalive => "keepalive",
            TimerKind::TimeWait => "time-wait",
            TimerKind::Probe => "probe",
        }
    }
}

/// The timer of TCP that runs for a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Timer {
    /// What it waits for.
    pub kind: TimerKind,
    /// How often it has ended before without an answer of the peer.
    pub retries: u8,
    /// Milliseconds until it ends.
    pub left_ms: u32,
}

/// One socket and its holders, as far as this run could see.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Socket {
    /// The port space that its numbers belong to.
    pub space: SpaceId,
    /// The transport protocol.
    pub protocol: Protocol,
    /// The family that it was made for.
    pub family: Family,
    /// The end on this host.
    pub local: Endpoint,
    /// The other end; absent if the socket has no peer or its peer is not known.
    pub peer: Option<Endpoint>,
    /// Its state; absent if the system does not report it (UDP through the portable backend).
    pub state: Option<State>,
    /// The interface it is bound to, or the scope of a link-local address.
    pub device: Option<Device>,
    /// Whether an IPv6 socket refuses IPv4; absent if the system does not report it.
    pub v6only: Option<bool>,
    /// What waits at it; absent if nothing can, or the system does not report it.
    pub waiting: Option<Waiting>,
    /// The inode of its file; absent when the socket has no file, or not any more, and on systems without sockfs.
    pub inode: Option<Inode>,
    /// The user that created it; absent where the kernel does not know (`TIME_WAIT`, `SYN_RECV`).
    pub uid: Option<Uid>,
    /// The kernel's unique number for it since boot.
    pub cookie: Option<NonZeroU64>,
    /// Whether the kernel chose its port; absent if the system does not report it.
    pub autobound: Option<bool>,
    /// The timer that runs for a connection of TCP.
    pub timer: Option<Timer>,
    /// What a connection of TCP has carried; absent where nobody asked, or the system does not report it. It is boxed
    /// because few ask.
    pub traffic: Option<Box<Traffic>>,
    /// The inode of its cgroup-v2 directory.
    pub cgroup: Option<NonZeroU64>,
    /// What it stands for, where that is something else. It is boxed because it is rare.
    pub stands_for: Option<Box<StandsFor>>,
    /// Its holders.
    pub owner: Owner,
}

/// What stays the same as long as a socket lives: its cookie; where that is not known, its inode and ends, which come near.
pub type SocketIdentity = (Option<NonZeroU64>, Option<Inode>, Option<Endpoint>, Option<Endpoint>);

impl Socket {
    /// Identifies the socket, also in a later listing.
    pub fn identity(&self) -> SocketIdentity {
        match self.cookie {
            Some(cookie) => (Some(cookie), None, None, None),
            None => (None, self.inode, Some(self.local), self.peer),
        }
    }

    /// The accept queue of a listener.
    pub fn queue(&self) -> Option<Queue> {
        match self.waiting? {
            Waiting::Connections(queue) => Some(queue),
            Waiting::Bytes(_) => None,
        }
    }

    /// What waits in the buffers of any other socket.
    pub fn pending(&self) -> Option<Pending> {
        match self.waiting? {
            Waiting::Connections(_) => None,
            Waiting::Bytes(pending) => Some(pending),
        }
    }

    /// Where it leads, for a published port.
    pub fn forward(&self) -> Option<&Forward> {
        match self.stands_for.as_deref()? {
            StandsFor::Forward(forward) => Some(forward),
            StandsFor::Activation(_) => None,
        }
    }

    /// The same, to add to it.
    pub fn forward_mut(&mut self) -> Option<&mut Forward> {
        match self.stands_for.as_deref_mut()? {
            StandsFor::Forward(forward) => Some(forward),
            StandsFor::Activation(_) => None,
        }
    }

    /// The units of systemd that a listener of process 1 is held for.
    pub fn activation(&self) -> Option<&Activation> {
        match self.stands_for.as_deref()? {
            StandsFor::Forward(_) => None,
            StandsFor::Activation(activation) => Some(activation),
        }
    }

    /// How long a connection in TIME_WAIT keeps its port.
    pub fn time_left(&self) -> Option<Duration> {
        let timer = self.timer.filter(|timer| timer.kind == TimerKind::TimeWait)?;
        Some(Duration::from_millis(u64::from(timer.left_ms)))
    }

    /// The addresses that it occupies. If the system does not report whether an IPv6 socket refuses IPv4, it counts as
    /// one that accepts it, which is the default.
    pub fn reach(&self) -> Reach {
        Reach::of(self.local.address, self.v6only == Some(true))
    }
}
