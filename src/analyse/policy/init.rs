//! The policy that fits what is open now.

use std::collections::{BTreeMap, BTreeSet};

use crate::analyse::audit::{Finding, Subject, exes, summary, users};
use crate::model::{Exposure, Listing, Port, Protocol, Row};

/// One rule to write: the listeners that differ in their exposure alone.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// The label of the port space.
    pub space: String,
    /// The protocol.
    pub protocol: Protocol,
    /// The port.
    pub port: Port,
    /// The name of the service.
    pub service: Option<String>,
    /// How far they can be reached.
    pub exposures: BTreeSet<Exposure>,
    /// The files that their holders run; empty where one is not known.
    pub exes: BTreeSet<String>,
    /// The users of their holders; empty where one is not known.
    pub users: BTreeSet<String>,
    /// Who holds them, in words.
    pub owner: String,
    /// What the built-in rules find in them: the id of the rule, and the evidence with its severity.
    pub findings: BTreeMap<&'static str, String>,
    /// Whether there are programs that could not be seen.
    pub is_owner_hidden: bool,
    /// Whether the kernel chose the port, so that it changes at the next start.
    pub is_chosen_by_kernel: bool,
}

/// Returns a rule for everything that is open, by space, port and protocol.
pub fn entries(listing: &Listing<'_>, found: &[Finding<'_>]) -> Vec<Entry> {
    let mut entries: BTreeMap<_, Entry> = BTreeMap::new();
    for row in listing.rows.iter().filter(|row| row.is_listener) {
        let entry = entry(row, found);
        let key = (
            entry.space.clone(),
            entry.port,
            entry.protocol,
            entry.exes.clone(),
            entry.users.clone(),
            entry.is_chosen_by_kernel,
        );
        match entries.get_mut(&key) {
            Some(first) => {
                first.exposures.extend(entry.exposures);
                first.findings.extend(entry.findings);
            }
            None => drop(entries.insert(key, entry)),
        }
    }
    entries.into_values().collect()
}

fn entry(row: &Row<'_>, found: &[Finding<'_>]) -> Entry {
    let socket = row.socket;
    let is_about = |finding: &&Finding<'_>| {
        matches!(finding.subject, Subject::Socket(own) if own.space.id == row.space.id
            && own.socket.protocol == socket.protocol && own.socket.local == socket.local)
    };
    let about = found.iter().filter(is_about);
    Entry {
        space: row.space.label.clone(),
        protocol: socket.protocol,
        port: socket.local.port,
        service: row.service.map(|service| service.name.to_owned()),
        exposures: BTreeSet::from([row.exposure]),
        exes: all_known(exes(row)),
        users: all_known(users(row)),
        owner: summary(row),
        findings: about
            .map(|finding| (finding.rule.id, format!("{}: {}", finding.severity.name(), finding.evidence)))
            .collect(),
        is_owner_hidden: row.is_hidden() || exes(row).contains(&None),
        is_chosen_by_kernel: socket.autobound == Some(true),
    }
}

/// A list is of use only when it names every holder.
fn all_known(values: Vec<Option<std::borrow::Cow<'_, str>>>) -> BTreeSet<String> {
    let known: Option<BTreeSet<String>> =
        values.into_iter().map(|value| value.map(std::borrow::Cow::into_owned)).collect();
    known.unwrap_or_default()
}
