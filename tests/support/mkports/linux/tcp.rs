//! Listeners and one bound socket: what a server does before anybody connects.

use rustix::net::sockopt::set_ipv6_v6only;

use super::keys::Keys;
use super::made::{Made, Row};
use super::net;
use super::outcome::{Context, Outcome};
use super::stage::Stage;
use super::sys;

/// `tcp4`: one listener on 127.0.0.1.
pub fn tcp4(keys: &Keys, stage: &mut Stage) -> Outcome<Made> {
    listener_on("127.0.0.1", None, keys, stage)
}

/// `tcp6`: one listener on `::1`.
pub fn tcp6(keys: &Keys, stage: &mut Stage) -> Outcome<Made> {
    listener_on("::1", None, keys, stage)
}

/// `tcp-dual`: on `::`, for both families.
pub fn dual(keys: &Keys, stage: &mut Stage) -> Outcome<Made> {
    Ok(listener_on("::", Some(false), keys, stage)?.fact("v6only", false))
}

/// `tcp-v6only`: on `::`, for IPv6 alone.
pub fn v6only(keys: &Keys, stage: &mut Stage) -> Outcome<Made> {
    Ok(listener_on("::", Some(true), keys, stage)?.fact("v6only", true))
}

/// `tcp-mapped`: an IPv6 socket that occupies an IPv4 address.
pub fn mapped(keys: &Keys, stage: &mut Stage) -> Outcome<Made> {
    Ok(listener_on("::ffff:127.0.0.1", Some(false), keys, stage)?.fact("v6only", false))
}

/// `tcp-loopback-any`: another address of 127.0.0.0/8.
pub fn loopback_any(keys: &Keys, stage: &mut Stage) -> Outcome<Made> {
    listener_on("127.0.0.9", None, keys, stage)
}

/// `tcp-autobound`: listens without having bound, so that the kernel chose the port, on the wildcard.
pub fn autobound(keys: &Keys, stage: &mut Stage) -> Outcome<Made> {
    let socket = net::tcp(keys.endpoint("127.0.0.1")?)?;
    net::start_listening(&socket, 16)?;
    let made = Made::of([Row::of(&socket, "listener")?]);
    stage.keep(socket);
    Ok(made)
}

/// `bound`: takes the port without listening.
pub fn bound(keys: &Keys, stage: &mut Stage) -> Outcome<Made> {
    let socket = net::bound(keys.endpoint("127.0.0.1")?)?;
    let made = Made::of([Row::of(&socket, "bound")?]);
    stage.keep(socket);
    Ok(made)
}

/// `device`: bound to an interface, on the wildcard address.
pub fn device(keys: &Keys, stage: &mut Stage) -> Outcome<Made> {
    let device: String = keys.value("dev", "lo".to_owned())?;
    let address = keys.endpoint("0.0.0.0")?;
    let socket = net::tcp(address)?;
    sys::bind_to_device(&socket, &device).or_skip(&format!("bind to the device {device}"))?;
    net::bind_to(&socket, address)?;
    net::start_listening(&socket, 16)?;
    let made = Made::of([Row::of(&socket, "listener")?]).fact("device", device);
    stage.keep(socket);
    Ok(made)
}

fn listener_on(address: &str, v6only: Option<bool>, keys: &Keys, stage: &mut Stage) -> Outcome<Made> {
    let address = keys.endpoint(address)?;
    let backlog = keys.backlog()?;
    let socket = net::tcp(address)?;
    if let Some(v6only) = v6only {
        set_ipv6_v6only(&socket, v6only).or_skip("set IPV6_V6ONLY")?;
    }
    net::bind_to(&socket, address)?;
    net::start_listening(&socket, backlog)?;
    let made = Made::of([Row::of(&socket, "listener")?]).fact("backlog", backlog);
    stage.keep(socket);
    Ok(made)
}
