//! A listing by service: one row for what a program, unit or container has open.

use std::io::{self, Write};

use crate::model::Listing;
use crate::render::page::listing::{self, Sheet, TableOptions};
use crate::render::table::draw::Frame;
use crate::render::table::fit::Yields;
use crate::render::table::grid::{self, Column as GridColumn, Grid, Row as GridRow};
use crate::render::text::safe::Text;
use crate::render::words::column::Column;
use crate::render::words::{service_group, traffic};
use crate::select::group::Group;

/// Writes a row for each service. Columns that are empty in every row are left out.
pub fn write(
    out: &mut dyn Write,
    listing: &Listing<'_>,
    groups: &[Group<'_, '_>],
    options: &TableOptions,
) -> io::Result<()> {
    let style = options.style;
    let is_plain = options.frame == Frame::Plain;
    if is_plain && !options.bare {
        listing::write_title(out, listing, options)?;
    }
    let (columns, rows) = prepared(listing, groups, options);
    let grid = Grid { columns: &columns, bare: options.bare, frame: options.frame };
    if rows.is_empty() && is_plain {
        return if options.bare { Ok(()) } else { writeln!(out, "no open socket matches") };
    }
    let left = grid.draw(out, &rows, style)?;
    if options.bare || !is_plain { Ok(()) } else { grid::write_no_room(out, &left, style) }
}

/// The rows fitted to the width, for who draws the table otherwise.
pub fn sheet(listing: &Listing<'_>, groups: &[Group<'_, '_>], options: &TableOptions) -> Sheet {
    let (columns, rows) = prepared(listing, groups, options);
    let (heads, rows, left) = Grid::new(&columns, false).laid(&rows, options.style);
    let left = left.into_iter().map(|index| columns[index].title).collect();
    Sheet { columns: Vec::new(), heads, rows, left }
}

/// The columns that say something, and a row for each service.
fn prepared(
    listing: &Listing<'_>,
    groups: &[Group<'_, '_>],
    options: &TableOptions,
) -> (Vec<GridColumn<'static>>, Vec<GridRow>) {
    let columns = [
        GridColumn::text("SPACE", Yields::is_cut(12, 8)),
        GridColumn::text("PORTS", Yields::NEVER),
        GridColumn::text("ADDRESSES", Yields::NEVER),
        GridColumn::text("SERVICES", Yields::leaves(1)),
        GridColumn::number("PID", Yields::leaves(3)),
        GridColumn::text("PROCESS", Yields::is_cut(24, 12)),
        GridColumn::text("PROJECT", Yields::leaves(2)),
        GridColumn::text("USER", Yields::is_cut(12, 8)),
        GridColumn::number("CONNS", Yields::leaves(4)),
        GridColumn::number("RX", Yields::leaves(5)),
        GridColumn::number("TX", Yields::leaves(5)),
        GridColumn::text("PEERS", Yields::leaves(0)),
    ];
    let rows: Vec<Vec<Text>> = groups.iter().map(|group| cells(group, options)).collect();
    let says = |index: usize| match columns[index].title {
        "SPACE" => listing.has_several_spaces(),
        "PORTS" | "PROCESS" => true,
        "CONNS" => rows.iter().any(|row| row[index].as_str() != "0"),
        _ => rows.iter().any(|row| row[index] != Text::unknown()),
    };
    let indices: Vec<usize> = (0..columns.len()).filter(|index| says(*index)).collect();
    let columns: Vec<GridColumn<'static>> = indices.iter().map(|index| columns[*index]).collect();
    let row = |row: &Vec<Text>| indices.iter().map(|index| row[*index].clone()).collect::<Vec<Text>>().into();
    let rows: Vec<GridRow> = rows.iter().map(row).collect();
    (columns, rows)
}

fn cells(group: &Group<'_, '_>, options: &TableOptions) -> Vec<Text> {
    let charset = options.style.charset;
    let plain = |text: String| if text.is_empty() { Text::unknown() } else { Text::of(&text, charset) };
    let first = group.rows.first();
    let of_first = |column: Column| first.map_or_else(Text::unknown, |row| column.cell(row, charset));
    let of_traffic = |column: Column| traffic::cell(column, group.traffic.as_ref()).unwrap_or_else(Text::unknown);
    let cells = vec![
        of_first(Column::Space),
        plain(service_group::ports(group, false)),
        plain(service_group::addresses(group, false)),
        plain(service_group::services(group, false, charset)),
        group.processes.first().map_or_else(Text::unknown, |(pid, _)| Text::plain(pid.0.to_string())),
        service_group::program(group, charset),
        of_first(Column::Project),
        of_first(Column::User),
        Text::plain(group.connections.to_string()),
        of_traffic(Column::Rx),
        of_traffic(Column::Tx),
        plain(service_group::peers(group, charset)),
    ];
    match options.frame {
        Frame::Markdown => cells.into_iter().map(Text::for_markdown).collect(),
        Frame::Plain => cells,
    }
}
