//! The native backend: sockets by netlink, holders by the kernel's iterator or by /proc, details through /proc.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use super::container_names::ContainerNames;
use super::control::can_destroy;
use super::holdings::Holdings;
use super::opened::Handles;
use super::owners::ProcessFacts;
use super::reading::{self, Search};
use super::redirects::{self, Redirects};
use super::tables::{self, OWN_TABLES, Tables};
use super::{activation, cgroup, counters, forwards, host, owners, process, procfs, spaces, users, whose};
use crate::collect::background::Background;
use crate::collect::{CollectError, hidden_owners, unknown_traffic};
use crate::model::{
    Backend, Belonging, Need, Pid, Process, Scope, Snapshot, Socket, SocketSource, Space, Stage, State, Stopwatch, Uid,
};

/// Collects sockets, their holders, and what is known of these.
///
/// Each step hands its result to the next one; what needs nothing of the others goes on in the background meanwhile.
pub fn snapshot(need: &Need) -> Result<Snapshot, CollectError> {
    let mut stopwatch = Stopwatch::since(Instant::now());
    let captured_at = SystemTime::now();
    // What takes longest on a host with few sockets comes first. Where the sockets are listed on every core, nothing else goes
    // on meanwhile: threads that share a core wait for each other.
    let has_core = !tables::takes_every_core(need);
    let processes = procfs::Processes::default();
    let search = Search::start(need, &processes, has_core);
    let own = own_space(need);
    let mut finder = owners::Finder::start(need, &processes, has_core);
    let redirects = redirects_of(&own, need);
    let mut names = ContainerNames::new(need.helpers);

    let (mut collection, namespaces) = reading::read_all(&own, search, &mut names, need)?;
    stopwatch.end(Stage::Sockets);
    // Sockets on other ports were needed until here, because the search for further spaces skips sockets that are
    // listed.
    if need.ports.is_some() {
        collection.sockets.retain(|socket| need.wants_ends(socket.local, socket.peer));
    }
    let (coverage, facts) =
        owners::assign(&mut collection.sockets, &mut finder, |in_doubt| collection.tables.again(in_doubt, need))?;
    stopwatch.end(Stage::Owners);
    let mut owners = Owners::describe(&collection.sockets, &facts, need);
    collection.add_redirects(own.id, redirects, need);
    forwards::add(&mut collection, &owners.processes, &own, &namespaces, &mut names, need)?;
    owners.annotate(&mut collection.sockets, &mut names, need);

    let run_as = owners.processes.values().filter_map(|process| process.uid);
    let (users, unknown_users) = users::names(&owners.made_by.iter().copied().chain(run_as).collect());
    let mut gaps = hidden_owners(&collection.sockets, Some(&coverage));
    gaps.extend(unknown_traffic(&collection.sockets, need, collection.source() == SocketSource::Netlink));
    gaps.extend(collection.all_gaps());
    gaps.extend(names.gaps());
    gaps.extend(unknown_users);
    let host = host::describe(captured_at);
    stopwatch.end(Stage::Details);
    Ok(Snapshot {
        host,
        backend: Backend::Native,
        scope: Scope::of(need),
        socket_source: collection.source(),
        owner_source: finder.source(),
        owner_fallback: finder.failure().map(ToString::to_string),
        users,
        cgroups: owners.cgroups,
        further_spaces: collection.further,
        redirects: collection.known_redirects(),
        saved_reachability: BTreeMap::new(),
        own: own.id,
        spaces: collection.spaces,
        sockets: collection.sockets,
        processes: owners.processes,
        gaps,
        saved: None,
        warnings: Vec::new(),
        stages: stopwatch.finish(),
    })
}

/// Describes the port space of this process.
fn own_space(need: &Need) -> Space {
    let own = spaces::current();
    let listen_overflows = if need.counters { counters::listen_overflows(Path::new(OWN_TABLES)) } else { None };
    Space { listen_overflows, ..own }
}

/// Starts to read the redirects of this process's own space, where they are needed.
fn redirects_of(own: &Space, need: &Need) -> Option<Background<Redirects>> {
    let is_needed = need.wants_state(State::Redirect) && need.wants_own(own);
    is_needed.then(|| {
        let need = need.clone();
        let work = move || redirects::read(&need);
        // Without the right to read them, which is the same one, the kernel refuses at once.
        Background::start_if(can_destroy().is_ok(), work)
    })
}

/// What is known of the processes that hold the sockets, and of the cgroups that made them.
struct Owners {
    processes: BTreeMap<Pid, Process>,
    cgroups: BTreeMap<u64, Belonging>,
    /// The users that made the sockets.
    made_by: BTreeSet<Uid>,
    /// What is read in the background until the end.
    whose: Option<whose::Looking>,
}

impl Owners {
    fn describe(sockets: &[Socket], facts: &ProcessFacts, need: &Need) -> Owners {
        let mut holdings = Holdings::of(sockets);
        if process::opens(need) && (need.runs || need.project) {
            holdings.handles = Arc::new(Handles::of(holdings.processes.len()));
        }
        let whose = whose::Looking::start(&holdings, facts, need);
        let processes = process::describe(&holdings, need, facts);
        let cgroups = cgroup::belongings(&holdings.cgroups);
        Owners { processes, cgroups, made_by: holdings.users, whose }
    }

    /// Adds what other programs know, and what was read in the background.
    fn annotate(&mut self, sockets: &mut [Socket], names: &mut ContainerNames, need: &Need) {
        names.name_all(&mut self.processes, &mut self.cgroups);
        if need.helpers {
            activation::name(sockets, &self.processes);
        }
        if let Some(whose) = self.whose.take() {
            whose.finish(&mut self.processes);
        }
        if need.project {
            whose::prefer_compose(&mut self.processes);
        }
    }
}

/// Lists the sockets of this network namespace alone, their holders not looked for.
pub fn sockets(need: &Need) -> Result<Vec<Socket>, CollectError> {
    let mut tables = Tables::open(spaces::current().id, vec![OWN_TABLES.into()]);
    tables.sockets(need, &|entry| need.wants_ends(entry.local, Some(entry.peer)))
}
