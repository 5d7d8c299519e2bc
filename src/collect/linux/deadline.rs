//! Calls that may never return: to a name service that is down, or into memory of a process that is backed by a dead
//! file system.

use std::io;
use std::sync::mpsc;
use std::time::Duration;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// The call did not return in time.
    #[error("timed out")]
    TooLate,
    /// The call was not made, because it needs a thread of its own and the system allows no more threads.
    #[error("cannot start a thread: {0}")]
    NotAsked(io::Error),
}

/// Calls `ask` on a thread of its own and waits up to `limit` for the result. A thread that still waits ends with the
/// program.
pub fn within<T: Send + 'static>(limit: Duration, ask: impl FnOnce() -> T + Send + 'static) -> Result<T, NoAnswer> {
    let (answer, answered) = mpsc::channel();
    std::thread::Builder::new().spawn(move || answer.send(ask())).map_err(NoAnswer::NotAsked)?;
    answered.recv_timeout(limit).map_err(|_| NoAnswer::TooLate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_does_not_come_is_given_up() {
        assert_eq!(within(Duration::from_mins(1), || 7).ok(), Some(7));
        let (_keep, never) = mpsc::channel::<()>();
        let answer = within(Duration::from_millis(1), move || never.recv());
        assert!(matches!(answer, Err(NoAnswer::TooLate)), "{answer:?}");
    }
}
