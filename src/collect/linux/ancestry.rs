//! The processes that a process descends from.
//!
//! When a parent ends, its children get another parent and its number may be reused. So a process counts as the parent
//! only if the child still names its number after the parent's `/proc/PID` has been opened: had the parent ended before
//! that, the child would name another one.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use super::process_files::{Stat, open_process};
use crate::model::{Pid, Process};

/// How many generations are followed at most. There can be no cycle, but a user can make the chain arbitrarily long.
const MOST_GENERATIONS: usize = 100;
/// How many times a parent may change before the search ends.
const TRIES: usize = 8;

/// Describes the ancestors of the process behind the handle, its parent first, up to the first process that there is, or
/// that may be seen.
pub fn ancestors(directory: BorrowedFd<'_>, boot: Option<Duration>) -> Vec<Process> {
    let mut found: Vec<Process> = Vec::new();
    let mut parent = open_parent(directory);
    while let Some((pid, directory)) = parent.take().filter(|_| found.len() < MOST_GENERATIONS) {
        let Some(stat) = Stat::read(directory.as_fd()) else { break };
        if let Some(child) = found.last_mut() {
            child.parent = Some(pid);
        }
        found.push(stat.process(pid, boot));
        parent = open_parent(directory.as_fd());
    }
    found
}

/// Opens the parent of the process behind the handle; `None` when it has no visible parent.
fn open_parent(child: BorrowedFd<'_>) -> Option<(Pid, OwnedFd)> {
    let number = || Stat::read(child).map(|stat| Pid(stat.parent)).filter(|parent| parent.0 != 0);
    for _ in 0..TRIES {
        let parent = number()?;
        let directory = open_process(parent);
        if number()? == parent {
            return Some((parent, directory?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parent_comes_first_and_every_one_is_the_childs() {
        let own = open_process(Pid(std::process::id())).unwrap();
        let found = ancestors(own.as_fd(), None);
        let parent = rustix::process::getppid().map_or(0, |pid| pid.as_raw_nonzero().get().unsigned_abs());
        assert_eq!(found.first().map_or(0, |process| process.pid.0), parent);
        for pair in found.windows(2) {
            assert_eq!(pair[0].parent, Some(pair[1].pid), "{pair:?}");
        }
        assert_eq!(found.last().and_then(|process| process.parent), None, "{found:?}");
    }

    #[test]
    fn the_first_process_has_no_ancestors() {
        assert_eq!(ancestors(open_process(Pid(1)).unwrap().as_fd(), None), []);
    }
}
