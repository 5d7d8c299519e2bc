//! What can be wrong in the file of a policy, as facts; `render/words/policy` words them.

use super::Verb;
use crate::model::{Endpoint, PortError, Protocol};

/// What is wrong in the file, and where.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PolicyError {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong at a place of the file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Problem {
    /// It is not TOML, in the words of the parser.
    NotToml(String),
    /// No key has the name.
    UnknownKey {
        /// The name.
        name: String,
        /// The known key that is most like it.
        near: Option<&'static str>,
        /// The keys that are known there.
        known: &'static [&'static str],
    },
    /// Rules stand under something else than `[[allow]]`, `[[require]]` or `[[forbid]]`.
    NotTables(Verb),
    /// `severity` stands in `[[allow]]`.
    SeverityOfAllow,
    /// `suppress` stands in another rule than `[[allow]]`.
    SuppressOfOther,
    /// The rule asks nothing, and so would match everything.
    NoCondition(Verb),
    /// The key has a value that is not accepted.
    Value {
        /// The key.
        key: String,
        /// What is wrong with its value.
        fault: ValueFault,
    },
    /// `when` has no answer for a socket.
    NoAnswer {
        /// The socket's protocol.
        protocol: Protocol,
        /// The socket's own address and port.
        local: Endpoint,
        /// Why, in the words of the expression's evaluator.
        reason: String,
    },
}

/// Why a value is not accepted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ValueFault {
    /// A list without a value.
    EmptyList,
    /// It is no string, but this.
    NotAString(Kind),
    /// It is neither a port nor a range, but this.
    NotPorts(Kind),
    /// It is none of the known values.
    NotAChoice {
        /// The value.
        value: String,
        /// The known values.
        known: Vec<&'static str>,
    },
    /// A pattern of no characters.
    EmptyPattern,
    /// A number that is no user's.
    NotAUid(String),
    /// A text or number that is no port, or no range of ports.
    Ports(PortError),
    /// No service of the catalogue has the name.
    UnknownService(String),
    /// It is no day of the calendar.
    NotADate,
    /// It is no condition, in the words of the expression's parser.
    NotACondition(String),
}

/// A kind of value of TOML.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// `"text"`.
    String,
    /// `80`.
    Integer,
    /// `80.5`.
    Float,
    /// `true`.
    Boolean,
    /// `2027-12-31`.
    Datetime,
    /// `[1, 2]`.
    Array,
    /// `{ a = 1 }`.
    Table,
}
