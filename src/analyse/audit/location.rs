//! Where a socket is.

use crate::model::Row;

/// Says whether the socket is in another port space than this run's, a network stack that only its own networks reach.
///
/// Where such a port is published on the host, the host's own row for it tells.
pub fn is_elsewhere(row: &Row<'_>) -> bool {
    row.space.id != row.snapshot.own
}
