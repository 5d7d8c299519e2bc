//! The kinds of gaps: what is missing, and why.

use super::{Gap, RulesUnread};
use crate::model::HiddenBecause;

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
    /// Sockets of protocols without ports.
    Portless,
    /// What sockets have carried.
    Traffic,
}

impl Missing {
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
            Missing::Portless => "portless",
            Missing::Traffic => "traffic",
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
    /// The backend in use does not give it, or could not read it.
    Backend,
    /// Nobody looked for it.
    NotLookedFor,
    /// It was taken out of a report before that was given away.
    Redacted,
    /// The report was written without it, by choice.
    LeftOut,
}

impl GapReason {
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

impl Gap {
    /// What kind of fact is missing.
    pub const fn missing(&self) -> Missing {
        match self {
            Gap::HiddenOwners { .. } => Missing::Owners,
            Gap::MalformedLines { .. }
            | Gap::SocketTables { .. }
            | Gap::SocketsOfOthers
            | Gap::UnreadDescriptors { .. }
            | Gap::ProtocolLeftOut { .. }
            | Gap::FamilyLeftOut { .. }
            | Gap::FilteredReport
            | Gap::UnlistedProtocol { has_ports: true, .. } => Missing::Sockets,
            Gap::UnlistedProtocol { has_ports: false, .. } => Missing::Portless,
            Gap::NetlinkRefused { .. }
            | Gap::LimitsOfNetstat2
            | Gap::ClosedConnections
            | Gap::PortRangesNotAsked
            | Gap::UdpRangeDiffers { .. }
            | Gap::EphemeralRange { .. }
            | Gap::ReservedPorts { .. } => Missing::Attributes,
            Gap::ClosedProcesses { .. } | Gap::UserNamesTooLate | Gap::NoThreadToAsk { .. } => Missing::Processes,
            Gap::UdpPeers { .. } => Missing::UdpPeers,
            Gap::OtherSpaces { .. }
            | Gap::SpacesNotFound { .. }
            | Gap::ClosedSpaces { .. }
            | Gap::UnattendedSpaces { .. }
            | Gap::SpacesInFlight { .. }
            | Gap::SpacesOfHiddenProcesses => Missing::Spaces,
            Gap::Redirects { .. } => Missing::Redirects,
            Gap::ContainerNamesNotAsked | Gap::ContainerNames { .. } | Gap::ServiceNames { .. } => Missing::Names,
            Gap::UdpTraffic { .. } | Gap::Traffic => Missing::Traffic,
            Gap::RedactedPeers => Missing::Peers,
            Gap::RedactedUsers => Missing::Users,
        }
    }

    /// Why.
    pub const fn reason(&self) -> GapReason {
        match self {
            Gap::HiddenOwners { because, .. } => GapReason::Owner(*because),
            Gap::ProtocolLeftOut { .. } | Gap::FamilyLeftOut { .. } | Gap::FilteredReport => GapReason::LeftOut,
            Gap::RedactedPeers | Gap::RedactedUsers => GapReason::Redacted,
            Gap::SocketsOfOthers | Gap::ClosedProcesses { .. } | Gap::SpacesOfHiddenProcesses => GapReason::Refused,
            Gap::ClosedSpaces { refused: true, .. } => GapReason::Refused,
            Gap::PortRangesNotAsked | Gap::OtherSpaces { wanted: false } | Gap::ContainerNamesNotAsked => {
                GapReason::NotLookedFor
            }
            Gap::Redirects { why, .. } => match why {
                RulesUnread::NotWanted | RulesUnread::Unsupported | RulesUnread::NotAsked => GapReason::NotLookedFor,
                RulesUnread::Refused { .. } => GapReason::Refused,
                RulesUnread::TooLate | RulesUnread::Failed { .. } | RulesUnread::NotUnderstood { .. } => {
                    GapReason::Backend
                }
            },
            Gap::MalformedLines { .. }
            | Gap::SocketTables { .. }
            | Gap::UnreadDescriptors { .. }
            | Gap::NetlinkRefused { .. }
            | Gap::LimitsOfNetstat2
            | Gap::ClosedConnections
            | Gap::UdpRangeDiffers { .. }
            | Gap::EphemeralRange { .. }
            | Gap::ReservedPorts { .. }
            | Gap::UserNamesTooLate
            | Gap::NoThreadToAsk { .. }
            | Gap::UdpPeers { .. }
            | Gap::OtherSpaces { wanted: true }
            | Gap::SpacesNotFound { .. }
            | Gap::ClosedSpaces { refused: false, .. }
            | Gap::UnattendedSpaces { .. }
            | Gap::SpacesInFlight { .. }
            | Gap::UnlistedProtocol { .. }
            | Gap::ContainerNames { .. }
            | Gap::ServiceNames { .. }
            | Gap::UdpTraffic { .. }
            | Gap::Traffic => GapReason::Backend,
        }
    }
}
