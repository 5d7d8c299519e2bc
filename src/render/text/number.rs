//! Numbers in sentences.

/// Writes a count with a comma between each group of three digits: `65,536`. Only for prose, never for data.
pub fn thousands(count: usize) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Writes a number of bytes in the largest unit that it fills, as `ls -h` does: `512`, `1.2K`, `34M`.
pub fn bytes(count: u64) -> String {
    let mut unit = "";
    // Tenths of the unit; rounded up, as the other tools do.
    let mut tenths = u128::from(count) * 10;
    for next in ["K", "M", "G", "T", "P", "E"] {
        if tenths < 10_240 {
            break;
        }
        (unit, tenths) = (next, tenths.div_ceil(1024));
    }
    match (unit, tenths) {
        ("", tenths) => (tenths / 10).to_string(),
        (unit, tenths @ ..100) => format!("{}.{}{unit}", tenths / 10, tenths % 10),
        (unit, tenths) => format!("{}{unit}", tenths.div_ceil(10)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_told_in_the_largest_unit_that_they_fill() {
        for (count, text) in [
            (0, "0"),
            (1023, "1023"),
            (1024, "1.0K"),
            (1025, "1.1K"),
            (10_240, "10K"),
            (1_500_000, "1.5M"),
            (3 << 30, "3.0G"),
            (u64::MAX, "16E"),
        ] {
            assert_eq!(bytes(count), text);
        }
    }

    #[test]
    fn groups_of_three_digits_are_separated_by_commas() {
        for (count, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (28_232, "28,232"), (1_234_567, "1,234,567")] {
            assert_eq!(thousands(count), text);
        }
    }
}
