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
            "{} not compared: out of scope on the {} side (protocol, family, port space, forwarded ports, or bound ports \
             that are not listening); `portscope snapshot` as root writes a complete report",
            were(count, "socket"),
            name(which)
        ),
        Doubt::SpacesUnsure(which, count) => format!(
            "{} not compared: their port spaces on the {} side cannot be matched to the other side, because users \
             without permission to enter a port space see a different ID for it; compare two reports made by root",
            were(count, "socket"),
            name(which)
        ),
        Doubt::ChoiceNotTold(which, count) => format!(
            "{} not compared: whether the kernel chose the port is unknown on the {} side",
            were(count, "UDP socket"),
            name(which)
        ),
        Doubt::DevicesNotTold(which, count) => format!(
            "{} compared by address only: the interface that a socket is bound to is unknown on the {} side",
            were(count, "socket"),
            name(which)
        ),
        Doubt::Filtered(which) => {
            format!(
                "the {} report was written with filters: anything it leaves out looks opened or closed",
                name(which)
            )
        }
        Doubt::SocketsMissing(which) => {
            format!("some sockets could not be read on the {} side: they may look opened or closed", name(which))
        }
        Doubt::NamesMissing(which) => {
            format!(
                "container names are unknown on the {} side: anything identified by them looks different",
                name(which)
            )
        }
        Doubt::UsersMissing(which) => format!("users were not compared: the {} report is redacted", name(which)),
        Doubt::PeersMissing(which) => format!("connections were not compared: the {} report is redacted", name(which)),
    }
}

fn were(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun} was") } else { format!("{count} {noun}s were") }
}
