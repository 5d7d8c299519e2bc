//! In which order the ports of a range are looked at.

use crate::model::{Port, PortRange};

/// Where the search begins and how it goes on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Order {
    /// All over the range; one seed always gives the same order, in every version.
    Seeded(u64),
    /// From a port outwards, the nearest first; of two that are as near the higher one.
    Near(Port),
}

impl Order {
    /// The order that a text stands for.
    pub fn of_text(text: &[u8]) -> Order {
        Order::Seeded(seed_of(text))
    }

    /// Every port of the range once, in this order.
    pub fn ports(self, range: PortRange) -> Box<dyn Iterator<Item = Port>> {
        let (first, last) = (u32::from(range.first().get()), u32::from(range.last().get()));
        let port = |number: u32| u16::try_from(number).ok().map(Port::new);
        match self {
            Order::Seeded(seed) => {
                let size = last - first + 1;
                let start = part(seed, size);
                // Every step without a common divisor visits each number once, and each seed has its own, so that two
                // seeds that begin alike part at once.
                let step = (0..size).map(|more| 1 + (part(seed >> 32, size) + more) % size);
                let step = step.into_iter().find(|step| greatest_common_divisor(*step, size) == 1).unwrap_or(1);
                let number = move |count: u32| {
                    (u64::from(start) + u64::from(count) * u64::from(step)) % u64::from(size) + u64::from(first)
                };
                Box::new((0..size).filter_map(move |count| u16::try_from(number(count)).ok().map(Port::new)))
            }
            Order::Near(middle) => {
                let middle = u32::from(middle.get());
                let around = move |distance: u32| {
                    let below = if distance == 0 { None } else { middle.checked_sub(distance) };
                    std::iter::once(middle + distance).chain(below)
                };
                let is_inside = move |number: &u32| (first..=last).contains(number);
                Box::new((0..=u32::from(u16::MAX)).flat_map(around).filter(is_inside).filter_map(port))
            }
        }
    }
}

/// FNV-1a with 64 bits, then the last steps of MurmurHash3, since FNV alone leaves short texts close together.
///
/// It is a promise: the same text gives the same port in every version. So it is written here, where nobody else can
/// change it. Source: RFC 9923 (FNV); `fmix64` of MurmurHash3.
fn seed_of(text: &[u8]) -> u64 {
    let mix = |hash: u64, by: u64| (hash ^ (hash >> 33)).wrapping_mul(by);
    let hash = fnv_1a(text);
    let hash = mix(mix(hash, 0xff51_afd7_ed55_8ccd), 0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

fn fnv_1a(text: &[u8]) -> u64 {
    text.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// The low half of the number, brought below `size`.
fn part(number: u64, size: u32) -> u32 {
    u32::try_from((number & 0xffff_ffff) % u64::from(size)).unwrap_or(0)
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn first(order: Order, range: &str, count: usize) -> Vec<u16> {
        order.ports(range.parse().unwrap()).take(count).map(Port::get).collect()
    }

    #[test]
    fn the_hash_is_the_published_one() {
        // Source: the test vectors of RFC 9923 for FNV-1a with 64 bits.
        for (text, hash) in
            [("", 0xcbf2_9ce4_8422_2325), ("a", 0xaf63_dc4c_8601_ec8c), ("foobar", 0x8594_4171_f739_67e8)]
        {
            assert_eq!(fnv_1a(text.as_bytes()), hash, "{text}");
        }
    }

    #[test]
    fn a_seed_gives_the_same_ports_in_every_version() {
        let order = |text: &str| first(Order::of_text(text.as_bytes()), "1024-49151", 3);
        assert_eq!(order("web"), order("web"));
        assert_ne!(order("web"), order("api"));
        insta::assert_snapshot!(format!("{:?} {:?}", order("web"), order("/home/me/project")), @"[21929, 39392, 8727] [47434, 39187, 30940]");
    }

    #[test]
    fn every_order_visits_each_port_of_the_range_once() {
        for range in ["1-1", "1-2", "1-65535", "8000-8099", "1024-49151", "65000-65535"] {
            let range: PortRange = range.parse().unwrap();
            let size = usize::from(range.last().get() - range.first().get()) + 1;
            let seeds = (0..50).map(|seed| Order::of_text(&[seed]));
            for order in seeds.chain([Order::Near(Port::new(8000)), Order::Near(Port::new(65535))]) {
                let ports: Vec<Port> = order.ports(range).collect();
                assert_eq!(ports.len(), size, "{order:?} {range}");
                assert_eq!(ports.iter().collect::<BTreeSet<_>>().len(), size, "{order:?} {range}");
                assert!(ports.iter().all(|port| range.contains(*port)), "{order:?} {range}");
            }
        }
    }

    #[test]
    fn the_nearest_ports_come_first() {
        assert_eq!(first(Order::Near(Port::new(8000)), "1024-49151", 5), [8000, 8001, 7999, 8002, 7998]);
        assert_eq!(first(Order::Near(Port::new(80)), "8000-8003", 9), [8000, 8001, 8002, 8003]);
    }

    #[test]
    fn seeds_are_spread_over_the_range() {
        let ports: BTreeSet<u16> = (0..200)
            .map(|number| first(Order::of_text(format!("project{number}").as_bytes()), "1024-49151", 1)[0])
            .collect();
        assert!(ports.len() >= 195, "{}", ports.len());
    }
}
