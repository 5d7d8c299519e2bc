//! Snapshot + catalogue = listing: gives each socket its category, service, exposure and processes.

mod counterparts;

pub use counterparts::add_counterparts;

use std::sync::Arc;

use crate::catalogue::Catalogue;
use crate::model::{
    Category, Exposure, Listing, Port, PortRange, Protocol, Row, SavedService, Service, Snapshot, Socket, State,
};
use crate::parallel::in_order;

/// Joins every socket of the snapshot. With `catalogue` absent no service names are looked up.
pub fn listing<'a>(snapshot: &'a Snapshot, catalogue: Option<&'a Catalogue>) -> Listing<'a> {
    let services = catalogue.map(|catalogue| Services::of(snapshot, catalogue));
    let service = |socket: &Socket| services.as_ref().and_then(|services| services.of_port(socket));
    let rows = in_order::filter_map(&snapshot.sockets, |socket| row(socket, snapshot, service(socket)));
    Listing { snapshot, rows, filtered: false }
}

/// What the ports of the sockets are assigned to. Many sockets share a port; each is looked up once.
struct Services<'a> {
    /// For each protocol and port the place of its service, counted from 1: in pages of 256 ports, made when one of these is
    /// met. Most hosts have a dozen of them, and to clear memory for all ports takes longer than to join the sockets there.
    places: [Vec<Option<Box<[u32; 256]>>>; Protocol::ALL.len()],
    services: Vec<Option<Arc<Service<'a>>>>,
}

impl<'a> Services<'a> {
    fn of(snapshot: &'a Snapshot, catalogue: &'a Catalogue) -> Services<'a> {
        let mut places = Protocol::ALL.map(|_| vec![None; 256]);
        let mut ports = Vec::new();
        for socket in &snapshot.sockets {
            let [page, line] = page_and_line(socket);
            let page = places[socket.protocol as usize][page].get_or_insert_with(|| Box::new([0; 256]));
            let place = &mut page[line];
            if *place == 0 {
                ports.push((socket.local.port, socket.protocol));
                *place = u32::try_from(ports.len()).unwrap_or_default();
            }
        }
        let named = |port: &(Port, Protocol)| Some(service(*port, snapshot, catalogue).map(Arc::new));
        Services { places, services: in_order::filter_map(&ports, named) }
    }

    fn of_port(&self, socket: &Socket) -> Option<Arc<Service<'a>>> {
        let [page, line] = page_and_line(socket);
        let place = self.places[socket.protocol as usize][page].as_ref()?[line];
        self.services.get((place as usize).checked_sub(1)?)?.clone()
    }
}

/// Where the port of the socket stands: the page, and the place in it.
fn page_and_line(socket: &Socket) -> [usize; 2] {
    socket.local.port.get().to_be_bytes().map(usize::from)
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

fn row<'a>(socket: &'a Socket, snapshot: &'a Snapshot, assigned: Option<Arc<Service<'a>>>) -> Option<Row<'a>> {
    let space = snapshot.space(socket.space)?;
    Some(Row {
        socket,
        space,
        category: Category::of(socket.local.port),
        assigned,
        exposure: Exposure::of(socket.local.address, socket.device.as_deref()),
        is_listener: is_listener(socket, space.ephemeral),
        processes: snapshot.processes_of(socket),
        counterpart: None,
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
