//! The answers of `free` that are more than bare numbers.

use std::collections::BTreeMap;
use std::io::{self, Write};

use crate::model::{PortRange, Row, Snapshot};
use crate::render::text::number::thousands;
use crate::render::text::paragraph;
use crate::render::text::safe::{Charset, Text};
use crate::render::text::style::Style;
use crate::render::words::reason::{self, Explained};
use crate::render::words::{blocker, summary};

/// Writes why a port is not offered, one reason a line.
pub fn write_explained(
    out: &mut dyn Write,
    explained: &Explained<'_>,
    snapshot: &Snapshot,
    style: Style,
) -> io::Result<()> {
    let Style { charset, width, .. } = style;
    let port = explained.port;
    paragraph::sentence(out, summary::title(snapshot, charset).as_str(), width)?;
    if explained.reasons.is_empty() {
        let line = format!("{port} is offered: no conflicts were found, and the kernel allows binding it");
        paragraph::sentence(out, &line, width)?;
        return summary::not_seen(snapshot)
            .map_or(Ok(()), |line| paragraph::sentence(out, Text::of(&line, charset).as_str(), width));
    }
    writeln!(out, "{port} is not offered:")?;
    explained.reasons.iter().try_for_each(|reason| {
        let line = format!("  {}: {}", reason.name(), reason::words(reason, charset));
        paragraph::item(out, &line, width)
    })
}

/// Says that a port is in use, and by the server that it is for.
pub fn own_server(row: &Row<'_>, charset: Charset) -> String {
    format!("port {} is in use by your own server there: {}", row.socket.local.port, blocker::name(row, charset))
}

/// The flag that offers more of the ports of which the most are not offered.
pub fn what_would_offer_more(census: &BTreeMap<&'static str, usize>) -> Option<&'static str> {
    let count = |names: &[&str]| names.iter().filter_map(|name| census.get(name)).sum::<usize>();
    let (ephemeral, registered) = (count(&["ephemeral"]), count(&["registered", "kept-back"]));
    match (ephemeral, registered) {
        (0, 0) => None,
        (ephemeral, registered) if ephemeral >= registered => {
            Some("--allow-ephemeral also offers ports that the system hands out to clients")
        }
        _ => Some("--allow-registered also offers ports that are registered for something else"),
    }
}

/// Says in one line why there are not enough ports.
pub fn not_enough(
    range: PortRange,
    count: u16,
    contiguous: bool,
    found: usize,
    census: &BTreeMap<&'static str, usize>,
) -> String {
    let mut reasons: Vec<(&str, usize)> = census.iter().map(|(name, count)| (*name, *count)).collect();
    reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let reasons: Vec<String> =
        reasons.into_iter().map(|(name, count)| format!("{} {name}", thousands(count))).collect();
    let reasons = if reasons.is_empty() { String::new() } else { format!(" (not offered: {})", reasons.join(", ")) };
    match (contiguous, count) {
        (true, _) => format!("no {count} consecutive free ports in {range}{reasons}"),
        (false, 1) => format!("no free port in {range}{reasons}"),
        (false, _) => format!("only {found} of the {count} requested ports are free in {range}{reasons}"),
    }
}
