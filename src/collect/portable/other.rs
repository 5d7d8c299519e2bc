//! The portable backend on systems that give each socket with its processes.

use std::collections::{BTreeMap, BTreeSet};

use super::super::CollectError;
use super::super::hidden_owners;
use super::{only_space, sockets};
use crate::model::{Gap, HiddenBecause, Holder, Need, Owner, OwnerSource, Pid, Protocol, Socket, Space, State, Uid};

/// How holders are found here.
pub const OWNER_SOURCE: OwnerSource = OwnerSource::System;

/// The port space of this process.
pub fn space() -> Space {
    only_space()
}

/// This system does not report it.
pub fn boot_id() -> Option<String> {
    None
}

/// The names of users.
#[cfg(unix)]
pub fn user_names(uids: &BTreeSet<Uid>, _: &mut Vec<Gap>) -> BTreeMap<Uid, String> {
    let name = |uid: &Uid| Some((*uid, uzers::get_user_by_uid(uid.0)?.name().to_string_lossy().into_owned()));
    uids.iter().filter_map(name).collect()
}

/// The names of users: sockets have no user here.
#[cfg(not(unix))]
pub fn user_names(_: &BTreeSet<Uid>, _: &mut Vec<Gap>) -> BTreeMap<Uid, String> {
    BTreeMap::new()
}

/// Lists the sockets with their processes.
pub fn sockets(need: &Need, space: &Space) -> Result<(Vec<Socket>, Vec<Gap>), CollectError> {
    let mut merged: Vec<Socket> = Vec::new();
    let mut indices = BTreeMap::new();
    let mut unread = 0;
    for protocol in Protocol::REGISTERED.into_iter().filter(|protocol| need.protocols.contains(protocol)) {
        let list = sockets::list(protocol, space.id)?;
        unread += list.unread;
        for listed in list.sockets {
            let mut socket = listed.socket;
            if !need.wants_ends(socket.local, socket.peer) {
                continue;
            }
            socket.owner = owner(&socket, &listed.pids);
            // macOS returns a row for each descriptor of a socket, and no number that identifies the socket.
            let key = (socket.protocol, socket.family, socket.local, socket.peer, socket.state);
            match indices.get(&key) {
                None => {
                    indices.insert(key, merged.len());
                    merged.push(socket);
                }
                Some(index) => join(&mut merged[*index], socket.owner),
            }
        }
    }
    let mut gaps = hidden_owners(&merged, None);
    gaps.extend(missing(unread));
    Ok((merged, gaps))
}

/// macOS lists sockets as descriptors of processes, and leaves out those of processes that this user may not inspect.
#[cfg(unix)]
fn missing(unread: usize) -> Vec<Gap> {
    let mut gaps = vec![Gap::ClosedConnections];
    if !rustix::process::geteuid().is_root() {
        gaps.push(Gap::SocketsOfOthers);
    }
    if unread > 0 {
        gaps.push(Gap::UnreadDescriptors { count: unread });
    }
    gaps
}

/// Windows has a table of all sockets, which every user may read.
#[cfg(not(unix))]
fn missing(_: usize) -> Vec<Gap> {
    Vec::new()
}

fn owner(socket: &Socket, pids: &[Pid]) -> Owner {
    let holders: Vec<Holder> = pids.iter().filter(|pid| pid.0 != 0).map(|pid| Holder { pid: *pid, fd: None }).collect();
    if !holders.is_empty() {
        return Owner::Processes(holders.into());
    }
    match socket.state {
        Some(State::TimeWait) => Owner::Nobody(crate::model::Nobody::TimeWait),
        // Windows reports the process of every socket that has one, to every user.
        _ => Owner::Hidden(if cfg!(windows) { HiddenBecause::Unsupported } else { HiddenBecause::Permission }),
    }
}

fn join(socket: &mut Socket, owner: Owner) {
    match (&mut socket.owner, owner) {
        (Owner::Processes(holders), Owner::Processes(more)) => {
            let mut all = [&holders[..], &more[..]].concat();
            all.sort_unstable();
            all.dedup();
            *holders = all.into();
        }
        (unknown, known @ Owner::Processes(_)) => *unknown = known,
        _ => {}
    }
}
