//! Binds that only Linux supports: as another user, or to one device.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::net::{AddressFamily, SocketType, netdevice};
use rustix::process::geteuid;
use rustix::thread::{CapabilitySet, capabilities, set_thread_res_uid};
use socket2::Socket;

use crate::model::{BindError, Caller, Platform, Uid};

/// Returns the user and the rights with which this run binds.
pub fn caller() -> Caller {
    let has = |sets: rustix::thread::CapabilitySets| sets.effective.contains(CapabilitySet::NET_BIND_SERVICE);
    let is_privileged = match capabilities(None).ok().map(has) {
        Some(true) if !is_of_first_user_namespace() && !counts_here() => None,
        known => known,
    };
    Caller { platform: Platform::Linux, uid: Some(Uid(geteuid().as_raw())), is_privileged }
}

/// Says whether this process is in the user namespace that the system started with, whose capabilities count everywhere:
/// it alone has every number of a user as itself. Source: user_namespaces(7).
fn is_of_first_user_namespace() -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    map.split_whitespace().eq(["0", "0", "4294967295"])
}

/// Says whether the capabilities that this process has in its user namespace count in its network namespace, shown by
/// an option that needs one and changes nothing: the mark 0. Source: `sk_setsockopt` in `net/core/sock.c`.
fn counts_here() -> bool {
    let socket = Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None);
    socket.and_then(|socket| socket.set_mark(0)).is_ok()
}

/// Binds as another user, without any capability. Only root can do that.
pub fn as_user<T: Send>(Uid(user): Uid, work: impl FnOnce() -> T + Send) -> Result<T, BindError> {
    let user = rustix::process::Uid::from_raw(user);
    // On Linux each thread has its own user, so this change ends with the thread.
    std::thread::scope(|scope| {
        let ask = move || set_thread_res_uid(user, user, user).map(|()| work());
        let refused = |error: io::Error| BindError::Other(format!("cannot switch to uid {}: {error}", user.as_raw()));
        let thread = std::thread::Builder::new().spawn_scoped(scope, ask).map_err(refused)?;
        let done = thread.join().expect("the thread does not panic");
        done.map_err(|error| refused(error.into()))
    })
}

/// The sockets of this run that took a port for a moment, by cookie.
static OWN: Mutex<BTreeSet<u64>> = Mutex::new(BTreeSet::new());

fn own() -> MutexGuard<'static, BTreeSet<u64>> {
    OWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Remembers a socket, whose end is no news to this run.
pub fn remember(socket: &Socket) {
    own().extend(socket.cookie().ok());
}

/// Says whether this run has had the socket with this cookie.
pub fn is_own(cookie: u64) -> bool {
    own().contains(&cookie)
}

/// `SO_BINDTODEVICE`.
pub fn bind_to_device(socket: &Socket, device: &str) -> io::Result<()> {
    socket.bind_device(Some(device.as_bytes()))
}

/// Returns the index of an interface of this port space.
pub fn scope_of(device: &str) -> Option<u32> {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::DGRAM, None).ok()?;
    netdevice::name_to_index(socket, device).ok()
}
