//! What an audit found, what it is about, and what to do.

mod evidence;
mod holding;
mod look;
mod remedy;

pub use evidence::evidence;
pub use holding::holding;
pub use remedy::remedy;

use std::path::Path;

use crate::analyse::audit::{Finding, Holding, Rule, Severity, Subject};
use crate::model::{Listing, Row};
use crate::render::text::safe::{Charset, Text};
use crate::render::words::socket;

/// An audit that was carried out.
pub struct Audit<'a> {
    /// What was looked at.
    pub listing: &'a Listing<'a>,
    /// What was found, the worst first.
    pub findings: &'a [Finding<'a>],
    /// The rules that were applied.
    pub rules: Vec<&'static Rule>,
    /// The file of the policy.
    pub policy: Option<&'a Path>,
    /// The severity from which on a finding fails the audit.
    pub fail_on: Severity,
    /// This program's own path, for hints.
    pub program: Option<&'a Path>,
}

impl Audit<'_> {
    /// Says whether the finding fails the audit.
    pub fn fails(&self, finding: &Finding<'_>) -> bool {
        finding.severity >= self.fail_on
    }

    /// How many findings fail the audit.
    pub fn failures(&self) -> usize {
        self.findings.iter().filter(|finding| self.fails(finding)).count()
    }

    /// What to do about the finding.
    pub fn remedy(&self, finding: &Finding<'_>) -> String {
        remedy(finding, self.listing.snapshot, self.program)
    }

    /// How many sockets were judged.
    pub fn open(&self) -> usize {
        self.listing.rows.iter().filter(|row| row.is_listener).count()
    }
}

/// Names what a finding is about in one line.
pub fn subject(finding: &Finding<'_>, audit: &Audit<'_>) -> String {
    match finding.subject {
        Subject::Socket(row) => {
            let space = if audit.listing.snapshot.spaces.len() > 1 {
                format!(" in {}", row.space.label)
            } else {
                String::new()
            };
            format!("{}{space}  {}", place(row), holding(&Holding::of(row)))
        }
        Subject::Policy { line, comment } => {
            let file = audit.policy.map_or("the policy".into(), |path| path.to_string_lossy());
            let comment = comment.map(|comment| format!("  {comment}")).unwrap_or_default();
            format!("{file}, line {line}{comment}")
        }
        Subject::Run => "this run".to_owned(),
    }
}

/// The protocol and end of a socket: `tcp 0.0.0.0%eth0:80`.
pub fn place(row: &Row<'_>) -> String {
    format!("{} {}", row.socket.protocol.name(), socket::local(row, Charset::Unicode))
}

/// Text that came from elsewhere as text for a program: the escapes of a terminal as visible escapes.
pub fn plain(text: &str) -> String {
    Text::of(text, Charset::Unicode).into_string()
}
