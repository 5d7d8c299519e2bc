//! The port spaces that are listed, and what was read of each.

use std::collections::BTreeSet;
use std::io;

use super::container_names::ContainerNames;
use super::kernel_socket::KernelSocket;
use super::redirects::Redirects;
use super::spaces::{self, Entered, Namespace};
use super::tables::Tables;
use super::{owners, parallel};
use crate::collect::CollectError;
use crate::model::{Family, Gap, Inode, Missing, Need, Socket, SocketSource, Space, SpaceChoice, SpaceId, State};

/// What was listed so far.
#[derive(Default)]
pub struct Collection {
    /// The spaces.
    pub spaces: Vec<Space>,
    /// Their tables.
    pub tables: AllTables,
    /// Their sockets.
    pub sockets: Vec<Socket>,
    /// The ports of each space that are forwarded without a socket.
    pub redirects: Vec<(SpaceId, Redirects)>,
    /// Spaces that were found and not asked for; at least as many.
    pub further: Option<usize>,
    gaps: Vec<Gap>,
}

/// The tables of all listed spaces.
#[derive(Default)]
pub struct AllTables(Vec<Tables>);

impl AllTables {
    /// Lists these sockets as they are now, each in its own space.
    pub fn again(&mut self, in_doubt: &[Socket], need: &Need) -> Result<Vec<Socket>, CollectError> {
        let mut now = Vec::new();
        for tables in &mut self.0 {
            let of_space: Vec<Socket> =
                in_doubt.iter().filter(|socket| socket.space == tables.space()).cloned().collect();
            if of_space.is_empty() {
                continue;
            }
            let cookies: BTreeSet<Option<u64>> = of_space.iter().map(|socket| socket.cookie).collect();
            let wants = |entry: &KernelSocket| cookies.contains(&entry.cookie);
            now.extend(tables.sockets_unless_gone(&need.narrowed_to(&of_space), &wants)?);
        }
        Ok(now)
    }

    /// Lists the sockets of a space that wait and that nobody asked for: a port that has one is no port without.
    pub fn left_out(&mut self, space: SpaceId, need: &Need) -> Result<Vec<Socket>, CollectError> {
        let waiting = vec![State::Listen, State::Unconnected];
        let has_all = waiting.iter().all(|state| need.wants_state(*state)) && need.families.len() == Family::ALL.len();
        let tables = self.0.iter_mut().find(|tables| tables.space() == space);
        match tables.filter(|_| !has_all) {
            Some(tables) => {
                let need = Need { states: Some(waiting), families: Family::ALL.to_vec(), ..need.clone() };
                tables.sockets_unless_gone(&need, &|entry| need.wants_port(entry.local.port))
            }
            None => Ok(Vec::new()),
        }
    }
}

impl Collection {
    /// Lists a space without which there is no answer.
    pub fn add(&mut self, space: Space, mut tables: Tables, need: &Need) -> Result<(), CollectError> {
        // Usually the first and only space: its sockets are not moved.
        let mut sockets = std::mem::replace(&mut self.sockets, tables.sockets(need, &|_| true)?);
        self.sockets.append(&mut sockets);
        self.spaces.push(Space { source: tables.source(), ..space });
        self.tables.0.push(tables);
        Ok(())
    }

    /// Lists the other spaces that are asked for. What cannot be read is a gap and loses nothing of the others.
    pub fn add_others(
        &mut self,
        found: &mut Vec<Namespace>,
        names: &mut ContainerNames,
        own: &Space,
        need: &Need,
    ) -> Result<(), CollectError> {
        if need.spaces == SpaceChoice::Own {
            return Ok(());
        }
        let sees_all = rustix::process::geteuid().is_root();
        let with_kept = sees_all && need.wants_every_space();
        let mut links = with_kept.then(spaces::links);
        if let Some(links) = &mut links {
            found.extend(spaces::by_files(links, found));
        }
        names.ask_for(found);
        for found in found.iter_mut() {
            names.label(&mut found.space);
        }
        let mut taken = vec![own.label.clone()];
        let own_index = found.iter().take_while(|found| found.space.id == own.id).count();
        spaces::distinguish(&mut found[own_index..], &taken);
        taken.extend(found.iter().map(|found| found.space.label.clone()));
        if let Some(known) = found.iter().find(|found| found.space.id == own.id)
            && let Some(space) = self.spaces.first_mut()
        {
            space.processes = known.space.processes.filter(|_| !owners::leaves_out());
        }
        let mut others: Vec<&Namespace> = found.iter().filter(|found| found.space.id != own.id).collect();
        others.sort_by(|a, b| {
            let key = |found: &Namespace| (found.space.kind, found.space.label.clone(), found.space.id);
            key(a).cmp(&key(b))
        });
        let chosen: Vec<&Namespace> = others.iter().copied().filter(|found| need.wants(&found.space)).collect();
        self.enter(&chosen, need);
        let left: Vec<&Namespace> = others.iter().copied().filter(|found| !need.wants(&found.space)).collect();
        let mut further = at_least(&left) + usize::from(!need.wants_own(own));
        if let Some(links) = &mut links {
            let listed: BTreeSet<Inode> = self.sockets.iter().filter_map(|socket| socket.inode).collect();
            let mut kept = spaces::by_sockets(links, &listed, found);
            spaces::distinguish(&mut kept, &taken);
            let chosen: Vec<&Namespace> = kept.iter().filter(|found| need.wants(&found.space)).collect();
            self.enter(&chosen, need);
            further += kept.len() - chosen.len();
            found.extend(kept);
            if let Some(error) = links.problem() {
                self.gap(Gap::UnattendedSpaces { problem: error.to_owned() });
            }
        }
        self.further = Some(further);
        if owners::leaves_out() {
            self.gap(Gap::SpacesOfHiddenProcesses);
            self.further = None;
        }
        unknown_name(found, own, need)?;
        self.nothing_of(need)
    }

    fn enter(&mut self, chosen: &[&Namespace], need: &Need) {
        let mut opened = Vec::new();
        let mut refused = 0;
        let mut why = None;
        for entered in spaces::enter(chosen, need) {
            match entered {
                Entered::Open(space, tables, redirects) => {
                    self.redirects.extend(redirects.map(|redirects| (space.id, redirects)));
                    opened.push((*space, tables));
                }
                Entered::Gone => {}
                Entered::Refused(error) => {
                    refused += 1;
                    why = Some(error);
                }
            }
        }
        if let Some(error) = why {
            self.refused(chosen, refused, &error);
        }
        let workers = opened.len().div_ceil(4);
        let parts = parallel::share(opened, workers, |(space, mut tables), part: &mut Vec<_>| {
            let listed = tables.sockets(need, &|_| true);
            part.push((space, tables, listed));
            Vec::new()
        });
        let mut read: Vec<(Space, Tables, Result<Vec<Socket>, CollectError>)> = parts.into_iter().flatten().collect();
        read.sort_by_key(|(space, ..)| chosen.iter().position(|found| found.space.id == space.id));
        for (space, tables, listed) in read {
            match listed {
                Ok(sockets) => {
                    self.sockets.extend(sockets);
                    self.spaces.push(Space { source: tables.source(), ..space });
                    self.tables.0.push(tables);
                }
                // Its last process may have ended.
                Err(_) if tables.is_gone() => {}
                Err(error) => self.gap(Gap::SocketTables { space: space.label, problem: error.to_string() }),
            }
        }
    }

    /// Without any of the spaces that were asked for by name there is no answer.
    fn nothing_of(&self, need: &Need) -> Result<(), CollectError> {
        let SpaceChoice::Named(names) = &need.spaces else { return Ok(()) };
        let problem = self.gaps.iter().find_map(|gap| match gap {
            Gap::ClosedSpaces { problem, refused: true, .. } => {
                Some(format!("it cannot be entered ({problem}; it takes CAP_SYS_ADMIN)"))
            }
            Gap::ClosedSpaces { problem, .. } => Some(format!("it cannot be entered ({problem})")),
            Gap::UnattendedSpaces { problem } => Some(format!("open files were not all looked at: {problem}")),
            Gap::SpacesOfHiddenProcesses => Some("/proc hides the processes that live in it".to_owned()),
            _ => None,
        });
        match problem.filter(|_| self.spaces.is_empty()) {
            Some(problem) => Err(CollectError::SpaceOutOfReach { names: names.join(", "), problem }),
            None => Ok(()),
        }
    }

    fn gaps_of_redirects(&mut self) -> Vec<Gap> {
        merged(self.redirects.iter_mut().flat_map(|(_, redirects)| redirects.gaps.drain(..)))
    }

    fn refused(&mut self, chosen: &[&Namespace], refused: usize, error: &io::Error) {
        // Under its mount point a space may be out of reach, and yet be listed through a process that lives in it.
        let perhaps_listed = chosen.iter().filter(|found| !found.has_own_id).count();
        self.gap(Gap::ClosedSpaces {
            count: refused,
            perhaps_listed: perhaps_listed > 0,
            refused: error.kind() == io::ErrorKind::PermissionDenied,
            problem: error.to_string(),
        });
    }

    /// Notes what was not seen.
    pub fn gap(&mut self, gap: Gap) {
        self.gaps.push(gap);
    }

    /// Where the sockets of the first space were read.
    pub fn source(&self) -> SocketSource {
        self.tables.0.first().map_or(SocketSource::Netlink, Tables::source)
    }

    /// Everything that was not seen.
    pub fn all_gaps(&mut self) -> Vec<Gap> {
        let label = |tables: &Tables| self.spaces.iter().find(|space| space.id == tables.space());
        let of_tables = self.tables.0.iter().filter_map(|tables| Some(tables.gaps(&label(tables)?.label))).flatten();
        let of_tables = merged(of_tables);
        let mut gaps = std::mem::take(&mut self.gaps);
        gaps.extend(of_tables);
        gaps.extend(self.gaps_of_redirects());
        if self.further.is_none() && !gaps.iter().any(|gap| gap.missing() == Missing::Spaces) {
            gaps.push(Gap::OtherSpaces { wanted: false });
        }
        gaps
    }
}

/// How many these are: one that is mounted may be one that is known by its processes alone.
fn at_least(found: &[&Namespace]) -> usize {
    let mounted = found.iter().filter(|found| found.pids.is_empty()).count();
    let by_processes = found.iter().filter(|found| !found.has_own_id).count();
    found.len() - mounted.min(by_processes)
}

/// A name that is nobody's is a mistake, not an empty answer.
fn unknown_name(found: &[Namespace], own: &Space, need: &Need) -> Result<(), CollectError> {
    let SpaceChoice::Named(names) = &need.spaces else { return Ok(()) };
    let known = || std::iter::once(own).chain(found.iter().map(|found| &found.space));
    match names.iter().find(|name| !known().any(|space| space.is_called(name))) {
        None => Ok(()),
        Some(name) => {
            let mut labels: Vec<&str> = known().map(|space| space.label.as_str()).collect();
            labels.sort_unstable();
            labels.dedup();
            Err(CollectError::NoSuchSpace { name: name.clone(), known: labels.join(", ") })
        }
    }
}

/// One gap for many spaces that have the same.
fn merged(gaps: impl Iterator<Item = Gap>) -> Vec<Gap> {
    let mut merged: Vec<Gap> = Vec::new();
    for gap in gaps {
        if !merged.iter_mut().any(|same| same.absorb(&gap)) {
            merged.push(gap);
        }
    }
    merged
}
