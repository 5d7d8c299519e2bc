//! The owners of one port in other port spaces, one line each.

use std::io::{self, Write};

use crate::analyse::dossier::Holding;
use crate::model::{Port, SpaceId};
use crate::render::table::fit::Yields;
use crate::render::table::grid::{self, Column as GridColumn, Grid, Row as GridRow};
use crate::render::text::number::thousands;
use crate::render::text::paragraph;
use crate::render::text::safe::{Charset, Text};
use crate::render::text::style::Style;
use crate::render::words::column::Column;

/// So many owners in other port spaces are still shown in full.
const MOST_IN_FULL: usize = 2;

const COLUMNS: [GridColumn<'_>; 7] = [
    GridColumn::text("SPACE", Yields::is_cut(16, 8)),
    GridColumn::text("PROTO", Yields::NEVER),
    GridColumn::text("ADDRESS", Yields::NEVER.or_moves_below()),
    GridColumn::number("PID", Yields::leaves(1)),
    GridColumn::text("PROCESS", Yields::is_cut(24, 8)),
    GridColumn::text("USER", Yields::is_cut(12, 8)),
    GridColumn::number("CONNS", Yields::leaves(0)),
];

/// Divides the owners into those that are shown in full and those that take one line each. A port that many spaces have
/// in use would be longer than a screen.
pub fn divide<'h, 'a>(
    holdings: &'h [Holding<'a>],
    own: Option<SpaceId>,
    all: bool,
) -> (Vec<&'h Holding<'a>>, Vec<&'h Holding<'a>>) {
    let is_elsewhere = |holding: &Holding<'_>| {
        !holding.open.is_empty() && holding.row().is_some_and(|row| own != Some(row.socket.space))
    };
    let is_crowded = holdings.iter().filter(|holding| is_elsewhere(holding)).count() > MOST_IN_FULL;
    holdings.iter().partition(|holding| all || !is_crowded || !is_elsewhere(holding))
}

/// Writes one line for each owner.
pub fn write(out: &mut dyn Write, port: Port, holdings: &[&Holding<'_>], style: Style) -> io::Result<()> {
    if holdings.is_empty() {
        return Ok(());
    }
    let mut spaces: Vec<SpaceId> =
        holdings.iter().filter_map(|holding| holding.row()).map(|row| row.socket.space).collect();
    spaces.sort_unstable();
    spaces.dedup();
    let noun = if spaces.len() == 1 { "port space" } else { "port spaces" };
    let line = format!("also open in {} other {noun} (network namespaces)", thousands(spaces.len()));
    writeln!(out)?;
    paragraph::sentence(out, &line, style.width)?;
    let rows: Vec<GridRow> = holdings.iter().map(|holding| cells(holding, style.charset).into()).collect();
    let left = Grid::new(&COLUMNS, false).draw(out, &rows, style)?;
    grid::write_no_room(out, &left, style)?;
    paragraph::item(out, &format!("hint: show each of them in full: portscope info -v {port}"), style.width)
}

fn cells(holding: &Holding<'_>, charset: Charset) -> Vec<Text> {
    let Some(row) = holding.row() else { return vec![Text::unknown(); COLUMNS.len()] };
    let of_first = |column: Column| column.cell(row, charset);
    let of_all = |column: Column| {
        let mut cells: Vec<Text> = Vec::new();
        for cell in holding.open.iter().map(|open| column.cell(open, charset)) {
            if !cells.contains(&cell) {
                cells.push(cell);
            }
        }
        Text::join(&cells, ", ")
    };
    let connections = holding.peers.as_ref().map_or(0, |peers| peers.connections);
    vec![
        of_first(Column::Space),
        of_all(Column::Protocol),
        of_all(Column::Address),
        of_first(Column::Pid),
        of_first(Column::Process),
        of_first(Column::User),
        Text::plain(thousands(connections)),
    ]
}
