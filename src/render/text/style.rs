//! How output for a terminal looks: color, characters, width. Decided once, here.

use crate::environment::{Environment, Terminal};
use crate::render::text::safe::Charset;

/// `--color`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ColorChoice {
    /// When the output is a terminal that wants it.
    #[default]
    Auto,
    /// In any case.
    Always,
    /// In no case.
    Never,
}

impl ColorChoice {
    /// Every choice.
    pub const ALL: [ColorChoice; 3] = [ColorChoice::Auto, ColorChoice::Always, ColorChoice::Never];

    /// The name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            ColorChoice::Auto => "auto",
            ColorChoice::Always => "always",
            ColorChoice::Never => "never",
        }
    }
}

/// What decides the look of a table.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Style {
    /// Whether color may be used. Color never carries a meaning alone.
    pub color: bool,
    /// Which characters may be used.
    pub charset: Charset,
    /// The columns that a line may take; absent where there is no limit (a pipe, a file).
    pub width: Option<usize>,
}

impl Style {
    /// Decides from `--color` and `--width`, the environment, the color of the configuration file and the terminal.
    pub fn new(
        flag: Option<ColorChoice>,
        configured: Option<ColorChoice>,
        width: Option<usize>,
        environment: &Environment,
        terminal: Terminal,
    ) -> Style {
        let of_terminal = terminal.size.map(|(width, _)| usize::from(width)).filter(|width| *width > 0);
        let of_terminal = terminal.is_tty.then(|| of_terminal.unwrap_or(80));
        Style {
            color: wants_color(choice(flag, configured, environment).0, environment, terminal),
            charset: charset(environment, terminal),
            width: width.or_else(|| columns(environment)).or(of_terminal),
        }
    }
}

/// The width that `COLUMNS` gives, as `watch` does for the programs that it runs.
pub fn columns(environment: &Environment) -> Option<usize> {
    environment.text("COLUMNS")?.parse().ok().filter(|width| *width > 0)
}

/// Decides on the choice, with the variable that made it. The order is `--color`, `NO_COLOR`,
/// `CLICOLOR_FORCE`/`FORCE_COLOR`, the configuration file; an explicit `--color auto` leaves it to the variables.
pub fn choice(
    flag: Option<ColorChoice>,
    configured: Option<ColorChoice>,
    environment: &Environment,
) -> (ColorChoice, Option<&'static str>) {
    let forces = |name: &&'static str| environment.get(name).is_some_and(|value| value != "0");
    match flag {
        Some(choice @ (ColorChoice::Always | ColorChoice::Never)) => (choice, None),
        _ if environment.get("NO_COLOR").is_some() => (ColorChoice::Never, Some("NO_COLOR")),
        _ => match ["CLICOLOR_FORCE", "FORCE_COLOR"].into_iter().find(forces) {
            Some(name) => (ColorChoice::Always, Some(name)),
            None => (flag.or(configured).unwrap_or_default(), None),
        },
    }
}

/// A terminal wants color unless `TERM` says otherwise; a console of Windows has no `TERM`.
fn wants_color(choice: ColorChoice, environment: &Environment, terminal: Terminal) -> bool {
    match choice {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => {
            let term = environment.get("TERM");
            let may_be = terminal.has_color.unwrap_or(term.is_some());
            terminal.is_tty && may_be && term.is_none_or(|term| term != "dumb")
        }
    }
}

/// The first of `LC_ALL`, `LC_CTYPE`, `LANG` that is set decides, as setlocale(3) says.
pub fn charset(environment: &Environment, terminal: Terminal) -> Charset {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(|name| environment.text(name));
    match locale {
        Some(locale) => {
            let locale = locale.to_ascii_lowercase();
            if locale.contains("utf-8") || locale.contains("utf8") { Charset::Unicode } else { Charset::Ascii }
        }
        None if terminal.is_unicode_by_default => Charset::Unicode,
        None => Charset::Ascii,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTY: Terminal =
        Terminal { is_tty: true, size: Some((80, 24)), is_unicode_by_default: false, has_color: None };
    const PIPE: Terminal = Terminal { is_tty: false, size: None, is_unicode_by_default: false, has_color: None };

    #[test]
    fn color_is_decided_in_the_documented_order() {
        let decided = |choice, pairs: &[(&'static str, &str)], terminal| {
            let flag = Some(choice);
            // A flag wins over the file, whatever that has.
            let decided = [None, Some(ColorChoice::Always), Some(ColorChoice::Never)]
                .map(|file| Style::new(flag, file, None, &Environment::of(pairs), terminal).color);
            assert_eq!(decided, [decided[0]; 3], "{choice:?} {pairs:?}");
            decided[0]
        };
        let xterm = ("TERM", "xterm");
        for (choice, pairs, terminal, color) in [
            (ColorChoice::Auto, &[xterm][..], TTY, true),
            (ColorChoice::Auto, &[xterm], PIPE, false),
            (ColorChoice::Auto, &[], TTY, false),
            (ColorChoice::Auto, &[("TERM", "dumb")], TTY, false),
            (ColorChoice::Auto, &[xterm, ("NO_COLOR", "1")], TTY, false),
            (ColorChoice::Auto, &[("CLICOLOR_FORCE", "1")], PIPE, true),
            (ColorChoice::Auto, &[("CLICOLOR_FORCE", "0")], PIPE, false),
            (ColorChoice::Auto, &[("FORCE_COLOR", "1"), ("NO_COLOR", "1")], PIPE, false),
            (ColorChoice::Always, &[("NO_COLOR", "1")], PIPE, true),
            (ColorChoice::Auto, &[], Terminal { has_color: Some(true), ..TTY }, true),
            (ColorChoice::Auto, &[("TERM", "dumb")], Terminal { has_color: Some(true), ..TTY }, false),
            (ColorChoice::Auto, &[xterm], Terminal { has_color: Some(false), ..TTY }, false),
            (ColorChoice::Never, &[xterm, ("FORCE_COLOR", "1")], TTY, false),
        ] {
            assert_eq!(decided(choice, pairs, terminal), color, "{choice:?} {pairs:?}");
        }
    }

    #[test]
    fn the_file_decides_on_color_where_neither_a_flag_nor_a_variable_does() {
        let decided = |file, pairs: &[(&'static str, &str)], terminal| {
            Style::new(None, Some(file), None, &Environment::of(pairs), terminal).color
        };
        let xterm = ("TERM", "xterm");
        for (file, pairs, terminal, color) in [
            (ColorChoice::Never, &[xterm][..], TTY, false),
            (ColorChoice::Always, &[], PIPE, true),
            (ColorChoice::Auto, &[xterm], TTY, true),
            (ColorChoice::Auto, &[xterm], PIPE, false),
            (ColorChoice::Always, &[xterm, ("NO_COLOR", "1")], TTY, false),
            (ColorChoice::Never, &[xterm, ("FORCE_COLOR", "1")], PIPE, true),
        ] {
            assert_eq!(decided(file, pairs, terminal), color, "{file:?} {pairs:?}");
        }
    }

    #[test]
    fn only_a_utf8_locale_gets_more_than_ascii() {
        for (pairs, expected) in [
            (&[("LANG", "en_US.UTF-8")][..], Charset::Unicode),
            (&[("LANG", "en_US.UTF-8"), ("LC_ALL", "C")], Charset::Ascii),
            (&[("LC_CTYPE", "C.utf8")], Charset::Unicode),
        ] {
            assert_eq!(charset(&Environment::of(pairs), TTY), expected, "{pairs:?}");
        }
    }

    #[test]
    fn the_width_is_that_of_the_flag_then_of_columns_then_of_the_terminal_and_a_pipe_has_none() {
        let decided = |flag, pairs: &[(&'static str, &str)], terminal| {
            Style::new(None, None, flag, &Environment::of(pairs), terminal).width
        };
        let unsized_tty = Terminal { is_tty: true, size: Some((0, 0)), ..TTY };
        let forty = [("COLUMNS", "40")];
        for (flag, pairs, terminal, width) in [
            (Some(60), &forty[..], TTY, Some(60)),
            (Some(60), &forty, PIPE, Some(60)),
            (None, &forty, TTY, Some(40)),
            (None, &forty, PIPE, Some(40)),
            (None, &[], TTY, Some(80)),
            (None, &[], unsized_tty, Some(80)),
            (None, &[("COLUMNS", "0")], unsized_tty, Some(80)),
            (None, &[("COLUMNS", "wide")], PIPE, None),
            (None, &[], PIPE, None),
        ] {
            assert_eq!(decided(flag, pairs, terminal), width, "{flag:?} {pairs:?} {terminal:?}");
        }
    }
}
