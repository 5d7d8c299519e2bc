//! The answer of `check` for people: a table for each port, who is in the way, and what helps.

use std::io::{self, Write};

use crate::analyse::bind::Answer;
use crate::analyse::cause::{Cause, Checked, Outcome, Verdict, kind_of};
use crate::model::{BindError, Caller, Listing, Protocol, Row};
use crate::render::table::draw::Emphasis;
use crate::render::table::fit::Yields;
use crate::render::table::grid::{Column, Grid, Row as GridRow};
use crate::render::text::number::thousands;
use crate::render::text::paragraph;
use crate::render::text::safe::{Charset, Text};
use crate::render::text::style::Style;
use crate::render::words::blocker;
use crate::render::words::fix;
use crate::render::words::reachability;
use crate::render::words::socket;
use crate::render::words::summary;
use crate::render::words::verdict;
use crate::render::words::why;

/// Sockets in the way that are named; the rest is counted.
const MOST_NAMED: usize = 4;

/// A reason folds beside the rest while it has so much room, and else stands below its row.
const COLUMNS: [Column<'_>; 5] = [
    Column::text("PROTO", Yields::NEVER),
    Column::text("ADDRESS", Yields::NEVER),
    Column::text("BIND", Yields::NEVER),
    Column::text("ERROR", Yields::NEVER.or_moves_below()),
    Column::text("WHY", Yields::folds(24).or_moves_below()),
];

/// Writes the answers.
pub fn write(
    out: &mut dyn Write,
    checked: &[Checked<'_>],
    listing: &Listing<'_>,
    caller: Caller,
    style: Style,
) -> io::Result<()> {
    for (index, port) in checked.iter().enumerate() {
        // A port that is free takes one line, and the next one follows it.
        if index > 0 && !(is_brief(port) && is_brief(&checked[index - 1])) {
            writeln!(out)?;
        }
        write_port(out, port, caller, style)?;
    }
    if let Some(line) = summary::not_seen(listing.snapshot) {
        writeln!(out)?;
        paragraph::sentence(out, Text::of(&line, style.charset).as_str(), style.width)?;
    }
    Ok(())
}

/// Says whether nothing is to be said of the port but that it is free.
fn is_brief(port: &Checked<'_>) -> bool {
    port.verdicts.iter().all(verdict::is_plainly_free)
        && port.verdicts.iter().all(|verdict| of_places(verdict).is_empty())
}

fn write_port(out: &mut dyn Write, port: &Checked<'_>, caller: Caller, style: Style) -> io::Result<()> {
    for sentence in verdict::sentences(port, style.charset) {
        paragraph::item(out, &Text::of(&sentence, style.charset).into_string(), style.width)?;
    }
    if port.verdicts.iter().all(verdict::is_plainly_free) {
        return notes(port, caller, style).iter().try_for_each(|line| paragraph::item(out, line, style.width));
    }
    let row = |verdict| GridRow { cells: cells(verdict, style).into(), note: None };
    let rows: Vec<GridRow> = port.verdicts.iter().map(row).collect();
    Grid::new(&COLUMNS, false).draw(out, &rows, style)?;
    for line in notes(port, caller, style) {
        paragraph::item(out, &line, style.width)?;
    }
    Ok(())
}

/// Writes the answers about one port in a line for each protocol.
pub fn write_in_brief(out: &mut dyn Write, port: &Checked<'_>, style: Style) -> io::Result<()> {
    let is_told = |verdict: &&Verdict<'_>| !verdict.is_beside_the_point();
    for protocol in Protocol::REGISTERED {
        let verdicts: Vec<&Verdict<'_>> =
            port.verdicts.iter().filter(|verdict| verdict.bind.protocol == protocol).filter(is_told).collect();
        let mut groups: Vec<(String, Vec<String>)> = Vec::new();
        for verdict in verdicts {
            let word = match &verdict.outcome {
                Outcome::Bindable => "yes".to_owned(),
                Outcome::Shared => "shared".to_owned(),
                Outcome::Shadowed => "redirected".to_owned(),
                Outcome::Unknown => "unknown".to_owned(),
                Outcome::Refused(refusal) => format!("no ({})", refusal.name()),
            };
            let address = verdict.bind.address.to_string();
            match groups.iter_mut().find(|(known, _)| *known == word) {
                Some((_, addresses)) => addresses.push(address),
                None => groups.push((word, vec![address])),
            }
        }
        let groups: Vec<String> =
            groups.into_iter().map(|(word, addresses)| format!("{word}: {}", addresses.join(", "))).collect();
        let text = Text::of(&groups.join("; "), style.charset);
        paragraph::fact(out, &format!("bind {}", protocol.name()), text, style.charset, style.width)?;
    }
    if port.verdicts.iter().all(Verdict::is_good) {
        return Ok(());
    }
    let hint = format!("hint: see why, and what helps: portscope check -tu {}", port.port);
    paragraph::item(out, &hint, style.width)
}

fn cells(verdict: &Verdict<'_>, style: Style) -> [(Text, Emphasis); 5] {
    let (word, emphasis) = match &verdict.outcome {
        _ if verdict.is_beside_the_point() => ("-", Emphasis::Dim),
        Outcome::Bindable => ("yes", Emphasis::Good),
        Outcome::Shared => ("shared", Emphasis::Attention),
        Outcome::Shadowed => ("redirected", Emphasis::Attention),
        Outcome::Refused(_) => ("no", Emphasis::Attention),
        Outcome::Unknown => ("unknown", Emphasis::Attention),
    };
    let error = match &verdict.outcome {
        Outcome::Refused(BindError::Other(_)) => Text::unknown(),
        Outcome::Refused(refusal) => Text::of(refusal.name(), style.charset),
        _ => Text::default(),
    };
    let plain = |text: &str| (Text::of(text, style.charset), Emphasis::None);
    let address = plain(&address(verdict));
    let why = (Text::of(&why::why(verdict, style.charset), style.charset), Emphasis::None);
    [plain(verdict.bind.protocol.name()), address, (Text::plain(word), emphasis), (error, Emphasis::None), why]
}

/// The address as it is asked for, with what is special about it.
fn address(verdict: &Verdict<'_>) -> String {
    let bind = &verdict.bind;
    let device = bind.device.as_ref().map(|device| format!("%{device}")).unwrap_or_default();
    let note = match bind.address {
        std::net::IpAddr::V6(address) if address.is_unspecified() && bind.v6only => " (IPv6 only)",
        std::net::IpAddr::V6(address) if address.is_unspecified() => " (and IPv4)",
        _ => "",
    };
    format!("{}{device}{note}", bind.address)
}

/// The lines below the table: each said once, though it may concern several rows of it.
fn notes(port: &Checked<'_>, caller: Caller, style: Style) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut say = |line: String| {
        if !lines.contains(&line) {
            lines.push(line);
        }
    };
    others(port, style).into_iter().for_each(&mut say);
    let of_verdict = |verdict| fix::fixes(verdict, caller, style.charset);
    let mut fixes: Vec<String> = port.verdicts.iter().flat_map(of_verdict).collect();
    // Each list ends with the way out; here it ends them all.
    fixes.sort_by_key(|fix| fix.starts_with("use another port"));
    for fix in fixes {
        say(format!("hint: {fix}"));
    }
    for verdict in &port.verdicts {
        disagreement(verdict).into_iter().for_each(&mut say);
        for line in of_places(verdict) {
            say(Text::of(&line, style.charset).into_string());
        }
    }
    lines
}

/// What holds the port beside the socket that the verdict names: listeners by name, connections as their number.
fn others(port: &Checked<'_>, style: Style) -> Vec<String> {
    let mut rows: Vec<&Row<'_>> = Vec::new();
    let mut headlines: Vec<&Row<'_>> = Vec::new();
    for row in port.verdicts.iter().flat_map(Verdict::culprits).map(|blocker| blocker.row) {
        if headlines.iter().chain(&rows).any(|known| std::ptr::eq(known.socket, row.socket)) {
            continue;
        }
        // The first of each protocol stands in the verdict.
        let has_headline = headlines.iter().any(|first| first.socket.protocol == row.socket.protocol);
        if has_headline { rows.push(row) } else { headlines.push(row) }
    }
    let is_open = |row: &&Row<'_>| matches!(kind_of(row), Cause::Listener | Cause::Activation | Cause::Bound);
    let (open, connections): (Vec<&Row<'_>>, Vec<&Row<'_>>) = rows.into_iter().partition(is_open);
    let more = open.len().saturating_sub(MOST_NAMED);
    let named = open.iter().take(MOST_NAMED).map(|row| {
        let (who, local) = (verdict::who(row, style.charset), socket::answering(row, style.charset));
        let verb = if kind_of(row) == Cause::Bound { "has bound" } else { blocker::verb(row) };
        format!("also: {who} {verb} {local}")
    });
    let mut lines: Vec<String> = named.collect();
    if more > 0 {
        lines.push(format!("also: {more} more sockets"));
    }
    match connections.len() {
        0 => {}
        1 => lines.push("also: 1 connection".to_owned()),
        count => lines.push(format!("also: {} connections", thousands(count))),
    }
    lines
}

/// What else there is to know about the number here: the same one in other port spaces, and what the firewall does.
fn of_places(verdict: &Verdict<'_>) -> Vec<String> {
    let elsewhere = verdict.judgement.elsewhere.iter().filter(|row| row.is_listener);
    let mut lines: Vec<String> = elsewhere
        .map(|row| {
            format!("no conflict: {} in port space {}", blocker::in_full(row, Charset::Unicode), row.space.label)
        })
        .collect();
    if verdict.outcome != Outcome::Shadowed {
        lines.extend(reachability::notes(&verdict.judgement.reachability, verdict.bind.port));
    }
    lines
}

/// Where the rule and the kernel differ, in words.
fn disagreement(verdict: &Verdict<'_>) -> Option<String> {
    let probe = verdict.probe.as_ref().filter(|_| verdict.agrees() == Some(false))?;
    let said = |answer: Result<(), &BindError>| match answer {
        Ok(()) => "succeeds".to_owned(),
        Err(refusal) => format!("fails with {}", refusal.name()),
    };
    let rule = match &verdict.judgement.answer {
        Answer::Refused(refusal) => said(Err(refusal)),
        Answer::Bindable | Answer::Depends => said(Ok(())),
    };
    let kernel = said(probe.as_ref().copied());
    Some(format!(
        "disagreement: {} {}: by the sockets that were seen it {rule}; tried, it {kernel}",
        verdict.bind.protocol.name(),
        verdict.bind.address
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyse::bind::{Facts, judge};
    use crate::join;
    use crate::model::{
        Bind, Container, Endpoint, Forward, ForwardedBy, Pid, Platform, Port, Snapshot, Socket, Space, StandsFor,
    };
    use crate::model::{SpaceId, SpaceKind, Uid};
    use crate::render::text::safe::Charset;
    use crate::testing;
    use unicode_width::UnicodeWidthStr;

    fn text(snapshot: &Snapshot, port: u16, addresses: &[&str], width: Option<usize>) -> String {
        let listing = join::listing(snapshot, None);
        let rows: Vec<_> = listing.rows.iter().collect();
        let caller = Caller { platform: Platform::Linux, uid: Some(Uid(0)), is_privileged: Some(true) };
        let facts = Facts { space: &snapshot.spaces[0], caller, address: None, redirects: None };
        let verdict = |address: &&str| {
            let bind = Bind::plain(Protocol::Tcp, address.parse().unwrap(), Port::new(port));
            let judgement = judge(&bind, &rows, &facts);
            Verdict::new(bind, judgement, None, &facts)
        };
        let verdicts = addresses.iter().map(verdict).collect();
        let checked = [Checked { port: Port::new(port), services: Vec::new(), verdicts }];
        let style = Style { color: false, charset: Charset::Unicode, width };
        let mut text = Vec::new();
        write(&mut text, &checked, &listing, caller, style).unwrap();
        String::from_utf8(text).unwrap()
    }

    /// A port that a container publishes by a proxy, and that another port space has too.
    fn published() -> Snapshot {
        const NAME: &str = "a-container-with-a-name-that-says-what-it-is-for";
        let mut snapshot = testing::snapshot();
        let container = Container {
            origin: crate::model::Origin::Manager,
            name: Some(NAME.to_owned()),
            ..Container::of_id(crate::model::Runtime::Docker, "a".repeat(64))
        };
        let to = Endpoint::new("172.17.0.2".parse().unwrap(), 80);
        let forward = Forward { by: ForwardedBy::Proxy, to: to.into(), container: Some(container), service: None };
        snapshot.sockets[3].stands_for = Some(Box::new(StandsFor::Forward(forward)));
        snapshot.processes.get_mut(&Pid(700)).unwrap().name = Some("docker-proxy".into());
        let space = Space::new(SpaceId(7), SpaceKind::Container, NAME.to_owned(), snapshot.socket_source);
        snapshot.sockets.push(Socket { space: space.id, ..snapshot.sockets[3].clone() });
        snapshot.spaces.push(space);
        snapshot
    }

    /// Its words in order of the alphabet, without heads, and without the marks of what is unknown.
    fn words(text: &str) -> Vec<&str> {
        let words = text.split_whitespace().filter(|word| !["ERROR", "WHY", "-"].contains(word));
        let mut words: Vec<&str> = words.collect();
        words.sort_unstable();
        words
    }

    #[test]
    fn every_line_fits_its_terminal_and_no_word_is_lost() {
        let addresses = ["0.0.0.0", "::", "127.0.0.1", "::1", "2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff"];
        let (published, plain) = (published(), testing::snapshot());
        // What cannot be broken is a name or an address.
        for (snapshot, port, addresses, least) in [
            (&published, 5432, &addresses[..], 64),
            (&published, 5432, &addresses[..4], 57),
            (&plain, 443, &addresses[..4], 40),
        ] {
            let whole = text(snapshot, port, addresses, None);
            for width in least..=240 {
                let text = text(snapshot, port, addresses, Some(width));
                assert!(text.lines().all(|line| UnicodeWidthStr::width(line) <= width), "{width}:\n{text}");
                assert_eq!(words(&text), words(&whole), "{width}:\n{text}");
            }
        }
    }

    #[test]
    fn reasons_stand_beside_their_rows_or_below() {
        let addresses = ["0.0.0.0", "::", "::1", "127.0.0.2"];
        for width in [60, 80, 120, 200] {
            insta::assert_snapshot!(format!("check_{width}"), text(&published(), 5432, &addresses, Some(width)));
        }
        insta::assert_snapshot!("check_40", text(&testing::snapshot(), 443, &addresses, Some(40)));
    }
}
