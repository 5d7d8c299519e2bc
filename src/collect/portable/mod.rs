//! The backend of every system: netstat2 for sockets, sysinfo for processes.
//!
//! On Linux this crate finds the holders itself, because netstat2 loses owners of sockets that share an inode, panics
//! without /proc, and silently skips what it may not read.

#[cfg(not(target_os = "linux"))]
pub mod control;
#[cfg(any(windows, test, feature = "fuzzing"))]
mod netsh;
#[cfg(not(target_os = "linux"))]
pub mod probe;
mod processes;
mod sockets;
#[cfg(windows)]
mod windows;

pub use processes::names as process_names;

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use super::CollectError;
use crate::model::{
    Backend, Gap, Need, Pid, RulesUnread, Scope, Snapshot, Socket, SocketSource, Space, SpaceChoice, Stages, Uid,
};

/// Describes the host.
#[cfg(not(target_os = "linux"))]
pub fn host(now: SystemTime) -> crate::model::Host {
    processes::host(now, system::boot_id())
}

/// Collects sockets, their holders, and what is known of these.
pub fn snapshot(need: &Need) -> Result<Snapshot, CollectError> {
    let captured_at = SystemTime::now();
    let space = space(need)?;
    #[cfg(windows)]
    let facts = windows::Facts::ask(need);
    let (sockets, mut gaps) = system::sockets(need, &space)?;
    let holders: BTreeSet<Pid> =
        sockets.iter().flat_map(|socket| socket.owner.holders()).map(|holder| holder.pid).collect();
    #[cfg(target_os = "linux")]
    let whose = {
        use super::linux::{holdings::Holdings, owners::ProcessFacts, whose::Looking};
        Looking::start(&Holdings::of(&sockets), &ProcessFacts::new(), need)
    };
    #[cfg_attr(not(target_os = "linux"), allow(unused_mut))]
    let mut processes = processes::details(&holders, need);
    #[cfg(target_os = "linux")]
    if let Some(whose) = whose {
        whose.finish(&mut processes);
    }
    let made_by = sockets.iter().filter_map(|socket| socket.uid);
    let run_as = processes.values().filter_map(|process| process.uid);
    let uids: BTreeSet<Uid> = made_by.chain(run_as).collect();
    gaps.extend(limits(&sockets, need));
    gaps.extend(super::unknown_traffic(&sockets, need, false));
    let users = system::user_names(&uids, &mut gaps);
    let snapshot = Snapshot {
        host: processes::host(captured_at, system::boot_id()),
        backend: Backend::Portable,
        scope: Scope::of(need),
        socket_source: SocketSource::Netstat2,
        owner_source: system::OWNER_SOURCE,
        owner_fallback: None,
        users,
        own: space.id,
        spaces: vec![space],
        further_spaces: None,
        redirects: BTreeMap::new(),
        saved_reachability: BTreeMap::new(),
        sockets,
        processes,
        cgroups: BTreeMap::new(),
        gaps,
        saved: None,
        warnings: Vec::new(),
        stages: Stages::default(),
    };
    #[cfg(windows)]
    let snapshot = facts.join(snapshot, need);
    Ok(snapshot)
}

/// Lists the sockets alone.
pub fn sockets_alone(need: &Need) -> Result<Vec<Socket>, CollectError> {
    Ok(system::sockets(need, &space(need)?)?.0)
}

/// The one port space that is read here; an error when another is asked for.
fn space(need: &Need) -> Result<Space, CollectError> {
    let space = system::space();
    // This backend does not look for other spaces, so only the name of this one is accepted.
    if let SpaceChoice::Named(names) = &need.spaces
        && let Some(name) = names.iter().find(|name| !space.is_called(name))
    {
        return Err(CollectError::NoSuchSpace { name: name.clone(), known: space.label });
    }
    Ok(space)
}

/// Returns the gaps that this backend always has.
fn limits(sockets: &[Socket], need: &Need) -> Vec<Gap> {
    let udp = sockets.iter().filter(|socket| socket.protocol == crate::model::Protocol::Udp).count();
    let mut gaps = vec![
        Gap::LimitsOfNetstat2,
        Gap::OtherSpaces { wanted: need.wants_every_space() },
        Gap::Redirects { space: None, why: RulesUnread::Unsupported, further_spaces: 0 },
    ];
    if udp > 0 {
        gaps.push(Gap::UdpPeers { count: udp });
    }
    gaps
}

#[cfg(target_os = "linux")]
#[path = "linux.rs"]
mod system;

#[cfg(not(target_os = "linux"))]
#[path = "other.rs"]
mod system;

#[cfg(not(target_os = "linux"))]
fn only_space() -> crate::model::Space {
    use crate::model::{Space, SpaceId, SpaceKind};
    Space::new(SpaceId(0), SpaceKind::Host, "host".to_owned(), SocketSource::Netstat2)
}

/// The reader of what `netsh` prints.
#[cfg(any(feature = "fuzzing", test))]
pub mod fuzzing {
    /// Reads the bytes as both of the tables.
    pub fn netsh(bytes: &[u8]) {
        let _ = super::netsh::dynamic_range(bytes);
        let _ = super::netsh::excluded_ranges(bytes).map(super::netsh::united);
    }
}
