//! A listing as a table: which columns fit, what stands out, what is said above and below.

mod columns;

use std::io::{self, Write};

use crate::model::{Exposure, Listing, Owner, Row, ServiceSource, State};
use crate::parallel::in_order;
use crate::render::table::draw::{self, Emphasis, Frame, Head};
use crate::render::table::fit::{self, Fitted, Wish};
use crate::render::text::paragraph;
use crate::render::text::safe::{Text, Texts};
use crate::render::text::style::Style;
use crate::render::words::cell;
use crate::render::words::column::Column;
use crate::render::words::summary;
use crate::select::leftovers::Leftovers;

/// Columns that a person sees where there is room for them.
pub const SPARE: [Column; 2] = [Column::Project, Column::Exposure];

/// What a table of a listing shows.
#[derive(Clone, Debug)]
pub struct TableOptions {
    /// The columns, in order.
    pub columns: Vec<Column>,
    /// Whether the lines above and below, and the heads, are left out.
    pub bare: bool,
    /// Those of them that were asked for by name, which stay even where they say nothing.
    pub named: Vec<Column>,
    /// Whether the columns are fitted to the terminal.
    pub fitted: bool,
    /// What is counted above the table and not listed.
    pub leftovers: Leftovers,
    /// Whether the line above the table has the number of the network namespace.
    pub verbose: bool,
    /// Whether PEER names the process at the other end of a connection, where its address adds nothing.
    pub names_peers: bool,
    /// How wide STATE is at least, where more is drawn there than the listing knows.
    pub least_state: usize,
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
        write_title(out, listing, options)?;
    }
    if listing.rows.is_empty() && options.frame == Frame::Plain {
        if with_text {
            if options.leftovers.is_empty() {
                writeln!(out, "no open socket matches")?;
            }
            write_further(out, listing, width)?;
        }
        return Ok(());
    }
    let left = write_rows(out, listing, options)?;
    if with_text {
        write_further(out, listing, width)?;
        if !left.is_empty() {
            paragraph::sentence(out, &summary::columns_left(&left), width)?;
        }
    }
    Ok(())
}

/// Writes the line above the table: the host, and how many sockets there are in each state.
pub fn write_title(out: &mut dyn Write, listing: &Listing<'_>, options: &TableOptions) -> io::Result<()> {
    let title = summary::title_of_listing(listing, &options.leftovers, "-a", options.verbose, options.style.charset);
    paragraph::sentence(out, title.as_str(), options.style.width)
}

/// How many lines stand above the rows: the title, folded where it is long, and the heads of the columns.
pub fn headings(listing: &Listing<'_>, options: &TableOptions) -> usize {
    let mut title = Vec::new();
    let is_written = !options.bare && write_title(&mut title, listing, options).is_ok();
    if is_written { title.iter().filter(|byte| **byte == b'\n').count() + 1 } else { 0 }
}

fn write_further(out: &mut dyn Write, listing: &Listing<'_>, width: Option<usize>) -> io::Result<()> {
    summary::further_spaces(listing.snapshot).map_or(Ok(()), |line| paragraph::sentence(out, &line, width))
}

/// Some rows as text.
struct Block<'a> {
    rows: &'a [Row<'a>],
    /// The cells of each row.
    texts: Texts,
    /// The cells of each column.
    columns: Vec<Cells>,
}

/// What is known of the cells of one column.
#[derive(Clone, Copy, Default)]
struct Cells {
    /// The width of the widest.
    widest: usize,
    /// The same in short, where there is such a form.
    short: Option<usize>,
    /// Whether one says something.
    has_known: bool,
    /// Whether two differ.
    differ: bool,
}

/// A listing laid out: which columns stay, how wide they are, and the texts of every row.
struct Laid<'a> {
    blocks: Vec<Block<'a>>,
    fitted: Fitted,
    shape: Vec<Head>,
    left: Vec<Column>,
}

fn lay_out<'a>(listing: &'a Listing<'a>, options: &TableOptions) -> Laid<'a> {
    let blocks = in_order::map(&in_order::blocks(&listing.rows), |rows| block(rows, options));
    let width = options.style.width.filter(|_| options.fitted);
    let wishes = wishes(&blocks, options, width);
    let indices: Vec<usize> = wishes.iter().map(|(index, _)| *index).collect();
    let wishes: Vec<Wish> = wishes.into_iter().map(|(_, wish)| wish).collect();
    let mut fitted = fit::fit(&wishes, width);
    fitted.placed.iter_mut().for_each(|placed| placed.index = indices[placed.index]);
    fitted.below.iter_mut().for_each(|index| *index = indices[*index]);
    let shape = fitted
        .placed
        .iter()
        .map(|placed| {
            let column = options.columns[placed.index];
            let title = if placed.is_short { columns::short_title(column) } else { column.header() };
            Head { title, width: placed.width, is_number: column.is_number() }
        })
        .collect();
    let left = fitted.left.iter().map(|index| options.columns[indices[*index]]);
    // What is shown only where there is room is not missed.
    let left = left.filter(|column| options.named.contains(column) || !SPARE.contains(column)).collect();
    Laid { blocks, fitted, shape, left }
}

/// The cells of a row, of which these are the texts, in the columns that stay, none wider than its column.
fn cells<'t>(
    fitted: &'t Fitted,
    row: &'t Row<'_>,
    mut texts: Vec<Text>,
    options: &'t TableOptions,
    stands_out: bool,
) -> impl Iterator<Item = (Text, Emphasis)> {
    fitted.placed.iter().map(move |placed| {
        let column = options.columns[placed.index];
        let text = if placed.is_short {
            columns::in_short(column, row).map_or_else(Text::unknown, Text::plain)
        } else {
            let mut text = texts.get_mut(placed.index).map(std::mem::take).unwrap_or_default();
            text.shorten(placed.width, options.style.charset);
            text
        };
        (text, if stands_out { emphasis(column, row) } else { Emphasis::None })
    })
}

fn write_rows(out: &mut dyn Write, listing: &Listing<'_>, options: &TableOptions) -> io::Result<Vec<Column>> {
    let Laid { blocks, fitted, shape, left } = lay_out(listing, options);
    let width = options.style.width.filter(|_| options.fitted);
    let heads = (!options.bare).then_some(&shape[..]);
    in_order::write(out, &blocks, |number, block, text| {
        let mut rows = block.rows.iter().zip(block.texts.rows()).map(|(row, texts)| {
            let below = fitted.below.iter().filter_map(|index| texts.get(*index));
            let below = below.flat_map(|text| draw::below(text.as_str(), width)).collect();
            (cells(&fitted, row, texts, options, options.style.color), below)
        });
        draw::draw(text, heads.filter(|_| number == 0), &shape, &mut rows, options.frame, options.style)
    })?;
    Ok(left)
}

/// The cells of a listing, for who draws the table otherwise.
#[derive(Clone, Debug, Default)]
pub struct Sheet {
    /// The columns that are shown, in order.
    pub columns: Vec<Column>,
    /// Their heads.
    pub heads: Vec<Head>,
    /// The cells of each row, none wider than its column.
    pub rows: Vec<Vec<(Text, Emphasis)>>,
    /// The names of the columns for which there is no room.
    pub left: Vec<&'static str>,
}

/// Fits the listing as [`write()`] does. What would stand below a row counts as a column without room.
pub fn sheet(listing: &Listing<'_>, options: &TableOptions) -> Sheet {
    let Laid { blocks, fitted, shape, mut left } = lay_out(listing, options);
    let of_block = |block: &Block<'_>| -> Vec<_> {
        let rows = block.rows.iter().zip(block.texts.rows());
        rows.map(|(row, texts)| cells(&fitted, row, texts, options, true).collect()).collect()
    };
    let rows: Vec<Vec<(Text, Emphasis)>> = in_order::flat_map(&blocks, listing.rows.len(), of_block);
    left.extend(fitted.below.iter().map(|index| options.columns[*index]));
    let columns = fitted.placed.iter().map(|placed| options.columns[placed.index]).collect();
    let left = left.into_iter().map(Column::name).collect();
    Sheet { columns, heads: shape, rows, left }
}

fn block<'a>(rows: &'a [Row<'a>], options: &TableOptions) -> Block<'a> {
    let mut columns = vec![Cells::default(); options.columns.len()];
    let mut texts = Texts::with_capacity(rows.len() * columns.len());
    Listing::load(rows);
    for row in rows {
        for (column, cells) in options.columns.iter().zip(&mut columns) {
            let named = if options.names_peers && *column == Column::Peer { peer_name(row, options) } else { None };
            let mut text = named.unwrap_or_else(|| column.cell(row, options.style.charset));
            if options.frame == Frame::Markdown {
                text = text.for_markdown();
            }
            cells.widest = text.width().max(cells.widest);
            cells.short = columns::in_short(*column, row).map(|short| short.len().max(cells.short.unwrap_or(0)));
            cells.has_known |= text.as_str() != "-";
            cells.differ |= texts.push(text);
        }
        texts.end_row();
    }
    texts.shrink();
    Block { rows, texts, columns }
}

/// The process at the other end of a connection over a loopback, which only its port would tell from others.
fn peer_name(row: &Row<'_>, options: &TableOptions) -> Option<Text> {
    row.socket.peer.filter(|peer| peer.address.to_canonical().is_loopback())?;
    cell::running(row.peer_process(), options.style.charset)
}

/// How wide each column would like to be, and what it gives up; those that say nothing are left out.
fn wishes(blocks: &[Block<'_>], options: &TableOptions, width: Option<usize>) -> Vec<(usize, Wish)> {
    let rows = blocks.iter().map(|block| block.rows.len()).sum();
    let wish = |(index, column): (usize, &Column)| {
        let cells = || blocks.iter().map(|block| &block.columns[index]);
        let first = |block: &Block<'_>| block.texts.rows().next().and_then(|texts| texts.get(index).cloned());
        let is_alike =
            !cells().any(|cells| cells.differ) && blocks.windows(2).all(|two| first(&two[0]) == first(&two[1]));
        let is_empty = !cells().any(|cells| cells.has_known);
        let is_named = options.named.contains(column);
        if width.is_some() && !is_named && columns::is_silent(*column, is_empty, is_alike, rows) {
            return None;
        }
        let head = |title: String| if options.bare { 1 } else { title.len() };
        let least = if *column == Column::State { options.least_state } else { 0 };
        let natural = cells().map(|cells| cells.widest).max().unwrap_or(0).max(head(column.header())).max(least);
        let short = cells().filter_map(|cells| cells.short).max();
        let short = short.map(|short| short.max(head(columns::short_title(*column))).max(least));
        Some((index, Wish { natural, short, word: 0, yields: columns::yields(*column, width, is_named) }))
    };
    options.columns.iter().enumerate().filter_map(wish).collect()
}

fn emphasis(column: Column, row: &Row<'_>) -> Emphasis {
    match column {
        Column::Port => Emphasis::Strong,
        Column::State => match row.socket.state {
            Some(State::TimeWait) | None => Emphasis::Dim,
            Some(State::CloseWait) => Emphasis::Attention,
            _ => Emphasis::None,
        },
        Column::Process if row.socket.forward().is_some() => Emphasis::None,
        Column::Process if !matches!(row.socket.owner, Owner::Processes(_)) => Emphasis::Dim,
        // The address says the same in words.
        Column::Address if row.is_listener && matches!(row.exposure, Exposure::Any | Exposure::Public) => {
            Emphasis::Attention
        }
        // That a name is registered for a port is no fact about what uses it.
        Column::Service if row.service().is_some_and(|service| service.source == ServiceSource::Iana) => Emphasis::Dim,
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
        let options = TableOptions {
            columns: columns.to_vec(),
            named: Vec::new(),
            bare: false,
            fitted: true,
            leftovers: Leftovers::new(),
            verbose: false,
            names_peers: false,
            least_state: 0,
            frame,
            style,
        };
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
