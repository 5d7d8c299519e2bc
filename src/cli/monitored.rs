//! Whether a monitoring system asks: it has to get its kind of answer also when the command line is wrong.

use std::ffi::OsString;

/// Says whether `-o nagios` is among the arguments, in any of its spellings.
pub fn is_for_nagios(arguments: &[OsString]) -> bool {
    let words = arguments.iter().skip(1).map(|word| word.to_string_lossy());
    let mut is_value = false;
    for word in words.take_while(|word| word != "--") {
        if is_value && word == "nagios" {
            return true;
        }
        let short = word.strip_prefix('-').filter(|rest| !rest.starts_with('-'));
        let (flags, value) = match short.and_then(|rest| rest.split_once('o')) {
            Some((flags, value)) => (flags, Some(value.strip_prefix('=').unwrap_or(value))),
            None => ("", word.strip_prefix("--output=")),
        };
        if value == Some("nagios") && flags.bytes().all(|flag| flag.is_ascii_alphanumeric()) {
            return true;
        }
        is_value = (short.is_some() && value == Some("")) || word == "--output";
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_the_flag_is_seen() {
        for line in [
            "-o nagios",
            "-onagios",
            "-o=nagios",
            "--output nagios",
            "--output=nagios",
            "--bad -o nagios",
            "-Ho nagios",
        ] {
            let words = format!("portscope audit {line}");
            let words: Vec<OsString> = words.split(' ').map(OsString::from).collect();
            assert!(is_for_nagios(&words), "{line}");
        }
        for line in ["", "nagios", "-o json", "-o json nagios", "-- -o nagios", "--process nagios", "--output= nagios"]
        {
            let words = format!("portscope audit {line}");
            let words: Vec<OsString> = words.split(' ').map(OsString::from).collect();
            assert!(!is_for_nagios(&words), "{line}");
        }
    }
}
