//! What the screen shows: a pure function of keys, events, tables and the time that has gone by.

mod press;

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use super::keys::HELP;
use super::laid::{self, Choice, Laid, Lens, Line};
use super::sockets::{Id, Sockets};
use crate::join;
use crate::model::{Changes, EventKind, Port, Snapshot};
use crate::render::page::events::EventLines;
use crate::render::text::safe::Text;
use crate::render::text::style::Style;
use crate::render::words::summary;

/// Events that are kept.
const MOST_EVENTS: usize = 500;
/// How long a message stays.
const MESSAGE: Duration = Duration::from_secs(5);
/// What the screen asks of who runs it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Act {
    /// End.
    Quit,
    /// Stop until told to go on.
    Suspend,
    /// Show everything about the port.
    Info(Port),
    /// Stop who listens on the target.
    Kill(String),
    /// Close the sockets of the target.
    Close(String),
    /// Save a snapshot.
    Save,
    /// Keep the rows for which this condition holds; every row if it is empty.
    Condition(String),
    /// Change the columns.
    Columns(String),
}

/// What a prompt is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Prompt {
    /// Targets.
    Filter,
    /// A CEL condition.
    Condition,
    /// Columns.
    Columns,
}

/// What lies over the table.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Over {
    /// A text, scrolled down by so many lines.
    Page(Vec<String>, usize),
    /// The events, scrolled up from the last by so many lines.
    Events(usize),
}

/// The state.
pub struct State {
    style: Style,
    sockets: Sockets,
    /// The sockets as they were when the screen was paused.
    frozen: Option<Sockets>,
    happened: VecDeque<(Rc<Changes>, usize)>,
    choice: Choice,
    now: Duration,
    size: (u16, u16),
    /// What is typed, and what for.
    pub prompt: Option<(Prompt, String)>,
    /// What lies over the table.
    pub over: Option<Over>,
    /// The table.
    pub laid: Laid,
    /// The lines of the events, with the kind of each.
    pub strip: Vec<(EventKind, String)>,
    /// The text of the filter.
    pub filter: String,
    /// What could not be seen, for the help.
    pub notes: Vec<String>,
    /// The index of the line that is chosen, and which socket that is.
    cursor: (usize, Option<Id>),
    /// The first line that is shown.
    top: usize,
    message: Option<(String, Duration)>,
    is_strip_old: bool,
    /// The table must be laid out again.
    pub is_old: bool,
}

impl State {
    /// An empty screen.
    pub fn new(style: Style, choice: Choice) -> State {
        State {
            style,
            sockets: Sockets::default(),
            frozen: None,
            happened: VecDeque::new(),
            choice,
            now: Duration::ZERO,
            size: (80, 24),
            prompt: None,
            over: None,
            laid: Laid::default(),
            strip: Vec::new(),
            filter: String::new(),
            notes: Vec::new(),
            cursor: (0, None),
            top: 0,
            message: None,
            is_strip_old: false,
            is_old: true,
        }
    }

    /// Takes what has happened.
    pub fn apply(&mut self, changes: Changes) {
        let changes = Rc::new(changes);
        self.sockets.apply(&changes, self.now);
        for (place, event) in changes.events.iter().enumerate() {
            // Connections come and go too fast to be read; the table has them.
            if !matches!(event.kind, EventKind::Connected | EventKind::Disconnected) {
                self.happened.push_back((Rc::clone(&changes), place));
            }
        }
        self.happened.drain(..self.happened.len().saturating_sub(MOST_EVENTS));
        self.is_old |= self.frozen.is_none();
        self.is_strip_old |= self.frozen.is_none();
    }

    /// Takes a new table.
    pub fn replace(&mut self, table: Snapshot) {
        self.sockets.replace(table);
        self.is_old |= self.frozen.is_none();
    }

    /// Lets time go by, since the screen was opened. Returns whether what is shown may have changed.
    pub fn tick(&mut self, now: Duration) -> bool {
        let is_new_second = now.as_secs() != self.now.as_secs();
        self.now = now;
        if self.sockets.fade(now) && self.frozen.is_none() {
            self.is_old = true;
        }
        let is_message_over = self.message.as_ref().is_some_and(|(_, until)| *until <= now);
        if is_message_over {
            self.message = None;
        }
        // How long ago something was closed is a number of seconds.
        self.is_old || is_message_over || (is_new_second && self.sockets.has_marks())
    }

    /// Takes the size of the terminal.
    pub fn resize(&mut self, width: u16, height: u16) {
        self.is_old |= self.size.0 != width;
        self.size = (width, height);
        self.follow_cursor();
    }

    /// The columns and lines of the terminal.
    pub fn size(&self) -> (u16, u16) {
        self.size
    }

    /// Shows a message in the place of the keys for a while.
    pub fn say(&mut self, message: &str) {
        self.message = Some((Text::of(message, self.style.charset).into_string(), self.now + MESSAGE));
    }

    /// The message.
    pub fn message(&self) -> Option<&str> {
        self.message.as_ref().map(|(message, _)| message.as_str())
    }

    /// Whether the screen is paused.
    pub fn is_paused(&self) -> bool {
        self.frozen.is_some()
    }

    /// The lines of the table that are shown, from the first.
    pub fn shown(&self) -> std::ops::Range<usize> {
        let last = self.laid.lines.len().min(self.top + self.table_height());
        self.top.min(last)..last
    }

    /// The index of the line that is chosen.
    pub fn cursor(&self) -> usize {
        self.cursor.0
    }

    /// How long ago the socket of the line was closed.
    pub fn closed_for(&self, line: &Line) -> Option<Duration> {
        let mark = self.seen_sockets().mark(&line.id).filter(|mark| mark.is_closed())?;
        Some(self.now.saturating_sub(mark.since))
    }

    /// The lines that the strip of events takes, its heading included.
    pub fn strip_height(&self) -> usize {
        match self.size.1 {
            0..14 => 0,
            14..30 => 4,
            _ => 7,
        }
    }

    /// The lines for rows of the table.
    pub fn table_height(&self) -> usize {
        // The title, the heads and the keys.
        usize::from(self.size.1).saturating_sub(3 + self.strip_height())
    }

    /// The lines for what lies over the table.
    fn over_height(&self) -> usize {
        usize::from(self.size.1).saturating_sub(2)
    }

    fn seen_sockets(&self) -> &Sockets {
        self.frozen.as_ref().unwrap_or(&self.sockets)
    }

    /// Lays out the table and the events again, where they are old.
    pub fn lay(&mut self, lens: &Lens<'_>) {
        if std::mem::take(&mut self.is_strip_old) {
            self.strip = self.strip(lens);
        }
        if !std::mem::take(&mut self.is_old) {
            return;
        }
        let width = usize::from(self.size.0).saturating_sub(super::view::GUTTER);
        self.laid = laid::lay(self.seen_sockets(), &self.choice, lens, width);
        if let Some(problem) = self.laid.problem.take() {
            self.say(&problem);
        }
        // The chosen line stays with its socket.
        let place = self.cursor.1.and_then(|id| self.laid.lines.iter().position(|line| line.id == id));
        self.cursor.0 = place.unwrap_or(self.cursor.0).min(self.laid.lines.len().saturating_sub(1));
        self.follow_cursor();
    }

    fn strip(&self, lens: &Lens<'_>) -> Vec<(EventKind, String)> {
        let admits = self.choice.admits(lens);
        let mut lines = EventLines::new(Style { color: false, ..self.style }, false);
        let mut strip = Vec::with_capacity(self.happened.len());
        for (changes, place) in &self.happened {
            let listing = join::listing(&changes.snapshot, Some(lens.catalogue));
            let Some(event) = changes.events.get(*place) else { continue };
            let row = event.socket.and_then(|socket| listing.rows.get(socket));
            // What was lost may have been any.
            if row.is_some_and(|row| !admits(row)) {
                continue;
            }
            let mut text = Vec::new();
            let is_it = |index: usize, _: &crate::model::Event| index == *place;
            if lines.write(&mut text, changes, &listing, is_it).is_ok() {
                let text = String::from_utf8_lossy(&text);
                strip.extend(text.lines().last().map(|line| (event.kind, line.to_owned())));
            }
        }
        strip
    }

    fn help(&self) -> Vec<String> {
        let width = HELP.iter().map(|(keys, _)| keys.len()).max().unwrap_or(0);
        let mut lines: Vec<String> = HELP.iter().map(|(keys, what)| format!("{keys:<width$}  {what}")).collect();
        let wide = usize::from(self.size.0).saturating_sub(super::view::GUTTER);
        let left = &self.laid.sheet.left;
        let hidden = (!left.is_empty()).then(|| summary::columns_left(left));
        for note in hidden.iter().chain(&self.notes) {
            lines.push(String::new());
            let note = Text::of(note, self.style.charset);
            lines.extend(crate::render::text::paragraph::hanging(note.as_str(), 0, Some(wide)));
        }
        lines
    }
}
