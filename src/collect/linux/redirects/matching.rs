//! Sets of ports and of addresses, and what two of them have in common.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::model::{Family, Port, PortRange};

/// The addresses from one to another, both included; both of one family.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Network {
    first: IpAddr,
    last: IpAddr,
}

impl Network {
    /// The addresses between these; nothing when they are of two families, or in the wrong order.
    pub fn between(first: IpAddr, last: IpAddr) -> Option<Network> {
        (first.is_ipv4() == last.is_ipv4() && first <= last).then_some(Network { first, last })
    }

    /// Just this address.
    pub const fn single(address: IpAddr) -> Network {
        Network { first: address, last: address }
    }

    /// The addresses that share so many leading bits with this one; nothing when it has not as many.
    pub fn of_prefix(address: IpAddr, bits: u32) -> Option<Network> {
        match address {
            IpAddr::V4(address) => {
                let rest = u32::MAX.checked_shr(bits).unwrap_or(0);
                let (first, last) = (address.to_bits() & !rest, address.to_bits() | rest);
                let network =
                    Network { first: Ipv4Addr::from_bits(first).into(), last: Ipv4Addr::from_bits(last).into() };
                (bits <= 32).then_some(network)
            }
            IpAddr::V6(address) => {
                let rest = u128::MAX.checked_shr(bits).unwrap_or(0);
                let (first, last) = (address.to_bits() & !rest, address.to_bits() | rest);
                let network =
                    Network { first: Ipv6Addr::from_bits(first).into(), last: Ipv6Addr::from_bits(last).into() };
                (bits <= 128).then_some(network)
            }
        }
    }

    fn contains(self, address: IpAddr) -> bool {
        self.first <= address && address <= self.last
    }
}

/// The addresses of this host in these networks; nothing when they cannot be told one by one.
///
/// All of 127.0.0.0/8 is this host, though only some of it is among its addresses.
pub fn addresses_in(networks: &[Network], family: Family, own: &BTreeSet<IpAddr>) -> Option<Vec<IpAddr>> {
    let mut found: Vec<IpAddr> = Vec::new();
    for network in networks.iter().filter(|network| network.first.is_ipv4() == (family == Family::Ipv4)) {
        let before = found.len();
        found.extend(own.iter().copied().filter(|address| network.contains(*address)));
        if network.first.is_loopback() && found.len() == before {
            if network.first != network.last {
                return None;
            }
            found.push(network.first);
        }
    }
    found.sort_unstable();
    found.dedup();
    Some(found)
}

/// Every port.
pub fn every_port() -> Vec<PortRange> {
    between(0, u16::MAX)
}

/// The ports from one to another, both included; none when the second is lower.
pub fn between(first: u16, last: u16) -> Vec<PortRange> {
    PortRange::new(Port::new(first), Port::new(last)).into_iter().collect()
}

/// The ports that both have.
pub fn both(some: &[PortRange], others: &[PortRange]) -> Vec<PortRange> {
    let common = |one: &PortRange, other: &PortRange| {
        PortRange::new(one.first().max(other.first()), one.last().min(other.last()))
    };
    some.iter().flat_map(|one| others.iter().filter_map(move |other| common(one, other))).collect()
}

/// Every port that these are not.
pub fn all_but(ports: &[PortRange]) -> Vec<PortRange> {
    ports.iter().fold(every_port(), |rest, range| {
        let below = range.first().get().checked_sub(1).map(|last| between(0, last));
        let above = range.last().get().checked_add(1).map(|first| between(first, u16::MAX));
        both(&rest, &[below.unwrap_or_default(), above.unwrap_or_default()].concat())
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn own() -> BTreeSet<IpAddr> {
        ["10.0.0.1", "10.0.1.1", "127.0.0.1", "::1", "fd00::1"].map(|address| address.parse().unwrap()).into()
    }

    #[test]
    fn a_network_is_for_the_addresses_of_this_host_that_are_in_it() {
        for (address, bits, expected) in [
            ("10.0.0.0", 24, Some("10.0.0.1")),
            ("10.0.0.0", 16, Some("10.0.0.1 10.0.1.1")),
            ("127.0.0.0", 8, Some("127.0.0.1")),
            ("0.0.0.0", 0, Some("10.0.0.1 10.0.1.1 127.0.0.1")),
            ("192.0.2.0", 24, Some("")),
            ("127.0.0.53", 32, Some("127.0.0.53")),
            ("127.1.0.0", 16, None),
            ("fd00::", 8, Some("")),
        ] {
            let network = Network::of_prefix(address.parse().unwrap(), bits).unwrap();
            let found = addresses_in(&[network], Family::Ipv4, &own());
            let words = |found: Vec<IpAddr>| found.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
            assert_eq!(found.map(words).as_deref(), expected, "{address}/{bits}");
        }
        let six = [Network::of_prefix("fd00::".parse().unwrap(), 8).unwrap()];
        assert_eq!(addresses_in(&six, Family::Ipv6, &own()).unwrap(), ["fd00::1".parse::<IpAddr>().unwrap()]);
        assert_eq!(Network::of_prefix("10.0.0.0".parse().unwrap(), 33), None);
        assert_eq!(Network::between("10.0.0.1".parse().unwrap(), "::1".parse().unwrap()), None);
    }

    proptest! {
        #[test]
        fn ports_are_in_a_set_or_in_the_rest(numbers in prop::collection::vec(any::<(u16, u16)>(), 0..4), port in any::<u16>()) {
            let set: Vec<PortRange> = numbers.iter().flat_map(|(one, other)| between(*one.min(other), *one.max(other))).collect();
            let has = |ranges: &[PortRange]| ranges.iter().any(|range| range.contains(Port::new(port)));
            prop_assert_eq!(has(&set), !has(&all_but(&set)));
            prop_assert!(both(&set, &all_but(&set)).is_empty());
        }
    }
}
