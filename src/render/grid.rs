//! A plain table of cells that are at hand: as wide as its cells, the last column cut to the terminal.

use std::io::{self, Write};

use super::layout::GAP;
use super::sanitize::Text;
use super::style::Style;
use super::table::{self, Emphasis, Frame, Head};

/// The head of one column, and whether its cells are numbers, which stand flush right.
pub type Title<'a> = (&'a str, bool);

/// Draws the rows, below their heads unless it is to be bare. A terminal that is too narrow shows fewer columns;
/// returns how many of the last ones had no room.
pub fn draw(
    out: &mut dyn Write,
    titles: &[Title<'_>],
    rows: &[Vec<Text>],
    bare: bool,
    style: Style,
) -> io::Result<usize> {
    let widest = |place: usize| {
        let head = if bare { 0 } else { titles[place].0.chars().count() };
        rows.iter().map(|row| row[place].width()).max().unwrap_or(0).max(head)
    };
    let widths: Vec<usize> = (0..titles.len()).map(widest).collect();
    let fitting = style.width.map_or(titles.len(), |width| fitting(&widths, width));
    let shape: Vec<Head> = titles[..fitting]
        .iter()
        .zip(&widths)
        .map(|((title, is_number), width)| Head { title: (*title).to_owned(), width: *width, is_number: *is_number })
        .collect();
    let mut cells = rows.iter().map(|row| row[..fitting].iter().map(|text| (text, Emphasis::None)));
    table::draw(out, (!bare).then_some(&shape[..]), &shape, &mut cells, Frame::Plain, style)?;
    Ok(titles.len() - fitting)
}

/// How many columns fit, never less than one.
fn fitting(widths: &[usize], width: usize) -> usize {
    let mut taken = 0;
    let fits = widths.iter().take_while(|column| {
        taken += **column;
        let fits = taken <= width;
        taken += usize::from(GAP);
        fits
    });
    fits.count().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::sanitize::Charset;

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
}
