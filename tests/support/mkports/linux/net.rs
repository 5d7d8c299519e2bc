//! Sockets, with exactly the options that are asked for: std would set `SO_REUSEADDR` on its own.

use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};

use rustix::net::{
    self, AddressFamily, Protocol, SocketFlags, SocketType, accept_with, bind, connect, listen, socket_with,
};

use super::outcome::{Context, Outcome};

/// A socket of any kind, not bound yet.
pub fn socket(address: SocketAddr, kind: SocketType, protocol: Option<Protocol>) -> Outcome<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    socket_with(family, kind, SocketFlags::CLOEXEC, protocol).or_skip("make a socket")
}

pub fn tcp(address: SocketAddr) -> Outcome<OwnedFd> {
    socket(address, SocketType::STREAM, None)
}

pub fn bind_to(socket: &OwnedFd, address: SocketAddr) -> Outcome<()> {
    let what = format!("bind to {address}");
    if address.is_ipv6() { bind(socket, &address).or_skip(&what) } else { bind(socket, &address).context(&what) }
}

pub fn bound(address: SocketAddr) -> Outcome<OwnedFd> {
    let socket = tcp(address)?;
    bind_to(&socket, address)?;
    Ok(socket)
}

pub fn start_listening(socket: &OwnedFd, backlog: i32) -> Outcome<()> {
    listen(socket, backlog).context("listen")
}

pub fn listener(address: SocketAddr, backlog: i32) -> Outcome<OwnedFd> {
    let socket = bound(address)?;
    start_listening(&socket, backlog)?;
    Ok(socket)
}

/// A listener that shares its port with others of its kind.
pub fn reuseport_listener(address: SocketAddr) -> Outcome<OwnedFd> {
    let socket = tcp(address)?;
    net::sockopt::set_socket_reuseport(&socket, true).context("set SO_REUSEPORT")?;
    bind_to(&socket, address)?;
    start_listening(&socket, 16)?;
    Ok(socket)
}

pub fn udp(address: SocketAddr) -> Outcome<OwnedFd> {
    let socket = socket(address, SocketType::DGRAM, None)?;
    bind_to(&socket, address)?;
    Ok(socket)
}

pub fn connect_to(socket: &OwnedFd, address: SocketAddr) -> Outcome<()> {
    connect(socket, &address).context(&format!("connect to {address}"))
}

/// A client of a listener, connected as far as it can tell.
pub fn client_of(listener: &OwnedFd) -> Outcome<OwnedFd> {
    let address = local(listener)?;
    let client = tcp(address)?;
    connect_to(&client, address)?;
    Ok(client)
}

/// Both ends of a connection through this listener: the client's, then the server's.
pub fn pair(listener: &OwnedFd) -> Outcome<(OwnedFd, OwnedFd)> {
    let client = client_of(listener)?;
    Ok((client, accept_with(listener, SocketFlags::CLOEXEC).context("accept")?))
}

pub fn local(socket: impl AsFd) -> Outcome<SocketAddr> {
    let address = net::getsockname(socket).context("ask a socket for its address")?;
    SocketAddr::try_from(address).context("read a socket's address")
}

pub fn peer(socket: impl AsFd) -> Option<SocketAddr> {
    let address = net::getpeername(socket).ok()??;
    // A raw socket answers with an address but no port; only a real peer has both.
    SocketAddr::try_from(address).ok().filter(|peer| peer.port() != 0)
}

pub fn inode(socket: impl AsFd) -> Outcome<u64> {
    Ok(rustix::fs::fstat(socket).context("stat a socket")?.st_ino)
}
