//! What the screen shows: a pure function of keys, events, tables and the time that has gone by.

mod press;

use std::rc::Rc;
use std::time::Duration;

use super::keys::HELP;
use super::laid::{self, Choice, Laid, Lens, Line};
use super::sockets::{Id, Sockets};
use super::strip::Strip;
use crate::model::{Changes, EventKind, Port, Snapshot, Socket};
use crate::render::text::safe::Text;
use crate::render::text::style::Style;
use crate::render::words::summary;

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
    /// Ask what connections carry, or no longer.
    Traffic(bool),
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
    strip: Strip,
    /// The sockets and events as they were when the screen was paused.
    frozen: Option<(Sockets, Strip)>,
    choice: Choice,
    now: Duration,
    size: (u16, u16),
    /// What is typed, and what for.
    pub prompt: Option<(Prompt, String)>,
    /// What lies over the table.
    pub over: Option<Over>,
    /// The table.
    pub laid: Laid,
    /// The text of the filter.
    pub filter: String,
    /// What could not be seen, for the help.
    pub notes: Vec<String>,
    /// The index of the line that is chosen, and which socket that is.
    cursor: (usize, Option<Id>),
    /// The first line that is shown.
    top: usize,
    message: Option<(String, Duration)>,
    is_filter_new: bool,
    /// What changes with every table is shown.
    exact: bool,
    /// The table must be laid out again.
    pub is_old: bool,
    /// No table has come yet that has everything; a record has none, and is not waited for.
    pub is_looking: bool,
}

impl State {
    /// An empty screen.
    pub fn new(style: Style, choice: Choice) -> State {
        State {
            style,
            sockets: Sockets::default(),
            strip: Strip::new(style),
            frozen: None,
            choice,
            now: Duration::ZERO,
            size: (80, 24),
            prompt: None,
            over: None,
            laid: Laid::default(),
            filter: String::new(),
            notes: Vec::new(),
            cursor: (0, None),
            top: 0,
            message: None,
            is_filter_new: false,
            exact: false,
            is_old: true,
            is_looking: true,
        }
    }

    /// Takes what has happened.
    pub fn apply(&mut self, changes: Changes) {
        let changes = Rc::new(changes);
        let differs = self.sockets.apply(&changes, self.now);
        self.strip.push(&changes);
        self.is_old |= differs && self.frozen.is_none();
    }

    /// Takes a new table. Returns whether it shows anything new.
    pub fn replace(&mut self, table: Snapshot) -> bool {
        let is_first = std::mem::take(&mut self.is_looking);
        let differs = self.sockets.replace(table, self.exact) | is_first;
        if is_first && self.is_paused() {
            // What was paused before there was anything to show stands still with the first table.
            self.freeze();
        }
        let shows_it = differs && (is_first || !self.is_paused());
        self.is_old |= shows_it;
        shows_it
    }

    /// Takes connections that have ended, with what they had carried.
    pub fn end(&mut self, ended: &[Socket]) {
        self.sockets.end(ended);
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

    /// For how long nothing of what is shown changes by time alone; a second at most.
    pub fn rest(&self) -> Duration {
        let second = Duration::from_secs(1);
        let until_next = second.saturating_sub(Duration::from_nanos(self.now.subsec_nanos().into()));
        let ages = if self.sockets.has_marks() { until_next } else { second };
        self.message.as_ref().map_or(ages, |(_, until)| ages.min(until.saturating_sub(self.now)))
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

    /// How long ago the socket of the line was closed, and how long it had been open, where that is known.
    pub fn closed_for(&self, line: &Line) -> Option<(Duration, Option<Duration>)> {
        let mark = self.seen_sockets().mark(&line.id).filter(|mark| mark.is_closed())?;
        Some((self.now.saturating_sub(mark.since), mark.lived))
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
        self.frozen.as_ref().map_or(&self.sockets, |(sockets, _)| sockets)
    }

    /// The lines of the events, with the kind of each.
    pub fn strip(&self) -> &[(EventKind, String)] {
        &self.frozen.as_ref().map_or(&self.strip, |(_, strip)| strip).lines
    }

    /// Lays out the table and the events again, where they are old.
    pub fn lay(&mut self, lens: &Lens<'_>) {
        let is_filter_new = std::mem::take(&mut self.is_filter_new);
        let strip = self.frozen.as_mut().map_or(&mut self.strip, |(_, strip)| strip);
        strip.lay(&self.choice, lens, is_filter_new);
        self.exact = lens.exact;
        // A few sockets that something has happened to are not the listing.
        if !std::mem::take(&mut self.is_old) || self.is_looking {
            return;
        }
        let width = usize::from(self.size.0).saturating_sub(super::view::GUTTER);
        self.laid = laid::lay(self.seen_sockets(), &self.choice, lens, width);
        if let Some(problem) = self.laid.problem.take() {
            self.say(&problem);
        }
        // The chosen line stays with its socket.
        let index = self.cursor.1.and_then(|id| self.laid.lines.iter().position(|line| line.id == id));
        self.cursor.0 = index.unwrap_or(self.cursor.0).min(self.laid.lines.len().saturating_sub(1));
        self.follow_cursor();
    }

    fn help(&self) -> Vec<String> {
        let width = HELP.iter().map(|(keys, _)| keys.len()).max().unwrap_or(0);
        let mut lines: Vec<String> = HELP.iter().map(|(keys, what)| format!("{keys:<width$}  {what}")).collect();
        let wide = usize::from(self.size.0).saturating_sub(super::view::GUTTER);
        let left = &self.laid.sheet.left;
        let hidden = (!left.is_empty()).then(|| summary::columns_named(left));
        for note in hidden.iter().chain(&self.notes) {
            lines.push(String::new());
            let note = Text::of(note, self.style.charset);
            lines.extend(crate::render::text::paragraph::hanging(note.as_str(), 0, Some(wide)));
        }
        lines
    }
}
