//! Listeners that work although no process has a descriptor for them.

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd};

use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, sendmsg, socketpair,
};

use super::keys::Keys;
use super::made::{Made, Row};
use super::net;
use super::outcome::{Context, Outcome};
use super::stage::Stage;
use super::sys;

/// `scm`: a listener that was sent over a unix socket and not received yet.
pub fn scm(keys: &Keys, stage: &mut Stage) -> Outcome<Made> {
    let listener = net::listener(keys.endpoint("127.0.0.1")?, 16)?;
    let (sender, receiver) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
        .context("make a pair of unix sockets")?;
    let row = Row::of(&listener, "in-flight")?.held_by([]);

    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let sent = [listener.as_fd()];
    assert!(control.push(SendAncillaryMessage::ScmRights(&sent)), "there is space for one");
    sendmsg(&sender, &[IoSlice::new(b"x")], &mut control, SendFlags::empty()).context("send a descriptor")?;
    drop(listener);

    let made = Made::of([row])
        .fact("holders", [std::process::id()])
        .fact("unix_fd", receiver.as_raw_fd())
        .fact("unix_inode", net::inode(&receiver)?);
    stage.keep((sender, receiver));
    Ok(made)
}

/// `io-uring`: a listener whose only reference is a registered file of an `io_uring` instance.
pub fn io_uring(keys: &Keys, stage: &mut Stage) -> Outcome<Made> {
    let listener = net::listener(keys.endpoint("127.0.0.1")?, 16)?;
    let row = Row::of(&listener, "registered file")?.held_by([]);
    let ring = sys::uring_with(&listener).or_skip("register a file with io_uring")?;
    drop(listener);
    let made = Made::of([row]).fact("holders", [std::process::id()]).fact("ring_fd", ring.as_raw_fd());
    stage.keep(ring);
    Ok(made)
}
