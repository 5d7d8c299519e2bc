//! A port space: the 65,536 numbers of one network stack.

use super::PortRange;

/// Tells the spaces of one host apart: the inode of the network namespace, or 0 on a system without namespaces.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SpaceId(pub u64);

/// What a space is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SpaceKind {
    /// The network stack that the machine started with.
    Host,
    /// Another network namespace.
    Netns,
}

impl SpaceKind {
    /// The name in JSON and in tables.
    pub const fn name(self) -> &'static str {
        match self {
            SpaceKind::Host => "host",
            SpaceKind::Netns => "netns",
        }
    }
}

/// One port space of the host.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Space {
    /// Tells it from the others.
    pub id: SpaceId,
    /// What it is.
    pub kind: SpaceKind,
    /// Its name for people.
    pub label: String,
    /// The ports that it hands out for outgoing connections.
    pub ephemeral: Option<PortRange>,
}
