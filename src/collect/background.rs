//! Work in the background of the calling thread.

use std::thread::{Builder, JoinHandle};

/// Work that was started, and its result. If the system allows no more threads, the work is done when the result is
/// asked for.
pub struct Background<T>(Result<JoinHandle<T>, Box<dyn FnOnce() -> T + Send>>);

impl<T: Send + 'static> Background<T> {
    /// Starts the work on a new thread.
    pub fn start(work: impl FnOnce() -> T + Clone + Send + 'static) -> Background<T> {
        // The closure is lost when its thread cannot be created, so the thread gets a copy.
        Background(Builder::new().spawn(work.clone()).map_err(|_| Box::new(work) as _))
    }

    /// Starts the work if it is worth a thread now; else leaves it until its result is asked for.
    #[cfg(target_os = "linux")]
    pub fn start_if(is_worth_it: bool, work: impl FnOnce() -> T + Clone + Send + 'static) -> Background<T> {
        if is_worth_it { Background::start(work) } else { Background(Err(Box::new(work))) }
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
        #[cfg(target_os = "linux")]
        assert_eq!([true, false].map(|is_worth_it| Background::start_if(is_worth_it, || 7).result()), [7, 7]);
    }
}
