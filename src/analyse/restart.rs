//! What may start a process again after it was stopped.

use super::kill::{Plan, Victim};
use crate::model::{Managed, Pid, Process, Row};

/// What starts a process again, as far as is known before it does.
#[derive(Clone, Debug)]
pub enum Restarter<'v> {
    /// The manager of its unit or container.
    Manager(&'v Managed),
    /// The process that started it and still runs.
    Parent(Pid, &'v Process),
}

/// What may start a process again that is to be stopped; nothing where it has no manager and its parent ends with it.
pub fn restarter<'v>(victim: &'v Victim<'_, '_>, plan: &Plan<'_, '_>) -> Option<Restarter<'v>> {
    if let Some(managed) = &victim.managed {
        return Some(Restarter::Manager(managed));
    }
    let parent = victim.process?.parent.filter(|parent| *parent != Pid(1))?;
    if plan.victims.iter().any(|other| other.pid == parent) {
        return None;
    }
    let process = victim.meant.first()?.snapshot.processes.get(&parent)?;
    Some(Restarter::Parent(parent, process))
}

/// What has started a process that has the port now, where it is what may start one of those again that were stopped.
pub fn restarted_by<'v>(row: &Row<'_>, plan: &'v Plan<'_, '_>) -> Option<Restarter<'v>> {
    let parents = || row.processes.iter().filter_map(|(_, process)| process.as_ref()?.parent);
    plan.victims.iter().find_map(|victim| match restarter(victim, plan)? {
        Restarter::Parent(pid, _) if !parents().any(|parent| parent == pid) => None,
        found => Some(found),
    })
}
