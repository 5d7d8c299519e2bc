//! Reads the sockets of every port space that is asked for: finds the spaces, chooses, enters and reads them.

use std::io;

use super::choose::{Choice, Labels, check_names, choose};
use super::collection::Collection;
use super::container_names::ContainerNames;
use super::owners;
use super::procfs::Processes;
use super::redirects::Redirects;
use super::spaces::{self, Entered, Namespace};
use super::tables::{OWN_TABLES, Tables};
use crate::collect::CollectError;
use crate::collect::background::Background;
use crate::model::{Gap, Need, Socket, Space, SpaceChoice, SpaceId};
use crate::parallel;

/// A space whose sockets were listed.
pub struct Reading {
    /// The space.
    pub space: Space,
    /// Its tables, to list sockets again.
    pub tables: Tables,
    /// Its sockets.
    pub sockets: Vec<Socket>,
}

/// A space whose sockets could not be listed.
struct Unread {
    space: Space,
    tables: Tables,
    error: CollectError,
}

impl Unread {
    /// The gap that it leaves; nothing where the last process of the space has ended meanwhile.
    fn gap(self) -> Option<Gap> {
        let problem = self.error.to_string();
        (!self.tables.is_gone()).then_some(Gap::SocketTables { space: self.space.label, problem })
    }
}

impl Reading {
    fn of(space: Space, mut tables: Tables, need: &Need) -> Result<Reading, Box<Unread>> {
        match tables.sockets(need, &|_| true) {
            Ok(sockets) => Ok(Reading { space: Space { source: tables.source(), ..space }, tables, sockets }),
            Err(error) => Err(Box::new(Unread { space, tables, error })),
        }
    }
}

/// The search for other port spaces.
pub struct Search(Option<Background<io::Result<Vec<Namespace>>>>);

impl Search {
    /// Starts it in the background, where other spaces are asked for. Without a core for it, it is left until its result is
    /// asked for.
    pub fn start(need: &Need, processes: &Processes, has_core: bool) -> Search {
        Search((need.spaces != SpaceChoice::Own).then(|| {
            let (with_threads, processes) = (need.wants_every_space(), processes.clone());
            Background::start_if(has_core, move || spaces::find(with_threads, &processes))
        }))
    }
}

/// Lists the sockets of all spaces that are asked for; returns also every space that was found.
///
/// Without this process's own space, where that is asked for, there is no answer. What cannot be read of the others is a
/// gap and loses nothing of the rest.
pub fn read_all(
    own: &Space,
    search: Search,
    names: &mut ContainerNames,
    need: &Need,
) -> Result<(Collection, Vec<Namespace>), CollectError> {
    let mut collection = Collection::default();
    if need.wants_own(own) {
        let tables = Tables::open(own.id, vec![OWN_TABLES.into()]);
        collection.add(Reading::of(own.clone(), tables, need).map_err(|unread| unread.error)?);
    }
    let mut found = match search.0.map(Background::result) {
        None => return Ok((collection, Vec::new())),
        Some(Ok(found)) => found,
        Some(Err(error)) => {
            collection.gap(not_found(&error, own, need)?);
            return Ok((collection, Vec::new()));
        }
    };
    // Only root may look at the open files of every process.
    let sees_all = rustix::process::geteuid().is_root();
    let mut links = (sees_all && need.wants_every_space()).then(spaces::links);
    if let Some(links) = &mut links {
        found.extend(spaces::by_files(links, &found));
    }
    let mut labels = Labels::new(own);
    labels.name(&mut found, own, names);
    let hides_some = owners::leaves_out();
    if !hides_some {
        collection.count_processes(&found, own);
    }
    let mut left = usize::from(!need.wants_own(own));
    left += list(choose(&found, own, need), need, &mut collection);
    // Sockets of processes that are not listed by now may belong to a space that is not known yet.
    if let Some(links) = &mut links {
        let mut by_sockets = spaces::by_sockets(links, &collection.inodes(), &found);
        labels.distinguish(&mut by_sockets);
        left += list(choose(&by_sockets, own, need), need, &mut collection);
        found.extend(by_sockets);
        if links.in_flight() > 0 {
            collection.gap(Gap::SpacesInFlight { count: links.in_flight() });
        }
        if let Some(problem) = links.problem() {
            collection.gap(Gap::UnattendedSpaces { problem: problem.to_owned() });
        }
    }
    collection.further = Some(left);
    if hides_some {
        collection.gap(Gap::SpacesOfHiddenProcesses);
        collection.further = None;
    }
    check_names(&found, own, need)?;
    collection.require_some(need)?;
    Ok((collection, found))
}

/// The gap when the spaces could not be looked for; an error where one of them was asked for by name.
fn not_found(error: &io::Error, own: &Space, need: &Need) -> Result<Gap, CollectError> {
    let problem = error.to_string();
    if let SpaceChoice::Named(names) = &need.spaces
        && let Some(name) = names.iter().find(|name| !own.is_called(name))
    {
        return Err(CollectError::SpaceOutOfReach { names: name.clone(), problem });
    }
    Ok(Gap::SpacesNotFound { problem })
}

/// Enters and reads the spaces that were chosen; returns how many others there are.
fn list(choice: Choice<'_>, need: &Need, collection: &mut Collection) -> usize {
    let Choice { chosen, left } = choice;
    let opened = enter(&chosen, need);
    collection.redirects.extend(opened.redirects);
    if let Some(gap) = opened.refused {
        collection.gap(gap);
    }
    for read in read(opened.spaces, &chosen, need) {
        match read {
            Ok(reading) => collection.add(reading),
            Err(gap) => collection.gap(gap),
        }
    }
    left
}

/// What became of the spaces that were to be entered; those that have gone meanwhile are left out.
#[derive(Default)]
struct Opened {
    spaces: Vec<(Space, Tables)>,
    redirects: Vec<(SpaceId, Redirects)>,
    refused: Option<Gap>,
}

fn enter(chosen: &[&Namespace], need: &Need) -> Opened {
    let mut opened = Opened::default();
    let mut errors = Vec::new();
    for entered in spaces::enter(chosen, need) {
        match entered {
            Entered::Open(space, tables, redirects) => {
                opened.redirects.extend(redirects.map(|redirects| (space.id, redirects)));
                opened.spaces.push((*space, tables));
            }
            Entered::Gone => {}
            Entered::Refused(error) => errors.push(error),
        }
    }
    opened.refused = errors.last().map(|error| Gap::ClosedSpaces {
        count: errors.len(),
        // Under its mount point a space may be out of reach, and yet be listed through a process that lives in it.
        perhaps_listed: chosen.iter().any(|found| !found.has_own_id),
        refused: error.kind() == io::ErrorKind::PermissionDenied,
        problem: error.to_string(),
    });
    opened
}

/// Reads the spaces, the work shared among the cores, and returns them in the order in which they were chosen.
fn read(opened: Vec<(Space, Tables)>, chosen: &[&Namespace], need: &Need) -> Vec<Result<Reading, Gap>> {
    let workers = opened.len().div_ceil(4);
    let parts = parallel::share(opened, workers, |(space, tables), part: &mut Vec<_>| {
        part.push((space.id, Reading::of(space, tables, need)));
        Vec::new()
    });
    let mut read: Vec<_> = parts.into_iter().flatten().collect();
    read.sort_by_key(|(id, _)| chosen.iter().position(|found| found.space.id == *id));
    let result = |reading: Result<Reading, Box<Unread>>| {
        reading.map_or_else(|unread| unread.gap().map(Err), |read| Some(Ok(read)))
    };
    read.into_iter().filter_map(|(_, reading)| result(reading)).collect()
}
