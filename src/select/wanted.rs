//! Targets compared with sockets.

use std::collections::BTreeSet;

use super::Pattern;
use super::target::{Address, Ports, Target, TargetKind};
use crate::model::{Port, PortRange, Protocol, Row};

impl Target {
    /// The name of a service that the target has in place of a port.
    pub fn service(&self) -> Option<&str> {
        match &self.kind {
            TargetKind::Ports(Ports::Service(name)) | TargetKind::Endpoint(_, Ports::Service(name)) => Some(name),
            TargetKind::Word(_) | TargetKind::Ports(_) | TargetKind::Endpoint(..) | TargetKind::Address(_) => None,
        }
    }

    /// The ports that it names, each with its protocols: its own one, else the `default` ones. Empty where it is an
    /// address, or no service has the name.
    ///
    /// A service that is registered for none of the default protocols is meant with its own ones.
    pub fn ports(
        &self,
        default: &[Protocol],
        ports_named: impl Fn(&str) -> BTreeSet<(Port, Protocol)>,
    ) -> Vec<(Port, Protocol)> {
        let own = self.protocol.map(|protocol| vec![protocol]);
        let protocols = own.as_deref().unwrap_or(default);
        let range = match &self.kind {
            TargetKind::Ports(Ports::Range(range)) | TargetKind::Endpoint(_, Ports::Range(range)) => *range,
            TargetKind::Ports(Ports::Service(name))
            | TargetKind::Endpoint(_, Ports::Service(name))
            | TargetKind::Word(name) => {
                let all = ports_named(name);
                let meant: Vec<_> = all.iter().copied().filter(|(_, protocol)| protocols.contains(protocol)).collect();
                return if meant.is_empty() && own.is_none() { all.into_iter().collect() } else { meant };
            }
            TargetKind::Address(_) => return Vec::new(),
        };
        let numbers = range.first().get()..=range.last().get();
        numbers.flat_map(|number| protocols.iter().map(move |protocol| (Port::new(number), *protocol))).collect()
    }
}

/// A target with its names looked up: ready to be compared with rows.
#[derive(Clone, Debug)]
pub struct Wanted {
    protocol: Option<Protocol>,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Ports(PortSet),
    Endpoint(Address, PortSet),
    Address(Address),
    /// By the ports of a service, or by process, unit or container.
    Named {
        services: PortSet,
        process: Pattern,
    },
}

/// Ports by number, or those of a service.
#[derive(Clone, Debug)]
enum PortSet {
    Range(PortRange),
    Services(BTreeSet<(Port, Protocol)>),
}

impl PortSet {
    fn new(ports: &Ports, ports_named: impl Fn(&str) -> BTreeSet<(Port, Protocol)>) -> PortSet {
        match ports {
            Ports::Range(range) => PortSet::Range(*range),
            Ports::Service(name) => PortSet::Services(ports_named(name)),
        }
    }

    fn contains(&self, port: Port, protocol: Protocol) -> bool {
        match self {
            PortSet::Range(range) => range.contains(port),
            PortSet::Services(ports) => ports.contains(&(port, protocol)),
        }
    }
}

/// What a word was the name of.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum NameKind {
    /// The service that the port is registered for.
    Service,
    /// A process that holds the socket, or what it runs.
    Process,
    /// The systemd unit.
    Unit,
    /// The container, by id or name.
    Container,
}

impl Wanted {
    /// Looks up what the target's names stand for, with `ports_named`.
    pub fn new(target: &Target, ports_named: impl Fn(&str) -> BTreeSet<(Port, Protocol)>) -> Wanted {
        let kind = match &target.kind {
            TargetKind::Ports(ports) => Kind::Ports(PortSet::new(ports, ports_named)),
            TargetKind::Endpoint(address, ports) => Kind::Endpoint(address.clone(), PortSet::new(ports, ports_named)),
            TargetKind::Address(address) => Kind::Address(address.clone()),
            TargetKind::Word(word) => {
                Kind::Named { services: PortSet::Services(ports_named(word)), process: Pattern::new(word) }
            }
        };
        Wanted { protocol: target.protocol, kind }
    }

    /// The protocol that the target names.
    pub fn protocol(&self) -> Option<Protocol> {
        self.protocol
    }

    /// The address that the target names.
    pub fn address(&self) -> Option<&Address> {
        match &self.kind {
            Kind::Endpoint(address, _) | Kind::Address(address) => Some(address),
            Kind::Ports(_) | Kind::Named { .. } => None,
        }
    }

    /// Says whether the target means sockets of this protocol; one that names none means the default ones.
    pub fn means(&self, protocol: Protocol, default: &[Protocol]) -> bool {
        match self.protocol {
            Some(own) => own == protocol,
            None => default.is_empty() || default.contains(&protocol),
        }
    }

    /// Says whether the row is meant.
    pub fn matches(&self, row: &Row<'_>) -> bool {
        let local = row.socket.local;
        let is_on = |ports: &PortSet| ports.contains(local.port, row.socket.protocol);
        match &self.kind {
            Kind::Ports(ports) => is_on(ports),
            Kind::Endpoint(address, ports) => is_on(ports) && address.matches(row.socket),
            Kind::Address(address) => address.matches(row.socket),
            Kind::Named { services, process } => {
                is_on(services)
                    || process.matches_row(row)
                    || process.matches_runs(row)
                    || process.matches_belonging(row)
            }
        }
    }

    /// Says whether what is sent to the end that is meant goes to the row, which is bound to every address.
    pub fn falls_to(&self, row: &Row<'_>) -> bool {
        match &self.kind {
            Kind::Endpoint(address, ports) => {
                ports.contains(row.socket.local.port, row.socket.protocol) && address.falls_to(row.socket)
            }
            Kind::Address(address) => address.falls_to(row.socket),
            Kind::Ports(_) | Kind::Named { .. } => false,
        }
    }

    /// Says whether the row is meant, or listens on every address and so answers at the one that is meant.
    pub fn finds(&self, row: &Row<'_>) -> bool {
        self.matches(row) || (row.is_listener && self.falls_to(row))
    }

    /// The things of this row that a word is the name of.
    pub fn names_of<'r>(&'r self, row: &'r Row<'_>) -> impl Iterator<Item = NameKind> + 'r {
        let has = move |kind: &NameKind| match (&self.kind, kind) {
            (Kind::Named { services, .. }, NameKind::Service) => {
                services.contains(row.socket.local.port, row.socket.protocol)
            }
            (Kind::Named { process, .. }, NameKind::Process) => process.matches_row(row) || process.matches_runs(row),
            (Kind::Named { process, .. }, NameKind::Unit) => process.matches_unit(row),
            (Kind::Named { process, .. }, NameKind::Container) => process.matches_container(row),
            _ => false,
        };
        [NameKind::Service, NameKind::Process, NameKind::Unit, NameKind::Container].into_iter().filter(has)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Family;
    use crate::{join, testing};

    #[test]
    fn an_interface_narrows_an_address_to_what_is_bound_to_it() {
        let mut snapshot = testing::snapshot();
        let socket = &mut snapshot.sockets[4];
        (socket.local.address, socket.device) = ("fe80::1".parse().unwrap(), Some("v0".into()));
        let listing = join::listing(&snapshot, None);
        for (text, is_meant) in [
            ("fe80::1%v0", true),
            ("[fe80::1%v0]:5432", true),
            ("[fe80::1]:5432", true),
            ("fe80::1%v1", false),
            ("[fe80::1%v0]:5433", false),
            ("[fe80::2%v0]:5432", false),
        ] {
            let wanted = Wanted::new(&text.parse().unwrap(), |_| BTreeSet::new());
            assert_eq!(wanted.matches(&listing.rows[4]), is_meant, "{text}");
        }
    }

    #[test]
    fn a_wildcard_gets_what_comes_for_an_address_of_a_family_that_it_takes() {
        let falls = |address: &str, v6only: bool, device: Option<&str>, target: &str| {
            let mut snapshot = testing::snapshot();
            let socket = &mut snapshot.sockets[2];
            socket.local.address = address.parse().unwrap();
            socket.family = if socket.local.address.is_ipv4() { Family::Ipv4 } else { Family::Ipv6 };
            (socket.v6only, socket.device) = (Some(v6only), device.map(Into::into));
            let listing = join::listing(&snapshot, None);
            Wanted::new(&target.parse().unwrap(), |_| BTreeSet::new()).falls_to(&listing.rows[2])
        };
        for (address, v6only, device, target, expected) in [
            ("0.0.0.0", false, None, "127.0.0.1:443", true),
            ("0.0.0.0", false, None, "127.0.0.1:444", false),
            ("0.0.0.0", false, None, "[::1]:443", false),
            ("::", false, None, "127.0.0.1:443", true),
            ("::", false, None, "[::1]:443", true),
            ("::", true, None, "127.0.0.1:443", false),
            ("::", true, None, "[fe80::1%v0]:443", true),
            ("::", true, Some("v0"), "[fe80::1%v0]:443", true),
            ("::", true, Some("v1"), "[fe80::1%v0]:443", false),
            ("0.0.0.0", false, Some("lo"), "127.0.0.1:443", false),
            ("127.0.0.1", false, None, "127.0.0.1:443", false),
            ("0.0.0.0", false, None, "0.0.0.0:443", false),
            ("0.0.0.0", false, None, "*:443", false),
            ("0.0.0.0", false, None, "443", false),
        ] {
            assert_eq!(falls(address, v6only, device, target), expected, "{address} {v6only} {device:?} {target}");
        }
    }
}
