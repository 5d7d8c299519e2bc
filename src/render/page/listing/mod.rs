//! A listing as a table: which columns fit, what stands out, what is said above and below.

mod columns;

use std::borrow::Cow;
use std::io::{self, Write};

use crate::model::{Listing, Owner, Row, State};
use crate::render::table::draw::{self, Emphasis, Frame, Head};
use crate::render::table::fit::{self, Wish};
use crate::render::table::in_order;
use crate::render::text::paragraph;
use crate::render::text::safe::Text;
use crate::render::text::style::Style;
use crate::render::words::cell;
use crate::render::words::column::Column;
use crate::render::words::summary;

/// What a table of a listing shows.
#[derive(Clone, Debug)]
pub struct TableOptions {
    /// The columns, in order.
    pub columns: Vec<Column>,
    /// Whether the lines above and below, and the heads, are left out.
    pub bare: bool,
    /// Whether the columns are fitted to the terminal.
    pub fitted: bool,
    /// Whether PEER names the process at the other end of a connection, where its address adds nothing.
    pub names_peers: bool,
    /// The lines around the cells.
    pub frame: Frame,
    /// The look.
    pub style: Style,
}

/// Writes the listing as a table with a line above that says whose numbers these are, and one below that counts.
pub fn write(out: &mut dyn Write, listing: &Listing<'_>, options: &TableOptions) -> io::Result<()> {
    let with_text = !options.bare && options.frame == Frame::Plain;
    let width = options.style.width;
    if with_text {
        paragraph::sentence(out, summary::title(listing.snapshot, options.style.charset).as_str(), width)?;
    }
    if listing.rows.is_empty() && options.frame == Frame::Plain {
        if with_text {
            writeln!(out, "no open socket matches")?;
            write_further(out, listing, width)?;
        }
        return Ok(());
    }
    let left = write_rows(out, listing, options)?;
    if with_text {
        paragraph::sentence(out, &summary::counts(listing), width)?;
        write_further(out, listing, width)?;
        if !left.is_empty() {
            paragraph::sentence(out, &summary::columns_left(&left), width)?;
        }
    }
    Ok(())
}

fn write_further(out: &mut dyn Write, listing: &Listing<'_>, width: Option<usize>) -> io::Result<()> {
    summary::further_spaces(listing.snapshot).map_or(Ok(()), |line| paragraph::sentence(out, &line, width))
}

/// Some rows as text.
struct Block<'a> {
    rows: &'a [Row<'a>],
    /// The cells of each row, one row after the other.
    texts: Vec<Text>,
    /// The width of the widest cell of each column.
    widest: Vec<usize>,
}

fn write_rows(out: &mut dyn Write, listing: &Listing<'_>, options: &TableOptions) -> io::Result<Vec<Column>> {
    let charset = options.style.charset;
    let blocks = in_order::map(&in_order::blocks(&listing.rows), |rows| block(rows, options));
    let width = options.style.width.filter(|_| options.fitted);
    let fitted = fit::fit(&wishes(&blocks, options, width), width);
    let shape: Vec<Head> = fitted
        .placed
        .iter()
        .map(|placed| {
            let column = options.columns[placed.index];
            Head { title: column.header(), width: placed.width, is_number: column.is_number() }
        })
        .collect();
    let heads = (!options.bare).then_some(&shape[..]);
    in_order::write(out, &blocks, |number, block, text| {
        let texts = block.texts.chunks(options.columns.len());
        let mut rows = block.rows.iter().zip(texts).map(|(row, texts)| {
            let cells = fitted.placed.iter().map(move |placed| {
                let mut text = Cow::Borrowed(&texts[placed.index]);
                if text.width() > placed.width {
                    text.to_mut().truncate(placed.width, charset);
                }
                (text, emphasis(options.columns[placed.index], row))
            });
            let below = fitted.below.iter().flat_map(|index| draw::below(texts[*index].as_str(), width));
            (cells, below.collect())
        });
        draw::draw(text, heads.filter(|_| number == 0), &shape, &mut rows, options.frame, options.style)
    })?;
    Ok(fitted.left.into_iter().map(|index| options.columns[index]).collect())
}

fn block<'a>(rows: &'a [Row<'a>], options: &TableOptions) -> Block<'a> {
    let mut widest = vec![0; options.columns.len()];
    let mut texts = Vec::with_capacity(rows.len() * widest.len());
    for row in rows {
        for (column, widest) in options.columns.iter().zip(&mut widest) {
            let named = if options.names_peers && *column == Column::Peer { peer_name(row, options) } else { None };
            let mut text = named.unwrap_or_else(|| column.cell(row, options.style.charset));
            if options.frame == Frame::Markdown {
                text = text.for_markdown();
            }
            *widest = text.width().max(*widest);
            texts.push(text);
        }
    }
    Block { rows, texts, widest }
}

/// The process at the other end of a connection over a loopback, which only its port would tell from others.
fn peer_name(row: &Row<'_>, options: &TableOptions) -> Option<Text> {
    row.socket.peer.filter(|peer| peer.address.to_canonical().is_loopback())?;
    cell::running(row.peer_process(), options.style.charset)
}

/// How wide each column would like to be, and what it gives up.
fn wishes(blocks: &[Block<'_>], options: &TableOptions, width: Option<usize>) -> Vec<Wish> {
    let wish = |(index, column): (usize, &Column)| {
        let widest = blocks.iter().map(|block| block.widest[index]).max().unwrap_or(0);
        let head = if options.bare { 1 } else { column.header().len() };
        Wish { natural: widest.max(head), yields: columns::yields(*column, width), ..Wish::default() }
    };
    options.columns.iter().enumerate().map(wish).collect()
}

fn emphasis(column: Column, row: &Row<'_>) -> Emphasis {
    match column {
        Column::Port => Emphasis::Strong,
        Column::State => match row.socket.state {
            Some(State::Listen | State::Redirect) => Emphasis::Green,
            Some(State::TimeWait) | None => Emphasis::Dim,
            Some(State::CloseWait) => Emphasis::Yellow,
            _ => Emphasis::None,
        },
        Column::Process if row.socket.forward.is_some() => Emphasis::None,
        Column::Process if !matches!(row.socket.owner, Owner::Processes(_)) => Emphasis::Dim,
        Column::Category | Column::Source => Emphasis::Dim,
        _ => Emphasis::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Catalogue;
    use crate::join;
    use crate::model::Snapshot;
    use crate::render::text::safe::Charset;
    use crate::testing;

    fn listing_of<'a>(snapshot: &'a Snapshot, catalogue: &'a Catalogue) -> Listing<'a> {
        let mut listing = join::listing(snapshot, Some(catalogue));
        crate::select::in_default_order(&mut listing.rows);
        listing
    }

    fn table(width: Option<usize>, charset: Charset, columns: &[Column], frame: Frame) -> String {
        let (snapshot, catalogue) = (testing::snapshot(), Catalogue::default());
        let style = Style { color: false, charset, width };
        let options =
            TableOptions { columns: columns.to_vec(), bare: false, fitted: true, names_peers: false, frame, style };
        let mut text = Vec::new();
        write(&mut text, &listing_of(&snapshot, &catalogue), &options).unwrap();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn a_terminal_of_80_columns_is_enough() {
        let text = table(Some(80), Charset::Unicode, &Column::DEFAULT, Frame::Plain);
        assert!(text.lines().all(|line| unicode_width::UnicodeWidthStr::width(line) <= 80), "{text}");
        insta::assert_snapshot!("table_80", text);
    }

    #[test]
    fn wider_terminals_show_every_column() {
        insta::assert_snapshot!("table_120", table(Some(120), Charset::Unicode, &Column::DEFAULT, Frame::Plain));
    }

    #[test]
    fn a_pipe_gets_plain_columns() {
        insta::assert_snapshot!("table_pipe", table(None, Charset::Ascii, &Column::DEFAULT, Frame::Plain));
    }

    #[test]
    fn wide_shows_more() {
        insta::assert_snapshot!("wide", table(None, Charset::Unicode, &Column::WIDE, Frame::Plain));
    }

    #[test]
    fn markdown_is_a_table() {
        insta::assert_snapshot!("markdown", table(None, Charset::Unicode, &Column::DEFAULT, Frame::Markdown));
    }

    #[test]
    fn even_one_column_is_a_terminal() {
        for width in [1, 20, 40] {
            let text = table(Some(width), Charset::Unicode, &Column::DEFAULT, Frame::Plain);
            for port in ["443", "5432", "40000"] {
                assert!(text.contains(port), "numbers are never cut: {text}");
            }
        }
    }
}
