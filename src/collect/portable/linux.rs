//! What only Linux can add to the portable backend: holders by inode, the space's id, user names through NSS.

use std::collections::{BTreeMap, BTreeSet};

use super::super::CollectError;
use super::super::linux::{owners, spaces, users};
use super::{hidden_owners, sockets};
use crate::model::{Gap, HiddenBecause, Need, Nobody, Owner, Protocol, Socket, Space, SpaceId, State, Uid};

/// The port space of this process.
pub fn space() -> Space {
    spaces::current()
}

/// Changes at each start of the system.
pub fn boot_id() -> Option<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(text.trim_end().to_owned())
}

/// The names of users.
pub fn user_names(uids: &BTreeSet<Uid>) -> BTreeMap<Uid, String> {
    users::names(uids)
}

/// Lists the sockets and finds who holds them.
pub fn sockets(need: &Need, space: &Space) -> Result<(Vec<Socket>, Vec<Gap>), CollectError> {
    let mut sockets = list(need, space.id)?;
    let seen = owners::assign(&mut sockets, || list(need, space.id))?;
    for socket in &mut sockets {
        if socket.inode.is_none() {
            socket.owner = Owner::Nobody(nobody(socket));
        }
    }
    let gaps = hidden_owners(&sockets, |because| match because {
        HiddenBecause::Permission => {
            format!("{} of {} processes may not be read by uid {}", seen.refused, seen.refused + seen.read, own_uid())
        }
        HiddenBecause::Protected => format!(
            "{} of {} processes may not be read even by root (it takes CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH, and \
             some systems protect process 1)",
            seen.refused,
            seen.refused + seen.read
        ),
        HiddenBecause::NotFound => {
            "no process holds them: the kernel itself, or a holder in another pid namespace".to_owned()
        }
        HiddenBecause::NoProcesses => "/proc could not be read".to_owned(),
        HiddenBecause::Unsupported => "the system does not say".to_owned(),
    });
    Ok((sockets, gaps))
}

fn list(need: &Need, space: SpaceId) -> Result<Vec<Socket>, CollectError> {
    let mut all = Vec::new();
    for protocol in Protocol::ALL.into_iter().filter(|protocol| need.protocols.contains(protocol)) {
        all.extend(sockets::list(protocol, space)?.into_iter().map(|listed| listed.socket));
    }
    Ok(all)
}

/// Why a socket without a file has no holder.
fn nobody(socket: &Socket) -> Nobody {
    match socket.state {
        Some(State::TimeWait | State::FinWait2) => Nobody::TimeWait,
        Some(State::SynReceived) => Nobody::Handshake,
        Some(State::Established | State::CloseWait) => Nobody::Unaccepted,
        _ => Nobody::Closing,
    }
}

fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}
