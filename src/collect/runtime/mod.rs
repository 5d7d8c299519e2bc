//! What other programs know: container runtimes, systemd, Kubernetes.
//!
//! Asked only when something that was seen calls for it and `--no-helpers` was not given. Local sockets and absolute
//! paths only, an empty environment, a time limit for each; what is not answered is a gap. Nothing of the environment
//! (DOCKER_HOST and the like) is followed, since under sudo it may be another user's.

pub mod containers;
pub mod cri;
pub mod program;
pub mod proxy;
pub mod systemd;

/// Why a program that could know was not of help.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
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
