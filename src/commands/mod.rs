//! One file a command: its arguments and the glue between collecting and rendering.

mod audit;
mod check;
mod close;
mod completions;
mod confirm;
mod diff;
mod exec;
mod export;
mod free;
mod info;
mod kill;
mod list;
mod man;
mod pager;
mod schema;
mod services;
mod snapshot;
mod spaces;
mod usage;
mod wait;

use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};

use crate::analyse::check::Kernel;
use crate::cli::handbook;
use crate::cli::{self, SourceArgs};
use crate::collect::probe;
use crate::context::Context;
use crate::error::{Error, ExitStatus};
use crate::model::{Listing, Need, Snapshot};
use crate::render::words::summary;

const TEMPLATE: &str = "\
{name} {version}
{about}

{before-help}{usage-heading} {usage}

{all-args}{after-help}";

/// Show which ports are in use on this host, what they are registered for, and which process owns each
#[derive(Debug, Parser)]
#[command(
    name = "portscope",
    version,
    help_template = TEMPLATE,
    args_conflicts_with_subcommands = true,
    max_term_width = 100
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    list: list::Args,
}

#[derive(Debug, Subcommand)]
enum Command {
    Spaces(spaces::Args),
    Info(info::Args),
    #[command(visible_alias = "why")]
    Check(check::Args),
    Free(free::Args),
    Wait(wait::Args),
    Kill(kill::Args),
    Close(close::Args),
    Usage(usage::Args),
    Services(services::Args),
    Snapshot(snapshot::Args),
    Diff(diff::Args),
    Audit(audit::Args),
    Export(export::Args),
    Schema(schema::Args),
    Completions(completions::Args),
    Man(man::Args),
}

/// The whole command line: every command with its flags.
pub fn command_line() -> clap::Command {
    Cli::command()
}

/// The help that was asked for. A run that does something else never builds the texts of the handbook.
fn help(arguments: &[OsString], plain: &clap::Error) -> String {
    if plain.to_string() == command_line().render_help().to_string() {
        return handbook::summary(&command_line());
    }
    match handbook::annotate(command_line()).try_get_matches_from(arguments) {
        Err(error) if error.kind() == ErrorKind::DisplayHelp => error.to_string(),
        _ => plain.to_string(),
    }
}

/// Reads the command line and runs the command that it names.
pub fn run(arguments: impl IntoIterator<Item = OsString>, context: &mut Context) -> Result<ExitStatus, Error> {
    if let Some(shell) = context.environment.text(completions::VARIABLE).map(str::to_owned) {
        return completions::answer(&shell, arguments, command_line(), context);
    }
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) if error.kind() == ErrorKind::DisplayHelp => {
            context.stdout.write_all(help(&arguments, &error).as_bytes())?;
            return finish(context, ExitStatus::Yes);
        }
        Err(error) if error.kind() == ErrorKind::DisplayVersion => {
            write!(context.stdout, "{error}")?;
            return finish(context, ExitStatus::Yes);
        }
        Err(error) => return Err(Error::Usage(cli::one_line(&error))),
    };
    let status = match cli.command {
        None => list::run(&cli.list, context),
        Some(Command::Spaces(args)) => spaces::run(&args, context),
        Some(Command::Info(args)) => info::run(&args, context),
        Some(Command::Usage(args)) => usage::run(&args, context),
        Some(Command::Diff(args)) => diff::run(&args, context),
        Some(Command::Export(args)) => export::run(&args, context),
        Some(Command::Snapshot(args)) => snapshot::run(&args, context),
        Some(Command::Wait(args)) => wait::run(&args, context),
        Some(Command::Kill(args)) => kill::run(&args, context),
        Some(Command::Close(args)) => close::run(&args, context),
        Some(Command::Check(args)) => check::run(&args, context),
        Some(Command::Free(args)) => free::run(&args, context),
        Some(Command::Services(args)) => services::run(&args, context),
        Some(Command::Audit(args)) => audit::run(&args, context),
        Some(Command::Schema(args)) => schema::run(&args, context),
        Some(Command::Completions(args)) => completions::run(&args, context),
        Some(Command::Man(args)) => man::run(&args, command_line(), context),
    }?;
    finish(context, status)
}

/// The kernel of this machine, as a judgement asks it.
const KERNEL: Kernel = Kernel { bind: probe::probe, address: probe::probe_address };

/// Takes the facts that are needed from where the command line says.
fn snapshot(need: &Need, source: &SourceArgs, context: &mut Context) -> Result<Snapshot, Error> {
    context.read_from(source.from.as_deref())?;
    let snapshot = context.source.snapshot(need)?;
    if let Some(line) = summary::left_out(&snapshot) {
        context.note(&line);
    }
    Ok(snapshot)
}

/// The output is complete only when the last block has been taken.
fn finish(context: &mut Context, status: ExitStatus) -> Result<ExitStatus, Error> {
    context.stdout.flush()?;
    Ok(status)
}

/// Says on standard error which owners are hidden, whether sockets or redirected ports may be missing, and which port
/// spaces are.
fn tell_gaps(listing: &Listing<'_>, context: &mut Context) {
    for line in gaps(listing, context) {
        context.note(&line);
    }
}

fn gaps(listing: &Listing<'_>, context: &Context) -> Vec<String> {
    let program = context.program.clone();
    let hidden = summary::hidden(listing, program.as_deref());
    let missing = summary::missing(listing.snapshot, program.as_deref());
    let redirects = summary::unlisted_redirects(listing.snapshot);
    let unseen = summary::unseen_spaces(listing.snapshot, program.as_deref());
    hidden.into_iter().chain(missing).chain(redirects).chain(unseen).collect()
}
