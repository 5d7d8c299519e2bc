//! Which of the port spaces that were found are listed, and how each is called.

use super::container_names::ContainerNames;
use super::spaces::{self, Namespace};
use crate::collect::CollectError;
use crate::model::{Need, Space, SpaceChoice};

/// The labels that spaces have so far. No two spaces have the same one.
pub struct Labels(Vec<String>);

impl Labels {
    /// The label of this process's own space, which stays as it is.
    pub fn new(own: &Space) -> Labels {
        Labels(vec![own.label.clone()])
    }

    /// Names the spaces after their containers where their engines know these, and so that no label is used twice. The
    /// space of this process comes first, if it is one of them.
    pub fn name(&mut self, found: &mut [Namespace], own: &Space, names: &mut ContainerNames) {
        names.ask_for(found);
        for found in found.iter_mut() {
            names.label(&mut found.space);
        }
        let others = found.iter().take_while(|found| found.space.id == own.id).count();
        self.distinguish(&mut found[others..]);
    }

    /// Changes the labels that are used already.
    pub fn distinguish(&mut self, found: &mut [Namespace]) {
        spaces::distinguish(found, &self.0);
        self.0.extend(found.iter().map(|found| found.space.label.clone()));
    }
}

/// The spaces to list, and how many others there are.
pub struct Choice<'a> {
    /// Those to list, in the order of the listing.
    pub chosen: Vec<&'a Namespace>,
    /// How many were found and are not to be listed; there may be more.
    pub left: usize,
}

/// Chooses the spaces that are asked for among those that are not this process's own.
pub fn choose<'a>(found: &'a [Namespace], own: &Space, need: &Need) -> Choice<'a> {
    let others = found.iter().filter(|found| found.space.id != own.id);
    let (mut chosen, left): (Vec<_>, Vec<_>) = others.partition(|found| need.wants(&found.space));
    chosen.sort_by(|a, b| {
        let key = |found: &'a Namespace| (found.space.kind, found.space.label.as_str(), found.space.id);
        key(a).cmp(&key(b))
    });
    Choice { chosen, left: at_least(&left) }
}

/// How many spaces these are: one that is mounted may be one that is known by its processes alone.
fn at_least(found: &[&Namespace]) -> usize {
    let mounted = found.iter().filter(|found| found.pids.is_empty()).count();
    let by_processes = found.iter().filter(|found| !found.has_own_id).count();
    found.len() - mounted.min(by_processes)
}

/// Fails when a name was asked for that no space has: that is a mistake, not an empty answer.
pub fn check_names(found: &[Namespace], own: &Space, need: &Need) -> Result<(), CollectError> {
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
