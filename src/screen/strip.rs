//! The last events as lines, each made once.

use std::collections::VecDeque;
use std::rc::Rc;

use super::laid::{Choice, Lens};
use crate::join;
use crate::model::{Changes, Event, EventKind};
use crate::render::page::events::EventLines;
use crate::render::text::style::Style;

/// Events that are kept.
const MOST: usize = 500;

/// Events, and the lines of those that the filter admits.
#[derive(Debug)]
pub struct Strip {
    style: Style,
    /// Each with its index among the changes.
    happened: VecDeque<(Rc<Changes>, usize)>,
    /// How many of these have their lines by now.
    told: usize,
    writer: EventLines,
    /// The lines, with the kind of each.
    pub lines: Vec<(EventKind, String)>,
}

impl Strip {
    /// No events.
    pub fn new(style: Style) -> Strip {
        let style = Style { color: false, ..style };
        Strip { style, happened: VecDeque::new(), told: 0, writer: EventLines::new(style, false), lines: Vec::new() }
    }

    /// The same events, of which later ones are not.
    pub fn frozen(&self) -> Strip {
        Strip { happened: self.happened.clone(), lines: self.lines.clone(), told: self.told, ..Strip::new(self.style) }
    }

    /// Takes what has happened. Connections come and go too fast to be read; the table has them.
    pub fn push(&mut self, changes: &Rc<Changes>) {
        let is_told = |event: &Event| !matches!(event.kind, EventKind::Connected | EventKind::Disconnected);
        let events = changes.events.iter().enumerate().filter(|(_, event)| is_told(event));
        self.happened.extend(events.map(|(index, _)| (Rc::clone(changes), index)));
        let over = self.happened.len().saturating_sub(MOST);
        self.happened.drain(..over);
        self.told = self.told.saturating_sub(over);
    }

    /// Makes the lines that are missing; all of them where the filter is another one.
    pub fn lay(&mut self, choice: &Choice, lens: &Lens<'_>, is_filter_new: bool) {
        if is_filter_new {
            (self.told, self.writer) = (0, EventLines::new(self.style, false));
            self.lines.clear();
        }
        if self.told == self.happened.len() {
            return;
        }
        let admits = choice.admits(lens);
        let missing: Vec<(Rc<Changes>, usize)> = self.happened.range(self.told..).cloned().collect();
        for together in missing.chunk_by(|(one, _), (other, _)| Rc::ptr_eq(one, other)) {
            let Some((changes, _)) = together.first() else { continue };
            let listing = join::listing(&changes.snapshot, Some(lens.catalogue));
            for (_, index) in together {
                let Some(event) = changes.events.get(*index) else { continue };
                let row = event.socket.and_then(|socket| listing.rows.get(socket));
                // What was lost may have been any.
                if row.is_some_and(|row| !admits(row)) {
                    continue;
                }
                let mut text = Vec::new();
                if self.writer.write(&mut text, changes, &listing, |other, _| other == *index).is_ok() {
                    let text = String::from_utf8_lossy(&text);
                    self.lines.extend(text.lines().last().map(|line| (event.kind, line.to_owned())));
                }
            }
        }
        self.told = self.happened.len();
        let over = self.lines.len().saturating_sub(MOST);
        self.lines.drain(..over);
    }
}
