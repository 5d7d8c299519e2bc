//! How long something may take, as it is typed: `500ms`, `30s`, `5m`.

use std::time::Duration;

use jiff::SignedDuration;

/// Reads a number with its unit, or several: `500ms`, `30s`, `5m`, `1h30m`. A bare number is refused: of what?
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let parsed = text.parse::<SignedDuration>().ok().and_then(|duration| Duration::try_from(duration).ok());
    parsed
        .ok_or_else(|| format!("`{text}` is not a duration: expected a number with its unit, such as 500ms, 30s or 5m"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_number_with_its_unit() {
        for (text, milliseconds) in [
            ("0s", 0),
            ("500ms", 500),
            ("30s", 30_000),
            ("30 s", 30_000),
            ("1.5s", 1500),
            ("5m", 300_000),
            ("1h30m", 5_400_000),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused_by_name() {
        for text in ["", "5", "s", "-5s", "5 parsecs", "1d", "99999999999999999999s", "5s ago"] {
            let message = parse_duration(text).unwrap_err();
            assert!(message.starts_with(&format!("`{text}` is not a duration: expected")), "{message}");
        }
    }
}
