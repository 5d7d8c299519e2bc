//! What sockets name: the processes that hold them, and the cgroups and users that made them.

use std::collections::{BTreeSet, HashMap};
use std::num::NonZeroU64;
use std::sync::Arc;

use super::opened::Handles;
use crate::model::{Holder, Inode, Pid, Protocol, Socket, State, Uid};
use crate::parallel;

/// Descriptors that are kept to prove later that a process is the one that was seen; some may be closed by then.
const MOST_PROOFS: usize = 16;

/// What one process holds.
#[derive(Clone, Debug, Default)]
pub struct Held {
    /// Some of its descriptors of sockets.
    pub proofs: Vec<(u32, Inode)>,
    /// Whether other programs can start a conversation with one of its sockets.
    pub listens: bool,
}

/// What sockets name, each once. On a host with a million sockets it is put together on all cores.
#[derive(Default)]
pub struct Holdings {
    /// The processes.
    pub processes: HashMap<Pid, Held>,
    /// The cgroups.
    pub cgroups: BTreeSet<u64>,
    /// The users.
    pub users: BTreeSet<Uid>,
    /// Handles of these processes.
    pub handles: Arc<Handles>,
}

impl Holdings {
    /// Looks through the sockets.
    pub fn of(sockets: &[Socket]) -> Holdings {
        let pieces = sockets.chunks(parallel::PIECE).collect();
        let parts =
            parallel::share(pieces, sockets.len() / parallel::PIECE, |sockets: &[Socket], part: &mut Holdings| {
                for socket in sockets {
                    part.add(socket);
                }
                Vec::new()
            });
        parts.into_iter().reduce(Holdings::with).unwrap_or_default()
    }

    fn add(&mut self, socket: &Socket) {
        let listens = listens(socket);
        for Holder { pid, fd } in socket.owner.holders() {
            let held = self.processes.entry(*pid).or_default();
            held.listens |= listens;
            if held.proofs.len() < MOST_PROOFS {
                held.proofs.extend(fd.zip(socket.inode));
            }
        }
        self.cgroups.extend(socket.cgroup.map(NonZeroU64::get));
        self.users.extend(socket.uid);
    }

    fn with(mut self, other: Holdings) -> Holdings {
        for (pid, Held { proofs, listens }) in other.processes {
            let held = self.processes.entry(pid).or_default();
            held.listens |= listens;
            held.proofs.extend(proofs);
            held.proofs.truncate(MOST_PROOFS);
        }
        self.cgroups.extend(other.cgroups);
        self.users.extend(other.users);
        self
    }
}

/// Returns whether other programs can start a conversation with the socket.
fn listens(socket: &Socket) -> bool {
    match socket.protocol {
        Protocol::Tcp => socket.state == Some(State::Listen),
        Protocol::Udp | Protocol::UdpLite => {
            matches!(socket.state, None | Some(State::Unconnected)) && socket.autobound != Some(true)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Owner;
    use crate::testing;

    #[test]
    fn what_many_sockets_name_is_the_same_as_what_each_of_them_names() {
        let sockets = testing::snapshot().sockets;
        let template =
            sockets.into_iter().find(|socket| socket.protocol == Protocol::Tcp && socket.inode.is_some()).unwrap();
        let socket = |number: u32| Socket {
            owner: Owner::Processes(vec![Holder { pid: Pid(number % 50), fd: Some(number) }].into()),
            state: Some(if number == 7 { State::Listen } else { State::Established }),
            uid: Some(Uid(number % 3)),
            ..template.clone()
        };
        let sockets: Vec<Socket> = (0..30_000).map(socket).collect();
        let Holdings { processes, users, .. } = Holdings::of(&sockets);
        assert_eq!(processes.len(), 50);
        assert!(processes.iter().all(|(pid, held)| held.listens == (pid.0 == 7) && held.proofs.len() == MOST_PROOFS));
        let is_its = |pid: &Pid, proof: &(u32, Inode)| proof.0 % 50 == pid.0;
        assert!(processes.iter().all(|(pid, held)| held.proofs.iter().all(|proof| is_its(pid, proof))));
        assert_eq!(users, BTreeSet::from([Uid(0), Uid(1), Uid(2)]));
    }
}
