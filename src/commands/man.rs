//! `portscope man`.

use std::io::Write;

use super::{EXAMPLES, EXIT_CODES};
use crate::context::Context;
use crate::error::{Error, ExitStatus};

/// Print the manual page, in roff
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The command whose page it is; without one, portscope itself
    #[arg(value_name = "COMMAND")]
    command: Option<String>,
}

pub fn run(args: &Args, mut program: clap::Command, context: &mut Context) -> Result<ExitStatus, Error> {
    program.build();
    let command = match &args.command {
        None => program,
        Some(name) => program.find_subcommand(name).cloned().ok_or_else(|| unknown(name, &program))?,
    };
    write(&command, args.command.is_none(), &mut context.stdout)?;
    Ok(ExitStatus::Yes)
}

fn unknown(name: &str, program: &clap::Command) -> Error {
    let names: Vec<&str> = program.get_subcommands().map(clap::Command::get_name).collect();
    Error::Usage(format!("`{name}` is not a command: expected {}", names.join(", ")))
}

fn write(command: &clap::Command, is_program: bool, mut out: &mut dyn Write) -> std::io::Result<()> {
    let has_commands = command.has_subcommands();
    let name = command.get_display_name().unwrap_or(command.get_name()).to_owned();
    let page = clap_mangen::Man::new(command.clone()).title(name);
    page.render_title(&mut out)?;
    page.render_name_section(&mut out)?;
    page.render_synopsis_section(&mut out)?;
    page.render_description_section(&mut out)?;
    page.render_options_section(&mut out)?;
    if has_commands {
        page.render_subcommands_section(&mut out)?;
    }
    if is_program {
        write_section("EXAMPLES", EXAMPLES, out)?;
    }
    write_section("EXIT STATUS", EXIT_CODES, out)
}

/// Writes the lines below the text's own heading as they are.
fn write_section(heading: &str, text: &str, out: &mut dyn Write) -> std::io::Result<()> {
    writeln!(out, ".SH \"{heading}\"\n.nf")?;
    for line in text.lines().skip(1) {
        writeln!(out, "{}", line.trim_start().replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq"))?;
    }
    writeln!(out, ".fi")
}
