//! The JSON document of an audit.

use schemars::JsonSchema;
use serde::Serialize;

use crate::analyse::audit::{self, Finding, Severity, Subject};
use crate::render::document::envelope::Envelope;
use crate::render::words::finding::Audit;

/// What is wrong with what is open on one host. No finding names a process id, so that a restart changes none.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "portscope audit", rename = "Audit")]
pub struct AuditReport<'a> {
    /// The file of the policy; null when there was none.
    pub policy: Option<String>,
    /// The severity from which on a finding fails the audit: `info`, `low`, `medium`, `high` or `critical`.
    pub fail_on: &'a str,
    /// How many findings fail the audit.
    pub failures: usize,
    /// How many listeners and forwarded ports were judged.
    pub listeners: usize,
    /// The ids of the rules that were applied.
    pub rules: Vec<&'a str>,
    /// What was found, the worst first.
    pub findings: Vec<FindingReport<'a>>,
}

/// Something that should not be so.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Finding")]
pub struct FindingReport<'a> {
    /// The id of the rule; `portscope audit --explain ID` says more.
    pub id: &'a str,
    /// `info`, `low`, `medium`, `high` or `critical`.
    pub severity: &'a str,
    /// The socket that it is about; null where it is about a rule of the policy, or about the run itself.
    pub subject: Option<SubjectReport<'a>>,
    /// The line of the policy's rule that it is about.
    pub policy_line: Option<usize>,
    /// How many sockets it stands for that are alike in all of this.
    pub count: usize,
    /// The facts, in words.
    pub evidence: &'a str,
    /// What to do, in words.
    pub remedy: &'a str,
}

/// A socket by what a restart does not change.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Subject")]
pub struct SubjectReport<'a> {
    /// The label of its port space.
    pub space: &'a str,
    /// `tcp` or `udp`.
    pub protocol: &'a str,
    /// The local address.
    pub address: std::net::IpAddr,
    /// The local port.
    pub port: u16,
    /// The interface that it is bound to.
    pub device: Option<&'a str>,
    /// The name of the service that the port is assigned to.
    pub service: Option<&'a str>,
    /// Who can reach it: `loopback`, `link-local`, `private`, `public` or `any`.
    pub exposure: &'a str,
    /// Who holds it, in words: programs and users.
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
            findings: audit.findings.iter().map(finding).collect(),
        };
        Envelope::of(audit.listing, body, audit.program)
    }
}

fn finding<'a>(finding: &'a Finding<'a>) -> FindingReport<'a> {
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
                service: row.service.map(|service| service.name),
                exposure: row.exposure.name(),
                owner: audit::summary(row),
            }),
            Subject::Policy { .. } | Subject::Run => None,
        },
        policy_line: match finding.subject {
            Subject::Policy { line, .. } => Some(line),
            Subject::Socket(_) | Subject::Run => None,
        },
        count: finding.count,
        evidence: &finding.evidence,
        remedy: &finding.remedy,
    }
}
