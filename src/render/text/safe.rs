//! The one choke point between strings of other processes and a terminal.
//!
//! A process may call itself anything: escape sequences, line breaks, bidirectional overrides that turn `exe.gpj`
//! around. A table cell is a [`Text`], and a `Text` is only made here.

use std::ffi::OsStr;
use std::fmt::Write;
use std::ops::Range;

use compact_str::CompactString;
use unicode_width::UnicodeWidthStr;

/// Which characters may be shown as they are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Charset {
    /// Every printable character.
    Unicode,
    /// Printable ASCII; the rest is escaped (`LC_ALL=C`).
    Ascii,
}

/// Text that cannot break a line or steer a terminal. Kept in place up to 24 bytes, as nearly every cell is.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Text(CompactString);

impl Text {
    /// Makes the bytes of the operating system safe: whatever is not printable becomes a visible escape.
    pub fn of_os(text: &OsStr, charset: Charset) -> Text {
        let mut safe = CompactString::with_capacity(text.len());
        for chunk in text.as_encoded_bytes().utf8_chunks() {
            push_safe(&mut safe, chunk.valid(), charset);
            for byte in chunk.invalid() {
                let _ = write!(safe, "\\x{byte:02x}");
            }
        }
        Text(safe)
    }

    /// Makes a text safe.
    pub fn of(text: &str, charset: Charset) -> Text {
        // Nearly every name is plain.
        if is_plain(text) {
            return Text(text.into());
        }
        let mut safe = CompactString::with_capacity(text.len());
        push_safe(&mut safe, text, charset);
        Text(safe)
    }

    /// Takes a text of this program as it is: names and numbers of printable ASCII.
    pub fn plain(text: impl Into<CompactString>) -> Text {
        let text = text.into();
        debug_assert!(is_plain(&text), "{text:?} is not printable ASCII");
        Text(text)
    }

    /// What stands before where something leads.
    pub fn arrow(charset: Charset) -> Text {
        Text(CompactString::const_new(if charset == Charset::Unicode { "→" } else { "->" }))
    }

    /// Joins safe texts.
    pub fn join(texts: &[Text], separator: &'static str) -> Text {
        let mut joined = CompactString::default();
        for (index, text) in texts.iter().enumerate() {
            if index > 0 {
                joined.push_str(separator);
            }
            joined.push_str(text.as_str());
        }
        Text(joined)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text, owned.
    pub fn into_string(self) -> String {
        self.0.into_string()
    }

    /// Escapes what Markdown would take for a mark.
    pub fn for_markdown(self) -> Text {
        if !self.0.contains(['|', '`', '*', '_', '<', '[', '\\']) {
            return self;
        }
        let mut escaped = CompactString::with_capacity(self.0.len() + 8);
        for character in self.0.chars() {
            match character {
                '<' => escaped.push_str("&lt;"),
                '|' | '`' | '*' | '_' | '[' | '\\' => escaped.extend(['\\', character]),
                _ => escaped.push(character),
            }
        }
        Text(escaped)
    }

    /// How many columns of a terminal it takes.
    pub fn width(&self) -> usize {
        width(&self.0)
    }

    /// Shortens it as [`truncate`](Text::truncate) does, but not a number that it ends with, or a port in it:
    /// `postgres +3` becomes `postg… +3`, and `→ container shop :80 (nginx)` becomes `→ container sh… :80`.
    pub fn shorten(&mut self, columns: usize, charset: Charset) {
        if self.width() <= columns {
            return;
        }
        let number = self.count().or_else(|| self.port()).filter(|number| number.len() < columns);
        let Some(number) = number else { return self.truncate(columns, charset) };
        let kept = CompactString::from(&self.0[number.clone()]);
        self.0.truncate(number.start);
        self.truncate(columns - kept.len(), charset);
        self.0.push_str(&kept);
    }

    /// Where it ends with ` +3`.
    fn count(&self) -> Option<Range<usize>> {
        let at = self.0.rfind(" +")?;
        let is_count = |rest: &str| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit());
        is_count(&self.0[at + 2..]).then_some(at..self.0.len())
    }

    /// Where it has ` :80` or ` :8000-8010`.
    fn port(&self) -> Option<Range<usize>> {
        let at = self.0.find(" :")?;
        let digits = self.0[at + 2..].bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'-').count();
        (digits > 0).then_some(at..at + 2 + digits)
    }

    /// Shortens it to so many columns, the last of them a mark that something is missing.
    pub fn truncate(&mut self, columns: usize, charset: Charset) {
        if self.width() <= columns {
            return;
        }
        let mark = match charset {
            Charset::Unicode => '…',
            Charset::Ascii => '~',
        };
        // Taken off from the end, because the width of a text is not the sum of the widths of its characters.
        while width(&self.0) + 1 > columns && self.0.pop().is_some() {}
        if columns > 0 {
            self.0.push(mark);
        }
    }
}

/// These end a text, stand for one that is the same as above, and end a row. No [`Text`] has a control character.
const UNIT_SEPARATOR: char = '\u{1f}';
const DITTO: char = '\u{1d}';
const RECORD_SEPARATOR: char = '\u{1e}';

/// Rows of safe texts, each of as many, one behind the other: on a host with a million sockets they would take ten times as
/// much memory one by one.
#[derive(Clone, Debug)]
pub struct Texts {
    joined: String,
    /// The texts of the last row; behind those that it has so far, those of the one above.
    last: Vec<Text>,
    /// How many it has so far.
    column: usize,
}

impl Texts {
    /// Room for so many texts of a usual length.
    pub fn with_capacity(count: usize) -> Texts {
        Texts { joined: String::with_capacity(4 * count), last: Vec::new(), column: 0 }
    }

    /// Adds a text to the last row; says whether another one stands above it.
    pub fn push(&mut self, text: Text) -> bool {
        let above = self.last.get_mut(self.column);
        self.column += 1;
        if above.as_ref().is_some_and(|above| **above == text) {
            self.joined.push(DITTO);
            return false;
        }
        self.joined.push_str(text.as_str());
        self.joined.push(UNIT_SEPARATOR);
        if let Some(above) = above {
            *above = text;
            return true;
        }
        self.last.push(text);
        false
    }

    /// Ends the last row.
    pub fn end_row(&mut self) {
        self.joined.push(RECORD_SEPARATOR);
        self.column = 0;
    }

    /// The texts of each row.
    pub fn rows(&self) -> impl Iterator<Item = Vec<Text>> {
        let mut row: Vec<Text> = Vec::new();
        self.joined.split_terminator(RECORD_SEPARATOR).map(move |texts| {
            for (column, text) in texts.split_inclusive([UNIT_SEPARATOR, DITTO]).enumerate() {
                let Some(text) = text.strip_suffix(UNIT_SEPARATOR) else { continue };
                match row.get_mut(column) {
                    Some(above) => *above = Text(text.into()),
                    None => row.push(Text(text.into())),
                }
            }
            row.clone()
        })
    }

    /// Gives back memory that is not needed when no text is added any more.
    pub fn shrink(&mut self) {
        self.joined.shrink_to_fit();
        self.last = Vec::new();
    }
}

/// How many columns of a terminal a safe text takes.
pub fn width(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.width() }
}

fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| (0x20..0x7f).contains(&byte))
}

fn push_safe(safe: &mut CompactString, text: &str, charset: Charset) {
    for character in text.chars() {
        match character {
            ' '..='~' => safe.push(character),
            '\0'..='\u{7f}' => {
                let _ = write!(safe, "\\x{:02x}", u32::from(character));
            }
            _ if charset == Charset::Ascii || is_deceptive(character) => {
                let _ = write!(safe, "\\u{{{:x}}}", u32::from(character));
            }
            _ => safe.push(character),
        }
    }
}

/// Says whether the character controls, hides or reorders text instead of showing something.
pub fn is_deceptive(character: char) -> bool {
    matches!(character,
        '\u{80}'..='\u{9f}'            // C1 controls
        | '\u{ad}'                     // soft hyphen
        | '\u{34f}'                    // combining grapheme joiner
        | '\u{61c}'                    // Arabic letter mark
        | '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' // Hangul fillers: blank letters
        | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}'      // zero width, direction marks
        | '\u{2028}'..='\u{202e}'      // line separators, embeddings and overrides
        | '\u{2060}'..='\u{206f}'      // invisible operators, isolates
        | '\u{fe00}'..='\u{fe0f}'      // variation selectors
        | '\u{feff}'
        | '\u{fff0}'..='\u{fffb}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e000}'..='\u{f8ff}'      // private use: anything a font makes of it
        | '\u{e0000}'..='\u{e0fff}'    // tags, variation selectors
        | '\u{f0000}'..='\u{10ffff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_count_is_never_cut() {
        let shortened = |text: &str, columns| {
            let mut text = Text::plain(text);
            text.shorten(columns, Charset::Ascii);
            text.into_string()
        };
        assert_eq!(shortened("postgres +13", 12), "postgres +13");
        assert_eq!(shortened("postgres +13", 9), "post~ +13");
        assert_eq!(shortened("postgres +13", 4), "pos~");
        assert_eq!(shortened("c++ +x", 5), "c++ ~");
        assert_eq!(shortened("-> container shop :3000 (shop/api)", 23), "-> container shop :3000");
        assert_eq!(shortened("-> container shop :3000 (shop/api)", 20), "-> container ~ :3000");
        assert_eq!(shortened("-> container shop :8000-8010", 23), "-> containe~ :8000-8010");
    }

    #[test]
    fn hostile_names_become_visible() {
        for (name, shown) in [
            ("\x1b[31mRED\x1b[0m", "\\x1b[31mRED\\x1b[0m"),
            ("a\nb\tc\rd", "a\\x0ab\\x09c\\x0dd"),
            ("\u{202e}gpj.exe", "\\u{202e}gpj.exe"),
            ("\u{9b}2J", "\\u{9b}2J"),
            ("中文名", "中文名"),
            ("", ""),
        ] {
            assert_eq!(Text::of(name, Charset::Unicode).as_str(), shown);
        }
        assert_eq!(Text::of("é", Charset::Ascii).as_str(), "\\u{e9}");
    }

    #[cfg(unix)]
    #[test]
    fn bytes_that_are_not_utf8_become_visible() {
        use std::os::unix::ffi::OsStrExt;
        let name = OsStr::from_bytes(b"\xff\xfe\x80bad");
        assert_eq!(Text::of_os(name, Charset::Unicode).as_str(), "\\xff\\xfe\\x80bad");
    }

    #[test]
    fn a_long_text_ends_in_a_mark() {
        let shortened = |text: &str, columns| {
            let mut text = Text::of(text, Charset::Unicode);
            text.truncate(columns, Charset::Unicode);
            text.into_string()
        };
        assert_eq!(shortened("postgres", 8), "postgres");
        assert_eq!(shortened("postgres", 5), "post…");
        assert_eq!(shortened("中文名", 4), "中…");
        assert_eq!(shortened("abc", 1), "…");
        assert_eq!(shortened("abc", 0), "");
    }

    #[test]
    fn texts_that_were_put_together_are_the_same_apart() {
        let row = |texts: [&str; 4]| texts.map(|text| Text::of(text, Charset::Unicode)).to_vec();
        let rows = [
            row(["", "tcp", "中文", ""]),
            row(["", "tcp", "中文", ""]),
            row(["tcp", "", "a text that is longer than what is kept in place", ""]),
            row(["", "", "a text that is longer than what is kept in place", "tcp"]),
        ];
        let differing = [[false; 4], [false; 4], [true, true, true, false], [true, false, false, true]];
        for count in 0..=rows.len() {
            let mut texts = Texts::with_capacity(4 * count);
            for (row, differing) in rows[..count].iter().zip(differing) {
                assert_eq!([0, 1, 2, 3].map(|column| texts.push(row[column].clone())), differing);
                texts.end_row();
            }
            texts.shrink();
            assert_eq!(texts.rows().collect::<Vec<_>>(), rows[..count]);
        }
        let mut texts = Texts::with_capacity(0);
        texts.end_row();
        assert_eq!(texts.rows().map(|row| row.len()).collect::<Vec<_>>(), [0], "a row without a column");
    }

    #[test]
    fn what_parts_texts_is_in_none_of_them() {
        for separator in [UNIT_SEPARATOR, DITTO, RECORD_SEPARATOR] {
            let hostile = format!("a{separator}b");
            for charset in [Charset::Unicode, Charset::Ascii] {
                for text in [Text::of(&hostile, charset), Text::of_os(OsStr::new(&hostile), charset)] {
                    assert!(!text.as_str().contains(separator), "{text:?}");
                    assert!(!text.for_markdown().as_str().contains(separator));
                }
            }
        }
    }

    proptest! {
        #[test]
        fn no_control_character_survives(bytes in any::<Vec<u8>>(), ascii in any::<bool>()) {
            let charset = if ascii { Charset::Ascii } else { Charset::Unicode };
            let text = String::from_utf8_lossy(&bytes);
            let safe = Text::of(&text, charset);
            prop_assert!(!safe.as_str().chars().any(|c| c.is_control() || is_deceptive(c)));
            prop_assert!(charset == Charset::Unicode || safe.as_str().is_ascii());
            // Once safe, it stays as it is.
            prop_assert_eq!(Text::of(safe.as_str(), charset), safe);
        }

        #[test]
        fn a_truncated_text_never_exceeds_its_width(text in any::<String>(), columns in 0usize..30) {
            let mut text = Text::of(&text, Charset::Unicode);
            text.truncate(columns, Charset::Unicode);
            prop_assert!(text.width() <= columns, "{:?}", text);
        }

        #[cfg(unix)]
        #[test]
        fn any_bytes_of_a_name_are_shown_without_control_characters(bytes in any::<Vec<u8>>()) {
            use std::os::unix::ffi::OsStrExt;
            let safe = Text::of_os(OsStr::from_bytes(&bytes), Charset::Unicode);
            prop_assert!(!safe.as_str().chars().any(|c| c.is_control() || is_deceptive(c)));
        }
    }
}
