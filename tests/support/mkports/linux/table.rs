//! The kernel's own tables, `/proc/net/{tcp,udp,raw}` and their IPv6 forms, of the calling thread's network namespace.
//!
//! Deliberately not `sock_diag`: what the product reads must not be what its tests are built on.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::outcome::{Context, Outcome, wait_until};

pub const ESTABLISHED: u8 = 1;
pub const SYN_RECV: u8 = 3;
pub const FIN_WAIT1: u8 = 4;
pub const FIN_WAIT2: u8 = 5;
pub const TIME_WAIT: u8 = 6;
pub const CLOSE: u8 = 7;

/// One line of a table.
#[derive(Clone, Debug)]
pub struct Line {
    pub local: SocketAddr,
    pub peer: SocketAddr,
    pub state: u8,
    pub inode: u64,
}

/// Reads one table, such as `tcp6`.
pub fn read(name: &str) -> Outcome<Vec<Line>> {
    let text = std::fs::read_to_string(format!("/proc/thread-self/net/{name}")).context(&format!("read {name}"))?;
    Ok(text.lines().skip(1).filter_map(line).collect())
}

/// Waits for a TCP line in this state between these two ends.
pub fn wait_for_tcp(local: SocketAddr, peer: SocketAddr, state: u8) -> Outcome<Line> {
    let table = if local.is_ipv4() { "tcp" } else { "tcp6" };
    wait_until(&format!("{local} to {peer} in {}", state_name(state)), || {
        let found = |line: &Line| line.local == local && line.peer == peer && line.state == state;
        Ok(read(table)?.into_iter().find(found))
    })
}

pub fn state_name(state: u8) -> &'static str {
    match state {
        ESTABLISHED => "ESTABLISHED",
        2 => "SYN_SENT",
        SYN_RECV | 12 => "SYN_RECV",
        FIN_WAIT1 => "FIN_WAIT1",
        FIN_WAIT2 => "FIN_WAIT2",
        TIME_WAIT => "TIME_WAIT",
        CLOSE => "CLOSE",
        8 => "CLOSE_WAIT",
        9 => "LAST_ACK",
        10 => "LISTEN",
        11 => "CLOSING",
        _ => "UNKNOWN",
    }
}

fn line(text: &str) -> Option<Line> {
    let fields: Vec<&str> = text.split_ascii_whitespace().collect();
    Some(Line {
        local: endpoint(fields.get(1)?)?,
        peer: endpoint(fields.get(2)?)?,
        state: u8::from_str_radix(fields.get(3)?, 16).ok()?,
        inode: fields.get(9)?.parse().ok()?,
    })
}

/// `0100007F:1F90`: the address in 32-bit words of the host's byte order, the port as a number.
fn endpoint(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let words: Vec<u32> = address
        .as_bytes()
        .chunks(8)
        .map(|word| u32::from_str_radix(str::from_utf8(word).ok()?, 16).ok())
        .collect::<Option<_>>()?;
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let address = match <[u8; 4]>::try_from(bytes.as_slice()) {
        Ok(four) => IpAddr::V4(Ipv4Addr::from(four)),
        Err(_) => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes.as_slice()).ok()?)),
    };
    Some(SocketAddr::new(address, u16::from_str_radix(port, 16).ok()?))
}
