//! The port spaces that are listed, and what was read of each.

use std::collections::{BTreeMap, BTreeSet};

use super::reading::Reading;
use super::redirects::Redirects;
use super::spaces::Namespace;
use super::tables::Tables;
use crate::collect::CollectError;
use crate::collect::background::Background;
use crate::model::{self, Family, Gap, Inode, Missing, Need, Socket, SocketSource, Space, SpaceChoice, SpaceId, State};

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
            if !of_space.is_empty() {
                now.extend(tables.again(&of_space, need)?);
            }
        }
        Ok(now)
    }

    /// Lists the waiting sockets of a space that `need` leaves out, so that a redirect on a port that has one gets no
    /// row of its own.
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
    /// Adds a space that was read.
    pub fn add(&mut self, reading: Reading) {
        if self.sockets.is_empty() {
            // Usually this is the only space: its sockets are not moved.
            self.sockets = reading.sockets;
        } else {
            self.sockets.extend(reading.sockets);
        }
        self.spaces.push(reading.space);
        self.tables.0.push(reading.tables);
    }

    /// Adds how many processes live in the space of this process, where that is known.
    pub fn count_processes(&mut self, found: &[Namespace], own: &Space) {
        let known = found.iter().find(|found| found.space.id == own.id);
        if let (Some(known), Some(space)) = (known, self.spaces.first_mut()) {
            space.processes = known.space.processes;
        }
    }

    /// The inodes of the sockets that are listed.
    pub fn inodes(&self) -> BTreeSet<Inode> {
        self.sockets.iter().filter_map(|socket| socket.inode).collect()
    }

    /// Fails when none of the spaces that were asked for by name could be read.
    pub fn require_some(&self, need: &Need) -> Result<(), CollectError> {
        let SpaceChoice::Named(names) = &need.spaces else { return Ok(()) };
        let problem = self.gaps.iter().find_map(|gap| match gap {
            Gap::ClosedSpaces { problem, refused: true, .. } => {
                Some(format!("cannot enter it ({problem}; requires CAP_SYS_ADMIN)"))
            }
            Gap::ClosedSpaces { problem, .. } => Some(format!("cannot enter it ({problem})")),
            Gap::UnattendedSpaces { problem } => Some(format!("not all open files were inspected: {problem}")),
            Gap::SpacesOfHiddenProcesses => Some("/proc hides the processes that run in it".to_owned()),
            _ => None,
        });
        match problem.filter(|_| self.spaces.is_empty()) {
            Some(problem) => Err(CollectError::SpaceOutOfReach { names: names.join(", "), problem }),
            None => Ok(()),
        }
    }

    /// What the rules of each listed space do, where there are some.
    pub fn known_redirects(&mut self) -> BTreeMap<SpaceId, model::Redirects> {
        let known = self.redirects.iter_mut().map(|(space, redirects)| (*space, std::mem::take(&mut redirects.known)));
        known.filter(|(_, known)| *known != model::Redirects::default()).collect()
    }

    fn gaps_of_redirects(&mut self) -> Vec<Gap> {
        merged(self.redirects.iter_mut().flat_map(|(_, redirects)| redirects.gaps.drain(..)))
    }

    /// Adds the redirects of this process's own space, which were read meanwhile.
    pub fn add_redirects(&mut self, own: SpaceId, redirects: Option<Background<Redirects>>, need: &Need) {
        if let Some(redirects) = redirects {
            self.redirects.insert(0, (own, redirects.result()));
        }
        if !need.wants_state(State::Redirect) {
            self.redirects = vec![(own, Redirects::not_wanted())];
        }
    }

    /// Adds a gap.
    pub fn gap(&mut self, gap: Gap) {
        self.gaps.push(gap);
    }

    /// Where the sockets of the first space were read.
    pub fn source(&self) -> SocketSource {
        self.tables.0.first().map_or(SocketSource::Netlink, Tables::source)
    }

    /// Returns all gaps.
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

/// Merges the same gaps of many spaces into one.
fn merged(gaps: impl Iterator<Item = Gap>) -> Vec<Gap> {
    let mut merged: Vec<Gap> = Vec::new();
    for gap in gaps {
        if !merged.iter_mut().any(|same| same.absorb(&gap)) {
            merged.push(gap);
        }
    }
    merged
}
