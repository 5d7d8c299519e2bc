//! JSON and NDJSON.

use std::io::{self, Write};

use schemars::schema_for;
use serde::Serialize;

use super::report::{Report, SocketReport};
use super::sanitize::is_deceptive;

/// Writes a document: indented for a person at a terminal, in one line for a program.
pub fn write(out: &mut dyn Write, document: &impl Serialize, for_person: bool) -> io::Result<()> {
    let text = if for_person { serde_json::to_string_pretty(document) } else { serde_json::to_string(document) }?;
    write_line(out, &text)
}

/// Writes the text and a line end. What would steer a terminal that the text is shown on is escaped, which changes
/// nothing for a reader of JSON: outside of strings there are no such characters.
fn write_line(out: &mut dyn Write, text: &str) -> io::Result<()> {
    if text.bytes().all(|byte| (b'\n'..=b'~').contains(&byte)) {
        out.write_all(text.as_bytes())?;
        return writeln!(out);
    }
    let mut plain = 0;
    for (place, character) in text.char_indices() {
        if character == '\u{7f}' || is_deceptive(character) {
            out.write_all(&text.as_bytes()[plain..place])?;
            for unit in character.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}")?;
            }
            plain = place + character.len_utf8();
        }
    }
    out.write_all(&text.as_bytes()[plain..])?;
    writeln!(out)
}

/// One line of NDJSON: a socket, and the host that it was seen on.
#[derive(Serialize)]
struct Line<'a> {
    host: Option<&'a str>,
    #[serde(flatten)]
    socket: &'a SocketReport<'a>,
}

/// Writes one socket a line, each with its host, so that the lines of many hosts can be put together.
pub fn write_lines(out: &mut dyn Write, report: &Report<'_>) -> io::Result<()> {
    for socket in &report.sockets {
        write_line(out, &serde_json::to_string(&Line { host: report.host.name, socket })?)?;
    }
    Ok(())
}

/// Writes the JSON Schema of a document.
pub fn write_schema<T: schemars::JsonSchema>(out: &mut dyn Write) -> io::Result<()> {
    write(out, &schema_for!(T), true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_would_steer_a_terminal_is_escaped_and_reads_back_the_same() {
        for text in ["plain", "\u{9b}2J", "\u{202e}gpj", "\x1b[31m\x7f", "中文 \u{e0001}", "é\n"] {
            let mut written = Vec::new();
            write(&mut written, &text, false).unwrap();
            let written = String::from_utf8(written).unwrap();
            assert!(!written.trim_end().chars().any(|c| c.is_control() || is_deceptive(c)), "{written:?}");
            assert_eq!(serde_json::from_str::<String>(&written).unwrap(), text);
        }
    }
}
