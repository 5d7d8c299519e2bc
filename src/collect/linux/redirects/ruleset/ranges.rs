//! Sets of numbers as sorted ranges: ports, addresses, marks, user ids.

use std::net::IpAddr;

/// Numbers as disjoint closed ranges in ascending order. Addresses count by their bits, IPv4 in the lowest 32.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Ranges(Vec<(u128, u128)>);

impl Ranges {
    /// The numbers from `first` to `last`, both included; none where `last` is below `first`.
    pub fn between(first: u128, last: u128) -> Ranges {
        Ranges(if first <= last { vec![(first, last)] } else { Vec::new() })
    }

    /// Just this number.
    pub fn single(number: u128) -> Ranges {
        Ranges::between(number, number)
    }

    /// Every number.
    pub fn all() -> Ranges {
        Ranges::between(0, u128::MAX)
    }

    /// The addresses that share their first `bits` with this one; nothing where it has fewer.
    pub fn prefix(address: IpAddr, bits: u32) -> Option<Ranges> {
        let width = if address.is_ipv4() { 32 } else { 128 };
        let free = u32::checked_sub(width, bits)?;
        let rest = if free == 128 { u128::MAX } else { (1 << free) - 1 };
        let number = bits_of(address);
        Some(Ranges::between(number & !rest, number | rest))
    }

    /// The union of these.
    pub fn union(parts: impl IntoIterator<Item = Ranges>) -> Ranges {
        let mut all: Vec<(u128, u128)> = parts.into_iter().flat_map(|part| part.0).collect();
        all.sort_unstable();
        let mut merged: Vec<(u128, u128)> = Vec::with_capacity(all.len());
        for (first, last) in all {
            match merged.last_mut() {
                Some(previous) if first <= previous.1.saturating_add(1) => previous.1 = previous.1.max(last),
                _ => merged.push((first, last)),
            }
        }
        Ranges(merged)
    }

    /// Whether there are no ranges.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the number is one of them.
    pub fn contains(&self, number: u128) -> bool {
        let index = self.0.partition_point(|(_, last)| *last < number);
        self.0.get(index).is_some_and(|(first, _)| *first <= number)
    }

    /// The ranges, in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = (u128, u128)> + '_ {
        self.0.iter().copied()
    }

    /// The numbers that both have.
    pub fn and(&self, other: &Ranges) -> Ranges {
        let (few, many) = if self.0.len() <= other.0.len() { (self, other) } else { (other, self) };
        let mut both = Vec::new();
        for (first, last) in few.iter() {
            let start = many.0.partition_point(|(_, end)| *end < first);
            for (low, high) in many.0[start..].iter().take_while(|(low, _)| *low <= last) {
                both.push((first.max(*low), last.min(*high)));
            }
        }
        Ranges(both)
    }

    /// The numbers that the other has not.
    pub fn without(mut self, other: &Ranges) -> Ranges {
        for (first, last) in other.iter() {
            let start = self.0.partition_point(|(_, end)| *end < first);
            let end = start + self.0[start..].partition_point(|(low, _)| *low <= last);
            if start == end {
                continue;
            }
            let before = self.0[start].0;
            let after = self.0[end - 1].1;
            let left = (before < first).then(|| (before, first - 1));
            let right = (last < after).then(|| (last + 1, after));
            self.0.splice(start..end, left.into_iter().chain(right));
        }
        self
    }

    /// Whether the other has all of them.
    pub fn is_within(&self, other: &Ranges) -> bool {
        self.0.iter().all(|(first, last)| {
            let index = other.0.partition_point(|(_, end)| end < first);
            other.0.get(index).is_some_and(|(low, high)| low <= first && last <= high)
        })
    }
}

/// The bits of an address as a number.
pub fn bits_of(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ranges(parts: &[(u8, u8)]) -> Ranges {
        Ranges::union(parts.iter().map(|(first, last)| Ranges::between((*first).into(), (*last).into())))
    }

    fn numbers(ranges: &Ranges) -> Vec<u128> {
        (0..=255).filter(|number| ranges.contains(*number)).collect()
    }

    proptest! {
        #[test]
        fn sets_of_ranges_do_what_sets_do(a: Vec<(u8, u8)>, b: Vec<(u8, u8)>) {
            let (a, b) = (ranges(&a), ranges(&b));
            let (of_a, of_b) = (numbers(&a), numbers(&b));
            let both: Vec<u128> = of_a.iter().copied().filter(|number| of_b.contains(number)).collect();
            let rest: Vec<u128> = of_a.iter().copied().filter(|number| !of_b.contains(number)).collect();
            prop_assert_eq!(numbers(&a.and(&b)), both);
            prop_assert_eq!(a.is_within(&b), rest.is_empty());
            prop_assert_eq!(numbers(&a.without(&b)), rest);
        }
    }

    #[test]
    fn a_prefix_is_the_addresses_that_share_its_bits() {
        let prefix = |text: &str, bits| Ranges::prefix(text.parse().unwrap(), bits);
        assert_eq!(prefix("10.1.2.3", 8), Some(Ranges::between(0x0a00_0000, 0x0aff_ffff)));
        assert_eq!(prefix("10.1.2.3", 33), None);
        assert_eq!(prefix("0.0.0.0", 0), Some(Ranges::between(0, 0xffff_ffff)));
        assert_eq!(prefix("::", 0), Some(Ranges::all()));
        assert_eq!(prefix("::1", 128), Some(Ranges::single(1)));
    }
}
