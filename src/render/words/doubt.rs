//! Why a comparison of two reports may say too much or too little.

use crate::analyse::diff::{Diff, Doubt, Which};

/// Why more may have changed than is said, or less, one line each.
pub fn doubts(diff: &Diff) -> Vec<String> {
    diff.doubts.iter().copied().map(doubt).collect()
}

fn doubt(doubt: Doubt) -> String {
    let name = |which| match which {
        Which::Before => "before",
        Which::After => "after",
    };
    match doubt {
        Doubt::NotSeen(which, count) => format!(
            "{} not compared: the run {} did not look there (protocol, family, port space, forwarded ports, or ports \
             that are bound only); `portscope snapshot` as root writes a whole report",
            were(count, "socket"),
            name(which)
        ),
        Doubt::SpacesUnsure(which, count) => format!(
            "{} not compared: which port spaces of the other side theirs are {} cannot be told, since a user who may \
             not look into a space knows it by another number; two reports by root can be compared",
            were(count, "socket"),
            name(which)
        ),
        Doubt::ChoiceNotTold(which, count) => format!(
            "{} not compared: whether the kernel chose the port is not known {}",
            were(count, "UDP socket"),
            name(which)
        ),
        Doubt::DevicesNotTold(which, count) => format!(
            "{} compared by address alone: the device that a socket is bound to is not known {}",
            were(count, "socket"),
            name(which)
        ),
        Doubt::Filtered(which) => {
            format!("the report {} was written with filters: what it leaves out seems opened or closed", name(which))
        }
        Doubt::SocketsMissing(which) => {
            format!("some sockets could not be read {}: they may seem opened or closed", name(which))
        }
        Doubt::NamesMissing(which) => {
            format!("names of containers are not known {}: what is called by them seems to be another", name(which))
        }
        Doubt::UsersMissing(which) => format!("users were not compared: the report {} is redacted", name(which)),
        Doubt::PeersMissing(which) => format!("connections were not compared: the report {} is redacted", name(which)),
    }
}

fn were(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun} was") } else { format!("{count} {noun}s were") }
}
