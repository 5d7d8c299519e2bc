//! What a command needs from the system, so that the rest is not collected.

use super::Protocol;

/// What to collect. It only skips work: nothing here chooses rows by meaning.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Need {
    /// The protocols whose sockets are wanted.
    pub protocols: Vec<Protocol>,
    /// Whether the arguments of owners are wanted.
    pub argv: bool,
}
