//! Another program in the place of this one.

use std::ffi::{OsStr, OsString};

use crate::collect::probe::BoundSocket;

/// Why the program does not run.
#[derive(Debug)]
pub enum ExecError {
    /// The system cannot replace a running program.
    #[allow(dead_code, reason = "made on systems other than Unix")]
    Unsupported,
    /// What the system answered.
    #[allow(dead_code, reason = "made on Unix")]
    Failed(String),
}

/// Runs the command, whose first word is the program, in the place of this process; it only comes back when that fails.
/// With a listener, it is passed on in the way of sd_listen_fds(3): as descriptor 3, with `LISTEN_FDS` and `LISTEN_PID`.
#[cfg(unix)]
pub fn replace_process(command: &[OsString], listener: Option<BoundSocket>) -> ExecError {
    use std::os::unix::process::CommandExt;

    use command_fds::{CommandFdExt, FdMapping};

    /// `SD_LISTEN_FDS_START` of sd-daemon.h.
    const FIRST: i32 = 3;
    let mut program = std::process::Command::new(&command[0]);
    program.args(&command[1..]);
    if let Some(listener) = listener {
        let mapping = FdMapping { parent_fd: listener.into(), child_fd: FIRST };
        if let Err(collision) = program.fd_mappings(vec![mapping]) {
            return ExecError::Failed(collision.to_string());
        }
        // The process stays the same.
        program.env("LISTEN_FDS", "1").env("LISTEN_PID", std::process::id().to_string()).env_remove("LISTEN_FDNAMES");
    }
    ExecError::Failed(program.exec().to_string())
}

/// Only Unix lets a command take a process's place.
#[cfg(not(unix))]
pub fn replace_process(_: &[OsString], _: Option<BoundSocket>) -> ExecError {
    ExecError::Unsupported
}

/// The word with the text wherever the place stands in it. The rest may be any bytes.
#[cfg(unix)]
pub fn filled(word: &OsStr, place: &str, text: &str) -> OsString {
    use std::os::unix::ffi::OsStringExt;
    let (mut filled, mut rest) = (Vec::new(), word.as_encoded_bytes());
    while let Some(at) = rest.windows(place.len()).position(|part| part == place.as_bytes()) {
        filled.extend(&rest[..at]);
        filled.extend(text.bytes());
        rest = &rest[at + place.len()..];
    }
    filled.extend(rest);
    OsString::from_vec(filled)
}

/// The word with the text wherever the place stands in it.
#[cfg(not(unix))]
pub fn filled(word: &OsStr, place: &str, text: &str) -> OsString {
    word.to_string_lossy().replace(place, text).into()
}
