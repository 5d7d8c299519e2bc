//! A sign of life on a terminal while a command waits; no other file names indicatif.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::render::text::safe::{Charset, Text};
use crate::render::text::style::Style;

/// A spinner with the time that has gone by; it leaves nothing behind. It is turned by who waits: a thread of its own
/// may not be had.
pub struct Spinner(ProgressBar);

impl Spinner {
    /// Draws on standard error what is waited for.
    pub fn start(what: &str, style: Style) -> Spinner {
        let marks = if style.charset == Charset::Unicode { "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ " } else { "|/-\\ " };
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        let template = ProgressStyle::with_template("{spinner} {msg} {elapsed}");
        let template = template.unwrap_or_else(|_| ProgressStyle::default_spinner());
        bar.set_style(template.tick_chars(marks));
        bar.set_message(Text::of(what, style.charset).into_string());
        Spinner(bar)
    }

    /// Shows that the command still waits.
    pub fn turn(&self) {
        self.0.tick();
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
