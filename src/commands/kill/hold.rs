//! Takes hold of processes before anything is said of them.

use std::collections::{BTreeMap, BTreeSet};

use super::Aims;
use crate::analyse::stop::{Known, Why};
use crate::collect::control::{ControlError, Standing};
use crate::collect::{ProcessHandle, ancestors};
use crate::context::Context;
use crate::error::Error;
use crate::join;
use crate::model::{Container, Managed, Pid, Row, Snapshot};

/// A process that was taken hold of, or why not.
pub struct Hold {
    pub handle: Result<ProcessHandle, ControlError>,
    pub standing: Result<Standing, ControlError>,
}

/// The processes by their numbers.
pub type Held = BTreeMap<Pid, Hold>;

/// Looks that find new holders each time, before it is given up: then those are refused.
const MOST_LOOKS: usize = 6;

/// Looks until every holder of a socket that is meant was held before the last look began.
///
/// So what the last look tells of a number is told of the process that is held. And that nobody is there is said after
/// two looks (C4).
pub fn look(aims: &Aims, context: &Context) -> Result<(Snapshot, Held), Error> {
    let mut held = Held::new();
    let mut looks = 0;
    loop {
        let snapshot = context.source.snapshot(&Aims::need(true))?;
        looks += 1;
        let listing = join::listing(&snapshot, None);
        let chosen = aims.chosen(&listing);
        let pids: BTreeSet<Pid> = chosen.iter().flat_map(|row| row.processes.iter().map(|(pid, _)| *pid)).collect();
        let new: Vec<Pid> = pids.into_iter().filter(|pid| !held.contains_key(pid)).collect();
        if (new.is_empty() && looks > 1) || looks >= MOST_LOOKS {
            return Ok((snapshot, held));
        }
        held.extend(new.into_iter().map(|pid| (pid, hold(pid))));
    }
}

fn hold(pid: Pid) -> Hold {
    let handle = ProcessHandle::open(pid);
    let standing = match &handle {
        Ok(handle) => handle.standing(),
        Err(error) => Err(error.clone()),
    };
    Hold { handle, standing }
}

/// What is known of each process: whether it may be signalled, and still has one of its sockets.
pub fn known(held: &Held, meant: &[&Row<'_>]) -> BTreeMap<Pid, Known> {
    let ancestors = ancestors();
    let of = |(pid, hold): (&Pid, &Hold)| (*pid, judge(*pid, hold, meant, &ancestors));
    held.iter().map(of).collect()
}

fn judge(pid: Pid, hold: &Hold, meant: &[&Row<'_>], ancestors: &[Pid]) -> Known {
    let failed = |error: &ControlError| match error {
        ControlError::Gone => Known::Gone,
        ControlError::Refused => Known::Never(Why::Refused),
        error => Known::Never(Why::Unheld(error.to_string())),
    };
    if pid == Pid(1) {
        return Known::Never(Why::Init);
    }
    if pid == Pid(std::process::id()) {
        return Known::Never(Why::Itself);
    }
    if ancestors.contains(&pid) {
        return Known::Never(Why::Ancestor);
    }
    let (handle, standing) = match (&hold.handle, &hold.standing) {
        (Err(error), _) | (_, Err(error)) => return failed(error),
        (Ok(handle), Ok(standing)) => (handle, standing),
    };
    if standing.is_kernel {
        return Known::Never(Why::Kernel);
    }
    let its = || meant.iter().filter(|row| row.processes.iter().any(|(holder, _)| *holder == pid));
    let managed = || standing.managed.clone().map(|managed| by_name(managed, pid, its()));
    if standing.is_elsewhere {
        return Known::Never(Why::Elsewhere(managed()));
    }
    if standing.is_refused {
        return Known::Never(Why::Refused);
    }
    for row in its() {
        match handle.holds(row.socket) {
            Ok(true) => return Known::Plain(managed()),
            Ok(false) => {}
            Err(error) => return failed(&error),
        }
    }
    Known::Gone
}

/// A container by the name that its runtime gave, where it was asked: the process's cgroup tells the id alone.
fn by_name<'r>(managed: Managed, pid: Pid, rows: impl Iterator<Item = &'r &'r Row<'r>>) -> Managed {
    let process = rows.flat_map(|row| &row.processes).find(|(holder, _)| *holder == pid);
    let container = process.and_then(|(_, process)| process.as_ref()?.belonging.as_ref()?.container.as_ref());
    let is_it = |container: &&Container| {
        let nameless = Container { name: None, ..(*container).clone() };
        Managed::container(&nameless).as_ref() == Some(&managed)
    };
    container.filter(is_it).and_then(Managed::container).unwrap_or(managed)
}
