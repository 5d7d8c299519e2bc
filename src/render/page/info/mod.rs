//! Everything about one port, for people: one screen.

mod elsewhere;

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::Path;

use crate::analyse::dossier::{Assignment, Dossier, Holding, Objection, Peers, Place};
use crate::model::{Answer, Exposure, Gap, Listing, Row, SpaceId};
use crate::render::text::number::thousands;
use crate::render::text::paragraph;
use crate::render::text::safe::{Charset, Text};
use crate::render::text::style::Style;
use crate::render::words::category as category_words;
use crate::render::words::gap;
use crate::render::words::owner;
use crate::render::words::socket;
use crate::render::words::summary;

/// Connections of one owner that are shown one by one.
const MOST_CONNECTIONS: usize = 3;
/// Owners of only connections that are shown in full; a listener's owner always is.
const MOST_CLIENTS: usize = 5;

/// Writes everything about one port. Unless `all` is true, owners in many other port spaces take one line each.
pub fn write(
    out: &mut dyn Write,
    listing: &Listing<'_>,
    dossier: &Dossier<'_>,
    program: Option<&Path>,
    all: bool,
    style: Style,
) -> io::Result<()> {
    let charset = style.charset;
    let title = summary::title(listing.snapshot, charset);
    paragraph::sentence(out, &format!("port {} on {}", dossier.port, title.as_str()), style.width)?;
    write_number(out, dossier, style)?;
    let own = listing.snapshot.spaces.first().map(|space| space.id);
    let (in_full, in_short) = elsewhere::divide(&dossier.holdings, own, all);
    let is_in_full =
        |space: SpaceId| in_full.iter().any(|holding| holding.row().is_some_and(|row| row.socket.space == space));
    write_places(out, dossier, is_in_full, style)?;
    let mut told = BTreeSet::new();
    let mut clients = 0;
    let mut left: Vec<&Holding<'_>> = Vec::new();
    for holding in in_full.iter().copied() {
        clients += usize::from(holding.open.is_empty());
        if holding.open.is_empty() && clients > MOST_CLIENTS {
            left.push(holding);
            continue;
        }
        writeln!(out)?;
        write_sockets(out, holding, own, style)?;
        for (label, text) in owner::facts(holding, listing, &mut told, charset) {
            paragraph::fact(out, &format!("  {label}"), text, charset, style.width)?;
        }
    }
    if !left.is_empty() {
        let connections: usize = left.iter().map(|holding| holding.connections.len()).sum();
        let port = dossier.port;
        let line = format!("{} more connections of {} other owners", thousands(connections), thousands(left.len()));
        writeln!(out)?;
        paragraph::sentence(out, &line, style.width)?;
        paragraph::item(out, &format!("hint: list them: portscope -tu {port}"), style.width)?;
    }
    elsewhere::write(out, dossier.port, &in_short, style)?;
    if dossier.holdings.is_empty() {
        writeln!(out, "\nno socket uses it")?;
    }
    write_not_seen(out, listing, program, style)
}

/// Writes what could change the answer and was not looked at, then what would show it.
fn write_not_seen(out: &mut dyn Write, listing: &Listing<'_>, program: Option<&Path>, style: Style) -> io::Result<()> {
    let gaps: Vec<&Gap> = listing.snapshot.gaps_of(Answer::Port).collect();
    for gap in &gaps {
        let line = Text::of(&gap::sentence(gap), style.charset);
        paragraph::item(out, &format!("not seen: {}", line.as_str()), style.width)?;
    }
    let hints: BTreeSet<String> =
        gaps.iter().filter_map(|gap| summary::hint(gap.reason(), listing.snapshot, program)).collect();
    hints.iter().try_for_each(|hint| paragraph::item(out, &format!("hint: {hint}"), style.width))
}

fn write_number(out: &mut dyn Write, dossier: &Dossier<'_>, style: Style) -> io::Result<()> {
    let Style { charset, width, .. } = style;
    let category = dossier.category;
    let rule = format!("{}, {}: {}", category.name(), category.range(), category_words::rule(category));
    paragraph::fact(out, "category", Text::of(&rule, charset), charset, width)?;
    let mut label = "registered";
    for assignment in &dossier.assignments {
        for text in assigned(assignment, charset) {
            paragraph::fact(out, label, text, charset, width)?;
            label = "";
        }
    }
    let objections = dossier.objections();
    let own = dossier.places.first();
    let reasons: Vec<Text> = objections.iter().map(|objection| reason(objection, own, charset)).collect();
    let advice = if reasons.is_empty() {
        Text::plain("fine: no known conflicts")
    } else {
        Text::join(&[Text::plain("not recommended: "), Text::join(&reasons, "; ")], "")
    };
    paragraph::fact(out, "own service", advice, charset, width)
}

fn assigned(assignment: &Assignment<'_>, charset: Charset) -> Vec<Text> {
    let protocol = Text::plain(assignment.protocol.name());
    if assignment.services.is_empty() {
        let nothing = match assignment.status {
            Some(status) => format!("no service (IANA: {status})"),
            None => "no service".to_owned(),
        };
        return vec![Text::join(&[protocol, Text::plain(nothing)], " ")];
    }
    let text = |service: &crate::model::Service<'_>| {
        let source = Text::plain(format!("({})", service.source.name()));
        let name = Text::of(service.name, charset);
        match service.description {
            None => Text::join(&[protocol.clone(), name, source], " "),
            Some(description) => {
                let name = Text::join(&[name, Text::plain(":")], "");
                Text::join(&[protocol.clone(), name, Text::of(description, charset), source], " ")
            }
        }
    };
    assignment.services.iter().map(text).collect()
}

fn reason(objection: &Objection<'_>, own: Option<&Place<'_>>, charset: Charset) -> Text {
    match objection {
        Objection::Assigned(names) => {
            let names: Vec<Text> = names.iter().map(|name| Text::of(name, charset)).collect();
            Text::join(&[Text::plain("assigned to"), Text::join(&names, ", ")], " ")
        }
        Objection::WellKnown => Text::plain("well-known ports are assigned by IANA"),
        Objection::KeptBack(protocols) => {
            let names: Vec<&str> = protocols.iter().map(|protocol| protocol.name()).collect();
            Text::plain(format!("reserved by IANA for {}", names.join(" and ")))
        }
        Objection::Privileged if own.is_some_and(|own| own.is_privileged.is_none()) => {
            Text::plain("binding it may require a privilege (unknown here)")
        }
        Objection::Privileged => Text::plain("binding it requires a privilege"),
        Objection::Ephemeral if own.is_some_and(|own| own.is_ephemeral.is_none()) => {
            Text::plain("inside the ephemeral range of many systems (unknown here)")
        }
        Objection::Ephemeral => Text::plain("inside the ephemeral range, so any client may get it"),
        Objection::Reserved => Text::plain("reserved by the system"),
        Objection::Bad => Text::plain("browsers refuse to connect to it (WHATWG bad ports)"),
        Objection::InUse => Text::plain("in use"),
    }
}

/// Writes the settings of this port space for the port, and where they differ those of others whose sockets are shown in
/// full.
fn write_places(
    out: &mut dyn Write,
    dossier: &Dossier<'_>,
    is_in_full: impl Fn(SpaceId) -> bool,
    style: Style,
) -> io::Result<()> {
    let Style { charset, width, .. } = style;
    let Some((own, others)) = dossier.places.split_first() else { return Ok(()) };
    let own = settings(own, dossier);
    for (label, text) in &own {
        paragraph::fact(out, label, Text::of(text, charset), charset, width)?;
    }
    for place in others.iter().filter(|place| place.is_used && is_in_full(place.space.id)) {
        let different = settings(place, dossier).into_iter().filter(|setting| !own.contains(setting));
        let different: Vec<(&str, String)> = different.collect();
        if different.is_empty() {
            continue;
        }
        let label = Text::of(&place.space.label, charset);
        writeln!(out, "in port space {} ({})", label.as_str(), place.space.kind.name())?;
        for (label, text) in different {
            paragraph::fact(out, label, Text::of(&text, charset), charset, width)?;
        }
    }
    Ok(())
}

fn settings(place: &Place<'_>, dossier: &Dossier<'_>) -> [(&'static str, String); 3] {
    let unknown = || "unknown on this system".to_owned();
    let port = dossier.port;
    let ephemeral = place.space.ephemeral.map_or_else(unknown, |range| {
        let answer = if range.contains(port) { "yes: inside" } else { "no: outside" };
        format!("{answer} the ephemeral range {range}")
    });
    let reserved = place.is_reserved.map_or_else(unknown, |is_reserved| {
        let answer = if is_reserved { "yes: in" } else { "no: not in" };
        format!("{answer} ip_local_reserved_ports (on Windows: an excluded range), which keeps ports from clients")
    });
    let privileged = place.space.unprivileged_start.map_or_else(unknown, |start| match place.is_privileged {
        _ if start == 0 => "no: every port can be bound without a privilege".to_owned(),
        Some(true) => format!("yes: below {start} (ip_unprivileged_port_start), binding requires CAP_NET_BIND_SERVICE"),
        _ => format!("no: not below {start} (ip_unprivileged_port_start)"),
    });
    [("ephemeral", ephemeral), ("reserved", reserved), ("privileged", privileged)]
}

/// `own` is the space of this process; every other one is named.
fn write_sockets(out: &mut dyn Write, holding: &Holding<'_>, own: Option<SpaceId>, style: Style) -> io::Result<()> {
    let Style { charset, width, .. } = style;
    let Some(row) = holding.row() else { return Ok(()) };
    let place = if own == Some(row.socket.space) {
        Text::default()
    } else {
        Text::join(&[Text::plain(", in port space "), Text::of(&row.space.label, charset)], "")
    };
    for open in &holding.open {
        let line = Text::join(&[socket(open, charset), place.clone()], "");
        paragraph::sentence(out, line.as_str(), width)?;
    }
    if holding.open.is_empty() {
        for connection in holding.connections.iter().take(MOST_CONNECTIONS) {
            let line = Text::join(&[socket(connection, charset), place.clone()], "");
            paragraph::sentence(out, line.as_str(), width)?;
        }
        let more = holding.connections.len().saturating_sub(MOST_CONNECTIONS);
        if more > 0 {
            let all = Peers::of(&holding.connections);
            writeln!(out, "and {} more: {}", thousands(more), owner::connected(&all))?;
        }
    }
    Ok(())
}

/// `tcp 127.0.0.1:5432 LISTEN, loopback only`.
fn socket(row: &Row<'_>, charset: Charset) -> Text {
    let socket = row.socket;
    let line = Text::of(&socket::socket(row, charset), charset);
    if socket.peer.is_some() {
        return line;
    }
    let reach = match row.exposure {
        Exposure::Loopback => "loopback only",
        Exposure::LinkLocal => "link-local address",
        Exposure::Private => "private address",
        Exposure::Public => "public address",
        Exposure::Any => "every interface",
    };
    let only_ipv6 = if socket.v6only == Some(true) { ", IPv6 only" } else { "" };
    Text::join(&[line, Text::plain(format!(", {reach}{only_ipv6}"))], "")
}

#[cfg(test)]
mod tests;
