//! Shows a table that is longer than the screen through a pager.

use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::context::Context;
use crate::error::Error;
use crate::render::text::clip;
use crate::system::folders;

/// The pager where none is chosen.
const USUAL: &str = "less -FRX";

/// The same for lines that are wider than the screen. With -F it would not wait where only the width is too small.
const SIDEWAYS: &str = "less -RSX";

/// The first version of less that keeps headings. Source: its NEWS, "Major changes between less 590 and less 608".
const KEEPS_HEADINGS: u32 = 608;

/// Writes the text, through a pager when it does not fit on the terminal; returns whether it was paged.
pub fn show(text: &[u8], wanted: bool, context: &mut Context) -> Result<bool, Error> {
    show_table(text, 0, wanted, context)
}

/// Like `show`, for a table: its headings stay on the screen if the pager can do that.
pub fn show_table(text: &[u8], headings: usize, wanted: bool, context: &mut Context) -> Result<bool, Error> {
    let height = context.terminal.size.map_or(24, |(_, height)| usize::from(height));
    let lines = text.iter().filter(|byte| **byte == b'\n').count();
    if wanted && context.terminal.is_tty && lines > height && page(text, headings, USUAL, context)? {
        return Ok(true);
    }
    context.stdout.write_all(text)?;
    Ok(false)
}

/// Writes a text whose lines are not fitted to any width: through a pager that scrolls sideways when it does not fit on
/// the terminal, else cut at the width.
pub fn show_wide(
    text: &[u8],
    headings: usize,
    wanted: bool,
    width: Option<usize>,
    context: &mut Context,
) -> Result<(), Error> {
    let Some(width) = width else { return Ok(context.stdout.write_all(text)?) };
    let whole = String::from_utf8_lossy(text);
    let cut = clip::lines(&whole, width);
    if cut.len() == whole.len() {
        return show_table(text, headings, wanted, context).map(|_| ());
    }
    if wanted && context.terminal.is_tty && page(text, headings, SIDEWAYS, context)? {
        return Ok(());
    }
    Ok(context.stdout.write_all(cut.as_bytes())?)
}

/// The command of the pager, and the variable that has it; empty where none is wanted.
pub fn command(context: &Context) -> (&str, Option<&'static str>) {
    let (command, variable) = chosen(context).unwrap_or((USUAL, None));
    (if command.trim() == "cat" { "" } else { command }, variable)
}

/// What a variable or the configuration file says: as git does, its own variable first, then the file, then `PAGER`.
fn chosen(context: &Context) -> Option<(&str, Option<&'static str>)> {
    let environment = &context.environment;
    // Under sudo the variables may be another user's, and a pager can start a shell. The file is the machine's then.
    let of = |name| environment.text(name).filter(|_| !environment.is_sudo()).map(|command| (command, Some(name)));
    let of_file = || context.look.pager.as_deref().map(|command| (command, None));
    of("PORTSCOPE_PAGER").or_else(of_file).or_else(|| of("PAGER"))
}

/// Says whether a pager was found and has shown the text.
fn page(text: &[u8], headings: usize, usual: &str, context: &Context) -> io::Result<bool> {
    let environment = &context.environment;
    let mut words = chosen(context).map_or(usual, |(command, _)| command).split_whitespace();
    let Some(program) = words.next().filter(|program| *program != "cat") else { return Ok(false) };
    // Neither PATH nor a variable that makes less run programs may count then.
    let started = |program: &str| {
        if !environment.is_sudo() {
            return Some(Command::new(program));
        }
        let mut command = Command::new(folders::system_program(program)?);
        command.env_clear().env("LESSSECURE", "1");
        let kept = ["TERM", "LANG", "LC_ALL", "LC_CTYPE"].into_iter();
        command.envs(kept.filter_map(|name| Some((name, environment.get(name)?))));
        Some(command)
    };
    let Some(mut command) = started(program) else { return Ok(false) };
    command.args(words).stdin(Stdio::piped());
    if Path::new(program).file_stem().is_some_and(|name| name == "less") {
        // Lines that are wider than the screen are not to be folded, whichever options the variable has.
        if usual == SIDEWAYS {
            command.arg("-S");
        }
        if headings > 0 && started(program).is_some_and(keeps_headings) {
            command.arg(format!("--header={headings}"));
        }
    }
    let Ok(mut pager) = command.spawn() else { return Ok(false) };
    if let Some(mut stdin) = pager.stdin.take() {
        match stdin.write_all(text) {
            // The reader has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            result => result?,
        }
    }
    pager.wait()?;
    Ok(true)
}

/// Asks less for its version. An option that it does not know would stop it.
fn keeps_headings(mut less: Command) -> bool {
    let answer = less.arg("--version").stdin(Stdio::null()).stderr(Stdio::null()).output();
    answer.is_ok_and(|answer| version(&answer.stdout).is_some_and(|version| version >= KEEPS_HEADINGS))
}

/// The number in `less 643 (GNU regular expressions)` or `less 581.2`.
fn version(answer: &[u8]) -> Option<u32> {
    let rest = std::str::from_utf8(answer.get(..answer.len().min(20))?).ok()?.strip_prefix("less ")?;
    rest.split(|letter: char| !letter.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_less_is_read_from_its_first_line() {
        for (answer, number) in [
            ("less 590 (GNU regular expressions)\nCopyright (C) 1984-2021  Mark Nudelman\n", Some(590)),
            ("less 581.2 (POSIX regular expressions)\n", Some(581)),
            ("less 643\n", Some(643)),
            ("less: unrecognized option: version\n", None),
            ("", None),
        ] {
            assert_eq!(version(answer.as_bytes()), number, "{answer}");
        }
    }
}
