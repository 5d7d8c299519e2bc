//! The lines around a listing: whose numbers these are, how many there are, and what was not seen.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use crate::model::{
    Answer, Gap, GapReason, Listing, Missing, Rate, Redirect, Snapshot, SpaceChoice, SpaceKind, Stage, Stages, State,
    ToPort,
};
use crate::render::text::number::thousands;
use crate::render::text::safe::{Charset, Text};
use crate::render::words::column::Column;
use crate::render::words::said::Said;
use crate::render::words::{gap, traffic};
use crate::select::leftovers::Leftovers;

/// Spaces that the title names.
const MOST_NAMED: usize = 4;

/// How the facts were collected, in one line.
pub fn sources(snapshot: &Snapshot) -> String {
    let sources = format!(
        "backend {}: sockets by {}, owners by {}",
        snapshot.backend.name(),
        snapshot.socket_source.name(),
        snapshot.owner_source.name()
    );
    match &snapshot.owner_fallback {
        Some(reason) => format!("{sources} ({reason})"),
        None => sources,
    }
}

/// How long each stage took: `time: 0.4 ms start, 12.3 ms sockets`.
pub fn stages(stages: &Stages) -> String {
    let stage = |(stage, time): &(Stage, Duration)| format!("{:.1} ms {}", time.as_secs_f64() * 1000.0, stage.name());
    format!("time: {}", stages.0.iter().map(stage).collect::<Vec<_>>().join(", "))
}

/// Names the host, and the port spaces unless there is only that of the host: a port means nothing without them.
pub fn title(snapshot: &Snapshot, charset: Charset) -> Text {
    joined(&whose(snapshot, charset), charset)
}

/// The same with what a listing counts: `web-1 · 6 listening · 3 established · 2,500 TIME_WAIT (list them with -a)`. The
/// flag or key that lists the leftovers is named.
pub fn title_of_listing(
    listing: &Listing<'_>,
    leftovers: &Leftovers,
    listed_with: &str,
    verbose: bool,
    charset: Charset,
) -> Text {
    let mut parts = whose(listing.snapshot, charset);
    if let [space] = &listing.snapshot.spaces[..]
        && verbose
        && space.id.0 != 0
    {
        parts.push(Text::plain(format!("net:[{}]", space.id.0)));
    }
    parts.extend(counts(listing).into_iter().map(Text::plain));
    let folded: Vec<String> =
        leftovers.iter().map(|(state, count)| format!("{} {}", thousands(*count), state.name())).collect();
    if !folded.is_empty() {
        parts.push(Text::plain(format!("{} (list them with {listed_with})", folded.join(", "))));
    }
    joined(&parts, charset)
}

/// The same with what all connections carry.
pub fn with_traffic(title: &Text, total: Rate, charset: Charset) -> Text {
    joined(&[title.clone(), Text::plain(traffic::total(total))], charset)
}

fn joined(parts: &[Text], charset: Charset) -> Text {
    Text::join(parts, if charset == Charset::Unicode { " · " } else { " - " })
}

fn whose(snapshot: &Snapshot, charset: Charset) -> Vec<Text> {
    let mut parts = vec![Text::of(snapshot.host.name.as_deref().unwrap_or("unknown"), charset)];
    let mut spaces: Vec<Text> =
        snapshot.spaces.iter().take(MOST_NAMED).map(|space| Text::of(&space.label, charset)).collect();
    if snapshot.spaces.len() > MOST_NAMED {
        spaces.push(Text::plain(format!("{} more", snapshot.spaces.len() - MOST_NAMED)));
    }
    let heading = if spaces.len() == 1 { "port space" } else { "port spaces" };
    if snapshot.spaces.iter().any(|space| space.kind != SpaceKind::Host) {
        parts.push(Text::join(&[Text::plain(heading), Text::join(&spaces, ", ")], " "));
    }
    parts
}

/// Counts the rows by state, listeners first: `12 listening`, `6 established`, `1 CLOSE_WAIT`.
fn counts(listing: &Listing<'_>) -> Vec<String> {
    let mut counts: BTreeMap<(bool, Option<State>), usize> = BTreeMap::new();
    for row in &listing.rows {
        let listens = row.is_listener && row.socket.state != Some(State::Redirect);
        *counts.entry((!listens, row.socket.state.filter(|_| !listens))).or_default() += 1;
    }
    let words = |((does_not, state), count): ((bool, Option<State>), usize)| {
        let what = match state {
            None if does_not => "other",
            None => "listening",
            Some(State::Established) => "established",
            Some(State::Redirect) => "redirected",
            Some(State::Bound) => "bound",
            Some(State::Unconnected) => "unconnected",
            Some(state) => state.name(),
        };
        format!("{} {what}", thousands(count))
    };
    counts.into_iter().map(words).collect()
}

/// Says how many spaces were found and not listed; nothing when none were.
pub fn further_spaces(snapshot: &Snapshot) -> Option<String> {
    match snapshot.further_spaces? {
        0 => None,
        1 => Some("1 more port space (network namespace) on this host; use --space all to include it".to_owned()),
        count => Some(format!(
            "{} more port spaces (network namespaces) on this host; use --space all to include them",
            thousands(count)
        )),
    }
}

/// Says which spaces are out of reach, and what would show them; nothing when none are.
pub fn unseen_spaces(snapshot: &Snapshot, program: Option<&Path>) -> Option<Said> {
    let gaps: Vec<&Gap> = snapshot.gaps_of(Answer::Spaces).collect();
    let hint = hint(gaps.first()?.reason(), snapshot, program);
    let count = match snapshot.unseen_spaces() {
        None => "some port spaces are".to_owned(),
        Some(1) => "1 port space is".to_owned(),
        Some(count) => format!("{count} port spaces are"),
    };
    let details = gap::sentences(gaps.into_iter())?;
    Some(Said::with(format!("{count} not listed: {details}"), hint))
}

/// Names the port spaces that were asked for by what only a process of theirs says.
pub fn claimed_names(snapshot: &Snapshot, asked: &SpaceChoice) -> Vec<Said> {
    let SpaceChoice::Named(names) = asked else { return Vec::new() };
    let claimed = |name: &String| {
        let space = snapshot.spaces.iter().find(|space| space.is_claimed(name))?;
        let line =
            format!("`{name}` is only what a process in that port space calls itself; any local user could do that");
        Some(Said::with(line, [format!("to be sure which space is meant, name its ID: --space {}", space.id.0)]))
    };
    names.iter().filter_map(claimed).collect()
}

/// Says what a saved report leaves out of what is needed; nothing when it has all, or when this machine was asked.
pub fn left_out(snapshot: &Snapshot) -> Option<Said> {
    snapshot.saved.as_ref()?;
    let gaps = || snapshot.gaps.iter().filter(|gap| gap.reason() == GapReason::LeftOut);
    let kinds: Vec<&str> = gaps().filter_map(kind_left_out).collect();
    let mut details: Vec<String> = gaps().filter(|gap| kind_left_out(gap).is_none()).map(gap::sentence).collect();
    if !kinds.is_empty() {
        details.insert(0, format!("the report does not include {} sockets", kinds.join(" and ")));
    }
    let mut lines = Vec::new();
    if !details.is_empty() {
        lines.push(format!("{}, so sockets may be missing", details.join(" and ")));
    }
    let hint = (!details.is_empty()).then(|| WHOLE.to_owned());
    // A filter by peer or user finds nothing then.
    let is_redacted = snapshot.gaps.iter().any(|gap| gap.reason() == GapReason::Redacted);
    lines.extend(is_redacted.then(|| "the report was redacted: peers, users and arguments are not in it".to_owned()));
    (!lines.is_empty()).then(|| Said::with(lines.join("; "), hint))
}

/// The protocol or family whose sockets a report leaves out.
fn kind_left_out(gap: &Gap) -> Option<&'static str> {
    match gap {
        Gap::ProtocolLeftOut { protocol } => Some(protocol.name()),
        Gap::FamilyLeftOut { family } => Some(family.name()),
        _ => None,
    }
}

/// What helps against a report that leaves something out.
const WHOLE: &str = "`portscope snapshot` writes a whole one";

/// What a report says of itself that was redacted.
pub const REDACTED: &str = "redacted: peers, users, arguments, scripts, projects and working directories were removed; \
    names of hosts, files, units and containers are kept and may contain user names";

/// Says which columns had no room.
pub fn columns_left(left: &[Column]) -> String {
    let names: Vec<&str> = left.iter().map(|column| column.name()).collect();
    columns_named(&names)
}

/// The same by their names.
pub fn columns_named(left: &[&str]) -> String {
    format!("hidden columns: {} (widen the terminal or use --columns)", left.join(", "))
}

/// Says how many owners are hidden in these rows, why, and what would show them; nothing when none are.
pub fn hidden(listing: &Listing<'_>, program: Option<&Path>) -> Option<Said> {
    let hidden = listing.rows.iter().filter(|row| row.is_hidden()).count();
    if hidden == 0 {
        return None;
    }
    let gaps: Vec<&Gap> = listing.snapshot.gaps_of(Answer::Owners).collect();
    let details: Vec<String> = gaps.iter().map(|gap| gap::sentence(gap)).collect();
    let all = listing.rows.len();
    let noun = if all == 1 { "socket" } else { "sockets" };
    let line = format!("can't see who owns {} of {} {noun}: {}", thousands(hidden), thousands(all), details.join("; "));
    Some(Said::with(line, hints(&gaps, listing.snapshot, program)))
}

/// Says why sockets may be missing, and what would show them; nothing when none are. What a report leaves out has been
/// said when it was read.
pub fn missing(snapshot: &Snapshot, program: Option<&Path>) -> Option<Said> {
    let gaps: Vec<&Gap> = snapshot.gaps_of(Answer::Sockets).collect();
    let lines: Vec<String> = gaps.iter().map(|gap| gap::sentence(gap)).collect();
    let line = || format!("sockets may be missing: {}", lines.join("; "));
    (!lines.is_empty()).then(|| Said::with(line(), hints(&gaps, snapshot, program)))
}

/// What would show what these gaps hide, each line once.
fn hints(gaps: &[&Gap], snapshot: &Snapshot, program: Option<&Path>) -> Vec<String> {
    let mut hints: Vec<String> = gaps.iter().filter_map(|gap| hint(gap.reason(), snapshot, program)).collect();
    hints.dedup();
    hints
}

/// Says what is not known of what connections carry; nothing where nobody asked.
pub fn unknown_traffic(snapshot: &Snapshot) -> Option<Said> {
    gap::sentences(snapshot.gaps.iter().filter(|gap| gap.missing() == Missing::Traffic)).map(Said::plain)
}

/// Says which ports that rules of the firewall lead away have no rows, and why; nothing when there are none.
pub fn unlisted_redirects(snapshot: &Snapshot) -> Option<Said> {
    let why = gap::sentences(snapshot.gaps_of(Answer::Redirects));
    let missing = why.map(|why| format!("redirected ports may be missing: {why}"));
    let wide = wide_redirects(snapshot);
    let hint = wide.is_some().then(|| "name a port to list it".to_owned());
    let lines: Vec<String> = missing.into_iter().chain(wide).collect();
    (!lines.is_empty()).then(|| Said::with(lines.join("; "), hint))
}

/// Says that a port may be published although it looks free, since the rules were not read; nothing when they were.
pub fn unread_rules(snapshot: &Snapshot, program: Option<&Path>) -> Option<Said> {
    let mut gaps = snapshot.gaps.iter().filter(|gap| gap.missing() == Missing::Redirects);
    let gap = gaps.next()?;
    let line = format!("a firewall rule may already publish this port: {}", gap::sentence(gap));
    Some(Said::with(line, hint(gap.reason(), snapshot, program)))
}

/// Names the ranges of ports that are too wide for a row each: `tcp 20000-40000 to 10.0.0.1`.
fn wide_redirects(snapshot: &Snapshot) -> Option<String> {
    let mut ranges: Vec<String> = Vec::new();
    for redirect in snapshot.redirects.values().flat_map(|redirects| &redirects.found) {
        let reachability = &redirect.reachability;
        let lead = reachability.outside.certain().filter(|_| redirect.is_wide() && redirect.addresses.is_none());
        let Some(lead) = lead.filter(|_| !has_rows(snapshot, redirect)) else { continue };
        let to = lead.to.of(redirect.ports.first());
        let to = match lead.to.port {
            ToPort::In(_) => to.to_string(),
            ToPort::Same | ToPort::Unknown => to.address.to_string(),
        };
        let range = format!("{} {} to {to}", redirect.protocol.name(), redirect.ports);
        if !ranges.contains(&range) {
            ranges.push(range);
        }
    }
    let shown = ranges.len().min(MOST_WIDE);
    let more = if ranges.len() > shown { format!(" and {} more", ranges.len() - shown) } else { String::new() };
    let list = || ranges[..shown].join(", ");
    (!ranges.is_empty()).then(|| format!("firewall rules also forward {}{more}", list()))
}

/// Whether some ports of a range have rows, since they were named.
fn has_rows(snapshot: &Snapshot, redirect: &Redirect) -> bool {
    snapshot.sockets.iter().any(|socket| {
        socket.state == Some(State::Redirect)
            && (socket.protocol, socket.family) == (redirect.protocol, redirect.family)
            && redirect.ports.contains(socket.local.port)
    })
}

/// Wide ranges that are named.
const MOST_WIDE: usize = 4;

/// Says what may be on a port without having been seen: nothing is called free without that.
pub fn not_seen(snapshot: &Snapshot) -> Option<String> {
    gap::sentences(snapshot.gaps_of(Answer::FreePort)).map(|what| format!("not seen: {what}"))
}

/// Says what may be there although no row is, as far as every listing does not say it already.
pub fn not_looked_at(snapshot: &Snapshot) -> Option<String> {
    gap::sentences(snapshot.gaps_of(Answer::EmptyListing)).map(|what| format!("not seen: {what}"))
}

/// What would show the missing fact.
pub fn hint(reason: GapReason, snapshot: &Snapshot, program: Option<&Path>) -> Option<String> {
    use crate::model::HiddenBecause;
    if reason == GapReason::LeftOut {
        return Some(WHOLE.to_owned());
    }
    // What was not seen when a report was written cannot be seen in it.
    if snapshot.saved.is_some() {
        return None;
    }
    match reason {
        GapReason::Owner(HiddenBecause::Permission) | GapReason::Refused if crate::system::has_administrator() => {
            Some("to see them: run it as Administrator".to_owned())
        }
        GapReason::Owner(HiddenBecause::Permission) | GapReason::Refused => {
            // sudo searches its own PATH, so only an absolute path is sure to be found.
            let program = program.map_or_else(|| "portscope".into(), |path| path.to_string_lossy());
            Some(format!("to see them: sudo {}", Text::of(&program, Charset::Unicode).as_str()))
        }
        GapReason::Owner(_)
        | GapReason::Backend
        | GapReason::NotLookedFor
        | GapReason::Redacted
        | GapReason::LeftOut => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{join, testing};

    #[test]
    fn sockets_that_may_be_missing_are_said_and_make_an_answer_incomplete() {
        let mut snapshot = testing::snapshot();
        snapshot.sockets.truncate(1);
        assert_eq!(missing(&snapshot, None), None);
        assert!(!join::listing(&snapshot, None).is_incomplete());
        snapshot.gaps.push(Gap::MalformedLines { space: "host".to_owned(), count: 1 });
        snapshot.gaps.push(Gap::SocketsOfOthers);
        let said = missing(&snapshot, Some(Path::new("/opt/portscope")));
        let helps = if cfg!(windows) { "run it as Administrator" } else { "sudo /opt/portscope" };
        let line = "sockets may be missing: port space host: some lines of /proc/PID/net could not be parsed; sockets of other users' processes are not reported";
        assert_eq!(said, Some(Said::with(line, [format!("to see them: {helps}")])));
        assert!(join::listing(&snapshot, None).is_incomplete());
    }
}
