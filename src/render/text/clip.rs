//! Text that is cut at a width, the colors in it kept whole.

use unicode_width::UnicodeWidthChar;

/// Cuts each line of a text at the width. Escape sequences take no room.
pub fn lines(text: &str, width: usize) -> String {
    let mut cut = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        push_line(&mut cut, line, width);
    }
    cut
}

fn push_line(cut: &mut String, line: &str, width: usize) {
    let mut taken = 0;
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match character {
            '\n' => cut.push('\n'),
            // A sequence that sets a color ends with a letter; it is kept behind the cut too, for it may end a color.
            '\x1b' => {
                cut.push('\x1b');
                for part in characters.by_ref() {
                    cut.push(part);
                    if part.is_ascii_alphabetic() {
                        break;
                    }
                }
            }
            _ => {
                taken += character.width().unwrap_or(0);
                if taken <= width {
                    cut.push(character);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_at_the_width_and_colors_are_closed() {
        assert_eq!(lines("one two\nthree\n", 5), "one t\nthree\n");
        assert_eq!(lines("\x1b[1mPORT\x1b[0m  80", 3), "\x1b[1mPOR\x1b[0m");
        assert_eq!(lines("\u{4e2d}\u{6587}!\n", 3), "\u{4e2d}\n");
        assert_eq!(lines("short", 80), "short");
    }
}
