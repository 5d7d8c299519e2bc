//! What was typed and not read yet.

/// Forgets what was typed and not read yet.
#[cfg(unix)]
pub fn discard_input() {
    // Where standard input is no terminal nothing was typed.
    let _ = rustix::termios::tcflush(std::io::stdin(), rustix::termios::QueueSelector::IFlush);
}

/// The same, where a console has no such call: what was typed is read as an answer.
#[cfg(not(unix))]
pub fn discard_input() {}
