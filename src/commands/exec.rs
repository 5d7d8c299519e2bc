//! Lets another command take portscope's place.

use std::ffi::OsString;

use crate::collect::probe::BoundSocket;
use crate::error::{Error, ExitStatus};
use crate::model::Port;
use crate::render::words::mistake;
use crate::system::exec::{ExecError, filled, replace_process};

/// What stands for the port in the command.
pub const PLACE: &str = "{}";

/// Runs the command in this process, with the port in its arguments; a listener is passed on to it.
pub fn exec(command: &[OsString], port: Port, listener: Option<BoundSocket>) -> Result<ExitStatus, Error> {
    let words: Vec<OsString> = command.iter().map(|word| filled(word, PLACE, &port.to_string())).collect();
    Err(match replace_process(&words, listener) {
        ExecError::Failed(problem) => Error::Exec { command: command[0].to_string_lossy().into_owned(), problem },
        ExecError::Unsupported => Error::Usage(mistake::NO_EXEC.to_owned()),
    })
}

/// Says whether the port is mentioned in the command.
pub fn mentions_port(command: &[OsString]) -> bool {
    command.iter().skip(1).any(|word| word.as_encoded_bytes().windows(PLACE.len()).any(|part| part == PLACE.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_of_the_port_is_filled() {
        let filled = |word: &str| filled(word.as_ref(), PLACE, "8080").into_string().unwrap();
        assert_eq!(filled("{}"), "8080");
        assert_eq!(filled("http://localhost:{}/?port={}"), "http://localhost:8080/?port=8080");
        assert_eq!(filled("{ }{"), "{ }{");
        assert_eq!(filled("{{}}"), "{8080}");
        assert!(mentions_port(&["a".into(), "-p{}".into()]) && !mentions_port(&["{}".into(), "b".into()]));
    }
}
