//! `portscope man`.

use std::io::Write;

use super::{EXAMPLES, EXIT_CODES};
use crate::context::Context;
use crate::error::{Error, ExitStatus};

/// Print the manual page, in roff
#[derive(Debug, clap::Args)]
pub struct Args {}

pub fn run(_: &Args, command: clap::Command, context: &mut Context) -> Result<ExitStatus, Error> {
    // Help texts that stand around the flags are sections of their own in a manual.
    let command = command.before_long_help("").after_long_help("");
    clap_mangen::Man::new(command).render(&mut context.stdout)?;
    write_section("EXAMPLES", EXAMPLES, &mut context.stdout)?;
    write_section("EXIT STATUS", EXIT_CODES, &mut context.stdout)?;
    Ok(ExitStatus::Yes)
}

/// Writes the lines below the text's own heading as they are.
fn write_section(heading: &str, text: &str, out: &mut dyn Write) -> std::io::Result<()> {
    writeln!(out, ".SH \"{heading}\"\n.nf")?;
    for line in text.lines().skip(1) {
        writeln!(out, "{}", line.trim_start().replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq"))?;
    }
    writeln!(out, ".fi")
}
