//! Binds that only Linux supports: as another user, or to one device.

use std::io;

use rustix::net::{AddressFamily, SocketType, netdevice};
use rustix::process::geteuid;
use rustix::thread::{CapabilitySet, capabilities, set_thread_res_uid};
use socket2::Socket;

use crate::model::{BindError, Caller, Platform, Uid};

/// Returns the user and the rights with which this run binds.
pub fn caller() -> Caller {
    // The capability has no effect in a user namespace that does not own the network namespace; the probe finds that
    // out.
    let has = |sets: rustix::thread::CapabilitySets| sets.effective.contains(CapabilitySet::NET_BIND_SERVICE);
    Caller {
        platform: Platform::Linux,
        uid: Some(Uid(geteuid().as_raw())),
        is_privileged: capabilities(None).ok().map(has),
    }
}

/// Binds as another user, without any capability. Only root can do that.
pub fn as_user<T: Send>(Uid(user): Uid, work: impl FnOnce() -> T + Send) -> Result<T, BindError> {
    let user = rustix::process::Uid::from_raw(user);
    // On Linux each thread has its own user, so this change ends with the thread.
    std::thread::scope(|scope| {
        let ask = move || set_thread_res_uid(user, user, user).map(|()| work());
        let refused = |error: io::Error| BindError::Other(format!("cannot ask as uid {}: {error}", user.as_raw()));
        let thread = std::thread::Builder::new().spawn_scoped(scope, ask).map_err(refused)?;
        let done = thread.join().expect("the thread does not panic");
        done.map_err(|error| refused(error.into()))
    })
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
