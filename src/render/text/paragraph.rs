//! Text of more than one line.

use std::io::{self, Write};

use crate::render::text::safe::{Charset, Text};

/// The columns that the names of facts take.
const LABEL: usize = 12;

/// How long a value may be before its end is left out, with a mark: arguments may be as long as memory.
const MOST_COLUMNS: usize = 1000;

/// Writes `label  value`, the value folded at blanks into the width, its further lines below its first.
pub fn fact(out: &mut dyn Write, label: &str, value: Text, charset: Charset, width: Option<usize>) -> io::Result<()> {
    let mut value = value;
    value.truncate(MOST_COLUMNS, charset);
    let mut label = label;
    let room = width.map(|width| width.saturating_sub(LABEL));
    let lines = folded(value.as_str(), room);
    // A path that is too long to stand beside its label has a line of its own.
    if !label.is_empty() && room.is_some_and(|room| lines.iter().any(|line| columns(line) > room)) {
        writeln!(out, "{label}")?;
        return indented(out, value.as_str(), 2, width);
    }
    for line in lines {
        writeln!(out, "{}", format!("{label:<LABEL$}{line}").trim_end())?;
        label = "";
    }
    Ok(())
}

/// Writes a sentence.
pub fn sentence(out: &mut dyn Write, text: &str, width: Option<usize>) -> io::Result<()> {
    folded(text, width).into_iter().try_for_each(|line| writeln!(out, "{line}"))
}

/// Writes a sentence whose further lines are indented, so that the next sentence stands out.
pub fn item(out: &mut dyn Write, text: &str, width: Option<usize>) -> io::Result<()> {
    hanging(text, 4, width).into_iter().try_for_each(|line| writeln!(out, "{line}"))
}

/// Writes a sentence all lines of which are indented by so many columns.
pub fn indented(out: &mut dyn Write, text: &str, indent: usize, width: Option<usize>) -> io::Result<()> {
    let lines = folded(text, width.map(|width| width.saturating_sub(indent)));
    lines.into_iter().try_for_each(|line| writeln!(out, "{:indent$}{line}", ""))
}

/// The lines of a sentence, the first one at the margin and the others indented by so many columns.
pub fn hanging(text: &str, indent: usize, width: Option<usize>) -> Vec<String> {
    let first = folded(text, width)[0];
    let mut lines = vec![first.trim_end().to_owned()];
    if let Some(rest) = text.get(first.len() + 1..) {
        let further = folded(rest, width.map(|width| width.saturating_sub(indent)));
        lines.extend(further.into_iter().map(|line| format!("{:indent$}{line}", "")));
    }
    lines
}

fn columns(text: &str) -> usize {
    unicode_width::UnicodeWidthStr::width(text)
}

/// Breaks the text at blanks. A word that is wider than the width stands alone on its line, which the terminal breaks.
pub fn folded(text: &str, width: Option<usize>) -> Vec<&str> {
    let Some(width) = width else { return vec![text] };
    let mut lines = Vec::new();
    let mut rest = text;
    while columns(rest) > width {
        let blanks = rest.match_indices(' ').map(|(at, _)| at);
        // The last blank that keeps the line inside of the width; failing that the first one.
        let (inside, beyond): (Vec<usize>, Vec<usize>) = blanks.partition(|at| columns(&rest[..*at]) <= width);
        let Some(at) = inside.into_iter().rev().find(|at| *at > 0).or(beyond.first().copied()) else { break };
        lines.push(&rest[..at]);
        rest = &rest[at + 1..];
    }
    lines.push(rest);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_at_blanks_and_a_long_word_is_not_cut() {
        assert_eq!(folded("one two three", None), ["one two three"]);
        assert_eq!(folded("one two three", Some(7)), ["one two", "three"]);
        assert_eq!(folded("one two three", Some(6)), ["one", "two", "three"]);
        assert_eq!(folded("a /very/long/path b", Some(5)), ["a", "/very/long/path", "b"]);
        assert_eq!(folded("/very/long/path", Some(5)), ["/very/long/path"]);
        assert_eq!(folded("", Some(5)), [""]);
    }

    #[test]
    fn the_further_lines_of_an_item_are_indented() {
        let item = |text: &str, width| {
            let mut out = Vec::new();
            item(&mut out, text, width).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(item("fix: one two three four", Some(12)), "fix: one two\n    three\n    four\n");
        assert_eq!(item("fix: one two", Some(12)), "fix: one two\n");
        assert_eq!(item("fix: one two", None), "fix: one two\n");
        assert_eq!(item("", Some(12)), "\n");
    }

    #[test]
    fn a_fact_stands_beside_its_label() {
        let mut out = Vec::new();
        fact(&mut out, "user", Text::plain("root and others"), Charset::Ascii, Some(20)).unwrap();
        fact(&mut out, "argv", Text::plain("x".repeat(2000)), Charset::Ascii, None).unwrap();
        let out = String::from_utf8(out).unwrap();
        assert!(out.starts_with("user        root and\n            others\n"), "{out}");
        let last = out.lines().last().unwrap();
        assert!(last.len() == LABEL + MOST_COLUMNS && last.ends_with("x~"), "{}", last.len());
    }
}
