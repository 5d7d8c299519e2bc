//! What is known about a bind on systems other than Linux.

use std::io;

use socket2::Socket;

use crate::model::{BindError, Caller, Platform, Uid};

/// Returns the user and the rights with which this run binds.
pub fn caller() -> Caller {
    let platform = if cfg!(target_os = "macos") {
        Platform::MacOs
    } else if cfg!(windows) {
        Platform::Windows
    } else {
        Platform::Other
    };
    Caller { platform, uid: uid(), is_privileged: None }
}

#[cfg(unix)]
fn uid() -> Option<Uid> {
    Some(Uid(rustix::process::geteuid().as_raw()))
}

#[cfg(not(unix))]
fn uid() -> Option<Uid> {
    None
}

/// Binds as another user.
pub fn as_user<T: Send>(_: Uid, _: impl FnOnce() -> T + Send) -> Result<T, BindError> {
    Err(BindError::Other("checking as another user is not supported on this system".to_owned()))
}

/// Binds to one interface.
pub fn bind_to_device(_: &Socket, _: &str) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "binding to one interface is supported on Linux only"))
}

/// Nothing here tells of the end of a socket.
pub fn remember(_: &Socket) {}

/// Returns the index of an interface, which has to be given as a number here.
pub fn scope_of(device: &str) -> Option<u32> {
    device.parse().ok()
}
