//! What was in the way of a bind that failed, by the bind rule.

use std::collections::HashSet;
use std::time::SystemTime;

use crate::analyse::bind::{self, Blocker, Facts};
use crate::model::{Bind, Caller, Category, Exposure, Platform, Row, Snapshot, Socket, Space, State, Uid};

/// A bind that failed: the address, the options of the socket, and the user.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    /// The socket, with the address that was asked for.
    pub socket: &'a Socket,
    /// Whether it had set `SO_REUSEADDR`.
    pub reuseaddr: bool,
    /// Whether it had set `SO_REUSEPORT`.
    pub reuseport: bool,
    pub user: Option<Uid>,
}

/// A socket on the port, and since when it is open where that is known.
type Other<'a> = (&'a Socket, Option<SystemTime>);

/// Returns the sockets that were in the way, the most important first; only those that certainly were, if there are any.
/// Connections with the same address, state and owner are listed once.
pub(super) fn in_the_way<'a>(
    asked: Asked<'_>,
    others: &[Other<'a>],
    space: &Space,
    table: &Snapshot,
) -> Vec<Other<'a>> {
    let socket = asked.socket;
    let bind = Bind {
        v6only: socket.v6only == Some(true),
        reuseaddr: asked.reuseaddr,
        reuseport: asked.reuseport,
        device: socket.device.as_deref().map(str::to_owned),
        user: asked.user,
        ..Bind::plain(socket.protocol, socket.local.address, socket.local.port)
    };
    let row = |(socket, _): &Other<'a>| Row {
        socket,
        space,
        category: Category::of(socket.local.port),
        assigned: None,
        exposure: Exposure::Any,
        is_listener: matches!(socket.state, None | Some(State::Listen | State::Bound | State::Unconnected)),
        processes: Vec::new().into(),
        counterpart: None,
        snapshot: table,
    };
    let rows: Vec<Row<'_>> = others.iter().map(row).collect();
    let rows: Vec<&Row<'_>> = rows.iter().collect();
    let caller = Caller { platform: Platform::Linux, uid: asked.user, is_privileged: None };
    let mut blockers = bind::judge(&bind, &rows, &Facts { space, caller, address: None, redirects: None }).blockers;
    if blockers.iter().any(|blocker| blocker.is_certain) {
        blockers.retain(|blocker| blocker.is_certain);
    }
    let mut told = HashSet::new();
    blockers.retain(|blocker| {
        let socket = blocker.row.socket;
        let holders: Vec<_> = socket.owner.holders().iter().map(|holder| holder.pid).collect();
        socket.peer.is_none() || told.insert((socket.local, socket.state, socket.uid, holders))
    });
    let other =
        |blocker: &Blocker<'_>| others.iter().copied().find(|(other, _)| std::ptr::eq(*other, blocker.row.socket));
    blockers.iter().filter_map(other).collect()
}
