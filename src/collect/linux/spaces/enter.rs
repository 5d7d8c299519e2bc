//! Enters network namespaces to open their tables, on a thread that ends afterwards.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread::Builder;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::{Namespace, tables_of};
use crate::collect::linux::redirects::{self, Redirects};
use crate::collect::linux::sock_diag::DumpError;
use crate::collect::linux::tables::Tables;
use crate::collect::linux::{counters, descriptors, sysctl};
use crate::model::{Need, Space, State};

/// What became of a namespace.
pub enum Entered {
    /// Its tables can be read; the space with its settings, and its redirects where they are asked for.
    Open(Box<Space>, Tables, Option<Redirects>),
    /// It no longer exists.
    Gone,
    /// This user may not enter it.
    Refused(io::Error),
}

/// How many processes of a namespace are tried to enter it or to read its tables.
const MOST_TRIED: usize = 32;
/// How long the rules of all namespaces together may take: each takes programs of its own.
const TIME_FOR_RULES: Duration = Duration::from_millis(500);

/// Opens the tables of each namespace, in the same order; of no more than may be kept open.
pub fn enter(found: &[&Namespace], need: &Need) -> Vec<Entered> {
    if found.is_empty() {
        return Vec::new();
    }
    let spare = descriptors::spare();
    let end = Instant::now() + TIME_FOR_RULES;
    let each = |way: fn(&Namespace) -> io::Result<()>| {
        let moved = |index, found| if index < spare { way(found) } else { Err(Errno::MFILE.into()) };
        found.iter().enumerate().map(|(index, found)| entered(found, moved(index, found), need, end)).collect()
    };
    // The thread stays in the last namespace, so it must not be used for anything else.
    std::thread::scope(|scope| match Builder::new().spawn_scoped(scope, || each(move_into)) {
        Ok(thread) => thread.join().expect("entering does not panic"),
        Err(_) => each(|_| Err(io::Error::other("cannot start a thread"))),
    })
}

/// Does something inside of the namespace, on a thread that ends afterwards.
pub fn within<T: Send>(found: &Namespace, work: impl FnOnce() -> T + Send) -> io::Result<T> {
    std::thread::scope(|scope| {
        let thread = Builder::new().spawn_scoped(scope, || move_into(found).map(|()| work()))?;
        thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread inside of it has failed")))
    })
}

/// Moves the calling thread into the namespace.
fn move_into(found: &Namespace) -> io::Result<()> {
    Ok(move_into_link_name_space(open(found)?.as_fd(), Some(LinkNameSpaceType::Network))?)
}

/// Opens the tables: of the namespace of the calling thread where that could move, else through a process.
fn entered(found: &Namespace, moved: io::Result<()>, need: &Need, end: Instant) -> Entered {
    let wants_redirects = need.wants_state(State::Redirect);
    let overflows = |tables: &Path| need.counters.then(|| counters::listen_overflows(tables)).flatten();
    let text = found.pids.iter().map(|pid| (*pid, PathBuf::from(format!("/proc/{pid}/net"))));
    match moved {
        Ok(()) => {
            let tables = Tables::open(found.space.id, text.map(|(_, text)| text).take(MOST_TRIED).collect());
            let listen_overflows = overflows(Path::new("/proc/thread-self/net"));
            let space = Space { source: tables.source(), listen_overflows, ..found.space.clone() };
            let space = sysctl::with_settings(space);
            let redirects = wants_redirects.then(|| redirects::read_entered(&space.label, need, end));
            Entered::Open(Box::new(space), tables, redirects)
        }
        Err(error) => {
            // The tables of a foreign namespace are readable by all through a process that lives in it.
            let readable = text.filter(|(pid, _)| tables_of(&pid.to_string()) == found.tables);
            let readable: Vec<PathBuf> = readable.map(|(_, text)| text).take(MOST_TRIED).collect();
            match readable.first() {
                Some(text) => {
                    let redirects =
                        wants_redirects.then(|| Redirects::not_looked_for(&error).of_space(&found.space.label));
                    let listen_overflows = overflows(text);
                    let tables = Tables::as_text(found.space.id, readable, DumpError::NotEntered(error));
                    let space = Space { source: tables.source(), listen_overflows, ..found.space.clone() };
                    Entered::Open(Box::new(space), tables, redirects)
                }
                // Its last process has ended, or it was unmounted.
                None if found.mounts.is_empty() && found.handle.is_none() => Entered::Gone,
                None if error.kind() == io::ErrorKind::NotFound => Entered::Gone,
                None => Entered::Refused(error),
            }
        }
    }
}

/// Opens a file that stands for the namespace, and makes sure that it does.
fn open(found: &Namespace) -> io::Result<OwnedFd> {
    if let Some(handle) = &found.handle {
        return handle.try_clone();
    }
    let of_processes = found.pids.iter().take(MOST_TRIED).map(|pid| PathBuf::from(format!("/proc/{pid}/ns/net")));
    let mut result = Err(io::ErrorKind::NotFound.into());
    for path in found.mounts.iter().cloned().chain(of_processes) {
        result = open_as(&path, found.space.id.0);
        // One process may have ended, or be protected even from root; another one may do.
        if result.is_ok() {
            break;
        }
    }
    result
}

fn open_as(path: &Path, id: u64) -> io::Result<OwnedFd> {
    // A mount point may be covered by something that blocks when it is opened; a namespace is a plain file.
    if fs::metadata(path)?.ino() != id {
        return Err(io::ErrorKind::NotFound.into());
    }
    let file = File::open(path)?;
    if file.metadata()?.ino() == id { Ok(file.into()) } else { Err(io::ErrorKind::NotFound.into()) }
}
