//! What only Linux can do with a bind: another user's, one device's.

use std::io;

use rustix::net::{AddressFamily, SocketType, netdevice};
use rustix::process::geteuid;
use rustix::thread::{CapabilitySet, capabilities, set_thread_res_uid};
use socket2::Socket;

use crate::model::{BindError, Caller, Platform, Uid};

/// Returns who this run asks as.
pub fn caller() -> Caller {
    // In a user namespace that does not own the network namespace the capability does not count; the probe shows it.
    let has = |sets: rustix::thread::CapabilitySets| sets.effective.contains(CapabilitySet::NET_BIND_SERVICE);
    Caller {
        platform: Platform::Linux,
        uid: Some(Uid(geteuid().as_raw())),
        is_privileged: capabilities(None).ok().map(has),
    }
}

/// Does it as another user, without any capability. Only root can.
pub fn as_user<T: Send>(Uid(user): Uid, work: impl FnOnce() -> T + Send) -> Result<T, BindError> {
    let user = rustix::process::Uid::from_raw(user);
    // The user of a thread is its own; it ends with the thread.
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
