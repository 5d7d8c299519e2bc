//! The answer of `check` for people: a table for each port, who is in the way, and what helps.

use std::io::{self, Write};

use super::sanitize::Text;
use super::style::Style;
use super::table::{self, Cells, Emphasis, Frame, Head};
use super::{blocker, fix, holder, paragraph, summary};
use crate::analyse::bind::{Answer, Blocker, Overlap};
use crate::analyse::cause::{Cause, Checked, Outcome, Verdict, kind_of};
use crate::model::{Caller, Listing, Protocol, Refusal, Row};

/// Sockets in the way that are named; the rest is counted.
const MOST_NAMED: usize = 4;

const HEADS: [&str; 5] = ["PROTO", "ADDRESS", "BIND", "ERROR", "WHY"];

/// Writes the answers.
pub fn write(
    out: &mut dyn Write,
    checked: &[Checked<'_>],
    listing: &Listing<'_>,
    caller: Caller,
    style: Style,
) -> io::Result<()> {
    writeln!(out, "{}", summary::title(listing.snapshot, style.charset).as_str())?;
    for port in checked {
        writeln!(out)?;
        write_port(out, port, caller, style)?;
    }
    if let Some(line) = summary::not_seen(listing.snapshot) {
        writeln!(out, "\n{}", Text::of(&line, style.charset).as_str())?;
    }
    Ok(())
}

fn write_port(out: &mut dyn Write, port: &Checked<'_>, caller: Caller, style: Style) -> io::Result<()> {
    writeln!(out, "{}", heading(port, style))?;
    let rows: Vec<[(Text, Emphasis); 5]> = port.verdicts.iter().map(|verdict| cells(verdict, style)).collect();
    let width = |place: usize| rows.iter().map(|row| row[place].0.width()).max().unwrap_or(0).max(HEADS[place].len());
    let head = |place: usize| Head { title: HEADS[place].to_owned(), width: width(place), is_number: false };
    let shape: Vec<Head> = (0..HEADS.len()).map(head).collect();
    let mut rows = rows.into_iter().map(|row| -> Cells { row.to_vec() });
    table::draw(out, Some(&shape), &shape, &mut rows, Frame::Plain, style)?;
    for line in notes(port, caller, style) {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

/// Writes the answers about one port in a line for each protocol.
pub fn write_in_brief(out: &mut dyn Write, port: &Checked<'_>, style: Style) -> io::Result<()> {
    let is_told = |verdict: &&Verdict<'_>| !verdict.is_beside_the_point();
    for protocol in Protocol::ALL {
        let verdicts: Vec<&Verdict<'_>> =
            port.verdicts.iter().filter(|verdict| verdict.bind.protocol == protocol).filter(is_told).collect();
        let mut groups: Vec<(String, Vec<String>)> = Vec::new();
        for verdict in verdicts {
            let word = match &verdict.outcome {
                Outcome::Bindable => "yes".to_owned(),
                Outcome::Shadowed => "in vain".to_owned(),
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
    let hint = Text::plain(format!("portscope check -tu {} says what helps", port.port));
    paragraph::fact(out, "", hint, style.charset, style.width)
}

fn heading(port: &Checked<'_>, style: Style) -> String {
    let mut names: Vec<String> = Vec::new();
    for (_, service) in &port.services {
        let name = Text::of(service.name, style.charset).into_string();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let category = crate::model::Category::of(port.port).name();
    let registered = if names.is_empty() { String::new() } else { format!(", registered for {}", names.join(", ")) };
    format!("port {} ({category}{registered})", port.port)
}

fn cells(verdict: &Verdict<'_>, style: Style) -> [(Text, Emphasis); 5] {
    let (word, emphasis) = match &verdict.outcome {
        _ if verdict.is_beside_the_point() => ("-", Emphasis::Dim),
        Outcome::Bindable => ("yes", Emphasis::Green),
        Outcome::Shadowed => ("in vain", Emphasis::Yellow),
        Outcome::Refused(_) => ("no", Emphasis::Yellow),
        Outcome::Unknown => ("unknown", Emphasis::Yellow),
    };
    let error = match &verdict.outcome {
        Outcome::Refused(Refusal::Other(_)) => Text::unknown(),
        Outcome::Refused(refusal) => Text::of(refusal.name(), style.charset),
        _ => Text::default(),
    };
    let plain = |text: &str| (Text::of(text, style.charset), Emphasis::None);
    let address = plain(&address(verdict));
    let why = (Text::of(&why(verdict, style), style.charset), Emphasis::None);
    [plain(verdict.bind.protocol.name()), address, (Text::plain(word), emphasis), (error, Emphasis::None), why]
}

/// The address as it is asked for, with what is special about it.
fn address(verdict: &Verdict<'_>) -> String {
    let bind = &verdict.bind;
    let device = bind.device.as_ref().map(|device| format!("%{device}")).unwrap_or_default();
    let note = match bind.address {
        std::net::IpAddr::V6(address) if address.is_unspecified() && bind.v6only => " (IPv6 only)",
        std::net::IpAddr::V6(address) if address.is_unspecified() => " (IPv4 too)",
        _ => "",
    };
    format!("{}{device}{note}", bind.address)
}

/// Why it fails, in a few words.
fn why(verdict: &Verdict<'_>, style: Style) -> String {
    let Some(cause) = verdict.cause else { return String::new() };
    match cause {
        Cause::Privileged => "the port needs a privilege that the user asking does not have".to_owned(),
        Cause::Excluded => "set apart by the system, or held with exclusive use".to_owned(),
        Cause::AddressNotHere => "no interface of this port space has the address".to_owned(),
        Cause::NoFamily => "this system does not do the family".to_owned(),
        Cause::NoDevice => "there is no such interface".to_owned(),
        Cause::Redirected => match verdict.judgement.redirects.first() {
            Some(row) => format!("the firewall sends what comes for it to {}", target(row, style)),
            None => String::new(),
        },
        Cause::Unseen => "nothing that this run can see is in the way".to_owned(),
        Cause::Other => match &verdict.outcome {
            Outcome::Refused(refusal) => refusal.name().to_owned(),
            _ => String::new(),
        },
        _ => verdict.culprits().first().map(|blocker| in_the_way(blocker, style)).unwrap_or_default(),
    }
}

fn in_the_way(blocker: &Blocker<'_>, style: Style) -> String {
    let row = blocker.row;
    let (name, local) = (blocker::name(row, style.charset), holder::local(row, style.charset));
    let what = match kind_of(row) {
        Cause::Activation => format!("systemd {} {local} for a unit that it starts on demand", blocker::verb(row)),
        Cause::Listener => format!("{name} {} {local}", blocker::verb(row)),
        Cause::Bound => format!("{name} has bound {local} and does not listen"),
        Cause::TimeWait => format!("a connection of {local} is over and kept for a while"),
        Cause::Client => format!("{name} got {local} from the ephemeral range"),
        _ => format!("a connection of {local} still lasts, held by {name}"),
    };
    let relation = match blocker.overlap {
        Overlap::Same => "",
        Overlap::Covered => ", that is every address",
        Overlap::Covers => ", one of the addresses asked for",
        Overlap::TheirDualStack => ", which takes IPv4 too",
        Overlap::OurDualStack => ", and :: takes IPv4 too",
    };
    let doubt = if blocker.is_certain { "" } else { " (depends on options that no table shows)" };
    format!("{what}{relation}{doubt}")
}

fn target(row: &Row<'_>, style: Style) -> String {
    let Some(forward) = &row.socket.forward else { return "somewhere else".to_owned() };
    match &forward.container {
        Some(container) => {
            format!("{} (container {})", forward.to, Text::of(container.short_name(), style.charset).as_str())
        }
        None => forward.to.to_string(),
    }
}

/// The lines below the table: each said once, though it may concern several rows of it.
fn notes(port: &Checked<'_>, caller: Caller, style: Style) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut say = |line: String| {
        if !lines.contains(&line) {
            lines.push(line);
        }
    };
    let mut named: Vec<String> = Vec::new();
    for row in port.verdicts.iter().flat_map(Verdict::culprits).map(|blocker| blocker.row) {
        let line = format!("held by: {}", blocker::in_full(row, style.charset));
        if !named.contains(&line) {
            named.push(line);
        }
    }
    let more = named.len().saturating_sub(MOST_NAMED);
    named.into_iter().take(MOST_NAMED).for_each(&mut say);
    if more > 0 {
        say(format!("and by {more} more sockets"));
    }
    let of_verdict = |verdict| fix::fixes(verdict, caller, style.charset);
    let mut fixes: Vec<String> = port.verdicts.iter().flat_map(of_verdict).collect();
    // Each list ends with the way out; here it ends them all.
    fixes.sort_by_key(|fix| fix.starts_with("take another port"));
    for fix in fixes {
        say(format!("fix: {fix}"));
    }
    for verdict in &port.verdicts {
        disagreement(verdict).into_iter().for_each(&mut say);
        for row in verdict.judgement.elsewhere.iter().filter(|row| row.is_listener) {
            let label = Text::of(&row.space.label, style.charset);
            say(format!("no conflict: {} in port space {}", blocker::in_full(row, style.charset), label.as_str()));
        }
        for row in verdict.judgement.redirects.iter().filter(|_| verdict.outcome != Outcome::Shadowed) {
            say(format!("the firewall also sends what comes for it to {}", target(row, style)));
        }
    }
    lines
}

/// Where the rule and the kernel differ, in words.
fn disagreement(verdict: &Verdict<'_>) -> Option<String> {
    let probe = verdict.probe.as_ref().filter(|_| verdict.agrees() == Some(false))?;
    let said = |answer: Result<(), &Refusal>| match answer {
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
