//! Points in time as text.

use std::time::SystemTime;

use jiff::{Timestamp, Unit};

/// Writes the time in UTC to the second: `2026-11-23T20:48:00Z`.
pub fn rfc3339(time: SystemTime) -> String {
    // A clock outside the years -9999 to 9999 is not worth losing a listing for.
    let timestamp = Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH);
    timestamp.round(Unit::Second).unwrap_or(timestamp).to_string()
}
