//! A comparison of two listings as text.

use std::io::{self, Write};

use crate::analyse::diff::{Change, Diff, Holder, Side};
use crate::model::{Host, Snapshot};
use crate::render::table::fit::Yields;
use crate::render::table::grid::{self, Column, Grid, Row};
use crate::render::text::paragraph;
use crate::render::text::safe::Text;
use crate::render::text::style::Style;
use crate::render::text::time;

/// Addresses of a listener that are named; the document has all.
const MOST_ADDRESSES: usize = 4;

/// Columns of the terminal that the label of a space is not cut below.
const LEAST_SPACE: usize = 16;

/// Writes what was compared, a row for each change, and what could not be compared.
pub fn write(
    out: &mut dyn Write,
    diff: &Diff,
    before: &Snapshot,
    after: &Snapshot,
    bare: bool,
    style: Style,
) -> io::Result<()> {
    if !bare {
        paragraph::item(out, &format!("before: {}", moment(&before.host, style)), style.width)?;
        paragraph::item(out, &format!("after:  {}", moment(&after.host, style)), style.width)?;
    }
    let columns = [
        Column::text("CHANGE", Yields::NEVER),
        Column::text("PROTO", Yields::leaves(0)),
        Column::number("PORT", Yields::NEVER),
        Column::text("SPACE", Yields::is_cut(LEAST_SPACE, LEAST_SPACE).or_leaves(0)),
        Column::text("WHAT", Yields::folds(12).or_moves_below()),
    ];
    let mut left = Vec::new();
    let rows: Vec<Row> = diff.changes.iter().map(|change| cells(change, style).into()).collect();
    if !rows.is_empty() {
        left = Grid::new(&columns, bare).draw(out, &rows, style)?;
    }
    if bare {
        return Ok(());
    }
    match diff.changes.len() {
        0 => writeln!(out, "no differences")?,
        1 => writeln!(out, "1 difference")?,
        count => writeln!(out, "{count} differences")?,
    }
    let noun = if diff.incomparable == 1 { "socket" } else { "sockets" };
    if diff.incomparable > 0 {
        let line = format!(
            "the owners of {} {noun} were not compared: they are hidden on one or both sides",
            diff.incomparable
        );
        paragraph::sentence(out, &line, style.width)?;
    }
    grid::write_no_room(out, &left, style)
}

fn moment(host: &Host, style: Style) -> String {
    let name = Text::of(host.name.as_deref().unwrap_or("unknown"), style.charset);
    format!("host {}, {}", name.as_str(), time::rfc3339(host.captured_at))
}

fn cells(change: &Change, style: Style) -> Vec<Text> {
    let identity = &change.identity;
    vec![
        Text::plain(change.kind.name()),
        Text::plain(identity.protocol.name()),
        Text::plain(identity.port.get().to_string()),
        Text::of(identity.space.label(), style.charset),
        Text::of(&what(change), style.charset),
    ]
}

/// The change in words: what it was, what it is.
fn what(change: &Change) -> String {
    use crate::analyse::diff::Kind;
    let both = |of: &dyn Fn(&Side) -> String| {
        let side = |side: &Option<Side>| side.as_ref().map(of).unwrap_or_default();
        format!("{} -> {}", side(&change.before), side(&change.after))
    };
    let peer = change.identity.peer.map(|peer| format!("with {peer}: ")).unwrap_or_default();
    let what = match change.kind {
        Kind::Opened => change.after.as_ref().map(whole).unwrap_or_default(),
        Kind::Closed => change.before.as_ref().map(whole).unwrap_or_default(),
        Kind::OwnerChanged => both(&holders),
        Kind::ExposureWidened | Kind::ExposureNarrowed | Kind::AddressChanged => both(&addresses),
        Kind::MovedSpace => format!("now in port space {}", change.to_space.as_ref().map_or("", |space| space.label())),
        Kind::ForwardChanged => both(&|side| side.forward.clone().unwrap_or_else(|| "itself".to_owned())),
    };
    format!("{peer}{what}")
}

fn whole(side: &Side) -> String {
    let forward = side.forward.as_ref().map(|forward| format!(", leads to {forward}")).unwrap_or_default();
    format!("{} by {}{forward}", addresses(side), holders(side))
}

fn addresses(side: &Side) -> String {
    let mut addresses: Vec<String> = side.addresses.iter().take(MOST_ADDRESSES).cloned().collect();
    let more = side.addresses.len() - addresses.len();
    addresses.extend((more > 0).then(|| format!("{more} more")));
    let exposure = side.exposure.map_or("unknown", crate::model::Exposure::name);
    let family = if side.is_ipv6_only() { ", IPv6 only" } else { "" };
    format!("{} ({exposure}{family})", addresses.join(", "))
}

fn holders(side: &Side) -> String {
    let Some(holders) = &side.holders else { return "(hidden)".to_owned() };
    if holders.is_empty() {
        // As in a listing, and no word that may be a user's name.
        return side.nobody.map_or_else(|| "(no process)".to_owned(), |why| format!("({})", why.name()));
    }
    let words = |holder: &Holder| {
        let mut words: Vec<String> = holder.program.iter().cloned().collect();
        words.extend(holder.runs.as_ref().map(|runs| format!("running {runs}")));
        words.extend(holder.unit.as_ref().map(|unit| format!("unit {unit}")));
        words.extend(holder.container.as_ref().map(|container| format!("container {container}")));
        words.extend(holder.user.as_ref().map(|user| format!("user {user}")));
        if words.is_empty() { "(unknown)".to_owned() } else { words.join(", ") }
    };
    holders.iter().map(words).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{analyse, join, testing};

    fn text(before: &Snapshot, after: &Snapshot) -> String {
        let found = analyse::diff::diff(&join::listing(before, None), &join::listing(after, None), false);
        drawn(&found, before, after, true, None)
    }

    fn drawn(found: &Diff, before: &Snapshot, after: &Snapshot, bare: bool, width: Option<usize>) -> String {
        let style = Style { color: false, charset: crate::render::text::safe::Charset::Unicode, width };
        let mut text = Vec::new();
        write(&mut text, found, before, after, bare, style).unwrap();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn a_narrow_terminal_has_the_whole_answer_and_says_what_had_no_room() {
        let mut after = testing::snapshot();
        after.sockets.remove(2);
        let before = testing::snapshot();
        let found = analyse::diff::diff(&join::listing(&before, None), &join::listing(&after, None), false);
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        for (width, room) in [(80, ""), (60, ""), (20, " hidden columns: SPACE (widen the terminal or use a pipe)")] {
            let text = drawn(&found, &before, &after, false, Some(width));
            let answer = "0.0.0.0 (any) by /usr/sbin/nginx, user root; /usr/sbin/nginx, user www-data 1 difference";
            assert!(words(&text).contains(answer), "{text}");
            assert!(words(&text).ends_with(&format!("are hidden on one or both sides{room}")), "{text}");
            let mut table =
                text.lines().skip_while(|line| !line.starts_with("CHANGE")).take_while(|line| *line != "1 difference");
            assert!(table.all(|line| line.chars().count() <= width), "{text}");
        }
    }

    #[test]
    fn that_no_process_holds_a_socket_reads_like_no_user() {
        let over = crate::model::Owner::Nobody(crate::model::Nobody::Unaccepted);
        let mut after = testing::snapshot();
        let mut socket = after.sockets[1].clone();
        (socket.peer, socket.owner) = (Some("198.51.100.24:7".parse().map(endpoint).unwrap()), over);
        after.sockets.push(socket);
        let before = testing::snapshot();
        let found = analyse::diff::diff(&join::listing(&before, None), &join::listing(&after, None), true);
        let text = drawn(&found, &before, &after, true, None);
        assert!(text.contains("with 198.51.100.24:7: 192.0.2.7 (public) by (unaccepted)"), "{text}");
        let report = crate::render::document::diff::DiffReport::new(&found, &before, &after, None);
        let side = &serde_json::to_value(report).unwrap()["changes"][0]["after"];
        assert_eq!((&side["holders"], &side["nobody"]), (&serde_json::json!([]), &"unaccepted".into()));
    }

    fn endpoint(end: std::net::SocketAddr) -> crate::model::Endpoint {
        crate::model::Endpoint::new(end.ip(), end.port())
    }

    #[test]
    fn a_change_names_what_was_and_what_is_in_a_line() {
        let before = testing::snapshot();
        let mut after = testing::snapshot();
        for last in 2..=8 {
            let mut socket = after.sockets[3].clone();
            socket.local.address = std::net::Ipv4Addr::new(127, 0, 0, last).into();
            after.sockets.push(socket);
        }
        after.sockets.remove(2);
        let lines = text(&before, &after);
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        let lines: Vec<String> = lines.lines().map(words).collect();
        assert_eq!(
            lines,
            [
                "closed tcp 443 host 0.0.0.0 (any) by /usr/sbin/nginx, user root; /usr/sbin/nginx, user www-data",
                "address-changed tcp 5432 host 127.0.0.1, ::1 (loopback) -> 127.0.0.1, 127.0.0.2, 127.0.0.3, 127.0.0.4, \
                 5 more (loopback)",
            ]
        );
    }
}
