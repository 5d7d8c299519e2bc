//! JSON and NDJSON.

use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;

use crate::model::{Listing, Row};
use crate::parallel::in_order;
use crate::render::document::envelope;
use crate::render::document::listing::{self, Report};
use crate::render::document::owner_texts::OwnerTexts;
use crate::render::document::repeats::Repeats;
use crate::render::text::safe::is_deceptive;
use crate::render::text::time;

/// Writes a document: indented for a person at a terminal, in one line for a program.
pub fn write(out: &mut dyn Write, document: &impl Serialize, for_person: bool) -> io::Result<()> {
    let mut text = Vec::new();
    if for_person {
        serde_json::to_writer_pretty(&mut text, document)?;
    } else {
        serde_json::to_writer(&mut text, document)?;
    }
    text.push(b'\n');
    out.write_all(&plain(text)?)
}

/// Writes the report of a listing, the sockets in blocks.
pub fn write_report(
    out: &mut dyn Write,
    listing: &Listing<'_>,
    program: Option<&Path>,
    for_person: bool,
) -> io::Result<()> {
    if for_person {
        return write(out, &Report::new(listing, program), true);
    }
    let mut around = Vec::new();
    let mut report = Report::new(listing, program);
    report.body.sockets = listing::Sockets::none();
    serde_json::to_writer(&mut around, &report)?;
    // Inside of a string the quotes would be escaped, so this is the list itself.
    let list = b"\"sockets\":[";
    let start = around.windows(list.len()).position(|part| part == list).map_or(around.len(), |at| at + list.len());
    let after = around.split_off(start);
    out.write_all(&plain(around)?)?;
    let owners = OwnerTexts::of(listing.snapshot);
    in_order::write(out, &in_order::blocks(&listing.rows), |block, rows: &&[Row<'_>], text| {
        Listing::load(rows);
        let mut repeats = Repeats::default();
        for (index, row) in rows.iter().enumerate() {
            text.extend(if block + index > 0 { ",{" } else { "{" }.as_bytes());
            owners.write_row(row, &mut repeats, text)?;
        }
        *text = plain(std::mem::take(text))?;
        Ok(())
    })?;
    out.write_all(&plain(after)?)?;
    writeln!(out)
}

/// Escapes what would steer a terminal that the text is shown on. That changes nothing for a reader of JSON: outside
/// of strings there are no such characters.
fn plain(json: Vec<u8>) -> io::Result<Vec<u8>> {
    // Without a way out of the loop it is done many bytes at a time.
    if !json.iter().fold(false, |found, byte| found | !(b'\n'..=b'~').contains(byte)) {
        return Ok(json);
    }
    let text = std::str::from_utf8(&json).map_err(io::Error::other)?;
    let mut escaped = Vec::with_capacity(json.len() + 64);
    let mut copied = 0;
    for (offset, character) in text.char_indices() {
        if character == '\u{7f}' || is_deceptive(character) {
            escaped.extend(&json[copied..offset]);
            for unit in character.encode_utf16(&mut [0; 2]) {
                write!(escaped, "\\u{unit:04x}")?;
            }
            copied = offset + character.len_utf8();
        }
    }
    escaped.extend(&json[copied..]);
    Ok(escaped)
}

/// What a line of NDJSON has before its socket: on which host and when it was seen.
#[derive(Serialize)]
struct Place<'a> {
    host: Option<&'a str>,
    captured_at: &'a str,
    space_label: &'a str,
    space_kind: &'a str,
}

/// Writes one socket a line, each with its host and time, so that the lines of many hosts and days can be put together.
pub fn write_lines(out: &mut dyn Write, listing: &Listing<'_>) -> io::Result<()> {
    let host = listing.snapshot.host.name.as_deref();
    let captured_at = &time::rfc3339(listing.snapshot.host.captured_at);
    let owners = OwnerTexts::of(listing.snapshot);
    in_order::write(out, &in_order::blocks(&listing.rows), |_, rows: &&[Row<'_>], text| {
        Listing::load(rows);
        let mut repeats = Repeats::default();
        for row in *rows {
            let (space_label, space_kind) = (row.space.label.as_str(), row.space.kind.name());
            serde_json::to_writer(&mut *text, &Place { host, captured_at, space_label, space_kind })?;
            // The object goes on.
            text.pop();
            text.push(b',');
            owners.write_row(row, &mut repeats, text)?;
            text.push(b'\n');
        }
        *text = plain(std::mem::take(text))?;
        Ok(())
    })
}

/// Writes an object in a line of its own.
pub fn write_line(out: &mut dyn Write, object: &impl Serialize) -> io::Result<()> {
    let mut text = serde_json::to_vec(object)?;
    text.push(b'\n');
    out.write_all(&plain(text)?)
}

/// Writes the JSON Schema of an object that stands alone in its line.
pub fn write_line_schema<T: schemars::JsonSchema>(out: &mut dyn Write) -> io::Result<()> {
    write(out, &schemars::schema_for!(T), true)
}

/// Writes the JSON Schema of the document with this body.
pub fn write_schema<T: schemars::JsonSchema>(out: &mut dyn Write) -> io::Result<()> {
    write(out, &envelope::schema::<T>(), true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        Destination, Endpoint, Lead, Nobody, Owner, Reachability, Redirection, RuleName, Socket, State, ToPort,
    };
    use crate::{join, testing};

    #[test]
    fn a_row_that_is_written_in_pieces_is_the_same_as_when_it_is_written_whole() {
        let mut snapshot = testing::snapshot();
        snapshot.sockets[1].owner = Owner::Nobody(Nobody::Unaccepted);
        // Owners that are no processes one behind the other, alike and not.
        for owner in [Owner::Nobody(Nobody::TimeWait), Owner::Nobody(Nobody::TimeWait), Owner::Nobody(Nobody::Closing)]
        {
            for uid in [None, snapshot.sockets[0].uid] {
                let socket = snapshot.sockets[0].clone();
                snapshot.sockets.push(Socket { owner: owner.clone(), uid, ..socket });
            }
        }
        // The same of what the firewall does; where a rule leads to the same port, that of each row is another one.
        let to = Destination { address: [192, 0, 2, 1].into(), port: ToPort::Same };
        let rule = RuleName { table: "inet nat".to_owned(), chain: "in".to_owned(), number: 7 };
        let unknown = || Redirection::Unknown("nobody may look".to_owned());
        let certain = || Redirection::Certain(Lead { to, rule: rule.clone(), service: None });
        let answers = [unknown(), unknown(), Redirection::Not, Redirection::Not, certain(), certain(), unknown()];
        let listener = snapshot.sockets.iter().find(|socket| socket.state == Some(State::Listen)).unwrap().clone();
        for (outside, port) in answers.into_iter().zip(60_000..) {
            let local = Endpoint::new(listener.local.address, port);
            let known = Reachability { outside, ..Reachability::default() };
            snapshot.saved_reachability.insert((listener.space, listener.protocol, local), known);
            snapshot.sockets.push(Socket { local, ..listener.clone() });
        }
        let mut listing = join::listing(&snapshot, None);
        join::add_counterparts(&mut listing);
        let mut written = Vec::new();
        write_lines(&mut written, &listing).unwrap();
        let written = String::from_utf8(written).unwrap();
        assert_eq!(written.lines().count(), listing.rows.len());
        for (line, row) in written.lines().zip(&listing.rows) {
            let whole = serde_json::to_string(&listing::socket(row)).unwrap();
            assert!(line.ends_with(&whole[1..]), "{line}\n{whole}");
        }
    }

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
