//! Work shared among the cores.

mod core;
pub mod in_order;

use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{Builder, Scope, ScopedJoinHandle, available_parallelism, scope, yield_now};

use self::core::Core;

/// More threads than this gain nothing: the kernel's own locks become the limit.
const MOST_WORKERS: usize = 8;
/// Items that are one piece of work, where there are many: with fewer of them than two pieces, to start a thread takes longer
/// than it saves.
pub const PIECE: usize = 4096;

/// Does every job, the last one first, and returns what each worker has put together.
///
/// `wanted` bounds how many workers are worth their start.
pub fn share<Job: Send, Part: Default + Send>(
    jobs: Vec<Job>,
    wanted: usize,
    work: impl Fn(Job, &mut Part) -> Vec<Job> + Sync,
) -> Vec<Part> {
    let queue = Queue { jobs: Mutex::new((jobs, 0)), changed: Condvar::new() };
    let worker = || {
        let mut part = Part::default();
        let mut next = queue.first();
        while let Some(job) = next {
            next = queue.next(work(job, &mut part));
        }
        part
    };
    let workers = workers(wanted).min(MOST_WORKERS);
    scope(|scope| {
        // Where the system gives fewer threads, fewer share the work.
        let other = |_| spawn_apart(scope, worker).ok();
        let others: Vec<_> = (1..workers).map_while(other).collect();
        let mut parts = vec![worker()];
        parts.extend(others.into_iter().map(|other| other.join().expect("a worker does not panic")));
        parts
    })
}

/// The jobs that are left, and how many are being done: each of these may leave further ones.
struct Queue<Job> {
    jobs: Mutex<(Vec<Job>, usize)>,
    changed: Condvar,
}

impl<Job> Queue<Job> {
    /// Takes the first job of a worker; nothing once all are done.
    fn first(&self) -> Option<Job> {
        self.take(self.locked())
    }

    /// Takes the next one of a worker, whose last one has left these.
    fn next(&self, left: Vec<Job>) -> Option<Job> {
        let mut queue = self.locked();
        let (jobs, running) = &mut *queue;
        *running -= 1;
        let is_news = !left.is_empty() || (jobs.is_empty() && *running == 0);
        jobs.extend(left);
        if is_news {
            self.changed.notify_all();
        }
        self.take(queue)
    }

    fn take(&self, queue: MutexGuard<'_, (Vec<Job>, usize)>) -> Option<Job> {
        // Where others do the last jobs, they may still leave new ones.
        let waited = self.changed.wait_while(queue, |(jobs, running)| jobs.is_empty() && *running > 0);
        let mut queue = waited.unwrap_or_else(PoisonError::into_inner);
        let (jobs, running) = &mut *queue;
        let job = jobs.pop()?;
        *running += 1;
        Some(job)
    }

    fn locked(&self) -> MutexGuard<'_, (Vec<Job>, usize)> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts a thread of the scope, on another core than this one if one is free.
///
/// That is where systems put it. But in a small virtual machine a new thread may be left on the core where it was started:
/// there it waits for a few milliseconds, in which another core would have done the work. It must start no process, which
/// would be kept off this core too.
pub fn spawn_apart<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    work: impl FnOnce() -> T + Send + 'scope,
) -> io::Result<ScopedJoinHandle<'scope, T>> {
    let here = Core::beside_a_free_one();
    let thread = Builder::new().spawn_scoped(scope, move || {
        if let Some(here) = here {
            here.leave();
        }
        work()
    });
    if here.is_some() {
        // Where the new thread waits for this core, it gets it for as long as it takes to leave.
        yield_now();
    }
    thread
}

/// Does the work on all items, some of them at a time; it is given the place of the first of these.
pub fn each<T: Send>(items: &mut [T], work: impl Fn(usize, &mut [T]) + Sync) {
    let wanted = items.len() / PIECE;
    share(items.chunks_mut(PIECE).enumerate().collect(), wanted, |(index, piece), (): &mut ()| {
        work(index * PIECE, piece);
        Vec::new()
    });
}

/// Does the work on pieces of items that are to stay together.
pub fn each_piece<T: Send>(pieces: Vec<&mut [T]>, wanted: usize, work: impl Fn(&mut [T]) + Sync) {
    share(pieces, wanted, |piece, (): &mut ()| {
        work(piece);
        Vec::new()
    });
}

/// Puts the items in order; those that are equal keep theirs.
pub fn sort<T: Ord + Send>(items: &mut [T]) {
    // To compare numbers takes a few nanoseconds: a thread sorts thousands of them before another one has begun.
    const WORTH_A_THREAD: usize = 8 * PIECE;
    let workers = workers(items.len() / WORTH_A_THREAD);
    if workers > 1 {
        let part = items.len().div_ceil(workers);
        each_piece(items.chunks_mut(part).collect(), workers, <[T]>::sort);
    }
    // The sort of the standard library recognizes parts that are in order already, and only merges them.
    items.sort();
}

/// How many of the wanted workers have a core to run on; at least one.
///
/// Asking for the number of cores reads a dozen files of cgroups, so it is asked once, and not at all for one worker.
pub fn workers(wanted: usize) -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    let cores = || *CORES.get_or_init(|| available_parallelism().map_or(1, usize::from));
    if wanted > 1 { wanted.min(cores()) } else { 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_job_is_done_once_and_those_that_it_leaves_too() {
        let jobs = (1..=100).collect();
        let parts = share(jobs, 4, |job: u32, done: &mut Vec<u32>| {
            done.push(job);
            if job <= 100 { vec![job + 1000, job + 2000] } else { Vec::new() }
        });
        let mut done = parts.concat();
        done.sort_unstable();
        let expected: Vec<u32> = (1..=100).chain(1001..=1100).chain(2001..=2100).collect();
        assert_eq!(done, expected);
    }

    #[test]
    fn there_is_always_a_worker_and_never_more_than_wanted_or_than_cores() {
        let cores = available_parallelism().unwrap().get();
        for wanted in [0, 1, 2, cores, cores + 1, usize::MAX] {
            assert_eq!(workers(wanted), wanted.clamp(1, cores), "{wanted}");
        }
    }

    #[test]
    fn what_is_sorted_on_several_cores_is_in_order_and_equal_items_keep_theirs() {
        #[derive(Clone, Debug, Eq, PartialEq)]
        struct Item(usize, usize);
        impl PartialOrd for Item {
            fn partial_cmp(&self, other: &Item) -> Option<std::cmp::Ordering> {
                Some(self.cmp(other))
            }
        }
        impl Ord for Item {
            fn cmp(&self, other: &Item) -> std::cmp::Ordering {
                self.0.cmp(&other.0)
            }
        }
        for count in [0, 1, PIECE, 16 * PIECE + 1, 100_001] {
            let mut items: Vec<Item> = (0..count).map(|number| Item(number * 7919 % 1009, number)).collect();
            let mut expected = items.clone();
            expected.sort_by_key(|item| (item.0, item.1));
            sort(&mut items);
            assert!(items == expected, "{count}");
        }
    }

    #[test]
    fn each_item_is_worked_on_once_at_its_place() {
        for count in [0, 1, PIECE + 1, 50_001] {
            let mut items = vec![0; count];
            each(&mut items, |first, some| some.iter_mut().zip(first..).for_each(|(item, place)| *item += place));
            assert!(items.into_iter().eq(0..count), "{count}");
        }
    }

    #[test]
    fn no_jobs_are_no_work() {
        let parts = share(Vec::<u32>::new(), 1, |_, _: &mut Vec<u32>| Vec::new());
        assert!(parts.concat().is_empty());
    }
}
