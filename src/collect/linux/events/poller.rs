//! Looks at the table on a thread of its own, so that what happens meanwhile is not kept waiting.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread::Builder;
use std::time::{Duration, Instant, SystemTime};

use super::glance::Glance;
use super::notices::{Group, wake_up};
use crate::collect::CollectError;
use crate::collect::linux::procfs::Processes;
use crate::collect::linux::{native, spaces};
use crate::model::{Need, Protocol, Snapshot, SpaceId};

/// What one look has given.
pub struct Look {
    /// When it was begun.
    pub begun: SystemTime,
    /// How long it took.
    pub took: Duration,
    /// Everything; nothing where a glance was enough.
    pub whole: Option<Whole>,
}

/// What a look at everything has given.
pub struct Whole {
    pub snapshot: Snapshot,
    /// The spaces that live by processes or mount points, where it was looked for them.
    pub alive: Option<BTreeSet<SpaceId>>,
    /// The groups of those that were not joined yet.
    pub joined: Vec<Group>,
}

/// What is asked for.
struct Ask {
    /// Whose groups are joined already, and where.
    joined: BTreeSet<(Protocol, SpaceId)>,
    /// What connections have carried is wanted too, and the notices of their ends.
    traffic: bool,
    /// Look at everything, whatever a glance says.
    whole: bool,
}

/// The thread, which ends when this is dropped.
pub struct Poller {
    ask: SyncSender<Ask>,
    answers: Receiver<Result<Look, CollectError>>,
    /// Whether it is looking now.
    pub is_busy: bool,
}

impl Poller {
    /// Starts it. With `joins` it joins the groups of UDP of every space except those that each request names.
    pub fn start(mut need: Need, joins: bool, wake: Arc<OwnedFd>) -> io::Result<Poller> {
        let (ask, asked) = mpsc::sync_channel::<Ask>(1);
        let (answer, answers) = mpsc::sync_channel(1);
        let work = move || {
            let mut glance = Glance::new(&need);
            for ask in asked {
                let (begun, started) = (SystemTime::now(), Instant::now());
                // Also where everything is looked at in any case, so that the next glance is compared with now.
                let is_same = glance.is_same();
                need.traffic = ask.traffic;
                let whole = if is_same && !ask.whole { Ok(None) } else { look(&need, joins, &ask.joined).map(Some) };
                if answer.send(whole.map(|whole| Look { begun, took: started.elapsed(), whole })).is_err() {
                    return;
                }
                wake_up(&wake);
            }
        };
        Builder::new().name("table".to_owned()).spawn(work)?;
        Ok(Poller { ask, answers, is_busy: false })
    }

    /// Has it look, unless it is doing so: at everything if `whole` or if a glance shows that something has changed.
    pub fn look(&mut self, joined: BTreeSet<(Protocol, SpaceId)>, whole: bool, traffic: bool) {
        if !self.is_busy {
            self.is_busy = self.ask.try_send(Ask { joined, traffic, whole }).is_ok();
        }
    }

    /// Takes what it has seen, if it is done.
    pub fn take(&mut self) -> Option<Result<Look, CollectError>> {
        let look = self.answers.try_recv().ok()?;
        self.is_busy = false;
        Some(look)
    }
}

fn look(need: &Need, joins: bool, joined: &BTreeSet<(Protocol, SpaceId)>) -> Result<Whole, CollectError> {
    let snapshot = native::snapshot(need)?;
    let spaces: BTreeSet<SpaceId> = joined.iter().map(|(_, space)| *space).collect();
    let has_others = snapshot.spaces.len() > 1 || spaces.len() > 1;
    let protocols: &[Protocol] = if need.traffic { &[Protocol::Udp, Protocol::Tcp] } else { &[Protocol::Udp] };
    let found = if joins && has_others { spaces::find(false, &Processes::default()).ok() } else { None };
    let mut alive = None;
    let mut groups = Vec::new();
    if let Some(found) = found {
        let wanted: BTreeSet<SpaceId> = snapshot.spaces.iter().map(|space| space.id).collect();
        for namespace in &found {
            let id = namespace.space.id;
            for protocol in protocols.iter().filter(|protocol| !joined.contains(&(**protocol, id))) {
                if wanted.contains(&id) {
                    // A space that cannot be entered is seen by the looks alone.
                    let group = spaces::within(namespace, || Group::join(*protocol, id));
                    groups.extend(group.and_then(|group| group).ok());
                }
            }
        }
        alive = Some(found.iter().map(|namespace| namespace.space.id).collect());
    }
    Ok(Whole { snapshot, alive, joined: groups })
}
