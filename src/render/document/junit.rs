//! JUnit XML: what build servers show as tests.
//!
//! Each finding is a test case; one that fails the audit is a failure. A rule that found nothing is a case that passed.
//! Source: the schema `junit-10.xsd` of Jenkins' xUnit plug-in.

use std::io::{self, Write};

use crate::render::text::time;
use crate::render::words::finding::{Audit, evidence, plain, subject};

/// Writes the document: one suite.
pub fn write(out: &mut dyn Write, audit: &Audit<'_>) -> io::Result<()> {
    let host = &audit.listing.snapshot.host;
    let clean: Vec<_> =
        audit.rules.iter().filter(|rule| !audit.findings.iter().any(|finding| finding.rule.id == rule.id)).collect();
    let (tests, failures) = (audit.findings.len() + clean.len(), audit.failures());
    writeln!(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
    writeln!(out, "<testsuites name=\"portscope\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\">")?;
    writeln!(
        out,
        "<testsuite name=\"portscope audit\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" timestamp=\"{}\" \
         hostname=\"{}\">",
        time::rfc3339(host.captured_at),
        escaped(host.name.as_deref().unwrap_or("unknown"))
    )?;
    for finding in audit.findings {
        let id = finding.rule.id;
        let about = escaped(&subject(finding, audit));
        let (evidence, remedy) = (escaped(&evidence(finding)), escaped(&audit.remedy(finding)));
        let severity = finding.severity.name();
        writeln!(out, "<testcase classname=\"portscope.audit.{id}\" name=\"{about}\">")?;
        if audit.fails(finding) {
            writeln!(out, "<failure type=\"{severity}\" message=\"{evidence}\">fix: {remedy}</failure>")?;
        } else {
            writeln!(out, "<system-out>{severity}: {evidence}; fix: {remedy}</system-out>")?;
        }
        writeln!(out, "</testcase>")?;
    }
    for rule in clean {
        writeln!(out, "<testcase classname=\"portscope.audit.{}\" name=\"{}\"/>", rule.id, escaped(rule.title))?;
    }
    writeln!(out, "</testsuite>\n</testsuites>")
}

/// Escapes the marks of XML; control characters, which XML cannot have at all, are visible escapes already.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for character in plain(text).chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            // Not characters of XML. Source: XML 1.0, section 2.2.
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            _ => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_can_leave_its_attribute() {
        assert_eq!(
            escaped("a\"><b>&'\u{1b}[31m\u{0}\u{ffff}"),
            "a&quot;&gt;&lt;b&gt;&amp;&apos;\\x1b[31m\\x00\u{fffd}"
        );
    }
}
