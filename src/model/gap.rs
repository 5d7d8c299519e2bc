//! What a run could not see: part of the answer, never an error.
//!
//! A gap holds facts; its sentence is made in `render::words::gap` and is never read back. A report stores the facts in
//! the form that serde gives them here, so that a saved gap is the same gap after it was read.

mod answer;
mod kind;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::answer::Answer;
pub use self::kind::{GapReason, Missing};

use super::{Family, HiddenBecause, Protocol, Uid};

/// How much of the processes a search for holders could read.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub struct Coverage {
    /// Processes whose descriptors were all read.
    pub read: usize,
    /// Processes of which some descriptors could not be read.
    pub refused: usize,
    /// The user who looked; null in a redacted report.
    pub uid: Option<Uid>,
    /// The option of the mount of /proc that hides other users' processes without a refusal.
    pub hidden_by_mount: Option<String>,
    /// Why the processes could not be looked at, or not as deep as is needed.
    pub problem: Option<String>,
}

impl Coverage {
    /// How many processes were met.
    pub fn processes(&self) -> usize {
        // A saved report may hold any numbers.
        self.read.saturating_add(self.refused)
    }

    /// Says whether there may be holders that this user cannot see.
    #[allow(dead_code, reason = "asked on Linux")]
    pub fn is_partial(&self) -> bool {
        self.refused > 0 || self.hidden_by_mount.is_some() || self.problem.is_some()
    }
}

/// Why the rules that forward ports without a socket were not read, or not all.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(tag = "why", rename_all = "kebab-case")]
pub enum RulesUnread {
    /// Rows of this kind were not asked for.
    NotWanted,
    /// The backend does not look for them.
    Unsupported,
    /// There are rules, and no helper was to be asked for them.
    NotAsked,
    /// There are rules, and no time was left to read them.
    TooLate,
    /// The kernel refused to say whether there are any.
    Refused {
        /// What the system answered.
        problem: String,
    },
    /// The kernel could not be asked whether there are any.
    Failed {
        /// What the system answered.
        problem: String,
    },
    /// Rules that leave it open where some connections go.
    NotUnderstood {
        /// What of them is not understood.
        reasons: Vec<String>,
    },
}

/// Something that exists, or may exist, and was not seen.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(tag = "gap", rename_all = "kebab-case")]
#[schemars(rename = "GapFacts")]
pub enum Gap {
    /// The holders of sockets are hidden.
    HiddenOwners {
        /// Why.
        because: HiddenBecause,
        /// Of how many sockets.
        count: usize,
        /// What could be read; null on systems that name the processes of sockets themselves.
        coverage: Option<Coverage>,
    },
    /// Lines of a socket table that could not be read as sockets.
    MalformedLines {
        /// The label of the port space.
        space: String,
        /// How many lines.
        count: usize,
    },
    /// The socket tables of a port space.
    SocketTables {
        /// The label of the port space.
        space: String,
        /// What the system answered.
        problem: String,
    },
    /// Sockets of other users' processes, on a system that does not tell them.
    SocketsOfOthers,
    /// Descriptors that were closed while they were looked at, or are of an unknown kind.
    UnreadDescriptors {
        /// How many.
        count: usize,
    },
    /// A saved report has no sockets of this protocol.
    ProtocolLeftOut {
        /// The protocol.
        protocol: Protocol,
    },
    /// A saved report has no sockets of this family.
    FamilyLeftOut {
        /// The family.
        family: Family,
    },
    /// A saved report was written with filters.
    FilteredReport,
    /// Netlink is refused, so that /proc/PID/net was read, which tells less.
    NetlinkRefused {
        /// The label of the first port space that it concerns.
        space: String,
        /// What the system answered.
        problem: String,
        /// How many more port spaces have the same.
        #[serde(default)]
        further_spaces: usize,
    },
    /// What netstat2 does not tell of sockets.
    LimitsOfNetstat2,
    /// Connections that no process holds any more, on a system that does not tell them.
    ClosedConnections,
    /// Nobody asked for the dynamic range and the excluded ports (Windows).
    PortRangesNotAsked,
    /// The range of UDP is another one than that of TCP, which is shown (Windows).
    UdpRangeDiffers {
        /// Its first port.
        first: u16,
        /// Its last port.
        last: u16,
    },
    /// The dynamic range (Windows).
    EphemeralRange {
        /// Why it is not known.
        problem: String,
    },
    /// Excluded ports (Windows).
    ReservedPorts {
        /// Why they are not known.
        problem: String,
    },
    /// Files, folders and arguments of processes that may not be opened (Windows).
    ClosedProcesses {
        /// Of how many processes.
        count: usize,
    },
    /// The name service did not give users' names in time.
    UserNamesTooLate,
    /// Names of users and arguments of processes: there was no thread that could wait for them.
    NoThreadToAsk {
        /// What the system answered.
        problem: String,
    },
    /// Peers and states of UDP sockets.
    UdpPeers {
        /// Of how many sockets.
        count: usize,
    },
    /// Port spaces other than this process's own; nothing looked for them.
    OtherSpaces {
        /// Whether they were asked for, from a backend that reads only this one.
        wanted: bool,
    },
    /// Port spaces other than this process's own; the search for them failed.
    SpacesNotFound {
        /// What went wrong.
        problem: String,
    },
    /// Network namespaces that are mounted or kept open and could not be entered.
    ClosedSpaces {
        /// How many.
        count: usize,
        /// Whether some of them may be listed all the same, by the name of a process that lives in them.
        perhaps_listed: bool,
        /// Whether this user may not enter them.
        refused: bool,
        /// What the system answered.
        problem: String,
    },
    /// Port spaces that nothing but an open file keeps: not all of those were looked at.
    UnattendedSpaces {
        /// What went wrong.
        problem: String,
    },
    /// Port spaces that nothing but an open file on its way from one process to another may keep.
    SpacesInFlight {
        /// How many files are on their way.
        count: usize,
    },
    /// Sockets that the kernel counts and no table lists.
    UnlistedProtocol {
        /// The label of the port space.
        space: String,
        /// The kernel's name for their protocol.
        protocol: String,
        /// How many sockets.
        count: usize,
        /// Whether they have ports, so that there may be listeners among them.
        has_ports: bool,
    },
    /// Port spaces of processes that /proc hides from this user.
    SpacesOfHiddenProcesses,
    /// Ports that are forwarded without a socket.
    Redirects {
        /// The label of the port space, where it is not the own one.
        space: Option<String>,
        /// Why they are missing.
        #[serde(flatten)]
        why: RulesUnread,
        /// How many more port spaces have the same.
        #[serde(default)]
        further_spaces: usize,
    },
    /// Names of containers; no helper was to be asked for them.
    ContainerNamesNotAsked,
    /// Names of containers.
    ContainerNames {
        /// Why they are not known.
        problem: String,
    },
    /// Names of services (Windows).
    ServiceNames {
        /// Why they are not known.
        problem: String,
    },
    /// What UDP sockets have carried.
    UdpTraffic {
        /// Of how many sockets.
        count: usize,
    },
    /// What connections have carried.
    Traffic,
    /// Peers, taken out of a report.
    RedactedPeers,
    /// Users, taken out of a report.
    RedactedUsers,
}

impl Gap {
    /// How many it concerns, where they can be counted: sockets for owners and attributes, spaces for spaces.
    pub const fn count(&self) -> Option<usize> {
        match self {
            Gap::HiddenOwners { count, .. }
            | Gap::MalformedLines { count, .. }
            | Gap::UnreadDescriptors { count }
            | Gap::ClosedProcesses { count }
            | Gap::UdpPeers { count }
            | Gap::UdpTraffic { count }
            | Gap::UnlistedProtocol { count, .. }
            | Gap::ClosedSpaces { count, perhaps_listed: false, .. } => Some(*count),
            _ => None,
        }
    }

    /// Takes out what tells of a person.
    pub fn redact(&mut self) {
        if let Gap::HiddenOwners { coverage: Some(coverage), .. } = self {
            coverage.uid = None;
        }
    }

    /// Counts another port space that has the same gap; says whether it is the same.
    #[allow(dead_code, reason = "asked on Linux")]
    pub fn absorb(&mut self, other: &Gap) -> bool {
        match (self, other) {
            (
                Gap::NetlinkRefused { problem, further_spaces, .. },
                Gap::NetlinkRefused { problem: same_problem, .. },
            ) if problem == same_problem => *further_spaces += 1,
            (Gap::Redirects { why, further_spaces, .. }, Gap::Redirects { why: same_why, .. }) if why == same_why => {
                // This user may read the rules of no space then: that is said once.
                if !matches!(why, RulesUnread::Refused { .. }) {
                    *further_spaces += 1;
                }
            }
            _ => return false,
        }
        true
    }
}
