//! Sockets that no process holds any more or yet, which a person at a terminal sees counted and not listed.

use std::collections::BTreeMap;

use crate::model::{Listing, Nobody, Owner, Row, State};

/// How many sockets of each state were left out.
pub type Leftovers = BTreeMap<State, usize>;

/// Takes the leftovers out of a listing. A listener, or a row for a firewall rule, is never a leftover.
///
/// Those in a state that is to be listed stay.
pub fn take(listing: &mut Listing<'_>, is_listed: impl Fn(State) -> bool) -> Leftovers {
    let mut taken = Leftovers::new();
    listing.rows.retain(|row| match row.socket.state {
        Some(state) if is_leftover(row) && !is_listed(state) => {
            *taken.entry(state).or_default() += 1;
            false
        }
        _ => true,
    });
    taken
}

fn is_leftover(row: &Row<'_>) -> bool {
    let is_over = |why| matches!(why, Nobody::TimeWait | Nobody::Handshake | Nobody::Closing);
    !row.is_listener && matches!(row.socket.owner, Owner::Nobody(why) if is_over(why))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{join, testing};

    #[test]
    fn what_is_over_is_counted_and_what_listens_or_waits_to_be_accepted_stays() {
        let mut snapshot = testing::snapshot();
        snapshot.sockets[1].owner = Owner::Nobody(Nobody::Unaccepted);
        snapshot.sockets[3].owner = Owner::Nobody(Nobody::Closing);
        let mut listing = join::listing(&snapshot, None);
        let before = listing.rows.len();
        assert_eq!(take(&mut listing, |_| false), [(State::TimeWait, 1)].into());
        assert_eq!(listing.rows.len(), before - 1);
        assert!(!listing.filtered && take(&mut listing, |_| false).is_empty());
        let mut listing = join::listing(&snapshot, None);
        assert!(take(&mut listing, |state| state == State::TimeWait).is_empty());
        assert_eq!(listing.rows.len(), before);
    }
}
