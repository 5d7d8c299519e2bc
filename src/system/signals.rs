//! Signals that ask the program to end.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// From now on a file that may not grow further (RLIMIT_FSIZE) is an error of the write, and does not end the program.
#[cfg(unix)]
pub fn outlive_full_files() {
    // Without the handler the program still ends as the system has it, which no write can tell.
    let _ = flag::register(signal_hook::consts::SIGXFSZ, Arc::new(AtomicBool::new(false)));
}

/// The same, where no such signal exists.
#[cfg(not(unix))]
pub fn outlive_full_files() {}

/// Says whether the program was asked to end. A second signal ends it at once.
#[derive(Clone, Debug)]
pub struct Asked(Arc<AtomicBool>);

impl Asked {
    /// From now on SIGINT and SIGTERM are only noted.
    pub fn to_end() -> io::Result<Asked> {
        let asked = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            // In this order: the first signal only sets the flag, since the flag is looked at before.
            flag::register_conditional_default(signal, Arc::clone(&asked))?;
            flag::register(signal, Arc::clone(&asked))?;
        }
        Ok(Asked(asked))
    }

    /// Whether that was so.
    pub fn is_so(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
