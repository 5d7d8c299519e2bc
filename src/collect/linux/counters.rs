//! What the kernel counts in a network namespace.
//!
//! Source: `/proc/net/netstat`, Linux, Documentation/networking/snmp_counter.rst.

use std::fs;
use std::path::Path;

/// Returns how many connections were lost since the namespace began because a listener's accept queue was full.
/// `tables` is the directory of its tables: `/proc/thread-self/net` for that of the calling thread.
pub fn listen_overflows(tables: &Path) -> Option<u64> {
    parse(&fs::read_to_string(tables.join("netstat")).ok()?, "TcpExt:", "ListenOverflows")
}

/// Finds a counter: a line of names is followed by a line of numbers with the same first word.
fn parse(text: &str, group: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(group));
    let (names, numbers) = (lines.next()?, lines.next()?);
    let index = names.split_ascii_whitespace().position(|own| own == name)?;
    numbers.split_ascii_whitespace().nth(index)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_found_by_the_place_of_its_name() {
        let text = "TcpExt: SyncookiesSent ListenOverflows ListenDrops\nTcpExt: 1 22 333\n\
                    IpExt: ListenOverflows\nIpExt: 4\n";
        assert_eq!(parse(text, "TcpExt:", "ListenOverflows"), Some(22));
        assert_eq!(parse(text, "IpExt:", "ListenOverflows"), Some(4));
        assert_eq!(parse(text, "TcpExt:", "Nothing"), None);
        assert_eq!(parse("TcpExt: ListenOverflows\nTcpExt: -1\n", "TcpExt:", "ListenOverflows"), None);
        assert_eq!(parse("TcpExt: ListenOverflows\n", "TcpExt:", "ListenOverflows"), None);
    }
}
