//! `portscope man`: the manual, in roff.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::cli::handbook::{self, ENVIRONMENT, Entry, FILES};
use crate::context::Context;
use crate::error::{Error, ExitStatus};
use crate::render::words::mistake;

/// Print the manual page of portscope or of one of its commands
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The command; without one, the page of portscope itself
    #[arg(value_name = "COMMAND")]
    command: Option<String>,

    /// Write every page to this folder, as portscope.1, portscope-check.1, ...
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    all: Option<PathBuf>,
}

pub fn run(args: &Args, mut program: clap::Command, context: &mut Context) -> Result<ExitStatus, Error> {
    program.build();
    if let Some(folder) = &args.all {
        write_all(&program, folder)?;
        return Ok(ExitStatus::Yes);
    }
    let name = args.command.as_deref().unwrap_or_default();
    let command = match name {
        "" => &program,
        name => program.find_subcommand(name).ok_or_else(|| unknown(name, &program))?,
    };
    context.stdout.write_all(&page(command, &program)?)?;
    Ok(ExitStatus::Yes)
}

fn unknown(name: &str, program: &clap::Command) -> Error {
    let names: Vec<&str> = program.get_subcommands().map(clap::Command::get_name).collect();
    Error::Usage(mistake::not_a_command(name, &names))
}

fn write_all(program: &clap::Command, folder: &Path) -> Result<(), Error> {
    let write = |command: &clap::Command| {
        let path = folder.join(format!("{}.1", title(command)));
        std::fs::write(&path, page(command, program)?).map_err(|error| Error::Write { path, error })
    };
    write(program)?;
    program.get_subcommands().filter(|command| command.get_name() != "help").try_for_each(write)
}

fn title(command: &clap::Command) -> String {
    command.get_display_name().unwrap_or(command.get_name()).to_owned()
}

/// One page: clap's sections for what a command takes, and the handbook's for the rest.
fn page(command: &clap::Command, program: &clap::Command) -> Result<Vec<u8>, Error> {
    let is_program = command.get_name() == program.get_name();
    let mut out = Vec::new();
    // clap_mangen leaves out the date without quotes, so that the source would be taken for it.
    let version = program.get_version().unwrap_or_default();
    writeln!(out, ".TH {} 1 \"\" \"portscope {version}\" \"portscope manual\"", title(command))?;
    let page = clap_mangen::Man::new(command.clone());
    page.render_name_section(&mut out)?;
    write_synopsis(command, &mut out)?;
    page.render_description_section(&mut out)?;
    page.render_options_section(&mut out)?;
    if is_program {
        page.render_subcommands_section(&mut out)?;
    }
    if let Some(entry) = handbook::entry(if is_program { "" } else { command.get_name() }) {
        write_entry(entry, is_program, &mut out)?;
    }
    Ok(tidied(&String::from_utf8_lossy(&out)).into_bytes())
}

/// The usage as `--help` has it: what clap_mangen writes leaves out the values of options.
fn write_synopsis(command: &clap::Command, out: &mut Vec<u8>) -> Result<(), Error> {
    let usage = command.clone().render_usage().to_string();
    let lines = usage.trim_start_matches("Usage:").lines().map(|line| escaped(line.trim()));
    writeln!(out, ".SH SYNOPSIS\n{}", lines.collect::<Vec<_>>().join("\n.br\n"))?;
    Ok(())
}

/// The page without blank lines and breaks in pairs, which mandoc warns of, and without a word about `-h`.
fn tidied(page: &str) -> String {
    let lines: Vec<&str> = page.lines().map(str::trim_end).collect();
    let page = lines.join("\n") + "\n";
    page.replace("\n.br\n\n.br\n", "\n.sp\n")
        .replace("\n\n", "\n.sp\n")
        .replace(" (see a summary with \\*(Aq\\-h\\*(Aq)", "")
}

fn write_entry(entry: &Entry, is_program: bool, out: &mut Vec<u8>) -> Result<(), Error> {
    let statuses: Vec<(String, &str)> =
        entry.statuses.iter().map(|(status, meaning)| (status.to_string(), *meaning)).collect();
    write_list("EXIT STATUS", statuses.iter().map(|(status, meaning)| (status.as_str(), *meaning)), out)?;
    write_list("FILES", entry.files.iter().chain(FILES).copied(), out)?;
    write_list("ENVIRONMENT", ENVIRONMENT.iter().copied(), out)?;
    writeln!(out, ".SH EXAMPLES")?;
    for (line, what) in entry.examples {
        let what = if what.starts_with(char::is_lowercase) { capitalized(what) } else { (*what).to_owned() };
        writeln!(out, ".TP\n\\fB{}\\fR\n{}", escaped(line), escaped(&what))?;
    }
    let own = (!is_program).then_some("portscope".to_owned());
    let others = entry.see_also.iter().map(|command| format!("portscope-{command}"));
    let system = if is_program { &["ss", "lsof"][..] } else { &[] };
    let pages: Vec<String> = own.into_iter().chain(others).map(|name| (name, 1)).map(reference).collect();
    let system = system.iter().map(|name| reference(((*name).to_owned(), 8)));
    let pages: Vec<String> = pages.into_iter().chain(system).collect();
    writeln!(out, ".SH \"SEE ALSO\"\n{}", pages.join(",\n"))?;
    Ok(())
}

fn reference((name, section): (String, u8)) -> String {
    format!("\\fB{}\\fR({section})", escaped(&name))
}

fn write_list<'a>(
    heading: &str,
    items: impl Iterator<Item = (&'a str, &'a str)>,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    writeln!(out, ".SH \"{heading}\"")?;
    for (term, meaning) in items {
        writeln!(out, ".TP\n\\fB{}\\fR\n{}", escaped(term), escaped(&capitalized(meaning)))?;
    }
    Ok(())
}

fn capitalized(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}", characters.as_str())
}

/// Text that roff prints as it is.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq").replace('~', "\\(ti");
    if text.starts_with('.') { format!("\\&{text}") } else { text }
}
