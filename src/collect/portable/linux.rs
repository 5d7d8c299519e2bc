//! Additions to the portable backend that only Linux offers: holders by inode, the space's id, user names through NSS.

use std::collections::{BTreeMap, BTreeSet};

use super::super::CollectError;
use super::super::hidden_owners;
use super::super::linux::procfs::Processes;
use super::super::linux::{host, kernel_socket, owners, spaces, users};
use super::sockets;
use crate::model::{Gap, Need, Owner, OwnerSource, Protocol, Socket, SocketSource, Space, SpaceId, Uid};

/// How holders are found here.
pub const OWNER_SOURCE: OwnerSource = OwnerSource::FdScan;

/// The port space of this process.
pub fn space() -> Space {
    Space { source: SocketSource::Netstat2, ..spaces::current() }
}

/// Changes at each start of the system.
pub fn boot_id() -> Option<String> {
    host::boot_id()
}

/// The names of users.
pub fn user_names(uids: &BTreeSet<Uid>, gaps: &mut Vec<Gap>) -> BTreeMap<Uid, String> {
    let (names, unknown) = users::names(uids);
    gaps.extend(unknown);
    names
}

/// Lists the sockets and finds their holders.
pub fn sockets(need: &Need, space: &Space) -> Result<(Vec<Socket>, Vec<Gap>), CollectError> {
    let mut sockets = list(need, space.id)?;
    let mut finder = owners::Finder::by_fd_scan(&Processes::default(), true);
    let (coverage, _) = owners::assign(&mut sockets, &mut finder, |_| list(need, space.id))?;
    for socket in &mut sockets {
        if let (None, Some(state)) = (socket.inode, socket.state) {
            socket.owner = Owner::Nobody(kernel_socket::nobody(state));
        }
    }
    let gaps = hidden_owners(&sockets, Some(&coverage));
    Ok((sockets, gaps))
}

fn list(need: &Need, space: SpaceId) -> Result<Vec<Socket>, CollectError> {
    let mut all = Vec::new();
    for protocol in Protocol::REGISTERED.into_iter().filter(|protocol| need.protocols.contains(protocol)) {
        let listed = sockets::list(protocol, space)?.sockets.into_iter().map(|listed| listed.socket);
        all.extend(listed.filter(|socket| need.wants_ends(socket.local, socket.peer)));
    }
    Ok(all)
}
