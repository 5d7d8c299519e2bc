//! Parses what `netsh` of Windows prints about ports. No documented system call returns the excluded ranges.
//!
//! The text is in the user's language and the console's code page, so only numbers and the form of lines are used.

use crate::model::{Port, PortRange};

/// Reads `netsh interface ipv4 show dynamicport`: two lines that end in a number, the start and how many there are.
pub fn dynamic_range(text: &[u8]) -> Option<PortRange> {
    let numbers: Vec<u32> = text.split(|byte| *byte == b'\n').filter_map(number_at_end).collect();
    let [start, count] = numbers[..] else { return None };
    range(start, start.checked_add(count.checked_sub(1)?)?)
}

/// Reads `netsh interface ipv4 show excludedportrange`: below a line of dashes the first and the last port of each range,
/// with a `*` behind those that an administrator set apart. Nothing where there is no such table.
pub fn excluded_ranges(text: &[u8]) -> Option<Vec<PortRange>> {
    let mut lines = text.split(|byte| *byte == b'\n').map(words);
    lines.find(|words| words.len() == 2 && words.iter().all(|word| word.iter().all(|byte| *byte == b'-')))?;
    // A line that explains the asterisk follows the table.
    let of_table = lines.filter(|words| words.len() >= 2 && words[..2].iter().all(|word| number(word).is_some()));
    of_table.map(|words| range(number(words[0])?, number(words[1])?)).collect()
}

/// Joins ranges that overlap or touch, in the order of their ports.
pub fn united(mut ranges: Vec<PortRange>) -> Vec<PortRange> {
    ranges.sort_unstable_by_key(|range| range.first());
    let mut united: Vec<PortRange> = Vec::new();
    for range in ranges {
        let joined = united.last_mut().filter(|last| last.last().get().saturating_add(1) >= range.first().get());
        match joined.and_then(|last| Some((PortRange::new(last.first(), last.last().max(range.last()))?, last))) {
            Some((both, last)) => *last = both,
            None => united.push(range),
        }
    }
    united
}

fn number_at_end(line: &[u8]) -> Option<u32> {
    let line = line.trim_ascii_end();
    let before = line.iter().rposition(|byte| !byte.is_ascii_digit())?;
    number(&line[before + 1..])
}

fn words(line: &[u8]) -> Vec<&[u8]> {
    line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).collect()
}

fn number(word: &[u8]) -> Option<u32> {
    std::str::from_utf8(word).ok().filter(|word| word.bytes().all(|byte| byte.is_ascii_digit()))?.parse().ok()
}

fn range(first: u32, last: u32) -> Option<PortRange> {
    PortRange::new(Port::new(u16::try_from(first).ok()?), Port::new(u16::try_from(last).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dynamic_range_is_read_in_any_language() {
        let english = b"\r\nProtocol tcp Dynamic Port Range\r\n---------------------------------\r\nStart Port      : 49152\r\nNumber of Ports : 16384\r\n\r\n";
        let german = b"\r\nDynamischer Portbereich f\x81r Protokoll tcp\r\n---\r\nStartport          : 1024\r\nAnzahl von Ports   : 64511\r\n";
        assert_eq!(dynamic_range(english).unwrap().to_string(), "49152-65535");
        assert_eq!(dynamic_range(german).unwrap().to_string(), "1024-65534");
    }

    #[test]
    fn what_is_no_range_is_not_taken_for_one() {
        for text in
            ["", "The following command was not found", "a : 1\r\nb : 0", "a : 65000\nb : 1000", "a : 1\nb : 2\nc : 3"]
        {
            assert_eq!(dynamic_range(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn excluded_ranges_are_the_pairs_of_numbers_below_the_dashes() {
        let text = b"\r\nProtocol tcp Port Exclusion Ranges\r\n\r\nStart Port    End Port      \r\n----------    --------      \r\n        80          80      \r\n      5357        5357      \r\n     50000       50059     *\r\n\r\n* - Administered port exclusions.\r\n\r\n";
        let shown: Vec<String> = excluded_ranges(text).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["80", "5357", "50000-50059"]);
        assert_eq!(excluded_ranges(b"Start Port    End Port\r\n----------    --------\r\n\r\n"), Some(Vec::new()));
    }

    #[test]
    fn what_is_no_table_of_excluded_ranges_is_not_taken_for_an_empty_one() {
        for text in ["", "1 2\n", "Access is denied.\n", "---- ----\n 70000 70001\n", "---- ----\n 9 8\n"] {
            assert_eq!(excluded_ranges(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn ranges_that_touch_are_one() {
        let ranges = ["5357", "80-90", "50-79", "85", "65535", "65530-65535"].map(|text| text.parse().unwrap());
        let shown: Vec<String> = united(ranges.to_vec()).iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["50-90", "5357", "65530-65535"]);
    }
}
