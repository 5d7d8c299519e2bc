//! The network namespace of this process as a port space.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::model::{Port, PortRange, Space, SpaceId, SpaceKind};

/// Returns the port space that this process lives in.
pub fn current() -> Space {
    let id = fs::metadata("/proc/self/ns/net").map_or(0, |metadata| metadata.ino());
    let (kind, label) = if is_of_init() {
        (SpaceKind::Host, "host".to_owned())
    } else {
        (SpaceKind::Netns, name_of(id).unwrap_or_else(|| "netns".to_owned()))
    };
    Space { id: SpaceId(id), kind, label, ephemeral: ephemeral_range() }
}

/// Says whether process 1 lives in the same network namespace.
///
/// The namespace link of process 1 is for root only. The inode of a file below its `net` directory tells namespaces
/// apart as well and is readable by all.
fn is_of_init() -> bool {
    let inode = |path: &str| fs::metadata(path).map(|metadata| metadata.ino()).ok();
    let own = inode("/proc/self/net/protocols");
    own.is_some() && own == inode("/proc/1/net/protocols")
}

/// The name under which `ip netns` keeps the namespace.
fn name_of(id: u64) -> Option<String> {
    let entries = fs::read_dir("/run/netns").ok()?;
    let is_it = |path: &Path| fs::metadata(path).is_ok_and(|metadata| metadata.ino() == id);
    let entry = entries.flatten().find(|entry| is_it(&entry.path()))?;
    Some(entry.file_name().to_string_lossy().into_owned())
}

/// Returns the ports that this namespace hands out for outgoing connections.
///
/// Source: Linux, Documentation/networking/ip-sysctl.rst, `ip_local_port_range`.
fn ephemeral_range() -> Option<PortRange> {
    parse_range(&fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?)
}

fn parse_range(text: &str) -> Option<PortRange> {
    let mut numbers = text.split_whitespace().map(str::parse);
    let (first, last) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    PortRange::new(Port::new(first), Port::new(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ephemeral_range_is_two_numbers_parted_by_blanks() {
        assert_eq!(parse_range("32768\t60999\n").map(|range| range.to_string()).as_deref(), Some("32768-60999"));
        for text in ["", "32768", "60999 32768", "1 99999", "a b"] {
            assert_eq!(parse_range(text), None, "{text}");
        }
    }
}
