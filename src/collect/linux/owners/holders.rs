//! The descriptors that a search has found, by the sockets that they are of.

use crate::model::{Holder, Inode};
use crate::parallel;

/// Inodes that have one place in the table of places: the table stays in a core's cache, and few of them are looked through.
const GROUP: usize = 4;

/// Who holds which socket. On a host with a million sockets a search through all of them waits for memory twenty times, and
/// here once or twice.
#[derive(Debug, Default)]
pub struct Holders {
    /// By inode, each descriptor once.
    found: Vec<(Inode, Holder)>,
    /// Where the descriptors of each group of neighboring inodes begin, and where the last one ends.
    places: Vec<usize>,
    /// The lowest inode.
    first: u64,
    /// An inode is of the group that its distance to the lowest one has without these bits.
    bits: u32,
}

impl Holders {
    /// Puts the descriptors in order.
    pub fn of(mut found: Vec<(Inode, Holder)>) -> Holders {
        parallel::sort(&mut found);
        found.dedup();
        let number = |(inode, _): &(Inode, Holder)| inode.get();
        let first = found.first().map_or(0, number);
        let distance = found.last().map_or(0, number) - first;
        let groups = (found.len() / GROUP).max(1) as u64;
        let bits = (0..u64::BITS).find(|bits| distance >> bits <= groups).unwrap_or(0);
        let mut places = Vec::new();
        for (place, found) in found.iter().enumerate() {
            while places.len() as u64 <= (number(found) - first) >> bits {
                places.push(place);
            }
        }
        places.push(found.len());
        Holders { found, places, first, bits }
    }

    /// The holders of a socket.
    pub fn of_socket(&self, inode: Inode) -> impl Iterator<Item = Holder> {
        let alike = self.group(inode).unwrap_or_default();
        let start = alike.partition_point(|(other, _)| *other < inode);
        alike[start..].iter().take_while(move |(other, _)| *other == inode).map(|(_, holder)| *holder)
    }

    /// The descriptors of the inodes around it.
    fn group(&self, inode: Inode) -> Option<&[(Inode, Holder)]> {
        let group = usize::try_from(inode.get().checked_sub(self.first)? >> self.bits).ok()?;
        self.found.get(*self.places.get(group)?..*self.places.get(group + 1)?)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::Pid;

    proptest! {
        #[test]
        fn every_socket_has_the_holders_that_were_found_for_it(
            // Neighbors, as a kernel counts them, and numbers that have nothing to do with each other.
            inodes in prop::collection::vec(prop_oneof![1_u64..500, any::<u64>().prop_map(|number| number.max(1))], 0..300),
        ) {
            let holder = |number: usize| Holder { pid: Pid(7), fd: u32::try_from(number).ok() };
            let inodes: Vec<Inode> = inodes.into_iter().filter_map(Inode::new).collect();
            let found: Vec<_> = inodes.iter().enumerate().map(|(fd, inode)| (*inode, holder(fd))).collect();
            let holders = Holders::of([found.clone(), found.clone()].concat());
            for wanted in inodes.iter().copied().chain([1, 250, u64::MAX].into_iter().filter_map(Inode::new)) {
                let expected = found.iter().filter(|(inode, _)| *inode == wanted).map(|(_, holder)| *holder);
                prop_assert!(holders.of_socket(wanted).eq(expected));
            }
        }
    }
}
