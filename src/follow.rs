//! The events of this machine, or of another source, as they come: collecting and comparing put together.
//!
//! The code that shows them, one a line or on a screen, asks for the next ones and sets how long it waits.

use crate::analyse::changes::{Ledger, Options};
use crate::collect::{CollectError, Events, Source, Wait};
use crate::join;
use crate::model::{Changes, Ended, Need, Observation, Snapshot, SpaceChoice, State, Watching, Ways};

/// A stream of events.
pub struct Follow {
    events: Box<dyn Events>,
    ledger: Ledger,
    /// The last table.
    table: Option<Snapshot>,
    /// Connections that have ended.
    ended: Ended,
}

impl Follow {
    /// Starts to watch the sockets that are needed. With `initial` it begins with what is open. Where the need names no
    /// states, the table has those that events are about.
    pub fn start(source: &dyn Source, need: &Need, watching: Watching, initial: bool) -> Result<Follow, CollectError> {
        let mut states = vec![State::Listen, State::Bound, State::Unconnected];
        if watching.connections {
            states.push(State::Established);
        }
        let states = need.states.clone().unwrap_or(states);
        let need = Need { states: Some(states), ports: None, ..need.clone() };
        let events = source.events(&need, watching)?;
        let options = Options {
            initial,
            connections: watching.connections,
            binds: events.ways().binds,
            every_space: need.spaces == SpaceChoice::All || events.ways().other_spaces,
        };
        let ledger = Ledger::new(options, events.host());
        Ok(Follow { events, ledger, table: None, ended: Ended::default() })
    }

    /// How the events are seen.
    pub fn ways(&self) -> &Ways {
        self.events.ways()
    }

    /// The last table of what is open; nothing before the first.
    pub fn table(&self) -> Option<&Snapshot> {
        self.table.as_ref()
    }

    /// From now on tables say what connections have carried, or no longer.
    pub fn want_traffic(&mut self, is_wanted: bool) {
        self.events.want_traffic(is_wanted);
        self.ended = Ended::default();
    }

    /// Takes the connections that have ended since this was last asked.
    pub fn take_ended(&mut self) -> Ended {
        std::mem::take(&mut self.ended)
    }

    /// Waits for something to happen, and returns what has; perhaps nothing.
    pub fn next(&mut self, wait: Wait<'_>) -> Result<Vec<Changes>, CollectError> {
        let mut changes = Vec::new();
        for observation in self.events.next(wait)? {
            match observation {
                Observation::Table(table) => {
                    let (before, after) = (self.table.take(), (*table).clone());
                    changes.push(self.ledger.observe(Observation::Table(table)));
                    if let Some(before) = &before {
                        let (before, after) = (join::listing(before, None), join::listing(&after, None));
                        changes.push(self.ledger.compared(&before, &after));
                    }
                    self.ledger.forget();
                    self.table = Some(after);
                }
                Observation::Ended(ended) => {
                    self.ended.connections.extend(ended.connections);
                    self.ended.lost += ended.lost;
                }
                other => changes.push(self.ledger.observe(other)),
            }
        }
        changes.retain(|changes| !changes.events.is_empty());
        Ok(changes)
    }
}
