//! What is typed.

use std::io::BufRead;

/// Forgets what was typed and not read yet.
#[cfg(unix)]
pub fn discard_input() {
    // Where standard input is no terminal nothing was typed.
    let _ = rustix::termios::tcflush(std::io::stdin(), rustix::termios::QueueSelector::IFlush);
}

/// The same, where a console has no such call: what was typed is read as an answer.
#[cfg(not(unix))]
pub fn discard_input() {}

/// What a person types, line by line, until `is_over` says that nobody waits for it any more; then it is at its end.
#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "not every system has it")]
pub fn answers(is_over: impl Fn() -> bool + 'static) -> Option<Box<dyn BufRead>> {
    Some(Box::new(std::io::BufReader::new(Answers(is_over))))
}

/// The same, where a console cannot be waited for: what it reads is read as ever.
#[cfg(not(unix))]
pub fn answers(_is_over: impl Fn() -> bool + 'static) -> Option<Box<dyn BufRead>> {
    None
}

/// Standard input for as long as somebody waits for it.
#[cfg(unix)]
struct Answers<F>(F);

#[cfg(unix)]
impl<F: Fn() -> bool> std::io::Read for Answers<F> {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        // A signal ends the wait; one that comes just before it is noticed after this time.
        const MOMENT: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
        let input = std::io::stdin();
        while !(self.0)() {
            let mut wanted = [PollFd::new(&input, PollFlags::IN)];
            if poll(&mut wanted, Some(&MOMENT)).is_ok_and(|ready| ready > 0) {
                return Ok(rustix::io::read(&input, bytes)?);
            }
        }
        Ok(0)
    }
}
