//! The state as a frame.

use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style as Look};

use super::keys::FOOTER;
use super::state::{Over, Prompt, State};
use crate::model::EventKind;
use crate::render::table::draw::{Emphasis, Head};
use crate::render::table::fit::GAP;
use crate::render::text::number::thousands;
use crate::render::text::palette::Tone;
use crate::render::text::paragraph;
use crate::render::text::safe::{Charset, Text, width as width_of};
use crate::render::text::style::Style;
use crate::render::words::event::{self, sign};
use crate::render::words::screen as words;

/// The columns left of the table, for the signs of changes.
pub const GUTTER: usize = 2;

/// Draws the state.
pub fn draw(buffer: &mut Buffer, state: &State, style: Style) {
    let Rect { width, height, .. } = buffer.area;
    if width == 0 || height == 0 {
        return;
    }
    let mut page = Page { buffer, style, width: usize::from(width) };
    let last = height - 1;
    page.line(0, state.laid.title.as_str(), Look::new().add_modifier(Modifier::BOLD));
    match &state.over {
        Some(Over::Page(lines, at)) => {
            for (y, line) in (1..last).zip(lines.iter().skip(*at)) {
                page.line(y, line, Look::new());
            }
        }
        Some(Over::Events(at)) => {
            let end = state.strip().len().saturating_sub(*at);
            let start = end.saturating_sub(usize::from(last.saturating_sub(1)));
            page.events(1, &state.strip()[start..end]);
            if state.strip().is_empty() && last > 1 {
                page.line(1, "no events yet", page.look(Emphasis::Dim));
            }
        }
        None => page.table(state, last),
    }
    page.footer(state, last);
}

struct Page<'b> {
    buffer: &'b mut Buffer,
    style: Style,
    width: usize,
}

impl Page<'_> {
    /// Writes a text, and returns the column behind it. Nothing is written beyond the edge.
    fn text(&mut self, x: usize, y: u16, text: &str, look: Look) -> usize {
        let Ok(at) = u16::try_from(x) else { return x };
        if x < self.width && y < self.buffer.area.height {
            self.buffer.set_stringn(at, y, text, self.width - x, look);
        }
        x + width_of(text)
    }

    /// Writes a line that is cut, with a mark, where it is too long.
    fn line(&mut self, y: u16, text: &str, look: Look) {
        let mut text = Text::of(text, self.style.charset);
        text.truncate(self.width, self.style.charset);
        self.text(0, y, text.as_str(), look);
    }

    fn table(&mut self, state: &State, last: u16) {
        let sheet = &state.laid.sheet;
        if last < 2 {
            return;
        }
        if state.laid.lines.is_empty() {
            let what = if state.is_looking { "looking..." } else { "no open socket matches" };
            self.line(1, what, self.look(Emphasis::Dim));
        } else {
            let heads: Vec<(Text, Emphasis)> =
                sheet.heads.iter().map(|head| (Text::of(&head.title, Charset::Ascii), Emphasis::None)).collect();
            self.row(1, &sheet.heads, heads.iter().map(|(text, look)| (text, *look)), Look::new());
        }
        let state_column = state.laid.state_column();
        for (y, index) in (2..last).zip(state.shown()) {
            let (Some(line), Some(cells)) = (state.laid.lines.get(index), sheet.rows.get(index)) else { break };
            let closed = state.closed_for(line);
            let mut look = Look::new();
            if closed.is_some() {
                look = look.add_modifier(Modifier::DIM);
            }
            if index == state.cursor() {
                look = look.add_modifier(Modifier::REVERSED);
                self.text(0, y, &" ".repeat(self.width), look);
            }
            if let Some(kind) = line.mark {
                self.text(0, y, &sign(kind).to_string(), look.patch(self.of_kind(kind)));
            }
            if let Some(closed) = closed {
                self.closed_row(y, (&sheet.heads, cells), state_column, closed, look);
            } else {
                self.row(y, &sheet.heads, cells.iter().map(|(text, emphasis)| (text, *emphasis)), look);
            }
        }
        let strip = u16::try_from(state.strip_height()).unwrap_or(0);
        if strip > 0 && last > strip {
            let rule = if self.style.charset == Charset::Unicode { "─" } else { "-" };
            let rule = format!("events {}", rule.repeat(self.width.saturating_sub(7)));
            self.line(last - strip, &rule, self.look(Emphasis::Dim));
            let start = state.strip().len().saturating_sub(usize::from(strip - 1));
            self.events(last - strip + 1, &state.strip()[start..]);
        }
    }

    /// `closed 3 s, lived 12 s` as the state, which may cover cells behind it that say nothing. What has no room there
    /// stands behind the row, if there is room.
    fn closed_row(
        &mut self,
        y: u16,
        (heads, cells): (&[Head], &[(Text, Emphasis)]),
        state: Option<usize>,
        (ago, lived): (Duration, Option<Duration>),
        look: Look,
    ) {
        let empty = |at: &usize| cells.get(*at).is_some_and(|(text, _)| text.as_str() == "-");
        let covered =
            state.map(|state| (state + 1..heads.len()).take_while(empty).collect::<Vec<_>>()).unwrap_or_default();
        let behind: usize = covered.iter().map(|at| GAP + heads[*at].width).sum();
        let room = state.map_or(0, |state| heads[state].width + behind);
        let forms = words::closed(ago, lived);
        let said = forms.iter().find(|words| words.len() <= room);
        let is_whole = said == forms.first();
        let words = Text::plain(said.cloned().unwrap_or_default());
        let blank = Text::default();
        let covers = |at: usize| covered.contains(&at) && words.width() > heads[state.unwrap_or(at)].width;
        let shown = cells.iter().enumerate().map(|(at, (text, emphasis))| match state {
            Some(state) if at == state && !words.as_str().is_empty() => (&words, Emphasis::Dim),
            _ if covers(at) => (&blank, Emphasis::None),
            _ => (text, *emphasis),
        });
        let end = self.row(y, heads, shown, look);
        let rest = lived.filter(|_| !is_whole).map(words::lived).filter(|rest| end + rest.len() <= self.width);
        if let Some(rest) = rest {
            self.text(end, y, &rest, look);
        }
    }

    /// Returns the column behind it.
    fn row<'t>(
        &mut self,
        y: u16,
        heads: &[Head],
        cells: impl Iterator<Item = (&'t Text, Emphasis)>,
        look: Look,
    ) -> usize {
        let mut x = GUTTER;
        for (head, (text, emphasis)) in heads.iter().zip(cells) {
            let blank = if head.is_number { head.width.saturating_sub(text.width()) } else { 0 };
            self.text(x + blank, y, text.as_str(), look.patch(self.look(emphasis)));
            x += head.width + GAP;
        }
        x
    }

    fn events(&mut self, first: u16, lines: &[(EventKind, String)]) {
        for (y, (kind, line)) in (first..).zip(lines) {
            self.line(y, line, Look::new());
            // The sign stands behind the time.
            if let Some(at) = line.find("  ").map(|at| width_of(&line[..at]) + 2) {
                self.text(at, y, &sign(*kind).to_string(), self.of_kind(*kind));
            }
        }
    }

    fn footer(&mut self, state: &State, y: u16) {
        if let Some((prompt, text)) = &state.prompt {
            let label = match prompt {
                Prompt::Filter => "/",
                Prompt::Condition => ":",
                Prompt::Columns => "columns: ",
            };
            let typed = Text::of(text, self.style.charset);
            let x = self.text(0, y, label, self.look(Emphasis::Strong));
            let x = self.text(x, y, typed.as_str(), Look::new());
            let x = self.text(x, y, " ", Look::new().add_modifier(Modifier::REVERSED));
            if let Some(message) = state.message() {
                self.text(x + 2, y, message, self.look(Emphasis::Attention));
            }
            return;
        }
        if let Some(message) = state.message() {
            // A long one covers what is above, unless that were too much.
            let mut lines = paragraph::hanging(message, 0, Some(self.width));
            if lines.len() > usize::from(self.buffer.area.height / 3) {
                lines = vec![message.to_owned()];
            }
            for (y, line) in (0..=y).rev().zip(lines.iter().rev()) {
                self.text(0, y, &" ".repeat(self.width), Look::new());
                self.line(y, line, self.look(Emphasis::Attention));
            }
            return;
        }
        let mut x = 0;
        if state.is_paused() {
            x = self.text(x, y, "PAUSED", self.look(Emphasis::Strong)) + GAP;
        }
        if !state.filter.is_empty() {
            let mut filter = Text::of(&state.filter, self.style.charset);
            filter.truncate(24, self.style.charset);
            x = self.text(x, y, &format!("/{}", filter.as_str()), self.look(Emphasis::Strong)) + GAP;
        }
        let hidden = state.laid.sheet.left.len();
        let noun = if hidden == 1 { "column" } else { "columns" };
        let hidden = (hidden > 0).then(|| format!("{} {noun} hidden", thousands(hidden)));
        // Before most keys: that something is missing must not itself be missing.
        let (first, others) = FOOTER.split_at(2);
        for words in first.iter().copied().chain(hidden.as_deref()).chain(others.iter().copied()) {
            if x + words.len() > self.width {
                break;
            }
            x = self.text(x, y, words, self.look(Emphasis::Dim)) + GAP;
        }
    }

    /// As the listing has it.
    fn look(&self, emphasis: Emphasis) -> Look {
        match emphasis {
            Emphasis::None => Look::new(),
            Emphasis::Strong | Emphasis::Good => Look::new().add_modifier(Modifier::BOLD),
            Emphasis::Attention if self.style.color => of_tone(Tone::Attention),
            Emphasis::Attention => Look::new(),
            Emphasis::Dim => Look::new().add_modifier(Modifier::DIM),
        }
    }

    /// The color of a sign; the sign itself says enough.
    fn of_kind(&self, kind: EventKind) -> Look {
        match event::tone(kind) {
            Some(tone) if self.style.color => of_tone(tone),
            _ => Look::new(),
        }
    }
}

fn of_tone(tone: Tone) -> Look {
    let look = Look::new().fg(Color::Indexed(tone.color()));
    if tone.is_bold() { look.add_modifier(Modifier::BOLD) } else { look }
}
