//! Processes and the host through sysinfo; no other file names that crate.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, System, UpdateKind};

use crate::collect::runs;
use crate::model::{Host, Need, Pid, Process, Uid};

/// Describes the processes, and where that is needed those that they descend from; those that have ended are left out.
pub fn details(pids: &BTreeSet<Pid>, need: &Need) -> BTreeMap<Pid, Process> {
    let mut kind = ProcessRefreshKind::nothing()
        .without_tasks()
        .with_exe(UpdateKind::OnlyIfNotSet)
        .with_user(UpdateKind::OnlyIfNotSet);
    if need.argv || need.runs {
        kind = kind.with_cmd(UpdateKind::OnlyIfNotSet);
    }
    if need.dossier || need.project {
        kind = kind.with_cwd(UpdateKind::OnlyIfNotSet);
    }
    let mut described = BTreeMap::new();
    let Ok(mut system) = System::new() else { return described };
    let accounts = Accounts::default();
    let mut wanted = pids.clone();
    while !wanted.is_empty() {
        let ids: Vec<sysinfo::Pid> = wanted.iter().map(|pid| sysinfo::Pid::from_u32(pid.0)).collect();
        system.refresh_processes_specifics(ProcessesToUpdate::Some(&ids), false, kind);
        let found =
            |pid: &Pid| Some((*pid, process(*pid, system.process(sysinfo::Pid::from_u32(pid.0))?, &accounts, need)));
        let generation: BTreeMap<Pid, Process> = wanted.iter().filter_map(found).collect();
        let parents = generation.values().filter_map(|process| process.parent);
        wanted = if need.dossier { parents.collect() } else { BTreeSet::new() };
        described.extend(generation);
        // The walk ends at a process that is known already, so a reused number cannot make it loop.
        wanted.retain(|parent| !described.contains_key(parent));
    }
    forget_strangers(&mut described);
    described
}

/// Windows keeps the parent's number after the parent has ended. A process that has this number now but started later
/// than the child is not the parent.
fn forget_strangers(described: &mut BTreeMap<Pid, Process>) {
    let started: BTreeMap<Pid, Option<SystemTime>> =
        described.values().map(|process| (process.pid, process.started_at)).collect();
    for process in described.values_mut() {
        let parent_started = process.parent.and_then(|parent| started.get(&parent).copied().flatten());
        if parent_started.zip(process.started_at).is_some_and(|(parent, child)| parent > child) {
            process.parent = None;
        }
    }
}

fn process(pid: Pid, process: &sysinfo::Process, accounts: &Accounts, need: &Need) -> Process {
    let started = Some(process.start_time()).filter(|seconds| *seconds > 0);
    Process {
        pid,
        parent: process.parent().map(|parent| Pid(parent.as_u32())).filter(|parent| parent.0 != 0),
        name: Some(process.name().to_owned()),
        exe: process.exe().map(std::path::Path::to_owned),
        argv: need.argv.then(|| process.cmd().to_vec()),
        runs: runs::runs(process.cmd()),
        project: None,
        cwd: process.cwd().map(std::path::Path::to_owned),
        exe_deleted: None,
        executable: None,
        started_at: started.map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds)),
        uid: effective_uid(process),
        account: accounts.of(process),
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

/// The names of accounts that were asked for.
#[derive(Default)]
struct Accounts {
    #[cfg(windows)]
    known: std::cell::RefCell<BTreeMap<String, String>>,
}

impl Accounts {
    /// Users have numbers here.
    #[cfg(not(windows))]
    #[expect(clippy::unused_self, reason = "Windows asks for names")]
    fn of(&self, _: &sysinfo::Process) -> Option<String> {
        None
    }

    /// The account of the process's token: its name, else its SID.
    #[cfg(windows)]
    fn of(&self, process: &sysinfo::Process) -> Option<String> {
        let sid = (**process.user_id()?).to_string();
        let mut known = self.known.borrow_mut();
        let name = known
            .entry(sid)
            .or_insert_with_key(|sid| super::windows::accounts::name(sid).unwrap_or_else(|| sid.clone()));
        Some(name.clone())
    }
}

/// The names of all processes.
pub fn names() -> Vec<OsString> {
    let Ok(mut system) = System::new() else { return Vec::new() };
    system.refresh_processes_specifics(ProcessesToUpdate::All, false, ProcessRefreshKind::nothing().without_tasks());
    system.processes().values().map(|process| process.name().to_owned()).collect()
}

/// When the process started, in seconds since 1970; `None` when no process has this number.
#[cfg(not(target_os = "linux"))]
pub fn started(pid: Pid) -> Option<u64> {
    let mut system = System::new().ok()?;
    let id = sysinfo::Pid::from_u32(pid.0);
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[id]), false, ProcessRefreshKind::nothing());
    system.process(id).map(sysinfo::Process::start_time)
}

/// Ends the process; returns whether that succeeded.
#[cfg(not(unix))]
pub fn terminate(pid: Pid) -> bool {
    let Ok(mut system) = System::new() else { return false };
    let id = sysinfo::Pid::from_u32(pid.0);
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[id]), false, ProcessRefreshKind::nothing());
    system.process(id).is_some_and(sysinfo::Process::kill)
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
