//! Snapshot + catalogue = listing: gives each socket its category, service, exposure and processes.

mod exposure;

pub use exposure::exposure_of;

use std::collections::{BTreeSet, HashMap};

use crate::catalogue::Catalogue;
use crate::model::{
    Category, Holder, Listing, Pid, Port, PortRange, Process, Protocol, Row, SavedService, Service, Snapshot, Socket,
    State,
};

/// Joins every socket of the snapshot. With `catalogue` absent no service names are looked up.
pub fn listing<'a>(snapshot: &'a Snapshot, catalogue: Option<&'a Catalogue>) -> Listing<'a> {
    // Many sockets share a port; each is looked up once.
    let mut services: HashMap<(Port, Protocol), Option<Service<'a>>> = HashMap::new();
    let mut service = |socket: &Socket| {
        let key = (socket.local.port, socket.protocol);
        *services.entry(key).or_insert_with(|| catalogue.and_then(|catalogue| self::service(key, snapshot, catalogue)))
    };
    let rows = snapshot.sockets.iter().filter_map(|socket| row(socket, snapshot, service(socket))).collect();
    Listing { snapshot, rows, filtered: false }
}

/// What the port is assigned to. A saved report has the names of its own host; labels given here come before them.
fn service<'a>(
    (port, protocol): (Port, Protocol),
    snapshot: &'a Snapshot,
    catalogue: &'a Catalogue,
) -> Option<Service<'a>> {
    match &snapshot.saved {
        None => catalogue.service(port, protocol),
        Some(saved) => {
            let of_report = || saved.get(&(port, protocol)).map(SavedService::as_service);
            catalogue.label(port, protocol).or_else(of_report)
        }
    }
}

fn row<'a>(socket: &'a Socket, snapshot: &'a Snapshot, service: Option<Service<'a>>) -> Option<Row<'a>> {
    let space = snapshot.space(socket.space)?;
    let processes = processes(socket.owner.holders(), snapshot);
    // A process may be in another cgroup than the one in which its socket was made (socket activation).
    let of_process = processes.first().and_then(|(_, process)| process.as_ref()?.belonging.as_ref());
    Some(Row {
        socket,
        space,
        category: Category::of(socket.local.port),
        service,
        exposure: exposure_of(socket.local.address, socket.device.as_deref()),
        is_listener: is_listener(socket, space.ephemeral),
        processes,
        user: snapshot.user(socket.uid),
        belonging: of_process.or_else(|| snapshot.cgroups.get(&socket.cgroup?)),
        snapshot,
    })
}

/// TCP LISTEN, a UDP socket that has no peer and whose port the kernel did not choose, or a port that is redirected.
///
/// If the system does not report a UDP socket's state, the socket counts as having no peer. If it does not report what
/// chose the port, a port in the ephemeral range counts as chosen by the kernel.
fn is_listener(socket: &Socket, ephemeral: Option<PortRange>) -> bool {
    match (socket.protocol, socket.state) {
        (_, Some(State::Redirect)) => true,
        (Protocol::Tcp, state) => state == Some(State::Listen),
        (Protocol::Udp | Protocol::UdpLite, None | Some(State::Unconnected)) => {
            let in_range = || ephemeral.is_some_and(|range| range.contains(socket.local.port));
            !socket.autobound.unwrap_or_else(in_range)
        }
        (Protocol::Udp | Protocol::UdpLite, Some(_)) => false,
    }
}

/// The distinct processes among the holders, the main one first.
fn processes<'a>(holders: &[Holder], snapshot: &'a Snapshot) -> Vec<(Pid, Option<&'a Process>)> {
    if let [holder] = holders {
        return vec![(holder.pid, snapshot.processes.get(&holder.pid))];
    }
    let pids: BTreeSet<Pid> = holders.iter().map(|holder| holder.pid).collect();
    let parent_of = |pid: Pid| snapshot.processes.get(&pid).and_then(|process| process.parent);
    // The master of a pre-forked server is the holder that no other holder started. Pid 1 may keep a socket that it
    // passed on (socket activation); then the other holder is the service that people look for.
    let is_foremost = |pid: &Pid| {
        let started_by_other = parent_of(*pid).is_some_and(|parent| parent != Pid(1) && pids.contains(&parent));
        *pid != Pid(1) && !started_by_other
    };
    let foremost = pids.iter().copied().find(is_foremost).or_else(|| pids.first().copied());
    let others = pids.iter().copied().filter(|pid| Some(*pid) != foremost);
    foremost.into_iter().chain(others).map(|pid| (pid, snapshot.processes.get(&pid))).collect()
}
