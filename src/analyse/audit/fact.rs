//! What the rules find out, as data. `render/words/finding` says it, and what to do about it.

use std::collections::BTreeSet;

use jiff::civil::Date;

use super::holders::{Holding, Program};
use super::table::Service;
use crate::model::{Endpoint, Gap, PortRange, Queue, Replaceable, Row, Uid};

/// What is so, beside the rule that it breaks and the socket that it is about.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact<'a> {
    /// A service of the tables is open beyond loopback.
    Service {
        /// The service.
        service: Service,
        /// What it is known by.
        known_by: KnownBy,
    },
    /// Programs that are not known to serve a well-known port.
    UnknownPrograms {
        /// The service of the port.
        service: &'static str,
        /// What they are.
        strangers: BTreeSet<Program>,
    },
    /// A person's process serves a well-known port.
    Person(Uid),
    /// Unrelated programs have a socket each on one address and port.
    Shared {
        /// The one that the finding is about.
        one: Running,
        /// The others.
        strangers: BTreeSet<Running>,
    },
    /// Over IPv4 the port is on loopback only.
    OpenOverIpv6 {
        /// The socket of IPv4.
        closed: Endpoint,
        /// Who holds that.
        held_by: Holding,
    },
    /// It runs a file that is in no folder.
    InMemory(String),
    /// Others can replace what it runs.
    Replaceable {
        /// The file that it runs.
        exe: String,
        /// What can be replaced, and by whom.
        way: Replaceable,
        /// Whether the path is one of its own mount namespace.
        is_of_own_namespace: bool,
    },
    /// The file that it runs is gone.
    Deleted(String),
    /// Connections may get its port while it is not running.
    Ephemeral {
        /// The range that hands the port out.
        range: PortRange,
        /// Whether it is known that nothing reserves the port.
        is_known: bool,
        /// What keeps all such ports of the space.
        reservation: Reservation,
    },
    /// Its accept queue is nearly full.
    Queue(Queue),
    /// What is sent to it goes elsewhere, past the input rules of the host.
    Published,
    /// The owners of some listeners are hidden.
    HiddenOwners {
        /// So many.
        hidden: usize,
        /// Of so many listeners.
        open: usize,
        /// Why, where that is known.
        gap: Option<&'a Gap>,
    },
    /// Something else was not seen.
    Unseen(&'a Gap),
    /// What some listeners run could not be read.
    NoExecutable {
        /// So many.
        unknown: usize,
        /// Of so many listeners.
        open: usize,
        /// One of them.
        first: Listener<'a>,
    },
    /// So many port spaces were not looked at.
    FurtherSpaces(usize),
    /// A rule forbids the listener.
    Forbidden(RuleOfPolicy<'a>),
    /// No rule allows it. The one that is named would, if what the process says of itself could be believed.
    Unlisted(Option<RuleOfPolicy<'a>>),
    /// It can't be told whether a rule forbids or allows the listener.
    Unclear(RuleOfPolicy<'a>, Judgement, Unseen),
    /// The day of a rule is over.
    Expired(RuleOfPolicy<'a>, Option<Date>),
    /// A rule names no user.
    AnyUser(RuleOfPolicy<'a>),
    /// Nothing open is what a rule requires.
    Missing(RuleOfPolicy<'a>),
    /// It can't be told whether anything is.
    MaybeMissing(RuleOfPolicy<'a>),
}

/// What a service is known by.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum KnownBy {
    /// Its port.
    Port,
    /// The name of the file that holds the port.
    Program,
    /// Its port, but an installed program holds it, with this name, that is known for another service.
    PortOfAnother(String),
}

/// Who holds a socket, with what interpreters run.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Running {
    /// Who holds it.
    pub held_by: Holding,
    /// The scripts, modules and the like.
    pub runs: BTreeSet<String>,
}

/// What keeps connections from getting the ports of listeners. The setting holds the whole list of a space.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Reservation {
    /// Nothing short: there are too many of them.
    TooMany,
    /// These are to be added to a list that is not known.
    Add(Vec<PortRange>),
    /// The list is to be this.
    Set(Vec<PortRange>),
}

/// A listener that stands for others. Two are the same if they are one row.
#[derive(Clone, Copy, Debug)]
pub struct Listener<'a>(pub &'a Row<'a>);

impl PartialEq for Listener<'_> {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.0, other.0)
    }
}

/// A rule of the policy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RuleOfPolicy<'a> {
    /// `allow`, `require` or `forbid`.
    pub verb: &'static str,
    /// Its line in the file.
    pub line: usize,
    /// Why it is there.
    pub comment: Option<&'a str>,
}

/// What a rule of the policy may say of a listener.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Judgement {
    /// It forbids it.
    Forbids,
    /// It allows it.
    Allows,
}

/// Why a rule of the policy cannot be judged of a listener.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unseen {
    /// Its owner is hidden.
    Owner,
    /// The path of its executable is one of its own mount namespace.
    OwnNamespace,
    /// Its executable could not be read.
    Executable,
}

/// A rule that may accept a finding.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Doubt<'a> {
    /// The rule.
    pub rule: RuleOfPolicy<'a>,
    /// Why it can't be told.
    pub why: Unseen,
}
