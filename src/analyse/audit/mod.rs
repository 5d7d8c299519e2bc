//! What is wrong with what is open: findings from built-in rules.
//!
//! Each rule is a small pure function over the listeners of a listing, and what it knows of the world is a table of data
//! beside it. Only facts decide: the kernel's numbers and the files that processes run. The name of a process, a unit or
//! a container is its owner's choice; it is shown and never makes a finding less. No finding names a pid, so that a
//! restart changes none.

mod exposed;
mod fact;
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

pub use fact::{Doubt, Fact, Judgement, KnownBy, Listener, Reservation, RuleOfPolicy, Running, Unseen};
pub use holders::{Holders, Holding, Program, User, exes_here, is_of_own_namespace, users};
pub use location::is_elsewhere;
pub use rules::{RULES, Rule, rule};
pub use table::tables;

use crate::model::{Answer, Listing, Missing, Row};

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
    /// Anyone who can reach it controls the host.
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
    /// What is so.
    pub fact: Fact<'a>,
    /// A rule of the policy that may accept it.
    pub doubt: Option<Doubt<'a>>,
    /// How many sockets it stands for that are alike in all of this.
    pub count: usize,
}

impl<'a> Finding<'a> {
    /// A finding about one socket, as bad as its rule says.
    pub fn new(rule: &'static Rule, row: &'a Row<'a>, fact: Fact<'a>) -> Finding<'a> {
        Finding { rule, severity: rule.severity, subject: Subject::Socket(row), fact, doubt: None, count: 1 }
    }

    fn has_place_of(&self, other: &Finding<'_>) -> bool {
        let (Subject::Socket(row), Subject::Socket(others)) = (self.subject, other.subject) else { return false };
        let (socket, other) = (row.socket, others.socket);
        row.space.id == others.space.id
            && (socket.protocol, socket.local, &socket.device) == (other.protocol, other.local, &other.device)
    }

    /// Says whether the other is the same about another socket that nothing tells from this one.
    fn is_alike(&self, other: &Finding<'_>) -> bool {
        let (Subject::Socket(row), Subject::Socket(others)) = (self.subject, other.subject) else { return false };
        self.rule.id == other.rule.id
            && self.severity == other.severity
            && self.fact == other.fact
            && self.doubt == other.doubt
            && Holding::of(row) == Holding::of(others)
    }
}

/// Returns what the built-in rules find among the open ports of the listing, but for those that are disabled.
pub fn findings<'a>(listing: &'a Listing<'a>, is_enabled: &dyn Fn(&Rule) -> bool) -> Vec<Finding<'a>> {
    let open: Vec<&Row<'_>> = listing.rows.iter().filter(|row| row.is_listener).collect();
    let checks = RULES.iter().filter(|rule| is_enabled(rule)).filter_map(|rule| Some((rule, rule.check?)));
    checks.flat_map(|(rule, check)| check(rule, &open)).collect()
}

/// Returns a finding for each thing that the run could not see. An audit must not call clean what it did not look at.
pub fn incomplete<'a>(listing: &'a Listing<'a>) -> Vec<Finding<'a>> {
    let open = listing.rows.iter().filter(|row| row.is_listener).count();
    let hidden = listing.rows.iter().filter(|row| row.is_listener && row.is_hidden()).count();
    let gaps = listing.snapshot.gaps.iter().filter(|gap| !gap.matters_to(Answer::Owners) || hidden > 0);
    let mut found: Vec<Finding<'a>> = gaps
        .map(|gap| {
            let found = about_run(match gap.missing() {
                Missing::Owners => Fact::HiddenOwners { hidden, open, gap: Some(gap) },
                _ => Fact::Unseen(gap),
            });
            // Without a container's name no rule but one that asks for the name knows less.
            if matches!(gap.missing(), Missing::Names | Missing::Portless) {
                Finding { severity: Severity::Info, ..found }
            } else {
                found
            }
        })
        .collect();
    if hidden > 0 && !listing.snapshot.misses(Missing::Owners) {
        found.push(about_run(Fact::HiddenOwners { hidden, open, gap: None }));
    }
    found.extend(without_program(listing));
    if let Some(count) = listing.snapshot.further_spaces.filter(|count| *count > 0) {
        found.push(Finding { severity: Severity::Info, ..about_run(Fact::FurtherSpaces(count)) });
    }
    found
}

/// Most rules depend on what a listener runs, so an audit needs to know it.
fn without_program<'a>(listing: &'a Listing<'a>) -> Option<Finding<'a>> {
    let open: Vec<&Row<'_>> = listing.rows.iter().filter(|row| row.is_listener).collect();
    let is_unknown =
        |row: &&&Row<'_>| row.processes.iter().any(|(_, process)| process.is_none_or(|process| process.exe.is_none()));
    let unknown: Vec<&Row<'_>> = open.iter().copied().filter(|row| is_unknown(&row)).collect();
    let first = Listener(unknown.first()?);
    Some(about_run(Fact::NoExecutable { unknown: unknown.len(), open: open.len(), first }))
}

fn about_run(fact: Fact<'_>) -> Finding<'_> {
    let rule = rule("incomplete").expect("the rule is in the table");
    Finding { rule, severity: rule.severity, subject: Subject::Run, fact, doubt: None, count: 1 }
}

/// Puts the worst first, then by space, port and rule; sockets that are alike, such as those of SO_REUSEPORT, become one
/// finding.
pub fn in_order(mut findings: Vec<Finding<'_>>) -> Vec<Finding<'_>> {
    findings.sort_by_cached_key(|finding| {
        let place = match finding.subject {
            Subject::Socket(row) => {
                let socket = row.socket;
                let space = (location::is_elsewhere(row), row.space.label.clone());
                let end = (socket.local.port, socket.protocol, socket.local.address, socket.device.clone());
                (0, Some((space, end)))
            }
            Subject::Policy { line, .. } => (line, None),
            Subject::Run => (usize::MAX, None),
        };
        (std::cmp::Reverse(finding.severity), place, finding.rule.id)
    });
    findings.into_iter().fold(Vec::new(), |mut kept: Vec<Finding<'_>>, finding| {
        // What is alike has the same place, so it is among the last ones.
        let mut same = kept.iter_mut().rev().take_while(|other| other.has_place_of(&finding));
        match same.find(|other| other.is_alike(&finding)) {
            Some(first) => first.count += finding.count,
            None => kept.push(finding),
        }
        kept
    })
}

#[cfg(test)]
mod tests {
    use super::testing::Host;
    use super::*;
    use crate::model::{Gap, HiddenBecause, RulesUnread};

    #[test]
    fn what_was_not_seen_is_a_finding_and_what_was_seen_is_none() {
        let told = |host: Host| -> Vec<String> {
            let snapshot = host.snapshot;
            let listing = crate::join::listing(&snapshot, None);
            let word = |finding: &Finding<'_>| match &finding.fact {
                Fact::HiddenOwners { hidden, open, gap } => format!("{hidden} of {open}, known why: {}", gap.is_some()),
                Fact::Unseen(gap) => gap.missing().name().to_owned(),
                fact => format!("{fact:?}"),
            };
            incomplete(&listing).iter().map(word).collect()
        };
        let owners = Gap::HiddenOwners { because: HiddenBecause::Permission, count: 1, coverage: None };
        let seen = || Host::new().listens("0.0.0.0:80", "/usr/sbin/nginx", 0);
        assert!(told(seen()).is_empty());
        // The owner of another socket, which is no listener, is of no matter here.
        assert!(told(seen().gap(owners.clone())).is_empty());
        let hidden = seen().hidden("0.0.0.0:81").gap(owners);
        assert_eq!(told(hidden), ["1 of 2, known why: true"]);
        assert_eq!(told(seen().hidden("0.0.0.0:81")), ["1 of 2, known why: false"]);
        let redirects = Gap::Redirects { space: None, why: RulesUnread::NotAsked, further_spaces: 0 };
        assert_eq!(told(seen().gap(redirects)), ["redirects"]);
    }

    #[test]
    fn sockets_that_are_alike_are_one_finding() {
        let host = Host::new().listens("0.0.0.0:6379", "/bin/x", 0).listens("0.0.0.0:6379", "/bin/x", 0);
        let listing = crate::join::listing(&host.snapshot, None);
        let found = in_order(findings(&listing, &|rule| rule.id == "exposed-service"));
        assert_eq!(found.iter().map(|finding| finding.count).collect::<Vec<_>>(), [2]);
    }
}
