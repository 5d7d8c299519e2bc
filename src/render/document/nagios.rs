//! One line for Nagios, Icinga, Checkmk and whatever else runs their plug-ins: what is wrong, `|`, and numbers to draw.
//!
//! Source: Monitoring Plugins Development Guidelines, sections "Plugin Output for Nagios" and "Performance data".

use std::io::{self, Write};

use crate::analyse::audit::{Severity, Subject};
use crate::analyse::health::Limits;
use crate::analyse::usage::{Destination, Excess, Gauge, Measured, QueueUse, Share, SpaceUsage};
use crate::model::Health;
use crate::render::words::finding::{Audit, evidence, plain, subject};
use crate::render::words::usage::described;

/// The findings and limits that are named. The line has to fit into what an agent passes on: 1 KiB for old ones.
const MOST_NAMED: usize = 3;

/// Writes the line of an audit.
pub fn write_audit(out: &mut dyn Write, audit: &Audit<'_>, health: Health) -> io::Result<()> {
    let (open, rules) = (audit.open(), audit.rules.len());
    let listeners = if open == 1 { "listener" } else { "listeners" };
    let checked = format!("{open} {listeners}, {rules} rules");
    let named = audit.findings.iter().map(|finding| {
        let words = match finding.subject {
            Subject::Run => evidence(finding).split(": ").next().unwrap_or_default().to_owned(),
            _ => subject(finding, audit),
        };
        let words: Vec<&str> = words.split_whitespace().collect();
        format!("{} {}: {}", finding.severity.name(), finding.rule.id, words.join(" "))
    });
    let text = match audit.findings.len() {
        0 => format!("no findings; {checked}"),
        1 => format!("1 finding: {}; {checked}", several(named)),
        count => format!("{count} findings: {}; {checked}", several(named)),
    };
    let mut numbers: Vec<String> = Vec::new();
    for severity in Severity::ALL.into_iter().rev() {
        let count = audit.findings.iter().filter(|finding| finding.severity == severity).count();
        // A threshold of 0 is passed by one finding.
        let thresholds = match severity {
            severity if severity >= audit.fail_on => ";;0",
            Severity::Info => ";;",
            _ => ";0;",
        };
        numbers.push(format!("{}={count}{thresholds};0", severity.name()));
    }
    numbers.push(format!("listeners={open};;;0"));
    write_line(out, health, &text, &numbers)
}

/// Writes the line of `usage`: what is too full, or the fullest, and what could not be seen.
pub fn write_usage(
    out: &mut dyn Write,
    spaces: &[SpaceUsage<'_>],
    found: &[(&SpaceUsage<'_>, Excess<'_, '_>)],
    limits: Limits,
    health: Health,
    unseen: Option<&str>,
) -> io::Result<()> {
    let is_one = spaces.len() == 1;
    let named = found.iter().map(|(space, excess)| {
        let place = if is_one { String::new() } else { format!(" in {}", space.space.label) };
        format!("{}{place}", described(excess))
    });
    let mut text = match found {
        [] => "no limit is known here".to_owned(),
        [_] if health == Health::Ok => format!("fullest: {}", several(named)),
        _ => several(named),
    };
    if let Some(unseen) = unseen {
        text = format!("{text}; incomplete: {unseen}");
    }
    let mut numbers = Vec::new();
    for space in spaces {
        let label = |what: &str| if is_one { what.to_owned() } else { format!("{}/{what}", space.space.label) };
        let ephemeral = space.gauges.iter().filter(|gauge| gauge.measured == Measured::Ephemeral);
        for Gauge { protocol, share, .. } in ephemeral {
            let (warning, critical) = (at(limits.warning, *share), at(limits.critical, *share));
            let name = labelled(&label(&format!("{}-ephemeral", protocol.name())));
            numbers.push(format!("{name}={};{warning};{critical};0;{}", share.used, share.limit));
        }
        let fullest = |shares: &mut dyn Iterator<Item = Share>| shares.map(Share::part).max_by(f64::total_cmp);
        let destination = fullest(&mut space.destinations.iter().filter_map(Destination::share));
        let queue = fullest(&mut space.queues.iter().map(QueueUse::share));
        for (what, part) in [("destination", destination), ("accept-queue", queue)] {
            let Some(part) = part else { continue };
            let name = labelled(&label(what));
            let [part, warning, critical] = [part, limits.warning, limits.critical].map(percentage);
            numbers.push(format!("{name}={part}%;{warning};{critical};0;100"));
        }
    }
    write_line(out, health, &text, &numbers)
}

/// The line of a check that could not be carried out.
pub fn unknown(problem: &str) -> String {
    format!("{}: {}\n", Health::Unknown.name(), told(problem))
}

fn write_line(out: &mut dyn Write, health: Health, text: &str, numbers: &[String]) -> io::Result<()> {
    writeln!(out, "{}: {} | {}", health.name(), told(text), numbers.join(" "))
}

/// The first few, and how many more there are.
fn several(mut items: impl ExactSizeIterator<Item = String>) -> String {
    let named: Vec<String> = items.by_ref().take(MOST_NAMED).collect();
    match items.len() {
        0 => named.join("; "),
        more => format!("{}; {more} more", named.join("; ")),
    }
}

/// Text on one line that does not end where the numbers begin.
fn told(text: &str) -> String {
    plain(&text.replace('\n', " ")).replace('|', "\\x7c")
}

/// The name of a number: one that a port space has is quoted, since it may have blanks.
fn labelled(label: &str) -> String {
    if label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./:".contains(&byte)) {
        return label.to_owned();
    }
    format!("'{}'", plain(label).replace(['\'', '=', '|'], "_"))
}

/// The count beyond which the part of a limit is passed.
#[expect(clippy::cast_precision_loss, reason = "a port space has 65,536 ports")]
fn at(part: f64, share: Share) -> String {
    format!("{:.0}", (part * share.limit as f64 + 1e-9).floor())
}

/// A part of a limit as a percentage that is not rounded up.
fn percentage(part: f64) -> String {
    let tenths = (part * 1000.0 + 1e-9).floor() / 10.0;
    tenths.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyse::health::of_usage;
    use crate::analyse::usage::usage;
    use crate::model::{Queue, Waiting};
    use crate::{join, testing};

    #[test]
    fn the_line_of_a_full_queue_has_the_numbers_and_their_limits() {
        let mut snapshot = testing::snapshot();
        snapshot.sockets[2].waiting = Some(Waiting::Connections(Queue { used: 9, limit: 10 }));
        let listing = join::listing(&snapshot, None);
        let spaces = usage(&listing);
        let limits = Limits { warning: 0.8, critical: 0.95 };
        let (health, found) = of_usage(&spaces, limits);
        let mut line = Vec::new();
        write_usage(&mut line, &spaces, &found, limits, health, None).unwrap();
        let expected = "WARNING: accept queue of tcp 0.0.0.0:443, 9 of 10 (90.0%) | tcp-ephemeral=1;22585;26820;0;28232 \
                        udp-ephemeral=0;22585;26820;0;28232 destination=0%;80;95;0;100 accept-queue=90%;80;95;0;100\n";
        assert_eq!(String::from_utf8(line).unwrap(), expected);
    }

    #[test]
    fn no_text_can_begin_the_numbers_or_a_second_line() {
        assert_eq!(unknown("a|b\nc\u{1b}[0m"), "UNKNOWN: a\\x7cb c\\x1b[0m\n");
        assert_eq!(labelled("my pod's=x|/tcp-ephemeral"), "'my pod_s_x_/tcp-ephemeral'");
        assert_eq!(labelled("host/tcp-ephemeral"), "host/tcp-ephemeral");
    }

    #[test]
    fn a_percentage_that_is_not_reached_is_not_shown() {
        assert_eq!([percentage(0.9999), percentage(0.8), percentage(0.0), percentage(1.0)], ["99.9", "80", "0", "100"]);
    }
}
