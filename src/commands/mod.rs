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
use crate::cli::{self, SourceArgs};
use crate::collect::probe;
use crate::context::Context;
use crate::error::{Error, ExitStatus};
use crate::model::{Listing, Need, Snapshot};
use crate::render::words::summary;

const EXAMPLES: &str = "\
Examples:
  portscope                       what is open on this machine
  portscope 8080                  who holds port 8080
  portscope 8000-8100 nginx       a range of ports, and what nginx holds
  portscope -tulpn                listeners of TCP and UDP, numbers only
  sudo portscope -l               listeners with every owner
  portscope -l --exposure any     listeners that every interface can reach
  portscope spaces                the port spaces here, and the numbers that they share
  portscope info 5432             everything about one number
  portscope usage                 will the numbers run out?
  portscope check 8080            could I bind it, and if not, why and what then
  portscope free                  a port for a service of one's own
  portscope services 5432         what a port is registered for
  portscope --json | jq '.sockets[] | select(.state == \"LISTEN\")'
";

const TEMPLATE: &str = "\
{name} {version}
{about}

{before-help}{usage-heading} {usage}

{all-args}{after-help}";

const EXIT_CODES: &str = "\
Exit codes:
  0  yes, clean, done; a listing, also when it is empty
  1  no: no match, a difference, a violation, a timeout
  2  the command line is wrong, or the system could not be asked
  3  --strict was given and something was hidden";

/// Inspects port usage on this host: open sockets, what their ports are registered for, who holds them
#[derive(Debug, Parser)]
#[command(
    name = "portscope",
    version,
    help_template = TEMPLATE,
    before_long_help = EXAMPLES,
    after_long_help = EXIT_CODES,
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
fn command_line() -> clap::Command {
    Cli::command()
}

/// Reads the command line and runs the command that it names.
pub fn run(arguments: impl IntoIterator<Item = OsString>, context: &mut Context) -> Result<ExitStatus, Error> {
    if let Some(shell) = context.environment.text(completions::VARIABLE).map(str::to_owned) {
        return completions::answer(&shell, arguments, command_line(), context);
    }
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
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
