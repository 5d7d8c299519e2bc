//! Namespaces: several port spaces, or several pid spaces, on one host.

use std::fs::File;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt as _;

use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};

use super::keys::Keys;
use super::made::{Made, Row};
use super::net;
use super::outcome::{Context, Outcome};
use super::stage::Stage;
use super::sys;

/// Moves this process, which must have one thread, into a new network namespace with `lo` up; returns its inode.
pub fn own_network() -> Outcome<u64> {
    sys::unshare(UnshareFlags::NEWNET).or_skip("make a network namespace")?;
    let any = net::tcp(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    sys::loopback_up(&any).context("switch on lo")?;
    netns()
}

/// The inode of this process's network namespace, which is its identity.
fn netns() -> Outcome<u64> {
    Ok(std::fs::metadata("/proc/thread-self/ns/net").context("stat the network namespace")?.ino())
}

/// `netns`: `n` children, each in a network namespace of its own, all listening on the same port.
pub fn netns_each(keys: &Keys, stage: &mut Stage) -> Outcome<Made> {
    let count: u32 = keys.value("n", 3)?;
    let port: u16 = keys.value("port", 8080)?;
    let mut address = keys.endpoint("127.0.0.1")?;
    address.set_port(port);
    let mut made = Made::default();
    let mut spaces = Vec::new();
    for _ in 0..count {
        let child = stage.child(|stage| {
            let netns = own_network()?;
            let listener = net::listener(address, 16)?;
            let made = Made::of([Row::of(&listener, &format!("netns {netns}"))?]);
            stage.keep(listener);
            Ok(made.fact("netns", netns))
        })?;
        spaces.push(serde_json::json!({"pid": child.pid, "netns": child.made.number("netns")?}));
        made.add_sockets(&child.made);
    }
    Ok(made.fact("n", count).fact("port", port).fact("spaces", spaces).fact("process_netns", netns()?))
}

/// `foreign-netns`: a child that holds a listener of a network namespace it has left, which no process is in.
pub fn foreign_netns(keys: &Keys, stage: &mut Stage) -> Outcome<Made> {
    let address = keys.endpoint("127.0.0.1")?;
    let child = stage.child(|stage| {
        let home = File::open("/proc/self/ns/net").context("open the network namespace")?;
        let foreign = own_network()?;
        let listener = net::listener(address, 16)?;
        move_into_link_name_space(home.as_fd(), Some(LinkNameSpaceType::Network)).context("return to the namespace")?;
        let made = Made::of([Row::of(&listener, "listener")?]).fact("socket_netns", foreign);
        let made = made.fact("fd", std::os::fd::AsRawFd::as_raw_fd(&listener)).fact("process_netns", netns()?);
        stage.keep(listener);
        Ok(made)
    })?;
    Ok(child.made.fact("child", child.pid))
}

/// `pidns`: a child that is process 1 of its own pid namespace. With `proc=1` it also has a /proc that says so.
pub fn pidns(keys: &Keys, stage: &mut Stage) -> Outcome<Made> {
    let own_proc = keys.choice("proc", &["0", "1"])? == "1";
    let address = keys.endpoint("127.0.0.1")?;
    sys::unshare(UnshareFlags::NEWPID).or_skip("make a pid namespace")?; // for the children to come
    let child = stage.child(|stage| {
        if own_proc {
            sys::unshare(UnshareFlags::NEWNS).or_skip("make a mount namespace")?;
            mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
                .context("part from mounts")?;
            mount("proc", "/proc", "proc", MountFlags::empty(), None).or_skip("mount /proc")?;
        }
        let listener = net::listener(address, 16)?;
        let made = Made::of([Row::of(&listener, "listener")?]).fact("pid_inside", std::process::id());
        stage.keep(listener);
        Ok(made)
    })?;
    Ok(child.made.fact("pid_outside", child.pid).fact("child", child.pid).fact("own_proc", own_proc))
}
