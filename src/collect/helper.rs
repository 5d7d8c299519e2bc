//! Runs a helper: by absolute path, with an empty environment, for a short time.

use std::ffi::OsStr;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// More of an answer is not read.
const MOST_BYTES: u64 = 64 * 1024 * 1024;

/// Why a program that could know was not of help.
#[derive(Debug, thiserror::Error)]
pub enum HelperError {
    /// There is none of this name in the places where systems keep them.
    #[error("{0} is not installed")]
    Missing(&'static str),
    /// It could not be started, or did not end well.
    #[error("{program}: {problem}")]
    Failed {
        /// Which program.
        program: String,
        /// What went wrong.
        problem: String,
    },
    /// It did not answer in time.
    #[error("{0} did not answer in time")]
    TimedOut(String),
    /// It answered something else than expected.
    #[error("the answer of {0} is not understood")]
    Malformed(String),
}

/// Returns what the program prints, when it ends well and in time. Its environment is these variables alone.
pub fn run(
    path: &Path,
    arguments: &[&str],
    environment: &[(&str, &OsStr)],
    patience: Duration,
) -> Result<Vec<u8>, HelperError> {
    let program = || path.display().to_string();
    let failed = |problem: String| HelperError::Failed { program: program(), problem };
    let mut child = Command::new(path)
        .args(arguments)
        .env_clear()
        .envs(environment.iter().copied())
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    let Some(stdout) = child.stdout.take() else { return Err(failed("it has no output".to_owned())) };
    let (send, receive) = mpsc::channel();
    let read = move || {
        let mut text = Vec::new();
        let result = stdout.take(MOST_BYTES).read_to_end(&mut text).map(|_| text);
        let _ = send.send(result);
    };
    if let Err(error) = std::thread::Builder::new().spawn(read) {
        let _ = child.kill();
        let _ = child.wait();
        return Err(failed(format!("no thread to read its answer: {error}")));
    }
    let answer = receive.recv_timeout(patience);
    if answer.is_err() {
        // It may have ended by itself meanwhile.
        let _ = child.kill();
    }
    let status = child.wait().map_err(|error| failed(error.to_string()))?;
    match answer {
        Err(_) => Err(HelperError::TimedOut(program())),
        Ok(_) if !status.success() => Err(failed(format!("it ended with {status}"))),
        Ok(text) => text.map_err(|error| failed(error.to_string())),
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_helper_is_run_without_the_environment() {
        let text = run("/usr/bin/env".as_ref(), &[], &[("LC_ALL", OsStr::new("C"))], Duration::from_secs(20)).unwrap();
        assert_eq!(text, b"LC_ALL=C\n");
    }

    #[test]
    fn a_helper_that_does_not_answer_is_ended() {
        let error = run("/bin/sleep".as_ref(), &["1000"], &[("LC_ALL", OsStr::new("C"))], Duration::from_millis(20))
            .unwrap_err();
        assert_eq!(error.to_string(), "/bin/sleep did not answer in time");
    }

    #[test]
    fn a_helper_that_fails_is_named() {
        let error =
            run("/bin/false".as_ref(), &[], &[("LC_ALL", OsStr::new("C"))], Duration::from_secs(20)).unwrap_err();
        assert!(error.to_string().starts_with("/bin/false: it ended with exit status: 1"), "{error}");
    }
}
