//! What a run could not see: part of the answer, never an error.

use super::HiddenBecause;

/// A kind of fact that can be missing from a snapshot.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Missing {
    /// Who holds some sockets.
    Owners,
    /// Some sockets.
    Sockets,
    /// Names and users of processes.
    Processes,
    /// Facts about each socket that this backend does not ask for.
    Attributes,
    /// The peers and states of UDP sockets.
    UdpPeers,
    /// The sockets of other port spaces.
    Spaces,
    /// Ports that are forwarded without a socket.
    Redirects,
    /// Names of containers, and of services on Windows.
    Names,
    /// The other ends of connections.
    Peers,
    /// Who made sockets and runs processes.
    Users,
}

impl Missing {
    /// Every kind.
    pub const ALL: [Missing; 10] = [
        Missing::Owners,
        Missing::Sockets,
        Missing::Processes,
        Missing::Attributes,
        Missing::UdpPeers,
        Missing::Spaces,
        Missing::Redirects,
        Missing::Names,
        Missing::Peers,
        Missing::Users,
    ];

    /// The name in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Missing::Owners => "owners",
            Missing::Sockets => "sockets",
            Missing::Processes => "processes",
            Missing::Attributes => "attributes",
            Missing::UdpPeers => "udp-peers",
            Missing::Spaces => "spaces",
            Missing::Redirects => "redirects",
            Missing::Names => "names",
            Missing::Peers => "peers",
            Missing::Users => "users",
        }
    }
}

/// Why a fact is missing, which also decides what would show it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum GapReason {
    /// The holder of a socket is hidden.
    Owner(HiddenBecause),
    /// This user may not know.
    Refused,
    /// The backend in use does not give it.
    Backend,
    /// This version does not look for it.
    NotLookedFor,
    /// It was taken out of a report before that was given away.
    Redacted,
    /// The report was written without it, by choice.
    LeftOut,
}

impl GapReason {
    /// The reasons that are not about one owner.
    pub const PLAIN: [GapReason; 5] =
        [GapReason::Refused, GapReason::Backend, GapReason::NotLookedFor, GapReason::Redacted, GapReason::LeftOut];

    /// The name in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            GapReason::Owner(because) => because.name(),
            GapReason::Refused => "permission",
            GapReason::Backend => "backend",
            GapReason::NotLookedFor => "not-looked-for",
            GapReason::Redacted => "redacted",
            GapReason::LeftOut => "left-out",
        }
    }
}

/// Something that exists, or may exist, and was not seen.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Gap {
    /// What kind of fact is missing.
    pub missing: Missing,
    /// Why.
    pub reason: GapReason,
    /// How many it concerns, where they can be counted: sockets for owners and attributes.
    pub count: Option<usize>,
    /// The circumstances in words: `77 of 80 processes may not be read`.
    pub detail: String,
}
