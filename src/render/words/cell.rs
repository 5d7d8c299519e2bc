//! The cells of a listing that say who holds a socket, and whose it is.

use std::ffi::OsStr;

use compact_str::{ToCompactString, format_compact};

use crate::model::{Activation, Forward, HiddenBecause, Owner, Process, Project, ProjectSource, Row};
use crate::render::text::safe::{Charset, Text};
use crate::render::words::column::{container, foremost, name};

/// The short name, and for an interpreter what it runs: `node server.js`.
pub fn running(process: Option<&Process>, charset: Charset) -> Option<Text> {
    const KERNEL_KEEPS: usize = 15;
    let known = process?;
    let name = name(process, charset)?;
    let Some(runs) = known.runs.as_deref() else { return Some(name) };
    let own = known.name.as_deref().unwrap_or_default().as_encoded_bytes();
    let shown = Text::of_os(runs, charset);
    // A script that names its interpreter in its first line gives the process its name.
    if runs == own_name(known) || (own.len() == KERNEL_KEEPS && runs.as_encoded_bytes().starts_with(own)) {
        return Some(shown);
    }
    // Node.js calls its first thread so, and with it the process.
    let name = if matches!(name.as_str(), "MainThread" | "node-MainThread") { Text::plain("node") } else { name };
    Some(Text::join(&[name, shown], " "))
}

fn own_name(process: &Process) -> &OsStr {
    process.name.as_deref().unwrap_or_default()
}

/// `shop@feature-x`, or `compose: shop/db`: the project of the foremost process, or of the container that it leads to.
pub fn project_cell(row: &Row<'_>, charset: Charset) -> Option<Text> {
    let of_process = foremost(row).and_then(|process| process.project.as_ref()).map(|known| project(known, charset));
    let of_cgroup = || row.belonging().and_then(|belonging| belonging.container.as_ref());
    let of_forward = || row.socket.forward().and_then(|forward| forward.container.as_ref());
    let composed = || {
        let service = of_forward().or_else(of_cgroup)?.compose.as_ref()?;
        Some(Text::join(&[Text::plain("compose:"), Text::of(service, charset)], " "))
    };
    // A process that only forwards is not what answers.
    if of_forward().is_some() { composed().or(of_process) } else { of_process.or_else(composed) }
}

/// A project in a word.
pub fn project(project: &Project, charset: Charset) -> Text {
    let name = Text::of_os(&project.name, charset);
    match &project.branch {
        _ if project.source == ProjectSource::Compose => Text::join(&[Text::plain("compose:"), name], " "),
        Some(branch) => Text::join(&[name, Text::of_os(branch, charset)], "@"),
        None => name,
    }
}

/// Who holds the socket, or why it is not known, in one cell.
pub fn process_cell(row: &Row<'_>, charset: Charset) -> Text {
    if let Some(forward) = row.socket.forward() {
        return forward_cell(forward, charset);
    }
    if let Some(Activation { socket, service }) = row.socket.activation() {
        let units: Vec<Text> =
            [Some(socket), service.as_ref()].into_iter().flatten().map(|unit| Text::of(unit, charset)).collect();
        return Text::join(&units, if charset == Charset::Unicode { " → " } else { " -> " });
    }
    match &row.socket.owner {
        Owner::Processes(_) => {
            let name = row.processes.first().and_then(|(_, process)| running(*process, charset));
            let name = name.map_or_else(Text::unknown, |name| with_services(name, row, charset));
            match row.processes.len() {
                0 | 1 => name,
                count => Text::join(&[name, Text::plain(format!("+{}", count - 1))], " "),
            }
        }
        Owner::Nobody(why) => Text::plain(format!("({})", why.name())),
        Owner::Hidden(because) => hidden_cell(row, *because, charset),
    }
}

/// `svchost.exe` of Windows says nothing: its services do.
fn with_services(name: Text, row: &Row<'_>, charset: Charset) -> Text {
    match row.unit().filter(|_| name.as_str().eq_ignore_ascii_case("svchost.exe")) {
        Some(services) => {
            let services = Text::join(&[Text::plain("("), Text::of(services, charset), Text::plain(")")], "");
            Text::join(&[name, services], " ")
        }
        None => name,
    }
}

/// Where a published port leads: `→ container web :80 (httpd)`.
fn forward_cell(forward: &Forward, charset: Charset) -> Text {
    let port = forward.to.ports.map(|ports| Text::plain(format_compact!(":{ports}")));
    let mut parts = vec![Text::arrow(charset)];
    match &forward.container {
        Some(container) => {
            parts.extend([Text::plain("container"), Text::of(container.short_name(), charset)]);
            parts.extend(port);
            if let Some(image) = &container.image {
                parts.push(Text::join(&[Text::plain("("), Text::of(image, charset), Text::plain(")")], ""));
            }
        }
        None if forward.service.is_some() => {
            parts.extend(forward.service.as_ref().map(|service| Text::of(service, charset)));
            parts.push(Text::plain(forward.to.to_compact_string()));
        }
        None if forward.to.address.is_unspecified() => parts.push(port.unwrap_or_else(Text::unknown)),
        None => parts.push(Text::plain(forward.to.to_compact_string())),
    }
    Text::join(&parts, " ")
}

/// What is known of a holder that is hidden, the best first.
fn hidden_cell(row: &Row<'_>, because: HiddenBecause, charset: Charset) -> Text {
    let made_by = row.belonging().and_then(|belonging| {
        let unit = || belonging.unit.as_deref().map(|unit| Text::of(unit, charset));
        belonging.container.as_ref().map(|made_by| container(made_by, charset)).or_else(unit)
    });
    match (made_by, because) {
        (Some(known), _) => Text::join(&[Text::plain("("), known, Text::plain(")")], ""),
        (None, HiddenBecause::NotFound) => Text::plain("(not found)"),
        (None, _) => Text::plain("(hidden)"),
    }
}
