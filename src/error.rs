//! What stops a command, and the one table of exit codes.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::collect::CollectError;
use crate::model::Health;

/// How a command ended. The numbers are a public contract, printed in the README.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ExitStatus {
    /// Yes, clean, done; a listing, also when it is empty.
    Yes,
    /// No: not found, a difference, a violation, a timeout.
    No,
    /// The command line is wrong, or the system could not be asked.
    Trouble,
    /// `--strict` was given and something was hidden.
    Incomplete,
    /// `-o nagios` was given: the status has the meaning that monitoring systems agree on.
    Monitored(Health),
}

impl ExitStatus {
    /// The number that the shell sees.
    pub const fn code(self) -> u8 {
        match self {
            ExitStatus::Yes => 0,
            ExitStatus::No => 1,
            ExitStatus::Trouble => 2,
            ExitStatus::Incomplete => 3,
            ExitStatus::Monitored(health) => health.code(),
        }
    }
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> ExitCode {
        ExitCode::from(status.code())
    }
}

/// Why a command could not be carried out. Its text is one line and says what is accepted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command line, as one line.
    #[error("{0}")]
    Usage(String),
    /// The command line, as another tool takes it, and what it is here.
    #[error("{line}")]
    OtherTool {
        /// What is wrong with it.
        line: String,
        /// What to type instead.
        hints: Vec<String>,
    },
    /// A name that nothing here has, and what comes near it.
    #[error("{line}")]
    NoSuchName {
        /// Which name, and what it was taken for.
        line: String,
        /// What to type instead.
        hints: Vec<String>,
    },
    /// The system could not be asked.
    #[error(transparent)]
    Collect(#[from] CollectError),
    /// Nothing of the kind can be done here.
    #[error("{0}")]
    Unable(String),
    /// Standard output.
    #[error("cannot write the output: {0}")]
    Output(io::Error),
    /// A file that was to be written.
    #[error("cannot write {}: {error}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system answered.
        error: io::Error,
    },
    /// The command that portscope should run cannot be run.
    #[error("cannot run {command}: {problem}")]
    Exec {
        /// The command, as it was typed.
        command: String,
        /// What the system said.
        problem: String,
    },
    /// A file of the user's or the host's configuration.
    #[error("cannot read {}: {problem}", .path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong, with its place.
        problem: String,
    },
}

impl Error {
    /// How a command ends that was stopped by it.
    pub fn status(&self) -> ExitStatus {
        match self {
            Error::NoSuchName { .. } | Error::Collect(CollectError::NoSuchSpace { .. }) => ExitStatus::No,
            _ => ExitStatus::Trouble,
        }
    }

    /// What helps, one line each.
    pub fn hints(&self) -> &[String] {
        match self {
            Error::NoSuchName { hints, .. } | Error::OtherTool { hints, .. } => hints,
            _ => &[],
        }
    }

    /// Says whether the reader of the output has gone, as `head` does.
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Error::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

/// A failed write to standard output; the only [`io::Error`] that reaches a command bare.
impl From<io::Error> for Error {
    fn from(error: io::Error) -> Error {
        Error::Output(error)
    }
}
