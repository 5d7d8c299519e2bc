//! Sockets with meaning added: what commands filter and print.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use super::{
    Answer, Belonging, Category, Exposure, Few, Origin, Owner, Pid, Process, Proved, Service, Snapshot, Socket, Space,
    SpaceId, State, Tier, Uid,
};

/// One socket joined with everything known about it.
#[derive(Clone, Debug)]
pub struct Row<'a> {
    /// The fact.
    pub socket: &'a Socket,
    /// The space that it belongs to.
    pub space: &'a Space,
    /// The category of its local port.
    pub category: Category,
    /// What its local port is assigned to: one for all rows of that port, since on a host with a million sockets a copy in
    /// each would be much memory.
    pub assigned: Option<Arc<Service<'a>>>,
    /// From where it can be reached.
    pub exposure: Exposure,
    /// Whether it waits for others: TCP LISTEN, an unconnected UDP socket outside the ephemeral range, a redirect.
    pub is_listener: bool,
    /// The processes that hold it, the main one first, then by pid. A process that has ended meanwhile has no details.
    pub processes: Few<(Pid, Option<&'a Process>)>,
    /// The place of the [`counterpart`](Row::counterpart) among the sockets of the snapshot, counted from 1: half as large
    /// as a reference.
    pub counterpart: Option<NonZeroU32>,
    /// Where the row comes from.
    pub snapshot: &'a Snapshot,
}

impl<'a> Row<'a> {
    /// The socket at the other end of its connection, where that is on this machine and was looked for.
    pub fn counterpart(&self) -> Option<&'a Socket> {
        self.snapshot.sockets.get(self.counterpart?.get() as usize - 1)
    }

    /// A row for its counterpart. What its port is assigned to, and what its own other end is, is not looked up.
    pub fn peer_row(&self) -> Option<Row<'a>> {
        let socket = self.counterpart()?;
        Some(Row {
            socket,
            space: self.snapshot.space(socket.space)?,
            category: Category::of(socket.local.port),
            assigned: None,
            exposure: Exposure::of(socket.local.address, socket.device.as_deref()),
            is_listener: false,
            processes: self.snapshot.processes_of(socket),
            counterpart: None,
            snapshot: self.snapshot,
        })
    }

    /// What its local port is assigned to.
    pub fn service(&self) -> Option<Service<'a>> {
        self.assigned.as_deref().copied()
    }

    /// The unit and container that made it, where its cgroup says.
    pub fn belonging(&self) -> Option<&'a Belonging> {
        self.snapshot.belonging_of(self.socket, &self.processes)
    }

    /// The foremost process at the other end of its connection.
    pub fn peer_process(&self) -> Option<&'a Process> {
        let processes = self.snapshot.processes_of(self.counterpart()?);
        processes.first().and_then(|(_, process)| *process)
    }

    /// The user that created it, by name.
    pub fn user(&self) -> Option<&'a str> {
        self.snapshot.user(self.socket.uid)
    }

    /// The name of the user that the process runs as, or the account on Windows.
    pub fn user_of(&self, process: &'a Process) -> Option<&'a str> {
        process.account.as_deref().or_else(|| self.user_name(process.uid?))
    }

    /// The name of a user that one of its processes runs as.
    pub fn user_name(&self, uid: Uid) -> Option<&'a str> {
        self.snapshot.user(Some(uid))
    }

    /// How well its owner is known.
    pub fn tier(&self) -> Tier {
        match self.socket.owner {
            Owner::Processes(_) if self.socket.activation().is_some() => Tier::Unit,
            Owner::Processes(_) => Tier::Process,
            Owner::Nobody(_) => Tier::None,
            Owner::Hidden(_) => match self.belonging() {
                Some(belonging) if belonging.container.is_some() => Tier::Container,
                Some(belonging) if belonging.unit.is_some() => Tier::Unit,
                _ if self.socket.uid.is_some() => Tier::User,
                _ => Tier::Hidden,
            },
        }
    }

    /// The systemd unit that it belongs to: where it waits to be activated, the one that will be started.
    pub fn unit(&self) -> Option<&'a str> {
        self.activated().or_else(|| self.belonging().and_then(|belonging| belonging.unit.as_deref()))
    }

    /// The same, where more than its user says so: systemd itself tells what it activates.
    pub fn proved_unit(&self) -> Option<Proved<'a, str>> {
        match self.activated() {
            Some(unit) => Origin::Manager.vouched(unit),
            None => self.belonging().and_then(Belonging::proved_unit),
        }
    }

    fn activated(&self) -> Option<&'a str> {
        let activation = self.socket.activation()?;
        Some(activation.service.as_ref().unwrap_or(&activation.socket))
    }

    /// Returns whether a process may hold it that this run could not see.
    pub fn is_hidden(&self) -> bool {
        matches!(self.socket.owner, Owner::Hidden(_))
    }

    /// Returns whether it is a connection with one peer, in any phase.
    pub fn is_connection(&self) -> bool {
        !matches!(
            self.socket.state,
            None | Some(State::Listen | State::Bound | State::Unconnected | State::Close | State::Redirect)
        )
    }
}

/// The rows of an answer, in the order to show them.
#[derive(Clone, Debug)]
pub struct Listing<'a> {
    /// Where the rows come from.
    pub snapshot: &'a Snapshot,
    /// The rows.
    pub rows: Vec<Row<'a>>,
    /// Whether some were left out because they were not asked for.
    pub filtered: bool,
}

impl<'a> Listing<'a> {
    /// Says whether the owner of a row is hidden, sockets may be missing, or port spaces that were asked for are.
    pub fn is_incomplete(&self) -> bool {
        self.rows.iter().any(Row::is_hidden) || self.snapshot.gaps_of(Answer::Complete).next().is_some()
    }

    /// Loads the sockets that these rows, which are about to be written, refer to. They are in no order in memory: a
    /// processor that meets them one by one waits for each, and here for many at a time.
    pub fn load(rows: &[Row<'_>]) {
        let load = |socket: &Socket| {
            let held = socket.owner.holders().len() + usize::from(socket.device.is_some());
            held + usize::from(socket.peer.is_some()) + usize::from(socket.cookie.is_some())
        };
        let both = |row: &Row<'_>| load(row.socket) + row.counterpart().map_or(0, load);
        std::hint::black_box(rows.iter().map(both).sum::<usize>());
    }

    /// Leaves out the rows that are not asked for.
    pub fn retain(&mut self, is_wanted: impl Fn(&Row<'a>) -> bool) {
        let before = self.rows.len();
        self.rows.retain(is_wanted);
        self.filtered |= self.rows.len() < before;
    }

    /// Its rows by port space.
    pub fn by_space(&self) -> HashMap<SpaceId, Vec<&Row<'a>>> {
        let mut by_space: HashMap<SpaceId, Vec<&Row<'a>>> = HashMap::new();
        for row in &self.rows {
            by_space.entry(row.space.id).or_default().push(row);
        }
        by_space
    }

    /// Says whether its rows are of more than one port space.
    pub fn has_several_spaces(&self) -> bool {
        let mut ids = self.rows.iter().map(|row| row.space.id);
        let first = ids.next();
        ids.any(|id| Some(id) != first)
    }
}

#[cfg(all(test, target_pointer_width = "64"))]
mod tests {
    use std::mem::size_of;

    use super::*;

    #[test]
    fn a_socket_and_its_row_take_no_more_than_208_bytes() {
        assert!(size_of::<Socket>() <= 144, "{}", size_of::<Socket>());
        assert!(size_of::<Row<'_>>() <= 64, "{}", size_of::<Row<'_>>());
    }
}
