//! A plain table of cells that are at hand: as wide as its cells, and on a narrow terminal as narrow as it may be.

use std::io::{self, Write};

use unicode_width::UnicodeWidthStr;

use crate::render::table::draw::{self, Emphasis, Frame, Head};
use crate::render::table::fit::GAP;
use crate::render::text::safe::Text;
use crate::render::text::style::Style;

/// The head of one column, and whether its cells are numbers, which stand flush right.
pub type Title<'a> = (&'a str, bool);

/// A column, and what becomes of it where the terminal is too narrow for all.
#[derive(Clone, Copy, Debug)]
pub struct Column<'a> {
    /// Its head.
    pub title: Title<'a>,
    /// How it yields.
    pub yields: Yields,
}

/// How a column yields.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Yields {
    /// It stays as it is.
    Never,
    /// It leaves, the last one first.
    Leaves,
    /// Its cells are cut to no less than so many columns of the terminal, with a mark; then it leaves.
    IsCutAndLeaves(usize),
    /// Its cells are cut to no less than so many columns of the terminal, with a mark.
    IsCut(usize),
    /// Its cells are folded into further lines.
    Folds,
}

/// What is left of a folded column before other columns are cut, and before they leave.
const FOLDED: [usize; 2] = [30, 12];

impl Yields {
    fn leaves(self) -> bool {
        matches!(self, Yields::Leaves | Yields::IsCutAndLeaves(_))
    }

    /// The width that it may come down to.
    fn least(self, natural: usize) -> usize {
        match self {
            Yields::Never | Yields::Leaves => natural,
            Yields::IsCut(least) | Yields::IsCutAndLeaves(least) => least.min(natural),
            Yields::Folds => FOLDED[1].min(natural),
        }
    }
}

/// Draws the rows, below their heads unless it is to be bare. A terminal that is too narrow shows fewer columns;
/// returns how many of the last ones had no room.
pub fn draw(
    out: &mut dyn Write,
    titles: &[Title<'_>],
    rows: &[Vec<Text>],
    bare: bool,
    style: Style,
) -> io::Result<usize> {
    let yields = |place: usize| if place == 0 { Yields::Never } else { Yields::Leaves };
    let columns: Vec<Column<'_>> =
        titles.iter().enumerate().map(|(place, title)| Column { title: *title, yields: yields(place) }).collect();
    Ok(draw_columns(out, &columns, rows, bare, style)?.len())
}

/// Draws the rows, below their heads unless it is to be bare. On a terminal that is too narrow columns yield; returns
/// the heads of those that had no room.
pub fn draw_columns<'a>(
    out: &mut dyn Write,
    columns: &[Column<'a>],
    rows: &[Vec<Text>],
    bare: bool,
    style: Style,
) -> io::Result<Vec<&'a str>> {
    let widest = |place: usize| {
        let head = if bare { 0 } else { columns[place].title.0.width() };
        rows.iter().map(|row| row[place].width()).max().unwrap_or(0).max(head)
    };
    let natural: Vec<usize> = (0..columns.len()).map(widest).collect();
    let placed = fit(columns, &natural, style.width);
    let shape: Vec<Head> = placed
        .iter()
        .map(|(place, width)| {
            let (title, is_number) = columns[*place].title;
            let mut title = Text::of(title, style.charset);
            title.truncate(*width, style.charset);
            Head { title: title.into_string(), width: *width, is_number }
        })
        .collect();
    let mut cells = rows.iter().flat_map(|row| lines(row, columns, &placed, style));
    draw::draw(out, (!bare).then_some(&shape[..]), &shape, &mut cells, Frame::Plain, style)?;
    let has_left = |place: &usize| placed.iter().all(|(other, _)| other != place);
    Ok((0..columns.len()).filter(has_left).map(|place| columns[place].title.0).collect())
}

/// Says which columns had no room.
pub fn no_room(left: &[&str]) -> String {
    format!("no room for: {} (a wider terminal or a pipe shows them)", left.join(", "))
}

/// The columns that stay, by their places, and their widths.
fn fit(columns: &[Column<'_>], natural: &[usize], width: Option<usize>) -> Vec<(usize, usize)> {
    let mut placed: Vec<(usize, usize)> = natural.iter().copied().enumerate().collect();
    let Some(width) = width else { return placed };
    let total = |widths: &mut dyn Iterator<Item = usize>| {
        widths.map(|width| width + usize::from(GAP)).sum::<usize>().saturating_sub(usize::from(GAP))
    };
    let least = |place: usize| columns[place].yields.least(natural[place]);
    while total(&mut placed.iter().map(|(place, _)| least(*place))) > width {
        let Some(leaving) = placed.iter().rposition(|(place, _)| columns[*place].yields.leaves()) else { break };
        placed.remove(leaving);
    }
    let mut excess = total(&mut placed.iter().map(|(_, width)| *width)).saturating_sub(width);
    // Folded cells lose least, as long as their lines are of a fair length.
    for (folds, floor) in [(true, FOLDED[0]), (false, 0), (true, FOLDED[1])] {
        for (place, width) in
            placed.iter_mut().rev().filter(|(place, _)| folds == (columns[*place].yields == Yields::Folds))
        {
            let taken = excess.min(width.saturating_sub(least(*place).max(floor)));
            *width -= taken;
            excess -= taken;
        }
    }
    placed
}

/// The lines of one row.
fn lines(row: &[Text], columns: &[Column<'_>], placed: &[(usize, usize)], style: Style) -> Vec<Vec<(Text, Emphasis)>> {
    let cell = |(place, width): &(usize, usize)| -> Vec<Text> {
        let mut text = row[*place].clone();
        if columns[*place].yields == Yields::Folds {
            return folded(text.as_str(), *width).map(|line| Text::of(line, style.charset)).collect();
        }
        text.truncate(*width, style.charset);
        vec![text]
    };
    let cells: Vec<Vec<Text>> = placed.iter().map(cell).collect();
    let count = cells.iter().map(Vec::len).max().unwrap_or(0);
    let line = |number: usize| {
        let cell = |lines: &Vec<Text>| (lines.get(number).cloned().unwrap_or_default(), Emphasis::None);
        cells.iter().map(cell).collect()
    };
    (0..count).map(line).collect()
}

/// Breaks the text at blanks, and a word that is longer than a line where the line ends.
fn folded(text: &str, width: usize) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let fits = |end: &usize| text[..*end].width() <= width;
        let ends = text.char_indices().map(|(at, character)| at + character.len_utf8());
        let end = ends.clone().take_while(fits).last().or_else(|| ends.clone().next()).unwrap_or(0);
        if end == text.len() {
            rest = None;
            return Some(text);
        }
        let blank = if text[end..].starts_with(' ') { Some(end) } else { text[..end].rfind(' ').filter(|at| *at > 0) };
        let (line, next) = blank.map_or((end, end), |blank| (blank, blank + 1));
        rest = Some(&text[next..]);
        Some(&text[..line])
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::text::safe::Charset;

    #[test]
    fn columns_that_do_not_fit_are_left_out_and_counted() {
        let rows = vec![vec![Text::plain("host"), Text::plain("80"), Text::plain("nginx")]];
        let titles = [("SPACE", false), ("PORT", true), ("PROCESS", false)];
        let drawn = |width| {
            let mut text = Vec::new();
            let style = Style { color: false, charset: Charset::Ascii, width };
            let left = draw(&mut text, &titles, &rows, false, style).unwrap();
            (String::from_utf8(text).unwrap(), left)
        };
        assert_eq!(drawn(None), ("SPACE  PORT  PROCESS\nhost     80  nginx\n".to_owned(), 0));
        assert_eq!(drawn(Some(12)), ("SPACE  PORT\n-----------\nhost     80\n".to_owned(), 1));
        assert_eq!(drawn(Some(1)).1, 2);
    }

    const COLUMNS: [Column<'_>; 4] = [
        Column { title: ("CHANGE", false), yields: Yields::Never },
        Column { title: ("PROTO", false), yields: Yields::Leaves },
        Column { title: ("SPACE", false), yields: Yields::IsCutAndLeaves(8) },
        Column { title: ("WHAT", false), yields: Yields::Folds },
    ];

    fn drawn(row: [&str; 4], width: usize) -> (String, Vec<&'static str>) {
        let mut text = Vec::new();
        let style = Style { color: false, charset: Charset::Ascii, width: Some(width) };
        let left = draw_columns(&mut text, &COLUMNS, &[row.map(Text::plain).to_vec()], true, style).unwrap();
        (String::from_utf8(text).unwrap(), left)
    }

    #[test]
    fn the_last_column_is_folded_then_others_are_cut_then_they_leave() {
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
                36,
                "opened  tcp  a-space~  0.0.0.0 (any)\n\
                 \u{20}                      by\n\
                 \u{20}                      /usr/bin/pyth\n\
                 \u{20}                      on3, user\n\
                 \u{20}                      root\n",
                vec![],
            ),
            (
                26,
                "opened  tcp  0.0.0.0 (any)\n\
                 \u{20}            by\n\
                 \u{20}            /usr/bin/pyth\n\
                 \u{20}            on3, user\n\
                 \u{20}            root\n",
                vec!["SPACE"],
            ),
            (
                20,
                "opened  0.0.0.0\n\
                 \u{20}       (any) by\n\
                 \u{20}       /usr/bin/pyt\n\
                 \u{20}       hon3, user\n\
                 \u{20}       root\n",
                vec!["PROTO", "SPACE"],
            ),
        ] {
            assert_eq!(drawn(row, width), (text.to_owned(), left), "{width}");
        }
        // A narrower terminal breaks the lines itself; the answer is still there.
        assert_eq!(drawn(row, 1), drawn(row, 20));
    }

    #[test]
    fn no_word_of_a_folded_text_is_lost() {
        let folded = |text: &'static str, width| super::folded(text, width).collect::<Vec<_>>();
        assert_eq!(folded("one two three", 7), ["one two", "three"]);
        assert_eq!(folded("one two three", 6), ["one", "two", "three"]);
        assert_eq!(folded("/a/long/path b", 5), ["/a/lo", "ng/pa", "th b"]);
        assert_eq!(folded("\u{4e2d}\u{6587}", 1), ["\u{4e2d}", "\u{6587}"]);
        assert_eq!(folded("", 5), [""]);
    }
}
