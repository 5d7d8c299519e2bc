//! Questions that may never be answered: a name service that is down, memory of a process behind a dead file system.

use std::io;
use std::sync::mpsc;
use std::time::Duration;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// It did not come in time.
    #[error("no answer in time")]
    TooLate,
    /// Nobody asked: only a thread of its own could be left waiting, and there is none to be had.
    #[error("no thread to ask on: {0}")]
    NotAsked(io::Error),
}

/// Asks in a thread of its own and waits so long for the answer; a thread that still waits ends with the program.
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
