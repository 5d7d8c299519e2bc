//! What happens to ports: as the kernel tells it, and by comparing tables where it does not.

mod calls;
mod capabilities;
mod glance;
mod kernel;
mod layout;
mod notices;
mod on_port;
mod poller;
mod programs;
mod record;
mod sightings;
mod tracefs;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use rustix::event::{EventfdFlags, eventfd};

use super::{host, probe, spaces};
use crate::collect::events::{Events, pause};
use crate::collect::{CollectError, Polling, System, Wait};
use crate::model::{
    Ended, Host, Lost, Need, Observation, Protocol, Seen, Socket, SpaceChoice, SpaceId, Watching, Ways,
};
use kernel::Kernel;
use notices::{Group, Notice, Reader, calm_down};
use poller::{Look, Poller};
use record::Kind;
use sightings::Known;

/// Records that are taken at once: as many as find room.
const MOST_RECORDS: usize = 65_536;
/// The time between two looks at the table, where the kernel tells what is opened and where it does not.
const INTERVALS: [Duration; 2] = [Duration::from_secs(1), Duration::from_millis(250)];
/// The longest time in which no more than a glance is cast at the table: what only a whole look shows, as another owner of
/// the same socket, is seen so much later at the most.
const LONGEST: Duration = Duration::from_secs(15);
/// How much less time glances may take than whole looks, at the least and where that makes them wait for `AT_REST` at most.
const GLANCES: [u32; 2] = [10, 20];
const AT_REST: Duration = Duration::from_secs(1);
/// What has happened may go on: for so long everything is looked at.
const SETTLING: Duration = Duration::from_secs(2);

/// Starts to watch in the best way that this user and this kernel have.
pub fn start(need: &Need, watching: Watching) -> Box<dyn Events> {
    match Live::start(need, watching) {
        Ok(live) => Box::new(live),
        // Without threads or descriptors there is still the table.
        Err(_) => Box::new(Polling::new(System, need, watching)),
    }
}

/// The kernel's word, its notices, and the table.
struct Live {
    kernel: Option<Kernel>,
    reader: Option<Reader>,
    poller: Poller,
    known: Known,
    wake: Arc<OwnedFd>,
    /// When the table is looked at next.
    due: Instant,
    /// From when on it is looked at as a whole again.
    whole_due: Instant,
    /// Until when it is, because something has happened that leaves questions.
    restless: Instant,
    /// A glance at this process's own space shows what the looks are for.
    glances: bool,
    interval: Option<Duration>,
    /// The space of this process.
    own: SpaceId,
    /// What connections carry is wanted too.
    traffic: bool,
    /// Something was lost after the look that goes on now was begun.
    again: bool,
    ways: Ways,
}

impl Live {
    fn start(need: &Need, watching: Watching) -> std::io::Result<Live> {
        let mut refused = Vec::new();
        let attached = (!watching.poll_only).then(|| Kernel::attach(watching.connections));
        let mut kernel = attached.and_then(|kernel| kernel.map_err(|error| refused.push(error.to_string())).ok());
        let second_best = kernel.iter_mut().flat_map(|kernel| kernel.second_best.drain(..));
        refused.extend(second_best.map(|error| error.to_string()));
        // The programs see every port space, so the table has them too unless some are named.
        let has_all = kernel.is_some() && matches!(need.spaces, SpaceChoice::Containers | SpaceChoice::All);
        let need = Need { spaces: if has_all { SpaceChoice::All } else { need.spaces.clone() }, ..need.clone() };
        let wake = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let own = spaces::current();
        let glances = need.wants_own(&own);
        // Every connection that ends would give a notice of TCP; the program says the same of listeners alone.
        let protocols: &[Protocol] = if kernel.is_some() { &[Protocol::Udp] } else { &[Protocol::Tcp, Protocol::Udp] };
        let protocols = if watching.poll_only { &[] } else { protocols };
        let joined: std::io::Result<Vec<Group>> =
            protocols.iter().map(|protocol| Group::join(*protocol, own.id)).collect();
        let groups = joined.map_err(|error| refused.push(format!("the kernel's notices cannot be read: {error}"))).ok();
        let groups = groups.filter(|groups| !groups.is_empty());
        if watching.drop_privileges {
            capabilities::keep_needed();
        }
        let connections = watching.connections;
        let reader = groups.map(|groups| Reader::start(groups, connections, Arc::clone(&wake))).transpose()?;
        let poller = Poller::start(need.clone(), kernel.is_some(), Arc::clone(&wake))?;
        let ways = Ways {
            opened: if kernel.is_some() { Seen::Kernel } else { Seen::Poll },
            closed: match (&kernel, &reader) {
                (Some(_), _) => Seen::Kernel,
                (None, Some(_)) => Seen::Netlink,
                (None, None) => Seen::Poll,
            },
            binds: kernel.as_ref().and_then(|kernel| kernel.binds),
            refused,
            other_spaces: has_all,
        };
        let masks = kernel.as_ref().map(|kernel| kernel.masks).unwrap_or_default();
        let known = Known::new(&need, own.id, masks);
        let (interval, now) = (watching.interval, Instant::now());
        let (due, whole_due, restless) = (now, now, now);
        Ok(Live {
            kernel,
            reader,
            poller,
            known,
            wake,
            due,
            whole_due,
            restless,
            glances,
            interval,
            own: own.id,
            traffic: need.traffic,
            again: false,
            ways,
        })
    }

    fn wait(&self, wait: Wait<'_>) {
        let until_due = self.due.saturating_duration_since(Instant::now());
        let wait = if self.poller.is_busy { wait } else { wait.at_most(until_due) };
        let own: Vec<BorrowedFd<'_>> =
            std::iter::once(self.wake.as_fd()).chain(self.kernel.as_ref().map(|kernel| kernel.as_fd())).collect();
        if wait.until_any(&own) {
            calm_down(&self.wake);
        }
    }

    /// What was lost since this was last asked; the table is read again then. The kernel's counters take a call each, and
    /// are left alone where nothing `has_come`: a record is lost only when others fill the room.
    fn lost(&mut self, notices: notices::Lost, has_come: bool) -> Vec<Observation> {
        let at = SystemTime::now();
        let mut observations = Vec::new();
        if let Some(kernel) = self.kernel.as_mut().filter(|_| has_come) {
            let lost = kernel.lost();
            let of = |kinds: &[Kind]| -> u64 {
                let number = |kind: &Kind| usize::try_from(kind.number()).unwrap_or_default();
                kinds.iter().filter_map(|kind| lost.get(number(kind))).sum()
            };
            let lost = Lost {
                opened: Some(of(&[Kind::Listening])),
                closed: Some(of(&[Kind::Unlistened])),
                binds: Some(of(&[Kind::Bound, Kind::BindFailed])),
                connections: Some(of(&[Kind::Connecting, Kind::Connected, Kind::Disconnected])),
            };
            if [lost.opened, lost.closed, lost.binds, lost.connections].iter().any(|count| *count != Some(0)) {
                observations.push(Observation::Lost { at, lost, seen: Seen::Kernel });
            }
        }
        let closed = notices.tcp + notices.udp;
        if closed > 0 {
            let lost = Lost { closed: Some(closed), ..Lost::default() };
            observations.push(Observation::Lost { at, lost, seen: Seen::Netlink });
        }
        if !observations.is_empty() {
            self.again = self.poller.is_busy;
            self.due = Instant::now();
            self.restless = self.due + SETTLING;
        }
        observations
    }

    /// Says whether everything is to be looked at, whatever a glance at this space shows: where somebody has said how
    /// often, where what happens in other spaces is seen by looking alone, and where something that has just happened
    /// leaves questions.
    fn needs_whole_look(&self, now: Instant) -> bool {
        let sees_enough = self.glances && (self.kernel.is_some() || self.known.spaces.len() < 2);
        self.interval.is_some() || self.traffic || !sees_enough || now < self.restless || now >= self.whole_due
    }

    fn look(&mut self, look: Look) -> Observation {
        let usual = INTERVALS[usize::from(self.kernel.is_none())];
        let after = |took: Duration| pause(self.interval, usual, took);
        // A glance that shows nothing new is worth less time.
        let [least, most] = GLANCES.map(|share| after(look.took * share));
        let wait = if look.whole.is_some() { after(look.took) } else { least.max(most.min(AT_REST)) };
        let wait = if std::mem::take(&mut self.again) { Duration::ZERO } else { wait };
        self.due = Instant::now() + wait;
        let Some(look) = look.whole else { return Observation::Same(look.begun) };
        self.whole_due = Instant::now() + LONGEST;
        self.known.spaces = look.snapshot.spaces.iter().map(|space| space.id).collect();
        if let Some(reader) = &mut self.reader {
            // A group keeps its network namespace; it must not be the last that does.
            if let Some(alive) = &look.alive {
                reader.keep(alive);
            }
            reader.add(look.joined);
        }
        Observation::Table(Box::new(look.snapshot))
    }
}

impl Events for Live {
    fn next(&mut self, wait: Wait<'_>) -> Result<Vec<Observation>, CollectError> {
        let now = Instant::now();
        if now >= self.due {
            let joined = self.reader.as_ref().map(|reader| reader.joined.clone()).unwrap_or_default();
            self.poller.look(joined, self.needs_whole_look(now), self.traffic);
        }
        self.wait(wait);
        // In this order: what was opened before a notice or a table was made is taken after it, and told before it.
        let look = self.poller.take().transpose()?;
        let (mut notices, mut lost) = self.reader.as_ref().map(Reader::take).unwrap_or_default();
        notices.retain(|notice| !notice.socket.cookie.is_some_and(|cookie| probe::is_own(cookie.get())));
        let connections: Vec<Socket> = notices.iter().filter(|_| self.traffic).filter_map(Notice::carried).collect();
        let ended = Ended { connections, lost: if self.traffic { lost.tcp } else { 0 } };
        if self.kernel.is_some() {
            // The program has told of these; their notices are read for what they have carried alone.
            notices.retain(|notice| notice.socket.protocol != Protocol::Tcp);
            lost.tcp = 0;
        }
        let idle_since = (look.is_none() && !self.poller.is_busy).then(SystemTime::now);
        let records = self.kernel.as_mut().map(|kernel| kernel.take(MOST_RECORDS)).unwrap_or_default();
        let has_closed = !records.is_empty() || !notices.is_empty();
        let has_come = look.is_some() || !records.is_empty();
        if self.known.leaves_open(&records) {
            self.restless = Instant::now() + SETTLING;
        }
        // First: a reader that has come to what happened last knows by then how much is missing before it.
        let mut observations = self.lost(lost, has_come);
        observations.extend(self.known.observed(records));
        if !ended.connections.is_empty() || ended.lost > 0 {
            observations.push(Observation::Ended(ended));
        }
        observations.extend(self.known.noticed(notices));
        observations.extend(look.map(|look| self.look(look)));
        // Between two looks thousands of sockets may be closed, and on a busy host it is long until the next one.
        observations.extend(idle_since.filter(|_| has_closed).map(Observation::Same));
        Ok(observations)
    }

    fn ways(&self) -> &Ways {
        &self.ways
    }

    fn host(&self) -> Option<Host> {
        Some(host::describe(SystemTime::now()))
    }

    fn want_traffic(&mut self, is_wanted: bool) {
        self.traffic = is_wanted;
        self.due = Instant::now();
        // Without the programs these groups are joined in any case.
        let Some(reader) = self.reader.as_mut().filter(|_| self.kernel.is_some()) else { return };
        if is_wanted {
            // Without notices the bytes after the last look are missing, and nothing else.
            reader.add(Group::join(Protocol::Tcp, self.own).into_iter().collect());
        } else {
            reader.leave(Protocol::Tcp);
        }
    }
}

/// The readers of what the BPF programs of events write and depend on.
#[cfg(any(feature = "fuzzing", test))]
pub mod fuzzing {
    /// Reads records, one after the other.
    pub fn records(bytes: &[u8]) {
        for bytes in bytes.chunks(super::record::SIZE.unsigned_abs().into()) {
            let _ = super::record::Record::read(bytes);
        }
    }

    /// Reads where the kernel keeps things.
    pub fn types(bytes: &[u8]) {
        let _ = super::layout::Layout::of(bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, UdpSocket};

    use super::*;
    use crate::collect;
    use crate::model::{Act, Bind, Port, Sighting};

    #[test]
    fn between_two_looks_it_says_that_no_older_table_comes() {
        let watching = Watching {
            connections: false,
            interval: Some(Duration::from_hours(1)),
            poll_only: false,
            drop_privileges: false,
        };
        let mut live = Live::start(&Need::default(), watching).unwrap();
        let patience = Instant::now() + Duration::from_mins(1);
        let mut until = |is_it: &dyn Fn(&[Observation]) -> bool| {
            while !is_it(&live.next(Duration::from_millis(100).into()).unwrap()) {
                assert!(Instant::now() < patience);
            }
        };
        until(&|seen| seen.iter().any(|observation| matches!(observation, Observation::Table(_))));
        // What it has bound itself, to try it out, is no news.
        collect::probe::probe(&Bind::plain(Protocol::Udp, Ipv4Addr::LOCALHOST.into(), Port::new(0))).unwrap();
        // The next look is an hour away; what was closed until then would be kept.
        until(&|seen| {
            drop(UdpSocket::bind(("127.0.0.1", 0)).unwrap());
            let is_closed = |observation: &Observation| match observation {
                Observation::Sightings { sightings, .. } => {
                    let closed = |sighting: &&Sighting| sighting.act == Act::Closed && sighting.seen == Seen::Netlink;
                    let cookies: Vec<_> =
                        sightings.iter().filter(closed).map(|sighting| sighting.socket.cookie).collect();
                    assert!(!cookies.iter().flatten().any(|cookie| probe::is_own(cookie.get())));
                    !cookies.is_empty()
                }
                _ => false,
            };
            seen.iter().any(is_closed) && matches!(seen.last(), Some(Observation::Same(_)))
        });
    }
}
