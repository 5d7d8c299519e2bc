//! Which gap matters to which answer, and so to `--strict`.

use super::{Gap, GapReason, Missing};

/// What a command answers. Different gaps can change each answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Answer {
    /// Which sockets there are in the spaces that were listed.
    Sockets,
    /// Which port spaces there are, among those that were asked for.
    Spaces,
    /// Who holds the sockets.
    Owners,
    /// Which ports are forwarded without a socket, as far as this user may know.
    Redirects,
    /// That a port is free.
    FreePort,
    /// That a listing has no row, as far as a listing with rows does not say it too.
    EmptyListing,
    /// What there is to know about a port.
    Port,
    /// What can be compared with another report.
    Comparison,
    /// `--strict` and `visibility.complete`, besides the owners that are hidden in the rows.
    Complete,
}

impl Gap {
    /// Says whether it could change the answer. The one place that decides it.
    pub fn matters_to(&self, answer: Answer) -> bool {
        let (missing, reason) = (self.missing(), self.reason());
        match answer {
            // What a report leaves out by choice is said when it is read.
            Answer::Sockets => missing == Missing::Sockets && reason != GapReason::LeftOut,
            Answer::Spaces => missing == Missing::Spaces && reason != GapReason::NotLookedFor,
            Answer::Owners => missing == Missing::Owners,
            // That a user may not read the rules, or that nobody was asked, is usual: the document says it.
            Answer::Redirects => missing == Missing::Redirects && reason == GapReason::Backend,
            // Who holds a socket does not matter here; that one may be missing does.
            Answer::FreePort => matches!(missing, Missing::Sockets | Missing::Redirects | Missing::Attributes),
            Answer::EmptyListing => {
                missing == Missing::Attributes || (missing == Missing::Redirects && reason != GapReason::Backend)
            }
            Answer::Port => {
                matches!(missing, Missing::Spaces | Missing::Redirects | Missing::Sockets | Missing::Processes)
            }
            // The scope of a report says what it leaves out by choice.
            Answer::Comparison => reason != GapReason::LeftOut,
            Answer::Complete => {
                missing == Missing::Sockets || self.matters_to(Answer::Spaces) || self.matters_to(Answer::Redirects)
            }
        }
    }
}
