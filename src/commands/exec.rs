//! Lets another command take portscope's place.

use std::ffi::OsString;

use crate::collect::probe::BoundSocket;
use crate::error::{Error, ExitStatus};
use crate::model::Port;

/// What stands for the port in the command.
pub const PLACE: &str = "{}";

/// Runs the command in this process, with the port in its arguments. With a listener, it is passed on in the way of
/// sd_listen_fds(3): as descriptor 3, with `LISTEN_FDS` and `LISTEN_PID`.
#[cfg(unix)]
pub fn exec(command: &[OsString], port: Port, listener: Option<BoundSocket>) -> Result<ExitStatus, Error> {
    use std::os::unix::process::CommandExt;

    use command_fds::{CommandFdExt, FdMapping};

    let error = |problem: String| Error::Exec { command: command[0].to_string_lossy().into_owned(), problem };
    let words: Vec<OsString> = command.iter().map(|word| with_port(word, port)).collect();
    let mut program = std::process::Command::new(&words[0]);
    program.args(&words[1..]);
    if let Some(listener) = listener {
        /// `SD_LISTEN_FDS_START` of sd-daemon.h.
        const FIRST: i32 = 3;
        let mapping = FdMapping { parent_fd: listener.into(), child_fd: FIRST };
        program.fd_mappings(vec![mapping]).map_err(|collision| error(collision.to_string()))?;
        // The process stays the same.
        program.env("LISTEN_FDS", "1").env("LISTEN_PID", std::process::id().to_string()).env_remove("LISTEN_FDNAMES");
    }
    // It only comes back when it fails.
    Err(error(program.exec().to_string()))
}

/// Only Unix lets a command take a process's place.
#[cfg(not(unix))]
pub fn exec(_: &[OsString], _: Port, _: Option<BoundSocket>) -> Result<ExitStatus, Error> {
    Err(Error::Usage("--exec: this system cannot replace a running program; use the number that is printed".to_owned()))
}

/// Says whether the port is mentioned in the command.
pub fn mentions_port(command: &[OsString]) -> bool {
    command.iter().skip(1).any(|word| word.as_encoded_bytes().windows(PLACE.len()).any(|part| part == PLACE.as_bytes()))
}

#[cfg(unix)]
fn with_port(word: &std::ffi::OsStr, port: Port) -> OsString {
    use std::os::unix::ffi::OsStringExt;
    let (mut replaced, mut rest) = (Vec::new(), word.as_encoded_bytes());
    while let Some(at) = rest.windows(PLACE.len()).position(|part| part == PLACE.as_bytes()) {
        replaced.extend(&rest[..at]);
        replaced.extend(port.to_string().bytes());
        rest = &rest[at + PLACE.len()..];
    }
    replaced.extend(rest);
    OsString::from_vec(replaced)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn every_place_of_the_port_is_filled() {
        let filled = |word: &str| with_port(std::ffi::OsStr::new(word), Port::new(8080)).into_string().unwrap();
        assert_eq!(filled("{}"), "8080");
        assert_eq!(filled("http://localhost:{}/?port={}"), "http://localhost:8080/?port=8080");
        assert_eq!(filled("{ }{"), "{ }{");
        assert_eq!(filled("{{}}"), "{8080}");
        assert!(mentions_port(&["a".into(), "-p{}".into()]) && !mentions_port(&["{}".into(), "b".into()]));
    }
}
