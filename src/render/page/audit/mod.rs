//! The answer of an audit for people.

mod rules;

pub use rules::{write_explanation, write_list};

use std::io::{self, Write};

use crate::analyse::audit::Severity;
use crate::render::text::safe::Text;
use crate::render::text::style::Style;
use crate::render::words::finding::{Audit, subject};
use crate::render::words::summary;

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

/// Writes the answer.
pub fn write(out: &mut dyn Write, audit: &Audit<'_>, style: Style) -> io::Result<()> {
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
