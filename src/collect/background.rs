//! Work that goes on beside that of the calling thread.

use std::thread::{Builder, JoinHandle};

/// Work that was begun, and its result. Where the system gives no further thread, as under a limit of processes, it is
/// done by whoever asks for the result.
pub struct Background<T>(Result<JoinHandle<T>, Box<dyn FnOnce() -> T + Send>>);

impl<T: Send + 'static> Background<T> {
    /// Begins it on a thread of its own.
    pub fn start(work: impl FnOnce() -> T + Clone + Send + 'static) -> Background<T> {
        // What was given to a thread that could not be made is lost, so it gets a copy.
        Background(Builder::new().spawn(work.clone()).map_err(|_| Box::new(work) as _))
    }

    /// Waits for the result.
    pub fn result(self) -> T {
        match self.0 {
            Ok(thread) => thread.join().expect("work beside that of this thread does not panic"),
            Err(work) => work(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_without_a_thread_is_done_when_its_result_is_wanted() {
        assert_eq!(Background::start(|| 7).result(), 7);
        assert_eq!(Background::<u8>(Err(Box::new(|| 7))).result(), 7);
    }
}
