//! What is known only by comparing two tables: another owner, more or fewer who can reach a port.

use super::{Page, event};
use crate::analyse::diff::{self, Kind};
use crate::model::{EventKind, Listing, Row, Seen};

/// Adds the events of ports that are open in both.
pub(super) fn compare(before: &Listing<'_>, after: &Listing<'_>, page: &mut Page) {
    for change in diff::diff(before, after, false).changes {
        let kind = match change.kind {
            Kind::OwnerChanged => EventKind::OwnerChanged,
            Kind::ExposureWidened => EventKind::ExposureWidened,
            Kind::ExposureNarrowed => EventKind::ExposureNarrowed,
            Kind::Opened | Kind::Closed | Kind::AddressChanged | Kind::MovedSpace | Kind::ForwardChanged => continue,
        };
        let identity = &change.identity;
        let space = identity.space.after.as_ref().map(|space| space.id);
        let is_it = |row: &&Row<'_>| {
            let socket = row.socket;
            (socket.local.port, socket.protocol) == (identity.port, identity.protocol)
                && Some(socket.space) == space
                && socket.peer.is_none()
        };
        // Of several addresses the one that most can reach.
        let Some(row) = after.rows.iter().filter(is_it).max_by_key(|row| row.exposure) else { continue };
        let index = page.add(row.socket.clone());
        page.events.push(event(after.snapshot.host.captured_at, kind, Seen::Poll, Some(index)));
    }
}
