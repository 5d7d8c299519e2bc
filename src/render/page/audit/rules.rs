//! The rules themselves, for those who want to know what is looked at.

use std::io::{self, Write};

use crate::analyse::audit::{RULES, Rule, tables};
use crate::render::text::paragraph;

/// Writes one entry a rule: severity, id, title.
pub fn write_list(out: &mut dyn Write, width: Option<usize>) -> io::Result<()> {
    let widest = RULES.iter().map(|rule| rule.id.len()).max().unwrap_or(0);
    for rule in RULES {
        let entry = format!("{:<8}  {:<widest$}  {}", rule.severity.name(), rule.id, rule.title);
        for line in paragraph::hanging(&entry, 10, width) {
            writeln!(out, "{line}")?;
        }
    }
    Ok(())
}

/// Writes all that there is to say of a rule, with the table that it looks things up in.
pub fn write_explanation(out: &mut dyn Write, rule: &Rule, width: Option<usize>) -> io::Result<()> {
    paragraph::sentence(out, &format!("{} ({}): {}", rule.id, rule.severity.name(), rule.title), width)?;
    let explanation: Vec<&str> = rule.explanation.split_whitespace().collect();
    writeln!(out)?;
    paragraph::sentence(out, &explanation.join(" "), Some(width.map_or(READABLE, |width| width.min(READABLE))))?;
    writeln!(out)?;
    let off = format!("To turn this rule off, use --disable {0}, or `disable = [\"{0}\"]` in the policy.", rule.id);
    paragraph::sentence(out, &off, width)?;
    if rule.check.is_some() {
        let some = format!(
            "To accept it for some listeners only, add an [[allow]] with `suppress = [\"{}\"]` to the policy.",
            rule.id
        );
        paragraph::sentence(out, &some, width)?;
    }
    if let Some(table) = tables(rule.id) {
        writeln!(out)?;
        for line in table.lines() {
            paragraph::item(out, &foldable(line), width)?;
        }
    }
    Ok(())
}

/// A line of a table for a page: with a blank after each comma a list of names can be folded. `50,000` is one number.
fn foldable(line: &str) -> String {
    let mut folded = String::new();
    let mut rest = line.chars().peekable();
    while let Some(letter) = rest.next() {
        match letter {
            '\t' => folded.push_str("  "),
            ',' if rest.peek().is_some_and(|next| *next != ' ' && !next.is_ascii_digit()) => folded.push_str(", "),
            other => folded.push(other),
        }
    }
    folded
}

/// Lines of prose that are longer than this are hard to read.
const READABLE: usize = 80;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_parted_by_blanks_and_numbers_are_not() {
        assert_eq!(foldable("1/udp\ta,b\tone, two\t50,000 times,"), "1/udp  a, b  one, two  50,000 times,");
    }

    #[test]
    fn no_line_about_the_rules_is_wider_than_the_terminal() {
        for width in [120, 80, 60, 40] {
            let mut text = Vec::new();
            write_list(&mut text, Some(width)).unwrap();
            for rule in RULES {
                write_explanation(&mut text, &rule, Some(width)).unwrap();
            }
            let text = String::from_utf8(text).unwrap();
            let wide: Vec<&str> = text.lines().filter(|line| line.chars().count() > width).collect();
            assert!(wide.is_empty(), "{width}: {wide:#?}");
        }
    }
}
