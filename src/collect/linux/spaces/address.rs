//! The IPv4 and IPv6 addresses of a network namespace, as text below /proc.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

/// The addresses of the namespace whose `net` directory this is. Source: `net/ipv4/fib_trie.c`, `net/ipv6/addrconf.c`.
pub fn addresses(net: &Path) -> BTreeSet<IpAddr> {
    let read = |name: &str| fs::read_to_string(net.join(name)).unwrap_or_default();
    let mut found: BTreeSet<IpAddr> = of_fib_trie(&read("fib_trie")).map(IpAddr::V4).collect();
    found.extend(of_if_inet6(&read("if_inet6")).map(IpAddr::V6));
    found
}

/// A leaf `|-- 172.17.0.2` is an address of this host where `/32 host LOCAL` follows.
fn of_fib_trie(text: &str) -> impl Iterator<Item = Ipv4Addr> {
    let mut leaf = None;
    text.lines().filter_map(move |line| {
        let line = line.trim();
        if let Some(address) = line.strip_prefix("|-- ") {
            leaf = address.parse().ok();
            None
        } else if line == "/32 host LOCAL" {
            leaf
        } else {
            None
        }
    })
}

/// A line is 32 hexadecimal digits, then index, prefix, scope, flags and device.
fn of_if_inet6(text: &str) -> impl Iterator<Item = Ipv6Addr> {
    text.lines().filter_map(|line| u128::from_str_radix(line.get(..32)?, 16).ok().map(Ipv6Addr::from_bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_host_itself_are_read() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     |-- 172.17.0.2\n        \
                    /32 host LOCAL\n     |-- 172.17.255.255\n        /32 link BROADCAST\n";
        assert_eq!(of_fib_trie(trie).collect::<Vec<_>>(), ["172.17.0.2".parse::<Ipv4Addr>().unwrap()]);
        let inet6 = "00000000000000000000000000000001 01 80 10 80       lo\nx\n";
        assert_eq!(of_if_inet6(inet6).collect::<Vec<_>>(), [Ipv6Addr::LOCALHOST]);
    }

    #[test]
    fn the_loopback_address_is_one_of_this_namespace() {
        assert!(addresses("/proc/self/net".as_ref()).contains(&IpAddr::V4(Ipv4Addr::LOCALHOST)));
    }
}
