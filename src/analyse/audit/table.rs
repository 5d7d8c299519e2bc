//! The tables of data beside the rules: lines of fields parted by tabs, reviewed as data.

use super::Severity;
use crate::model::{Port, PortRange, Protocol};

const EXPOSED: &str = include_str!("exposed.txt");
const CLEAR_TEXT: &str = include_str!("clear_text.txt");
const PROGRAMS: &str = include_str!("programs.txt");

/// A service that should not be reached from elsewhere.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Service {
    /// Its ports.
    pub ports: PortRange,
    /// Its protocol.
    pub protocol: Protocol,
    /// How bad it is.
    pub severity: Severity,
    /// What it is called.
    pub name: &'static str,
    /// The files that are known to be it on whatever port.
    programs: &'static str,
    /// Why it should not be reached.
    pub why: &'static str,
    /// Who says so.
    pub source: &'static str,
}

impl Service {
    /// Says whether this is one of its ports.
    pub fn has_port(&self, port: Port, protocol: Protocol) -> bool {
        self.protocol == protocol && self.ports.contains(port)
    }

    /// Says whether a file of this name is known to be it.
    pub fn is_program(&self, name: &str) -> bool {
        self.programs.split(',').any(|known| known != "-" && known == name)
    }
}

/// A port, and the programs that are known to serve it.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// The ports.
    pub ports: PortRange,
    /// The protocol.
    pub protocol: Protocol,
    /// What the port is for.
    pub service: &'static str,
    programs: &'static str,
}

impl Known {
    /// Says whether a file of this name is known for it.
    pub fn is_program(&self, name: &str) -> bool {
        self.programs.split(',').any(|known| known == name)
    }
}

/// Data stores, caches, brokers and cluster interfaces without authentication by default.
pub fn exposed() -> impl Iterator<Item = Service> {
    lines(EXPOSED).filter_map(service)
}

/// Services that send passwords or data in the clear, or answer anyone.
pub fn clear_text() -> impl Iterator<Item = Service> {
    lines(CLEAR_TEXT).filter_map(service)
}

/// The programs that are known for well-known ports.
pub fn known() -> impl Iterator<Item = Known> {
    lines(PROGRAMS).filter_map(|line| {
        let [ports, service, programs] = fields(line)?;
        let (ports, protocol) = ports_and_protocol(ports)?;
        Some(Known { ports, protocol, service, programs })
    })
}

/// Says whether a file of this name listens for others by trade, on whatever port: the line `*`.
pub fn is_stand_in(name: &str) -> bool {
    let stand_ins = lines(PROGRAMS).filter_map(fields::<3>).filter(|[ports, ..]| *ports == "*");
    stand_ins.into_iter().any(|[_, _, programs]| programs.split(',').any(|known| known == name))
}

/// The table behind a rule, as it is.
pub fn tables(rule: &str) -> Option<&'static str> {
    match rule {
        "exposed-service" => Some(EXPOSED),
        "clear-text" => Some(CLEAR_TEXT),
        "unknown-program" => Some(PROGRAMS),
        _ => None,
    }
}

fn lines(table: &'static str) -> impl Iterator<Item = &'static str> {
    table.lines().filter(|line| !line.starts_with('#'))
}

fn fields<const N: usize>(line: &'static str) -> Option<[&'static str; N]> {
    line.split('\t').collect::<Vec<_>>().try_into().ok()
}

fn service(line: &'static str) -> Option<Service> {
    let [ports, severity, name, programs, why, source] = fields(line)?;
    let (ports, protocol) = ports_and_protocol(ports)?;
    let severity = Severity::ALL.into_iter().find(|known| known.name() == severity)?;
    Some(Service { ports, protocol, severity, name, programs, why, source })
}

fn ports_and_protocol(text: &str) -> Option<(PortRange, Protocol)> {
    let (ports, protocol) = text.split_once('/')?;
    Some((ports.parse().ok()?, Protocol::ALL.into_iter().find(|known| known.name() == protocol)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_every_table_is_read_and_gives_its_reason() {
        for (table, read) in [(EXPOSED, exposed().count()), (CLEAR_TEXT, clear_text().count())] {
            assert_eq!(lines(table).count(), read);
        }
        assert_eq!(lines(PROGRAMS).count(), known().count() + 1, "all but the line of the stand-ins");
        for service in exposed().chain(clear_text()) {
            assert!(!service.why.is_empty() && !service.source.is_empty(), "{service:?}");
        }
    }

    #[test]
    fn the_tables_are_in_order_and_name_no_port_twice() {
        let in_order = |keys: Vec<(PortRange, Protocol)>| {
            for pair in keys.windows(2) {
                assert!(pair[0].0.last() < pair[1].0.first() || pair[0].1 < pair[1].1, "{pair:?}");
                assert!(pair[0].0.first() <= pair[1].0.first(), "{pair:?}");
            }
        };
        in_order(exposed().map(|service| (service.ports, service.protocol)).collect());
        in_order(clear_text().map(|service| (service.ports, service.protocol)).collect());
        in_order(known().map(|known| (known.ports, known.protocol)).collect());
    }

    #[test]
    fn a_program_is_known_by_its_whole_name() {
        let ssh = known().find(|known| known.service == "ssh").unwrap();
        assert!(ssh.is_program("sshd") && !ssh.is_program("ssh") && !ssh.is_program("sshd2"));
        assert!(is_stand_in("docker-proxy") && !is_stand_in("proxy") && !is_stand_in("-"));
        let redis = exposed().find(|service| service.name == "Redis").unwrap();
        assert!(redis.is_program("redis-server") && !redis.is_program("redis") && !redis.is_program("-"));
    }
}
