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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_three_digits_are_separated_by_commas() {
        for (count, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (28_232, "28,232"), (1_234_567, "1,234,567")] {
            assert_eq!(thousands(count), text);
        }
    }
}
