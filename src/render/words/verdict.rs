//! Whether a port can be bound, in one sentence.

use crate::analyse::bind::Blocker;
use crate::analyse::cause::{Cause, Checked, Outcome, Verdict, kind_of};
use crate::model::{Owner, Protocol, Row};
use crate::render::text::safe::{Charset, Text};
use crate::render::text::time;
use crate::render::words::column::{Column, foremost};
use crate::render::words::socket::answering as local;
use crate::render::words::{blocker, cell, reachability};

/// Says it of the port; of each of its protocols where they differ.
pub fn sentences(port: &Checked<'_>, charset: Charset) -> Vec<String> {
    let of = |protocol: &Protocol| {
        let verdicts = port.verdicts.iter().filter(|verdict| verdict.bind.protocol == *protocol);
        verdicts.collect::<Vec<_>>()
    };
    let asked: Vec<(Protocol, Vec<&Verdict<'_>>)> = Protocol::ALL
        .into_iter()
        .map(|protocol| (protocol, of(&protocol)))
        .filter(|(_, verdicts)| !verdicts.is_empty())
        .collect();
    let is_free = asked.iter().all(|(_, verdicts)| verdicts.iter().all(|verdict| is_plainly_free(verdict)));
    match &asked[..] {
        [(_, _)] if is_free => vec![format!("port {} is free{}", port.port, registered(port, charset))],
        [(Protocol::Tcp, verdicts)] => vec![sentence(&format!("port {}", port.port), verdicts, charset)],
        // What is so for every protocol is said once.
        [_, _, ..] if is_free => vec![format!("port {} is free{}", port.port, registered(port, charset))],
        _ => {
            let named = |(protocol, verdicts): &(Protocol, Vec<&Verdict<'_>>)| {
                sentence(&format!("port {}/{}", port.port, protocol.name()), verdicts, charset)
            };
            asked.iter().map(named).collect()
        }
    }
}

/// ` (registered for ssh)`: a free number may still belong to a service.
fn registered(port: &Checked<'_>, charset: Charset) -> String {
    let mut names: Vec<String> = Vec::new();
    for (_, service) in &port.services {
        let name = Text::of(service.name, charset).into_string();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    if names.is_empty() { String::new() } else { format!(" (registered for {})", names.join(", ")) }
}

/// No bind was tried as the user that was asked for.
pub fn not_tried_as(user: u32) -> String {
    format!("not tried as uid {user}, which only root on Linux can do; the answer goes by the open sockets alone")
}

/// Says whether nothing at all is to be said of a bind but that it succeeds.
pub fn is_plainly_free(verdict: &Verdict<'_>) -> bool {
    verdict.is_beside_the_point()
        || (verdict.outcome == Outcome::Bindable
            && verdict.strict_refusal().is_none()
            && verdict.agrees() != Some(false))
}

fn sentence(port: &str, verdicts: &[&Verdict<'_>], charset: Charset) -> String {
    let matters = || verdicts.iter().copied().filter(|verdict| !verdict.is_beside_the_point());
    // A socket in the way says most; then whatever else keeps one of the binds from being of use.
    let taken = matters().find(|verdict| !verdict.is_good() && !verdict.culprits().is_empty());
    if let Some(verdict) = taken {
        return format!("{port} is taken: {}", taken_by(&verdict.culprits()[0], charset));
    }
    match matters().find(|verdict| !verdict.is_good()) {
        Some(verdict) => refused(port, verdict, charset),
        None => match matters().find(|verdict| !verdict.shares_with().is_empty()) {
            Some(verdict) => {
                let row = verdict.shares_with()[0].row;
                format!(
                    "{port} is in use but can be shared: {} {} {}",
                    who(row, charset),
                    blocker::verb(row),
                    local(row, charset)
                )
            }
            None if matters().next().is_none() => format!("can't tell whether {port} is free: no address here has it"),
            None => format!("{port} is free"),
        },
    }
}

/// What holds the port: `node server.js (pid 2214, shop@feature-x, ada, since 14:02) listens on *:3000`.
fn taken_by(blocker: &Blocker<'_>, charset: Charset) -> String {
    let row = blocker.row;
    let (who, local) = (who(row, charset), local(row, charset));
    match kind_of(row) {
        Cause::Activation => {
            let units = Column::Process.cell(row, charset);
            format!("systemd {} {local} for {}, which it starts on demand", blocker::verb(row), units.as_str())
        }
        Cause::Bound => format!("{who} has bound {local} but is not listening"),
        Cause::TimeWait => match row.socket.time_left() {
            Some(left) => format!("a closed connection keeps {local} in TIME_WAIT for {} s more", left.as_secs() + 1),
            None => format!("a closed connection keeps {local} in TIME_WAIT"),
        },
        Cause::Client => format!("{who} uses {local} for an outgoing connection"),
        Cause::Connection => format!("{who} has a connection on {local}"),
        _ => format!("{who} {} {local}", blocker::verb(row)),
    }
}

fn refused(port: &str, verdict: &Verdict<'_>, charset: Charset) -> String {
    let address = verdict.bind.address;
    match verdict.cause {
        Some(Cause::Privileged) if verdict.outcome == Outcome::Unknown => {
            format!("can't tell whether {port} is free: binding it may need a privilege")
        }
        Some(Cause::Privileged) => format!("{port} needs a privilege that this user does not have"),
        Some(Cause::Excluded) => format!("{port} is reserved by the system or held for exclusive use"),
        Some(Cause::AddressNotHere) => format!("{port} can't be bound at {address}: no interface has that address"),
        Some(Cause::NoFamily) => format!("{port} can't be bound at {address}: the system does not support that family"),
        Some(Cause::NoDevice) => format!("{port} can't be bound: there is no such interface"),
        Some(Cause::Multicast) => format!("{port} can't be bound at {address}: it is a multicast address"),
        Some(Cause::Redirected) => {
            let to = verdict.judgement.reachability.instead_of(address);
            let to = to
                .map(|lead| format!(" to {}", reachability::target(lead.to.of(verdict.bind.port))))
                .unwrap_or_default();
            format!("{port} can be bound, but the firewall forwards its traffic{}", Text::of(&to, charset).as_str())
        }
        Some(Cause::Unseen) => format!("{port} is taken, but not by anything that this run can see"),
        _ => match &verdict.outcome {
            Outcome::Refused(refusal) => format!("{port} can't be bound at {address}: {}", refusal.name()),
            _ => format!("can't tell whether {port} is free"),
        },
    }
}

/// `node server.js +3 (pid 2214, shop@feature-x, ada, since 14:02)`, or what is known of a holder that is hidden.
pub fn who(row: &Row<'_>, charset: Charset) -> String {
    let Some((pid, _)) = row.processes.first().filter(|_| matches!(row.socket.owner, Owner::Processes(_))) else {
        return blocker::name(row, charset);
    };
    let mut facts = vec![format!("pid {}", pid.0)];
    facts.extend(cell::project_cell(row, charset).map(Text::into_string));
    let forwarded = row.socket.forward().and_then(|forward| forward.container.as_ref());
    let own = row.belonging().and_then(|belonging| belonging.container.as_ref());
    let own = own.map(|own| (if own.origin.decides() { "container" } else { "claims to be in container" }, own));
    let container = forwarded.map(|container| ("for container", container)).or(own);
    facts.extend(
        container.map(|(word, container)| format!("{word} {}", Text::of(container.short_name(), charset).as_str())),
    );
    facts.extend(Column::User.value(row, charset).map(Text::into_string));
    let since = foremost(row).and_then(|process| process.started_at);
    facts.extend(since.map(|since| format!("since {}", time::clock_minute(since))));
    format!("{} ({})", blocker::called(row, charset), facts.join(", "))
}
