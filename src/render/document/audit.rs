//! The JSON document of an audit.

use schemars::JsonSchema;
use serde::Serialize;

use crate::analyse::audit::{Finding, Holding, Severity, Subject};
use crate::render::document::envelope::Envelope;
use crate::render::words::finding::{self as words, Audit};

/// Findings about the open ports of one host. No finding contains a process ID, so restarts do not change them.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "portscope audit", rename = "Audit")]
pub struct AuditReport<'a> {
    /// The policy file; null if there is none.
    pub policy: Option<String>,
    /// The lowest severity that makes the audit fail: `info`, `low`, `medium`, `high` or `critical`.
    pub fail_on: &'a str,
    /// The number of findings that make the audit fail.
    pub failures: usize,
    /// The number of listeners and forwarded ports that were checked.
    pub listeners: usize,
    /// The IDs of the rules that were applied.
    pub rules: Vec<&'a str>,
    /// The findings, most severe first.
    pub findings: Vec<FindingReport<'a>>,
}

/// One finding.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Finding")]
pub struct FindingReport<'a> {
    /// The ID of the rule; `portscope audit --explain ID` explains it.
    pub id: &'a str,
    /// `info`, `low`, `medium`, `high` or `critical`.
    pub severity: &'a str,
    /// The socket that the finding is about; null if it is about a policy rule or about the run itself.
    pub subject: Option<SubjectReport<'a>>,
    /// The line of the policy rule that the finding is about.
    pub policy_line: Option<usize>,
    /// The number of sockets with this same finding.
    pub count: usize,
    /// The facts, as text.
    pub evidence: String,
    /// What to do, as text.
    pub remedy: String,
}

/// A socket, described by what a restart does not change.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Subject")]
pub struct SubjectReport<'a> {
    /// The label of its port space (network namespace).
    pub space: &'a str,
    /// `tcp` or `udp`.
    pub protocol: &'a str,
    /// The local address.
    pub address: std::net::IpAddr,
    /// The local port.
    pub port: u16,
    /// The network interface that it is bound to.
    pub device: Option<&'a str>,
    /// The service that the port is assigned to.
    pub service: Option<&'a str>,
    /// The kind of address that it is open on: `loopback`, `link-local`, `private`, `public` or `any`.
    pub exposure: &'a str,
    /// The programs and users that hold it, as text.
    pub owner: String,
}

impl<'a> AuditReport<'a> {
    /// Turns an audit into the document.
    pub fn new(audit: &'a Audit<'a>) -> Envelope<'a, AuditReport<'a>> {
        let body = AuditReport {
            policy: audit.policy.map(|path| path.to_string_lossy().into_owned()),
            fail_on: audit.fail_on.name(),
            failures: audit.failures(),
            listeners: audit.open(),
            rules: audit.rules.iter().map(|rule| rule.id).collect(),
            findings: audit.findings.iter().map(|found| finding(found, audit)).collect(),
        };
        Envelope::of(audit.listing, body, audit.program)
    }
}

fn finding<'a>(finding: &'a Finding<'a>, audit: &Audit<'_>) -> FindingReport<'a> {
    FindingReport {
        id: finding.rule.id,
        severity: Severity::name(finding.severity),
        subject: match finding.subject {
            Subject::Socket(row) => Some(SubjectReport {
                space: &row.space.label,
                protocol: row.socket.protocol.name(),
                address: row.socket.local.address,
                port: row.socket.local.port.get(),
                device: row.socket.device.as_deref(),
                service: row.service().map(|service| service.name),
                exposure: row.exposure.name(),
                owner: words::holding(&Holding::of(row)),
            }),
            Subject::Policy { .. } | Subject::Run => None,
        },
        policy_line: match finding.subject {
            Subject::Policy { line, .. } => Some(line),
            Subject::Socket(_) | Subject::Run => None,
        },
        count: finding.count,
        evidence: words::evidence(finding),
        remedy: audit.remedy(finding),
    }
}
