//! Where the changes on the screen come from: this machine, or a record of events.

use std::collections::VecDeque;
use std::time::{Duration, Instant, SystemTime};

use super::redirects::Redirects;
use super::{Args, since};
use crate::collect::{Recorded, Wait};
use crate::context::Context;
use crate::error::Error;
use crate::follow::Follow;
use crate::model::{Changes, Ended, Snapshot, State, Watching};
use crate::render::words::screen as words;

/// What has come.
#[derive(Default)]
pub struct Came {
    /// What has happened, in order.
    pub changes: Vec<Changes>,
    /// A new table, which is newer than all of it, or as new.
    pub table: Option<Snapshot>,
    /// Connections that have ended.
    pub ended: Ended,
    /// The record has come to its end, just now.
    pub has_ended: bool,
}

/// Where changes come from.
pub enum Feed {
    /// This machine.
    Live(Box<Live>),
    /// A record.
    Record(Box<Replay>),
}

/// This machine, as it goes on.
pub struct Live {
    follow: Follow,
    redirects: Option<Redirects>,
    /// When the last table was begun.
    last: Option<SystemTime>,
}

/// A record that is read at the pace at which it was written, or a multiple of it.
pub struct Replay {
    record: Option<Recorded>,
    speed: f64,
    started: Instant,
    /// When the first event happened.
    first: Option<SystemTime>,
    /// What was read and is not due yet.
    read: VecDeque<Changes>,
}

impl Feed {
    pub fn start(args: &Args, context: &mut Context) -> Result<Feed, Error> {
        if let Some(path) = &args.selection.source.from {
            if path.as_os_str() == "-" {
                return Err(Error::Usage(words::NEEDS_KEYS.to_owned()));
            }
            let record = Some(Recorded::open(path)?);
            let started = context.now();
            let replay = Replay { record, speed: args.speed, started, first: None, read: VecDeque::new() };
            return Ok(Feed::Record(Box::new(replay)));
        }
        let mut need = args.selection.need_of_events(false);
        need.traffic = args.traffic;
        let redirects = Redirects::start(&need, context.now());
        // Those are read apart.
        need.states = Some(State::ALL.into_iter().filter(|state| *state != State::Redirect).collect());
        let watching = Watching {
            connections: true,
            interval: args.interval,
            poll_only: args.poll,
            // What stops a process may need them.
            drop_privileges: false,
        };
        let mut follow = Follow::start(&*context.source, &need, watching, false)?;
        if args.traffic {
            follow.want_traffic(true);
        }
        Ok(Feed::Live(Box::new(Live { follow, redirects, last: None })))
    }

    /// What is not seen.
    pub fn unseen(&self, is_wanted: bool, context: &Context) -> Vec<String> {
        match self {
            Feed::Live(live) if !is_wanted && live.follow.ways().binds.is_none() => {
                words::unseen(live.follow.ways(), context.program.as_deref())
            }
            _ => Vec::new(),
        }
    }

    /// From now on it says what connections carry, or no longer. A record says nothing of it.
    pub fn want_traffic(&mut self, is_wanted: bool) {
        if let Feed::Live(live) = self {
            live.follow.want_traffic(is_wanted);
        }
    }

    /// Waits for something to come.
    pub fn next(&mut self, wait: Wait<'_>) -> Result<Came, Error> {
        match self {
            Feed::Live(live) => live.next(wait),
            Feed::Record(replay) => replay.next(wait),
        }
    }
}

impl Live {
    fn next(&mut self, wait: Wait<'_>) -> Result<Came, Error> {
        let changes = self.follow.next(wait)?;
        let has_new_rules = self.redirects.as_mut().is_some_and(|redirects| redirects.look(Instant::now()));
        let is_new = |table: &&Snapshot| has_new_rules || Some(table.host.captured_at) != self.last;
        let mut table = self.follow.table().filter(is_new).cloned();
        if let Some(table) = &mut table {
            self.last = Some(table.host.captured_at);
            if let Some(redirects) = &self.redirects {
                redirects.add_to(table);
            }
        }
        Ok(Came { changes, table, ended: self.follow.take_ended(), has_ended: false })
    }
}

impl Replay {
    fn next(&mut self, wait: Wait<'_>) -> Result<Came, Error> {
        let mut came = Came::default();
        let (mut is_read, mut until_next) = (false, Duration::MAX);
        while self.read.is_empty()
            && let Some(record) = &mut self.record
        {
            if let Some(changes) = record.next()? {
                self.read.extend(apart(changes));
            } else {
                self.record = None;
                is_read = true;
            }
        }
        while let Some(changes) = self.read.front() {
            let Some(at) = changes.events.first().map(|event| event.at) else {
                self.read.pop_front();
                continue;
            };
            let first = *self.first.get_or_insert(at);
            let due = at.duration_since(first).unwrap_or_default().div_f64(self.speed);
            let left = due.saturating_sub(since(self.started));
            if !left.is_zero() {
                until_next = left;
                break;
            }
            came.changes.extend(self.read.pop_front());
        }
        came.has_ended = is_read;
        if came.changes.is_empty() && !is_read {
            wait.at_most(until_next).sleep();
        }
        Ok(came)
    }
}

/// One change for each event, since each has its time.
fn apart(changes: Changes) -> Vec<Changes> {
    let Changes { snapshot, events, binds } = changes;
    events.into_iter().map(|event| Changes { snapshot: snapshot.clone(), events: vec![event], binds }).collect()
}
