//! Scenes that need interfaces of their own, each in a child with a network namespace of its own.

use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};
use std::process::{Command, Stdio};

use super::keys::Keys;
use super::made::{Made, Row};
use super::net;
use super::outcome::{Context, Failure, Outcome, wait_until};
use super::spaces::own_network;
use super::stage::Stage;
use super::sys;
use super::table;

/// The name of the second interface.
const DEVICE: &str = "tt0";

/// `two-devices`: the same port of 0.0.0.0 twice, once for `lo` and once for `tt0`.
pub fn two_devices(keys: &Keys, stage: &mut Stage) -> Outcome<Made> {
    let mut address = keys.endpoint("0.0.0.0")?;
    in_own_network(stage, move |stage| {
        add_device()?;
        let mut rows = Vec::new();
        for device in [DEVICE, "lo"] {
            let socket = net::tcp(address)?;
            sys::bind_to_device(&socket, device).or_skip("bind to a device")?;
            net::bind_to(&socket, address)?;
            net::start_listening(&socket, 16)?;
            address = net::local(&socket)?;
            rows.push(Row::of(&socket, &format!("device {device}"))?);
            stage.keep(socket);
        }
        Ok(Made::of(rows).fact("devices", [DEVICE, "lo"]))
    })
}

/// `for-lo`: a listener on 0.0.0.0 that only `lo` reaches, as the kernel tells those who may ask it.
pub fn for_lo(keys: &Keys, stage: &mut Stage) -> Outcome<Made> {
    let address = keys.endpoint("0.0.0.0")?;
    in_own_network(stage, move |stage| {
        let socket = net::tcp(address)?;
        sys::bind_to_device(&socket, "lo").or_skip("bind to a device")?;
        net::bind_to(&socket, address)?;
        net::start_listening(&socket, 16)?;
        let made = Made::of([Row::of(&socket, "device lo")?]);
        stage.keep(socket);
        Ok(made)
    })
}

/// `link-local`: a listener on `fe80::1`, which means nothing without its interface.
pub fn link_local(keys: &Keys, stage: &mut Stage) -> Outcome<Made> {
    let port = keys.value("port", 0)?;
    in_own_network(stage, move |stage| {
        add_device()?;
        ip(&format!("addr add fe80::1/64 dev {DEVICE} nodad"))?;
        let index = std::fs::read_to_string("/proc/thread-self/net/if_inet6").context("read the addresses")?;
        let index = index.lines().find(|line| line.ends_with(DEVICE)).and_then(|line| line.split(' ').nth(1));
        let index = index.and_then(|index| u32::from_str_radix(index, 16).ok());
        let index = index.ok_or_else(|| Failure::Error(format!("{DEVICE} has no IPv6 address")))?;
        let address = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
        let address = SocketAddr::V6(SocketAddrV6::new(address, port, 0, index));
        let listener = net::listener(address, 16)?;
        let made = Made::of([Row::of(&listener, "listener")?]).fact("device", DEVICE).fact("ifindex", index);
        stage.keep(listener);
        Ok(made)
    })
}

/// `vxlan`: a UDP port that the kernel itself has open, for a tunnel.
pub fn vxlan(_: &Keys, stage: &mut Stage) -> Outcome<Made> {
    const PORT: u16 = 4789;
    in_own_network(stage, |_| {
        ip(&format!("link add vx0 type vxlan id 42 dstport {PORT} local 127.0.0.1"))?;
        ip("link set vx0 up")?;
        let line = wait_until("the tunnel's socket", || {
            Ok(table::read("udp")?.into_iter().find(|line| line.local.port() == PORT))
        })?;
        Ok(Made::of([Row::of_table("udp", &line, "vxlan vx0")]).fact("device", "vx0"))
    })
}

/// Runs `make` in a child and adds the facts `child` and `netns`.
pub fn in_own_network(stage: &mut Stage, make: impl FnOnce(&mut Stage) -> Outcome<Made>) -> Outcome<Made> {
    let child = stage.child(|stage| {
        let netns = own_network()?;
        Ok(make(stage)?.fact("netns", netns))
    })?;
    Ok(child.made.fact("child", child.pid))
}

/// Adds the second interface: one end of a pair, or whatever this kernel has.
fn add_device() -> Outcome<()> {
    ip(&format!("link add {DEVICE} type veth peer name tt1"))
        .or_else(|_| ip(&format!("link add {DEVICE} type dummy")))
        .or_else(|_| ip(&format!("tuntap add dev {DEVICE} mode tun")))?;
    ip(&format!("link set {DEVICE} up"))
}

/// Runs ip(8), for what would be pages of netlink.
pub fn ip(arguments: &str) -> Outcome<()> {
    let output = Command::new("ip")
        .args(arguments.split(' '))
        .env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin")
        .stdin(Stdio::null())
        .output()
        .or_skip("run ip(8)")?;
    if output.status.success() {
        return Ok(());
    }
    let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Failure::Skipped(format!("ip {arguments}: {why}")))
}
