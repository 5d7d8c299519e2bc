//! The TCP table by two dumps at the same time, each on a socket of its own.
//!
//! The kernel makes an answer on the thread that receives it, so that one dump keeps no more than one core busy.

use std::sync::mpsc::sync_channel;
use std::thread::scope;

use super::request::{Half, Only, Query};
use super::{DumpError, SockDiag};
use crate::collect::linux::kernel_socket::KernelSocket;
use crate::parallel::spawn_apart;

/// Sockets that are bound and no more: `TCP_BOUND_INACTIVE` of `tcp_states.h`. The kernel looks for them among all sockets
/// that have a port, which takes as long as to list the listeners.
const BOUND: u32 = 1 << 13;
/// `TCP_LISTEN`.
const LISTENING: u32 = 1 << 10;

/// Appends what `keep` makes of the rows of the table of the namespace that this thread is in.
///
/// No socket is in both halves, and none in neither: the ports by which they are parted stay as they are while a socket is
/// connected. Before it is, it may be bound, so nobody looks for connections until the bound ones are listed.
pub fn dump<T: Send>(
    diag: &mut SockDiag,
    query: Query,
    keep: &(dyn Fn(&KernelSocket) -> Option<T> + Sync),
    rows: &mut Vec<T>,
) -> Result<(), DumpError> {
    let of_states = |states: u32| Query { states: query.states & states, ..query };
    let half = |half: Half| Query { only: Some(Only::Half(half)), ..of_states(!(BOUND | LISTENING)) };
    let mut other = SockDiag::open()?;
    scope(|scope| {
        let (tell, bound_are_listed) = sync_channel(1);
        let listeners_and_upper = move || {
            let mut rows = Vec::new();
            other.dump_alone(of_states(LISTENING), keep, &mut rows)?;
            // Without a word the other half has failed.
            if bound_are_listed.recv().is_ok() {
                other.dump_alone(half(Half::Upper), keep, &mut rows)?;
            }
            Ok(rows)
        };
        let others = spawn_apart(scope, listeners_and_upper).map_err(DumpError::Kernel)?;
        diag.dump_alone(of_states(BOUND), keep, rows)?;
        let _ = tell.send(());
        drop(tell);
        diag.dump_alone(half(Half::Lower), keep, rows)?;
        let mut others = others.join().expect("a dump does not panic")?;
        // The fewer rows go to where the more are.
        if others.len() > rows.len() {
            std::mem::swap(rows, &mut others);
        }
        rows.append(&mut others);
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::net::{SocketAddr, TcpListener, TcpStream};
    use std::num::NonZeroU64;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};

    use super::*;
    use crate::model::Protocol;

    const ALL: Query =
        Query { protocol: Protocol::Tcp, family: None, states: Query::ALL_STATES, only: None, traffic: false };

    fn cookie(row: &KernelSocket) -> Option<NonZeroU64> {
        row.cookie
    }

    fn in_halves(diag: &mut SockDiag) -> Vec<NonZeroU64> {
        let mut rows = Vec::new();
        dump(diag, ALL, &cookie, &mut rows).unwrap();
        rows
    }

    /// A listener, a socket that is bound and no more, and connections from ephemeral ports with one end of each here.
    fn some() -> (TcpListener, std::os::fd::OwnedFd, Vec<TcpStream>) {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = TcpListener::bind(any).unwrap();
        let bound = rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None);
        let bound = bound.unwrap();
        rustix::net::bind(&bound, &any).unwrap();
        let mut streams = Vec::new();
        for _ in 0..20 {
            streams.push(TcpStream::connect(listener.local_addr().unwrap()).unwrap());
            streams.push(listener.accept().unwrap().0);
        }
        for stream in &streams {
            // They end with a reset, and leave nothing behind that the kernel keeps for a minute.
            sockopt::set_socket_linger(stream, Some(Duration::ZERO)).unwrap();
        }
        (listener, bound, streams)
    }

    #[test]
    fn two_dumps_at_a_time_are_one_dump_in_which_no_socket_is_missing_or_twice() {
        let _some = some();
        let mut diag = SockDiag::open().unwrap();
        // Other tests open and close sockets meanwhile.
        assert!((0..1000).any(|_| {
            let halves = in_halves(&mut diag);
            let mut whole = Vec::new();
            diag.dump(ALL, &cookie, &mut whole).unwrap();
            let each: BTreeSet<_> = halves.iter().collect();
            each.len() == halves.len() && each.len() > 41 && each == whole.iter().collect()
        }));
    }

    #[test]
    fn a_socket_that_stays_as_it_is_while_others_come_and_go_is_in_one_of_two_dumps() {
        let mut diag = SockDiag::open().unwrap();
        let before: BTreeSet<_> = in_halves(&mut diag).into_iter().collect();
        let kept = some();
        let mine: Vec<_> = in_halves(&mut diag).into_iter().filter(|cookie| !before.contains(cookie)).collect();
        let ends = AtomicBool::new(false);
        scope(|scope| {
            scope.spawn(|| {
                while !ends.load(Ordering::Relaxed) {
                    drop(some());
                }
            });
            let rounds: Vec<BTreeSet<_>> = (0..100).map(|_| in_halves(&mut diag).into_iter().collect()).collect();
            ends.store(true, Ordering::Relaxed);
            // What is there at the end was there all the time: the listener, the bound socket, both ends of the connections.
            let last: BTreeSet<_> = in_halves(&mut diag).into_iter().collect();
            let stable: Vec<_> = mine.iter().filter(|cookie| last.contains(cookie)).collect();
            assert!(stable.len() >= 42, "{}", stable.len());
            assert!(rounds.iter().all(|round| stable.iter().all(|cookie| round.contains(*cookie))));
        });
        drop(kept);
    }
}
