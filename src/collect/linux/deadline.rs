//! Questions that may never be answered: a name service that is down, memory of a process behind a dead file system.

use std::sync::mpsc;
use std::time::Duration;

/// Asks in a thread of its own and waits so long for the answer; a thread that still waits ends with the program.
pub fn within<T: Send + 'static>(limit: Duration, ask: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (answer, answered) = mpsc::channel();
    std::thread::Builder::new().spawn(move || answer.send(ask())).ok()?;
    answered.recv_timeout(limit).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c45_an_answer_that_does_not_come_is_given_up() {
        assert_eq!(within(Duration::from_mins(1), || 7), Some(7));
        let (_keep, never) = mpsc::channel::<()>();
        assert_eq!(within(Duration::from_millis(1), move || never.recv()), None);
    }
}
