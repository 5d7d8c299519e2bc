//! Processes whose main thread does not tell the truth about their sockets.

use std::sync::mpsc;

use rustix::process::{Signal, set_parent_process_death_signal};
use rustix::thread::gettid;

use super::keys::Keys;
use super::made::{Made, Row};
use super::net;
use super::outcome::{Context, Failure, Outcome, wait_until};
use super::stage::{Stage, die_with};
use super::sys;

/// `thread-private`: a child in which only one thread, with a descriptor table of its own, has the listener.
pub fn private(keys: &Keys, stage: &mut Stage) -> Outcome<Made> {
    let address = keys.endpoint("127.0.0.1")?;
    let child = stage.child(|_| {
        from_thread(move || {
            sys::unshare_files().or_skip("unshare the descriptor table")?;
            let listener = net::listener(address, 16)?;
            Ok((Made::of([Row::of(&listener, "listener")?]), listener))
        })
    })?;
    let tid = child.made.number("tid")?;
    Ok(child.made.fact("tid", tid).fact("child", child.pid))
}

/// `zombie-leader`: a child whose main thread has ended while another holds the listener.
pub fn zombie_leader(keys: &Keys, stage: &mut Stage) -> Outcome<Made> {
    let address = keys.endpoint("127.0.0.1")?;
    let child = stage.child(|stage| {
        // Only the thread may have it, and it cannot pass it on: it makes and keeps it.
        let made = from_thread(move || {
            let listener = net::listener(address, 16)?;
            Ok((Made::of([Row::of(&listener, "listener")?]), listener))
        })?;
        stage.end_with(|| sys::exit_thread());
        Ok(made)
    })?;
    wait_for_state(child.pid, 'Z')?;
    Ok(child.made.fact("child", child.pid))
}

/// `d-state`: a child that holds a listener and is stuck in uninterruptible (though killable) sleep.
pub fn d_state(keys: &Keys, stage: &mut Stage) -> Outcome<Made> {
    let address = keys.endpoint("127.0.0.1")?;
    let child = stage.child(|stage| {
        let listener = net::listener(address, 16)?;
        let made = Made::of([Row::of(&listener, "listener")?]);
        stage.keep(listener);
        stage.end_with(|| {
            let parent = rustix::process::getpid();
            if let Ok(None) = sys::fork_and_block() {
                sys::close_all(); // else the blocker holds the listener, too
                let _ = die_with(parent);
                sys::park();
            }
        });
        Ok(made)
    })?;
    wait_for_state(child.pid, 'D')?;
    Ok(child.made.fact("child", child.pid))
}

/// Runs `part` in a new thread, which then holds what it made for ever; adds the fact `tid`.
fn from_thread<T>(part: impl FnOnce() -> Outcome<(Made, T)> + Send + 'static) -> Outcome<Made> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        // Death signals belong to threads; the main thread may be the first to go.
        let _ = set_parent_process_death_signal(Some(Signal::KILL));
        match part() {
            Ok((made, _kept)) => {
                let _ = sender.send(Ok(made.fact("tid", gettid().as_raw_pid())));
                sys::park();
            }
            Err(failure) => sender.send(Err(failure)),
        }
    });
    receiver.recv().unwrap_or_else(|_| Err(Failure::Error("the thread ended".to_owned())))
}

fn wait_for_state(pid: u32, state: char) -> Outcome<()> {
    wait_until(&format!("process {pid} in state {state}"), || {
        let stat = std::fs::read(format!("/proc/{pid}/stat")).context("read a child's state")?;
        let stat = String::from_utf8_lossy(&stat).into_owned();
        Ok(stat.rsplit_once(") ").filter(|(_, rest)| rest.starts_with(state)).map(|_| ()))
    })
}
