//! A crowd in one process.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::keys::Keys;
use super::made::Made;
use super::net;
use super::outcome::{Context, Failure, Outcome};
use super::stage::Stage;

/// Descriptors that the process needs beside the crowd.
const OTHERS: u64 = 64;

/// `many-fds`: `n` sockets (`kind=udp|tcp`) in one process; reports no rows, only the inodes.
pub fn many_fds(keys: &Keys, stage: &mut Stage) -> Outcome<Made> {
    let count: u32 = keys.value("n", 10_000)?;
    let kind = keys.choice("kind", &["udp", "tcp"])?;
    let address = keys.endpoint("127.0.0.1")?;
    raise_limit(u64::from(count) + OTHERS)?;

    let mut sockets = Vec::new();
    let mut ports = Vec::new();
    let mut inodes = Vec::new();
    for _ in 0..count {
        let socket = if kind == "udp" { net::udp(address)? } else { net::listener(address, 1)? };
        ports.push(net::local(&socket)?.port());
        inodes.push(net::inode(&socket)?);
        sockets.push(socket);
    }
    stage.keep(sockets);
    Ok(Made::default()
        .fact("n", count)
        .fact("kind", kind)
        .fact("first_port", ports.first().copied())
        .fact("last_port", ports.last().copied())
        .fact("inodes", inodes))
}

fn raise_limit(wanted: u64) -> Outcome<()> {
    let now = getrlimit(Resource::Nofile);
    if now.current.is_none_or(|current| current >= wanted) {
        return Ok(());
    }
    let maximum = now.maximum.map(|maximum| maximum.max(wanted));
    match setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum }) {
        Err(rustix::io::Errno::PERM) => {
            Err(Failure::Skipped(format!("may not have {wanted} descriptors: the limit is {:?}", now.maximum)))
        }
        result => result.context("raise the limit of descriptors"),
    }
}
