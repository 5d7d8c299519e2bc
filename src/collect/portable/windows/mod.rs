//! What Windows reports besides sockets and processes: the dynamic and the excluded port ranges, and the services that
//! run in each process.

pub mod accounts;
mod services;

use std::collections::BTreeMap;
use std::time::Duration;

use super::netsh;
use crate::collect::background::Background;
use crate::collect::helper::{self, HelperError};
use crate::model::{Belonging, Gap, Need, Pid, PortRange, Process, Protocol, Snapshot, Space};

/// How long `netsh` may take. It starts slowly, and runs while sockets and processes are listed.
const PATIENCE: Duration = Duration::from_secs(2);

const NETSH: &str = "netsh";

/// Questions that were asked in the background.
pub struct Facts {
    ranges: Option<Ranges>,
}

/// The process of the system itself, which holds the ports of drivers and cannot be inspected by anyone.
const SYSTEM: Pid = Pid(4);

impl Facts {
    /// Starts asking.
    pub fn ask(need: &Need) -> Facts {
        Facts { ranges: need.helpers.then(Ranges::ask) }
    }

    /// Waits for the answers and adds them.
    pub fn join(self, mut snapshot: Snapshot, need: &Need) -> Snapshot {
        let missing = match (self.ranges, snapshot.spaces.first_mut()) {
            (Some(ranges), Some(space)) => ranges.join(space),
            _ => vec![Gap::PortRangesNotAsked],
        };
        snapshot.gaps.extend(missing);
        // Windows has no privileged ports.
        snapshot.spaces.iter_mut().for_each(|space| space.unprivileged_start = Some(0));
        if !snapshot.processes.is_empty() {
            match services::running() {
                Ok(services) => name_services(&mut snapshot.processes, &services),
                Err(error) => snapshot.gaps.push(Gap::ServiceNames { problem: error.to_string() }),
            }
        }
        if need.exe || need.argv || need.dossier {
            snapshot.gaps.extend(closed(&snapshot.processes));
        }
        snapshot
    }
}

/// One process may run several services.
fn name_services(processes: &mut BTreeMap<Pid, Process>, services: &BTreeMap<Pid, Vec<String>>) {
    for (pid, names) in services {
        if let Some(process) = processes.get_mut(pid) {
            process.belonging = Some(Belonging {
                unit: Some(names.join(", ")),
                origin: crate::model::Origin::Manager,
                ..Belonging::default()
            });
        }
    }
}

/// Processes that this user may not open; their names are known all the same.
fn closed(processes: &BTreeMap<Pid, Process>) -> Option<Gap> {
    let count = processes.values().filter(|process| process.exe.is_none() && process.pid != SYSTEM).count();
    (count > 0).then_some(Gap::ClosedProcesses { count })
}

/// The answer to one question, once it is there.
type Answer<T> = Background<Result<T, HelperError>>;

/// The questions to `netsh`, all at once.
struct Ranges {
    dynamic: [Answer<PortRange>; 2],
    excluded: [Answer<Vec<PortRange>>; 2],
}

impl Ranges {
    fn ask() -> Ranges {
        Ranges {
            dynamic: Protocol::REGISTERED.map(|protocol| ask("dynamicportrange", protocol, netsh::dynamic_range)),
            excluded: Protocol::REGISTERED.map(|protocol| ask("excludedportrange", protocol, netsh::excluded_ranges)),
        }
    }

    /// Adds the answers to the space; returns what is not known or could mislead as gaps.
    fn join(self, space: &mut Space) -> Vec<Gap> {
        let mut gaps = Vec::new();
        let [tcp, udp] = self.dynamic.map(Background::result);
        match (tcp, udp) {
            (Ok(tcp), Ok(udp)) if tcp != udp => {
                gaps.push(Gap::UdpRangeDiffers { first: udp.first().get(), last: udp.last().get() });
                space.ephemeral = Some(tcp);
            }
            (Ok(tcp), _) => space.ephemeral = Some(tcp),
            (Err(error), _) => gaps.push(Gap::EphemeralRange { problem: error.to_string() }),
        }
        // A port may be excluded for one protocol only; it is treated as reserved for both, because a free port should
        // be usable for either.
        match self.excluded.map(Background::result).into_iter().collect::<Result<Vec<_>, _>>() {
            Ok(of_both) => space.reserved = Some(netsh::united(of_both.concat())),
            Err(error) => gaps.push(Gap::ReservedPorts { problem: error.to_string() }),
        }
        gaps
    }
}

fn ask<T: Send + 'static>(what: &'static str, protocol: Protocol, parse: fn(&[u8]) -> Option<T>) -> Answer<T> {
    Background::start(move || {
        let failed =
            |error: std::io::Error| HelperError::Failed { program: NETSH.to_owned(), problem: error.to_string() };
        let folder = services::system_folder().map_err(failed)?;
        let path = folder.join("netsh.exe");
        if !path.is_file() {
            return Err(HelperError::Missing(NETSH));
        }
        let root = folder.parent().unwrap_or(&folder).as_os_str();
        let text = helper::run(
            &path,
            &["interface", "ipv4", "show", what, protocol.name()],
            &[("SystemRoot", root)],
            PATIENCE,
        )?;
        parse(&text).ok_or_else(|| HelperError::Malformed(NETSH.to_owned()))
    })
}
