//! What ports are assigned to: look-up by port and by name.

mod bad_ports;
pub mod host;
mod iana;
mod well_known;

pub use bad_ports::is_bad;

use std::collections::BTreeSet;

use crate::model::{Port, PortRange, Protocol, Registered, Service, ServiceSource};

/// A name that the user gave to ports.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Label {
    /// The ports.
    pub ports: PortRange,
    /// The protocol; absent for both.
    pub protocol: Option<Protocol>,
    /// The name.
    pub name: String,
}

impl Label {
    fn covers(&self, port: Port, protocol: Protocol) -> bool {
        self.ports.contains(port) && self.protocol.is_none_or(|own| own == protocol)
    }
}

/// Every source of service names. For a port and protocol the first of these that has a name wins: the user's labels,
/// the well-known table (TCP), the host's services file, IANA.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    labels: Vec<Label>,
    host: Vec<host::HostService>,
}

impl Catalogue {
    /// Joins the built-in tables with the user's labels and the bytes of the host's services file.
    pub fn new(labels: Vec<Label>, host_services: &[u8]) -> Catalogue {
        Catalogue { labels, host: host::parse(host_services) }
    }

    /// What the port is assigned to.
    pub fn service(&self, port: Port, protocol: Protocol) -> Option<Service<'_>> {
        let well_known = || if protocol == Protocol::Tcp { well_known::service(port) } else { None };
        self.label(port, protocol).or_else(well_known).or_else(|| self.registered(port, protocol))
    }

    /// What the user calls the port.
    pub fn label(&self, port: Port, protocol: Protocol) -> Option<Service<'_>> {
        let label = self.labels.iter().find(|label| label.covers(port, protocol))?;
        Some(Service { name: &label.name, description: None, source: ServiceSource::User })
    }

    /// The name in the host's services file, unless that only repeats IANA's.
    fn registered(&self, port: Port, protocol: Protocol) -> Option<Service<'_>> {
        let iana = iana::find(port, protocol).and_then(|entry| entry.service());
        let Ok(index) = self.host.binary_search_by_key(&(port, protocol), |entry| (entry.port, entry.protocol)) else {
            return iana;
        };
        let own = &self.host[index];
        if iana.is_some_and(|iana| iana.name == own.name) {
            return iana;
        }
        // IANA's description belongs to another service.
        Some(Service { name: &own.name, description: None, source: ServiceSource::Host })
    }

    /// Everything that the port is assigned to: each source that has a name for it, the one that wins first. A name that
    /// an earlier source has given already is left out.
    pub fn registrations(&self, port: Port, protocol: Protocol) -> Vec<Service<'_>> {
        let iana = iana::find(port, protocol).and_then(|entry| entry.service());
        let mut found: Vec<Service<'_>> = Vec::new();
        let well_known = if protocol == Protocol::Tcp { well_known::service(port) } else { None };
        for service in [self.service(port, protocol), well_known, self.registered(port, protocol), iana] {
            found.extend(service.filter(|service| found.iter().all(|known| known.name != service.name)));
        }
        found
    }

    /// The status of a port that has no name: `Reserved` or `Unassigned`. Source: IANA.
    pub fn status(port: Port, protocol: Protocol) -> Option<&'static str> {
        iana::find(port, protocol).filter(|entry| entry.name.is_empty()).map(|entry| entry.description)
    }

    /// The representative services, by port.
    pub fn well_known() -> impl Iterator<Item = Registered<'static>> {
        well_known::all().map(|row| Registered { port: row.port, protocol: Protocol::Tcp, service: row.service })
    }

    /// Every port that has a name, by port and protocol.
    pub fn all(&self) -> impl Iterator<Item = Registered<'_>> {
        let iana = iana::all().map(|entry| (entry.port, entry.protocol));
        let well_known = Catalogue::well_known().map(|entry| (entry.port, entry.protocol));
        let host = self.host.iter().map(|entry| (entry.port, entry.protocol));
        let keys: BTreeSet<(Port, Protocol)> = iana.chain(well_known).chain(host).chain(self.labelled()).collect();
        keys.into_iter()
            .filter_map(|(port, protocol)| Some(Registered { port, protocol, service: self.service(port, protocol)? }))
    }

    /// Every name and alias of a service with a port that has it; the well-known ones first.
    pub fn names(&self) -> impl Iterator<Item = (&str, Port, Protocol)> {
        let well_known = well_known::all().flat_map(|row| row.names().map(move |name| (name, row.port, Protocol::Tcp)));
        well_known.chain(self.all().map(|entry| (entry.service.name, entry.port, entry.protocol)))
    }

    /// The ports that have this name, or this alias, in any source and in any case of letters.
    pub fn ports_named(&self, name: &str) -> BTreeSet<(Port, Protocol)> {
        let well_known = well_known::all().filter(|row| row.is_named(name)).map(|row| (row.port, Protocol::Tcp));
        let host = self.host.iter().filter(|entry| entry.is_named(name)).map(|entry| (entry.port, entry.protocol));
        let iana = iana::all().filter(|entry| !name.is_empty() && entry.name.eq_ignore_ascii_case(name));
        let labelled = self.labels.iter().filter(|label| label.name.eq_ignore_ascii_case(name)).flat_map(keys);
        well_known.chain(host).chain(iana.map(|entry| (entry.port, entry.protocol))).chain(labelled).collect()
    }

    /// The entries that a word finds: those with that name or alias; if there are none, those whose name has the word
    /// in it; if there are none either, those whose description has.
    pub fn search(&self, word: &str) -> Vec<Registered<'_>> {
        let named = self.ports_named(word);
        let exact: Vec<Registered<'_>> =
            self.all().filter(|entry| named.contains(&(entry.port, entry.protocol))).collect();
        if !exact.is_empty() {
            return exact;
        }
        let word = word.to_lowercase();
        let contains = |text: &str| text.to_lowercase().contains(&word);
        let similar: Vec<Registered<'_>> = self.all().filter(|entry| contains(entry.service.name)).collect();
        if !similar.is_empty() {
            return similar;
        }
        self.all().filter(|entry| entry.service.description.is_some_and(contains)).collect()
    }

    fn labelled(&self) -> impl Iterator<Item = (Port, Protocol)> {
        self.labels.iter().flat_map(keys)
    }
}

fn keys(label: &Label) -> impl Iterator<Item = (Port, Protocol)> {
    let ports = label.ports.first().get()..=label.ports.last().get();
    ports
        .flat_map(|port| Protocol::REGISTERED.map(|protocol| (Port::new(port), protocol)))
        .filter(|(port, protocol)| label.covers(*port, *protocol))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(catalogue: &Catalogue, port: u16, protocol: Protocol) -> Option<(&str, &'static str)> {
        catalogue.service(Port::new(port), protocol).map(|service| (service.name, service.source.name()))
    }

    #[test]
    fn the_first_source_that_has_a_name_wins() {
        let label = Label { ports: "80".parse().unwrap(), protocol: Some(Protocol::Udp), name: "mine".to_owned() };
        let catalogue = Catalogue::new(
            vec![label],
            b"web 80/tcp\nweb 80/udp\nmyredis 6379/tcp\nredis 6379/udp\nown 64999/udp\npostgresql 5432/tcp\n",
        );
        for (port, protocol, expected) in [
            (80, Protocol::Tcp, Some(("www-http", "well-known"))),
            (80, Protocol::Udp, Some(("mine", "user"))),
            (6379, Protocol::Tcp, Some(("myredis", "host"))),
            (5432, Protocol::Tcp, Some(("postgresql", "iana"))),
            (64999, Protocol::Udp, Some(("own", "host"))),
            (64999, Protocol::Tcp, None),
            (4, Protocol::Tcp, None),
        ] {
            assert_eq!(service(&catalogue, port, protocol), expected, "{port}");
        }
    }

    #[test]
    fn every_source_that_has_a_name_of_its_own_is_told() {
        let label = Label { ports: "6379".parse().unwrap(), protocol: None, name: "cache".to_owned() };
        let catalogue = Catalogue::new(vec![label], b"myredis 6379/tcp\nssh 22/tcp\n");
        let told = |port, protocol| -> Vec<(&str, &str)> {
            let services = catalogue.registrations(Port::new(port), protocol);
            services.iter().map(|service| (service.name, service.source.name())).collect()
        };
        assert_eq!(told(6379, Protocol::Tcp), [("cache", "user"), ("myredis", "host"), ("redis", "iana")]);
        assert_eq!(told(22, Protocol::Tcp), [("ssh", "well-known")]);
        assert_eq!(told(80, Protocol::Tcp), [("www-http", "well-known")]);
        assert_eq!(told(4, Protocol::Tcp), []);
    }

    #[test]
    fn a_name_is_found_in_every_source_and_any_case() {
        let catalogue = Catalogue::new(Vec::new(), b"web 8088/tcp intranet\n");
        let ports = |name: &str| -> Vec<String> {
            catalogue.ports_named(name).iter().map(|(port, protocol)| format!("{port}/{}", protocol.name())).collect()
        };
        assert_eq!(ports("HTTP"), ["80/tcp"]);
        assert_eq!(ports("intranet"), ["8088/tcp"]);
        assert_eq!(ports("syslog"), ["514/udp"]);
        assert!(ports("").is_empty() && ports("no-such-service").is_empty());
    }

    #[test]
    fn a_search_prefers_the_exact_name() {
        let catalogue = Catalogue::default();
        let found = |word| -> Vec<String> {
            catalogue.search(word).iter().map(|entry| format!("{} {}", entry.port, entry.service.name)).collect()
        };
        assert_eq!(found("redis"), ["6379 redis"]);
        assert!(found("postgres").contains(&"5432 postgresql".to_owned()));
        assert!(found("Key-Value cache").contains(&"6379 redis".to_owned()));
        assert!(found("no such thing at all").is_empty());
    }

    #[test]
    fn a_number_without_a_name_has_a_status() {
        assert_eq!(Catalogue::status(Port::new(4), Protocol::Tcp), Some("Unassigned"));
        assert_eq!(Catalogue::status(Port::new(80), Protocol::Tcp), None);
    }
}
