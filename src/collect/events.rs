//! What happens to ports, as a stream: its reader asks for more, and sets how long it waits.

use std::time::{Duration, Instant};

use super::{CollectError, Source, Wait};
use crate::model::{Host, Need, Observation, Seen, Watching, Ways};

/// A stream of observations. Dropping it ends what was started for it.
pub trait Events {
    /// Waits until something was observed or the wait is over, and returns what was; perhaps nothing.
    ///
    /// # Errors
    /// When the table of sockets cannot be read any more. What is lost is an observation.
    fn next(&mut self, wait: Wait<'_>) -> Result<Vec<Observation>, CollectError>;

    /// How it sees what happens.
    fn ways(&self) -> &Ways;

    /// The host that it sees, where that is known before the first table.
    fn host(&self) -> Option<Host> {
        None
    }

    /// From now on the tables say what connections have carried, or no longer. A source that cannot say it has a gap.
    fn want_traffic(&mut self, is_wanted: bool);
}

/// The time between two looks where nobody says it.
const INTERVAL: Duration = Duration::from_secs(1);
/// Looking takes at most one part in so many of the time.
const SHARE: u32 = 20;

/// Looks at the table again and again.
pub struct Polling<S> {
    source: S,
    need: Need,
    interval: Option<Duration>,
    due: Instant,
    ways: Ways,
}

impl<S: Source> Polling<S> {
    /// Looks through this source.
    pub fn new(source: S, need: &Need, watching: Watching) -> Polling<S> {
        let ways =
            Ways { opened: Seen::Poll, closed: Seen::Poll, binds: None, refused: Vec::new(), other_spaces: false };
        Polling { source, need: need.clone(), interval: watching.interval, due: Instant::now(), ways }
    }
}

impl<S: Source> Events for Polling<S> {
    fn next(&mut self, wait: Wait<'_>) -> Result<Vec<Observation>, CollectError> {
        let left = self.due.saturating_duration_since(Instant::now());
        let is_due = left <= wait.most;
        if !wait.at_most(left).sleep() || !is_due {
            return Ok(Vec::new());
        }
        let started = Instant::now();
        let snapshot = self.source.snapshot(&self.need)?;
        self.due = Instant::now() + pause(self.interval, INTERVAL, started.elapsed());
        Ok(vec![Observation::Table(Box::new(snapshot))])
    }

    fn ways(&self) -> &Ways {
        &self.ways
    }

    fn want_traffic(&mut self, is_wanted: bool) {
        self.need.traffic = is_wanted;
        self.due = Instant::now();
    }
}

/// How long to wait after a look that took so long.
pub fn pause(asked: Option<Duration>, usual: Duration, took: Duration) -> Duration {
    asked.unwrap_or_else(|| usual.max(took * SHARE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_that_take_long_are_made_less_often_unless_somebody_says_how_often() {
        let second = Duration::from_secs(1);
        assert_eq!(pause(None, second, Duration::from_millis(5)), second);
        assert_eq!(pause(None, second, Duration::from_millis(100)), 2 * second);
        assert_eq!(pause(Some(second / 10), second, second), second / 10);
    }
}
