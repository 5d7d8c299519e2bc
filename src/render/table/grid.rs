//! A table of cells that are at hand: as wide as its cells, and on a narrow terminal as narrow as its columns allow.

use std::io::{self, Write};

use unicode_width::UnicodeWidthStr;

use crate::render::table::draw::{self, Cells, Emphasis, Frame, Head};
use crate::render::table::fit::{self, Fitted, Placed, Wish, Yields};
use crate::render::text::paragraph;
use crate::render::text::safe::Text;
use crate::render::text::style::Style;

/// A column, and what it gives up where the terminal is too narrow for all.
#[derive(Clone, Copy, Debug)]
pub struct Column<'a> {
    /// Its head.
    pub title: &'a str,
    /// Whether its cells are numbers, which stand flush right.
    pub is_number: bool,
    /// What it gives up.
    pub yields: Yields,
}

impl<'a> Column<'a> {
    /// A column of texts.
    pub const fn text(title: &'a str, yields: Yields) -> Column<'a> {
        Column { title, is_number: false, yields }
    }

    /// A column of numbers.
    pub const fn number(title: &'a str, yields: Yields) -> Column<'a> {
        Column { title, is_number: true, yields }
    }
}

/// One row.
#[derive(Clone, Debug, Default)]
pub struct Row {
    /// As many cells as there are columns.
    pub cells: Cells,
    /// What is said of it on lines of their own below it.
    pub note: Option<String>,
}

impl From<Cells> for Row {
    fn from(cells: Cells) -> Row {
        Row { cells, note: None }
    }
}

impl From<Vec<Text>> for Row {
    fn from(texts: Vec<Text>) -> Row {
        texts.into_iter().map(|text| (text, Emphasis::None)).collect::<Cells>().into()
    }
}

/// Columns, and whether their heads are shown.
#[derive(Clone, Copy, Debug)]
pub struct Grid<'a> {
    /// The columns, in order.
    pub columns: &'a [Column<'a>],
    /// Whether the heads are left out.
    pub bare: bool,
    /// The lines around the cells.
    pub frame: Frame,
}

impl<'a> Grid<'a> {
    /// A plain table.
    pub const fn new(columns: &'a [Column<'a>], bare: bool) -> Grid<'a> {
        Grid { columns, bare, frame: Frame::Plain }
    }

    /// Draws the rows; returns the heads of the columns that had no room.
    pub fn draw(&self, out: &mut dyn Write, rows: &[Row], style: Style) -> io::Result<Vec<&'a str>> {
        let wishes: Vec<Wish> = (0..self.columns.len()).map(|index| self.wish(index, rows)).collect();
        let width = style.width.filter(|_| self.frame == Frame::Plain);
        let fitted = fit::fit(&wishes, width);
        let shape: Vec<Head> = fitted.placed.iter().map(|placed| self.head(*placed, style)).collect();
        let mut lines = rows.iter().flat_map(|row| self.lines(row, &fitted, style));
        draw::draw(out, (!self.bare).then_some(&shape[..]), &shape, &mut lines, self.frame, style)?;
        Ok(fitted.left.iter().map(|index| self.columns[*index].title).collect())
    }

    /// The heads and the first line of each row as they would be drawn, and the indices of the columns that have
    /// no room.
    pub fn laid(&self, rows: &[Row], style: Style) -> (Vec<Head>, Vec<Cells>, Vec<usize>) {
        let wishes: Vec<Wish> = (0..self.columns.len()).map(|index| self.wish(index, rows)).collect();
        let fitted = fit::fit(&wishes, style.width);
        let heads = fitted.placed.iter().map(|placed| self.head(*placed, style)).collect();
        let first = |row: &Row| self.lines(row, &fitted, style).into_iter().next().map(|(cells, _)| cells);
        let rows = rows.iter().map(|row| first(row).unwrap_or_default()).collect();
        (heads, rows, fitted.left)
    }

    fn wish(&self, index: usize, rows: &[Row]) -> Wish {
        let Column { title, yields, .. } = self.columns[index];
        let texts = || rows.iter().map(|row| row.cells[index].0.as_str());
        let head = if self.bare { 0 } else { title.width() };
        let natural = texts().map(UnicodeWidthStr::width).max().unwrap_or(0).max(head);
        let words = || texts().flat_map(|text| text.split(' ')).map(UnicodeWidthStr::width);
        let word = if yields.may_fold() { words().max().unwrap_or(0).max(head) } else { 0 };
        Wish { natural, short: None, word, yields }
    }

    fn head(&self, placed: Placed, style: Style) -> Head {
        let Column { title, is_number, .. } = self.columns[placed.index];
        let mut title = Text::of(title, style.charset);
        title.truncate(placed.width, style.charset);
        Head { title: title.into_string(), width: placed.width, is_number }
    }

    /// The lines of one row; what stands below it comes with the last of them.
    fn lines(&self, row: &Row, fitted: &Fitted, style: Style) -> Vec<(Cells, Vec<String>)> {
        let cell = |placed: &Placed| -> Vec<Text> {
            let mut text = row.cells[placed.index].0.clone();
            let yields = self.columns[placed.index].yields;
            if yields.may_fold() && text.width() > placed.width {
                let folded = paragraph::folded(text.as_str(), Some(placed.width));
                return folded.into_iter().map(|line| Text::of(line, style.charset)).collect();
            }
            if yields.may_be_cut() {
                text.shorten(placed.width, style.charset);
            }
            vec![text]
        };
        let cells: Vec<Vec<Text>> = fitted.placed.iter().map(cell).collect();
        let count = cells.iter().map(Vec::len).max().unwrap_or(0);
        let line = |number: usize| -> Cells {
            let cell = |(placed, lines): (&Placed, &Vec<Text>)| {
                let emphasis = row.cells[placed.index].1;
                lines.get(number).map_or((Text::default(), Emphasis::None), |text| (text.clone(), emphasis))
            };
            fitted.placed.iter().zip(&cells).map(cell).collect()
        };
        let mut lines: Vec<(Cells, Vec<String>)> = (0..count).map(|number| (line(number), Vec::new())).collect();
        if let Some((_, below)) = lines.last_mut() {
            let texts = fitted.below.iter().map(|index| row.cells[*index].0.as_str());
            for text in texts.filter(|text| !["", "-"].contains(text)).chain(row.note.as_deref()) {
                below.extend(draw::below(text, style.width));
            }
        }
        lines
    }
}

/// Says which columns had no room.
pub fn no_room(left: &[&str]) -> String {
    format!("hidden columns: {} (widen the terminal or use a pipe)", left.join(", "))
}

/// Says which columns had no room; nothing where all had.
pub fn write_no_room(out: &mut dyn Write, left: &[&str], style: Style) -> io::Result<()> {
    // A column without a head says what stands beside it.
    let left: Vec<&str> = left.iter().copied().filter(|title| !title.is_empty()).collect();
    if left.is_empty() { Ok(()) } else { paragraph::sentence(out, &no_room(&left), style.width) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::text::safe::Charset;

    fn style(width: Option<usize>) -> Style {
        Style { color: false, charset: Charset::Ascii, width }
    }

    #[test]
    fn columns_that_do_not_fit_are_left_out_and_named() {
        let rows = [vec![Text::plain("host"), Text::plain("80"), Text::plain("nginx")].into()];
        let columns = [
            Column::text("SPACE", Yields::NEVER),
            Column::number("PORT", Yields::leaves(0)),
            Column::text("PROCESS", Yields::leaves(0)),
        ];
        let drawn = |width| {
            let mut text = Vec::new();
            let left = Grid::new(&columns, false).draw(&mut text, &rows, style(width)).unwrap();
            (String::from_utf8(text).unwrap(), left)
        };
        assert_eq!(drawn(None), ("SPACE  PORT  PROCESS\nhost     80  nginx\n".to_owned(), vec![]));
        assert_eq!(drawn(Some(12)), ("SPACE  PORT\nhost     80\n".to_owned(), vec!["PROCESS"]));
        assert_eq!(drawn(Some(1)).1, ["PROCESS", "PORT"]);
        assert_eq!(no_room(&["PORT"]), "hidden columns: PORT (widen the terminal or use a pipe)");
    }

    const COLUMNS: [Column<'_>; 4] = [
        Column::text("CHANGE", Yields::NEVER),
        Column::text("PROTO", Yields::leaves(0)),
        Column::text("SPACE", Yields::is_cut(8, 8).or_leaves(0)),
        Column::text("WHAT", Yields::folds(12).or_moves_below()),
    ];

    fn drawn(row: [&str; 4], width: usize) -> (String, Vec<&'static str>) {
        let mut text = Vec::new();
        let rows = [row.map(Text::plain).to_vec().into()];
        let left = Grid::new(&COLUMNS, true).draw(&mut text, &rows, style(Some(width))).unwrap();
        (String::from_utf8(text).unwrap(), left)
    }

    #[test]
    fn the_last_column_is_folded_then_others_are_cut_then_it_moves_below_and_they_leave() {
        let row = ["opened", "tcp", "a-space-of-some-name", "0.0.0.0 (any) by /usr/bin/python3, user root"];
        for (width, text, left) in [
            (82, "opened  tcp  a-space-of-some-name  0.0.0.0 (any) by /usr/bin/python3, user root\n", vec![]),
            (
                66,
                "opened  tcp  a-space-of-some-name  0.0.0.0 (any) by\n\
                 \u{20}                                  /usr/bin/python3, user root\n",
                vec![],
            ),
            (
                54,
                "opened  tcp  a-space-~  0.0.0.0 (any) by\n\
                 \u{20}                       /usr/bin/python3, user root\n",
                vec![],
            ),
            (
                40,
                "opened  tcp  a-space~  0.0.0.0 (any) by\n\
                 \u{20}                      /usr/bin/python3,\n\
                 \u{20}                      user root\n",
                vec![],
            ),
            (
                30,
                "opened  tcp  a-space-of-some-~\n\
                 \u{20} 0.0.0.0 (any) by\n\
                 \u{20}   /usr/bin/python3, user\n\
                 \u{20}   root\n",
                vec![],
            ),
            (
                20,
                "opened  tcp\n\
                 \u{20} 0.0.0.0 (any) by\n\
                 \u{20}   /usr/bin/python3,\n\
                 \u{20}   user root\n",
                vec!["SPACE"],
            ),
        ] {
            assert_eq!(drawn(row, width), (text.to_owned(), left), "{width}");
        }
    }

    #[test]
    fn a_note_stands_below_its_row() {
        let row = |port: &str| Row {
            cells: vec![(Text::plain(port), Emphasis::None)],
            note: (port == "80").then(|| "held by nginx and by others".to_owned()),
        };
        let mut text = Vec::new();
        let columns = [Column::number("PORT", Yields::NEVER)];
        Grid::new(&columns, false).draw(&mut text, &[row("80"), row("443")], style(Some(16))).unwrap();
        assert_eq!(String::from_utf8(text).unwrap(), "PORT\n  80\n  held by nginx\n    and by\n    others\n 443\n");
    }
}
