//! The native backend: sockets by netlink, holders by the kernel's iterator or by /proc, details through /proc.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::SystemTime;

use super::listed::Listed;
use super::names::Names;
use super::redirects::{self, Redirects};
use super::tables::Tables;
use super::{activation, cgroup, counters, host, owners, process, published, spaces, users};
use crate::collect::{CollectError, hidden_owners};
use crate::model::{Backend, Missing, Need, Scope, Snapshot, Socket, SpaceChoice, State, Uid};

/// Collects sockets, their holders, and what is known of these.
pub fn snapshot(need: &Need) -> Result<Snapshot, CollectError> {
    let captured_at = SystemTime::now();
    let mut own = spaces::current();
    if need.counters {
        own.listen_overflows = counters::listen_overflows(Path::new("/proc/thread-self/net"));
    }
    let mut finder = owners::Finder::start(need);
    let looking = (need.spaces != SpaceChoice::Own).then(|| thread::spawn(spaces::find));
    let wants_redirects = need.wants_state(State::Redirect);
    let for_redirects = (wants_redirects && need.wants_own(&own)).then(|| need.clone());
    let redirects = for_redirects.map(|need| thread::spawn(move || redirects::read(&need)));
    let mut listed = Listed::default();
    if need.wants_own(&own) {
        let tables = Tables::open(own.id, PathBuf::from("/proc/thread-self/net"));
        listed.add(own.clone(), tables, need)?;
    }
    let mut names = Names::new(need.helpers);
    let mut found = match looking.map(|thread| thread.join().expect("looking for spaces does not panic")) {
        None => Vec::new(),
        Some(Ok(found)) => found,
        Some(Err(error)) => {
            listed.gap(Missing::Spaces, None, format!("the other port spaces cannot be found: {error}"));
            Vec::new()
        }
    };
    listed.add_others(&mut found, &mut names, &own, need)?;
    // Only now: the sockets of every port tell which of the kept spaces have been listed.
    listed.sockets.retain(|socket| need.wants_port(socket.local.port));
    let (seen, met) = owners::assign(&mut listed.sockets, &mut finder, |in_doubt| listed.tables.again(in_doubt, need))?;
    let mut processes = process::describe(&listed.sockets, need, &met);
    let mut cgroups = cgroup::belongings(&listed.sockets.iter().filter_map(|socket| socket.cgroup).collect());
    if let Some(thread) = redirects {
        let redirects = thread.join().expect("reading redirects does not panic");
        listed.redirects.insert(0, (own.id, redirects));
    }
    if !wants_redirects {
        listed.redirects = vec![(own.id, Redirects::not_wanted())];
    }
    published::add(&mut listed, &processes, &own, &found, &mut names, need)?;
    names.name_all(&mut processes, &mut cgroups);
    if need.helpers {
        activation::name(&mut listed.sockets, &processes);
    }
    let made_by = listed.sockets.iter().filter_map(|socket| socket.uid);
    let uids: BTreeSet<Uid> = made_by.chain(processes.values().filter_map(|process| process.uid)).collect();
    let mut gaps = hidden_owners(&listed.sockets, |because| owners::explain(because, seen));
    gaps.extend(listed.all_gaps());
    gaps.extend(names.gaps());
    Ok(Snapshot {
        host: host::describe(captured_at),
        backend: Backend::Native,
        scope: Scope::of(need),
        socket_source: listed.source(),
        owner_source: finder.source(),
        owner_fallback: finder.failure().map(ToString::to_string),
        users: users::names(&uids),
        cgroups,
        further_spaces: listed.further,
        own: own.id,
        spaces: listed.spaces,
        sockets: listed.sockets,
        processes,
        gaps,
        saved: None,
        warnings: Vec::new(),
    })
}

/// Lists the sockets of this network namespace alone, their holders not looked for.
pub fn sockets(need: &Need) -> Result<Vec<Socket>, CollectError> {
    let mut tables = Tables::open(spaces::current().id, PathBuf::from("/proc/thread-self/net"));
    tables.sockets(need, &|entry| need.wants_port(entry.local.port))
}
