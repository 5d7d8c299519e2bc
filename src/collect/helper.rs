//! Runs a helper: by absolute path, with an empty environment, for a short time.

use std::ffi::OsStr;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// More of an answer is not read.
const MOST_BYTES: u64 = 64 * 1024 * 1024;

/// Why a program that could know was not of help.
#[derive(Debug, thiserror::Error)]
pub enum HelperError {
    /// It is in none of the folders where systems keep programs.
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
    #[error("{0} timed out")]
    TimedOut(String),
    /// It answered something else than expected.
    #[error("the output of {0} could not be parsed")]
    Malformed(String),
}

/// More of what a program complains about is not shown.
const MOST_COMPLAINT: u64 = 400;

/// The user to run a helper as: a command for a user's own manager has that user's rights and no others.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RunAs {
    /// The user.
    pub uid: u32,
    /// The user's group.
    pub gid: u32,
}

/// Returns what the program prints, when it ends well and in time. Its environment is these variables alone.
pub fn run(
    path: &Path,
    arguments: &[&str],
    environment: &[(&str, &OsStr)],
    patience: Duration,
) -> Result<Vec<u8>, HelperError> {
    run_as(None, path, arguments, environment, patience)
}

/// The same as another user, which takes root.
pub fn run_as(
    user: Option<RunAs>,
    path: &Path,
    arguments: &[&str],
    environment: &[(&str, &OsStr)],
    patience: Duration,
) -> Result<Vec<u8>, HelperError> {
    let end = Instant::now() + patience;
    let program = || path.display().to_string();
    let failed = |problem: String| HelperError::Failed { program: program(), problem };
    let mut command = Command::new(path);
    command.args(arguments).env_clear().envs(environment.iter().copied()).current_dir("/");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    #[cfg(unix)]
    if let Some(RunAs { uid, gid }) = user {
        // Further groups are given up with that.
        std::os::unix::process::CommandExt::uid(&mut command, uid);
        std::os::unix::process::CommandExt::gid(&mut command, gid);
    }
    #[cfg(not(unix))]
    let _ = user;
    let mut child = command.spawn().map_err(|error| failed(error.to_string()))?;
    let streams = (child.stdout.take(), child.stderr.take());
    let read = match streams {
        (Some(stdout), Some(stderr)) => {
            read(stdout, MOST_BYTES).and_then(|out| Ok((out, read(stderr, MOST_COMPLAINT)?)))
        }
        _ => Err(std::io::Error::other("it has no output")),
    };
    let (output, complaint) = match read {
        Ok(read) => read,
        Err(error) => {
            let _ = child.kill();
            let _ = child.wait();
            return Err(failed(format!("cannot start a thread to read its output: {error}")));
        }
    };
    let left = || end.saturating_duration_since(Instant::now());
    let answer = output.recv_timeout(left());
    // It may have closed its output and go on.
    let status = loop {
        match child.try_wait().map_err(|error| failed(error.to_string()))? {
            Some(status) => break Some(status),
            None if answer.is_err() || left().is_zero() => break None,
            None => std::thread::sleep(PAUSE.min(left())),
        }
    };
    let Some(status) = status else {
        let _ = child.kill();
        let _ = child.wait();
        return Err(HelperError::TimedOut(program()));
    };
    match answer {
        Err(_) => Err(HelperError::TimedOut(program())),
        Ok(_) if !status.success() => {
            let complaint = complaint.recv_timeout(left()).ok().and_then(Result::ok).unwrap_or_default();
            let complaint = String::from_utf8_lossy(&complaint).trim().replace('\n', "; ");
            Err(failed(if complaint.is_empty() { format!("it exited with {status}") } else { complaint }))
        }
        Ok(text) => text.map_err(|error| failed(error.to_string())),
    }
}

/// How long to wait before a program that has said everything is asked again whether it has ended.
const PAUSE: Duration = Duration::from_millis(2);

type Reading = mpsc::Receiver<std::io::Result<Vec<u8>>>;

/// Reads in a thread of its own, so that a program which says nothing holds nobody up.
fn read(from: impl Read + Send + 'static, most: u64) -> std::io::Result<Reading> {
    let (send, receive) = mpsc::channel();
    let read = move || {
        let mut text = Vec::new();
        let mut from = from;
        let result = from.by_ref().take(most).read_to_end(&mut text).map(|_| text);
        let _ = send.send(result);
        // A pipe that is closed would end a program that has more to say.
        let _ = std::io::copy(&mut from, &mut std::io::sink());
    };
    std::thread::Builder::new().spawn(read).map(|_| receive)
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
        assert_eq!(error.to_string(), "/bin/sleep timed out");
    }

    #[test]
    fn a_helper_that_closes_its_output_and_goes_on_is_ended() {
        let script = ["-c", "exec >&-; exec sleep 1000"];
        let error = run("/bin/sh".as_ref(), &script, &[], Duration::from_millis(300)).unwrap_err();
        assert_eq!(error.to_string(), "/bin/sh timed out");
    }

    #[test]
    fn a_helper_says_itself_what_went_wrong() {
        let script = ["-c", "echo no such unit >&2; exit 5"];
        let error = run("/bin/sh".as_ref(), &script, &[], Duration::from_secs(20)).unwrap_err();
        assert_eq!(error.to_string(), "/bin/sh: no such unit");
    }

    #[test]
    fn a_helper_that_fails_is_named() {
        let error =
            run("/bin/false".as_ref(), &[], &[("LC_ALL", OsStr::new("C"))], Duration::from_secs(20)).unwrap_err();
        assert!(error.to_string().starts_with("/bin/false: it exited with exit status: 1"), "{error}");
    }
}
