//! The kernel's own count of its sockets, to know which of them no table lists.
//!
//! Source: `net/core/sock.c`, `proto_seq_show`: `/proc/net/protocols` counts the sockets of one network namespace.

use crate::model::Gap;

/// Protocols whose sockets are listed. The sockets of MPTCP are: each has a subflow, which is a TCP socket with its port.
const LISTED: [&str; 4] = ["TCP", "UDP", "UDP-Lite", "MPTCP"];

/// Protocols that carry no traffic of IP: their sockets take no port of the host.
const OF_OTHER_NETWORKS: [&str; 9] =
    ["UNIX", "UNIX-STREAM", "NETLINK", "PACKET", "XDP", "AF_VSOCK", "ALG", "KEY", "TUN"];

/// Protocols of IP without ports: what they take is a whole protocol, or an identifier.
const PORTLESS: [&str; 2] = ["RAW", "PING"];

/// Reads the name of each protocol and how many sockets it has.
pub fn parse(text: &[u8]) -> Vec<(String, usize)> {
    let text = String::from_utf8_lossy(text);
    let count = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        Some((fields.next()?.to_owned(), fields.nth(1)?.parse().ok()?))
    };
    text.lines().skip(1).filter_map(count).collect()
}

/// Says whether it is UDP-Lite, which the kernel calls `UDP-Lite` and `UDPLITEv6`.
pub fn is_udplite(name: &str) -> bool {
    base(name) == "UDP-Lite"
}

/// The protocol without its family.
fn base(name: &str) -> &str {
    match name.strip_suffix("v6").unwrap_or(name) {
        "UDPLITE" => "UDP-Lite",
        name => name,
    }
}

/// What is open and not listed, by protocol; `label` names the space.
pub fn gaps(counted: &[(String, usize)], label: &str) -> Vec<Gap> {
    let unlisted = counted.iter().filter(|(name, count)| {
        *count > 0 && !LISTED.contains(&base(name)) && !OF_OTHER_NETWORKS.contains(&base(name))
    });
    let gap = |(name, count): &(String, usize)| Gap::UnlistedProtocol {
        space: label.to_owned(),
        protocol: name.clone(),
        count: *count,
        has_ports: !PORTLESS.contains(&base(name)),
    };
    unlisted.map(gap).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_counts_and_no_table_lists_is_a_gap() {
        let text = b"protocol  size sockets  memory press maxhdr  slab module     cl co di\n\
            SCTP      1344      2       0   NI       0   yes  sctp      y  y  y\n\
            RAWv6     1344      1      -1   NI       0   yes  kernel      y  y  y\n\
            UDPLITEv6 1472      3       0   NI       0   yes  kernel      y  y  y\n\
            PING      1016      0      -1   NI       0   yes  kernel      y  y  y\n\
            MPTCP     1936      1      99   no       0   yes  kernel      y  y  y\n\
            UNIX      1152      9      -1   NI       0   yes  kernel      y  n  n\n\
            TCPv6     2432      4      99   no     192   yes  kernel      y  y  y\n";
        let counted = parse(text);
        assert_eq!(counted.len(), 7);
        assert!(counted.iter().any(|(name, count)| is_udplite(name) && *count == 3));
        let gap = |protocol: &str, count, has_ports| {
            let (space, protocol) = ("host".to_owned(), protocol.to_owned());
            Gap::UnlistedProtocol { space, protocol, count, has_ports }
        };
        assert_eq!(gaps(&counted, "host"), [gap("SCTP", 2, true), gap("RAWv6", 1, false)]);
        assert_eq!(parse(b"\xff\n\xff\nX 1\n"), []);
    }
}
