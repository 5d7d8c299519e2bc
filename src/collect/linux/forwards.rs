//! Ports that are published for containers, by a proxy process or by a firewall rule.

use std::collections::BTreeMap;

use super::collection::Collection;
use super::container_names::ContainerNames;
use super::process::arguments_of;
use super::spaces::{self, Namespace};
use crate::collect::CollectError;
use crate::collect::runtime::proxy;
use crate::model::{Forward, ForwardedBy, Need, Pid, Process, Socket, Space, SpaceId, SpaceKind, State};

/// Adds to each published port where it leads, and adds rows for published ports that have no socket.
pub fn add(
    collection: &mut Collection,
    processes: &BTreeMap<Pid, Process>,
    own: &Space,
    found: &[Namespace],
    names: &mut ContainerNames,
    need: &Need,
) -> Result<(), CollectError> {
    let sockets = &mut collection.sockets;
    let is_proxy = |pid: &Pid| {
        processes.get(pid).and_then(|process| process.name.as_deref()).is_some_and(|name| name == proxy::NAME)
    };
    for socket in sockets.iter_mut().filter(|socket| matches!(socket.state, Some(State::Listen | State::Unconnected))) {
        let holder = socket.owner.holders().iter().find(|holder| is_proxy(&holder.pid));
        let argv = holder.and_then(|holder| arguments_of(holder.pid, holder.fd.zip(socket.inode)));
        let target = argv.and_then(|argv| proxy::target(&argv));
        if let Some((_, to)) = target.filter(|(protocol, _)| *protocol == socket.protocol) {
            socket.forward = Some(Box::new(Forward { by: ForwardedBy::Proxy, to: to.into(), container: None }));
        }
    }
    // The space may have been removed after its rules were read.
    let is_listed = |id: SpaceId| collection.spaces.iter().any(|space| space.id == id);
    let of_listed = collection.redirects.iter().filter(|(space, redirects)| !redirects.is_empty() && is_listed(*space));
    for (space, redirects) in of_listed {
        let others = collection.tables.left_out(*space, need)?;
        redirects.add_to(sockets, &others, *space);
    }
    // The addresses in a rule of another space are addresses of that space.
    let is_seen = |socket: &&mut Socket| {
        socket.space == own.id || socket.forward.as_ref().is_some_and(|forward| forward.by == ForwardedBy::Proxy)
    };
    for forward in sockets.iter_mut().filter(is_seen).filter_map(|socket| socket.forward.as_mut()) {
        let address = forward.to.address;
        if address.is_unspecified() || address.is_loopback() {
            continue;
        }
        forward.container = names.at(address).or_else(|| by_space(found, address));
    }
    Ok(())
}

/// Returns the container whose network namespace has the address, for engines that do not report addresses.
fn by_space(found: &[Namespace], address: std::net::IpAddr) -> Option<crate::model::Container> {
    let of_containers = found.iter().filter(|found| found.space.kind == SpaceKind::Container);
    let mut having = of_containers.filter(|found| {
        let pid = found.pids.first();
        pid.is_some_and(|pid| spaces::addresses(format!("/proc/{pid}/net").as_ref()).contains(&address))
    });
    having.next()?.space.containers.first().cloned()
}
