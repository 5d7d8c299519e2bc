//! Lets a person at the terminal choose listeners from a list, where no port was named.

use std::collections::BTreeSet;
use std::io::Write;

use crate::analyse::kill;
use crate::analyse::targets::PortTargets;
use crate::cli::ProtocolArgs;
use crate::context::Context;
use crate::error::Error;
use crate::model::{Owner, Row};
use crate::render::words::{question, socket, verdict};
use crate::select::{TargetKind, TargetList, Wanted};
use crate::{join, select};

/// The targets that were typed; where none was, or a word that only names processes and the like, those that a person
/// chooses. A name is its process's own choice, so it only shortens the list and decides nothing.
pub fn ports(
    typed: &[TargetList],
    protocols: ProtocolArgs,
    command: &str,
    context: &mut Context,
) -> Result<Option<Vec<TargetList>>, Error> {
    let catalogue = context.configuration.catalogue(&[], &context.environment)?;
    let is_port = |target: &select::Target| match &target.kind {
        TargetKind::Word(word) => !catalogue.ports_named(word).is_empty(),
        _ => true,
    };
    if !typed.is_empty() && (TargetList::all(typed).any(is_port) || !context.can_ask()) {
        return Ok(Some(typed.to_vec()));
    }
    if !context.can_ask() {
        return Err(Error::Usage(question::no_port(command)));
    }
    let snapshot = context.source.snapshot(&PortTargets::need(true))?;
    let mut listing = join::listing(&snapshot, None);
    select::in_default_order(&mut listing.rows);
    let words: Vec<Wanted> = TargetList::all(typed).map(|target| Wanted::new(target, |_| BTreeSet::new())).collect();
    let wanted = protocols.protocols();
    let charset = context.style().charset;
    let mut choices: Vec<(String, &Row<'_>)> = Vec::new();
    for row in listing.rows.iter().filter(|row| kill::waits(row) && wanted.contains(&row.socket.protocol)) {
        let is_meant = words.is_empty() || words.iter().any(|word| word.matches(row));
        let target = format!("{}/{}", socket::local(row, charset), row.socket.protocol.name());
        // Sockets that share one end are stopped together.
        let is_new = !choices.iter().any(|(known, _)| *known == target);
        if is_meant && is_new && matches!(row.socket.owner, Owner::Processes(_)) {
            choices.push((target, row));
        }
    }
    if choices.is_empty() {
        let line = question::nothing_to_choose(TargetList::all(typed).next().map(|target| target.text.as_str()));
        return Err(Error::NoSuchName { line, hints: Vec::new() });
    }
    let ends: Vec<String> = choices
        .iter()
        .map(|(_, row)| format!("{} {}", row.socket.protocol.name(), socket::answering(row, charset)))
        .collect();
    let widest = ends.iter().map(String::len).max().unwrap_or(0);
    for (index, ((_, row), end)) in choices.iter().zip(&ends).enumerate() {
        context.say(&format!("{:>3}  {end:<widest$}  {}", index + 1, verdict::who(row, charset)))?;
    }
    context.stdout.flush()?;
    loop {
        let Some(answer) = context.ask_for(&question::which(command)) else { return Ok(None) };
        match numbers(&answer, choices.len()) {
            Ok(chosen) if chosen.is_empty() => return Ok(None),
            Ok(chosen) => {
                let texts = chosen.iter().map(|number| choices[number - 1].0.parse());
                return texts
                    .collect::<Result<Vec<TargetList>, _>>()
                    .map(Some)
                    .map_err(|error| Error::Usage(error.to_string()));
            }
            Err(problem) => context.note(&problem),
        }
    }
}

/// Reads `1, 3-5`: numbers of the list.
fn numbers(text: &str, last: usize) -> Result<BTreeSet<usize>, String> {
    let mut chosen = BTreeSet::new();
    for part in text.split([',', ' ']).map(str::trim).filter(|part| !part.is_empty()) {
        let (first, end) = part.split_once('-').unwrap_or((part, part));
        let number = |text: &str| text.parse().ok().filter(|number| (1..=last).contains(number));
        match (number(first), number(end)) {
            (Some(first), Some(end)) if first <= end => chosen.extend(first..=end),
            _ => return Err(question::not_in_the_list(part, last)),
        }
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_ranges_of_the_list_are_read_and_nothing_else() {
        assert_eq!(numbers("1, 3-5 7", 7).unwrap(), BTreeSet::from([1, 3, 4, 5, 7]));
        assert!(numbers("  ", 7).unwrap().is_empty());
        for wrong in ["0", "8", "x", "5-3", "1-8", "-1", "1-", "1,,y"] {
            assert!(numbers(wrong, 7).unwrap_err().starts_with('`'), "{wrong}");
        }
    }
}
