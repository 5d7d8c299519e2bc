//! On which processor core a thread runs.

/// A core.
#[cfg(target_os = "linux")]
#[derive(Clone, Copy, Debug)]
pub struct Core(usize);

#[cfg(target_os = "linux")]
impl Core {
    /// The core on which the calling thread runs.
    pub fn current() -> Core {
        Core(rustix::thread::sched_getcpu())
    }

    /// Keeps the calling thread off this core from now on, and every process that it starts, if there is another core.
    pub fn leave(self) {
        if let Ok(mut others) = rustix::thread::sched_getaffinity(None) {
            others.unset(self.0);
            // Where that is refused, the thread stays where the system puts it.
            let _ = rustix::thread::sched_setaffinity(None, &others);
        }
    }
}

/// On other systems threads stay where these put them.
#[cfg(not(target_os = "linux"))]
#[derive(Clone, Copy, Debug)]
pub struct Core;

#[cfg(not(target_os = "linux"))]
impl Core {
    pub fn current() -> Core {
        Core
    }

    pub fn leave(self) {
        let Core = self;
    }
}

#[cfg(target_os = "linux")]
#[cfg(test)]
mod tests {
    use rustix::thread::{CpuSet, sched_getaffinity};

    use super::*;

    #[test]
    fn a_thread_leaves_a_core_for_all_others_that_it_may_run_on() {
        let may_run_on = || sched_getaffinity(None).unwrap();
        let before = may_run_on();
        let Core(here) = Core::current();
        let after = std::thread::spawn(move || {
            Core(here).leave();
            may_run_on()
        });
        let after = after.join().unwrap();
        let is_alone = before.count() == 1;
        for core in 0..CpuSet::MAX_CPU {
            assert_eq!(after.is_set(core), before.is_set(core) && (core != here || is_alone), "{core}");
        }
        // It alone has left.
        assert!(may_run_on() == before);
    }
}
