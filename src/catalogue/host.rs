//! The host's own `/etc/services`.
//!
//! Source: services(5).

use std::io::{self, Read};
use std::path::Path;

use crate::model::{Port, Protocol};
use crate::system::file::open_without_waiting;

/// Larger files are refused: neither a services file nor handwritten settings or rules are that large.
pub const MOST_BYTES: u64 = 4 << 20;

/// One line of the file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HostService {
    /// The port.
    pub port: Port,
    /// The protocol.
    pub protocol: Protocol,
    /// The official name.
    pub name: String,
    /// Other names, parted by blanks.
    pub aliases: String,
}

impl HostService {
    /// Says whether this is its name or one of its aliases, in any case of letters.
    pub fn is_named(&self, name: &str) -> bool {
        let mut names = std::iter::once(self.name.as_str()).chain(self.aliases.split(' '));
        !name.is_empty() && names.any(|own| own.eq_ignore_ascii_case(name))
    }
}

/// Reads a small regular file.
///
/// Reading a FIFO would block, and reading a device might never end.
pub fn read_small_file(path: &Path) -> io::Result<Vec<u8>> {
    let file = open_without_waiting(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.len() > MOST_BYTES {
        let problem = format!("cannot be read: expected a regular file of {} MiB at most", MOST_BYTES >> 20);
        return Err(io::Error::other(problem));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).map_or(0, |length| length + 1));
    file.take(MOST_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Returns the well-formed lines by port and protocol; of several for one port the first, as getservbyport(3) does.
pub fn parse(text: &[u8]) -> Vec<HostService> {
    let mut services: Vec<HostService> =
        text.split(|byte| *byte == b'\n').filter_map(|line| service(std::str::from_utf8(line).ok()?)).collect();
    services.sort_by_key(|service| (service.port, service.protocol));
    services.dedup_by_key(|service| (service.port, service.protocol));
    services
}

fn service(line: &str) -> Option<HostService> {
    let (entry, _) = line.split_once('#').unwrap_or((line, ""));
    let mut words = entry.split_whitespace();
    let name = words.next()?.to_owned();
    let (port, protocol) = words.next()?.split_once('/')?;
    let protocol = Protocol::REGISTERED.into_iter().find(|known| known.name() == protocol)?;
    let port = port.parse().ok()?;
    let aliases = words.collect::<Vec<_>>().join(" ");
    Some(HostService { port, protocol, name, aliases })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(text: &[u8]) -> Vec<(u16, &'static str, String)> {
        parse(text).into_iter().map(|s| (s.port.get(), s.protocol.name(), s.name)).collect()
    }

    #[test]
    fn malformed_lines_are_skipped_and_their_neighbours_kept() {
        let text = b"# comment\n\nhttp 80/tcp www # web\nbad\nbad 80/\nbad /tcp\nbad 70000/tcp\nbad 0/tcp\nbad x/tcp\n\
            bad 5/ddp\n\xff\xfe 6/tcp\n\tdomain\t53/udp\nlast 99/tcp";
        let expected =
            [(53, "udp", "domain".to_owned()), (80, "tcp", "http".to_owned()), (99, "tcp", "last".to_owned())];
        assert_eq!(names(text), expected);
    }

    #[test]
    fn the_first_line_for_a_port_wins() {
        assert_eq!(names(b"a 80/tcp\nb 80/tcp\nc 80/udp\n"), [(80, "tcp", "a".into()), (80, "udp", "c".into())]);
    }

    #[test]
    fn aliases_are_kept() {
        let services = parse(b"www 80/tcp http web\n");
        assert!(services[0].is_named("HTTP") && services[0].is_named("web") && services[0].is_named("www"));
        assert!(!services[0].is_named("") && !services[0].is_named("htt"));
    }

    #[test]
    fn what_is_not_a_small_regular_file_is_not_read() {
        let missing = read_small_file(Path::new("/nonexistent/services")).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        #[cfg(unix)]
        for path in [&*std::env::temp_dir(), Path::new("/dev/zero")] {
            let error = read_small_file(path).unwrap_err().to_string();
            assert_eq!(error, "cannot be read: expected a regular file of 4 MiB at most");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_break_the_parser_or_lose_a_good_line(before in any::<Vec<u8>>(), after in any::<Vec<u8>>()) {
            let text = [&before, &b"\nportscope-test 64999/tcp\n"[..], &after].concat();
            prop_assert!(parse(&text).iter().any(|service| service.port == Port::new(64999)));
        }
    }
}
