//! What came of waiting.

use std::time::Duration;

use crate::analyse::wait::{Goal, Outcome, Place};
use crate::model::{BindError, Row};
use crate::render::text::safe::Charset;
use crate::render::words::socket;

/// The lines of a port that is as it should be: who holds it.
pub fn reached(goal: Goal, outcome: &Outcome<'_, '_>, charset: Charset) -> Vec<String> {
    match goal {
        Goal::Listening => outcome
            .rows
            .iter()
            .map(|row| format!("{}: {}", socket::socket(row, charset), socket::all(row, charset)))
            .collect(),
        Goal::Free => vec![free(&outcome.place, &outcome.rows)],
    }
}

/// `tcp 8080 is free`, and what is left of connections.
pub fn free(place: &Place, rows: &[&Row<'_>]) -> String {
    let line = format!("{place} is free");
    let left = rows.iter().filter(|row| row.is_connection()).count();
    format!("{line}{}", connections_left(left))
}

/// Says that ports are free after `kill` or `close` made them so.
pub fn freed(targets: &str, connections: usize) -> String {
    format!("{targets} is free{}", connections_left(connections))
}

/// What is left on a port that is free: it keeps a server from the port only where that is strict about it.
fn connections_left(count: usize) -> String {
    match count {
        0 => String::new(),
        1 => "; 1 old connection remains, which only blocks programs that do not set SO_REUSEADDR".to_owned(),
        _ => format!("; {count} old connections remain, which only block programs that do not set SO_REUSEADDR"),
    }
}

/// Why a server cannot have a port on which nothing listens.
pub fn refused(refusal: &BindError, rows: &[&Row<'_>], charset: Charset) -> String {
    let line = format!("a bind with SO_REUSEADDR fails with {}", refusal.name());
    match rows.iter().find(|row| row.is_connection()).or_else(|| rows.first()) {
        Some(row) => {
            let left =
                row.socket.time_left().map(|left| format!(" ({} s left)", left.as_secs() + 1)).unwrap_or_default();
            format!("{line}, because of {}{left}", socket::socket_and_holders(row, charset))
        }
        None => format!("{line}, and no socket that this run can see is on it"),
    }
}

/// `timed out after 30s: nothing is listening on tcp 8080`; without a limit nothing has timed out.
pub fn timed_out(limit: Duration, line: &str) -> String {
    if limit.is_zero() { line.to_owned() } else { format!("timed out after {limit:?}: {line}") }
}

/// What is shown while a person waits.
pub fn waiting(ports: &[String], goal: Goal) -> String {
    let goal = match goal {
        Goal::Free => "to be free",
        Goal::Listening => "to accept connections",
    };
    format!("waiting for {} {goal}", ports.join(", "))
}

/// More sockets that were seen instead are only counted.
const MOST_SEEN: usize = 3;

/// The line of a port that is not as it should be: what was seen instead.
pub fn missed(goal: Goal, outcome: &Outcome<'_, '_>, wanted: &[String], charset: Charset) -> String {
    let place = &outcome.place;
    if let Some(refusal) = &outcome.refusal {
        return format!("{place} is not free: {}", refused(refusal, &outcome.rows, charset));
    }
    let line = match goal {
        Goal::Listening if wanted.is_empty() => format!("nothing is listening on {place}"),
        Goal::Listening => format!("no process named {} is listening on {place}", wanted.join(" or ")),
        Goal::Free => format!("{place} is not free"),
    };
    let seen = |row: &&Row<'_>| socket::socket_and_holders(row, charset);
    let mut instead: Vec<String> = outcome.rows.iter().take(MOST_SEEN).map(seen).collect();
    if outcome.rows.len() > MOST_SEEN {
        instead.push(format!("{} more", outcome.rows.len() - MOST_SEEN));
    }
    if instead.is_empty() { line } else { format!("{line}: {}", instead.join(", ")) }
}
