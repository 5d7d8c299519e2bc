//! Ports that are published for containers, by a proxy process or by a firewall rule.

use std::collections::BTreeMap;

use super::collection::Collection;
use super::container_names::ContainerNames;
use super::spaces::{self, Namespace};
use crate::collect::CollectError;
use crate::model::{
    Container, Forward, ForwardedBy, Need, Origin, Pid, Process, Socket, Space, SpaceId, SpaceKind, StandsFor, State,
};

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
    for socket in sockets.iter_mut().filter(|socket| matches!(socket.state, Some(State::Listen | State::Unconnected))) {
        if socket.space != own.id {
            continue;
        }
        // Only what could be one is a reason to ask a runtime.
        let mut holders = socket.owner.holders().iter().filter_map(|holder| processes.get(&holder.pid));
        let publisher = holders.find(|process| is_called_publisher(process));
        let user = publisher.and_then(|process| process.uid);
        let confirmed = user.and_then(|user| names.published(socket.protocol, socket.local, user));
        if let Some((container, to)) = confirmed {
            // The engine itself only keeps the port taken; its rules forward what is sent there.
            let is_engine = publisher.and_then(|process| process.name.as_deref()).is_some_and(|name| name == "dockerd");
            let by = if is_engine { ForwardedBy::Nat } else { ForwardedBy::Proxy };
            let forward = Forward { by, to, container: Some(container), service: None };
            socket.stands_for = Some(Box::new(StandsFor::Forward(forward)));
        }
    }
    // The space may have been removed after its rules were read.
    let is_listed = |id: SpaceId| collection.spaces.iter().any(|space| space.id == id);
    let of_listed =
        collection.redirects.iter().filter(|(space, redirects)| !redirects.known.found.is_empty() && is_listed(*space));
    for (space, redirects) in of_listed {
        let others = collection.tables.left_out(*space, need)?;
        redirects.add_to(sockets, &others, *space, *space == own.id);
    }
    // The addresses in a rule of another space are addresses of that space.
    let is_seen = |socket: &&mut Socket| socket.space == own.id;
    let forwards = sockets.iter_mut().filter(is_seen).filter_map(Socket::forward_mut);
    for forward in forwards.filter(|forward| forward.container.is_none()) {
        let address = forward.to.address;
        if address.is_unspecified() || address.is_loopback() {
            continue;
        }
        forward.container = names.at(address).or_else(|| by_space(found, address));
    }
    Ok(())
}

/// What runtimes start to listen for containers, or listen with themselves. Whatever is called so may be one.
const PUBLISHERS: [&str; 9] = [
    "docker-proxy",
    "dockerd",
    "conmon",
    "podman",
    "rootlessport",
    "rootlesskit",
    "slirp4netns",
    "pasta",
    "containerd-shim",
];

fn is_called_publisher(process: &Process) -> bool {
    let name = process.name.as_deref().and_then(std::ffi::OsStr::to_str);
    name.is_some_and(|name| PUBLISHERS.iter().any(|known| name.starts_with(known)))
}

/// The container whose namespace has the address, where its runtime does not say: shown, and stopped by nobody.
fn by_space(found: &[Namespace], address: std::net::IpAddr) -> Option<Container> {
    let of_containers = found.iter().filter(|found| found.space.kind == SpaceKind::Container);
    let mut having = of_containers.filter(|found| {
        let pid = found.pids.first();
        pid.is_some_and(|pid| spaces::addresses(format!("/proc/{pid}/net").as_ref()).contains(&address))
    });
    // Any process can give the address to a namespace of its own.
    Some(Container { origin: Origin::Claim, ..having.next()?.space.containers.first()?.clone() })
}
