//! A look at the table of this space alone, which says only whether something is other than it was.
//!
//! It takes a few dumps, where a whole look searches all processes for owners and namespaces.

use std::hash::{BuildHasher, RandomState};

use crate::collect::linux::spaces;
use crate::collect::linux::tables::{OWN_TABLES, Tables};
use crate::model::{Need, Socket};

/// The table, and what it was like.
pub struct Glance {
    tables: Tables,
    need: Need,
    /// Nobody can make two tables look alike who does not know it.
    key: RandomState,
    last: Option<u64>,
}

impl Glance {
    /// Opens the table of the namespace that the calling thread is in.
    pub fn new(need: &Need) -> Glance {
        let tables = Tables::open(spaces::current().id, vec![OWN_TABLES.into()]);
        Glance { tables, need: need.clone(), key: RandomState::new(), last: None }
    }

    /// Says whether the table is as it was the last time; never the first time, nor where it cannot be read.
    pub fn is_same(&mut self) -> bool {
        let rows = self.tables.rows(&self.need, None, &|_| true);
        // The order in which the kernel lists them says nothing.
        let now = rows.ok().map(|rows| rows.iter().fold(0_u64, |all, row| all.wrapping_add(self.mark(row))));
        let before = std::mem::replace(&mut self.last, now);
        now.is_some() && before == now
    }

    /// What would be told of it, as a number.
    fn mark(&self, row: &Socket) -> u64 {
        let which = (row.protocol, row.family, row.cookie, row.inode, row.uid);
        let waiting = row.queue().map(|queue| queue.used);
        self.key.hash_one((which, row.local, row.peer, row.state, &row.device, row.v6only, waiting))
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::model::{Endpoint, State};

    #[test]
    fn a_listener_that_comes_or_goes_makes_a_difference_and_nothing_else_does() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let need = Need { states: Some(vec![State::Listen]), ..Need::default() };
        let mut glance = Glance::new(&need);
        assert!(!glance.is_same());
        // Other tests open and close listeners meanwhile.
        assert!((0..1000).any(|_| glance.is_same()));
        // Another test may have the same number at another address.
        let end = listener.local_addr().unwrap();
        let mine = |glance: &mut Glance| {
            let rows = glance.tables.rows(&glance.need, None, &|_| true).unwrap();
            let row = rows.iter().find(|row| row.local == Endpoint::new(end.ip(), end.port())).cloned();
            row.map(|row| glance.mark(&row))
        };
        let before = mine(&mut glance).unwrap();
        assert_eq!(mine(&mut glance), Some(before));
        drop(listener);
        let again = TcpListener::bind(end).unwrap();
        assert_ne!(mine(&mut glance), Some(before));
        drop(again);
    }
}
