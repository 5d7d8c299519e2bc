//! How a factory can fail, and waiting for what the kernel does in its own time.

use std::fmt;
use std::io;
use std::time::{Duration, Instant};

/// How long a condition may take to become true, on a loaded machine.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// Why there is nothing to report.
#[derive(Debug)]
pub enum Failure {
    /// It should have worked.
    Error(String),
    /// It cannot work with this kernel or this user.
    Skipped(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error(why) => write!(formatter, "mkports: {why}"),
            Self::Skipped(why) => write!(formatter, "skipped: {why}"),
        }
    }
}

/// What factories and their parts return.
pub type Outcome<T> = Result<T, Failure>;

/// Says what was being done when a system call failed.
pub trait Context<T> {
    /// Any error stops the program with exit code 1.
    fn context(self, what: &str) -> Outcome<T>;

    /// A refusal that comes from the kernel's configuration or from missing privilege becomes exit code 77.
    fn or_skip(self, what: &str) -> Outcome<T>;
}

impl<T, E: Into<io::Error>> Context<T> for Result<T, E> {
    fn context(self, what: &str) -> Outcome<T> {
        self.map_err(|error| Failure::Error(format!("cannot {what}: {}", error.into())))
    }

    fn or_skip(self, what: &str) -> Outcome<T> {
        const REFUSALS: [i32; 9] = [
            libc::EPERM,
            libc::EACCES,
            libc::ENOSYS,
            libc::ENODEV,
            libc::ENOENT,
            libc::ENOPROTOOPT,
            libc::EOPNOTSUPP,
            libc::EPROTONOSUPPORT,
            libc::EAFNOSUPPORT,
        ];
        self.map_err(|error| {
            let error = error.into();
            let text = format!("cannot {what}: {error}");
            match error.raw_os_error() {
                Some(code) if REFUSALS.contains(&code) => Failure::Skipped(text),
                _ => Failure::Error(text),
            }
        })
    }
}

/// Asks `probe` again and again until it has an answer; an error once [`DEADLINE`] has passed.
pub fn wait_until<T>(what: &str, mut probe: impl FnMut() -> Outcome<Option<T>>) -> Outcome<T> {
    let start = Instant::now();
    loop {
        if let Some(answer) = probe()? {
            return Ok(answer);
        }
        if start.elapsed() > DEADLINE {
            return Err(Failure::Error(format!("waited {} s for: {what}", DEADLINE.as_secs())));
        }
        std::thread::sleep(Duration::from_millis(1)); // the interval of the question, not the answer
    }
}
