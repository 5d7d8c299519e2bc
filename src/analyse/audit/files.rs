//! The files that listeners run, as the kernel names them.

use std::collections::BTreeSet;

use super::holders::{OF_OWN_NAMESPACE, exe, is_deleted, is_of_own_namespace};
use super::{Finding, Rule, Severity, location};
use crate::model::{Part, Process, Replaceable, Replacer, Row, Uid};

/// The kernel's name for a file that is in no folder. Source: memfd_create(2).
const MEMORY: &str = "/memfd:";

/// Programs that others can put where they are run from.
pub fn writable<'a>(rule: &'static Rule, open: &[&'a Row<'a>]) -> Vec<Finding<'a>> {
    let mut findings = Vec::new();
    for row in open {
        let mut found = BTreeSet::new();
        for process in row.processes.iter().filter_map(|(_, process)| *process) {
            let Some(path) = exe(process) else { continue };
            if path.starts_with(MEMORY) {
                found.insert((Severity::High, format!("it runs {path}, which exists only in memory")));
                continue;
            }
            let executable = process.executable.as_deref();
            for way in executable.iter().flat_map(|executable| &executable.replaceable) {
                found.insert(replaceable(row, process, &path, way));
            }
        }
        let remedy = "find out who started it; a service belongs in a directory that only root can write to, such as /usr or /opt";
        let finding =
            |(severity, evidence)| Finding { severity, ..Finding::new(rule, row, evidence, remedy.to_owned()) };
        findings.extend(found.into_iter().map(finding));
    }
    findings
}

/// How bad it is that others can replace a file, and the facts.
fn replaceable(row: &Row<'_>, process: &Process, exe: &str, way: &Replaceable) -> (Severity, String) {
    let file = way.path.to_string_lossy();
    let name = |uid: Uid| row.user_name(uid).map_or_else(|| uid.0.to_string(), str::to_owned);
    let by = match way.by {
        Replacer::Everybody => "every user".to_owned(),
        Replacer::User(uid) => format!("user {}", name(uid)),
    };
    if way.part == Part::Program && is_of_own_namespace(process) {
        let severity = if location::is_elsewhere(row) { Severity::Low } else { Severity::High };
        return (severity, format!("it runs {exe} {OF_OWN_NAMESPACE}, a file that {by} can write to"));
    }
    let severity = match (way.part, way.by) {
        (Part::Script, _) => Severity::Low,
        (_, Replacer::Everybody) => Severity::High,
        // What root runs, its owner can make root run.
        (_, Replacer::User(_)) if process.uid == Some(Uid(0)) => Severity::High,
        (_, Replacer::User(_)) => Severity::Low,
    };
    let runs = match way.part {
        Part::Program => format!("it runs {exe}"),
        Part::Loaded => format!("it is the loader {exe}"),
        Part::Script => format!("it is the interpreter {exe}"),
    };
    let what = match way.part {
        Part::Program if exe == file => String::new(),
        Part::Program => format!(" under {file}"),
        Part::Loaded => format!(" and runs code from {file}"),
        Part::Script => format!(", and its arguments say that it runs code from {file}"),
    };
    (severity, format!("{runs}{what}, which {by} can write to"))
}

/// Programs whose file is gone.
pub fn deleted<'a>(rule: &'static Rule, open: &[&'a Row<'a>]) -> Vec<Finding<'a>> {
    let is_wrong = |process: &Process, path: &str| is_deleted(process) && !path.starts_with(MEMORY);
    found(rule, open, is_wrong, |path| {
        let evidence =
            format!("its executable {path} was deleted or replaced after it started, so it still runs the old code");
        (evidence, "restart it if it was upgraded; if it was not, find out who started it")
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
