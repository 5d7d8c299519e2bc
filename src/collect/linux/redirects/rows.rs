//! Rows for ports whose connections go elsewhere without any socket on this host.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Redirects;
use crate::model::{
    Endpoint, Family, Forward, ForwardedBy, Lead, Nobody, Owner, Port, Protocol, Redirect, Socket, SpaceId, StandsFor,
    State, any_address,
};

impl Redirects {
    /// Adds a row for each port whose connections are sure to go elsewhere and on which no socket waits for them.
    ///
    /// `others` are sockets of the space that wait too, and were not asked for. With `is_own`, ports of which only this
    /// host's own connections go elsewhere have rows as well.
    pub fn add_to(&self, sockets: &mut Vec<Socket>, others: &[Socket], space: SpaceId, is_own: bool) {
        let mut waiting: std::collections::HashMap<(Protocol, Port), Vec<Socket>> = std::collections::HashMap::new();
        for socket in sockets.iter().filter(|socket| socket.space == space).chain(others) {
            if matches!(socket.state, Some(State::Listen | State::Unconnected)) {
                waiting.entry((socket.protocol, socket.local.port)).or_default().push(socket.clone());
            }
        }
        let mut added = Vec::new();
        for redirect in self.known.found.iter().filter(|found| Protocol::REGISTERED.contains(&found.protocol)) {
            let Some((address, lead)) = self.shown(redirect, is_own) else { continue };
            for port in redirect.listed_ports(&self.named) {
                let serves = |socket: &Socket| {
                    let reach = socket.reach();
                    let own = match redirect.family {
                        Family::Ipv4 => reach.ipv4.map(IpAddr::V4),
                        Family::Ipv6 => reach.ipv6.map(IpAddr::V6),
                    };
                    own.is_some_and(|own| own.is_unspecified() || own == address)
                };
                let is_served = waiting.get(&(redirect.protocol, port)).is_some_and(|all| all.iter().any(serves));
                if !is_served {
                    added.push(row(redirect, address, port, lead, space));
                }
            }
        }
        sockets.extend(added);
    }

    /// The address of the row of a redirect, where it has one.
    fn shown<'a>(&'a self, redirect: &'a Redirect, is_own: bool) -> Option<(IpAddr, &'a Lead)> {
        let reachability = &redirect.reachability;
        let of_others = reachability.outside.certain();
        let of_own = reachability.local.certain().filter(|_| is_own && of_others.is_none());
        let lead = of_others.or(of_own)?;
        let loopback = match redirect.family {
            Family::Ipv4 => IpAddr::V4(Ipv4Addr::LOCALHOST),
            Family::Ipv6 => IpAddr::V6(Ipv6Addr::LOCALHOST),
        };
        match redirect.addresses {
            None if of_others.is_some() => Some((any_address(redirect.family), lead)),
            // What this host sends to itself goes through loopback.
            None => Some((loopback, lead)),
            Some((first, last)) => {
                let general = self.known.found.iter().filter(|other| other.addresses.is_none()).find(|other| {
                    (other.protocol, other.family) == (redirect.protocol, redirect.family)
                        && other.ports.contains(redirect.ports.first())
                });
                // One row for every address says it all.
                let is_said = general.is_some_and(|general| {
                    let of_general =
                        if of_others.is_some() { &general.reachability.outside } else { &general.reachability.local };
                    of_general.certain().is_some_and(|other| other.to == lead.to)
                });
                (!is_said && first == last).then_some((first, lead))
            }
        }
    }
}

fn row(redirect: &Redirect, address: IpAddr, port: Port, lead: &Lead, space: SpaceId) -> Socket {
    let forward =
        Forward { by: ForwardedBy::Nat, to: lead.to.of(port), container: None, service: lead.service.clone() };
    Socket {
        space,
        protocol: redirect.protocol,
        family: redirect.family,
        local: Endpoint { address, port },
        peer: None,
        state: Some(State::Redirect),
        device: None,
        v6only: None,
        waiting: None,
        traffic: None,
        inode: None,
        uid: None,
        cookie: None,
        autobound: None,
        timer: None,
        cgroup: None,
        stands_for: Some(Box::new(StandsFor::Forward(forward))),
        owner: Owner::Nobody(Nobody::Redirected),
    }
}
