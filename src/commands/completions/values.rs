//! What can stand for each kind of value on the command line: fixed words, files, or what is open at this moment.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;

use clap::{Arg, Command, ValueHint};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};

use crate::analyse::audit::RULES;
use crate::catalogue::Catalogue;
use crate::cli::SORT_KEYS;
use crate::collect::control::Signal;
use crate::collect::{Source, System};
use crate::model::{Need, Protocol, Snapshot, SpaceChoice, State};
use crate::render::words::column::Column;
use crate::render::words::completion;
use crate::select::StateSet;

/// What the value of an argument is, by the name that its help gives it.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// A file or a folder.
    Path,
    /// A program.
    Program,
    /// Anything: nothing can be proposed.
    Free,
    /// Words that are worked out when they are asked for.
    Words(fn() -> Vec<Candidate>),
    /// The same, each also after `+` or `-`.
    Changes(fn() -> Vec<Candidate>),
}

/// A word, and what it is.
type Candidate = (String, String);

/// Every name that a value has in the help. Arguments with possible values of their own need none.
const KINDS: &[(&str, Kind)] = &[
    ("ADDR", Kind::Words(addresses)),
    ("AFTER", Kind::Path),
    ("BEFORE", Kind::Path),
    ("CEL", Kind::Free),
    ("CMD", Kind::Program),
    ("COLUMNS", Kind::Changes(columns)),
    ("COLUMN[:desc]", Kind::Words(sort_keys)),
    ("DIR", Kind::Path),
    ("DURATION", Kind::Free),
    ("FILE", Kind::Path),
    ("ID", Kind::Words(rules)),
    ("INTERFACE", Kind::Words(devices)),
    ("LOW-HIGH", Kind::Free),
    ("N", Kind::Free),
    ("NAME", Kind::Words(processes)),
    ("NUMBER", Kind::Free),
    ("PEER", Kind::Free),
    ("PERCENT", Kind::Free),
    ("PID", Kind::Words(pids)),
    ("PORT", Kind::Words(ports)),
    ("PORT[/PROTO]=NAME", Kind::Free),
    ("PORT|LOW-HIGH", Kind::Words(ports)),
    ("PORT|NAME", Kind::Words(targets)),
    ("QUERY", Kind::Words(services)),
    ("REPORT", Kind::Path),
    ("SIGNAL", Kind::Words(signals)),
    ("SPACE", Kind::Words(spaces)),
    ("STATE", Kind::Words(states)),
    ("TARGET", Kind::Words(targets)),
    ("TEXT|PATH", Kind::Path),
    ("UID", Kind::Words(users)),
    ("USER", Kind::Words(users)),
];

/// Gives every argument of every command what can stand for its value.
pub fn attach(command: Command) -> Command {
    let names: Vec<String> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    let commands: Vec<Candidate> = command
        .get_subcommands()
        .map(|sub| (sub.get_name().to_owned(), sub.get_about().map(ToString::to_string).unwrap_or_default()))
        .collect();
    let mut command = command.mut_args(|argument| with_values(argument, &[]));
    for name in names {
        command = command.mut_subcommand(name, |sub| sub.mut_args(|argument| with_values(argument, &commands)));
    }
    command
}

fn with_values(argument: Arg, commands: &[Candidate]) -> Arg {
    if !argument.get_action().takes_values() || argument.get_value_parser().possible_values().is_some() {
        return argument;
    }
    let Some(name) = name_of(&argument) else { return argument };
    if name == "COMMAND" {
        let commands = commands.to_vec();
        return argument.add(ArgValueCompleter::new(move |typed: &OsStr| matching(&commands, "", typed)));
    }
    match kind_of(&name) {
        None | Some(Kind::Free) => argument,
        Some(Kind::Path) => argument.value_hint(ValueHint::AnyPath),
        Some(Kind::Program) => argument.value_hint(ValueHint::CommandName),
        Some(Kind::Words(words)) => {
            argument.add(ArgValueCompleter::new(move |typed: &OsStr| matching(&words(), "", typed)))
        }
        Some(Kind::Changes(words)) => argument.add(ArgValueCompleter::new(move |typed: &OsStr| {
            let typed_text = typed.to_string_lossy();
            let sign = typed_text.get(..1).filter(|sign| ["+", "-"].contains(sign)).unwrap_or_default();
            matching(&words(), sign, typed)
        })),
    }
}

fn name_of(argument: &Arg) -> Option<String> {
    argument.get_value_names()?.first().map(ToString::to_string)
}

fn kind_of(name: &str) -> Option<Kind> {
    KINDS.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind)
}

/// The words that start with what was typed. Names of processes and units are their own choice: what a shell would not
/// take as one plain word is never put on a command line.
fn matching(words: &[Candidate], sign: &str, typed: &OsStr) -> Vec<CompletionCandidate> {
    let typed = typed.to_string_lossy();
    let is_plain = |word: &str| {
        word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._:@/+-".contains(&byte))
            && !word.starts_with('-')
            && !word.is_empty()
    };
    let mut seen = BTreeSet::new();
    words
        .iter()
        .filter(|(word, _)| is_plain(word))
        .map(|(word, about)| (format!("{sign}{word}"), about))
        .filter(|(word, _)| word.starts_with(&*typed) && seen.insert(word.clone()))
        .map(|(word, about)| {
            let about: String = about.chars().filter(|character| !character.is_control()).take(80).collect();
            CompletionCandidate::new(word).help((!about.is_empty()).then(|| about.into()))
        })
        .collect()
}

fn fixed(words: impl IntoIterator<Item = &'static str>) -> Vec<Candidate> {
    words.into_iter().map(|word| (word.to_owned(), String::new())).collect()
}

fn columns() -> Vec<Candidate> {
    fixed(Column::ALL.into_iter().map(Column::name))
}

fn sort_keys() -> Vec<Candidate> {
    let descending = SORT_KEYS.iter().map(|(name, _)| (format!("{name}:desc"), completion::HIGHEST_FIRST.to_owned()));
    SORT_KEYS.iter().map(|(name, _)| ((*name).to_owned(), String::new())).chain(descending).collect()
}

fn rules() -> Vec<Candidate> {
    RULES.iter().map(|rule| (rule.id.to_owned(), String::new())).collect()
}

fn signals() -> Vec<Candidate> {
    Signal::ALL.into_iter().map(|signal| (signal.name().trim_start_matches("SIG").to_owned(), String::new())).collect()
}

fn states() -> Vec<Candidate> {
    let named = State::ALL.into_iter().map(|state| state.name().to_ascii_lowercase().replace('_', "-"));
    let known = named.filter(|name| name.parse::<StateSet>().is_ok()).map(|name| (name, String::new()));
    known.chain([("connected".to_owned(), completion::EVERY_CONNECTION.to_owned())]).collect()
}

fn services() -> Vec<Candidate> {
    let named = |entry: crate::model::Registered<'static>| {
        (entry.service.name.to_string(), format!("{} {}", entry.port, entry.service.description.unwrap_or_default()))
    };
    Catalogue::well_known().map(named).collect()
}

/// What is open now, in the port spaces that a listing shows; nothing where the system refuses.
fn now(need: Need) -> Option<Snapshot> {
    System.snapshot(&Need { helpers: false, ..need }).ok()
}

fn listeners() -> Need {
    Need {
        protocols: Protocol::ALL.to_vec(),
        states: Some(vec![State::Listen, State::Unconnected]),
        spaces: SpaceChoice::Own,
        ..Need::default()
    }
}

/// The names of a socket's processes, each once.
fn holders_of(snapshot: &Snapshot, socket: &crate::model::Socket) -> BTreeSet<String> {
    let holders = socket.owner.holders().iter().filter_map(|holder| snapshot.processes.get(&holder.pid));
    holders.filter_map(|process| Some(process.name.as_ref()?.to_string_lossy().into_owned())).collect()
}

fn ports() -> Vec<Candidate> {
    let Some(snapshot) = now(listeners()) else { return Vec::new() };
    let mut found: BTreeMap<u16, BTreeSet<String>> = BTreeMap::new();
    for socket in &snapshot.sockets {
        found.entry(socket.local.port.get()).or_default().extend(holders_of(&snapshot, socket));
    }
    let about = |names: BTreeSet<String>| names.into_iter().collect::<Vec<_>>().join(", ");
    found.into_iter().map(|(port, names)| (port.to_string(), about(names))).collect()
}

fn processes() -> Vec<Candidate> {
    let Some(snapshot) = now(Need { states: None, ..listeners() }) else { return Vec::new() };
    let mut found: BTreeMap<String, BTreeSet<u16>> = BTreeMap::new();
    for socket in &snapshot.sockets {
        for name in holders_of(&snapshot, socket) {
            let ports = found.entry(name).or_default();
            if matches!(socket.state, Some(State::Listen | State::Unconnected)) {
                ports.insert(socket.local.port.get());
            }
        }
    }
    let about = |ports: BTreeSet<u16>| {
        let ports: Vec<String> = ports.into_iter().take(8).map(|port| port.to_string()).collect();
        completion::process(&ports)
    };
    found.into_iter().map(|(name, ports)| (name, about(ports))).collect()
}

fn pids() -> Vec<Candidate> {
    let Some(snapshot) = now(Need { states: None, ..listeners() }) else { return Vec::new() };
    let name = |process: &crate::model::Process| process.name.as_ref().map(|name| name.to_string_lossy().into_owned());
    snapshot.processes.values().map(|process| (process.pid.0.to_string(), name(process).unwrap_or_default())).collect()
}

fn users() -> Vec<Candidate> {
    let Some(snapshot) = now(Need { states: None, ..listeners() }) else { return Vec::new() };
    snapshot.users.values().map(|name| (name.clone(), String::new())).collect()
}

fn devices() -> Vec<Candidate> {
    let Some(snapshot) = now(Need { states: None, ..listeners() }) else { return Vec::new() };
    let found: BTreeSet<&str> = snapshot.sockets.iter().filter_map(|socket| socket.device.as_deref()).collect();
    found.into_iter().map(|name| (name.to_owned(), String::new())).collect()
}

fn addresses() -> Vec<Candidate> {
    let Some(snapshot) = now(listeners()) else { return Vec::new() };
    let found: BTreeSet<String> = snapshot.sockets.iter().map(|socket| socket.local.address.to_string()).collect();
    found.into_iter().map(|address| (address, String::new())).collect()
}

fn spaces() -> Vec<Candidate> {
    let need = Need { spaces: SpaceChoice::All, belonging: true, ..listeners() };
    let all = ("all".to_owned(), completion::EVERY_SPACE.to_owned());
    let Some(snapshot) = now(need) else { return vec![all] };
    let of = |space: &crate::model::Space| (space.label.clone(), space.kind.name().to_owned());
    snapshot.spaces.iter().map(of).chain([all]).collect()
}

/// Ports, then processes, units and containers that have one, then the services of the well-known table.
fn targets() -> Vec<Candidate> {
    let Some(snapshot) = now(Need { belonging: true, ..listeners() }) else { return services() };
    let mut units = BTreeSet::new();
    let of_processes = snapshot.processes.values().filter_map(|process| process.belonging.as_ref());
    for belonging in of_processes.chain(snapshot.cgroups.values()) {
        units.extend(belonging.unit.clone().map(|unit| (unit, "unit".to_owned())));
        let container = belonging.container.as_ref();
        units.extend(container.map(|container| (container.short_name().to_owned(), "container".to_owned())));
    }
    ports().into_iter().chain(processes()).chain(units).chain(services()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments_of(command: &Command) -> Vec<(String, Arg)> {
        let own = command.get_arguments().map(|argument| (command.get_name().to_owned(), argument.clone()));
        own.chain(command.get_subcommands().flat_map(arguments_of)).collect()
    }

    #[test]
    fn every_value_on_the_command_line_is_of_a_known_kind() {
        let mut unknown = Vec::new();
        let mut used = BTreeSet::new();
        for (command, argument) in arguments_of(&crate::commands::command_line()) {
            if !argument.get_action().takes_values() || argument.get_value_parser().possible_values().is_some() {
                continue;
            }
            let name = name_of(&argument).unwrap_or_default();
            if name != "COMMAND" && kind_of(&name).is_none() {
                unknown.push(format!("{command}: {} <{name}>", argument.get_id()));
            }
            used.insert(name);
        }
        assert!(unknown.is_empty(), "KINDS has no line for these: {unknown:#?}");
        let idle: Vec<&str> = KINDS.iter().map(|(name, _)| *name).filter(|name| !used.contains(*name)).collect();
        assert!(idle.is_empty(), "no argument has these values: {idle:?}");
    }

    #[test]
    fn a_name_that_a_shell_would_not_take_as_a_word_is_not_proposed() {
        let words = ["nginx", "x;reboot", "a b", "$(id)", "-f", "", "caf\u{e9}", "a\u{1b}[2J"];
        let words: Vec<Candidate> = words.into_iter().map(|word| (word.to_owned(), "a\u{1b}\nb".to_owned())).collect();
        let proposed = matching(&words, "", OsStr::new(""));
        let values: Vec<_> = proposed.iter().map(|candidate| candidate.get_value().to_string_lossy()).collect();
        assert_eq!(values, ["nginx"]);
        assert_eq!(proposed[0].get_help().map(ToString::to_string).as_deref(), Some("ab"));
    }

    #[test]
    fn columns_are_completed_behind_their_sign() {
        let words = fixed(["pid", "process"]);
        let proposed = matching(&words, "+", OsStr::new("+pi"));
        let values: Vec<_> = proposed.iter().map(|candidate| candidate.get_value().to_string_lossy()).collect();
        assert_eq!(values, ["+pid"]);
    }
}
