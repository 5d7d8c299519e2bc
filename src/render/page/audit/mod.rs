//! The answer of an audit for people.

mod rules;

pub use rules::{write_explanation, write_list};

use std::io::{self, Write};

use crate::analyse::audit::Severity;
use crate::render::text::palette::Tone;
use crate::render::text::paragraph;
use crate::render::text::safe::Text;
use crate::render::text::style::Style;
use crate::render::words::finding::{Audit, evidence, subject};
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
    /// One line for Nagios, Icinga, Checkmk and the like.
    Nagios,
}

impl Form {
    /// Every form.
    pub const ALL: [Form; 5] = [Form::Text, Form::Json, Form::Sarif, Form::Junit, Form::Nagios];

    /// The name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Form::Text => "text",
            Form::Json => "json",
            Form::Sarif => "sarif",
            Form::Junit => "junit",
            Form::Nagios => "nagios",
        }
    }
}

/// The columns that the name of a severity takes.
const SEVERITY: usize = 8;

/// The columns before what is said of a finding.
const INDENT: usize = SEVERITY + 2;

/// Writes the answer.
pub fn write(out: &mut dyn Write, audit: &Audit<'_>, style: Style) -> io::Result<()> {
    let safe = |text: &str| Text::of(text, style.charset).into_string();
    let width = style.width;
    paragraph::sentence(out, summary::title(audit.listing.snapshot, style.charset).as_str(), width)?;
    for finding in audit.findings {
        let severity = finding.severity.name().to_uppercase();
        let alike = if finding.count > 1 { format!("  ({} sockets)", finding.count) } else { String::new() };
        writeln!(out)?;
        let head = format!("{severity:<8}  {}  {}{alike}", finding.rule.id, safe(&subject(finding, audit)));
        let mut lines = paragraph::hanging(&head, INDENT, width).into_iter();
        // The color is no part of the width.
        let first = lines.next().unwrap_or_default();
        let (label, after) = first.split_at_checked(SEVERITY).unwrap_or((&first, ""));
        let label = tone(finding.severity).map_or_else(|| label.to_owned(), |tone| tone.paint(label, style.color));
        writeln!(out, "{label}{after}")?;
        lines.try_for_each(|line| writeln!(out, "{line}"))?;
        paragraph::indented(out, &safe(&evidence(finding)), INDENT, width)?;
        paragraph::indented(out, &safe(&format!("fix: {}", audit.remedy(finding))), INDENT, width)?;
    }
    if !audit.findings.is_empty() {
        writeln!(out)?;
    }
    paragraph::sentence(out, &safe(&totals(audit)), width)
}

/// The color of a severity; its name says the same.
fn tone(severity: Severity) -> Option<Tone> {
    match severity {
        Severity::Critical | Severity::High => Some(Tone::Alarm),
        Severity::Medium => Some(Tone::Attention),
        Severity::Low | Severity::Info => None,
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
