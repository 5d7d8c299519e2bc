//! What the screen of `watch` says about what was asked of it.

use std::time::Duration;

use crate::model::Ways;
use crate::render::text::{number, time};
use crate::render::words::event;

/// Why a key does nothing in a record.
pub const NOT_IN_A_RECORD: &str = "not available in a record: it may be of another machine";
/// What comes after the last event of a record.
pub const END_OF_RECORD: &str = "end of the record";
/// What ends a command that the screen has made way for.
pub const RETURN: &str = "Press Enter to return to the screen.";
/// Why there is no screen.
pub const NEEDS_TERMINAL: &str =
    "watch needs a terminal that can move its cursor; use `portscope events` to print changes line by line";
/// Why keys cannot come from where the record does.
pub const NEEDS_KEYS: &str = "watch reads keys from standard input: name a file after --from";

/// How long ago a socket was closed, and how long it had been open: the longest form first.
pub fn closed(ago: Duration, lived: Option<Duration>) -> Vec<String> {
    let closed = format!("closed {} s", ago.as_secs());
    let whole = lived.map(|lived| format!("{closed}, {}", self::lived(lived)));
    whole.into_iter().chain([closed, "closed".to_owned()]).collect()
}

/// How long a socket was open that is closed.
pub fn lived(span: Duration) -> String {
    format!("lived {}", time::lifetime(span))
}

/// Where a snapshot was saved.
pub fn saved(name: &str) -> String {
    format!("saved {name}")
}

/// Why a replay cannot have this speed.
pub fn not_a_speed(text: &str) -> String {
    format!("`{text}` is not a speed: expected 0.01 to 10000, such as 2 for twice as fast")
}

/// Whether traffic is shown from now on.
pub fn traffic(is_shown: bool) -> &'static str {
    if is_shown { "traffic: on (bytes per second of TCP connections)" } else { "traffic: off" }
}

/// That rates are too low, as so many connections at most ended unseen.
pub fn lost_traffic(connections: u64) -> String {
    let noun = if connections == 1 { "connection" } else { "connections" };
    let count = number::thousands(usize::try_from(connections).unwrap_or(usize::MAX));
    format!("rates are too low: the last bytes of up to {count} {noun} were lost (too many ended at once)")
}

/// What is not seen of the machine, and what would help.
pub fn unseen(ways: &Ways, program: Option<&std::path::Path>) -> Vec<String> {
    let (line, hint) = event::unseen(ways, program);
    let hint = hint.map(|hint| format!("hint: {}", hint.replace(" events", " watch")));
    std::iter::once(line).chain(hint).collect()
}
