//! What a socket stands for that does not serve itself: a published port, or a service that systemd starts on demand.

use std::fmt;
use std::net::IpAddr;

use super::{Container, Endpoint, Port, PortRange};

/// What forwards a published port.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ForwardedBy {
    /// A process that listens for a container, such as docker-proxy.
    Proxy,
    /// A rule of the firewall (NAT).
    Nat,
}

impl ForwardedBy {
    /// Both.
    pub const ALL: [ForwardedBy; 2] = [ForwardedBy::Proxy, ForwardedBy::Nat];

    /// The name in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            ForwardedBy::Proxy => "proxy",
            ForwardedBy::Nat => "nat",
        }
    }
}

/// The units for which systemd holds a listener until a client connects.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Activation {
    /// The `.socket` unit.
    pub socket: String,
    /// The unit that it starts.
    pub service: Option<String>,
}

/// The end that answers for a published port.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ForwardTarget {
    /// The address; `0.0.0.0` and `::` stand for this host.
    pub address: IpAddr,
    /// The port: one, or one of several among which the firewall chooses. Absent where it is not known.
    pub ports: Option<PortRange>,
}

impl ForwardTarget {
    /// The port, where it is known to be always the same.
    pub fn port(&self) -> Option<Port> {
        self.ports.filter(|ports| ports.first() == ports.last()).map(PortRange::first)
    }
}

impl From<Endpoint> for ForwardTarget {
    fn from(end: Endpoint) -> ForwardTarget {
        ForwardTarget { address: end.address, ports: Some(PortRange::single(end.port)) }
    }
}

impl fmt::Display for ForwardTarget {
    /// Writes `10.0.0.2:80` and `[fd00::2]:80-90`, and the address alone where the port is not known.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.address, self.ports) {
            (address, None) => address.fmt(f),
            (IpAddr::V4(address), Some(ports)) => write!(f, "{address}:{ports}"),
            (IpAddr::V6(address), Some(ports)) => write!(f, "[{address}]:{ports}"),
        }
    }
}

/// Where a published port leads.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Forward {
    /// What forwards it.
    pub by: ForwardedBy,
    /// The end that answers.
    pub to: ForwardTarget,
    /// The container that has this address.
    pub container: Option<Container>,
    /// The service of Kubernetes that the rules name: `default/web`.
    pub service: Option<String>,
}

/// What a socket is there for that does not serve itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum StandsFor {
    /// A published port: where it leads.
    Forward(Forward),
    /// A listener of process 1: the units of systemd that it is held for.
    Activation(Activation),
}
