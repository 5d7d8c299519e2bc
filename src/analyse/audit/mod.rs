//! What is wrong with what is open: findings from built-in rules.
//!
//! Each rule is a small pure function over the listeners of a listing, and what it knows of the world is a table of data
//! beside it. Only facts decide: the kernel's numbers and the files that processes run. The name of a process, a unit or
//! a container is its owner's choice; it is shown and never makes a finding less. No finding names a pid, so that a
//! restart changes none.

mod exposed;
mod files;
pub(super) mod holders;
mod location;
mod network;
mod programs;
mod rules;
mod sharing;
mod table;
#[cfg(test)]
pub mod testing;

pub use holders::{User, exes_here, is_of_own_namespace, summary, users};
pub use rules::{RULES, Rule, rule};
pub use table::tables;

use std::collections::BTreeMap;

use crate::model::{Answer, Gap, GapReason, Listing, Missing, Row};

/// How bad it is.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// May trouble somebody some day.
    Low,
    /// Should be looked at.
    Medium,
    /// Should not be so.
    High,
    /// Whoever reaches it owns the host.
    Critical,
}

impl Severity {
    /// Every severity, mildest first.
    pub const ALL: [Severity; 5] =
        [Severity::Info, Severity::Low, Severity::Medium, Severity::High, Severity::Critical];

    /// The name in every output, on the command line and in a policy.
    pub const fn name(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Low => "low",
            Severity::Medium => "medium",
            Severity::High => "high",
            Severity::Critical => "critical",
        }
    }
}

/// What a finding is about.
#[derive(Clone, Copy, Debug)]
pub enum Subject<'a> {
    /// A socket, or several alike.
    Socket(&'a Row<'a>),
    /// A rule of the policy.
    Policy {
        /// Its line in the file.
        line: usize,
        /// Its comment.
        comment: Option<&'a str>,
    },
    /// What this run could see.
    Run,
}

/// Something that should not be so.
#[derive(Clone, Debug)]
pub struct Finding<'a> {
    /// The rule that it breaks.
    pub rule: &'static Rule,
    /// How bad it is.
    pub severity: Severity,
    /// What it is about.
    pub subject: Subject<'a>,
    /// The facts.
    pub evidence: String,
    /// What to do.
    pub remedy: String,
    /// How many sockets it stands for that are alike in all of this.
    pub count: usize,
}

impl<'a> Finding<'a> {
    /// A finding about one socket, as bad as its rule says.
    pub fn new(rule: &'static Rule, row: &'a Row<'a>, evidence: String, remedy: String) -> Finding<'a> {
        Finding { rule, severity: rule.severity, subject: Subject::Socket(row), evidence, remedy, count: 1 }
    }
}

/// Returns what the built-in rules find among the open ports of the listing, but for those that are disabled.
pub fn findings<'a>(listing: &'a Listing<'a>, is_enabled: &dyn Fn(&Rule) -> bool) -> Vec<Finding<'a>> {
    let open: Vec<&Row<'_>> = listing.rows.iter().filter(|row| row.is_listener).collect();
    let checks = RULES.iter().filter(|rule| is_enabled(rule)).filter_map(|rule| Some((rule, rule.check?)));
    checks.flat_map(|(rule, check)| check(rule, &open)).collect()
}

/// Returns a finding for each thing that the run could not see. An audit must not call clean what it did not look at.
///
/// `sentence` words a gap, and `hint` says what would show it.
pub fn incomplete<'a>(
    listing: &'a Listing<'a>,
    sentence: &dyn Fn(&Gap) -> String,
    hint: &dyn Fn(GapReason) -> Option<String>,
) -> Vec<Finding<'a>> {
    let open = listing.rows.iter().filter(|row| row.is_listener).count();
    let hidden = listing.rows.iter().filter(|row| row.is_listener && row.is_hidden()).count();
    let owners =
        format!("owners are hidden for {hidden} of {open} {}", if open == 1 { "listener" } else { "listeners" });
    let gaps = listing.snapshot.gaps.iter().filter(|gap| !gap.matters_to(Answer::Owners) || hidden > 0);
    let mut found: Vec<Finding<'a>> = gaps
        .map(|gap| {
            let evidence = match gap.missing() {
                Missing::Owners => format!("{owners}: {}", sentence(gap)),
                missing => format!("{} were not seen: {}", missing.name(), sentence(gap)),
            };
            let remedy = hint(gap.reason()).unwrap_or_else(|| "check by other means what could not be seen".to_owned());
            let found = about_run(evidence, remedy);
            // Without a container's name no rule but one that asks for the name knows less.
            if matches!(gap.missing(), Missing::Names | Missing::Portless) {
                Finding { severity: Severity::Info, ..found }
            } else {
                found
            }
        })
        .collect();
    let explained = listing.snapshot.misses(Missing::Owners);
    if hidden > 0 && !explained {
        found.push(about_run(owners, "run portscope as root".to_owned()));
    }
    found.extend(without_program(listing));
    if let Some(count) = listing.snapshot.further_spaces.filter(|count| *count > 0) {
        let spaces =
            if count == 1 { "port space (network namespace) was" } else { "port spaces (network namespaces) were" };
        let evidence = format!("{count} more {spaces} not inspected");
        let remedy = "use --space all to include every port space".to_owned();
        found.push(Finding { severity: Severity::Info, ..about_run(evidence, remedy) });
    }
    found
}

/// What a listener runs decides most rules, so an audit without it is none.
fn without_program<'a>(listing: &'a Listing<'a>) -> Option<Finding<'a>> {
    let open: Vec<&Row<'_>> = listing.rows.iter().filter(|row| row.is_listener).collect();
    let is_unknown =
        |row: &&&Row<'_>| row.processes.iter().any(|(_, process)| process.is_none_or(|process| process.exe.is_none()));
    let unknown: Vec<&Row<'_>> = open.iter().copied().filter(|row| is_unknown(&row)).collect();
    let first = unknown.first()?;
    let evidence = format!(
        "the executable could not be read for {} of {} listeners, including {} {}",
        unknown.len(),
        open.len(),
        first.socket.protocol.name(),
        first.socket.local
    );
    Some(about_run(evidence, format!("inspect the process: {}", location::command(first))))
}

fn about_run<'a>(evidence: String, remedy: String) -> Finding<'a> {
    let rule = rule("incomplete").expect("the rule is in the table");
    Finding { rule, severity: rule.severity, subject: Subject::Run, evidence, remedy, count: 1 }
}

/// Puts the worst first, then by space, port and rule; sockets that are alike, such as those of SO_REUSEPORT, become one
/// finding.
pub fn in_order(findings: Vec<Finding<'_>>) -> Vec<Finding<'_>> {
    let mut groups: BTreeMap<_, Finding<'_>> = BTreeMap::new();
    for finding in findings {
        let place = match finding.subject {
            Subject::Socket(row) => {
                let socket = row.socket;
                let space = (location::is_elsewhere(row), row.space.label.as_str());
                (0, Some((space, socket.local.port, socket.protocol, socket.local.address, socket.device.as_deref())))
            }
            Subject::Policy { line, .. } => (line, None),
            Subject::Run => (usize::MAX, None),
        };
        let key = (std::cmp::Reverse(finding.severity), place, finding.rule.id, finding.evidence.clone());
        let count = finding.count;
        groups.entry(key).and_modify(|first| first.count += count).or_insert(finding);
    }
    groups.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::testing::Host;
    use super::*;
    use crate::model::{HiddenBecause, RulesUnread};

    #[test]
    fn what_was_not_seen_is_a_finding_and_what_was_seen_is_none() {
        let told = |host: Host| -> Vec<String> {
            let snapshot = host.snapshot;
            let listing = crate::join::listing(&snapshot, None);
            let found = incomplete(&listing, &|_| "for a reason".to_owned(), &|_| Some("sudo".to_owned()));
            found.into_iter().map(|finding| finding.evidence).collect()
        };
        let owners = Gap::HiddenOwners { because: HiddenBecause::Permission, count: 1, coverage: None };
        let seen = || Host::new().listens("0.0.0.0:80", "/usr/sbin/nginx", 0);
        assert!(told(seen()).is_empty());
        // The owner of another socket, which is no listener, is of no matter here.
        assert!(told(seen().gap(owners.clone())).is_empty());
        let hidden = seen().hidden("0.0.0.0:81").gap(owners);
        assert_eq!(told(hidden), ["owners are hidden for 1 of 2 listeners: for a reason"]);
        assert_eq!(told(seen().hidden("0.0.0.0:81")), ["owners are hidden for 1 of 2 listeners"]);
        let redirects = Gap::Redirects { space: None, why: RulesUnread::NotAsked, further_spaces: 0 };
        assert_eq!(told(seen().gap(redirects)), ["redirects were not seen: for a reason"]);
    }

    #[test]
    fn sockets_that_are_alike_are_one_finding() {
        let host = Host::new().listens("0.0.0.0:6379", "/bin/x", 0).listens("0.0.0.0:6379", "/bin/x", 0);
        let listing = crate::join::listing(&host.snapshot, None);
        let found = in_order(findings(&listing, &|rule| rule.id == "exposed-service"));
        assert_eq!(found.iter().map(|finding| finding.count).collect::<Vec<_>>(), [2]);
    }
}
