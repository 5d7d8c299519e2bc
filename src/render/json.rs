//! JSON and NDJSON.

use std::io::{self, Write};

use schemars::schema_for;
use serde::Serialize;

use super::report::{Report, SocketReport};

/// Writes a document: indented for a person at a terminal, in one line for a program.
pub fn write(out: &mut dyn Write, document: &impl Serialize, for_person: bool) -> io::Result<()> {
    if for_person {
        serde_json::to_writer_pretty(&mut *out, document)?;
    } else {
        serde_json::to_writer(&mut *out, document)?;
    }
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
        serde_json::to_writer(&mut *out, &Line { host: report.host.name, socket })?;
        writeln!(out)?;
    }
    Ok(())
}

/// Writes the JSON Schema of a document.
pub fn write_schema<T: schemars::JsonSchema>(out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, &schema_for!(T))?;
    writeln!(out)
}
