//! Connections in each state that one can be caught in. None needs privilege or a network.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::sockopt::set_socket_recv_buffer_size;
use rustix::net::{SendFlags, Shutdown, send, shutdown};

use super::keys::Keys;
use super::made::{Made, Row};
use super::net;
use super::outcome::{Context, Outcome, wait_until};
use super::stage::Stage;
use super::sys;
use super::table::{self, ESTABLISHED, FIN_WAIT1, FIN_WAIT2, SYN_RECV, TIME_WAIT};

/// `established`: listener, client and accepted socket.
pub fn established(keys: &Keys, stage: &mut Stage) -> Outcome<Made> {
    let listener = net::listener(keys.endpoint("127.0.0.1")?, keys.backlog()?)?;
    let (client, server) = net::pair(&listener)?;
    let rows = [Row::of(&listener, "listener")?, Row::of(&client, "client")?, Row::of(&server, "server")?];
    stage.keep((listener, client, server));
    Ok(Made::of(rows))
}

/// `unaccepted`: `n` clients whose connections wait in the listener's queue, owned by nobody.
pub fn unaccepted(keys: &Keys, stage: &mut Stage) -> Outcome<Made> {
    let count: i32 = keys.value("n", 1)?;
    let listener = net::listener(keys.endpoint("127.0.0.1")?, count.max(16))?;
    let local = net::local(&listener)?;
    let mut rows = vec![Row::of(&listener, "listener")?];
    for _ in 0..count {
        let client = net::client_of(&listener)?;
        let waiting = table::wait_for_tcp(local, net::local(&client)?, ESTABLISHED)?;
        rows.push(Row::of(&client, "client")?);
        rows.push(Row::of_table("tcp", &waiting, "unaccepted"));
        stage.keep(client);
    }
    stage.keep(listener);
    Ok(Made::of(rows).fact("n", count))
}

/// `time-wait`: one end (`side=server|client`) closed first. Nothing else is left on the port of the server.
pub fn time_wait(keys: &Keys, stage: &mut Stage) -> Outcome<Made> {
    let side = keys.choice("side", &["server", "client"])?;
    let listener = net::listener(keys.endpoint("127.0.0.1")?, 16)?;
    let (client, server) = net::pair(&listener)?;
    let (first, second) = if side == "server" { (server, client) } else { (client, server) };
    let (local, peer) = (net::local(&first)?, net::local(&second)?);
    drop(first);
    table::wait_for_tcp(local, peer, FIN_WAIT2)?;
    drop(second);
    let line = table::wait_for_tcp(local, peer, TIME_WAIT)?;
    if side == "client" {
        stage.keep(listener); // else the port that is looked for has nothing on it
    }
    Ok(Made::of([Row::of_table("tcp", &line, "time-wait")]).fact("side", side))
}

/// `fin-wait2`: the server's end is closed, the client does not notice. `by=close` leaves the closed end without an
/// owner, `by=shutdown` with one.
pub fn fin_wait2(keys: &Keys, stage: &mut Stage) -> Outcome<Made> {
    let by = keys.choice("by", &["close", "shutdown"])?;
    let listener = net::listener(keys.endpoint("127.0.0.1")?, 16)?;
    let (client, server) = net::pair(&listener)?;
    let (local, peer) = (net::local(&server)?, net::local(&client)?);
    let half_closed = if by == "close" {
        drop(server);
        Row::of_table("tcp", &table::wait_for_tcp(local, peer, FIN_WAIT2)?, "fin-wait2")
    } else {
        shutdown(&server, Shutdown::Write).context("shut down a connection")?;
        table::wait_for_tcp(local, peer, FIN_WAIT2)?;
        let row = Row::of(&server, "fin-wait2")?;
        stage.keep(server);
        row
    };
    let rows = [half_closed, Row::of(&client, "close-wait")?];
    stage.keep(client);
    Ok(Made::of(rows).fact("by", by))
}

/// `orphan`: the server closed while it had more to send than the client reads: `FIN_WAIT1`, nobody's.
pub fn orphan(keys: &Keys, stage: &mut Stage) -> Outcome<Made> {
    let listener = net::listener(keys.endpoint("127.0.0.1")?, 16)?;
    let address = net::local(&listener)?;
    let client = net::tcp(address)?;
    set_socket_recv_buffer_size(&client, 2048).context("shrink a buffer")?;
    net::connect_to(&client, address)?;
    let server = rustix::net::accept(&listener).context("accept")?;
    fill(&server)?;
    let (local, peer) = (net::local(&server)?, net::local(&client)?);
    drop(server);
    let line = table::wait_for_tcp(local, peer, FIN_WAIT1)?;
    let rows = [Row::of_table("tcp", &line, "orphan"), Row::of(&client, "client")?];
    stage.keep(client);
    Ok(Made::of(rows))
}

fn fill(socket: &OwnedFd) -> Outcome<()> {
    loop {
        match send(socket, &[b'z'; 8192], SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            Err(Errno::AGAIN) => return Ok(()),
            result => result.context("send")?,
        };
    }
}

/// `syn-sent`: a client of a listener whose queue is full, which therefore never answers.
///
/// The kernel gives up after `tcp_syn_retries`, two minutes by default.
pub fn syn_sent(keys: &Keys, stage: &mut Stage) -> Outcome<Made> {
    let listener = net::listener(keys.endpoint("127.0.0.1")?, 0)?;
    let address = net::local(&listener)?;
    let first = net::client_of(&listener)?;
    // Room for one: a backlog of 0 still takes a connection. Only when it has arrived is the queue full.
    table::wait_for_tcp(address, net::local(&first)?, ESTABLISHED)?;
    let second = net::tcp(address)?;
    rustix::io::ioctl_fionbio(&second, true).context("make a socket non-blocking")?;
    match rustix::net::connect(&second, &address) {
        Ok(()) | Err(Errno::INPROGRESS) => {}
        other => other.context("connect")?,
    }
    let mut waiting = Row::of(&second, "syn-sent")?;
    waiting.peer = Some(address); // getpeername(2) knows a peer only once there is a connection
    let rows = [waiting, Row::of(&listener, "listener")?, Row::of(&first, "client")?];
    stage.keep((listener, first, second));
    Ok(Made::of(rows))
}

/// `syn-recv`: a handshake that the server does not finish.
///
/// With `TCP_DEFER_ACCEPT` the kernel ignores the last packet of a handshake until data comes. The row is the same
/// request socket as for a peer that never answered, without a tun device or a raw packet. It lasts about a minute.
pub fn syn_recv(keys: &Keys, stage: &mut Stage) -> Outcome<Made> {
    const SECONDS: i32 = 120;
    let address: SocketAddr = keys.endpoint("127.0.0.1")?;
    let listener = net::bound(address)?;
    sys::set_int_option(&listener, libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, SECONDS).context("defer accepting")?;
    net::start_listening(&listener, 16)?;
    let client = net::client_of(&listener)?;
    let (local, peer) = (net::local(&listener)?, net::local(&client)?);
    let line = wait_until("SYN_RECV", || {
        let lines = table::read(if local.is_ipv4() { "tcp" } else { "tcp6" })?;
        Ok(lines.into_iter().find(|line| line.local == local && line.peer == peer && line.state == SYN_RECV))
    })?;
    let rows = [Row::of_table("tcp", &line, "syn-recv"), Row::of(&listener, "listener")?, Row::of(&client, "client")?];
    stage.keep((listener, client));
    Ok(Made::of(rows))
}
