//! How long somebody waits for what happens, and what else ends the wait.

use std::time::Duration;

#[cfg(unix)]
use std::os::fd::BorrowedFd;

#[cfg(unix)]
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// A wait that is over after some time, or as soon as one of some descriptors can be read.
#[derive(Clone, Debug)]
pub struct Wait<'w> {
    /// The longest time.
    pub most: Duration,
    /// What ends it before.
    #[cfg(unix)]
    pub others: Vec<BorrowedFd<'w>>,
    /// Nothing does, where a console cannot be waited for together with other things.
    #[cfg(not(unix))]
    others: std::marker::PhantomData<&'w ()>,
}

impl From<Duration> for Wait<'_> {
    fn from(most: Duration) -> Self {
        #[cfg(unix)]
        let others = Vec::new();
        #[cfg(not(unix))]
        let others = std::marker::PhantomData;
        Wait { most, others }
    }
}

impl Wait<'_> {
    /// The same, and not longer than this.
    #[must_use]
    pub fn at_most(self, most: Duration) -> Self {
        Wait { most: self.most.min(most), ..self }
    }

    /// Waits for nothing else. Says whether the time has gone by.
    pub fn sleep(self) -> bool {
        #[cfg(unix)]
        return !self.until_any(&[]);
        #[cfg(not(unix))]
        {
            std::thread::sleep(self.most);
            true
        }
    }

    /// Waits until one of these can be read, or one of the others. Says whether that is so.
    #[cfg(unix)]
    pub fn until_any(self, own: &[BorrowedFd<'_>]) -> bool {
        let mut ready: Vec<PollFd<'_>> =
            self.others.iter().chain(own).map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN)).collect();
        let seconds = i64::try_from(self.most.as_secs()).unwrap_or(i64::MAX);
        let timeout = Timespec { tv_sec: seconds, tv_nsec: self.most.subsec_nanos().into() };
        // A signal ends the wait as well; the caller decides what to do then.
        !matches!(poll(&mut ready, Some(&timeout)), Ok(0))
    }
}
