//! Registered services as a table, JSON or CSV.

use std::io::{self, Write};

use super::json;
use super::report_services::ServicesReport;
use super::sanitize::Text;
use super::style::Style;
use super::table::{self, Cells, Emphasis, Frame, Head};
use crate::model::{Category, Registered};

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
const NAMES: [&str; 6] = ["port", "proto", "category", "service", "source", "description"];

/// Writes the entries; in an overview's table with the categories below.
pub fn write(
    out: &mut dyn Write,
    entries: &[Registered<'_>],
    form: Form,
    is_overview: bool,
    bare: bool,
    style: Style,
) -> io::Result<()> {
    match form {
        Form::Json => return json::write(out, &ServicesReport::new(entries), style.width.is_some()),
        Form::Csv | Form::Tsv => return write_separated(out, entries, form, bare, style),
        Form::Table | Form::Markdown => {}
    }
    let frame = if form == Form::Markdown { Frame::Markdown } else { Frame::Plain };
    if !entries.is_empty() || frame == Frame::Markdown {
        write_table(out, entries, frame, bare, style)?;
    }
    if form == Form::Table && is_overview && !bare {
        writeln!(out)?;
        for category in Category::ALL {
            let range = category.range();
            writeln!(out, "{:<11} {:>11}  {}", category.name(), range.to_string(), rule(category))?;
        }
    }
    Ok(())
}

/// Who may use the numbers of a category. Source: RFC 6335, sections 6 and 8.
pub fn rule(category: Category) -> &'static str {
    match category {
        Category::WellKnown => "assigned by IANA; on Unix a program needs a privilege to listen there",
        Category::Registered => "registered with IANA on request; choose an unregistered one for your own service",
        Category::Dynamic => "never assigned; handed out for a short time, so a server may find its port taken",
    }
}

fn cells(entry: &Registered<'_>, style: Style) -> [Text; 6] {
    let charset = style.charset;
    [
        Text::plain(entry.port.to_string()),
        Text::plain(entry.protocol.name()),
        Text::plain(Category::of(entry.port).name()),
        Text::of(entry.service.name, charset),
        Text::plain(entry.service.source.name()),
        Text::of(entry.service.description.unwrap_or_default(), charset),
    ]
}

fn write_table(
    out: &mut dyn Write,
    entries: &[Registered<'_>],
    frame: Frame,
    bare: bool,
    style: Style,
) -> io::Result<()> {
    let escaped = |text: Text| if frame == Frame::Markdown { text.for_markdown() } else { text };
    let rows: Vec<[Text; 6]> = entries.iter().map(|entry| cells(entry, style).map(escaped)).collect();
    let width = |place: usize| rows.iter().map(|row| row[place].width()).max().unwrap_or(0).max(HEADS[place].len());
    let mut widths: [usize; 6] = std::array::from_fn(width);
    // The description takes what the other columns leave, but stays readable.
    if let Some(terminal) = style.width.filter(|_| frame == Frame::Plain) {
        let others: usize = widths[..5].iter().map(|width| width + usize::from(super::layout::GAP)).sum();
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
    table::draw(out, heads, &shape, &mut rows, frame, style)
}

fn write_separated(
    out: &mut dyn Write,
    entries: &[Registered<'_>],
    form: Form,
    bare: bool,
    style: Style,
) -> io::Result<()> {
    let delimiter = if form == Form::Csv { b',' } else { b'\t' };
    let heads = (!bare).then_some(&NAMES[..]);
    let records = entries.iter().map(|entry| cells(entry, style).map(Text::into_string).to_vec());
    super::csv::write_records(out, heads, records, delimiter)
}
