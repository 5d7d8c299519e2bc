//! Sockets and processes whose users, or parents, differ.

use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt as _;

use rustix::process::{Gid, Uid, geteuid, getpid, getppid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use super::FACTORY_VARIABLE;
use super::keys::Keys;
use super::made::{Made, Row};
use super::net;
use super::outcome::{Context, Failure, Outcome, wait_until};
use super::programs::own_program;
use super::stage::{Stage, die_with};
use super::sys;

/// The user that has no rights anywhere.
const NOBODY: u32 = 65534;

/// The program that [`activation`] starts: holds what it was given, and nothing else.
pub const INHERITED: &str = "@inherited";

/// `setuid-drop`: root makes the listener, a child that is no longer root keeps it.
pub fn setuid_drop(keys: &Keys, stage: &mut Stage) -> Outcome<Made> {
    let uid = keys.value("uid", NOBODY)?;
    let creator = geteuid().as_raw();
    let listener = net::listener(keys.endpoint("127.0.0.1")?, 16)?;
    let child = stage.child(|_| {
        become_user(uid)?;
        Ok(Made::of([Row::of(&listener, "listener")?]))
    })?;
    drop(listener); // the child has its own copy
    Ok(child.made.fact("child", child.pid).fact("socket_uid", creator).fact("process_uid", uid))
}

/// `uid-listener`: a child of another user makes and holds it.
pub fn uid_listener(keys: &Keys, stage: &mut Stage) -> Outcome<Made> {
    let uid = keys.value("uid", NOBODY)?;
    let address = keys.endpoint("127.0.0.1")?;
    let child = stage.child(|stage| {
        become_user(uid)?;
        let listener = net::listener(address, 16)?;
        let made = Made::of([Row::of(&listener, "listener")?]);
        stage.keep(listener);
        Ok(made)
    })?;
    Ok(child.made.fact("child", child.pid).fact("socket_uid", uid).fact("process_uid", uid))
}

fn become_user(uid: u32) -> Outcome<()> {
    let (user, group) = (Uid::from_raw(uid), Gid::from_raw(uid));
    let parent = getppid();
    set_thread_groups(&[]).or_skip("leave the groups")?;
    set_thread_res_gid(group, group, group).or_skip("change the group")?;
    set_thread_res_uid(user, user, user).or_skip("change the user")?;
    die_with(parent.unwrap_or_else(getpid))
}

/// `activation`: as systemd does it. This process keeps the listener, a program that it started has it as descriptor 3.
pub fn activation(keys: &Keys, stage: &mut Stage) -> Outcome<Made> {
    let listener = net::listener(keys.endpoint("127.0.0.1")?, 16)?;
    let inode = net::inode(&listener)?;
    let child = stage.child(|stage| {
        let inherited = third_descriptor(&listener)?;
        let mut program = own_program()?;
        stage.end_with(move || {
            let _kept = inherited;
            let _ = program
                .env(FACTORY_VARIABLE, INHERITED)
                .env("LISTEN_FDS", "1")
                .env("LISTEN_PID", std::process::id().to_string())
                .exec();
            sys::exit_now(1);
        });
        Ok(Made::default())
    })?;
    wait_until("the program with descriptor 3", || {
        let expected = format!("socket:[{inode}]");
        let descriptors = std::fs::read_dir(format!("/proc/{}/fd", child.pid)).context("list a child's descriptors")?;
        let mut holding = Vec::new();
        for descriptor in descriptors.filter_map(Result::ok) {
            if std::fs::read_link(descriptor.path()).is_ok_and(|target| target.as_os_str() == expected.as_str()) {
                holding.push(descriptor.file_name());
            }
        }
        let executed = std::fs::read(format!("/proc/{}/environ", child.pid)).context("read a child's environment")?;
        let executed = executed.windows(INHERITED.len()).any(|part| part == INHERITED.as_bytes());
        Ok((executed && holding == ["3"]).then_some(()))
    })?;
    let row = Row::of(&listener, "listener")?.held_by([std::process::id(), child.pid]);
    stage.keep(listener);
    Ok(Made::of([row]).fact("child", child.pid).fact("child_fd", 3))
}

/// Puts a copy of the listener, one that survives exec, at descriptor 3.
fn third_descriptor(listener: &OwnedFd) -> Outcome<OwnedFd> {
    if listener.as_raw_fd() == 3 {
        return Err(Failure::Error("descriptor 3 is the listener's own, which is closed by exec".to_owned()));
    }
    sys::duplicate_to(listener, 3).context("make descriptor 3")
}
