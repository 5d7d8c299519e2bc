//! Which ports are safe for your own service, and why the others are not.

use std::collections::{BTreeMap, HashMap};

use std::path::Path;

use super::order::Order;
use crate::catalogue::{self, Catalogue};
use crate::model::{
    BindError, ForwardTarget, Lead, Listing, Nobody, Owner, Port, PortRange, Process, Protocol, Redirects, Row,
    Service, Space, State, Uid,
};

/// Where the system does not tell its ephemeral range, every range that a system has by default counts as one: from
/// 32768 (Linux) to the end of the dynamic category.
const ASSUMED_EPHEMERAL: (u16, u16) = (32768, 65535);

/// Where the system does not tell which ports need a privilege, Unix's old rule counts.
const ASSUMED_UNPRIVILEGED: u32 = 1024;

/// Why a port is not offered.
#[derive(Clone, Debug)]
pub enum Reason<'a> {
    /// It is outside of the range that is asked for.
    Outside(PortRange),
    /// It needs a privilege: it is below this one.
    Privileged(u32),
    /// It is registered for something else.
    Registered(Protocol, Service<'a>),
    /// IANA keeps it back.
    KeptBack(Protocol),
    /// The kernel gives it to clients.
    Ephemeral(PortRange),
    /// It is in the list of ports that the administrator keeps (`ip_local_reserved_ports`).
    Reserved,
    /// Browsers refuse it.
    Bad,
    /// A rule of the firewall takes what comes for it, at least from some senders.
    Published(ForwardTarget),
    /// A socket has it, in any state.
    Used(&'a Row<'a>),
    /// The kernel refuses it.
    Refused(Protocol, BindError),
}

impl Reason<'_> {
    /// The name in JSON.
    pub const fn name(&self) -> &'static str {
        match self {
            Reason::Outside(_) => "outside",
            Reason::Privileged(_) => "privileged",
            Reason::Registered(..) => "registered",
            Reason::KeptBack(_) => "kept-back",
            Reason::Ephemeral(_) => "ephemeral",
            Reason::Reserved => "reserved",
            Reason::Bad => "bad-port",
            Reason::Published(_) => "published",
            Reason::Used(_) => "used",
            Reason::Refused(..) => "refused",
        }
    }
}

/// What is offered although it speaks against a port.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Allowed {
    /// That it is registered for something else.
    pub registered: bool,
    /// That the kernel may give it to a client.
    pub ephemeral: bool,
}

/// A folder whose own server keeps its port: the one of this user that works there or below.
#[derive(Clone, Copy, Debug)]
pub struct OwnServer<'a> {
    /// The folder, by its full name.
    pub folder: &'a Path,
    /// The user.
    pub uid: Uid,
}

impl OwnServer<'_> {
    fn is(&self, process: &Process) -> bool {
        process.uid == Some(self.uid) && process.cwd.as_deref().is_some_and(|cwd| cwd.starts_with(self.folder))
    }

    /// Says whether every process that holds the socket is such a server.
    fn holds(&self, row: &Row<'_>) -> bool {
        !row.processes.is_empty()
            && row.processes.iter().all(|(_, process)| process.is_some_and(|known| self.is(known)))
    }
}

/// What decides which ports are offered.
pub struct Rules<'a> {
    range: PortRange,
    allowed: Allowed,
    own: Option<OwnServer<'a>>,
    catalogue: &'a Catalogue,
    space: &'a Space,
    used: HashMap<Port, Vec<&'a Row<'a>>>,
    /// Where connections go instead, by port; the list of ports is empty where none do.
    redirected: Vec<Option<&'a Lead>>,
}

impl<'a> Rules<'a> {
    /// Joins what is asked for with what is known of a port space. Sockets that may be the probe of another run at this
    /// moment do not count: whether they take a port is for the kernel to say.
    pub fn new(
        range: PortRange,
        allowed: Allowed,
        own: Option<OwnServer<'a>>,
        catalogue: &'a Catalogue,
        space: &'a Space,
        listing: &'a Listing<'a>,
    ) -> Rules<'a> {
        let mut used: HashMap<Port, Vec<&Row<'_>>> = HashMap::new();
        for row in listing.rows.iter().filter(|row| row.socket.space == space.id && !may_be_a_probe(row)) {
            used.entry(row.socket.local.port).or_default().push(row);
        }
        let redirected = listing.snapshot.redirects_of(space.id).map(redirected).unwrap_or_default();
        Rules { range, allowed, own, catalogue, space, used, redirected }
    }

    /// Why the port is not offered; empty when it is, as far as can be said without asking the kernel.
    pub fn reasons(&self, port: Port) -> Vec<Reason<'a>> {
        let mut reasons = Vec::new();
        if !self.range.contains(port) {
            reasons.push(Reason::Outside(self.range));
        }
        let is_allowed = |reason: &Reason<'_>| match reason {
            Reason::Registered(..) | Reason::KeptBack(_) => self.allowed.registered,
            Reason::Ephemeral(_) => self.allowed.ephemeral,
            _ => false,
        };
        reasons.extend(against(port, self.catalogue, self.space).into_iter().filter(|reason| !is_allowed(reason)));
        let lead = self.redirected.get(usize::from(port.get())).copied().flatten();
        reasons.extend(lead.map(|lead| Reason::Published(lead.to.of(port))));
        if self.own_server(port).is_none() {
            let sockets = self.used.get(&port).into_iter().flatten();
            let is_socket = |row: &&&'a Row<'a>| row.socket.state != Some(State::Redirect);
            reasons.extend(sockets.filter(is_socket).map(|row| Reason::Used(row)));
        }
        reasons
    }

    /// The listener of the folder's own server, where nothing else is on the port but its connections.
    pub fn own_server(&self, port: Port) -> Option<&'a Row<'a>> {
        let own = self.own?;
        let rows = self.used.get(&port)?;
        let is_left = |row: &Row<'_>| {
            let over = matches!(row.socket.owner, Owner::Nobody(why) if why != Nobody::Redirected);
            over && row.is_connection()
        };
        let is_its = |row: &&'a Row<'a>| own.holds(row) || is_left(row);
        rows.iter().copied().find(|row| row.is_listener && own.holds(row)).filter(|_| rows.iter().all(is_its))
    }

    /// How many ports of the range there are not for each first reason; those that the kernel refused are not counted.
    pub fn census(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        for number in self.range.first().get()..=self.range.last().get() {
            if let Some(reason) = self.reasons(Port::new(number)).first() {
                *counts.entry(reason.name()).or_default() += 1;
            }
        }
        counts
    }

    /// Chooses ports in that order, each proved; fewer than `count` when there are no more.
    ///
    /// `prove` is given ports that are to be had together, one or a block, and says whether the kernel gives them.
    pub fn pick(
        &self,
        order: Order,
        count: u16,
        contiguous: bool,
        prove: &mut dyn FnMut(&[Port]) -> bool,
    ) -> Vec<Port> {
        let is_offered = |port: &Port| self.reasons(*port).is_empty();
        if !contiguous {
            let is_had = |port: &Port| self.own_server(*port).is_some() || prove(&[*port]);
            let mut proved = order.ports(self.range).filter(is_offered).filter(is_had);
            return proved.by_ref().take(usize::from(count)).collect();
        }
        let block = |first: Port| -> Option<Vec<Port>> {
            let last = first.get().checked_add(count - 1)?;
            let ports: Vec<Port> = (first.get()..=last).map(Port::new).collect();
            ports.iter().all(is_offered).then_some(ports)
        };
        let mut is_had = |ports: &Vec<Port>| {
            let others: Vec<Port> = ports.iter().copied().filter(|port| self.own_server(*port).is_none()).collect();
            others.is_empty() || prove(&others)
        };
        order.ports(self.range).filter_map(block).find(|ports| is_had(ports)).unwrap_or_default()
    }
}

/// The ports from which rules lead away, by their numbers: all connections or those of some senders.
fn redirected(redirects: &Redirects) -> Vec<Option<&Lead>> {
    let mut by_port = Vec::new();
    for redirect in &redirects.found {
        let reachability = &redirect.reachability;
        let Some(lead) = reachability.outside.lead().or_else(|| reachability.local.lead()) else { continue };
        by_port.resize(usize::from(u16::MAX) + 1, None);
        for port in redirect.ports.first().get()..=redirect.ports.last().get() {
            by_port[usize::from(port)].get_or_insert(lead);
        }
    }
    by_port
}

/// What speaks against the number itself in the space, whether or not somebody has it: what `free` and `info` go by.
pub fn against<'a>(port: Port, catalogue: &'a Catalogue, space: &Space) -> Vec<Reason<'a>> {
    let mut reasons = Vec::new();
    let start = space.unprivileged_start.unwrap_or(ASSUMED_UNPRIVILEGED);
    if u32::from(port.get()) < start {
        reasons.push(Reason::Privileged(start));
    }
    let registration = |protocol| match catalogue.service(port, protocol) {
        Some(service) => Some(Reason::Registered(protocol, service)),
        None if Catalogue::status(port, protocol) == Some("Reserved") => Some(Reason::KeptBack(protocol)),
        None => None,
    };
    reasons.extend(Protocol::REGISTERED.into_iter().filter_map(registration));
    if space.reserved.iter().flatten().any(|range| range.contains(port)) {
        // Such a number is handed out to no client.
        reasons.push(Reason::Reserved);
    } else if ephemeral(space).contains(port) {
        reasons.push(Reason::Ephemeral(ephemeral(space)));
    }
    if catalogue::is_bad(port) {
        reasons.push(Reason::Bad);
    }
    reasons
}

fn ephemeral(space: &Space) -> PortRange {
    let (first, last) = ASSUMED_EPHEMERAL;
    let assumed = || PortRange::new(Port::new(first), Port::new(last)).unwrap_or(PortRange::single(Port::new(last)));
    space.ephemeral.unwrap_or_else(assumed)
}

/// Says whether the socket can be one that another run of portscope binds for a moment: it has no peer and no queue,
/// and its holder is portscope or was gone before it could be seen.
fn may_be_a_probe(row: &Row<'_>) -> bool {
    let is_idle = matches!(
        (row.socket.protocol, row.socket.state),
        (Protocol::Tcp, Some(State::Bound)) | (Protocol::Udp, Some(State::Unconnected))
    );
    let is_portscope = |name: &std::ffi::OsStr| name == "portscope";
    is_idle
        && row
            .processes
            .iter()
            .all(|(_, process)| process.is_none_or(|process| process.name.as_deref().is_some_and(is_portscope)))
}
