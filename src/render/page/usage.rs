//! How full each port space is, for people.

use std::io::{self, Write};

use crate::analyse::usage::{Causes, Destination, Excess, Gauge, QueueUse, Share, SpaceUsage};
use crate::model::{Endpoint, Listing, Missing, Protocol};
use crate::render::table::draw::{Cells, Emphasis};
use crate::render::table::fit::Yields;
use crate::render::table::grid::{self, Column as GridColumn, Grid, Row};
use crate::render::text::number::thousands;
use crate::render::text::paragraph;
use crate::render::text::safe::{Charset, Text};
use crate::render::text::style::Style;
use crate::render::words::column::{self, Column};
use crate::render::words::summary;
use crate::render::words::usage::{address, described, measured, percent};

/// The columns of a gauge's bar.
const BAR: usize = 20;
/// The processes that are named for one destination.
const MOST_CAUSES: usize = 3;

/// What is shown of it.
#[derive(Clone, Copy, Debug)]
pub struct UsageOptions {
    /// How many destinations and queues of each space.
    pub top: usize,
    /// Above which part of its limit something is marked.
    pub above: f64,
    /// The look.
    pub style: Style,
}

/// Writes the spaces one after the other, then the answer.
pub fn write(
    out: &mut dyn Write,
    listing: &Listing<'_>,
    spaces: &[SpaceUsage<'_>],
    options: UsageOptions,
) -> io::Result<()> {
    let Style { charset, width, .. } = options.style;
    paragraph::sentence(out, summary::title(listing.snapshot, charset).as_str(), width)?;
    let lacks_peers = listing.snapshot.misses(Missing::Peers);
    for space in spaces {
        if spaces.len() > 1 {
            let label = Text::of(&space.space.label, charset);
            writeln!(out, "\nport space {} ({})", label.as_str(), space.space.kind.name())?;
        }
        write_gauges(out, space, options)?;
        if lacks_peers {
            writeln!(out)?;
            let line = "the destinations of TCP connections are unknown: peers were removed from the report";
            paragraph::sentence(out, line, width)?;
        } else {
            write_destinations(out, space, options)?;
        }
        write_queues(out, space, options)?;
    }
    writeln!(out)?;
    let excesses: Vec<(&SpaceUsage<'_>, Excess<'_, '_>)> = spaces
        .iter()
        .flat_map(|space| space.above(options.above).into_iter().map(move |excess| (space, excess)))
        .collect();
    for (space, excess) in &excesses {
        let place = if spaces.len() > 1 {
            format!(" in {}", Text::of(&space.space.label, charset).as_str())
        } else {
            String::new()
        };
        let line = format!("above {}: {}{place}", percent(options.above), described(excess));
        paragraph::sentence(out, &line, width)?;
    }
    paragraph::sentence(out, &answer(spaces), width)
}

/// The fullest of all limits, and a reminder that ports are counted per port space.
fn answer(spaces: &[SpaceUsage<'_>]) -> String {
    let all = spaces.iter().flat_map(|space| space.above(-1.0));
    let fullest = all.max_by(|a, b| a.share().part().total_cmp(&b.share().part()));
    let fullest = fullest.map(|fullest| format!("Fullest: {}. ", described(&fullest))).unwrap_or_default();
    format!(
        "{fullest}Ports are counted per host and per port space (network namespace): other computers do not use them up."
    )
}

fn number(number: usize) -> Text {
    Text::plain(number.to_string())
}

/// The share, marked where it is above.
fn share_cell(share: Option<Share>, above: f64) -> (Text, Emphasis) {
    match share {
        None => (Text::unknown(), Emphasis::None),
        Some(share) if share.part() > above => {
            (Text::plain(format!("{} !", percent(share.part()))), Emphasis::Attention)
        }
        Some(share) => (Text::plain(format!("{}  ", percent(share.part()))), Emphasis::None),
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a few columns of a bar"
)]
fn bar(share: Share, charset: Charset) -> Text {
    // Something is never shown as nothing.
    let full = ((share.part().min(1.0) * BAR as f64) as usize).max(usize::from(share.used > 0));
    let (used, unused) = if charset == Charset::Unicode { ("█", "░") } else { ("#", ".") };
    Text::of(&format!("{}{}", used.repeat(full), unused.repeat(BAR - full)), charset)
}

fn write_gauges(out: &mut dyn Write, space: &SpaceUsage<'_>, options: UsageOptions) -> io::Result<()> {
    let style = options.style;
    let row = |gauge: &Gauge| -> Cells {
        let plain = |text: &str| (Text::plain(text), Emphasis::None);
        vec![
            plain(gauge.protocol.name()),
            plain(measured(gauge.measured)),
            plain(&gauge.range.to_string()),
            (number(gauge.share.used), Emphasis::Strong),
            (number(gauge.share.limit), Emphasis::None),
            share_cell(Some(gauge.share), options.above),
            (bar(gauge.share, style.charset), Emphasis::Dim),
        ]
    };
    let rows: Vec<Row> = space.gauges.iter().map(row).map(Row::from).collect();
    let columns = [
        GridColumn::text("PROTO", Yields::leaves(3)),
        GridColumn::text("PORTS", Yields::NEVER),
        GridColumn::number("RANGE", Yields::leaves(1)),
        GridColumn::number("USED", Yields::NEVER),
        GridColumn::number("OF", Yields::leaves(2)),
        GridColumn::number("SHARE", Yields::NEVER),
        // The bar says what stands beside it.
        GridColumn::text("", Yields::leaves(0)),
    ];
    let left = Grid::new(&columns, false).draw(out, &rows, style)?;
    grid::write_no_room(out, &left, style)?;
    let reserved = match (space.space.ephemeral, space.reserved) {
        (None, _) => "the ephemeral range is unknown here, and so are its limits; ",
        (Some(_), 0) => "",
        (Some(_), 1) => "1 port of the ephemeral range is reserved; ",
        (Some(_), count) => &format!("{} ports of the ephemeral range are reserved; ", thousands(count)),
    };
    let rule = format!(
        "{reserved}TCP can use each ephemeral port once per destination (local address, peer address, peer port); UDP, and \
         a TCP program that binds before it connects or listens on port 0, needs a port that nothing else uses"
    );
    paragraph::sentence(out, &rule, style.width)
}

fn write_destinations(out: &mut dyn Write, space: &SpaceUsage<'_>, options: UsageOptions) -> io::Result<()> {
    let Style { charset, width, .. } = options.style;
    let count = space.destinations.len();
    let shown = &space.destinations[..count.min(options.top)];
    let heading = match (count, shown.len()) {
        (0, _) => "no TCP connection uses an ephemeral port".to_owned(),
        (1, 1) => "1 destination of TCP connections from ephemeral ports".to_owned(),
        (_, all) if all == count => {
            format!("{} destinations of TCP connections from ephemeral ports, fullest first", thousands(count))
        }
        (_, some) => {
            let all = thousands(count);
            format!("the {some} fullest of {all} destinations of TCP connections from ephemeral ports")
        }
    };
    writeln!(out)?;
    paragraph::sentence(out, &heading, width)?;
    if shown.is_empty() {
        return Ok(());
    }
    let row = |destination: &Destination<'_>| -> Cells {
        let local = Endpoint { address: destination.local, ..destination.peer };
        let text = |text: String| (Text::plain(text), Emphasis::None);
        vec![
            (address(local, destination.device, charset), Emphasis::None),
            (address(destination.peer, destination.device, charset), Emphasis::None),
            text(destination.peer.port.to_string()),
            (number(destination.used), Emphasis::Strong),
            (destination.limit.map_or_else(Text::unknown, number), Emphasis::None),
            share_cell(destination.share(), options.above),
            (number(destination.time_wait), Emphasis::None),
        ]
    };
    let row = |destination: &Destination<'_>| {
        let causes = causes(&destination.causes, destination.used - destination.time_wait, charset);
        Row { cells: row(destination), note: causes.map(|causes| format!("held by {}", causes.as_str())) }
    };
    let rows: Vec<Row> = shown.iter().map(row).collect();
    let columns = [
        GridColumn::text("LOCAL ADDRESS", Yields::leaves(2)),
        GridColumn::text("PEER ADDRESS", Yields::NEVER.or_moves_below()),
        GridColumn::number("PORT", Yields::NEVER),
        GridColumn::number("USED", Yields::NEVER),
        GridColumn::number("OF", Yields::leaves(1)),
        GridColumn::number("SHARE", Yields::leaves(3)),
        GridColumn::number("TIME_WAIT", Yields::leaves(0)),
    ];
    let reusable: usize = shown.iter().map(|destination| destination.reusable).sum();
    let left = Grid::new(&columns, false).draw(out, &rows, options.style)?;
    if reusable > 0 {
        let line =
            format!("{reusable} of the ports in TIME_WAIT count as free: tcp_tw_reuse lets a new connection take them");
        paragraph::sentence(out, &line, options.style.width)?;
    }
    grid::write_no_room(out, &left, options.style)
}

/// The processes with the most connections: `node (812): 40, curl (90): 3, 2 more: 5`.
fn causes(causes: &Causes<'_>, connections: usize, charset: Charset) -> Option<Text> {
    let named = |(pid, process, count): &(_, Option<&_>, usize)| {
        let name = column::name(*process, charset).unwrap_or_else(Text::unknown);
        let crate::model::Pid(pid) = pid;
        Text::join(&[name, Text::plain(format!("({pid}): {count}"))], " ")
    };
    let mut parts: Vec<Text> = causes.iter().take(MOST_CAUSES).map(named).collect();
    if causes.len() > MOST_CAUSES {
        let rest: usize = causes[MOST_CAUSES..].iter().map(|(_, _, count)| count).sum();
        parts.push(Text::plain(format!("{} more: {rest}", causes.len() - MOST_CAUSES)));
    }
    let known: usize = causes.iter().map(|(_, _, count)| count).sum();
    if known < connections {
        parts.push(Text::plain(format!("no process or not seen: {}", connections - known)));
    }
    (!parts.is_empty()).then(|| Text::join(&parts, ", "))
}

fn write_queues(out: &mut dyn Write, space: &SpaceUsage<'_>, options: UsageOptions) -> io::Result<()> {
    let Style { charset, width, .. } = options.style;
    let waiting: Vec<&QueueUse<'_>> = space.queues.iter().filter(|queue| queue.queue.used > 0).collect();
    let lost = match space.space.listen_overflows {
        None => "the number of connections lost to full queues is unknown".to_owned(),
        Some(count) => format!(
            "connections lost to full queues since this network namespace was created (ListenOverflows): {count}"
        ),
    };
    let queues = match (space.queues.len(), waiting.len()) {
        (0, _) => "no accept queues are known".to_owned(),
        (1, 0) => "accept queues: the only one is empty".to_owned(),
        (count, 0) => format!("accept queues: all {count} are empty"),
        (count, waiting) => format!("accept queues: connections are waiting in {waiting} of {count}"),
    };
    writeln!(out)?;
    paragraph::sentence(out, &format!("{queues}; {lost}"), width)?;
    let shown = &waiting[..waiting.len().min(options.top)];
    if shown.is_empty() {
        return Ok(());
    }
    let row = |queue: &&QueueUse<'_>| -> Cells {
        let local = queue.row.socket.local;
        let process = queue.row.processes.first();
        let name = process.and_then(|(_, process)| column::name(*process, charset)).unwrap_or_else(Text::unknown);
        let pid = process.map_or_else(Text::unknown, |(pid, _)| Text::plain(pid.0.to_string()));
        vec![
            (Text::plain(Protocol::Tcp.name()), Emphasis::None),
            (Column::Address.cell(queue.row, charset), Emphasis::None),
            (Text::plain(local.port.to_string()), Emphasis::Strong),
            (Text::plain(queue.queue.used.to_string()), Emphasis::Strong),
            (Text::plain(queue.queue.limit.to_string()), Emphasis::None),
            share_cell(Some(queue.share()), options.above),
            (pid, Emphasis::None),
            (name, Emphasis::None),
        ]
    };
    let rows: Vec<Row> = shown.iter().map(row).map(Row::from).collect();
    let columns = [
        GridColumn::text("PROTO", Yields::leaves(0)),
        GridColumn::text("LOCAL ADDRESS", Yields::NEVER.or_moves_below()),
        GridColumn::number("PORT", Yields::NEVER),
        GridColumn::number("WAIT", Yields::NEVER),
        GridColumn::number("OF", Yields::leaves(2)),
        GridColumn::number("SHARE", Yields::NEVER),
        GridColumn::number("PID", Yields::leaves(1)),
        GridColumn::text("PROCESS", Yields::is_cut(16, 8).or_leaves(3)),
    ];
    let left = Grid::new(&columns, false).draw(out, &rows, options.style)?;
    grid::write_no_room(out, &left, options.style)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyse::usage::usage;
    use crate::model::{Queue, State, Waiting};
    use crate::render::words::usage::MARKED_ABOVE;
    use crate::{join, testing};

    fn text(width: Option<usize>, charset: Charset) -> String {
        let mut snapshot = testing::snapshot();
        snapshot.spaces[0].reserved = Some(Vec::new());
        snapshot.spaces[0].listen_overflows = Some(7);
        snapshot.sockets[1].local.port = crate::model::Port::new(40_001);
        snapshot.sockets[1].state = Some(State::Established);
        snapshot.sockets[3].waiting = Some(Waiting::Connections(Queue { used: 120, limit: 128 }));
        snapshot.sockets[4].waiting = Some(Waiting::Connections(Queue { used: 0, limit: 128 }));
        let listing = join::listing(&snapshot, None);
        let style = Style { color: false, charset, width };
        let mut text = Vec::new();
        write(&mut text, &listing, &usage(&listing), UsageOptions { top: 10, above: MARKED_ABOVE, style }).unwrap();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn a_terminal_of_80_columns_is_enough() {
        let text = text(Some(80), Charset::Unicode);
        assert!(text.lines().all(|line| unicode_width::UnicodeWidthStr::width(line) <= 80), "{text}");
        insta::assert_snapshot!("usage_80", text);
    }

    #[test]
    fn a_narrower_terminal_shows_fewer_columns_and_says_which() {
        for width in 40..=120 {
            let text = text(Some(width), Charset::Unicode);
            assert!(text.lines().all(|line| unicode_width::UnicodeWidthStr::width(line) <= width), "{width}:\n{text}");
        }
        let narrow = text(Some(40), Charset::Unicode);
        for line in [
            "hidden columns: RANGE (widen the\n",
            "hidden columns: TIME_WAIT, OF, LOCAL\nADDRESS (widen the terminal or use a\npipe)\n",
            "hidden columns: PROTO, PID, OF",
        ] {
            assert!(narrow.contains(line), "no {line}: {narrow}");
        }
        assert!(!text(None, Charset::Unicode).contains("hidden columns"));
    }

    #[test]
    fn what_is_almost_full_is_not_called_full() {
        for (used, limit, shown) in [(0, 0, "0.0%"), (1, 0, "100.0%"), (9999, 10_000, "99.9%"), (29, 100, "29.0%")] {
            assert_eq!(percent(Share { used, limit }.part()), shown, "{used} of {limit}");
        }
        let shown = |used, limit| bar(Share { used, limit }, Charset::Ascii).into_string();
        assert_eq!(shown(1, 60_000), format!("#{}", ".".repeat(19)));
        assert_eq!(shown(0, 60_000), ".".repeat(20));
        assert_eq!(shown(3, 2), "#".repeat(20));
    }
}
