//! What a run could not see, as JSON.

use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::{Gap, Listing, Missing};
use crate::render::words::{gap, summary};

/// What the run could not see.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Visibility {
    /// Whether every socket of the listed port spaces and every owner of the sockets above was seen.
    pub complete: bool,
    /// The number of sockets above whose owner could not be seen.
    pub hidden_owners: usize,
    /// The number of requested port spaces that this user cannot read; null if they cannot be counted.
    pub unseen_spaces: Option<usize>,
    /// The least number of port spaces that were found but not requested (`--space all`); null if they were not looked for.
    pub further_spaces: Option<usize>,
    /// Whether all ports forwarded without a socket were looked for in the listed port spaces.
    pub redirects_checked: bool,
    /// What is missing and why.
    pub reasons: Vec<GapReport>,
}

/// Something that could not be seen.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Gap")]
pub struct GapReport {
    /// `owners`, `sockets`, `processes`, `attributes`, `udp-peers`, `spaces`, `redirects`, `names`, `peers`, `users` or
    /// `portless` (raw sockets and the like, which have no port).
    pub missing: &'static str,
    /// The reason: as in `owner.reason`, or `permission`, `backend` (it does not report this), `not-looked-for`,
    /// `redacted` (removed), or `left-out` (the report was written without it).
    pub reason: &'static str,
    /// The number of sockets of the whole listing that this affects; null if it cannot be counted.
    pub count: Option<usize>,
    /// The details as text, generated from the facts.
    pub detail: String,
    /// What would show it.
    pub hint: Option<String>,
    /// The facts, which differ by kind of gap.
    pub facts: Gap,
}

/// Turns what the snapshot misses of the listing into the document's words.
pub fn visibility(listing: &Listing<'_>, program: Option<&Path>) -> Visibility {
    let hidden_owners = listing.rows.iter().filter(|row| row.is_hidden()).count();
    let gaps = &listing.snapshot.gaps;
    let report = |gap: &Gap| GapReport {
        missing: gap.missing().name(),
        reason: gap.reason().name(),
        count: gap.count(),
        detail: gap::sentence(gap),
        hint: summary::hint(gap.reason(), listing.snapshot, program),
        facts: gap.clone(),
    };
    Visibility {
        complete: !listing.is_incomplete(),
        hidden_owners,
        unseen_spaces: listing.snapshot.unseen_spaces(),
        further_spaces: listing.snapshot.further_spaces,
        redirects_checked: !listing.snapshot.misses(Missing::Redirects),
        reasons: gaps.iter().map(report).collect(),
    }
}

/// What several looks together could not see.
pub fn together(looks: Vec<Visibility>) -> Visibility {
    let mut all = Visibility {
        complete: true,
        hidden_owners: 0,
        unseen_spaces: Some(0),
        further_spaces: None,
        redirects_checked: true,
        reasons: Vec::new(),
    };
    for look in looks {
        all.complete &= look.complete;
        all.hidden_owners += look.hidden_owners;
        all.unseen_spaces = all.unseen_spaces.zip(look.unseen_spaces).map(|(one, other)| one + other);
        all.further_spaces = match (all.further_spaces, look.further_spaces) {
            (Some(one), Some(other)) => Some(one + other),
            (one, other) => one.or(other),
        };
        all.redirects_checked &= look.redirects_checked;
        all.reasons.extend(look.reasons);
    }
    all
}
