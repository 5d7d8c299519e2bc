//! Points in time as text.

use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use jiff::tz::TimeZone;
use jiff::{Timestamp, Unit};

/// Writes the time in UTC to the second: `2026-11-23T20:48:00Z`.
pub fn rfc3339(time: SystemTime) -> String {
    // A clock outside the years -9999 to 9999 is not worth losing a listing for.
    let timestamp = Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH);
    timestamp.round(Unit::Second).unwrap_or(timestamp).to_string()
}

/// Writes the time in UTC with microseconds: `2026-11-23T20:48:00.012345Z`.
pub fn rfc3339_micros(time: SystemTime) -> String {
    let timestamp = Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH);
    format!("{timestamp:.6}")
}

/// The day and the time of day with microseconds, as a clock on the wall of this host shows them.
pub fn day_and_clock(time: SystemTime) -> (String, String) {
    let local = Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH).to_zoned_datetime(zone());
    (local.strftime("%Y-%m-%d").to_string(), local.strftime("%H:%M:%S%.6f").to_string())
}

/// The time of day to the minute, as a clock on the wall of this host shows it.
pub fn clock_minute(time: SystemTime) -> String {
    let local = Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH).to_zoned_datetime(zone());
    local.strftime("%H:%M").to_string()
}

/// The time zone of this host; UTC where it is not known. It is looked up once.
fn zone() -> TimeZone {
    static ZONE: OnceLock<TimeZone> = OnceLock::new();
    ZONE.get_or_init(|| TimeZone::try_system().unwrap_or(TimeZone::UTC)).clone()
}

/// A span of time that may be very short: `3 ms`, `1.5 s`, else as `span`.
pub fn short_span(length: Duration) -> String {
    match length.as_millis() {
        0 => format!("{} us", length.as_micros()),
        milliseconds @ 1..1000 => format!("{milliseconds} ms"),
        1000..60_000 => format!("{:.1} s", length.as_secs_f64()),
        _ => span(length),
    }
}

/// How long something was open. A record has whole milliseconds, so nothing of them is not no time.
pub fn lifetime(length: Duration) -> String {
    if length.is_zero() { "under 1 ms".to_owned() } else { short_span(length) }
}

/// Writes a span of time in its two largest units: `12 s`, `5 min 3 s`, `3 h 12 min`, `4 d 6 h`.
pub fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let two = |large: u64, unit: &str, small: u64, small_unit: &str| match small {
        0 => format!("{large} {unit}"),
        small => format!("{large} {unit} {small} {small_unit}"),
    };
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => two(minutes, "min", seconds % 60, "s"),
        3600..86_400 => two(hours, "h", minutes % 60, "min"),
        86_400.. => two(days, "d", hours % 24, "h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_told_in_its_two_largest_units() {
        for (seconds, shown) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (3599, "59 min 59 s"),
            (3600, "1 h"),
            (11_520, "3 h 12 min"),
            (86_399, "23 h 59 min"),
            (86_400, "1 d"),
            (367_199, "4 d 5 h"),
        ] {
            assert_eq!(span(Duration::from_secs(seconds)), shown);
        }
    }
}
