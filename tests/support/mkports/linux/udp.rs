//! UDP in all its ways of getting a port, and the two related protocols that common tools forget.

use rustix::net::sockopt::set_ipv6_v6only;
use rustix::net::{SendFlags, SocketType, ipproto, sendto};

use super::keys::Keys;
use super::made::{Made, Row};
use super::net;
use super::outcome::{Context, Outcome};
use super::stage::Stage;

/// `udp4`: one socket on 127.0.0.1; with a `port=` key the port is the test's choice, else the kernel's.
pub fn udp4(keys: &Keys, stage: &mut Stage) -> Outcome<Made> {
    bound_on("127.0.0.1", keys, stage)
}

/// `udp6`: one socket on `::1`.
pub fn udp6(keys: &Keys, stage: &mut Stage) -> Outcome<Made> {
    bound_on("::1", keys, stage)
}

/// `udp-bind0`: asks the kernel for a port by binding to 0, which the kernel remembers.
pub fn bind0(keys: &Keys, stage: &mut Stage) -> Outcome<Made> {
    bound_on("127.0.0.1", keys, stage)
}

/// `udp-dual`: on `::`, for both families.
pub fn dual(keys: &Keys, stage: &mut Stage) -> Outcome<Made> {
    let address = keys.endpoint("::")?;
    let socket = net::socket(address, SocketType::DGRAM, None)?;
    set_ipv6_v6only(&socket, false).or_skip("clear IPV6_V6ONLY")?;
    net::bind_to(&socket, address)?;
    let made = Made::of([Row::of(&socket, "receiver")?]).fact("v6only", false);
    stage.keep(socket);
    Ok(made)
}

/// `udp-connected`: connected to another socket, which is not.
pub fn connected(keys: &Keys, stage: &mut Stage) -> Outcome<Made> {
    let address = keys.endpoint("127.0.0.1")?;
    let receiver = net::udp(address)?;
    let sender = net::socket(address, SocketType::DGRAM, None)?;
    net::connect_to(&sender, net::local(&receiver)?)?;
    let rows = [Row::of(&sender, "sender")?, Row::of(&receiver, "receiver")?];
    stage.keep((sender, receiver));
    Ok(Made::of(rows))
}

/// `udp-autobound`: never bound, got its port by sending.
pub fn autobound(keys: &Keys, stage: &mut Stage) -> Outcome<Made> {
    let address = keys.endpoint("127.0.0.1")?;
    let receiver = net::udp(address)?;
    let sender = net::socket(address, SocketType::DGRAM, None)?;
    sendto(&sender, b"x", SendFlags::empty(), &net::local(&receiver)?).context("send")?;
    let rows = [Row::of(&sender, "sender")?, Row::of(&receiver, "receiver")?];
    stage.keep((sender, receiver));
    Ok(Made::of(rows))
}

/// `udplite`: RFC 3828, in a table of its own.
pub fn udplite(keys: &Keys, stage: &mut Stage) -> Outcome<Made> {
    let address = keys.endpoint("127.0.0.1")?;
    let socket = net::socket(address, SocketType::DGRAM, Some(ipproto::UDPLITE))?;
    net::bind_to(&socket, address)?;
    let made = Made::of([Row::of(&socket, "receiver")?]);
    stage.keep(socket);
    Ok(made)
}

/// `raw-icmp`: what the kernel shows as its port is the protocol's number, 1.
pub fn raw_icmp(_: &Keys, stage: &mut Stage) -> Outcome<Made> {
    let address = "127.0.0.1:0".parse().expect("a constant");
    let socket = net::socket(address, SocketType::RAW, Some(ipproto::ICMP))?;
    net::bind_to(&socket, address)?;
    let mut row = Row::of(&socket, "raw")?;
    row.local.set_port(1);
    stage.keep(socket);
    Ok(Made::of([row]))
}

fn bound_on(address: &str, keys: &Keys, stage: &mut Stage) -> Outcome<Made> {
    let socket = net::udp(keys.endpoint(address)?)?;
    let made = Made::of([Row::of(&socket, "receiver")?]);
    stage.keep(socket);
    Ok(made)
}
