//! The files that listeners run, as the kernel names them.

use std::collections::{BTreeMap, BTreeSet};

use super::fact::Fact;
use super::holders::{exe, is_deleted, is_of_own_namespace};
use super::{Finding, Rule, Severity, location};
use crate::model::{Part, Process, Replaceable, Replacer, Row, Uid};

/// The kernel's name for a file that is in no folder. Source: memfd_create(2).
const MEMORY: &str = "/memfd:";

/// What tells one finding about a listener's files from another: how bad it is, the file, and the way to it.
type Place = (Severity, String, Option<Replaceable>, bool);

/// Programs that others can put where they are run from.
pub fn writable<'a>(rule: &'static Rule, open: &[&'a Row<'a>]) -> Vec<Finding<'a>> {
    let mut findings = Vec::new();
    for row in open {
        let mut found = BTreeMap::new();
        for process in row.processes.iter().filter_map(|(_, process)| *process) {
            let Some(path) = exe(process) else { continue };
            if path.starts_with(MEMORY) {
                found.insert((Severity::High, path.to_string(), None, false), Fact::InMemory(path.into_owned()));
                continue;
            }
            let executable = process.executable.as_deref();
            for way in executable.iter().flat_map(|executable| &executable.replaceable) {
                let is_of_own_namespace = way.part == Part::Program && is_of_own_namespace(process);
                let severity = severity(row, process, way, is_of_own_namespace);
                let fact = Fact::Replaceable { exe: path.to_string(), way: way.clone(), is_of_own_namespace };
                found.insert((severity, path.to_string(), Some(way.clone()), is_of_own_namespace), fact);
            }
        }
        let finding = |((severity, ..), fact): (Place, Fact<'a>)| Finding { severity, ..Finding::new(rule, row, fact) };
        findings.extend(found.into_iter().map(finding));
    }
    findings
}

/// How bad it is that others can replace what a process runs.
fn severity(row: &Row<'_>, process: &Process, way: &Replaceable, is_of_own_namespace: bool) -> Severity {
    if is_of_own_namespace {
        return if location::is_elsewhere(row) { Severity::Low } else { Severity::High };
    }
    match (way.part, way.by) {
        (Part::Script, _) => Severity::Low,
        (_, Replacer::Everybody) => Severity::High,
        // What root runs, its owner can make root run.
        (_, Replacer::User(_)) if process.uid == Some(Uid(0)) => Severity::High,
        (_, Replacer::User(_)) => Severity::Low,
    }
}

/// Programs whose file is gone.
pub fn deleted<'a>(rule: &'static Rule, open: &[&'a Row<'a>]) -> Vec<Finding<'a>> {
    let mut findings = Vec::new();
    for row in open {
        let processes = row.processes.iter().filter_map(|(_, process)| *process);
        let gone = processes.filter(|process| is_deleted(process)).filter_map(exe);
        let gone: BTreeSet<_> = gone.filter(|path| !path.starts_with(MEMORY)).collect();
        findings.extend(gone.into_iter().map(|path| Finding::new(rule, row, Fact::Deleted(path.into_owned()))));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::testing::Host;
    use super::*;
    use crate::model::{Executable, Protocol};

    fn runs(exe: &str) -> Host {
        Host::new().listens("127.0.0.1:8080", exe, 33)
    }

    /// Says what the kernel tells of the file that is run.
    fn with(exe: &str, is_here: bool, replaceable: Vec<Replaceable>) -> Host {
        let mut host = runs(exe);
        let executable = Executable { is_here, owner: Some(Uid(0)), replaceable };
        let set = |process: &mut Process| process.executable = Some(Box::new(executable.clone()));
        host.snapshot.processes.values_mut().for_each(set);
        host
    }

    fn way(part: Part, path: &str, by: Replacer) -> Vec<Replaceable> {
        vec![Replaceable { part, path: path.into(), by }]
    }

    #[test]
    fn a_program_that_others_can_replace_is_found() {
        for (exe, ways, start) in [
            (
                "/tmp/x",
                way(Part::Program, "/tmp", Replacer::Everybody),
                "high tcp 127.0.0.1:8080: it runs /tmp/x under",
            ),
            (
                "/opt/x",
                way(Part::Program, "/opt/x", Replacer::Everybody),
                "high tcp 127.0.0.1:8080: it runs /opt/x, which",
            ),
            ("/opt/x", way(Part::Program, "/opt", Replacer::User(Uid(1000))), "low tcp 127.0.0.1:8080: it runs /opt/x"),
            ("/lib/ld.so", way(Part::Loaded, "/tmp", Replacer::Everybody), "high tcp 127.0.0.1:8080: it is the loader"),
            (
                "/bin/python3",
                way(Part::Script, "/tmp/a", Replacer::Everybody),
                "low tcp 127.0.0.1:8080: it is the inter",
            ),
        ] {
            with(exe, true, ways).is_found_by("executable-writable", start);
        }
        with("/usr/sbin/nginx", true, Vec::new()).is_clean_for("executable-writable");
        runs("/memfd:x (deleted)").is_found_by("executable-writable", "high tcp 127.0.0.1:8080: it runs /memfd:x");
        for exe in ["/usr/sbin/nginx", "/usr/bin/memfd:x", ""] {
            runs(exe).is_clean_for("executable-writable");
        }
    }

    #[test]
    fn a_file_under_the_path_of_another_is_judged_by_its_owner() {
        let forged = with("/usr/bin/openssl", false, way(Part::Program, "/usr/bin/openssl", Replacer::User(Uid(1000))));
        let start = "high tcp 127.0.0.1:8080: it runs /usr/bin/openssl in its own mount namespace, a file that user";
        forged.is_found_by("executable-writable", start);
        with("/usr/bin/openssl", false, Vec::new()).is_clean_for("executable-writable");
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
        let holders = [("/usr/sbin/nginx", 0), ("/memfd:implant", 0)];
        let host = Host::new().socket(Protocol::Tcp, "127.0.0.1:8080", &holders);
        host.is_found_by("executable-writable", "high tcp");
    }
}
