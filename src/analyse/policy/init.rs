//! The policy that fits what is open now.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::analyse::audit::{Finding, Holding, Subject, User, exes_here, users};
use crate::model::{Endpoint, Exposure, Listing, PortRange, Protocol, Row, SpaceId};

/// So many ports in a row that are alike in all else are written one by one, since each has a name and a reason.
const FEW: usize = 8;

/// One rule to write: the listeners that differ in their exposure alone, or a long row of ports that differ in nothing
/// else.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// The label of the port space.
    pub space: String,
    /// Whether that label is more than a claim of a process.
    pub is_space_proved: bool,
    /// The protocol.
    pub protocol: Protocol,
    /// The port, or all ports of the row.
    pub ports: PortRange,
    /// The name of the service; absent for a row.
    pub service: Option<String>,
    /// How far they can be reached.
    pub exposures: BTreeSet<Exposure>,
    /// The files that their holders run; empty where one is not known.
    pub exes: BTreeSet<String>,
    /// The users of their holders; empty where one is not known.
    pub users: BTreeSet<String>,
    /// Who holds them.
    pub owner: Holding,
    /// What the built-in rules find in them, by the id of the rule; for a row in its first port.
    pub findings: BTreeMap<&'static str, &'a Finding<'a>>,
    /// Whether there are programs that could not be seen.
    pub is_owner_hidden: bool,
    /// Whether the kernel chose the port, so that it changes at the next start.
    pub is_chosen_by_kernel: bool,
}

/// Returns a rule for everything that is open, by space, port and protocol.
pub fn entries<'a>(listing: &Listing<'_>, found: &'a [Finding<'a>]) -> Vec<Entry<'a>> {
    let mut about: About<'_> = HashMap::new();
    for finding in found {
        if let Subject::Socket(row) = finding.subject {
            about.entry(place(row)).or_default().push(finding);
        }
    }
    let mut entries: BTreeMap<_, Entry<'a>> = BTreeMap::new();
    for row in listing.rows.iter().filter(|row| row.is_listener) {
        let entry = entry(row, about.get(&place(row)).map_or(&[], Vec::as_slice));
        let key = (
            entry.space.clone(),
            entry.ports,
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
    in_rows(entries.into_values().collect())
}

/// What the built-in rules find, by the place of the socket.
type About<'a> = HashMap<(SpaceId, Protocol, Endpoint), Vec<&'a Finding<'a>>>;

fn place(row: &Row<'_>) -> (SpaceId, Protocol, Endpoint) {
    (row.space.id, row.socket.protocol, row.socket.local)
}

/// Makes one entry of the ports that stand in a row, where there are more than a few.
fn in_rows(mut entries: Vec<Entry<'_>>) -> Vec<Entry<'_>> {
    entries.sort_by(|a, b| a.kind().cmp(&b.kind()).then(a.ports.cmp(&b.ports)));
    let is_next = |a: &Entry<'_>, b: &Entry<'_>| {
        a.ports.last().get().checked_add(1) == Some(b.ports.first().get()) && a.kind() == b.kind()
    };
    let mut joined: Vec<Entry<'_>> = Vec::new();
    for row in entries.chunk_by(is_next) {
        let ends = PortRange::new(row[0].ports.first(), row[row.len() - 1].ports.last());
        match ends.filter(|_| row.len() > FEW) {
            Some(ports) => joined.push(Entry { ports, service: None, ..row[0].clone() }),
            None => joined.extend_from_slice(row),
        }
    }
    joined.sort_by(|a, b| (&a.space, a.ports, a.protocol).cmp(&(&b.space, b.ports, b.protocol)));
    joined
}

impl Entry<'_> {
    /// Says whether it is for more than one port.
    pub fn is_row(&self) -> bool {
        self.ports.first() < self.ports.last()
    }

    /// Everything that a rule for several ports would say of each of them.
    fn kind(&self) -> impl Ord {
        let sets = (&self.exposures, &self.exes, &self.users);
        let findings: Vec<&str> = self.findings.keys().copied().collect();
        (&self.space, self.protocol, &self.owner, sets, findings, self.is_owner_hidden, self.is_chosen_by_kernel)
    }
}

fn entry<'a>(row: &Row<'_>, found: &[&'a Finding<'a>]) -> Entry<'a> {
    let socket = row.socket;
    Entry {
        space: row.space.label.clone(),
        is_space_proved: row.space.named_by.decides(),
        protocol: socket.protocol,
        ports: PortRange::single(socket.local.port),
        service: row.service().map(|service| service.name.to_owned()),
        exposures: BTreeSet::from([row.exposure]),
        exes: all_known(exes_here(row)),
        users: all_known(users(row).into_iter().map(|user| user.map(User::shown)).collect()),
        owner: Holding::of(row),
        findings: found.iter().map(|finding| (finding.rule.id, *finding)).collect(),
        is_owner_hidden: row.is_hidden() || exes_here(row).contains(&None),
        is_chosen_by_kernel: socket.autobound == Some(true),
    }
}

/// A list is of use only when it names every holder.
fn all_known(values: Vec<Option<std::borrow::Cow<'_, str>>>) -> BTreeSet<String> {
    let known: Option<BTreeSet<String>> =
        values.into_iter().map(|value| value.map(std::borrow::Cow::into_owned)).collect();
    known.unwrap_or_default()
}
