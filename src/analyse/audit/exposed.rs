//! Services that should not be reached from elsewhere: stores without authentication, and what speaks in the clear.

use super::fact::{Fact, KnownBy};
use super::holders::{claimed_names, exe, file_name, is_installed};
use super::location::is_elsewhere;
use super::table::{self, Service};
use super::{Finding, Rule, Severity};
use crate::model::{Exposure, Row};

/// Data stores, caches, brokers and interfaces of containers and clusters beyond loopback.
pub fn stores<'a>(rule: &'static Rule, open: &[&'a Row<'a>]) -> Vec<Finding<'a>> {
    beyond_loopback(rule, open, &table::exposed().collect::<Vec<_>>())
}

/// Telnet and its time beyond loopback.
pub fn clear_text<'a>(rule: &'static Rule, open: &[&'a Row<'a>]) -> Vec<Finding<'a>> {
    beyond_loopback(rule, open, &table::clear_text().collect::<Vec<_>>())
}

fn beyond_loopback<'a>(rule: &'static Rule, open: &[&'a Row<'a>], services: &[Service]) -> Vec<Finding<'a>> {
    let reachable = open.iter().filter(|row| row.exposure != Exposure::Loopback);
    reachable
        .filter_map(|row| {
            let socket = row.socket;
            let by_port = services.iter().find(|service| service.has_port(socket.local.port, socket.protocol));
            let by_program = || {
                let names = claimed_names(row);
                let is_it = |service: &&Service| {
                    service.protocol == socket.protocol && names.iter().any(|name| service.is_program(name))
                };
                services.iter().find(is_it)
            };
            let service = by_port.or_else(by_program)?;
            let most = if is_elsewhere(row) { Severity::Medium } else { Severity::Critical };
            let stranger = if by_port.is_some() { known_as_another(row, service) } else { None };
            let most = if stranger.is_some() { most.min(Severity::Low) } else { most };
            let severity = service.severity.min(most);
            let known_by = match (by_port, stranger) {
                (Some(_), Some(stranger)) => KnownBy::PortOfAnother(stranger),
                (Some(_), None) => KnownBy::Port,
                (None, _) => KnownBy::Program,
            };
            let fact = Fact::Service { service: *service, known_by };
            Some(Finding { severity, ..Finding::new(rule, row, fact) })
        })
        .collect()
}

/// The file that holds the port, where it is an installed program that is known for other services: the port's number
/// alone does not make it this one.
fn known_as_another(row: &Row<'_>, service: &Service) -> Option<String> {
    let mut names = Vec::new();
    for (_, process) in &row.processes {
        let process = process.filter(|process| is_installed(process))?;
        let exe = exe(process)?;
        names.push(file_name(&exe).to_owned());
    }
    let is_another = |name: &String| {
        !service.is_program(name)
            && (table::known().any(|known| known.is_program(name))
                || table::exposed().chain(table::clear_text()).any(|other| other.is_program(name)))
    };
    (!names.is_empty() && names.iter().all(is_another)).then(|| names.swap_remove(0))
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use super::super::testing::Host;
    use super::*;
    use crate::model::{Space, SpaceId, SpaceKind};

    #[test]
    fn a_store_beyond_loopback_is_found_and_one_on_loopback_is_not() {
        for service in table::exposed() {
            let port = service.ports.first();
            let add = |host: Host, address: &str| {
                let local = format!("{address}:{port}");
                match service.protocol {
                    crate::model::Protocol::Tcp => host.listens(&local, "/opt/server", 999),
                    crate::model::Protocol::Udp | crate::model::Protocol::UdpLite => {
                        host.receives(&local, "/opt/server", 999)
                    }
                }
            };
            let start = format!("{} {} 0.0.0.0:{port}", service.severity.name(), service.protocol.name());
            add(Host::new(), "0.0.0.0").is_found_by("exposed-service", &start);
            add(Host::new(), "127.0.0.1").is_clean_for("exposed-service");
            add(Host::new(), "[::1]").is_clean_for("exposed-service");
        }
    }

    #[test]
    fn every_number_of_a_range_counts_and_its_neighbours_do_not() {
        for (port, is_found) in [(27016, false), (27017, true), (27018, true), (27019, true), (27020, false)] {
            let host = Host::new().listens(&format!("192.0.2.7:{port}"), "/opt/server", 999);
            assert_eq!(host.found_by("exposed-service").len(), usize::from(is_found), "{port}");
        }
        Host::new().receives("0.0.0.0:6379", "/opt/server", 999).is_clean_for("exposed-service");
    }

    #[test]
    fn a_store_is_known_by_its_program_on_every_port_and_not_by_a_similar_name() {
        let redis = Host::new().listens("10.0.0.5:7001", "/usr/bin/redis-server", 999);
        let told = "7001 is held by /usr/bin/redis-server (999), a Redis program, and open on a private address: ";
        redis.is_found_by("exposed-service", &format!("high tcp 10.0.0.5:7001: {told}"));
        Host::new().listens("10.0.0.5:7001", "/usr/bin/redis-cli", 999).is_clean_for("exposed-service");
        Host::new().listens("127.0.0.1:7001", "/usr/bin/redis-server", 999).is_clean_for("exposed-service");
    }

    #[test]
    fn a_port_without_an_owner_counts_as_well() {
        Host::new().hidden("0.0.0.0:6379").is_found_by("exposed-service", "high tcp 0.0.0.0:6379");
        Host::new().redirect("0.0.0.0:6379").is_found_by("exposed-service", "high tcp 0.0.0.0:6379");
    }

    #[test]
    fn the_label_of_a_cgroup_makes_nothing_less() {
        let id = "0123456789abcdef".repeat(4);
        let container = crate::model::Container::of_id(crate::model::Runtime::Docker, id);
        let belonging = crate::model::Belonging {
            unit: Some("redis.service".to_owned()),
            container: Some(container),
            origin: crate::model::Origin::Kernel,
            ..crate::model::Belonging::default()
        };
        let mut host = Host::new().listens("0.0.0.0:6379", "/usr/bin/redis-server", 999);
        host.last().cgroup = NonZeroU64::new(7);
        host.snapshot.cgroups.insert(7, belonging);
        host.is_found_by("exposed-service", "high tcp 0.0.0.0:6379");
    }

    #[test]
    fn in_a_space_that_only_its_own_networks_reach_it_is_less() {
        let mut host = Host::new().listens("0.0.0.0:2375", "/opt/server", 0);
        let source = host.snapshot.spaces[0].source;
        host.snapshot.spaces.push(Space::new(SpaceId(7), SpaceKind::Container, "web".to_owned(), source));
        host.is_found_by("exposed-service", "critical ");
        host.last().space = SpaceId(7);
        host.is_found_by("exposed-service", "medium ");
    }

    #[test]
    fn legacy_services_are_found_beyond_loopback_only() {
        for (port, severity) in [(23, "high"), (21, "medium"), (513, "high"), (79, "medium"), (6001, "high")] {
            let start = format!("{severity} tcp 0.0.0.0:{port}: {port} is the default ");
            Host::new().listens(&format!("0.0.0.0:{port}"), "/x", 0).is_found_by("clear-text", &start);
            Host::new().listens(&format!("127.0.0.1:{port}"), "/x", 0).is_clean_for("clear-text");
        }
        Host::new()
            .listens("0.0.0.0:2323", "/usr/sbin/in.telnetd", 0)
            .is_found_by("clear-text", "high tcp 0.0.0.0:2323");
        Host::new().listens("0.0.0.0:22", "/usr/sbin/sshd", 0).is_clean_for("clear-text");
        Host::new().listens("0.0.0.0:69", "/x", 0).is_clean_for("clear-text");
        Host::new().receives("0.0.0.0:69", "/x", 0).is_found_by("clear-text", "medium udp");
    }
}
