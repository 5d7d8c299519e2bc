//! One file a command: its arguments and the glue between collecting and rendering.

mod audit;
mod check;
mod choose;
mod close;
mod completions;
mod confirm;
mod diff;
mod events;
mod exec;
mod export;
mod free;
mod info;
mod kill;
mod list;
mod man;
mod pager;
mod ports;
mod schema;
mod services;
mod show_config;
mod snapshot;
mod spaces;
mod unmatched;
mod usage;
mod wait;
mod watch;

use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};

use crate::analyse::check::Kernel;
use crate::analyse::targets::PortTargets;
use crate::cli::handbook;
use crate::cli::{self, Defaults, ProtocolArgs, SourceArgs, habits};
use crate::collect::probe;
use crate::config::Configuration;
use crate::context::{Context, Look};
use crate::error::{Error, ExitStatus};
use crate::model::{Listing, Need, Snapshot};
use crate::render::words::mistake;
use crate::render::words::said::Said;
use crate::render::words::summary;
use crate::select::{Ports, Target, TargetKind, TargetList, Wanted};

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
    #[command(visible_alias = "ls")]
    List(Box<list::Args>),
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
    Events(Box<events::Args>),
    Watch(Box<watch::Args>),
    Export(export::Args),
    Schema(schema::Args),
    Completions(completions::Args),
    Man(man::Args),
}

/// A listing alone. To know every command with its flags takes longer than to list a quiet host.
#[derive(Debug, Parser)]
#[command(name = "portscope", disable_help_flag = true)]
struct ListingAlone {
    #[command(flatten)]
    list: list::Args,
}

/// What names another command, wherever it stands.
const COMMAND_WORDS: [&str; 22] = [
    "list",
    "ls",
    "spaces",
    "info",
    "check",
    "why",
    "free",
    "wait",
    "kill",
    "close",
    "usage",
    "services",
    "snapshot",
    "diff",
    "audit",
    "events",
    "watch",
    "export",
    "schema",
    "completions",
    "man",
    "help",
];

/// Reads the command line. What is not surely a listing is read with all commands, which also words the errors.
fn read(arguments: &[OsString]) -> Result<Cli, clap::Error> {
    let may_be_command = |argument: &OsString| COMMAND_WORDS.iter().any(|word| argument == word);
    if !arguments.iter().skip(1).any(may_be_command)
        && let Ok(ListingAlone { list }) = ListingAlone::try_parse_from(arguments)
    {
        return Ok(Cli { command: None, list });
    }
    Cli::try_parse_from(arguments)
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
    let arguments = accepted(arguments.into_iter().collect())?;
    let cli = match read(&arguments) {
        Ok(cli) => cli,
        Err(error) if error.kind() == ErrorKind::DisplayHelp => {
            context.stdout.write_all(help(&arguments, &error).as_bytes())?;
            return finish(context, ExitStatus::Yes);
        }
        Err(error) if error.kind() == ErrorKind::DisplayVersion => {
            write!(context.stdout, "{error}")?;
            return finish(context, ExitStatus::Yes);
        }
        Err(error) => {
            let line = cli::one_line(&error);
            let is_flag = error.kind() == ErrorKind::UnknownArgument;
            return Err(match habit(&arguments).filter(|_| is_flag) {
                Some(hint) => Error::OtherTool { line, hints: vec![hint] },
                None => Error::Usage(line),
            });
        }
    };
    // These must work whatever the configuration file has.
    if !matches!(cli.command, Some(Command::Schema(_) | Command::Completions(_) | Command::Man(_))) {
        context.configuration = Configuration::read(&context.environment)?;
    }
    let defaults = Defaults::new(&context.configuration.settings)?;
    context.look = Look {
        color: defaults.color.as_ref().map(|preset| preset.value),
        pager: defaults.pager.as_ref().map(|preset| preset.value.clone()),
    };
    let status = match cli.command {
        None => list::run(&cli.list, &defaults, context),
        Some(Command::List(args)) => list::run(&args, &defaults, context),
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
        Some(Command::Events(args)) => events::run(&args, context),
        Some(Command::Watch(args)) => watch::run(&args, &defaults, context),
        Some(Command::Schema(args)) => schema::run(&args, context),
        Some(Command::Completions(args)) => completions::run(&args, context),
        Some(Command::Man(args)) => man::run(&args, command_line(), context),
    }?;
    finish(context, status)
}

/// The command line with what other tools take and what can be meant only one way put into portscope's form.
fn accepted(mut arguments: Vec<OsString>) -> Result<Vec<OsString>, Error> {
    let words: Vec<String> = arguments.iter().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let is_foreign = habits::is_of_another_tool(&words);
    let has_timers = words.iter().any(|word| habits::without_timers(word).is_some());
    // To know the commands takes a while, and is seldom needed.
    if !(is_foreign || has_timers) || listing_words(&arguments).is_none() {
        return Ok(arguments);
    }
    if is_foreign {
        let line = mistake::of_another_tool(&words);
        let hints = habit(&arguments).into_iter().collect();
        return Err(Error::OtherTool { line, hints });
    }
    for argument in arguments.iter_mut().skip(1) {
        if let Some(changed) = argument.to_str().and_then(habits::without_timers) {
            *argument = changed.into();
        }
    }
    Ok(arguments)
}

/// What to type instead of these arguments of another tool.
fn habit(arguments: &[OsString]) -> Option<String> {
    habits::hint(&listing_words(arguments)?, command_names().iter().any(|name| name == "watch"))
}

/// The arguments of a listing as text; `None` where they are those of another command.
fn listing_words(arguments: &[OsString]) -> Option<Vec<String>> {
    let words: Vec<String> = arguments.iter().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let program = Cli::command();
    let is_command = words.first().is_some_and(|word| program.find_subcommand(word).is_some());
    (!is_command).then_some(words)
}

/// The kernel of this machine, as `check` and `wait` ask it.
const KERNEL: Kernel = Kernel { bind: probe::probe, address: probe::probe_address, scope: probe::scope_of };

/// The names of the commands, to correct a mistyped one.
fn command_names() -> Vec<String> {
    Cli::command().get_subcommands().map(|command| command.get_name().to_owned()).collect()
}

/// The sockets that `kill` and `close` mean by what was typed: a name counts only as that of a service, since processes
/// choose theirs.
fn port_targets(
    lists: &[TargetList],
    protocols: ProtocolArgs,
    clients: bool,
    context: &Context,
) -> Result<PortTargets, Error> {
    let catalogue = context.configuration.catalogue(&[], &context.environment)?;
    let asked = match ports::look_up(TargetList::all(lists), &protocols.protocols(), &catalogue) {
        Err(Error::NoSuchName { line, hints }) => return Err(unmatched::ports_instead(lists, line, hints, context)),
        asked => asked?,
    };
    let wanted = |asked: &ports::PortsAsked<'_>| {
        let named = match &asked.target.kind {
            // Not as the name of a process.
            TargetKind::Word(word) => TargetKind::Ports(Ports::Service(word.clone())),
            kind => kind.clone(),
        };
        let target = Target { kind: named, ..asked.target.clone() };
        let text = target.text.rsplit_once('/').filter(|_| target.protocol.is_some());
        let text = text.map_or(&*target.text, |(text, _)| text).to_owned();
        (text, Wanted::new(&target, |name| catalogue.ports_named(name)))
    };
    Ok(PortTargets::new(asked.iter().map(wanted).collect(), protocols.protocols(), clients))
}

/// Takes the facts that are needed from where the command line says.
fn snapshot(need: &Need, source: &SourceArgs, context: &mut Context) -> Result<Snapshot, Error> {
    context.read_from(source.from.as_deref())?;
    let snapshot = context.source.snapshot(need)?;
    context.tell(summary::left_out(&snapshot).into_iter().chain(summary::claimed_names(&snapshot, &need.spaces)));
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
    let all = gaps(listing, context);
    context.tell(all);
}

fn gaps(listing: &Listing<'_>, context: &Context) -> Vec<Said> {
    let program = context.program.clone();
    let hidden = summary::hidden(listing, program.as_deref());
    let missing = summary::missing(listing.snapshot, program.as_deref());
    let redirects = summary::unlisted_redirects(listing.snapshot);
    let unseen = summary::unseen_spaces(listing.snapshot, program.as_deref());
    let traffic = summary::unknown_traffic(listing.snapshot);
    hidden.into_iter().chain(missing).chain(redirects).chain(unseen).chain(traffic).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_word_that_names_a_command_is_read_with_all_commands() {
        let program = command_line();
        let commands = program.get_subcommands();
        let names = commands.flat_map(|command| command.get_all_aliases().chain([command.get_name()]));
        let expected: BTreeSet<&str> = names.chain(["help"]).collect();
        assert_eq!(BTreeSet::from(COMMAND_WORDS), expected);
    }

    #[test]
    fn a_listing_is_read_alike_with_all_commands_and_alone() {
        for line in ["-tulpn", "8080 -l", "--json --space all", "-o wide --columns +queue", "-- 80"] {
            let words: Vec<OsString> = format!("portscope {line}").split(' ').map(OsString::from).collect();
            let alone = ListingAlone::try_parse_from(&words).unwrap().list;
            let with_all = Cli::try_parse_from(&words).unwrap();
            assert!(with_all.command.is_none());
            assert_eq!(format!("{alone:?}"), format!("{:?}", with_all.list), "{line}");
        }
        for line in ["-h", "--help", "-V", "--version", "--nonsense", "--state nonsense"] {
            let words: Vec<OsString> = format!("portscope {line}").split(' ').map(OsString::from).collect();
            assert!(ListingAlone::try_parse_from(&words).is_err(), "{line}");
            assert!(read(&words).is_err(), "{line}");
        }
    }
}
