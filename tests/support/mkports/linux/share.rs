//! One port, several holders.

use std::os::fd::AsRawFd;

use super::keys::Keys;
use super::made::{Made, Row};
use super::net;
use super::outcome::{Context, Outcome};
use super::stage::Stage;

/// `fork`: one listener in this process and `n` children.
pub fn fork(keys: &Keys, stage: &mut Stage) -> Outcome<Made> {
    let count: u32 = keys.value("n", 3)?;
    let listener = net::listener(keys.endpoint("127.0.0.1")?, 16)?;
    let mut pids = vec![std::process::id()];
    for _ in 0..count {
        // The child's copy of the memory holds the inherited descriptor for as long as it lives.
        pids.push(stage.child(|_| Ok(Made::default()))?.pid);
    }
    let children = pids[1..].to_vec();
    let row = Row::of(&listener, "listener")?.held_by(pids);
    stage.keep(listener);
    Ok(Made::of([row]).fact("n", count).fact("children", children))
}

/// `reuseport`: `n` children, each with a listener of its own, all on one port.
pub fn reuseport(keys: &Keys, stage: &mut Stage) -> Outcome<Made> {
    let count: u32 = keys.value("n", 4)?;
    let mut address = keys.endpoint("127.0.0.1")?;
    let mut made = Made::default();
    for _ in 0..count {
        let child = stage.child(|stage| {
            let listener = net::reuseport_listener(address)?;
            let made = Made::of([Row::of(&listener, "listener")?]);
            stage.keep(listener);
            Ok(made)
        })?;
        address.set_port(child.made.port()?);
        made.add_sockets(&child.made);
    }
    Ok(made.fact("n", count))
}

/// `reuseport-same`: `n` listeners on one port in one process.
pub fn reuseport_same(keys: &Keys, stage: &mut Stage) -> Outcome<Made> {
    let count: u32 = keys.value("n", 4)?;
    let mut address = keys.endpoint("127.0.0.1")?;
    let mut rows = Vec::new();
    for _ in 0..count {
        let listener = net::reuseport_listener(address)?;
        address = net::local(&listener)?;
        rows.push(Row::of(&listener, "listener")?);
        stage.keep(listener);
    }
    Ok(Made::of(rows).fact("n", count))
}

/// `dup`: one listener on `n` descriptors of one process.
pub fn dup(keys: &Keys, stage: &mut Stage) -> Outcome<Made> {
    let count: u32 = keys.value("n", 4)?;
    let listener = net::listener(keys.endpoint("127.0.0.1")?, 16)?;
    let mut descriptors = vec![listener.as_raw_fd()];
    for _ in 1..count {
        let copy = listener.try_clone().context("duplicate a descriptor")?;
        descriptors.push(copy.as_raw_fd());
        stage.keep(copy);
    }
    let row = Row::of(&listener, "listener")?;
    stage.keep(listener);
    Ok(Made::of([row]).fact("n", count).fact("fds", descriptors))
}
