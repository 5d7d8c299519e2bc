//! Signals that ask the program to end.

use std::io;
#[cfg(unix)]
use std::io::Read;
#[cfg(unix)]
use std::os::{fd::AsFd, unix::net::UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::collect::Wait;

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

/// Says whether the program was asked to end while it has the terminal. Until the terminal is restored, further signals
/// change nothing.
#[derive(Clone, Debug)]
pub struct AskedAtTerminal {
    end: Arc<AtomicBool>,
    interrupt: Arc<AtomicBool>,
}

impl AskedAtTerminal {
    /// From now on SIGINT, SIGTERM and SIGHUP are only noted.
    pub fn watch() -> io::Result<AskedAtTerminal> {
        let asked = AskedAtTerminal { end: Arc::default(), interrupt: Arc::default() };
        flag::register(SIGINT, Arc::clone(&asked.interrupt))?;
        flag::register(SIGTERM, Arc::clone(&asked.end))?;
        #[cfg(unix)]
        flag::register(signal_hook::consts::SIGHUP, Arc::clone(&asked.end))?;
        Ok(asked)
    }

    /// Whether it was asked to.
    pub fn is_so(&self) -> bool {
        self.end.load(Ordering::Relaxed) || self.interrupt.load(Ordering::Relaxed)
    }

    /// Whether it was interrupted by Ctrl-C since this was last asked, which is an answer to a question and no more.
    pub fn is_interrupted(&self) -> bool {
        self.interrupt.swap(false, Ordering::Relaxed)
    }
}

/// Says whether the program was asked to stop (SIGTSTP), and whether it goes on after it was stopped (SIGCONT).
#[derive(Clone, Debug, Default)]
pub struct Stopped {
    stop: Arc<AtomicBool>,
    goes_on: Arc<AtomicBool>,
}

impl Stopped {
    /// From now on SIGTSTP is only noted.
    #[cfg(unix)]
    pub fn watch() -> io::Result<Stopped> {
        let stopped = Stopped::default();
        flag::register(signal_hook::consts::SIGTSTP, Arc::clone(&stopped.stop))?;
        flag::register(signal_hook::consts::SIGCONT, Arc::clone(&stopped.goes_on))?;
        Ok(stopped)
    }

    /// The same, where no such signals exist.
    #[cfg(not(unix))]
    #[expect(clippy::unnecessary_wraps, reason = "the other systems may refuse")]
    pub fn watch() -> io::Result<Stopped> {
        Ok(Stopped::default())
    }

    /// Whether it was asked to stop since this was last asked.
    pub fn is_asked(&self) -> bool {
        self.stop.swap(false, Ordering::Relaxed)
    }

    /// Whether it was stopped and goes on since this was last asked.
    pub fn has_gone_on(&self) -> bool {
        self.goes_on.swap(false, Ordering::Relaxed)
    }
}

/// Ends a wait as soon as something is typed, the terminal changes its size, or a signal comes that is noted above.
#[derive(Debug)]
pub struct Alarm {
    #[cfg(unix)]
    signals: UnixStream,
    #[cfg(unix)]
    input: io::Stdin,
}

impl Alarm {
    /// Sets it, after what notes the signals: a wait ends when they are noted.
    #[cfg(unix)]
    pub fn set() -> io::Result<Alarm> {
        use signal_hook::consts::{SIGCONT, SIGHUP, SIGTSTP, SIGWINCH};
        let (signals, ring) = UnixStream::pair()?;
        signals.set_nonblocking(true)?;
        for signal in [SIGINT, SIGTERM, SIGHUP, SIGTSTP, SIGCONT, SIGWINCH] {
            signal_hook::low_level::pipe::register(signal, ring.try_clone()?)?;
        }
        Ok(Alarm { signals, input: io::stdin() })
    }

    /// The same, where a console cannot be waited for together with other things: waits are short there.
    #[cfg(not(unix))]
    #[expect(clippy::unnecessary_wraps, reason = "the other systems may refuse")]
    pub fn set() -> io::Result<Alarm> {
        Ok(Alarm {})
    }

    /// A wait that it ends.
    #[cfg(unix)]
    pub fn wait(&self, most: Duration) -> Wait<'_> {
        Wait { most, others: vec![self.signals.as_fd(), self.input.as_fd()] }
    }

    /// A wait that is short.
    #[cfg(not(unix))]
    pub fn wait(&self, most: Duration) -> Wait<'_> {
        Wait::from(most.min(Duration::from_millis(30)))
    }

    /// Makes it ready for the next signal: before it is looked at which ones have come.
    pub fn rearm(&self) {
        #[cfg(unix)]
        while matches!((&self.signals).read(&mut [0; 64]), Ok(1..)) {}
    }
}

/// Stops the program until it is resumed. The terminal must have been restored before.
#[cfg(unix)]
pub fn stop() -> io::Result<()> {
    signal_hook::low_level::raise(signal_hook::consts::SIGSTOP)
}

/// The same, where programs cannot be stopped.
#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "the other systems may refuse")]
pub fn stop() -> io::Result<()> {
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_signal_ends_a_wait_once() {
        let alarm = Alarm::set().unwrap();
        // What is typed at these tests is another matter.
        let waits = |most| Wait { most, others: vec![alarm.signals.as_fd()] }.sleep();
        assert!(waits(Duration::from_millis(1)));
        signal_hook::low_level::raise(signal_hook::consts::SIGWINCH).unwrap();
        assert!(!waits(Duration::from_mins(1)));
        alarm.rearm();
        assert!(waits(Duration::from_millis(1)));
    }
}
