//! Sockets through netstat2; no other file names that crate.

use netstat2::{AddressFamilyFlags, ProtocolFlags, ProtocolSocketInfo, SocketInfo, TcpState};

use super::super::CollectError;
use crate::model::{Endpoint, Family, HiddenBecause, Inode, Owner, Pid, Protocol, Socket, SpaceId, State, Uid};

/// A socket, and the processes that netstat2 names where the system gives them with the socket.
pub struct Found {
    /// The socket; its owner is not set yet.
    pub socket: Socket,
    /// Its processes; empty on Linux, where netstat2 is not asked for them.
    #[cfg_attr(target_os = "linux", expect(dead_code, reason = "Linux gives sockets without processes"))]
    pub pids: Vec<Pid>,
}

/// What netstat2 lists of one protocol.
#[derive(Default)]
pub struct List {
    /// The sockets.
    pub sockets: Vec<Found>,
    /// How many descriptors could not be inspected (macOS).
    pub unread: usize,
}

/// Lists the sockets of the protocol in the port space of this process.
pub fn list(protocol: Protocol, space: SpaceId) -> Result<List, CollectError> {
    let failed = |error: netstat2::error::Error| CollectError::SocketTable { protocol, reason: error.to_string() };
    let flags = match protocol {
        Protocol::Tcp => ProtocolFlags::TCP,
        Protocol::Udp => ProtocolFlags::UDP,
        Protocol::UdpLite => return Ok(List::default()),
    };
    let mut list = List::default();
    // One family at a time, because the family of a socket is known only from the flags of the request.
    for (family, of_family) in [(Family::Ipv4, AddressFamilyFlags::IPV4), (Family::Ipv6, AddressFamilyFlags::IPV6)] {
        for info in iterate(of_family, flags).map_err(failed)? {
            match info {
                Ok(info) => list.sockets.push(socket(info, family, space)),
                // macOS inspects descriptors one by one, and their process may close them meanwhile.
                Err(_) if cfg!(target_os = "macos") => list.unread += 1,
                Err(error) => return Err(failed(error)),
            }
        }
    }
    Ok(list)
}

#[cfg(target_os = "linux")]
use netstat2::iterate_sockets_info_without_pids as iterate;

#[cfg(not(target_os = "linux"))]
use netstat2::iterate_sockets_info as iterate;

fn socket(info: SocketInfo, family: Family, space: SpaceId) -> Found {
    let (uid, inode) = of_linux(&info);
    let (protocol, local, peer, state) = match &info.protocol_socket_info {
        ProtocolSocketInfo::Tcp(tcp) => (
            Protocol::Tcp,
            Endpoint::new(tcp.local_addr, tcp.local_port),
            Some(Endpoint::new(tcp.remote_addr, tcp.remote_port)),
            state(tcp.state),
        ),
        ProtocolSocketInfo::Udp(udp) => (Protocol::Udp, Endpoint::new(udp.local_addr, udp.local_port), None, None),
    };
    // A listener's peer is given as 0.0.0.0:0.
    let peer = peer.filter(|peer| peer.port.get() != 0 || !peer.address.is_unspecified());
    let kernel_knows_uid = inode.is_some() || !matches!(state, Some(State::TimeWait | State::SynReceived));
    let socket = Socket {
        space,
        protocol,
        family,
        local,
        peer,
        state,
        device: None,
        v6only: None,
        waiting: None,
        traffic: None,
        inode,
        uid: uid.filter(|_| kernel_knows_uid).map(Uid),
        cookie: None,
        autobound: None,
        timer: None,
        cgroup: None,
        stands_for: None,
        owner: Owner::Hidden(HiddenBecause::Unsupported),
    };
    let mut pids: Vec<Pid> = info.associated_pids.into_iter().map(Pid).collect();
    pids.sort_unstable();
    pids.dedup();
    Found { socket, pids }
}

/// The uid and the inode.
#[cfg(target_os = "linux")]
fn of_linux(info: &SocketInfo) -> (Option<u32>, Option<Inode>) {
    (Some(info.uid), Inode::new(u64::from(info.inode)))
}

#[cfg(not(target_os = "linux"))]
fn of_linux(_: &SocketInfo) -> (Option<u32>, Option<Inode>) {
    (None, None)
}

fn state(state: TcpState) -> Option<State> {
    Some(match state {
        TcpState::Closed | TcpState::DeleteTcb => State::Close,
        TcpState::Listen => State::Listen,
        TcpState::SynSent => State::SynSent,
        TcpState::SynReceived => State::SynReceived,
        TcpState::Established => State::Established,
        TcpState::FinWait1 => State::FinWait1,
        TcpState::FinWait2 => State::FinWait2,
        TcpState::CloseWait => State::CloseWait,
        TcpState::Closing => State::Closing,
        TcpState::LastAck => State::LastAck,
        TcpState::TimeWait => State::TimeWait,
        TcpState::Unknown => return None,
    })
}
