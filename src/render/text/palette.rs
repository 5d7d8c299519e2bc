//! The colors of every page and screen. They are few, because each must be readable on white and on black.

/// What a color is used for. A word, a sign, or a column says the same.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Tone {
    /// What deserves a look: who can reach it, what has changed.
    Attention,
    /// What went wrong.
    Alarm,
}

impl Tone {
    /// The number of the color among the 16. Green, yellow, and cyan are hard to read on white, and blue on black.
    pub const fn color(self) -> u8 {
        match self {
            Tone::Attention => 5,
            Tone::Alarm => 1,
        }
    }

    /// Whether the text is bold, too: red alone is dark on a black console, which paints bold text brighter.
    pub const fn is_bold(self) -> bool {
        matches!(self, Tone::Alarm)
    }

    /// The text in this tone, where color is wanted.
    pub fn paint(self, text: &str, is_wanted: bool) -> String {
        let (bold, color) = (if self.is_bold() { "1;" } else { "" }, 30 + self.color());
        if is_wanted { format!("\x1b[{bold}{color}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Colors 1 and 5 of a terminal, as it paints them, and as it paints them in bold.
    type Painted = [[[u8; 3]; 2]; 2];

    const TERMINALS: [(&str, Painted); 3] = [
        ("xterm", [[[205, 0, 0], [205, 0, 0]], [[205, 0, 205], [205, 0, 205]]]),
        ("the console of Linux", [[[170, 0, 0], [255, 85, 85]], [[170, 0, 170], [255, 85, 255]]]),
        ("VS Code", [[[205, 49, 49], [205, 49, 49]], [[188, 63, 188], [188, 63, 188]]]),
    ];

    /// The relative luminance of a color. Source: WCAG 2.2.
    fn luminance(color: [u8; 3]) -> f64 {
        let part = |value: u8| {
            let value = f64::from(value) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * part(color[0]) + 0.7152 * part(color[1]) + 0.0722 * part(color[2])
    }

    fn contrast(one: [u8; 3], other: [u8; 3]) -> f64 {
        let (one, other) = (luminance(one) + 0.05, luminance(other) + 0.05);
        one.max(other) / one.min(other)
    }

    #[test]
    fn every_tone_can_be_read_on_white_and_on_black() {
        for tone in [Tone::Attention, Tone::Alarm] {
            let place =
                [1, 5].iter().position(|number| *number == tone.color()).expect("a color that is measured here");
            for (terminal, painted) in TERMINALS {
                let color = painted[place][usize::from(tone.is_bold())];
                for ground in [[255, 255, 255], [0, 0, 0]] {
                    let contrast = contrast(color, ground);
                    assert!(contrast >= 3.0, "{tone:?} of {terminal} on {ground:?}: {contrast}");
                }
            }
        }
    }

    #[test]
    fn the_measure_refuses_the_colors_that_cannot_be_read() {
        // Green, yellow, cyan, and bright yellow of xterm on white; its blue, and red of the console of Linux, on black.
        for color in [[0, 205, 0], [205, 205, 0], [0, 205, 205], [255, 255, 0]] {
            assert!(contrast(color, [255, 255, 255]) < 3.0, "{color:?}");
        }
        for color in [[0, 0, 238], [170, 0, 0]] {
            assert!(contrast(color, [0, 0, 0]) < 3.0, "{color:?}");
        }
    }

    #[test]
    fn nothing_is_painted_where_color_is_not_wanted() {
        assert_eq!(Tone::Alarm.paint("HIGH", true), "\x1b[1;31mHIGH\x1b[0m");
        assert_eq!(Tone::Attention.paint("MEDIUM", true), "\x1b[35mMEDIUM\x1b[0m");
        assert_eq!(Tone::Alarm.paint("HIGH", false), "HIGH");
    }
}
