//! Registered services as a table.

use std::io::{self, Write};

use crate::model::{Category, Registered};
use crate::render::table::draw::{Emphasis, Frame};
use crate::render::table::fit::Yields;
use crate::render::table::grid::{self, Column, Grid, Row};
use crate::render::text::paragraph;
use crate::render::text::safe::Text;
use crate::render::text::style::Style;
use crate::render::words::{category, registered};

/// `--output` of `services`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Form {
    /// For people.
    Table,
    /// One document.
    Json,
    /// Comma-separated.
    Csv,
    /// Tab-separated.
    Tsv,
    /// A Markdown table.
    Markdown,
}

impl Form {
    /// Every form.
    pub const ALL: [Form; 5] = [Form::Table, Form::Json, Form::Csv, Form::Tsv, Form::Markdown];

    /// The name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Form::Table => "table",
            Form::Json => "json",
            Form::Csv => "csv",
            Form::Tsv => "tsv",
            Form::Markdown => "markdown",
        }
    }
}

const COLUMNS: [Column<'_>; 6] = [
    Column::number("PORT", Yields::NEVER),
    Column::text("PROTO", Yields::NEVER),
    Column::text("CATEGORY", Yields::leaves(1)),
    Column::text("SERVICE", Yields::is_cut(16, 16)),
    Column::text("SOURCE", Yields::leaves(0)),
    Column::text("DESCRIPTION", Yields::is_cut(24, 8)),
];

/// Where the description of a category begins, below its table.
const INDENT: usize = 25;

/// Writes the entries; in an overview's table with the categories below.
pub fn write(
    out: &mut dyn Write,
    entries: &[Registered<'_>],
    form: Form,
    is_overview: bool,
    bare: bool,
    style: Style,
) -> io::Result<()> {
    let frame = if form == Form::Markdown { Frame::Markdown } else { Frame::Plain };
    if !entries.is_empty() || frame == Frame::Markdown {
        write_table(out, entries, frame, bare, style)?;
    }
    if form == Form::Table && is_overview && !bare {
        writeln!(out)?;
        for of in Category::ALL {
            let range = of.range();
            let line = format!("{:<11} {:>11}  {}", of.name(), range.to_string(), category::rule(of));
            // Where little room is left beside the range, the rule goes on near the margin.
            let indent = if style.width.is_some_and(|width| width < 2 * INDENT) { 4 } else { INDENT };
            paragraph::hanging(&line, indent, style.width).iter().try_for_each(|line| writeln!(out, "{line}"))?;
        }
    }
    Ok(())
}

fn write_table(
    out: &mut dyn Write,
    entries: &[Registered<'_>],
    frame: Frame,
    bare: bool,
    style: Style,
) -> io::Result<()> {
    let escaped = |text: Text| if frame == Frame::Markdown { text.for_markdown() } else { text };
    let cell = |(index, text)| (escaped(text), if index == 0 { Emphasis::Strong } else { Emphasis::None });
    let row = |entry: &Registered<'_>| Row {
        cells: registered::cells(entry, style).into_iter().enumerate().map(cell).collect(),
        note: None,
    };
    let rows: Vec<Row> = entries.iter().map(row).collect();
    let left = Grid { columns: &COLUMNS, bare, frame }.draw(out, &rows, style)?;
    if bare { Ok(()) } else { grid::write_no_room(out, &left, style) }
}
