//! What redirects are among the sockets: where a listener's port leads, and rows for ports that have none.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Redirects;
use super::rules::Redirect;
use crate::model::{Endpoint, Family, Forward, ForwardedBy, Nobody, Owner, Socket, SpaceId, State};

impl Redirects {
    /// Says of sockets that their port leads elsewhere, and adds a row for each redirected port on which none waits.
    ///
    /// `others` are sockets of the space that wait too, and were not asked for.
    pub fn add_to(&self, sockets: &mut Vec<Socket>, others: &[Socket], space: SpaceId) {
        for redirect in &self.found {
            let forward = || Box::new(Forward { by: ForwardedBy::Nat, to: redirect.to, container: None });
            let mut is_listed = others.iter().any(|socket| waits(socket) && redirect.share_of(socket) == Share::All);
            for socket in sockets.iter_mut().filter(|socket| socket.space == space) {
                let share = redirect.share_of(socket);
                // One that is only bound is no port that can be reached.
                is_listed |= share == Share::All && waits(socket);
                if share != Share::None {
                    socket.forward.get_or_insert_with(forward);
                }
            }
            if !is_listed {
                sockets.push(row(redirect, space, forward()));
            }
        }
    }
}

fn waits(socket: &Socket) -> bool {
    matches!(socket.state, Some(State::Listen | State::Unconnected))
}

/// How much of what the rule takes would come to a socket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Share {
    None,
    Some,
    All,
}

impl Redirect {
    fn share_of(&self, socket: &Socket) -> Share {
        let is_open = waits(socket) || socket.state == Some(State::Bound);
        if !is_open || socket.protocol != self.protocol || socket.local.port != self.port {
            return Share::None;
        }
        let reach = socket.reach();
        let own: Option<IpAddr> = match self.family {
            Family::Ipv4 => reach.ipv4.map(IpAddr::V4),
            Family::Ipv6 => reach.ipv6.map(IpAddr::V6),
        };
        match (own, self.address) {
            (None, _) => Share::None,
            (Some(own), _) if own.is_unspecified() => Share::All,
            (Some(own), Some(address)) => {
                if own == address {
                    Share::All
                } else {
                    Share::None
                }
            }
            // What is sent to loopback does not come in, and most rules let it be.
            (Some(own), None) => {
                if own.is_loopback() {
                    Share::None
                } else {
                    Share::Some
                }
            }
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ForwardTarget, Port, PortRange, Protocol};
    use crate::testing;

    #[test]
    fn issue_4_only_a_socket_that_has_all_that_a_rule_takes_stands_for_it() {
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let share = |local: &str, rule_for: Option<&str>| {
            let mut socket = testing::snapshot().sockets[0].clone();
            (socket.local, socket.v6only) = (Endpoint::new(address(local), 80), Some(false));
            (socket.protocol, socket.state) = (Protocol::Tcp, Some(State::Listen));
            let to = ForwardTarget { address: address("10.9.9.1"), ports: Some(PortRange::single(Port::new(80))) };
            let address = rule_for.map(address);
            let (family, port) = (Family::Ipv4, Port::new(80));
            Redirect { protocol: Protocol::Tcp, family, address, port, to }.share_of(&socket)
        };
        for (local, rule_for, expected) in [
            ("0.0.0.0", None, Share::All),
            ("0.0.0.0", Some("10.0.0.1"), Share::All),
            ("::", None, Share::All),
            ("10.0.0.1", Some("10.0.0.1"), Share::All),
            ("::ffff:10.0.0.1", Some("10.0.0.1"), Share::All),
            ("10.0.0.1", None, Share::Some),
            ("10.0.0.1", Some("10.0.0.2"), Share::None),
            ("127.0.0.1", None, Share::None),
            ("fd00::1", None, Share::None),
        ] {
            assert_eq!(share(local, rule_for), expected, "{local} {rule_for:?}");
        }
    }
}
