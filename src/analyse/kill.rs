//! Who may be stopped for a port to become free, and who not and why.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{
    Endpoint, ForwardedBy, HiddenBecause, Inode, Listing, Managed, Manager, Nobody, Owner, Pid, Process, Protocol, Row,
    State,
};

/// Says whether the socket waits for others. The name of a port means its UDP socket too, even if the kernel chose it.
pub fn waits(row: &Row<'_>) -> bool {
    waits_in(row.socket.protocol, row.socket.state)
}

/// Like the function above, for a socket of which only these facts are known.
pub fn waits_in(protocol: Protocol, state: Option<State>) -> bool {
    match protocol {
        Protocol::Tcp => state == Some(State::Listen),
        Protocol::Udp | Protocol::UdpLite => matches!(state, None | Some(State::Unconnected)),
    }
}

/// Says whether it keeps a server from its port whatever options it has set: for TCP a listener.
///
/// A socket that is bound and does not listen, a connection, or what is left of one is in the way unless it has set
/// SO_REUSEADDR too, which only the kernel knows.
pub fn blocks(protocol: Protocol, state: Option<State>) -> bool {
    match protocol {
        Protocol::Tcp => state == Some(State::Listen),
        Protocol::Udp | Protocol::UdpLite => state != Some(State::Redirect),
    }
}

/// The rows that have the other end of one of these connections: the clients on this host.
pub fn other_ends<'a, 'r>(listing: &'r Listing<'a>, ends: &[&Row<'a>]) -> Vec<&'r Row<'a>> {
    let plain = |end: Endpoint| Endpoint { address: end.address.to_canonical(), ..end };
    let key = |row: &Row<'_>, local: Endpoint, peer: Endpoint| {
        (row.socket.space, row.socket.protocol, plain(local), plain(peer))
    };
    let wanted: BTreeSet<_> = ends
        .iter()
        .filter_map(|row| row.socket.peer.map(|peer| key(row, peer, row.socket.local)))
        .map(|(space, protocol, local, peer)| (space.0, protocol, local, peer))
        .collect();
    let is_other_end = |row: &&Row<'_>| {
        row.socket.peer.is_some_and(|peer| {
            let (space, protocol, local, peer) = key(row, row.socket.local, peer);
            wanted.contains(&(space.0, protocol, local, peer))
        })
    };
    listing.rows.iter().filter(is_other_end).collect()
}

/// What is known of a process that a row does not tell.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Known {
    /// It is held, and nothing speaks against a signal.
    Plain(Option<Managed>),
    /// It may not be signalled.
    Never(Obstacle),
    /// It has ended, or holds none of the sockets any more.
    Gone,
}

/// Why a socket's holders are left alone.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Obstacle {
    /// The first process: the system would end with it.
    Init,
    /// This very process.
    Itself,
    /// What started this process would take it along.
    Ancestor,
    /// A thread of the kernel.
    Kernel,
    /// It lives in a container.
    Elsewhere(Option<Managed>),
    /// It only passes on what comes for a container.
    Proxy(Option<Managed>),
    /// Not a socket but a rule of the firewall.
    Redirect(Option<Managed>),
    /// This user may not signal it.
    Refused,
    /// It cannot be held.
    Unheld(String),
    /// Another listener has the same inode, so the holder may be that one's.
    Ambiguous,
    /// Who holds it cannot be seen.
    Hidden(HiddenBecause),
    /// Nobody holds it.
    Nobody(Nobody),
}

/// A process that would be signalled.
#[derive(Clone, Debug)]
pub struct Victim<'r, 'a> {
    /// Its number.
    pub pid: Pid,
    /// What is known of it.
    pub process: Option<&'a Process>,
    /// What may start it again.
    pub managed: Option<Managed>,
    /// Its sockets that were asked for.
    pub meant: Vec<&'r Row<'a>>,
    /// All the other sockets that it holds.
    pub others: Vec<&'r Row<'a>>,
}

/// A socket whose holders are left alone.
#[derive(Clone, Debug)]
pub struct Refusal<'r, 'a> {
    /// The socket.
    pub row: &'r Row<'a>,
    /// The process that it is because of, where it is one.
    pub holder: Option<(Pid, Option<&'a Process>)>,
    /// Why.
    pub obstacle: Obstacle,
}

/// What would be done.
#[derive(Clone, Debug, Default)]
pub struct Plan<'r, 'a> {
    /// In the order in which they are signalled: the parent before its children.
    pub victims: Vec<Victim<'r, 'a>>,
    /// What is refused.
    pub refusals: Vec<Refusal<'r, 'a>>,
}

/// Decides about the holders of the sockets that were asked for.
///
/// A socket is free only when all of its holders have gone; so one that may not be signalled spares the others too.
pub fn plan<'r, 'a>(listing: &'r Listing<'a>, meant: &[&'r Row<'a>], known: &BTreeMap<Pid, Known>) -> Plan<'r, 'a> {
    let mut plan = Plan::default();
    for row in meant {
        match refusal(listing, row, known) {
            Some((holder, obstacle)) => plan.refusals.push(Refusal { row, holder, obstacle }),
            None => add(&mut plan.victims, row, known),
        }
    }
    for victim in &mut plan.victims {
        let pid = victim.pid;
        let is_its = |row: &&Row<'_>| row.processes.iter().any(|(holder, _)| *holder == pid);
        let is_meant = |row: &Row<'_>| victim.meant.iter().any(|meant| std::ptr::eq(*meant, row));
        victim.others = listing.rows.iter().filter(is_its).filter(|row| !is_meant(row)).collect();
    }
    plan
}

fn add<'r, 'a>(victims: &mut Vec<Victim<'r, 'a>>, row: &'r Row<'a>, known: &BTreeMap<Pid, Known>) {
    for (pid, process) in &row.processes {
        let Some(Known::Plain(managed)) = known.get(pid) else { continue };
        if let Some(victim) = victims.iter_mut().find(|victim| victim.pid == *pid) {
            victim.meant.push(row);
            continue;
        }
        let managed = managed.clone();
        victims.push(Victim { pid: *pid, process: *process, managed, meant: vec![row], others: Vec::new() });
    }
}

type Refused<'a> = (Option<(Pid, Option<&'a Process>)>, Obstacle);

fn refusal<'a>(listing: &Listing<'a>, row: &Row<'a>, known: &BTreeMap<Pid, Known>) -> Option<Refused<'a>> {
    match &row.socket.owner {
        _ if row.socket.state == Some(State::Redirect) => return Some((None, Obstacle::Redirect(forwarded_to(row)))),
        Owner::Nobody(why) => return Some((None, Obstacle::Nobody(*why))),
        Owner::Hidden(because) => return Some((None, Obstacle::Hidden(*because))),
        Owner::Processes(_) => {}
    }
    if row.socket.inode.is_some_and(|inode| is_ambiguous(listing, row, inode)) {
        return Some((None, Obstacle::Ambiguous));
    }
    row.processes.iter().find_map(|(pid, process)| {
        let why = match known.get(pid) {
            Some(Known::Never(why)) => why.clone(),
            _ if is_proxy(row) => Obstacle::Proxy(forwarded_to(row)),
            Some(Known::Plain(_) | Known::Gone) => return None,
            None => Obstacle::Unheld("it has not been looked at".to_owned()),
        };
        Some((Some((*pid, *process)), why))
    })
}

/// Inodes are numbers of 32 bits that start again from 0; MPTCP gives one to sockets of the same port only.
fn is_ambiguous(listing: &Listing<'_>, row: &Row<'_>, inode: Inode) -> bool {
    let same = |other: &&Row<'_>| other.socket.inode == Some(inode) && !std::ptr::eq(*other, row);
    listing.rows.iter().filter(same).any(|other| {
        (other.socket.protocol, other.socket.local.port) != (row.socket.protocol, row.socket.local.port)
            && !other.is_connection()
            && !row.is_connection()
    })
}

/// Says whether the runtime has told that this process holds the port for a container.
fn is_proxy(row: &Row<'_>) -> bool {
    row.socket.forward().is_some_and(|forward| forward.by == ForwardedBy::Proxy)
}

/// The units of systemd that a listener is held for until somebody connects: the one that holds it, the one it starts.
pub fn activated(row: &Row<'_>) -> Vec<Managed> {
    let Some(activation) = row.socket.activation() else { return Vec::new() };
    let names = std::iter::once(&activation.socket).chain(&activation.service);
    names.filter_map(|name| Managed::new(Manager::Systemd, name)).collect()
}

/// The container that a published port leads to.
pub fn forwarded_to(row: &Row<'_>) -> Option<Managed> {
    Managed::container(&row.socket.forward()?.container.as_ref()?.proved()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::join;
    use crate::model::{Snapshot, StandsFor};
    use crate::testing;

    fn known(pids: &[(u32, Known)]) -> BTreeMap<Pid, Known> {
        pids.iter().map(|(pid, known)| (Pid(*pid), known.clone())).collect()
    }

    fn on_port<'r, 'a>(listing: &'r Listing<'a>, port: u16) -> Vec<&'r Row<'a>> {
        listing.rows.iter().filter(|row| row.socket.local.port.get() == port && waits(row)).collect()
    }

    fn whys(snapshot: &Snapshot, port: u16, all: &[(u32, Known)]) -> (Vec<u32>, Vec<Obstacle>) {
        let listing = join::listing(snapshot, None);
        let plan = plan(&listing, &on_port(&listing, port), &known(all));
        let victims = plan.victims.iter().map(|victim| victim.pid.0).collect();
        (victims, plan.refusals.into_iter().map(|refusal| refusal.obstacle).collect())
    }

    const PLAIN: Known = Known::Plain(None);

    #[test]
    fn every_holder_of_a_shared_listener_is_a_victim_the_parent_first() {
        let all = [(811, PLAIN), (812, PLAIN), (813, PLAIN)];
        assert_eq!(whys(&testing::snapshot(), 443, &all), (vec![811, 812, 813], vec![]));
    }

    #[test]
    fn one_holder_that_may_not_be_signalled_spares_the_others() {
        for why in [
            Obstacle::Init,
            Obstacle::Itself,
            Obstacle::Ancestor,
            Obstacle::Kernel,
            Obstacle::Elsewhere(None),
            Obstacle::Refused,
        ] {
            let all = [(811, PLAIN), (812, Known::Never(why.clone())), (813, PLAIN)];
            assert_eq!(whys(&testing::snapshot(), 443, &all), (vec![], vec![why]));
        }
    }

    #[test]
    fn a_holder_that_was_not_looked_at_is_not_signalled() {
        let (victims, refused) = whys(&testing::snapshot(), 443, &[(811, PLAIN), (812, PLAIN)]);
        assert_eq!(victims, [0; 0]);
        assert!(matches!(refused[..], [Obstacle::Unheld(_)]), "{refused:?}");
    }

    #[test]
    fn a_holder_that_has_gone_meanwhile_is_no_victim() {
        let all = [(811, Known::Gone), (812, PLAIN), (813, PLAIN)];
        assert_eq!(whys(&testing::snapshot(), 443, &all), (vec![812, 813], vec![]));
    }

    #[test]
    fn a_hidden_holder_is_said_to_be_hidden() {
        let refused = whys(&testing::snapshot(), 5353, &[]).1;
        assert_eq!(refused, [Obstacle::Hidden(HiddenBecause::Permission)]);
    }

    #[test]
    fn a_process_that_only_has_the_name_of_a_proxy_is_a_process_like_any_other() {
        for name in ["docker-proxy", "containerd-shim", "rootlessport", "conmon"] {
            let mut snapshot = testing::snapshot();
            snapshot.processes.get_mut(&Pid(700)).unwrap().name = Some(name.into());
            assert_eq!(whys(&snapshot, 5432, &[(700, PLAIN)]), (vec![700], vec![]), "{name}");
        }
    }

    #[test]
    fn a_published_port_is_refused_in_favour_of_its_container() {
        use crate::model::{Container, Forward, ForwardedBy};
        let container = Container {
            name: Some("web".to_owned()),
            origin: crate::model::Origin::Manager,
            ..Container::of_id(crate::model::Runtime::Docker, "a".repeat(64))
        };
        let mut snapshot = testing::snapshot();
        let to = snapshot.sockets[3].local.into();
        for (by, state) in [(ForwardedBy::Proxy, State::Listen), (ForwardedBy::Nat, State::Redirect)] {
            let socket = &mut snapshot.sockets[3];
            let forward = Forward { by, to, container: Some(container.clone()), service: None };
            socket.stands_for = Some(Box::new(StandsFor::Forward(forward)));
            socket.state = Some(state);
            let listing = join::listing(&snapshot, None);
            let plan = plan(&listing, &[&listing.rows[3]], &known(&[(700, PLAIN)]));
            let web = Managed::new(Manager::Docker, "web");
            let why = if state == State::Listen { Obstacle::Proxy(web) } else { Obstacle::Redirect(web) };
            assert_eq!((plan.victims.len(), &plan.refusals[0].obstacle), (0, &why));
        }
    }

    #[test]
    fn a_listener_that_shares_its_inode_with_another_port_is_ambiguous() {
        let mut snapshot = testing::snapshot();
        let inode = snapshot.sockets.iter().find(|socket| socket.local.port.get() == 443 && socket.peer.is_none());
        let inode = inode.unwrap().inode;
        for socket in snapshot.sockets.iter_mut().filter(|socket| socket.local.port.get() == 5432) {
            socket.inode = inode;
        }
        assert_eq!(whys(&snapshot, 5432, &[(700, PLAIN)]).1, [Obstacle::Ambiguous, Obstacle::Ambiguous]);
    }

    #[test]
    fn the_other_sockets_of_a_victim_are_told() {
        let snapshot = testing::snapshot();
        let listing = join::listing(&snapshot, None);
        let plan = plan(&listing, &on_port(&listing, 443), &known(&[(811, PLAIN), (812, PLAIN), (813, PLAIN)]));
        let others: Vec<usize> = plan.victims.iter().map(|victim| victim.others.len()).collect();
        assert_eq!(others, [0, 1, 0]);
        assert_eq!(plan.victims[1].others[0].socket.state, Some(State::Established));
    }

    #[test]
    fn the_clients_of_a_port_are_the_other_ends_of_its_connections() {
        let mut snapshot = testing::snapshot();
        let server = snapshot.sockets.iter().find(|socket| socket.state == Some(State::Established)).unwrap().clone();
        let mut client = server.clone();
        let mapped = |end: Endpoint| match end.address {
            std::net::IpAddr::V4(address) => Endpoint { address: address.to_ipv6_mapped().into(), ..end },
            std::net::IpAddr::V6(_) => end,
        };
        client.local = mapped(server.peer.unwrap());
        client.peer = Some(mapped(server.local));
        snapshot.sockets.push(client);
        let listing = join::listing(&snapshot, None);
        let server = listing.rows.iter().find(|row| row.socket.state == Some(State::Established)).unwrap();
        let clients = other_ends(&listing, &[server]);
        assert_eq!(clients.len(), 1);
        assert_eq!(clients[0].socket.local.port.get(), 51034);
    }
}
