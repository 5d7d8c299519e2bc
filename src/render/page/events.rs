//! Events for people: an aligned line each.

use std::io::{self, Write};
use std::time::SystemTime;

use crate::analyse::history::{History, PortHistory};
use crate::model::{Changes, Event, EventKind, Listing, Port, Protocol, Row};
use crate::render::table::fit::Yields;
use crate::render::table::grid::{self, Column, Grid};
use crate::render::text::safe::{self, Text};
use crate::render::text::style::Style;
use crate::render::text::time;
use crate::render::words::event::{lost, outcome, sign, tone, who};
use crate::render::words::socket;
use crate::render::words::socket::answering as local;

/// The widest address that the lines are aligned for.
const MOST_ALIGNED: usize = 40;

/// How the lines look, and how far they are aligned by now.
#[derive(Debug)]
pub struct EventLines {
    style: Style,
    /// Whether each line has its date.
    dated: bool,
    address: usize,
    /// The day of the last line.
    day: Option<String>,
}

impl EventLines {
    /// Lines with the date in each, or a line of its own for each new day.
    pub fn new(style: Style, dated: bool) -> EventLines {
        EventLines { style, dated, address: 15, day: None }
    }

    /// Writes the events that are wanted. The listing has a row for each socket of the changes, in their order.
    pub fn write(
        &mut self,
        out: &mut dyn Write,
        changes: &Changes,
        listing: &Listing<'_>,
        is_wanted: impl Fn(usize, &Event) -> bool,
    ) -> io::Result<()> {
        for (index, event) in changes.events.iter().enumerate() {
            if is_wanted(index, event) {
                self.line(out, event, listing)?;
            }
        }
        Ok(())
    }

    fn line(&mut self, out: &mut dyn Write, event: &Event, listing: &Listing<'_>) -> io::Result<()> {
        let (day, clock) = time::day_and_clock(event.at);
        let time = if self.dated {
            format!("{day} {clock}")
        } else {
            if self.day.as_deref().is_some_and(|last| last != day) {
                writeln!(out, "{day}")?;
            }
            self.day = Some(day);
            clock
        };
        let sign = self.painted(event.kind);
        let row = event.socket.and_then(|index| row_of(listing, index));
        let Some(row) = row else {
            let lost = event.lost.map(|counts| lost(counts, event.seen)).unwrap_or_default();
            return writeln!(out, "{time}  {sign} {lost}");
        };
        let charset = self.style.charset;
        let mut address = local(row, charset);
        if let Some(peer) = socket::peer(row, charset) {
            address = format!("{address} with {peer}");
        }
        self.address = self.address.max(safe::width(&address).min(MOST_ALIGNED));
        let pad = " ".repeat(self.address.saturating_sub(safe::width(&address)));
        let space = if row.space.id == listing.snapshot.own {
            String::new()
        } else {
            format!("[{}] ", Text::of(&row.space.label, charset).as_str())
        };
        let blockers: Vec<&Row<'_>> =
            event.blockers.iter().filter_map(|blocker| row_of(listing, blocker.socket)).collect();
        let protocol = row.socket.protocol.name();
        let (who, outcome) = (who(row, event.gone, charset), outcome(event, &blockers, charset));
        // A record is read to know from when to when. It does not tell that of what was open for less than a millisecond.
        let since =
            event.open_for.filter(|span| self.dated && !span.is_zero()).and_then(|span| event.at.checked_sub(span));
        let since = since.map(|since| format!(" since {}", time::day_and_clock(since).1)).unwrap_or_default();
        writeln!(out, "{time}  {sign} {protocol} {address}{pad}  {space}{who}{outcome}{since}")
    }

    /// The sign, in color where that is wanted; the sign itself says enough.
    fn painted(&self, kind: EventKind) -> String {
        let sign = sign(kind).to_string();
        tone(kind).map_or_else(|| sign.clone(), |tone| tone.paint(&sign, self.style.color))
    }
}

/// Writes which ports are open at the end of a record, and since when.
pub fn write_open(out: &mut dyn Write, open: Vec<(SystemTime, String)>) -> io::Result<()> {
    for (since, what) in open {
        let (day, clock) = time::day_and_clock(since);
        writeln!(out, "{day} {clock}  = {what}, still open at the end of the record")?;
    }
    Ok(())
}

/// Writes a row for each port of a record.
pub fn write_summary(out: &mut dyn Write, history: &History, style: Style) -> io::Result<()> {
    let columns = [
        Column::text("PROTO", Yields::leaves(0)),
        Column::number("PORT", Yields::NEVER),
        Column::number("OPENED", Yields::NEVER),
        Column::number("CLOSED", Yields::NEVER),
        Column::number("FAILED", Yields::NEVER),
        Column::number("SHORTEST", Yields::leaves(1)),
        Column::text("OPENED-BY", Yields::folds(12).or_moves_below()),
    ];
    let number = |number: u64| Text::plain(number.to_string());
    let row = |((port, protocol), seen): (&(Port, Protocol), &PortHistory)| {
        let owner = |(name, count): (&String, &u64)| match count {
            1 => name.clone(),
            count => format!("{name} ({count} times)"),
        };
        let owners: Vec<String> = seen.owners.iter().map(owner).collect();
        let cells = vec![
            Text::plain(protocol.name()),
            number(port.get().into()),
            number(seen.opened),
            number(seen.closed),
            number(seen.failed),
            seen.shortest.map_or_else(Text::unknown, |shortest| Text::plain(time::lifetime(shortest))),
            if owners.is_empty() { Text::unknown() } else { Text::of(&owners.join(", "), style.charset) },
        ];
        grid::Row::from(cells)
    };
    let rows: Vec<grid::Row> = history.ports.iter().map(row).collect();
    if let Some((first, last)) = history.span {
        let moment = |at| {
            let (day, clock) = time::day_and_clock(at);
            format!("{day} {}", clock.split('.').next().unwrap_or_default())
        };
        writeln!(out, "{} to {}", moment(first), moment(last))?;
    }
    if history.lost > 0 {
        writeln!(out, "{} events were lost; more may have happened", history.lost)?;
    }
    if rows.is_empty() {
        return writeln!(out, "no events");
    }
    let left = Grid::new(&columns, false).draw(out, &rows, style)?;
    grid::write_no_room(out, &left, style)
}

/// The row of a socket of the changes.
fn row_of<'a>(listing: &'a Listing<'a>, index: usize) -> Option<&'a Row<'a>> {
    listing.rows.get(index)
}
