//! What the owners of sockets run, and the projects of the folders that they work in.
//!
//! Reading may wait for a file system that never answers, so threads in the background do it, and are abandoned after a
//! while. What was not read by then is unknown.

mod folder;
mod mounts;
mod rights;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use self::folder::Folders;
use self::rights::Rights;
use super::holdings::{Held, Holdings};
use super::opened::{Handles, Opened};
use super::owners::ProcessFacts;
use super::process_files::{MOST_ARGV, link, read, split_arguments};
use super::procfs;
use crate::collect::runs;
use crate::model::{Inode, Need, Pid, Process, Project, ProjectSource};
use crate::parallel;

/// How long may pass without any answer before the workers are taken to wait for a file system that does not answer.
const PATIENCE: Duration = Duration::from_millis(200);
/// No run waits longer than this for all the answers together.
const MOST_PATIENCE: Duration = Duration::from_secs(2);
/// How many workers may be abandoned; each of them is a thread that waits forever.
const MOST_LOST: usize = 4;
/// More workers gain nothing.
const MOST_WORKERS: usize = 4;

/// One process to be asked.
struct Job {
    pid: Pid,
    held: Vec<(u32, Inode)>,
    wants_project: bool,
    /// The rights that it was seen to have.
    rights: Option<Rights>,
}

/// What was learned about a process.
#[derive(Debug, Default)]
struct Answer {
    runs: Option<OsString>,
    cwd: Option<PathBuf>,
    project: Option<Project>,
}

/// Workers that read in the background.
pub struct Looking {
    jobs: Arc<Vec<Job>>,
    next: Arc<AtomicUsize>,
    wants_runs: bool,
    answers: Arc<Answers>,
    handles: Arc<Handles>,
}

/// What was learned so far. Who waits for it is woken at the end alone: to be woken takes longer than to find an answer.
struct Answers {
    found: Mutex<Found>,
    is_complete: Condvar,
}

struct Found {
    answers: Vec<(Pid, Answer)>,
    /// How many answers are to come.
    left: usize,
}

impl Answers {
    fn of(jobs: &[Job]) -> Answers {
        let found = Found { answers: Vec::with_capacity(jobs.len()), left: jobs.len() };
        Answers { found: Mutex::new(found), is_complete: Condvar::new() }
    }

    fn add(&self, pid: Pid, answer: Answer) {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.answers.push((pid, answer));
        found.left -= 1;
        if found.left == 0 {
            self.is_complete.notify_one();
        }
    }

    /// What has come after all answers are there, or after a while; and how many are still to come.
    fn take(&self) -> (Vec<(Pid, Answer)>, usize) {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.is_complete.wait_timeout_while(found, PATIENCE, |found| found.left > 0);
        let (mut found, _) = waited.unwrap_or_else(PoisonError::into_inner);
        (std::mem::take(&mut found.answers), found.left)
    }
}

impl Looking {
    /// Starts reading about the processes that hold something, if that is needed. Projects are read only for those that
    /// listen.
    pub fn start(holdings: &Holdings, facts: &ProcessFacts, need: &Need) -> Option<Looking> {
        let job = |(pid, held): (&Pid, &Held)| {
            let wants_project = need.project && (held.listens || need.dossier);
            let rights = || Rights::seen(facts.get(pid)?.rights.as_ref()?);
            (need.runs || wants_project).then(|| Job {
                pid: *pid,
                held: held.proofs.clone(),
                wants_project,
                rights: wants_project.then(rights).flatten(),
            })
        };
        let jobs: Vec<Job> = holdings.processes.iter().filter_map(job).collect();
        if jobs.is_empty() {
            return None;
        }
        let workers = parallel::workers((jobs.len() / procfs::WORTH_A_WORKER + 1).min(MOST_WORKERS));
        let answers = Arc::new(Answers::of(&jobs));
        let next = Arc::new(AtomicUsize::new(0));
        let handles = Arc::clone(&holdings.handles);
        let looking = Looking { jobs: Arc::new(jobs), next, wants_runs: need.runs, answers, handles };
        (0..workers).for_each(|_| looking.add_worker());
        Some(looking)
    }

    /// Starts a worker; where the system gives no thread, what would be read stays unknown.
    fn add_worker(&self) {
        let (jobs, next, answers) = (Arc::clone(&self.jobs), Arc::clone(&self.next), Arc::clone(&self.answers));
        let handles = Arc::clone(&self.handles);
        let wants_runs = self.wants_runs;
        let work = move || {
            let mut folders = Folders::default();
            while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                answers.add(job.pid, answer(job, &handles, wants_runs, &mut folders));
                if folders.is_stranded() {
                    break;
                }
            }
        };
        let _ = std::thread::Builder::new().name("whose".to_owned()).spawn(work);
    }

    /// Waits for the answers and adds them to what is known of the processes.
    pub fn finish(self, processes: &mut BTreeMap<Pid, Process>) {
        self.take_answers(processes);
        // A worker that never comes back keeps no more than the process that it is about.
        self.handles.close();
    }

    fn take_answers(&self, processes: &mut BTreeMap<Pid, Process>) {
        let until = Instant::now() + MOST_PATIENCE;
        let mut lost = 0;
        loop {
            let (answers, left) = self.answers.take();
            if answers.is_empty() && left > 0 {
                lost += 1;
                if self.next.load(Ordering::Relaxed) >= self.jobs.len() || lost > MOST_LOST {
                    return;
                }
                self.add_worker();
            }
            for (pid, answer) in answers {
                if let Some(process) = processes.get_mut(&pid) {
                    process.runs = process.runs.take().or(answer.runs);
                    process.cwd = process.cwd.take().or(answer.cwd);
                    process.project = answer.project;
                }
            }
            if left == 0 || Instant::now() >= until {
                return;
            }
        }
    }
}

/// A container that Compose made is of its project, whatever the folders inside of it are.
pub fn prefer_compose(processes: &mut BTreeMap<Pid, Process>) {
    for process in processes.values_mut() {
        let container = process.belonging.as_ref().and_then(|belonging| belonging.container.as_ref());
        if let Some(name) = container.and_then(|container| container.compose.as_ref()) {
            let source = ProjectSource::Compose;
            process.project = Some(Project { name: name.into(), branch: None, folder: None, source });
        }
    }
}

fn answer(job: &Job, handles: &Handles, wants_runs: bool, folders: &mut Folders) -> Answer {
    let Some(opened) = handles.open(job.pid, &job.held) else { return Answer::default() };
    let directory = opened.directory.as_fd();
    let mut answer = Answer { runs: wants_runs.then(|| runs_of(&opened)).flatten(), ..Answer::default() };
    if job.wants_project {
        answer.cwd = link(directory, "cwd").map(PathBuf::from);
        let cwd = answer.cwd.as_deref().filter(|cwd| cwd.is_absolute() && *cwd != Path::new("/"));
        answer.project = cwd.and_then(|_| folders.project_of(directory, job.rights.as_ref()));
    }
    answer
}

/// What it runs; the arguments are read only of interpreters.
fn runs_of(opened: &Opened) -> Option<OsString> {
    let directory = opened.directory.as_fd();
    let is_interpreter = |name: &OsStr| runs::is_interpreter(name);
    let of_comm = || {
        use std::os::unix::ffi::OsStrExt;
        read(directory, "comm", 64).is_ok_and(|name| is_interpreter(OsStr::from_bytes(name.trim_ascii_end())))
    };
    let of_file = match &opened.exe {
        Some(exe) => {
            let exe = exe.to_str().map_or(exe.as_os_str(), |exe| OsStr::new(exe.trim_end_matches(" (deleted)")));
            Path::new(exe).file_name().is_some_and(is_interpreter)
        }
        // The process belongs to another user; its name is readable all the same.
        None => of_comm(),
    };
    if !of_file {
        return None;
    }
    runs::runs(&split_arguments(&read(directory, "cmdline", MOST_ARGV).ok()?))
}

/// The readers of a process's files.
#[cfg(any(feature = "fuzzing", test))]
pub mod fuzzing {
    /// Reads the bytes as each of the files.
    pub fn files(bytes: &[u8]) {
        let _ = super::rights::Rights::parse(bytes);
        super::mounts::parse(bytes).for_each(drop);
    }
}

#[cfg(test)]
mod tests;
