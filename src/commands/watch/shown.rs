//! The screen while it is shown: what comes, what is typed, and what that leads to.

use std::time::Duration;

use super::feed::Feed;
use super::others::Others;
use crate::catalogue::Catalogue;
use crate::cli::{ColumnChange, Defaults, OutputArgs, SelectionArgs};
use crate::context::Context;
use crate::error::Error;
use crate::join;
use crate::model::Listing;
use crate::render::page::listing::TableOptions;
use crate::render::table::draw::Frame;
use crate::render::text::style::Style;
use crate::render::words::column::Column;
use crate::render::words::{screen as words, summary};
use crate::screen::laid::Lens;
use crate::screen::state::{Act, Over, State};
use crate::screen::terminal::{self, Session};
use crate::screen::view;
use crate::select::Filter;
use crate::select::leftovers::Leftovers;
use crate::system::signals::{self, Alarm, AskedAtTerminal, Stopped};

/// The least time between two frames where things happen fast, and how many times as long as a frame takes it is, where
/// that is longer. What is typed is shown at once.
const FRAME: Duration = Duration::from_millis(40);
const SHARE: u32 = 4;

/// The columns of what connections carry.
const TRAFFIC: [Column; 4] = [Column::Rx, Column::Tx, Column::Rtt, Column::Retransmits];

/// What stays the same while the screen is shown, and what prompts change.
pub struct Watch<'a> {
    pub selection: SelectionArgs,
    /// The index of the first condition that was typed into the screen.
    pub typed_from: usize,
    pub output: OutputArgs,
    pub defaults: &'a Defaults,
    pub catalogue: &'a Catalogue,
    pub filter: Filter,
    pub style: Style,
    pub others: Others,
    pub asked: AskedAtTerminal,
    pub stopped: Stopped,
    pub alarm: Alarm,
    pub feed: Feed,
    /// It was said what of the traffic is not known.
    pub has_said_unknown: bool,
    /// It was said that the last bytes of some connections are missing.
    pub has_said_lost: bool,
}

impl Watch<'_> {
    /// Shows the screen until somebody ends it.
    pub fn show(&mut self, state: &mut State, session: &mut Session, context: &mut Context) -> Result<(), Error> {
        let started = context.now();
        let mut next_frame = started;
        let mut must_draw = true;
        while !self.asked.is_so() {
            let until_next = next_frame.saturating_duration_since(context.now());
            let wait = if must_draw { until_next } else { state.rest() };
            must_draw |= self.take_news(state, wait, context)?;
            self.alarm.rearm();
            let mut is_asked_for = false;
            if !terminal::is_there() {
                return Ok(());
            }
            for key in session.keys()? {
                is_asked_for = true;
                match state.press(key) {
                    None => {}
                    Some(Act::Quit) => return Ok(()),
                    Some(Act::Suspend) => suspend(session)?,
                    Some(act) => self.act(&act, state, session, context)?,
                }
                // The next key may be about what this one has changed.
                self.lay(state);
            }
            if self.stopped.is_asked() {
                suspend(session)?;
                is_asked_for = true;
            } else if self.stopped.has_gone_on() {
                // It was stopped by force, and the shell may have changed the modes of the terminal.
                session.take()?;
                is_asked_for = true;
            }
            let size = self.size(state);
            if size != state.size() {
                state.resize(size.0, size.1);
                is_asked_for = true;
            }
            must_draw |= state.tick(context.now().duration_since(started));
            let now = context.now();
            if is_asked_for || must_draw && now >= next_frame {
                self.lay(state);
                session.draw(state.size(), |buffer| view::draw(buffer, state, self.style))?;
                let end = context.now();
                must_draw = false;
                next_frame = end + FRAME.max(end.duration_since(now) * SHARE);
            }
        }
        Ok(())
    }

    /// Waits for something to happen, at most that long; says whether something new is to be seen.
    fn take_news(&mut self, state: &mut State, wait: Duration, context: &Context) -> Result<bool, Error> {
        let came = self.feed.next(self.alarm.wait(wait))?;
        let mut is_new = !came.changes.is_empty() || came.has_ended;
        state.end(&came.ended.connections);
        is_new |= self.say_what_is_lost(came.ended.lost, state);
        for changes in came.changes {
            state.apply(changes);
        }
        if let Some(table) = came.table {
            if state.is_looking {
                // What could not be seen of the first table cannot be seen later.
                let notes = super::super::gaps(&join::listing(&table, None), context);
                notes.first().iter().for_each(|note| state.say(&note.line));
                state.notes.extend(notes.into_iter().flat_map(|note| std::iter::once(note.line).chain(note.hints)));
            }
            if let Some(unknown) = summary::unknown_traffic(&table).filter(|_| !self.has_said_unknown) {
                self.has_said_unknown = true;
                state.say(&unknown.line);
                state.notes.push(unknown.line);
                is_new = true;
            }
            is_new |= state.replace(table);
        }
        if came.has_ended {
            state.say(words::END_OF_RECORD);
        }
        Ok(is_new)
    }

    /// Says once that what some connections had carried at their end is not known; returns whether it did so now.
    fn say_what_is_lost(&mut self, lost: u64, state: &mut State) -> bool {
        if lost == 0 || std::mem::replace(&mut self.has_said_lost, true) {
            return false;
        }
        let line = words::lost_traffic(lost);
        state.say(&line);
        state.notes.push(line);
        true
    }

    /// The size of the terminal, or what `--width` leaves of it.
    fn size(&self, state: &State) -> (u16, u16) {
        let (width, height) = terminal::size().unwrap_or(state.size());
        let most = self.output.style.width.and_then(|width| u16::try_from(width).ok());
        (most.map_or(width, |most| width.min(most)), height)
    }

    fn lay(&self, state: &mut State) {
        let keep = |listing: &mut Listing<'_>| self.selection.keep_where(listing).map_err(|error| error.to_string());
        let options = |listing: &Listing<'_>, width: usize, traffic: bool| {
            let mut columns = self.output.columns_for_person(listing);
            if traffic {
                let missing = TRAFFIC.into_iter().filter(|column| !columns.contains(column));
                columns.extend(missing.collect::<Vec<Column>>());
            }
            TableOptions {
                columns,
                // Columns that come and go as states do would make the table jump, and a closed socket says so there.
                named: self.output.named().into_iter().chain([Column::State]).chain(TRAFFIC).collect(),
                leftovers: Leftovers::new(),
                verbose: false,
                bare: false,
                fitted: true,
                names_peers: true,
                least_state: 0,
                frame: Frame::Plain,
                style: Style { width: Some(width), ..self.style },
            }
        };
        let volatile = [Column::Timer, Column::Queue, Column::RecvQueue, Column::SendQueue, Column::Idle];
        let columns = self.output.columns();
        state.lay(&Lens {
            catalogue: self.catalogue,
            has_names: !self.output.numeric,
            filter: &self.filter,
            lists: &|state| self.defaults.lists(state),
            keep: &keep,
            options: &options,
            exact: !self.selection.conditions.is_empty() || volatile.iter().any(|column| columns.contains(column)),
        });
    }

    fn act(&mut self, act: &Act, state: &mut State, session: &mut Session, context: &mut Context) -> Result<(), Error> {
        if self.selection.source.from.is_some()
            && matches!(act, Act::Info(_) | Act::Kill(_) | Act::Close(_) | Act::Save)
        {
            state.say(words::NOT_IN_A_RECORD);
            return Ok(());
        }
        match act {
            Act::Quit | Act::Suspend => {}
            Act::Info(port) => {
                let width = usize::from(state.size().0);
                let lines = self.others.info(*port, width, context);
                state.over = Some(Over::Page(lines, 0));
            }
            Act::Save => {
                let message = self.others.save(context);
                state.say(&message);
            }
            Act::Kill(target) => {
                // It is not long that a person looks at a question that is not asked: SIGKILL is offered soon.
                self.others.ask(&["kill", target, "--timeout", "3s"], &self.asked, session, context)?;
            }
            Act::Close(target) => self.others.ask(&["close", target], &self.asked, session, context)?,
            Act::Traffic(is_wanted) => {
                self.feed.want_traffic(*is_wanted);
                state.say(words::traffic(*is_wanted));
            }
            Act::Condition(text) => self.set_condition(text, state),
            Act::Columns(text) => self.change_columns(text, state),
        }
        Ok(())
    }

    fn set_condition(&mut self, text: &str, state: &mut State) {
        // Those of the command line stay; the one that was typed last takes the place of the one before.
        match text.trim() {
            "" => self.selection.conditions.truncate(self.typed_from),
            text => match text.parse() {
                Ok(condition) => {
                    self.selection.conditions.truncate(self.typed_from);
                    self.selection.conditions.push(condition);
                }
                Err(problem) => state.say(&problem),
            },
        }
        state.is_old = true;
    }

    fn change_columns(&mut self, text: &str, state: &mut State) {
        let changes: Result<Vec<ColumnChange>, String> =
            text.split([',', ' ']).filter(|name| !name.is_empty()).map(str::parse::<ColumnChange>).collect();
        let before = self.output.columns.clone();
        match changes {
            Ok(changes) => self.output.columns.extend(changes),
            Err(problem) => state.say(&problem),
        }
        if let Err(problem) = self.output.check() {
            self.output.columns = before;
            state.say(&problem.to_string());
        }
        state.is_old = true;
    }
}

/// Stops until told to go on, and gives the terminal back meanwhile.
fn suspend(session: &mut Session) -> Result<(), Error> {
    session.give_back()?;
    signals::stop()?;
    Ok(session.take()?)
}
