//! What may be open, must be open and must not be: rules of the reader's own, from a file.
//!
//! Rules name what a restart does not change. An `[[allow]]` or `[[require]]` fits a listener when every process that
//! holds it fits, a `[[forbid]]` when any one does: a stranger among the holders is not allowed by the others.

mod conditions;
mod error;
mod init;
mod parse;
mod wildcard;

pub use conditions::{Conditions, Fit};
pub use error::{Kind, PolicyError, Problem, ValueFault};
pub use init::{Entry, entries};
pub use parse::parse;

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::Offset;

use super::audit::{self, Doubt, Fact, Finding, Judgement, Rule, RuleOfPolicy, Severity, Subject, Unseen, rule};
use crate::model::{Listing, Row};

/// What a rule says of the listeners that fit it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verb {
    /// They may be open.
    Allow,
    /// At least one must be open, and all may be.
    Require,
    /// None may be open.
    Forbid,
}

impl Verb {
    /// Every verb.
    pub const ALL: [Verb; 3] = [Verb::Allow, Verb::Require, Verb::Forbid];

    /// The name in the file.
    pub const fn name(self) -> &'static str {
        match self {
            Verb::Allow => "allow",
            Verb::Require => "require",
            Verb::Forbid => "forbid",
        }
    }
}

/// One rule of the file.
#[derive(Clone, Debug)]
pub struct PolicyRule {
    /// What it says.
    pub verb: Verb,
    /// Its line in the file.
    pub line: usize,
    /// Why it is there.
    pub comment: Option<String>,
    /// The last day on which it holds, in UTC.
    pub expires: Option<Date>,
    /// How bad a violation is, where the rule says it.
    pub severity: Option<Severity>,
    /// The built-in rules that do not count for what it allows.
    pub suppress: BTreeSet<&'static str>,
    /// Which listeners fit.
    pub conditions: Conditions,
}

/// A policy as it was written.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Whether what no rule names is a violation.
    pub denies_by_default: bool,
    /// The rules of the audit that are switched off.
    pub disable: BTreeSet<&'static str>,
    /// The rules, in the order of the file within each kind.
    pub rules: Vec<PolicyRule>,
}

/// What a policy is held against.
pub struct Scene<'a, 'o> {
    /// What is open.
    pub listing: &'a Listing<'a>,
    /// The object that JSON has for a row, for `when`.
    pub object: &'o dyn Fn(&Row<'_>) -> serde_json::Value,
}

impl Scene<'_, '_> {
    /// The day on which it was looked at, in UTC, so that a report that was saved is judged as it was then.
    fn day(&self) -> Date {
        let time = Timestamp::try_from(self.listing.snapshot.host.captured_at).unwrap_or(Timestamp::UNIX_EPOCH);
        Offset::UTC.to_datetime(time).date()
    }
}

impl PolicyRule {
    fn is_in_force(&self, day: Date) -> bool {
        self.expires.is_none_or(|last| day <= last)
    }

    /// Says whether the row fits. That `when` has no answer for it is an error.
    fn fit(&self, row: &Row<'_>, scene: &Scene<'_, '_>) -> Result<Fit, PolicyError> {
        self.conditions.fit(row, self.verb == Verb::Forbid, scene.object)
    }

    fn subject(&self) -> Subject<'_> {
        Subject::Policy { line: self.line, comment: self.comment.as_deref() }
    }

    /// What a finding says of the rule.
    fn named(&self) -> RuleOfPolicy<'_> {
        RuleOfPolicy { verb: self.verb.name(), line: self.line, comment: self.comment.as_deref() }
    }

    fn finding<'a>(&self, id: &str, subject: Subject<'a>, fact: Fact<'a>) -> Finding<'a> {
        let rule = rule(id).expect("the rule is in the table");
        let severity = self.severity.filter(|_| rule.id.starts_with("policy-")).unwrap_or(rule.severity);
        Finding { rule, severity, subject, fact, doubt: None, count: 1 }
    }
}

/// Returns what breaks the policy, and takes away from `found` what it says does not count.
pub fn judge<'a>(
    policy: &'a Policy,
    scene: &Scene<'a, '_>,
    found: Vec<Finding<'a>>,
    is_enabled: &dyn Fn(&Rule) -> bool,
) -> Result<Vec<Finding<'a>>, PolicyError> {
    let day = scene.day();
    let mut kept = Vec::new();
    for mut finding in found {
        let accepted = match finding.subject {
            Subject::Socket(row) => accepting(policy, scene, row, finding.rule, day)?,
            Subject::Policy { .. } | Subject::Run => None,
        };
        match accepted {
            Some((_, Fit::Yes)) => continue,
            // A claim never clears a finding.
            Some((_, Fit::Claimed)) => {}
            // What was found is so; only whether somebody has accepted it is open.
            Some((allow, _)) => {
                let why = match finding.subject {
                    Subject::Socket(row) => unseen(row),
                    Subject::Policy { .. } | Subject::Run => Unseen::Owner,
                };
                finding.doubt = Some(Doubt { rule: allow.named(), why });
            }
            None => {}
        }
        kept.push(finding);
    }
    let open: Vec<&Row<'_>> = scene.listing.rows.iter().filter(|row| row.is_listener).collect();
    let mut broken = about_rules(policy, scene, &open, day)?;
    for row in open {
        broken.extend(about_row(policy, scene, row, day)?);
    }
    broken.retain(|finding| is_enabled(finding.rule));
    kept.extend(broken);
    Ok(kept)
}

/// Why a rule cannot be judged of this listener.
fn unseen(row: &Row<'_>) -> Unseen {
    let mut known = row.processes.iter().filter_map(|(_, process)| *process);
    if row.is_hidden() {
        Unseen::Owner
    } else if known.any(audit::is_of_own_namespace) {
        Unseen::OwnNamespace
    } else {
        Unseen::Executable
    }
}

/// The rule that says that what `rule` finds in the row does not count, and whether it fits or may fit.
fn accepting<'a>(
    policy: &'a Policy,
    scene: &Scene<'_, '_>,
    row: &Row<'_>,
    rule: &Rule,
    day: Date,
) -> Result<Option<(&'a PolicyRule, Fit)>, PolicyError> {
    let mut best: Option<(&PolicyRule, Fit)> = None;
    for allow in policy.rules.iter().filter(|own| own.suppress.contains(rule.id) && own.is_in_force(day)) {
        let fit = allow.fit(row, scene)?;
        if fit > best.map_or(Fit::No, |(_, fit)| fit) {
            best = Some((allow, fit));
        }
    }
    Ok(best)
}

fn about_row<'a>(
    policy: &'a Policy,
    scene: &Scene<'a, '_>,
    row: &'a Row<'a>,
    day: Date,
) -> Result<Vec<Finding<'a>>, PolicyError> {
    let mut findings = Vec::new();
    let mut is_listed = false;
    let mut may_list: Option<&PolicyRule> = None;
    let mut claims: Option<&PolicyRule> = None;
    for rule in policy.rules.iter().filter(|rule| rule.is_in_force(day)) {
        match (rule.verb, rule.fit(row, scene)?) {
            (Verb::Allow | Verb::Require, Fit::Yes) => is_listed = true,
            (Verb::Forbid, Fit::Yes) => {
                let fact = Fact::Forbidden(rule.named());
                findings.push(rule.finding("policy-forbidden", Subject::Socket(row), fact));
            }
            (Verb::Forbid, Fit::Unknown) => {
                let fact = Fact::Unclear(rule.named(), Judgement::Forbids, unseen(row));
                findings.push(rule.finding("incomplete", Subject::Socket(row), fact));
            }
            (Verb::Allow | Verb::Require, Fit::Unknown) => may_list = may_list.or(Some(rule)),
            (Verb::Allow | Verb::Require, Fit::Claimed) => claims = claims.or(Some(rule)),
            (Verb::Forbid, Fit::Claimed) | (_, Fit::No) => {}
        }
    }
    if !policy.denies_by_default || is_listed {
        return Ok(findings);
    }
    if let Some(rule) = may_list {
        let fact = Fact::Unclear(rule.named(), Judgement::Allows, unseen(row));
        findings.push(rule.finding("incomplete", Subject::Socket(row), fact));
    } else {
        let unlisted = rule("policy-unlisted").expect("the rule is in the table");
        findings.push(Finding::new(unlisted, row, Fact::Unlisted(claims.map(PolicyRule::named))));
    }
    Ok(findings)
}

fn about_rules<'a>(
    policy: &'a Policy,
    scene: &Scene<'_, '_>,
    open: &[&Row<'_>],
    day: Date,
) -> Result<Vec<Finding<'a>>, PolicyError> {
    let mut findings = Vec::new();
    for rule in &policy.rules {
        if !rule.is_in_force(day) {
            let fact = Fact::Expired(rule.named(), rule.expires);
            findings.push(rule.finding("policy-expired", rule.subject(), fact));
            continue;
        }
        if rule.verb != Verb::Forbid && rule.conditions.fits_any_user() {
            findings.push(rule.finding("policy-hint", rule.subject(), Fact::AnyUser(rule.named())));
        }
        if rule.verb == Verb::Require {
            let mut best = Fit::No;
            for row in open {
                best = best.max(rule.fit(row, scene)?);
            }
            let (id, fact) = match best {
                Fit::Yes => continue,
                Fit::Unknown => ("incomplete", Fact::MaybeMissing(rule.named())),
                Fit::No | Fit::Claimed => ("policy-missing", Fact::Missing(rule.named())),
            };
            findings.push(rule.finding(id, rule.subject(), fact));
        }
    }
    Ok(findings)
}

/// The reader of the file, for the fuzzers in `fuzz/`.
#[cfg(any(feature = "fuzzing", test))]
pub mod fuzzing {
    /// A policy, and the expressions in it.
    pub fn policy(bytes: &[u8]) {
        if let Ok(text) = std::str::from_utf8(bytes)
            && let Err(error) = super::parse(text, &crate::catalogue::Catalogue::default())
        {
            assert!(error.line > 0 && error.column > 0);
        }
    }
}

#[cfg(test)]
mod tests;
