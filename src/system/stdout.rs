//! Standard output as it was handed to the process.
//!
//! Before `main`, Rust's runtime puts `/dev/null` in the place of a closed descriptor 0, 1 or 2, and its own
//! `Stdout` takes a failed write for success. Both would lose the answer silently, so descriptor 1 is looked at
//! before the runtime starts.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

static WAS_CLOSED: AtomicBool = AtomicBool::new(false);

#[cfg(unix)]
mod before_main {
    use std::sync::atomic::Ordering;

    #[ctor::ctor(unsafe)]
    fn look_at_stdout() {
        // SAFETY: the descriptor is only asked for its flags; a closed one answers EBADF.
        let stdout = unsafe { std::os::fd::BorrowedFd::borrow_raw(1) };
        super::WAS_CLOSED.store(rustix::io::fcntl_getfd(stdout).is_err(), Ordering::Relaxed);
    }
}

/// Returns standard output, in large blocks; every write fails when it was closed from the start.
pub fn standard_output() -> Box<dyn Write> {
    if WAS_CLOSED.load(Ordering::Relaxed) {
        return Box::new(Closed);
    }
    Box::new(io::BufWriter::with_capacity(128 * 1024, descriptor()))
}

/// The descriptor itself: Rust's `Stdout` looks for the last line break in everything that it is given.
#[cfg(unix)]
fn descriptor() -> Box<dyn Write> {
    use std::os::fd::AsFd;
    match io::stdout().as_fd().try_clone_to_owned() {
        Ok(descriptor) => Box::new(std::fs::File::from(descriptor)),
        Err(_) => Box::new(io::stdout()),
    }
}

/// A console takes Unicode only through `Stdout`.
#[cfg(not(unix))]
fn descriptor() -> io::Stdout {
    io::stdout()
}

struct Closed;

impl Write for Closed {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::Error::other("standard output is closed"))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
