//! The files that listeners run, as the kernel names them.

use std::collections::BTreeSet;

use super::holders::{exe, is_deleted};
use super::{Finding, Rule};
use crate::model::{Process, Row};

/// Folders in which every user may put a file, and the kernel's name for a file that is in no folder.
/// Source: hier(7), memfd_create(2).
const OPEN_TO_ALL: [&str; 5] = ["/tmp/", "/var/tmp/", "/dev/shm/", "/run/shm/", MEMORY];
const MEMORY: &str = "/memfd:";

/// Programs in a place where every user may put them.
pub fn writable<'a>(rule: &'static Rule, open: &[&'a Row<'a>]) -> Vec<Finding<'a>> {
    let is_wrong = |_: &Process, path: &str| OPEN_TO_ALL.iter().any(|folder| path.starts_with(folder));
    found(rule, open, is_wrong, |path| {
        let evidence = if path.starts_with(MEMORY) {
            format!("it runs {path}, which is in memory alone")
        } else {
            format!("it runs {path}, where every user may put a file")
        };
        (evidence, "find out who started it; a service belongs in /usr, /opt or /srv")
    })
}

/// Programs whose file is gone.
pub fn deleted<'a>(rule: &'static Rule, open: &[&'a Row<'a>]) -> Vec<Finding<'a>> {
    let is_wrong = |process: &Process, path: &str| is_deleted(process) && !path.starts_with(MEMORY);
    found(rule, open, is_wrong, |path| {
        let evidence =
            format!("its file {path} was deleted or replaced after it started, so it runs what is no longer there");
        (evidence, "restart it, which is what an upgrade wants; if nothing was upgraded, find out who started it")
    })
}

fn found<'a>(
    rule: &'static Rule,
    open: &[&'a Row<'a>],
    is_wrong: impl Fn(&Process, &str) -> bool,
    words: impl Fn(&str) -> (String, &'static str),
) -> Vec<Finding<'a>> {
    let mut findings = Vec::new();
    for row in open {
        let processes = row.processes.iter().filter_map(|(_, process)| *process);
        let exes = processes.filter_map(|process| Some((process, exe(process)?)));
        let wrong: BTreeSet<_> = exes.filter(|(process, path)| is_wrong(process, path)).map(|(_, path)| path).collect();
        for path in wrong {
            let (evidence, remedy) = words(&path);
            findings.push(Finding::new(rule, row, evidence, remedy.to_owned()));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::testing::Host;
    use crate::model::Protocol;

    fn runs(exe: &str) -> Host {
        Host::new().listens("127.0.0.1:8080", exe, 33)
    }

    #[test]
    fn a_program_in_a_place_of_all_users_is_found() {
        for exe in ["/tmp/x", "/var/tmp/a/b", "/dev/shm/x", "/tmp/x (deleted)", "/memfd:x (deleted)"] {
            runs(exe).is_found_by("executable-writable", "high tcp 127.0.0.1:8080: it runs /");
        }
        for exe in ["/usr/sbin/nginx", "/tmpfs/x", "/opt/tmp/x", "/usr/bin/memfd:x", "", "/dev/shmx/y"] {
            runs(exe).is_clean_for("executable-writable");
        }
    }

    #[test]
    fn a_program_whose_file_is_gone_is_found() {
        runs("/usr/sbin/nginx (deleted)").is_found_by("executable-deleted", "medium tcp");
        for exe in ["/usr/sbin/nginx", "/opt/x (deleted) y", "/memfd:x (deleted)", ""] {
            runs(exe).is_clean_for("executable-deleted");
        }
        // A file that is there and is really called so.
        let mut odd = runs("/opt/x (deleted)");
        odd.snapshot.processes.values_mut().for_each(|process| process.exe_deleted = Some(false));
        odd.is_clean_for("executable-deleted");
    }

    #[test]
    fn every_holder_is_looked_at() {
        let holders = [("/usr/sbin/nginx", 0), ("/tmp/implant", 0)];
        let host = Host::new().socket(Protocol::Tcp, "127.0.0.1:8080", &holders);
        host.is_found_by("executable-writable", "high tcp");
    }
}
