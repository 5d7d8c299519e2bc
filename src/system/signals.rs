//! Signals that ask the program to end.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

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
