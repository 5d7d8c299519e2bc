//! Asks the kernel by binding a socket for a moment. Nothing is sent, and nothing can connect because the socket does
//! not listen.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use super::probe_system as system;
use crate::model::{Bind, BindError, Port, Protocol};

pub use system::{caller, scope_of};

/// How long to retry a port that is in use.
const PATIENCE: Duration = Duration::from_secs(1);

/// A socket that keeps its port until this value is dropped. A program that takes this one's place does not inherit it.
#[derive(Debug)]
#[must_use]
pub struct BoundSocket(Socket);

#[cfg(unix)]
#[cfg(test)]
impl BoundSocket {
    /// The port that it has.
    pub fn port(&self) -> Port {
        Port::new(self.0.local_addr().unwrap().as_socket().unwrap().port())
    }

    /// Starts listening.
    pub fn listen(&self) {
        self.0.listen(1).unwrap();
    }
}

#[cfg(unix)]
impl From<BoundSocket> for std::os::fd::OwnedFd {
    fn from(held: BoundSocket) -> std::os::fd::OwnedFd {
        held.0.into()
    }
}

/// Binds, and keeps the socket.
pub fn hold(bind: &Bind) -> Result<BoundSocket, BindError> {
    match bind.user {
        Some(user) if system::caller().uid != Some(user) => system::as_user(user, || bound(bind))?,
        _ => bound(bind),
    }
}

/// Binds, and closes the socket at once.
pub fn probe(bind: &Bind) -> Result<(), BindError> {
    hold(bind).map(drop)
}

/// Binds every address of both families at these ports, TCP and UDP, and keeps the sockets. Any other use of one of the
/// ports makes that fail.
///
/// Another run may try the same ports for a moment, so a port that is in use is retried for a while. A family that the
/// system does not support is left out.
pub fn hold_all(ports: &[Port]) -> Result<Vec<BoundSocket>, (Port, Protocol, BindError)> {
    let end = Instant::now() + PATIENCE;
    let mut pause = Duration::from_micros(500 + u64::from(std::process::id() % 16) * 100);
    loop {
        match try_all(ports) {
            Err((_, _, BindError::InUse)) if Instant::now() < end => std::thread::sleep(pause),
            result => return result,
        }
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

fn try_all(ports: &[Port]) -> Result<Vec<BoundSocket>, (Port, Protocol, BindError)> {
    let mut held = Vec::new();
    for port in ports {
        for protocol in Protocol::REGISTERED {
            for address in [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)] {
                let bind = Bind { v6only: true, ..Bind::plain(protocol, address, *port) };
                match hold(&bind) {
                    Ok(socket) => held.push(socket),
                    Err(BindError::Family | BindError::NotAvailable) => {}
                    Err(refusal) => return Err((*port, protocol, refusal)),
                }
            }
        }
    }
    Ok(held)
}

/// Makes a TCP port listen, on every address of both families if the system supports both.
pub fn listen(address: Option<IpAddr>, port: Port) -> Result<BoundSocket, BindError> {
    /// How many connections may wait; the system lowers it to its own limit.
    const BACKLOG: i32 = 4096;
    let bind = |address| hold(&Bind::plain(Protocol::Tcp, address, port));
    let held = match address {
        Some(address) => bind(address),
        None => match bind(IpAddr::V6(Ipv6Addr::UNSPECIFIED)) {
            Err(BindError::Family | BindError::NotAvailable) => bind(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
            result => result,
        },
    }?;
    held.0.listen(BACKLOG).map_err(|error| refusal(&error))?;
    Ok(held)
}

/// Returns whether this run can bind as that user.
pub fn can_ask_as(bind: &Bind) -> bool {
    bind.user.is_none_or(|user| system::caller().uid == Some(user) || system::as_user(user, || ()).is_ok())
}

/// Asks whether the address can be bound at all, by binding any port that is free there.
pub fn probe_address(bind: &Bind) -> Result<(), BindError> {
    // A UDP socket, so that no earlier connection can block the bind, and without options that only matter for one
    // port. An address of many hosts may be one for UDP alone.
    let protocol = if bind.address.is_multicast() { bind.protocol } else { Protocol::Udp };
    let any = Bind { protocol, port: Port::new(0), user: None, ..bind.clone() };
    probe(&any)
}

fn bound(bind: &Bind) -> Result<BoundSocket, BindError> {
    try_bind(bind).map(BoundSocket).map_err(|error| refusal(&error))
}

fn try_bind(bind: &Bind) -> io::Result<Socket> {
    let kind = match bind.protocol {
        Protocol::Tcp => Type::STREAM,
        Protocol::Udp | Protocol::UdpLite => Type::DGRAM,
    };
    let address = match bind.address {
        IpAddr::V4(address) => SocketAddr::V4(SocketAddrV4::new(address, bind.port.get())),
        IpAddr::V6(address) => SocketAddr::V6(SocketAddrV6::new(address, bind.port.get(), 0, bind.scope)),
    };
    let socket = Socket::new(Domain::for_address(address), kind, None)?;
    if address.is_ipv6() {
        socket.set_only_v6(bind.v6only)?;
    }
    // Never set on Windows: there the option means something else and would take the port from its holder.
    #[cfg(unix)]
    {
        socket.set_reuse_address(bind.reuseaddr)?;
        if bind.reuseport {
            socket.set_reuse_port(true)?;
        }
    }
    if let Some(device) = &bind.device {
        system::bind_to_device(&socket, device)?;
    }
    socket.bind(&address.into())?;
    system::remember(&socket);
    Ok(socket)
}

fn refusal(error: &io::Error) -> BindError {
    match error.kind() {
        io::ErrorKind::AddrInUse => BindError::InUse,
        io::ErrorKind::AddrNotAvailable => BindError::NotAvailable,
        io::ErrorKind::PermissionDenied => BindError::Access,
        _ => rare_refusal(error),
    }
}

#[cfg(unix)]
fn rare_refusal(error: &io::Error) -> BindError {
    use rustix::io::Errno;
    match Errno::from_io_error(error) {
        Some(Errno::AFNOSUPPORT) => BindError::Family,
        Some(Errno::NODEV) => BindError::NoDevice,
        Some(Errno::INVAL) => BindError::Invalid,
        _ => BindError::Other(error.to_string()),
    }
}

#[cfg(not(unix))]
fn rare_refusal(error: &io::Error) -> BindError {
    /// `WSAEAFNOSUPPORT` of winsock2.h.
    const FAMILY: i32 = 10047;
    if error.raw_os_error() == Some(FAMILY) { BindError::Family } else { BindError::Other(error.to_string()) }
}
