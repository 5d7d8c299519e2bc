//! Opens a handle for each process before anything is reported about it.

use std::collections::{BTreeMap, BTreeSet};

use crate::analyse::kill::{Known, Obstacle};
use crate::analyse::targets::PortTargets;
use crate::collect::control::{ControlError, Standing};
use crate::collect::{ProcessHandle, ancestors};
use crate::context::Context;
use crate::error::Error;
use crate::join;
use crate::model::{Container, Managed, Pid, Row, Snapshot};

/// A process for which a handle was opened, or why not.
pub struct Held {
    pub handle: Result<ProcessHandle, ControlError>,
    pub standing: Result<Standing, ControlError>,
}

/// The handles by process number.
pub type Handles = BTreeMap<Pid, Held>;

/// Looks that find new holders each time, before it is given up: then those are refused.
const MOST_LOOKS: usize = 6;

/// Looks until every holder of a socket that is meant was held before the last look began.
///
/// So what the last look says about a process number is true of the process that is held. Two looks are needed to say
/// that no process is there.
pub fn look(targets: &PortTargets, context: &Context) -> Result<(Snapshot, Handles), Error> {
    let mut handles = Handles::new();
    let mut looks = 0;
    loop {
        let snapshot = context.source.snapshot(&PortTargets::need(true))?;
        looks += 1;
        let listing = join::listing(&snapshot, None);
        let chosen = targets.chosen(&listing);
        let pids: BTreeSet<Pid> = chosen.iter().flat_map(|row| row.processes.iter().map(|(pid, _)| *pid)).collect();
        let new: Vec<Pid> = pids.into_iter().filter(|pid| !handles.contains_key(pid)).collect();
        if (new.is_empty() && looks > 1) || looks >= MOST_LOOKS {
            return Ok((snapshot, handles));
        }
        handles.extend(new.into_iter().map(|pid| (pid, open(pid))));
    }
}

fn open(pid: Pid) -> Held {
    let handle = ProcessHandle::open(pid);
    let standing = match &handle {
        Ok(handle) => handle.standing(),
        Err(error) => Err(error.clone()),
    };
    Held { handle, standing }
}

/// What is known of each process: whether it may be signalled, and still has one of its sockets.
pub fn known(handles: &Handles, meant: &[&Row<'_>]) -> BTreeMap<Pid, Known> {
    let ancestors = ancestors();
    let of = |(pid, held): (&Pid, &Held)| (*pid, judge(*pid, held, meant, &ancestors));
    handles.iter().map(of).collect()
}

fn judge(pid: Pid, held: &Held, meant: &[&Row<'_>], ancestors: &[Pid]) -> Known {
    let failed = |error: &ControlError| match error {
        ControlError::Gone => Known::Gone,
        ControlError::Refused => Known::Never(Obstacle::Refused),
        error => Known::Never(Obstacle::Unheld(error.to_string())),
    };
    if pid == Pid(1) {
        return Known::Never(Obstacle::Init);
    }
    if pid == Pid(std::process::id()) {
        return Known::Never(Obstacle::Itself);
    }
    if ancestors.contains(&pid) {
        return Known::Never(Obstacle::Ancestor);
    }
    let (handle, standing) = match (&held.handle, &held.standing) {
        (Err(error), _) | (_, Err(error)) => return failed(error),
        (Ok(handle), Ok(standing)) => (handle, standing),
    };
    if standing.is_kernel {
        return Known::Never(Obstacle::Kernel);
    }
    let its = || meant.iter().filter(|row| row.processes.iter().any(|(holder, _)| *holder == pid));
    let managed = || standing.managed.clone().map(|managed| by_name(managed, pid, its()));
    if standing.is_elsewhere {
        return Known::Never(Obstacle::Elsewhere(managed()));
    }
    if standing.is_refused {
        return Known::Never(Obstacle::Refused);
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
        nameless.proved().and_then(|proved| Managed::container(&proved)).as_ref() == Some(&managed)
    };
    let proved = container.filter(is_it).and_then(Container::proved);
    proved.and_then(|proved| Managed::container(&proved)).unwrap_or(managed)
}
