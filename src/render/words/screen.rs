//! What the screen of `watch` says about what was asked of it.

use crate::model::Ways;
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

/// What is not seen of the machine, and what would help.
pub fn unseen(ways: &Ways, program: Option<&std::path::Path>) -> Vec<String> {
    let (line, hint) = event::unseen(ways, program);
    let hint = hint.map(|hint| format!("hint: {}", hint.replace(" events", " watch")));
    std::iter::once(line).chain(hint).collect()
}
