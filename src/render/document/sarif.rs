//! SARIF 2.1.0: what code hosts show beside a change.
//!
//! Source: OASIS, Static Analysis Results Interchange Format (SARIF) Version 2.1.0.

use serde_json::{Value, json};

use crate::analyse::audit::{Fact, Finding, Rule, Severity, Subject};
use crate::render::words::finding::{Audit, evidence, place, plain};

/// The whole document: one run.
pub fn document(audit: &Audit<'_>) -> Value {
    let host = audit.listing.snapshot.host.name.as_deref().unwrap_or("unknown");
    json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "portscope",
                "version": env!("CARGO_PKG_VERSION"),
                "informationUri": env!("CARGO_PKG_REPOSITORY"),
                "rules": audit.rules.iter().map(|rule| self::rule(rule)).collect::<Vec<_>>(),
            }},
            "invocations": [{"executionSuccessful": true, "machine": plain(host)}],
            "results": audit.findings.iter().map(|finding| result(finding, audit, host)).collect::<Vec<_>>(),
        }],
    })
}

fn rule(rule: &Rule) -> Value {
    json!({
        "id": rule.id,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": rule.explanation},
        "help": {"text": format!("portscope audit --explain {}", rule.id)},
        "defaultConfiguration": {"level": level(rule.severity)},
        "properties": {"security-severity": score(rule.severity)},
    })
}

fn result(finding: &Finding<'_>, audit: &Audit<'_>, host: &str) -> Value {
    let index = audit.rules.iter().position(|rule| rule.id == finding.rule.id);
    let mut result = json!({
        "ruleId": finding.rule.id,
        "level": level(finding.severity),
        "message": {"text": format!("{}. To fix it: {}", plain(&evidence(finding)), plain(&audit.remedy(finding)))},
        "locations": [location(finding, audit, host)],
        "partialFingerprints": {"portscopeFinding/v1": fingerprint(finding, host)},
        "occurrenceCount": finding.count,
        "properties": {"severity": finding.severity.name(), "security-severity": score(finding.severity)},
    });
    if let Some(index) = index {
        result["ruleIndex"] = index.into();
    }
    result
}

/// A socket is no place in a file, so it has a logical location; a rule of the policy is a line.
fn location(finding: &Finding<'_>, audit: &Audit<'_>, host: &str) -> Value {
    match finding.subject {
        Subject::Socket(row) => json!({"logicalLocations": [{
            "name": plain(&place(row)),
            "fullyQualifiedName": plain(&format!("{host}/{}/{}", row.space.label, place(row))),
            "kind": "resource",
        }]}),
        Subject::Policy { line, .. } => json!({"physicalLocation": {
            "artifactLocation": {"uri": audit.policy.map(|path| uri(&path.to_string_lossy())).unwrap_or_default()},
            "region": {"startLine": line},
        }}),
        Subject::Run => json!({"logicalLocations": [{"name": plain(host), "kind": "resource"}]}),
    }
}

/// What stays the same as long as the finding does: its rule and its socket, and of the evidence nothing.
fn fingerprint(finding: &Finding<'_>, host: &str) -> String {
    plain(&match finding.subject {
        Subject::Socket(row) => format!("{}/{host}/{}/{}", finding.rule.id, row.space.label, place(row)),
        Subject::Policy { line, .. } => format!("{}/{host}/policy/{line}", finding.rule.id),
        Subject::Run => {
            let unseen = match &finding.fact {
                Fact::Unseen(gap) => gap.missing().name(),
                Fact::NoExecutable { .. } => "executables",
                Fact::FurtherSpaces(_) => "spaces",
                _ => "owners",
            };
            format!("{}/{host}/{unseen}", finding.rule.id)
        }
    })
}

/// A path as a reference by RFC 3986: what is not plain is escaped.
fn uri(path: &str) -> String {
    use std::fmt::Write;
    let mut uri = String::new();
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' | b'~' => uri.push(byte.into()),
            _ => drop(write!(uri, "%{byte:02X}")),
        }
    }
    uri
}

const fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical | Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low | Severity::Info => "note",
    }
}

/// The score by which code hosts sort: the middle of the band that CVSS gives the word.
const fn score(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "9.5",
        Severity::High => "8.0",
        Severity::Medium => "5.5",
        Severity::Low => "2.0",
        Severity::Info => "0.0",
    }
}
