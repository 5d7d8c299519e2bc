//! Events as `events -o ndjson` wrote them, a line each, back into what they were made from.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::Deserialize;

use super::document as saved;
use super::facts::Facts;
use crate::collect::CollectError;
use crate::model::{
    BindError, BindWay, Blocking, Changes, EVENT_SCHEMA, Event, EventKind, Family, Lost, Seen, SocketSource, Space,
    SpaceId, SpaceKind,
};

/// Lines that are read together.
const PAGE: usize = 512;
/// A longer line is no event.
const LONGEST: u64 = 1 << 20;

/// A record, read from its beginning.
pub struct Recorded {
    lines: Box<dyn BufRead>,
    path: PathBuf,
    /// A line that was read for the next page.
    left: Vec<u8>,
    /// Lines that are no events of this version.
    pub strange: u64,
}

#[derive(Deserialize)]
struct Line {
    schema: String,
    event: String,
    time: String,
    host: Option<String>,
    space_label: Option<String>,
    space_kind: Option<String>,
    open_for_ms: Option<u64>,
    errno: Option<String>,
    #[serde(default)]
    blocked_by: Option<Vec<Blocker>>,
    count: Option<Count>,
    seen: String,
    #[serde(default)]
    tracepoint: Option<String>,
}

#[derive(Deserialize)]
struct Blocker {
    local: saved::Endpoint,
    state: Option<String>,
    since: Option<String>,
    #[serde(flatten)]
    owner: saved::Owner,
}

#[derive(Deserialize)]
struct Count {
    opened: Option<u64>,
    closed: Option<u64>,
    binds: Option<u64>,
    connections: Option<u64>,
}

impl Recorded {
    /// Opens a file; `-` is standard input.
    pub fn open(path: &Path) -> Result<Recorded, CollectError> {
        let lines: Box<dyn BufRead> = if path.as_os_str() == "-" {
            Box::new(io::stdin().lock())
        } else {
            let wrong = |error: io::Error| CollectError::Saved { path: path.to_owned(), problem: error.to_string() };
            Box::new(BufReader::with_capacity(256 << 10, File::open(path).map_err(wrong)?))
        };
        Ok(Recorded { lines, path: path.to_owned(), left: Vec::new(), strange: 0 })
    }

    /// Reads from memory, for the fuzzers.
    #[cfg(any(feature = "fuzzing", test))]
    pub fn of(bytes: Vec<u8>) -> Recorded {
        Recorded { lines: Box::new(io::Cursor::new(bytes)), path: PathBuf::new(), left: Vec::new(), strange: 0 }
    }

    /// Returns the next events, in the order in which they were written; nothing at the end.
    pub fn next(&mut self) -> Result<Option<Changes>, CollectError> {
        let mut page = Page::default();
        let mut line = std::mem::take(&mut self.left);
        let mut read = 0;
        while read < PAGE {
            if line.is_empty() {
                let length = self.lines.by_ref().take(LONGEST).read_until(b'\n', &mut line);
                let wrong =
                    |error: io::Error| CollectError::Saved { path: self.path.clone(), problem: error.to_string() };
                if length.map_err(wrong)? == 0 {
                    break;
                }
            }
            read += 1;
            match page.add(&line) {
                Added::Yes => {}
                Added::NotOnThisPage => {
                    self.left = line;
                    break;
                }
                Added::No if line.iter().all(u8::is_ascii_whitespace) => {}
                Added::No => self.strange += 1,
            }
            line.clear();
        }
        Ok((read > 0).then(|| page.changes()))
    }
}

/// Events that are read together.
#[derive(Default)]
struct Page {
    facts: Facts,
    spaces: BTreeMap<SpaceId, Space>,
    /// When each process started: a number may pass to another one.
    started: BTreeMap<u32, Known>,
    host: Option<String>,
    events: Vec<Event>,
    binds: Option<BindWay>,
}

/// What tells a process from another one with the same number: its name, when it started, what it runs.
type Known = (Option<String>, Option<String>, Option<String>);

/// Whether a line was added to a page.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Added {
    Yes,
    /// It is no event.
    No,
    /// It contradicts what is on the page: another host, or another process with the same number.
    NotOnThisPage,
}

impl Page {
    fn add(&mut self, line: &[u8]) -> Added {
        self.try_to_add(line).unwrap_or(Added::No)
    }

    /// Nothing where the line is no event. What stands before its brace, as in a journal, is passed over.
    fn try_to_add(&mut self, line: &[u8]) -> Option<Added> {
        let start = line.iter().position(|byte| *byte == b'{')?;
        let bytes = &line[start..];
        let line: Line = serde_json::from_slice(bytes).ok()?;
        if line.schema != EVENT_SCHEMA {
            return None;
        }
        let kind = EventKind::ALL.into_iter().find(|kind| kind.name() == line.event)?;
        let seen = Seen::ALL.into_iter().find(|seen| seen.name() == line.seen)?;
        let at = time(&line.time)?;
        let mut event = Event {
            at,
            kind,
            seen,
            socket: None,
            gone: false,
            open_for: line.open_for_ms.map(Duration::from_millis),
            error: line.errno.as_deref().map(error),
            blockers: Vec::new(),
            lost: line.count.map(|count| Lost {
                opened: count.opened,
                closed: count.closed,
                binds: count.binds,
                connections: count.connections,
            }),
        };
        if !self.events.is_empty() && self.host != line.host {
            return Some(Added::NotOnThisPage);
        }
        let socket: Option<saved::Socket> =
            if kind == EventKind::Lost { None } else { Some(serde_json::from_slice(bytes).ok()?) };
        if let Some(socket) = socket {
            let blockers = line.blocked_by.unwrap_or_default();
            let owners = std::iter::once(&socket.owner).chain(blockers.iter().map(|blocker| &blocker.owner));
            let processes: Vec<&saved::Process> = owners.flat_map(|owner| &owner.processes).collect();
            let of =
                |process: &saved::Process| (process.name.clone(), process.started_at.clone(), process.runs.clone());
            if processes.iter().any(|process| self.started.get(&process.pid).is_some_and(|known| *known != of(process)))
            {
                return Some(Added::NotOnThisPage);
            }
            self.started.extend(processes.into_iter().map(|process| (process.pid, of(process))));
            event.gone = socket.owner.reason.as_deref() == Some("gone");
            for blocker in blockers {
                let is_v6 = blocker.local.address.is_ipv6();
                let blocking = saved::Socket {
                    family: if is_v6 { Family::Ipv6 } else { Family::Ipv4 }.name().to_owned(),
                    local: blocker.local,
                    state: blocker.state,
                    owner: blocker.owner,
                    cookie: None,
                    inode: None,
                    device: None,
                    v6only: None,
                    ..socket.clone()
                };
                let index = self.facts.sockets.len();
                self.facts.add(blocking).ok()?;
                event.blockers.push(Blocking { socket: index, since: blocker.since.as_deref().and_then(time) });
            }
            let id = SpaceId(socket.space);
            let kind = SpaceKind::ALL.into_iter().find(|kind| Some(kind.name()) == line.space_kind.as_deref());
            let label = line.space_label.unwrap_or_else(|| id.0.to_string());
            let space = || Space::new(id, kind.unwrap_or(SpaceKind::Netns), label, SocketSource::Netlink);
            self.spaces.entry(id).or_insert_with(space);
            event.socket = Some(self.facts.sockets.len());
            self.facts.add(with_processes(socket)).ok()?;
        }
        self.host = line.host;
        self.binds =
            BindWay::ALL.into_iter().find(|way| Some(way.tracepoint()) == line.tracepoint.as_deref()).or(self.binds);
        self.events.push(event);
        Some(Added::Yes)
    }

    fn changes(self) -> Changes {
        let snapshot = self.facts.into_snapshot(self.spaces.into_values().collect(), self.host);
        Changes { snapshot, events: self.events, binds: self.binds }
    }
}

/// An owner that has gone is recorded with its processes.
fn with_processes(socket: saved::Socket) -> saved::Socket {
    let is_gone = socket.owner.reason.as_deref() == Some("gone");
    let owner = if is_gone { saved::Owner { reason: None, ..socket.owner } } else { socket.owner };
    saved::Socket { owner, ..socket }
}

fn time(text: &str) -> Option<SystemTime> {
    text.parse::<jiff::Timestamp>().ok()?.try_into().ok()
}

fn error(name: &str) -> BindError {
    let known = [
        BindError::InUse,
        BindError::Access,
        BindError::NotAvailable,
        BindError::Family,
        BindError::NoDevice,
        BindError::Invalid,
    ];
    known.into_iter().find(|error| error.name() == name).unwrap_or_else(|| BindError::Other(name.to_owned()))
}
