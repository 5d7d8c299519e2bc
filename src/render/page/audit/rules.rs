//! The rules themselves, for those who want to know what is looked at.

use std::io::{self, Write};

use crate::analyse::audit::{RULES, Rule, tables};

/// Writes one line a rule: severity, id, title.
pub fn write_list(out: &mut dyn Write) -> io::Result<()> {
    let width = RULES.iter().map(|rule| rule.id.len()).max().unwrap_or(0);
    RULES.iter().try_for_each(|rule| writeln!(out, "{:<8}  {:<width$}  {}", rule.severity.name(), rule.id, rule.title))
}

/// Writes all that there is to say of a rule, with the table that it looks things up in.
pub fn write_explanation(out: &mut dyn Write, rule: &Rule) -> io::Result<()> {
    writeln!(out, "{} ({}): {}\n", rule.id, rule.severity.name(), rule.title)?;
    let mut line = String::new();
    for word in rule.explanation.split_whitespace() {
        if !line.is_empty() && line.chars().count() + word.chars().count() >= WIDTH {
            writeln!(out, "{line}")?;
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    writeln!(out, "{line}\n")?;
    writeln!(out, "To switch it off: --disable {}, or `disable = [\"{}\"]` in the policy.", rule.id, rule.id)?;
    if rule.check.is_some() {
        writeln!(out, "For some listeners only: an [[allow]] of the policy with `suppress = [\"{}\"]`.", rule.id)?;
    }
    if let Some(table) = tables(rule.id) {
        writeln!(out)?;
        for line in table.lines() {
            writeln!(out, "{}", line.replace('\t', "  "))?;
        }
    }
    Ok(())
}

/// So that it fits a terminal of the usual width.
const WIDTH: usize = 80;
