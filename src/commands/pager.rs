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

/// Writes the text, through a pager when it does not fit on the terminal; returns whether it was paged.
pub fn show(text: &[u8], wanted: bool, context: &mut Context) -> Result<bool, Error> {
    let height = context.terminal.size.map_or(24, |(_, height)| usize::from(height));
    let lines = text.iter().filter(|byte| **byte == b'\n').count();
    if wanted && context.terminal.is_tty && lines > height && page(text, USUAL, context)? {
        return Ok(true);
    }
    context.stdout.write_all(text)?;
    Ok(false)
}

/// Writes a text whose lines are not fitted to any width: through a pager that scrolls sideways when it does not fit on
/// the terminal, else cut at the width.
pub fn show_wide(text: &[u8], wanted: bool, width: Option<usize>, context: &mut Context) -> Result<(), Error> {
    let Some(width) = width else { return Ok(context.stdout.write_all(text)?) };
    let whole = String::from_utf8_lossy(text);
    let cut = clip::lines(&whole, width);
    if cut.len() == whole.len() {
        return show(text, wanted, context).map(|_| ());
    }
    if wanted && context.terminal.is_tty && page(text, SIDEWAYS, context)? {
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
fn page(text: &[u8], usual: &str, context: &Context) -> io::Result<bool> {
    let environment = &context.environment;
    let mut words = chosen(context).map_or(usual, |(command, _)| command).split_whitespace();
    let Some(program) = words.next().filter(|program| *program != "cat") else { return Ok(false) };
    // Neither PATH nor a variable that makes less run programs may count then.
    let mut command = if environment.is_sudo() {
        let Some(program) = folders::system_program(program) else { return Ok(false) };
        let mut command = Command::new(program);
        command.env_clear().env("LESSSECURE", "1");
        let kept = ["TERM", "LANG", "LC_ALL", "LC_CTYPE"].into_iter();
        command.envs(kept.filter_map(|name| Some((name, environment.get(name)?))));
        command
    } else {
        Command::new(program)
    };
    command.args(words).stdin(Stdio::piped());
    // Lines that are wider than the screen are not to be folded, whichever options the variable has.
    if usual == SIDEWAYS && Path::new(program).file_stem().is_some_and(|name| name == "less") {
        command.arg("-S");
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
