//! Registered services as a table.

use std::io::{self, Write};

use crate::model::{Category, Registered};
use crate::render::table::draw::{self, Cells, Emphasis, Frame, Head};
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

const HEADS: [&str; 6] = ["PORT", "PROTO", "CATEGORY", "SERVICE", "SOURCE", "DESCRIPTION"];

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
            writeln!(out, "{:<11} {:>11}  {}", of.name(), range.to_string(), category::rule(of))?;
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
    let rows: Vec<[Text; 6]> = entries.iter().map(|entry| registered::cells(entry, style).map(escaped)).collect();
    let width = |place: usize| rows.iter().map(|row| row[place].width()).max().unwrap_or(0).max(HEADS[place].len());
    let mut widths: [usize; 6] = std::array::from_fn(width);
    // The description takes what the other columns leave, but stays readable.
    if let Some(terminal) = style.width.filter(|_| frame == Frame::Plain) {
        let others: usize = widths[..5].iter().map(|width| width + usize::from(crate::render::table::fit::GAP)).sum();
        widths[5] = widths[5].min(terminal.saturating_sub(others).max(HEADS[5].len()));
    }
    let shape: Vec<Head> = (0..6)
        .map(|place| Head { title: HEADS[place].to_owned(), width: widths[place], is_number: place == 0 })
        .collect();
    let mut rows = rows.into_iter().map(|mut row| -> Cells {
        row[5].truncate(widths[5], style.charset);
        let emphasis = |place| if place == 0 { Emphasis::Strong } else { Emphasis::None };
        row.into_iter().enumerate().map(|(place, text)| (text, emphasis(place))).collect()
    });
    let heads = if bare { None } else { Some(&shape[..]) };
    draw::draw(out, heads, &shape, &mut rows, frame, style)
}
