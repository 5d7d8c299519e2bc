//! The answer of an audit: for people, as JSON, as SARIF and as JUnit XML.

mod junit;
mod policy;
mod report;
mod rules;
mod sarif;

pub use policy::write as write_policy;
pub use report::AuditReport;
pub use rules::{write_explanation, write_list};

use std::io::{self, Write};
use std::path::Path;

use super::holder;
use super::json;
use super::sanitize::{Charset, Text};
use super::style::Style;
use super::summary;
use crate::analyse::audit::{self, Finding, Rule, Severity, Subject};
use crate::model::{Listing, Row};

/// `--output` of `audit`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Form {
    /// For people.
    Text,
    /// One document.
    Json,
    /// Static Analysis Results Interchange Format 2.1.0, for code hosts.
    Sarif,
    /// JUnit XML, for build servers.
    Junit,
}

impl Form {
    /// Every form.
    pub const ALL: [Form; 4] = [Form::Text, Form::Json, Form::Sarif, Form::Junit];

    /// The name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Form::Text => "text",
            Form::Json => "json",
            Form::Sarif => "sarif",
            Form::Junit => "junit",
        }
    }
}

/// An audit that was carried out.
pub struct Audit<'a> {
    /// What was looked at.
    pub listing: &'a Listing<'a>,
    /// What was found, the worst first.
    pub findings: &'a [Finding<'a>],
    /// The rules that were applied.
    pub rules: Vec<&'static Rule>,
    /// The file of the policy.
    pub policy: Option<&'a Path>,
    /// The severity from which on a finding fails the audit.
    pub fail_on: Severity,
    /// This program's own path, for hints.
    pub program: Option<&'a Path>,
}

impl Audit<'_> {
    /// Says whether the finding fails the audit.
    pub fn fails(&self, finding: &Finding<'_>) -> bool {
        finding.severity >= self.fail_on
    }

    /// How many findings fail the audit.
    pub fn failures(&self) -> usize {
        self.findings.iter().filter(|finding| self.fails(finding)).count()
    }

    /// How many sockets were judged.
    pub fn open(&self) -> usize {
        self.listing.rows.iter().filter(|row| row.is_listener).count()
    }
}

/// Writes the answer.
pub fn write(out: &mut dyn Write, audit: &Audit<'_>, form: Form, style: Style) -> io::Result<()> {
    match form {
        Form::Text => write_text(out, audit, style),
        Form::Json => json::write(out, &AuditReport::new(audit), style.width.is_some()),
        Form::Sarif => json::write(out, &sarif::document(audit), style.width.is_some()),
        Form::Junit => junit::write(out, audit),
    }
}

fn write_text(out: &mut dyn Write, audit: &Audit<'_>, style: Style) -> io::Result<()> {
    let safe = |text: &str| Text::of(text, style.charset).into_string();
    writeln!(out, "{}", summary::title(audit.listing.snapshot, style.charset).as_str())?;
    for finding in audit.findings {
        let color = if style.color { color(finding.severity) } else { "" };
        let reset = if style.color { "\x1b[0m" } else { "" };
        let severity = finding.severity.name().to_uppercase();
        let alike = if finding.count > 1 { format!("  ({} sockets)", finding.count) } else { String::new() };
        writeln!(out)?;
        writeln!(out, "{color}{severity:<8}{reset}  {}  {}{alike}", finding.rule.id, safe(&subject(finding, audit)))?;
        writeln!(out, "          {}", safe(&finding.evidence))?;
        writeln!(out, "          fix: {}", safe(&finding.remedy))?;
    }
    if !audit.findings.is_empty() {
        writeln!(out)?;
    }
    writeln!(out, "{}", safe(&totals(audit)))
}

/// The ANSI colour of a severity; its name says the same.
fn color(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical | Severity::High => "\x1b[1;31m",
        Severity::Medium => "\x1b[33m",
        Severity::Low | Severity::Info => "\x1b[36m",
    }
}

/// Counts what was found and judged: `2 findings (1 high, 1 low), 1 fails at high; 12 listeners, 11 rules`.
fn totals(audit: &Audit<'_>) -> String {
    let policy = audit.policy.map(|path| format!(", policy {}", path.display())).unwrap_or_default();
    let judged = format!("{}, {}{policy}", counted(audit.open(), "listener"), counted(audit.rules.len(), "rule"));
    if audit.findings.is_empty() {
        return format!("no findings; {judged}");
    }
    let of = |severity: &Severity| {
        let count = audit.findings.iter().filter(|finding| finding.severity == *severity).count();
        (count > 0).then(|| format!("{count} {}", severity.name()))
    };
    let each: Vec<String> = Severity::ALL.iter().rev().filter_map(of).collect();
    let verdict = match audit.failures() {
        0 => format!("none at {} or above", audit.fail_on.name()),
        count => format!("{count} at {} or above", audit.fail_on.name()),
    };
    format!("{} ({}), {verdict}; {judged}", counted(audit.findings.len(), "finding"), each.join(", "))
}

fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// Names what a finding is about in one line.
fn subject(finding: &Finding<'_>, audit: &Audit<'_>) -> String {
    match finding.subject {
        Subject::Socket(row) => {
            let space = if audit.listing.snapshot.spaces.len() > 1 {
                format!(" in {}", row.space.label)
            } else {
                String::new()
            };
            format!("{}{space}  {}", place(row), audit::summary(row))
        }
        Subject::Policy { line, comment } => {
            let file = audit.policy.map_or("the policy".into(), |path| path.to_string_lossy());
            let comment = comment.map(|comment| format!("  {comment}")).unwrap_or_default();
            format!("{file}, line {line}{comment}")
        }
        Subject::Run => "this run".to_owned(),
    }
}

/// The protocol and end of a socket: `tcp 0.0.0.0%eth0:80`.
fn place(row: &Row<'_>) -> String {
    format!("{} {}", row.socket.protocol.name(), holder::local(row, Charset::Unicode))
}

/// Text that came from elsewhere as text for a program: the escapes of a terminal as visible escapes.
fn plain(text: &str) -> String {
    Text::of(text, Charset::Unicode).into_string()
}
