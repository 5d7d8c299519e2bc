//! Where the changes on the screen come from: this machine, or a record of events.

use std::collections::VecDeque;
use std::time::{Duration, Instant, SystemTime};

use super::{Args, since, unseen};
use crate::collect::Recorded;
use crate::context::Context;
use crate::error::Error;
use crate::follow::Follow;
use crate::model::{Changes, Snapshot, State, Watching};

/// What has come.
#[derive(Default)]
pub struct Came {
    /// What has happened, in order.
    pub changes: Vec<Changes>,
    /// A new table, which is newer than all of it, or as new.
    pub table: Option<Snapshot>,
    /// The record has come to its end, just now.
    pub has_ended: bool,
}

/// Where changes come from.
pub enum Feed {
    /// This machine.
    Live(Box<Follow>, Option<SystemTime>),
    /// A record.
    Record(Box<Replay>),
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
                return Err(Error::Usage("watch reads keys from standard input: name a file after --from".to_owned()));
            }
            let record = Some(Recorded::open(path)?);
            let started = context.now();
            let replay = Replay { record, speed: args.speed, started, first: None, read: VecDeque::new() };
            return Ok(Feed::Record(Box::new(replay)));
        }
        let mut need = args.selection.need_of_events(false);
        // To read the rules of the firewall may take a program, which is too much for every look.
        need.states = Some(State::ALL.into_iter().filter(|state| *state != State::Redirect).collect());
        let watching = Watching {
            connections: true,
            interval: args.interval,
            poll_only: args.poll,
            // What stops a process may need them.
            drop_privileges: false,
        };
        Ok(Feed::Live(Box::new(Follow::start(&*context.source, &need, watching, false)?), None))
    }

    /// What is not seen.
    pub fn unseen(&self, is_wanted: bool, context: &Context) -> Vec<String> {
        match self {
            Feed::Live(follow, _) if !is_wanted && follow.ways().binds.is_none() => unseen(follow.ways(), context),
            _ => Vec::new(),
        }
    }

    /// Waits for something to come, at most that long.
    pub fn next(&mut self, wait: Duration) -> Result<Came, Error> {
        match self {
            Feed::Live(follow, last) => {
                let changes = follow.next(wait)?;
                let table = follow.table().filter(|table| Some(table.host.captured_at) != *last).cloned();
                *last = table.as_ref().map(|table| table.host.captured_at).or(*last);
                Ok(Came { changes, table, has_ended: false })
            }
            Feed::Record(replay) => replay.next(wait),
        }
    }
}

impl Replay {
    fn next(&mut self, wait: Duration) -> Result<Came, Error> {
        let mut came = Came::default();
        let mut is_read = false;
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
            if due > since(self.started) {
                break;
            }
            came.changes.extend(self.read.pop_front());
        }
        came.has_ended = is_read;
        if came.changes.is_empty() && !is_read {
            std::thread::sleep(wait);
        }
        Ok(came)
    }
}

/// One change for each event, since each has its time.
fn apart(changes: Changes) -> Vec<Changes> {
    let Changes { snapshot, events } = changes;
    events.into_iter().map(|event| Changes { snapshot: snapshot.clone(), events: vec![event] }).collect()
}
