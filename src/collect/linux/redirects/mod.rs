//! Ports that are forwarded without a socket: rules of the firewall that change where a packet goes (DNAT).
//!
//! Containers are published so where no proxy runs, and so are the NodePorts of Kubernetes. Reading the rules takes
//! CAP_NET_ADMIN. That there are none is learnt from the kernel itself; only where there are some are the firewall's
//! own tools asked for them.

mod chains;
mod iptables;
mod nft;
mod rules;

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::collect::runtime;
use crate::model::{
    Endpoint, Family, Forward, ForwardedBy, Gap, Missing, Nobody, Owner, Protocol, Reason, Socket, SpaceId, State,
};
use rules::{Redirect, Rules};

/// What was learnt of redirects.
#[derive(Debug, Default)]
pub struct Redirects {
    found: Vec<Redirect>,
    /// Why some may be missing.
    pub gaps: Vec<Gap>,
}

impl Redirects {
    /// Nothing, because rows of this kind are not asked for.
    pub fn not_wanted() -> Redirects {
        let detail = "ports forwarded without a socket were not looked for, since they were not asked for".to_owned();
        let gap = Gap { missing: Missing::Redirects, reason: Reason::NotLookedFor, count: None, detail };
        Redirects { found: Vec::new(), gaps: vec![gap] }
    }
}

/// Reads the redirects of the namespace that the calling thread is in.
pub fn read(may_ask: bool) -> Redirects {
    let gap = |reason, detail: String| Gap { missing: Missing::Redirects, reason, count: None, detail };
    let nat = match chains::with_nat() {
        Ok(nat) => nat,
        Err(error) => {
            let detail = format!("ports forwarded without a socket were not looked for: {error}");
            let is_refused = error.kind() == std::io::ErrorKind::PermissionDenied;
            let reason = if is_refused { Reason::Refused } else { Reason::Backend };
            return Redirects { gaps: vec![gap(reason, detail)], ..Redirects::default() };
        }
    };
    if !nat.any() {
        return Redirects::default();
    }
    if !may_ask {
        let detail = "there are rules that may forward ports without a socket; nobody was asked for them".to_owned();
        return Redirects { gaps: vec![gap(Reason::NotLookedFor, detail)], ..Redirects::default() };
    }
    let mut redirects = Redirects::default();
    let mut unread = |detail: String| {
        redirects.gaps.push(gap(Reason::Backend, format!("rules that forward ports were not all read: {detail}")));
    };
    let mut found = BTreeSet::new();
    let mut ask = |name: &'static str, arguments: &[&str], parse: &dyn Fn(&[u8]) -> Option<Rules>| {
        let text = runtime::output(name, arguments).map_err(|error| error.to_string())?;
        let rules = parse(&text).ok_or_else(|| format!("the answer of {name} is not understood"))?;
        found.extend(rules.redirects());
        Ok::<Rules, String>(rules)
    };
    if nat.by_nftables {
        match ask("nft", &["-j", "list", "ruleset"], &nft::parse) {
            // Rules that iptables made are written in its own language; nft does not translate all of them.
            Ok(rules) if rules.has_extensions => {
                for (name, family) in [("iptables-save", Family::Ipv4), ("ip6tables-save", Family::Ipv6)] {
                    if let Err(error) = ask(name, &["-t", "nat"], &|text| iptables::parse(text, family)) {
                        unread(error);
                    }
                }
                rules.unread().into_iter().for_each(&mut unread);
            }
            Ok(rules) => rules.unread().into_iter().for_each(&mut unread),
            Err(error) => match ask("iptables-save", &["-t", "nat"], &|text| iptables::parse(text, Family::Ipv4)) {
                Ok(_) => unread(error),
                Err(other) => unread(format!("{error}; {other}")),
            },
        }
    }
    for (is_there, names, family) in [
        (nat.by_older_ipv4, ["iptables-legacy-save", "iptables-save"], Family::Ipv4),
        (nat.by_older_ipv6, ["ip6tables-legacy-save", "ip6tables-save"], Family::Ipv6),
    ] {
        let parse = |text: &[u8]| iptables::parse(text, family);
        if is_there
            && let Err(error) = ask(names[0], &["-t", "nat"], &parse).or_else(|_| ask(names[1], &["-t", "nat"], &parse))
        {
            unread(error);
        }
    }
    redirects.found = found.into_iter().collect();
    redirects
}

impl Redirects {
    /// Says whether there are none.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Says of listeners that their port leads elsewhere, and adds a row for each redirected port that has no socket.
    ///
    /// Rules for addresses that are not this host's concern what passes through it, not its ports.
    pub fn add_to(&self, sockets: &mut Vec<Socket>, space: SpaceId, addresses: &BTreeSet<IpAddr>) {
        for redirect in &self.found {
            let is_loopback = redirect.address.is_some_and(|address| address.is_loopback());
            if redirect.address.is_some_and(|address| !is_loopback && !addresses.contains(&address)) {
                continue;
            }
            let forward = || Box::new(Forward { by: ForwardedBy::Nat, to: redirect.to, container: None });
            let mut has_socket = false;
            for socket in sockets.iter_mut().filter(|socket| socket.space == space && redirect.takes_from(socket)) {
                has_socket = true;
                socket.forward.get_or_insert_with(forward);
            }
            if !has_socket {
                sockets.push(row(redirect, space, forward()));
            }
        }
    }
}

impl Redirect {
    /// Says whether what comes for this socket is what the rule takes.
    fn takes_from(&self, socket: &Socket) -> bool {
        let waits = matches!(socket.state, Some(State::Listen | State::Bound | State::Unconnected));
        let any = socket.local.address.is_unspecified();
        let same_family = any || socket.family == self.family || socket.local.address.to_canonical().is_ipv4();
        waits
            && socket.protocol == self.protocol
            && socket.local.port == self.port
            && same_family
            && (any || self.address.is_none_or(|address| address == socket.local.address.to_canonical()))
    }
}

fn row(redirect: &Redirect, space: SpaceId, forward: Box<Forward>) -> Socket {
    let any = match redirect.family {
        Family::Ipv4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        Family::Ipv6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    Socket {
        space,
        protocol: redirect.protocol,
        family: redirect.family,
        local: Endpoint { address: redirect.address.unwrap_or(any), port: redirect.port },
        peer: None,
        state: Some(State::Redirect),
        device: None,
        v6only: None,
        queue: None,
        inode: None,
        uid: None,
        cookie: None,
        autobound: None,
        time_left: None,
        cgroup: None,
        forward: Some(forward),
        activation: None,
        owner: Owner::Nobody(Nobody::Redirected),
    }
}

/// Reads the name of a protocol with ports.
fn protocol(name: &str) -> Option<Protocol> {
    Protocol::ALL.into_iter().find(|protocol| protocol.name() == name)
}
