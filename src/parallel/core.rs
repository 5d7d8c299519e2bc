//! On which processor core a thread runs.

/// A core.
#[cfg(target_os = "linux")]
#[derive(Clone, Copy, Debug)]
pub struct Core(usize);

#[cfg(target_os = "linux")]
impl Core {
    /// The core on which the calling thread runs, if another one is free for it: fewer threads want to run on the whole
    /// machine than there are cores for this one.
    pub fn beside_a_free_one() -> Option<Core> {
        let cores = rustix::thread::sched_getaffinity(None).ok()?.count() as usize;
        let wanting = wanting_to_run(&std::fs::read_to_string("/proc/loadavg").ok()?)?;
        (wanting < cores).then(|| Core(rustix::thread::sched_getcpu()))
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
pub enum Core {}

#[cfg(not(target_os = "linux"))]
impl Core {
    pub fn beside_a_free_one() -> Option<Core> {
        None
    }

    pub fn leave(self) {
        match self {}
    }
}

/// How many threads run or wait for a core: `0.20 0.18 0.12 1/80 11206`. Source: proc_loadavg(5).
#[cfg(target_os = "linux")]
fn wanting_to_run(text: &str) -> Option<usize> {
    text.split_ascii_whitespace().nth(3)?.split_once('/')?.0.parse().ok()
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
        let here = rustix::thread::sched_getcpu();
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

    #[test]
    fn threads_that_want_to_run_are_counted() {
        assert_eq!(wanting_to_run("0.20 0.18 0.12 1/80 11206\n"), Some(1));
        assert!(wanting_to_run(&std::fs::read_to_string("/proc/loadavg").unwrap()).is_some_and(|count| count > 0));
        for other in ["", "0.20 0.18 0.12", "0.20 0.18 0.12 1 11206", "0.20 0.18 0.12 x/80 11206"] {
            assert_eq!(wanting_to_run(other), None);
        }
    }
}
