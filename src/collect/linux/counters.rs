//! What the kernel counts in a network namespace.
//!
//! Source: `/proc/net/netstat`, Linux, Documentation/networking/snmp_counter.rst; `/proc/net/sockstat`, proc(5).

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

/// Returns about how many TCP sockets a namespace has: no more than the whole host, nor than it has of any kind. Those whose
/// connection is over are not counted.
pub fn most_tcp_sockets(tables: &Path) -> Option<usize> {
    most_tcp(&fs::read_to_string(tables.join("sockstat")).ok()?)
}

fn most_tcp(text: &str) -> Option<usize> {
    // Each name is followed by its number: `TCP: inuse 5 orphan 0 tw 0 alloc 7 mem 1`.
    let number = |group: &str, name: &str| {
        let words = text.lines().find_map(|line| line.strip_prefix(group))?;
        words.split_ascii_whitespace().skip_while(|word| *word != name).nth(1)?.parse::<usize>().ok()
    };
    Some(number("sockets:", "used")?.min(number("TCP:", "alloc")?))
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

    #[test]
    fn a_namespace_has_no_more_tcp_sockets_than_the_host_and_than_sockets() {
        let text = |used, alloc| {
            format!("sockets: used {used}\nTCP: inuse 5 orphan 0 tw 3 alloc {alloc} mem 1\nUDP: inuse 9\n")
        };
        assert_eq!(most_tcp(&text(7, 90)), Some(7));
        assert_eq!(most_tcp(&text(70, 9)), Some(9));
        for short in ["", "sockets: used 7\n", "sockets: used\nTCP: alloc 1\n", "sockets: used 7\nTCP: inuse 1 alloc\n"]
        {
            assert_eq!(most_tcp(short), None);
        }
        assert!(most_tcp_sockets("/proc/self/net".as_ref()).is_some());
    }
}
