//! Processes and the host through sysinfo; no other file names that crate.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, System, UpdateKind};

use crate::model::{Host, Pid, Process, Uid};

/// Describes the processes; those that have ended are left out.
pub fn details(pids: &BTreeSet<Pid>, argv: bool) -> Result<BTreeMap<Pid, Process>, sysinfo::Error> {
    let wanted: Vec<sysinfo::Pid> = pids.iter().map(|pid| sysinfo::Pid::from_u32(pid.0)).collect();
    let mut kind = ProcessRefreshKind::nothing()
        .without_tasks()
        .with_exe(UpdateKind::OnlyIfNotSet)
        .with_user(UpdateKind::OnlyIfNotSet);
    if argv {
        kind = kind.with_cmd(UpdateKind::OnlyIfNotSet);
    }
    let mut system = System::new()?;
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&wanted), false, kind);
    let described = |pid: &Pid| Some((*pid, process(*pid, system.process(sysinfo::Pid::from_u32(pid.0))?, argv)));
    Ok(pids.iter().filter_map(described).collect())
}

fn process(pid: Pid, process: &sysinfo::Process, argv: bool) -> Process {
    let started = Some(process.start_time()).filter(|seconds| *seconds > 0);
    Process {
        pid,
        parent: process.parent().map(|parent| Pid(parent.as_u32())).filter(|parent| parent.0 != 0),
        name: Some(process.name().to_owned()),
        exe: process.exe().map(std::path::Path::to_owned),
        argv: argv.then(|| process.cmd().to_vec()),
        started_at: started.map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds)),
        uid: effective_uid(process),
        belonging: None,
    }
}

#[cfg(unix)]
fn effective_uid(process: &sysinfo::Process) -> Option<Uid> {
    process.effective_user_id().or(process.user_id()).map(|uid| Uid(**uid))
}

#[cfg(not(unix))]
fn effective_uid(_: &sysinfo::Process) -> Option<Uid> {
    None
}

/// Describes the machine.
pub fn host(captured_at: SystemTime, boot_id: Option<String>) -> Host {
    Host {
        name: System::host_name().ok(),
        os: System::long_os_version().ok(),
        kernel: System::kernel_version().ok(),
        boot_id,
        captured_at,
    }
}
