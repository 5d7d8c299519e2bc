//! The native backend: sockets by netlink, holders by the kernel's iterator or by /proc, details through /proc.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::SystemTime;

use super::collection::Collection;
use super::container_names::ContainerNames;
use super::redirects::{self, Redirects};
use super::tables::Tables;
use super::{activation, cgroup, counters, forwards, host, owners, process, spaces, users, whose};
use crate::collect::background::Background;
use crate::collect::{CollectError, hidden_owners};
use crate::model::{Backend, Gap, Need, Scope, Snapshot, Socket, SpaceChoice, State, Uid};

/// Collects sockets, their holders, and what is known of these.
pub fn snapshot(need: &Need) -> Result<Snapshot, CollectError> {
    let captured_at = SystemTime::now();
    let mut own = spaces::current();
    if need.counters {
        own.listen_overflows = counters::listen_overflows(Path::new("/proc/thread-self/net"));
    }
    let mut finder = owners::Finder::start(need);
    let looking = (need.spaces != SpaceChoice::Own).then(|| Background::start(spaces::find));
    let wants_redirects = need.wants_state(State::Redirect);
    let for_redirects = (wants_redirects && need.wants_own(&own)).then(|| need.clone());
    let redirects = for_redirects.map(|need| Background::start(move || redirects::read(&need)));
    let mut collection = Collection::default();
    if need.wants_own(&own) {
        let tables = Tables::open(own.id, vec!["/proc/thread-self/net".into()]);
        collection.add(own.clone(), tables, need)?;
    }
    let mut names = ContainerNames::new(need.helpers);
    let mut found = Vec::new();
    match looking.map(Background::result) {
        None => {}
        Some(Ok(others)) => {
            found = others;
            collection.add_others(&mut found, &mut names, &own, need)?;
        }
        Some(Err(error)) => {
            if let SpaceChoice::Named(names) = &need.spaces
                && let Some(name) = names.iter().find(|name| !own.is_called(name))
            {
                return Err(CollectError::SpaceOutOfReach { names: name.clone(), problem: error.to_string() });
            }
            collection.gap(Gap::SpacesNotFound { problem: error.to_string() });
        }
    }
    // Only now: the sockets of every port tell which of the kept spaces have been listed.
    collection.sockets.retain(|socket| need.wants_port(socket.local.port));
    let (coverage, facts) =
        owners::assign(&mut collection.sockets, &mut finder, |in_doubt| collection.tables.again(in_doubt, need))?;
    let whose = whose::Looking::start(&collection.sockets, need);
    let mut processes = process::describe(&collection.sockets, need, &facts);
    let mut cgroups = cgroup::belongings(&collection.sockets.iter().filter_map(|socket| socket.cgroup).collect());
    if let Some(redirects) = redirects {
        collection.redirects.insert(0, (own.id, redirects.result()));
    }
    if !wants_redirects {
        collection.redirects = vec![(own.id, Redirects::not_wanted())];
    }
    forwards::add(&mut collection, &processes, &own, &found, &mut names, need)?;
    names.name_all(&mut processes, &mut cgroups);
    if need.helpers {
        activation::name(&mut collection.sockets, &processes);
    }
    let made_by = collection.sockets.iter().filter_map(|socket| socket.uid);
    let uids: BTreeSet<Uid> = made_by.chain(processes.values().filter_map(|process| process.uid)).collect();
    let mut gaps = hidden_owners(&collection.sockets, Some(&coverage));
    gaps.extend(collection.all_gaps());
    gaps.extend(names.gaps());
    let (users, unknown_users) = users::names(&uids);
    gaps.extend(unknown_users);
    if let Some(whose) = whose {
        whose.finish(&mut processes);
    }
    if need.project {
        whose::prefer_compose(&mut processes);
    }
    Ok(Snapshot {
        host: host::describe(captured_at),
        backend: Backend::Native,
        scope: Scope::of(need),
        socket_source: collection.source(),
        owner_source: finder.source(),
        owner_fallback: finder.failure().map(ToString::to_string),
        users,
        cgroups,
        further_spaces: collection.further,
        own: own.id,
        spaces: collection.spaces,
        sockets: collection.sockets,
        processes,
        gaps,
        saved: None,
        warnings: Vec::new(),
    })
}

/// Lists the sockets of this network namespace alone, their holders not looked for.
pub fn sockets(need: &Need) -> Result<Vec<Socket>, CollectError> {
    let mut tables = Tables::open(spaces::current().id, vec!["/proc/thread-self/net".into()]);
    tables.sockets(need, &|entry| need.wants_port(entry.local.port))
}
