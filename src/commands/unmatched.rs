//! What of the command line matches no socket, looked up where it could exist nevertheless.

use std::collections::{BTreeMap, BTreeSet};

use crate::analyse::kill;
use crate::analyse::targets::PortTargets;
use crate::analyse::unmatched::{Asked, Here, Standing};
use crate::catalogue::Catalogue;
use crate::cli::{SelectionArgs, SourceArgs};
use crate::context::Context;
use crate::error::Error;
use crate::join;
use crate::model::{Family, Listing, Need, Pid, Port, Protocol, Row, SpaceChoice};
use crate::render::words::said::Said;
use crate::render::words::unmatched as words;
use crate::select::{Filter, NameKind, Pattern, TargetKind, TargetList, Wanted};

/// Something that was typed and matches no socket.
pub struct Absent {
    said: Said,
    standing: Standing,
}

impl Absent {
    /// Says whether it is the name of nothing here.
    pub fn is_mistake(&self) -> bool {
        matches!(self.standing, Standing::Unknown(_))
    }

    /// Says whether it exists, so that nothing open is the answer.
    pub fn is_known(&self) -> bool {
        self.standing == Standing::Known
    }

    /// Says whether it may be hidden from this run.
    pub fn is_hidden(&self) -> bool {
        matches!(self.standing, Standing::Hidden(..))
    }
}

/// The targets and names that match none of the rows. Only for names without a match the rest of the host is looked at.
pub fn absent(
    selection: &SelectionArgs,
    filter: &Filter,
    listing: &Listing<'_>,
    catalogue: &Catalogue,
    context: &mut Context,
) -> Vec<Absent> {
    if filter.targets.is_empty() && filter.processes.is_empty() && filter.pids.is_empty() && filter.users.is_empty() {
        return Vec::new();
    }
    let rows: Vec<&Row<'_>> = listing.rows.iter().filter(|row| filter.admits_apart_from_targets(row)).collect();
    // A socket whose owner is hidden may be that of any process and user.
    let of_anybody = Filter { processes: Vec::new(), pids: Vec::new(), users: Vec::new(), ..filter.clone() };
    let is_hidden = |row: &&Row<'_>| row.is_hidden() && of_anybody.admits_apart_from_targets(row);
    let hidden = listing.rows.iter().filter(is_hidden).count();
    let mut is_found = vec![false; filter.targets.len()];
    if !is_found.is_empty() {
        rows.iter().flat_map(|row| filter.finding(row)).for_each(|index| is_found[index] = true);
    }
    let mut absent = Vec::new();
    let mut names: Vec<(Asked, String)> = Vec::new();
    for (target, _) in selection.targets().zip(&is_found).filter(|(_, is_found)| !**is_found) {
        match (&target.kind, target.service()) {
            (TargetKind::Word(word), _) => names.push((Asked::Word, word.clone())),
            (_, Some(service)) if catalogue.ports_named(service).is_empty() => {
                names.push((Asked::Service, service.to_owned()));
            }
            _ => {
                let default = selection.protocols.protocols();
                let protocols = target.protocol.map_or(default, |protocol| vec![protocol]);
                let listening = selection.listening && !selection.all;
                let line = words::place(&target.text, &protocols, listening, selection.has_filters());
                absent.push(Absent { said: Said { line, hints: Vec::new() }, standing: Standing::Known });
            }
        }
    }
    let held_by = |pattern: &Pattern| listing.rows.iter().any(|row| pattern.matches_row(row));
    let processes = selection.process_names.iter().filter(|name| !held_by(&Pattern::new(name)));
    names.extend(processes.map(|name| (Asked::Process, name.clone())));
    let by_users = selection.users.iter().zip(&filter.users);
    let users = by_users.filter(|(name, user)| {
        // Every number may be that of a user.
        !name.bytes().all(|byte| byte.is_ascii_digit()) && !listing.rows.iter().any(|row| user.matches_row(row))
    });
    // A report has only the users of its sockets, if any.
    if listing.snapshot.saved.is_none() {
        names.extend(users.map(|(name, _)| (Asked::User, name.clone())));
    }
    absent.extend(processes_gone(selection, listing, hidden, context));
    if !names.is_empty() {
        let rest: Vec<String> = selection.targets().skip(1).map(|target| target.text.clone()).collect();
        let first = selection.targets().next().map(|target| target.text.as_str());
        absent.extend(look_up(&names, &selection.source, first, &rest, hidden, catalogue, context));
    }
    absent
}

/// The numbers of `--pid` that hold no socket: whether such a process runs at all.
fn processes_gone(selection: &SelectionArgs, listing: &Listing<'_>, hidden: usize, context: &Context) -> Vec<Absent> {
    let holds = |pid: &Pid| listing.rows.iter().any(|row| row.processes.iter().any(|(holder, _)| holder == pid));
    let gone = selection.pids.iter().filter(|pid| !holds(pid));
    gone.map(|pid| {
        let runs = context.source.has_process(*pid);
        let standing = match runs {
            Some(false) => Standing::Unknown(Vec::new()),
            _ if hidden > 0 => Standing::Hidden(hidden, Vec::new()),
            _ => Standing::Known,
        };
        Absent { said: words::pid(*pid, &standing), standing }
    })
    .collect()
}

/// The error that nothing here has the name, or that it cannot be told; `listing` has every socket.
pub fn nothing_called(
    word: &str,
    listing: &Listing<'_>,
    catalogue: &Catalogue,
    source: &SourceArgs,
    context: &mut Context,
) -> Error {
    let hidden = listing.rows.iter().filter(|row| row.is_hidden()).count();
    let names = [(Asked::Word, word.to_owned())];
    let absent = look_up(&names, source, None, &[], hidden, catalogue, context);
    let program = context.program.clone();
    let is_hidden = absent.iter().any(Absent::is_hidden);
    let how = if is_hidden { words::how_to_see(listing, program.as_deref()) } else { None };
    let (mut lines, mut hints) = (Vec::new(), Vec::new());
    for Absent { said, .. } in absent {
        lines.push(said.line);
        hints.extend(said.hints);
    }
    Error::NoSuchName { line: lines.join("; "), hints: hints.into_iter().chain(how).collect() }
}

/// The error for a word that is no service, where processes of that name listen: a process may call itself anything, so
/// that only ports are acted on.
pub fn ports_instead(lists: &[TargetList], line: String, mut hints: Vec<String>, context: &Context) -> Error {
    let snapshot = match context.source.snapshot(&PortTargets::need(false)) {
        Ok(snapshot) => snapshot,
        Err(error) => return error.into(),
    };
    let listing = join::listing(&snapshot, None);
    for target in TargetList::all(lists) {
        let TargetKind::Word(word) = &target.kind else { continue };
        let wanted = Wanted::new(target, |_| BTreeSet::new());
        let listens = |row: &&Row<'_>| kill::waits(row) && wanted.matches(row);
        let ports: BTreeSet<(Port, Protocol)> =
            listing.rows.iter().filter(listens).map(|row| (row.socket.local.port, row.socket.protocol)).collect();
        hints.extend(words::ports_of(word, &ports));
    }
    Error::NoSuchName { line, hints }
}

fn look_up(
    names: &[(Asked, String)],
    source: &SourceArgs,
    first: Option<&str>,
    rest: &[String],
    hidden: usize,
    catalogue: &Catalogue,
    context: &mut Context,
) -> Vec<Absent> {
    let need = source.asked(Need {
        protocols: Protocol::ALL.to_vec(),
        families: Family::ALL.to_vec(),
        belonging: true,
        exe: true,
        spaces: SpaceChoice::All,
        ..Need::default()
    });
    let users: Vec<String> =
        names.iter().filter(|(asked, _)| *asked == Asked::User).map(|(_, name)| name.clone()).collect();
    let mut known = context.source.names(&users);
    // What cannot be looked at has no names to offer.
    let snapshot = context.source.snapshot(&need).ok();
    let listing = snapshot.as_ref().map(|snapshot| join::listing(snapshot, Some(catalogue)));
    let everywhere = listing.as_ref().map_or(&[][..], |listing| &listing.rows);
    if let Some(snapshot) = &snapshot {
        known.processes.extend(snapshot.processes.values().filter_map(|process| process.name.clone()));
        known.users.extend(snapshot.users.values().cloned());
    }
    let commands = super::command_names();
    names
        .iter()
        .map(|(asked, name)| {
            // Only the first word can have been meant as a command.
            let commands = if first == Some(name) { &commands[..] } else { &[] };
            let here = Here { rows: everywhere, names: &known, catalogue, commands, hidden };
            let standing = here.standing(*asked, name);
            Absent { said: words::name(*asked, name, &standing, rest), standing }
        })
        .collect()
}

/// Writes what was not found to standard error.
pub fn report(absent: &[Absent], listing: &Listing<'_>, context: &mut Context) {
    let program = context.program.clone();
    let is_hidden = absent.iter().any(Absent::is_hidden);
    let how = if is_hidden { words::how_to_see(listing, program.as_deref()) } else { None };
    context.tell(absent.iter().map(|absent| absent.said.clone()));
    if let Some(hint) = how {
        context.hint(&hint);
    }
}

/// Writes to standard error why rows are listed that the targets do not name word for word.
pub fn explain(selection: &SelectionArgs, filter: &Filter, listing: &Listing<'_>, context: &mut Context) {
    for (target, wanted) in selection.targets().zip(&filter.targets) {
        let wildcards: Vec<&Row<'_>> =
            listing.rows.iter().filter(|row| !wanted.matches(row) && wanted.finds(row)).collect();
        let charset = super::confirm::charset(context);
        if let Some(line) = words::wildcards(&target.text, &wildcards, charset) {
            context.note(&line);
        }
        if !matches!(target.kind, TargetKind::Word(_)) {
            continue;
        }
        let mut counts: BTreeMap<NameKind, usize> = BTreeMap::new();
        for kind in listing.rows.iter().flat_map(|row| wanted.names_of(row)) {
            *counts.entry(kind).or_default() += 1;
        }
        if counts.len() > 1 {
            let kinds: Vec<(NameKind, usize)> = counts.into_iter().collect();
            context.note(&words::meanings(&target.text, &kinds));
        }
    }
}
