//! Tables for people, drawn by comfy-table; nobody else names that crate.

use std::borrow::Borrow;
use std::io::{self, Write};

use comfy_table::{Attribute, Cell, CellAlignment, Color, ColumnConstraint, ContentArrangement, ContentLineStyle};
use comfy_table::{Table, TableStyle, Width, presets};

use crate::render::text::palette::Tone;
use crate::render::text::paragraph;
use crate::render::text::safe::{self, Text};
use crate::render::text::style::Style;

/// How a cell stands out, when color may be used.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Emphasis {
    /// As it is.
    #[default]
    None,
    /// What the eye looks for first.
    Strong,
    /// A good answer.
    Good,
    /// What deserves a second look.
    Attention,
    /// What matters less.
    Dim,
}

/// One column of a table.
#[derive(Clone, Debug)]
pub struct Head {
    /// Its head.
    pub title: String,
    /// Its width in characters; longer cells must have been shortened before.
    pub width: usize,
    /// Whether its cells stand flush right.
    pub is_number: bool,
}

/// The lines around the cells.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Frame {
    /// Columns parted by blanks.
    Plain,
    /// A Markdown table.
    Markdown,
}

/// Cells of one row, as many as there are heads.
pub type Cells = Vec<(Text, Emphasis)>;

/// The lines of a text that stands below its row, and so is indented.
pub fn below(text: &str, width: Option<usize>) -> Vec<String> {
    paragraph::hanging(&format!("  {text}"), 4, width)
}

/// Blanks behind a column that is not the last one.
#[expect(clippy::cast_possible_truncation, reason = "it is a few columns")]
const GAP: u16 = crate::render::table::fit::GAP as u16;

/// Rows that are laid out at a time: the time that comfy-table takes grows faster than a table does.
const BLOCK: usize = 512;

/// Draws rows, below their heads where these are given, each with the lines that stand below it. Tables of one shape drawn
/// one after the other are one table.
pub fn draw<T: Borrow<Text>>(
    out: &mut dyn Write,
    heads: Option<&[Head]>,
    shape: &[Head],
    rows: &mut impl Iterator<Item = (impl IntoIterator<Item = (T, Emphasis)>, Vec<String>)>,
    frame: Frame,
    style: Style,
) -> io::Result<()> {
    if frame == Frame::Plain && !style.color {
        return draw_unmarked(out, heads, shape, rows);
    }
    draw_marked(out, heads, shape, rows, frame, style)
}

/// Draws a table in which nothing but blanks stands around the cells. comfy-table draws the same, in five times the time,
/// and a pipe may be given many thousand rows.
fn draw_unmarked<T: Borrow<Text>>(
    out: &mut dyn Write,
    heads: Option<&[Head]>,
    shape: &[Head],
    rows: &mut impl Iterator<Item = (impl IntoIterator<Item = (T, Emphasis)>, Vec<String>)>,
) -> io::Result<()> {
    let mut line = String::new();
    let add = |line: &mut String, head: &Head, cell: &str| {
        let blanks = std::iter::repeat_n(' ', head.width.saturating_sub(safe::width(cell)));
        if head.is_number {
            line.extend(blanks);
            line.push_str(cell);
        } else {
            line.push_str(cell);
            line.extend(blanks);
        }
        line.extend([' '; GAP as usize]);
    };
    if let Some(heads) = heads {
        heads.iter().zip(shape).for_each(|(head, column)| add(&mut line, column, &head.title));
        writeln!(out, "{}", line.trim_end())?;
    }
    for (cells, below) in rows {
        line.clear();
        cells.into_iter().zip(shape).for_each(|((cell, _), column)| add(&mut line, column, cell.borrow().as_str()));
        writeln!(out, "{}", line.trim_end())?;
        for line in below {
            writeln!(out, "{line}")?;
        }
    }
    Ok(())
}

/// Draws a table with colors, or with a frame.
fn draw_marked<T: Borrow<Text>>(
    out: &mut dyn Write,
    heads: Option<&[Head]>,
    shape: &[Head],
    rows: &mut impl Iterator<Item = (impl IntoIterator<Item = (T, Emphasis)>, Vec<String>)>,
    frame: Frame,
    style: Style,
) -> io::Result<()> {
    let mut heads = heads;
    let mut cells: Vec<(T, Emphasis)> = Vec::new();
    loop {
        let mut table = empty_table(shape, frame, style);
        let has_heads = heads.is_some();
        if let Some(heads) = heads.take() {
            table.set_header(heads.iter().map(|head| Cell::new(&head.title)));
        }
        // comfy-table makes several lists and strings of a cell, and of a further line in a cell only strings. So rows
        // that look alike are the lines of one row: a text has no line break, and none is wider than its column.
        let mut alike: Vec<(String, Emphasis)> = Vec::new();
        let mut below = Vec::new();
        for (row, lines_below) in rows.by_ref().take(BLOCK) {
            cells.clear();
            cells.extend(row.into_iter().map(|(text, look)| (text, if style.color { look } else { Emphasis::None })));
            if cells.iter().map(|(_, look)| look).eq(alike.iter().map(|(_, look)| look)) {
                for ((text, _), (lines, _)) in cells.iter().zip(&mut alike) {
                    lines.push('\n');
                    lines.push_str(text.borrow().as_str());
                }
            } else {
                add_lines(&mut table, &mut alike);
                alike.extend(cells.iter().map(|(text, look)| (text.borrow().as_str().to_owned(), *look)));
            }
            if !lines_below.is_empty() {
                below = lines_below;
                break;
            }
        }
        if alike.is_empty() && !has_heads {
            return Ok(());
        }
        add_lines(&mut table, &mut alike);
        set_widths(&mut table, shape, frame);
        for line in table.lines() {
            writeln!(out, "{}", line.trim_end())?;
        }
        for line in below {
            writeln!(out, "{line}")?;
        }
    }
}

fn add_lines(table: &mut Table, lines: &mut Vec<(String, Emphasis)>) {
    if !lines.is_empty() {
        table.add_row(lines.drain(..).map(|(text, emphasis)| cell(text, emphasis)));
    }
}

fn empty_table(shape: &[Head], frame: Frame, style: Style) -> Table {
    let mut table = Table::new();
    table.load_style(match frame {
        Frame::Markdown => presets::ASCII_MARKDOWN,
        Frame::Plain => {
            TableStyle::new().header_lines(ContentLineStyle::none()).content_lines(ContentLineStyle::none())
        }
    });
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.force_no_tty();
    if style.color && frame == Frame::Plain {
        table.enforce_styling();
    }
    let columns: u16 = shape.len().try_into().unwrap_or(u16::MAX);
    table.set_width(columns.max(1));
    table
}

fn set_widths(table: &mut Table, shape: &[Head], frame: Frame) {
    let last = shape.len().saturating_sub(1);
    for (index, head) in shape.iter().enumerate() {
        let Some(column) = table.column_mut(index) else { continue };
        let padding = match frame {
            Frame::Markdown => (1, 1),
            Frame::Plain if index == last => (0, 0),
            Frame::Plain => (0, GAP),
        };
        column.set_padding(padding);
        let width = u16::try_from(head.width).unwrap_or(u16::MAX).saturating_add(padding.0 + padding.1);
        column.set_constraint(ColumnConstraint::Absolute(Width::Fixed(width)));
        if head.is_number {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

fn cell(text: String, emphasis: Emphasis) -> Cell {
    let cell = Cell::new_owned(text);
    match emphasis {
        Emphasis::None => cell,
        Emphasis::Strong | Emphasis::Good => cell.add_attribute(Attribute::Bold),
        Emphasis::Attention => cell.fg(Color::AnsiValue(Tone::Attention.color())),
        Emphasis::Dim => cell.add_attribute(Attribute::Dim),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::render::text::safe::Charset;

    /// A table of three columns, the second one of numbers, drawn in both ways.
    fn drawn(rows: &[[String; 3]], has_heads: bool) -> [String; 2] {
        let rows: Vec<[Text; 3]> =
            rows.iter().map(|row| row.each_ref().map(|text| Text::of(text, Charset::Unicode))).collect();
        let shape: Vec<Head> = ["PROTO", "PORT", "PROCESS"]
            .into_iter()
            .enumerate()
            .map(|(index, title)| Head {
                title: title.to_owned(),
                width: rows.iter().map(|row| row[index].width()).max().unwrap_or(0).max(title.len()),
                is_number: index == 1,
            })
            .collect();
        let below = |index: usize| if index % 3 == 2 { below("a note", None) } else { Vec::new() };
        let cells = || {
            let row =
                |(index, row): (usize, &[Text; 3])| (row.clone().map(|text| (text, Emphasis::None)), below(index));
            rows.iter().enumerate().map(row)
        };
        let heads = has_heads.then_some(&shape[..]);
        let style = Style { color: false, charset: Charset::Unicode, width: None };
        let (mut fast, mut slow) = (Vec::new(), Vec::new());
        draw(&mut fast, heads, &shape, &mut cells(), Frame::Plain, style).unwrap();
        draw_marked(&mut slow, heads, &shape, &mut cells(), Frame::Plain, style).unwrap();
        [fast, slow].map(|text| String::from_utf8(text).unwrap())
    }

    proptest! {
        #[test]
        fn a_table_without_colors_is_drawn_as_comfy_table_does(
            rows in prop::collection::vec(prop::array::uniform3("[a-z0-9 é中→.]{0,9}"), 0..8),
            has_heads in any::<bool>(),
        ) {
            let [fast, slow] = drawn(&rows, has_heads);
            prop_assert_eq!(fast, slow);
        }
    }
}
