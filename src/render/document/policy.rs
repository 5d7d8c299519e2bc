//! The policy that fits what is open, as a file for people to read and change.

use std::fmt::Write as _;
use std::io::{self, Write};

use crate::analyse::policy::Entry;
use crate::model::{Host, PortRange};
use crate::render::text::safe::is_deceptive;
use crate::render::text::time;
use crate::render::words::finding::{evidence, holding, plain};

/// Writes the file.
pub fn write(out: &mut dyn Write, entries: &[Entry<'_>], host: &Host, ephemeral: Option<PortRange>) -> io::Result<()> {
    let name = plain(host.name.as_deref().unwrap_or("unknown"));
    writeln!(
        out,
        "# Ports that may be open on {name}: everything that was open at {}.",
        time::rfc3339(host.captured_at)
    )?;
    writeln!(out, "# Review this file: remove what should not be open, and add a comment to what should.")?;
    writeln!(out, "# `portscope audit --policy FILE` then reports what is open but not listed here.")?;
    writeln!(out, "#")?;
    writeln!(
        out,
        "# All keys of a rule must match; one value of a key is enough; `*` matches any characters. More keys:"
    )?;
    writeln!(
        out,
        "# service, unit, container, when = \"CEL\", expires = 2027-12-31; more rules: [[require]], [[forbid]]."
    )?;
    writeln!(out, "default = \"deny\"")?;
    for entry in entries {
        write_entry(out, entry, ephemeral)?;
    }
    Ok(())
}

fn write_entry(out: &mut dyn Write, entry: &Entry<'_>, ephemeral: Option<PortRange>) -> io::Result<()> {
    let service = entry.service.as_deref().map(|service| format!(" {}", plain(service))).unwrap_or_default();
    writeln!(out, "\n# {}/{}{service}: {}", entry.ports, entry.protocol.name(), plain(&holding(&entry.owner)))?;
    if entry.is_chosen_by_kernel {
        let range =
            ephemeral.map(|range| format!("; port = \"{range}\" would match the next one too")).unwrap_or_default();
        writeln!(out, "# The kernel chose this port, so it changes at the next start{range}.")?;
    }
    if entry.is_owner_hidden {
        writeln!(out, "# Not all of its programs could be seen; run `portscope audit --init` as root to name them.")?;
    }
    if !entry.is_space_proved {
        let space = plain(&entry.space);
        writeln!(out, "# In the port space {space}. Any local user can choose that name, so no rule can rely on it.")?;
    }
    writeln!(out, "[[allow]]")?;
    if entry.is_space_proved {
        writeln!(out, "space = {}", quoted(&entry.space))?;
    }
    writeln!(out, "protocol = {}", quoted(entry.protocol.name()))?;
    if entry.is_row() {
        writeln!(out, "port = {}", quoted(&entry.ports.to_string()))?;
    } else {
        writeln!(out, "port = {}", entry.ports)?;
    }
    writeln!(out, "exposure = {}", list(entry.exposures.iter().map(|exposure| exposure.name())))?;
    if !entry.exes.is_empty() {
        writeln!(out, "exe = {}", list(entry.exes.iter().map(String::as_str)))?;
    }
    if !entry.users.is_empty() {
        writeln!(out, "user = {}", list(entry.users.iter().map(String::as_str)))?;
    }
    if !entry.findings.is_empty() {
        writeln!(out, "# The next line accepts these findings; remove a name from it to see that finding again.")?;
        let others = if entry.is_row() { "; the same for the others" } else { "" };
        for (id, finding) in &entry.findings {
            let severity = finding.severity.name();
            writeln!(out, "# {id}: {severity}: {}{others}", plain(&evidence(finding)))?;
        }
        writeln!(out, "suppress = {}", list(entry.findings.keys().copied()))?;
    }
    Ok(())
}

fn list<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    format!("[{}]", texts.map(quoted).collect::<Vec<_>>().join(", "))
}

/// Writes a basic string of TOML. Source: TOML 1.0, String.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            _ if character.is_control() || is_deceptive(character) => {
                // Writing to a String does not fail.
                let _ = write!(quoted, "\\U{:08x}", u32::from(character));
            }
            _ => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_text_reads_back_the_same(text in any::<String>()) {
            let line = format!("text = {}", quoted(&text));
            prop_assert!(!line.chars().any(|character| character.is_control() || is_deceptive(character)));
            let table: std::collections::BTreeMap<String, String> = toml::from_str(&line).unwrap();
            prop_assert_eq!(&table["text"], &text);
        }
    }
}
