//! Sockets that come and go: what a listing races with.

use std::net::SocketAddr;
use std::time::Duration;

use rustix::process::getpid;

use super::keys::Keys;
use super::made::Made;
use super::net;
use super::outcome::Outcome;
use super::stage::{Stage, die_with};
use super::sys;

/// `churn`: until the end, `kind=process`: processes that each listen for `lifetime_ms`, one every `gap_ms`; or
/// `kind=listener`: one process that opens `batch` listeners and closes them, with `gap_ms` between.
///
/// Here time is what is made, so these sleeps are no waiting for something else.
pub fn churn(keys: &Keys, stage: &mut Stage) -> Outcome<Made> {
    let kind = keys.choice("kind", &["process", "listener"])?;
    let lifetime: u64 = keys.value("lifetime_ms", 10)?;
    let gap: u64 = keys.value("gap_ms", if kind == "process" { 2 } else { 0 })?;
    let batch: usize = keys.value("batch", 50)?;
    let address = keys.endpoint("127.0.0.1")?;
    let (lifetime_nap, gap_nap) = (Duration::from_millis(lifetime), Duration::from_millis(gap));
    let child = stage.child(|stage| {
        drop(net::listener(address, 1)?); // fails here and now, if it does
        stage.end_with(move || {
            if kind == "process" {
                short_lived_processes(address, lifetime_nap, gap_nap);
            } else {
                short_lived_listeners(address, batch, gap_nap);
            }
        });
        Ok(Made::default())
    })?;
    let made = Made::default().fact("child", child.pid).fact("kind", kind).fact("gap_ms", gap);
    Ok(if kind == "process" { made.fact("lifetime_ms", lifetime) } else { made.fact("batch", batch) })
}

fn short_lived_processes(address: SocketAddr, lifetime: Duration, gap: Duration) {
    sys::ignore_children();
    let parent = getpid();
    loop {
        if let Ok(None) = sys::fork() {
            let listener = die_with(parent).and_then(|()| net::listener(address, 1));
            std::thread::sleep(lifetime);
            drop(listener);
            sys::exit_now(0);
        }
        std::thread::sleep(gap);
    }
}

fn short_lived_listeners(address: SocketAddr, batch: usize, gap: Duration) {
    loop {
        // A crowded machine may run out of ports for a moment; that is churn, too.
        let open: Vec<_> = (0..batch).filter_map(|_| net::listener(address, 1).ok()).collect();
        drop(open);
        std::thread::sleep(gap);
    }
}
