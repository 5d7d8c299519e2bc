//! Everything about one port, for people: one screen.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::Path;

use crate::analyse::dossier::{Assignment, Dossier, Holding, Objection, Peers, Place};
use crate::model::{Answer, Exposure, Gap, Listing, Row, SpaceId};
use crate::render::text::number::thousands;
use crate::render::text::paragraph;
use crate::render::text::safe::{Charset, Text};
use crate::render::text::style::Style;
use crate::render::words::category as category_words;
use crate::render::words::gap;
use crate::render::words::owner;
use crate::render::words::socket;
use crate::render::words::summary;

/// Connections of one owner that are shown one by one.
const MOST_CONNECTIONS: usize = 3;
/// Owners of only connections that are shown in full; a listener's owner always is.
const MOST_CLIENTS: usize = 5;

/// Writes everything about one port.
pub fn write(
    out: &mut dyn Write,
    listing: &Listing<'_>,
    dossier: &Dossier<'_>,
    program: Option<&Path>,
    style: Style,
) -> io::Result<()> {
    let charset = style.charset;
    let title = summary::title(listing.snapshot, charset);
    paragraph::sentence(out, &format!("port {} on {}", dossier.port, title.as_str()), style.width)?;
    write_number(out, dossier, style)?;
    write_places(out, dossier, style)?;
    let own = listing.snapshot.spaces.first().map(|space| space.id);
    let mut told = BTreeSet::new();
    let mut clients = 0;
    let mut left: Vec<&Holding<'_>> = Vec::new();
    for holding in &dossier.holdings {
        clients += usize::from(holding.open.is_empty());
        if holding.open.is_empty() && clients > MOST_CLIENTS {
            left.push(holding);
            continue;
        }
        writeln!(out)?;
        write_sockets(out, holding, own, style)?;
        for (label, text) in owner::facts(holding, listing, &mut told, charset) {
            paragraph::fact(out, &format!("  {label}"), text, charset, style.width)?;
        }
    }
    if !left.is_empty() {
        let connections: usize = left.iter().map(|holding| holding.connections.len()).sum();
        let port = dossier.port;
        let line = format!(
            "{} more connections of {} other owners: use `portscope -tu {port}` or --json to list them",
            thousands(connections),
            thousands(left.len())
        );
        writeln!(out)?;
        paragraph::sentence(out, &line, style.width)?;
    }
    if dossier.holdings.is_empty() {
        writeln!(out, "\nno socket uses it")?;
    }
    for line in not_seen(listing, program) {
        let line = Text::of(&line, charset);
        paragraph::sentence(out, &format!("not seen: {}", line.as_str()), style.width)?;
    }
    Ok(())
}

/// What could change the answer and was not looked at, and what would show it.
fn not_seen(listing: &Listing<'_>, program: Option<&Path>) -> Vec<String> {
    let line = |gap: &Gap| match summary::hint(gap.reason(), listing.snapshot, program) {
        Some(hint) => format!("{}; {hint}", gap::sentence(gap)),
        None => gap::sentence(gap),
    };
    listing.snapshot.gaps_of(Answer::Port).map(line).collect()
}

fn write_number(out: &mut dyn Write, dossier: &Dossier<'_>, style: Style) -> io::Result<()> {
    let Style { charset, width, .. } = style;
    let category = dossier.category;
    let rule = format!("{}, {}: {}", category.name(), category.range(), category_words::rule(category));
    paragraph::fact(out, "category", Text::of(&rule, charset), charset, width)?;
    let mut label = "registered";
    for assignment in &dossier.assignments {
        for text in assigned(assignment, charset) {
            paragraph::fact(out, label, text, charset, width)?;
            label = "";
        }
    }
    let objections = dossier.objections();
    let own = dossier.places.first();
    let reasons: Vec<Text> = objections.iter().map(|objection| reason(objection, own, charset)).collect();
    let advice = if reasons.is_empty() {
        Text::plain("fine: no known conflicts")
    } else {
        Text::join(&[Text::plain("not recommended: "), Text::join(&reasons, "; ")], "")
    };
    paragraph::fact(out, "own service", advice, charset, width)
}

fn assigned(assignment: &Assignment<'_>, charset: Charset) -> Vec<Text> {
    let protocol = Text::plain(assignment.protocol.name());
    if assignment.services.is_empty() {
        let nothing = match assignment.status {
            Some(status) => format!("no service (IANA: {status})"),
            None => "no service".to_owned(),
        };
        return vec![Text::join(&[protocol, Text::plain(nothing)], " ")];
    }
    let text = |service: &crate::model::Service<'_>| {
        let source = Text::plain(format!("({})", service.source.name()));
        let name = Text::of(service.name, charset);
        match service.description {
            None => Text::join(&[protocol.clone(), name, source], " "),
            Some(description) => {
                let name = Text::join(&[name, Text::plain(":")], "");
                Text::join(&[protocol.clone(), name, Text::of(description, charset), source], " ")
            }
        }
    };
    assignment.services.iter().map(text).collect()
}

fn reason(objection: &Objection<'_>, own: Option<&Place<'_>>, charset: Charset) -> Text {
    match objection {
        Objection::Assigned(names) => {
            let names: Vec<Text> = names.iter().map(|name| Text::of(name, charset)).collect();
            Text::join(&[Text::plain("assigned to"), Text::join(&names, ", ")], " ")
        }
        Objection::WellKnown => Text::plain("well-known ports are assigned by IANA"),
        Objection::KeptBack(protocols) => {
            let names: Vec<&str> = protocols.iter().map(|protocol| protocol.name()).collect();
            Text::plain(format!("reserved by IANA for {}", names.join(" and ")))
        }
        Objection::Privileged if own.is_some_and(|own| own.is_privileged.is_none()) => {
            Text::plain("binding it may require a privilege (unknown here)")
        }
        Objection::Privileged => Text::plain("binding it requires a privilege"),
        Objection::Ephemeral if own.is_some_and(|own| own.is_ephemeral.is_none()) => {
            Text::plain("inside the ephemeral range of many systems (unknown here)")
        }
        Objection::Ephemeral => Text::plain("inside the ephemeral range, so any client may get it"),
        Objection::Reserved => Text::plain("reserved by the system"),
        Objection::Bad => Text::plain("browsers refuse to connect to it (WHATWG bad ports)"),
        Objection::InUse => Text::plain("in use"),
    }
}

/// Writes the settings of this port space for the port, and of others with a socket on it where they differ.
fn write_places(out: &mut dyn Write, dossier: &Dossier<'_>, style: Style) -> io::Result<()> {
    let Style { charset, width, .. } = style;
    let Some((own, others)) = dossier.places.split_first() else { return Ok(()) };
    let own = settings(own, dossier);
    for (label, text) in &own {
        paragraph::fact(out, label, Text::of(text, charset), charset, width)?;
    }
    for place in others.iter().filter(|place| place.is_used) {
        let different = settings(place, dossier).into_iter().filter(|setting| !own.contains(setting));
        let different: Vec<(&str, String)> = different.collect();
        if different.is_empty() {
            continue;
        }
        let label = Text::of(&place.space.label, charset);
        writeln!(out, "in port space {} ({})", label.as_str(), place.space.kind.name())?;
        for (label, text) in different {
            paragraph::fact(out, label, Text::of(&text, charset), charset, width)?;
        }
    }
    Ok(())
}

fn settings(place: &Place<'_>, dossier: &Dossier<'_>) -> [(&'static str, String); 3] {
    let unknown = || "unknown on this system".to_owned();
    let port = dossier.port;
    let ephemeral = place.space.ephemeral.map_or_else(unknown, |range| {
        let answer = if range.contains(port) { "yes: inside" } else { "no: outside" };
        format!("{answer} the ephemeral range {range}")
    });
    let reserved = place.is_reserved.map_or_else(unknown, |is_reserved| {
        let answer = if is_reserved { "yes: in" } else { "no: not in" };
        format!("{answer} ip_local_reserved_ports (on Windows: an excluded range), which keeps ports from clients")
    });
    let privileged = place.space.unprivileged_start.map_or_else(unknown, |start| match place.is_privileged {
        _ if start == 0 => "no: every port can be bound without a privilege".to_owned(),
        Some(true) => format!("yes: below {start} (ip_unprivileged_port_start), binding requires CAP_NET_BIND_SERVICE"),
        _ => format!("no: not below {start} (ip_unprivileged_port_start)"),
    });
    [("ephemeral", ephemeral), ("reserved", reserved), ("privileged", privileged)]
}

/// `own` is the space of this process; every other one is named.
fn write_sockets(out: &mut dyn Write, holding: &Holding<'_>, own: Option<SpaceId>, style: Style) -> io::Result<()> {
    let Style { charset, width, .. } = style;
    let Some(row) = holding.row() else { return Ok(()) };
    let place = if own == Some(row.socket.space) {
        Text::default()
    } else {
        Text::join(&[Text::plain(", in port space "), Text::of(&row.space.label, charset)], "")
    };
    for open in &holding.open {
        let line = Text::join(&[socket(open, charset), place.clone()], "");
        paragraph::sentence(out, line.as_str(), width)?;
    }
    if holding.open.is_empty() {
        for connection in holding.connections.iter().take(MOST_CONNECTIONS) {
            let line = Text::join(&[socket(connection, charset), place.clone()], "");
            paragraph::sentence(out, line.as_str(), width)?;
        }
        let more = holding.connections.len().saturating_sub(MOST_CONNECTIONS);
        if more > 0 {
            let all = Peers::of(&holding.connections);
            writeln!(out, "and {more} more: {}", owner::connected(&all))?;
        }
    }
    Ok(())
}

/// `tcp 127.0.0.1:5432 LISTEN, loopback only`.
fn socket(row: &Row<'_>, charset: Charset) -> Text {
    let socket = row.socket;
    let line = Text::of(&socket::socket(row, charset), charset);
    if socket.peer.is_some() {
        return line;
    }
    let reach = match row.exposure {
        Exposure::Loopback => "loopback only",
        Exposure::LinkLocal => "link-local address",
        Exposure::Private => "private address",
        Exposure::Public => "public address",
        Exposure::Any => "every interface",
    };
    let only_ipv6 = if socket.v6only == Some(true) { ", IPv6 only" } else { "" };
    Text::join(&[line, Text::plain(format!(", {reach}{only_ipv6}"))], "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Catalogue;
    use crate::model::{
        Belonging, Container, Endpoint, Forward, ForwardedBy, Holder, Nobody, Owner, Pid, Port, Process, Queue,
        Snapshot, Socket, State,
    };
    use crate::{join, select, testing};

    fn text(snapshot: &Snapshot, port: u16, style: Style) -> String {
        let catalogue = Catalogue::default();
        let mut listing = join::listing(snapshot, Some(&catalogue));
        listing.rows.retain(|row| row.socket.local.port.get() == port);
        select::in_default_order(&mut listing.rows);
        let dossier = Dossier::new(Port::new(port), snapshot, &listing.rows, &catalogue);
        let mut text = Vec::new();
        write(&mut text, &listing, &dossier, None, style).unwrap();
        String::from_utf8(text).unwrap()
    }

    const TERMINAL: Style = Style { color: false, charset: Charset::Unicode, width: Some(80) };
    const PIPE: Style = Style { color: false, charset: Charset::Ascii, width: None };

    /// A database with everything that can be known of it.
    fn known() -> Snapshot {
        let mut snapshot = testing::snapshot();
        let space = &mut snapshot.spaces[0];
        (space.reserved, space.unprivileged_start) = (Some(Vec::new()), Some(1024));
        for socket in &mut snapshot.sockets[3..=4] {
            socket.queue = Some(Queue { used: 0, limit: 244 });
            socket.cgroup = Some(77);
        }
        let unit = Some("postgresql@15-main.service".to_owned());
        snapshot.cgroups.insert(77, Belonging { unit, ..Belonging::default() });
        let (init, mut process) = (Pid(1), snapshot.processes[&Pid(700)].clone());
        snapshot
            .processes
            .insert(init, Process { pid: init, parent: None, name: Some("systemd".into()), ..process.clone() });
        process.exe = Some("/usr/lib/postgresql/15/bin/postgres (deleted)".into());
        process.exe_deleted = Some(true);
        process.cwd = Some("/var/lib/postgresql/15/main".into());
        let argv = ["/usr/lib/postgresql/15/bin/postgres", "-D", "/var/lib/postgresql/15/main", "--password=hunter2"];
        process.argv = Some(argv.map(Into::into).into());
        snapshot.processes.insert(Pid(700), process);
        let client = |address: &str, state| Socket {
            peer: Some(Endpoint::new(address.parse().unwrap(), 50_000)),
            state: Some(state),
            queue: None,
            ..snapshot.sockets[3].clone()
        };
        let clients = [client("127.0.0.1", State::Established), client("127.0.0.2", State::CloseWait)];
        snapshot.sockets.extend(clients);
        snapshot
    }

    #[test]
    fn a_dossier_fits_on_a_screen_of_80_columns() {
        let text = text(&known(), 5432, TERMINAL);
        assert!(text.lines().all(|line| unicode_width::UnicodeWidthStr::width(line) <= 80), "{text}");
        assert!(text.lines().count() < 30, "{text}");
        insta::assert_snapshot!("info_80", text);
    }

    #[test]
    fn a_pipe_gets_each_fact_on_one_line_in_plain_characters() {
        let text = text(&known(), 443, PIPE);
        assert!(text.contains("  ancestry  systemd -> nginx\n"), "{text}");
        assert!(text.contains("  also      nginx (812), nginx (813)\n"), "{text}");
        assert!(text.contains("  user      www-data (33)\n"), "{text}");
        assert_eq!(text.matches("  started   ").count(), 2, "{text}");
    }

    #[test]
    fn a_process_is_shown_in_full_once() {
        let mut snapshot = known();
        // Two processes listen, the foremost of them has accepted.
        snapshot.sockets[1].owner = Owner::Processes(vec![Holder { pid: Pid(811), fd: Some(9) }]);
        let text = text(&snapshot, 443, PIPE);
        assert!(text.ends_with("  process   nginx (811, descriptor 9), shown above\n"), "{text}");
        assert_eq!(text.matches("  started   ").count(), 1, "{text}");
    }

    #[test]
    fn a_hidden_owner_is_described_by_what_is_known_of_it() {
        let text = text(&known(), 5353, PIPE);
        assert!(
            text.contains("  owner     hidden: no permission to see its process\n  user      avahi (101)\n"),
            "{text}"
        );
    }

    #[test]
    fn a_published_port_names_the_container_that_it_leads_to() {
        let mut snapshot = known();
        let mut published = snapshot.sockets[0].clone();
        (published.peer, published.state) = (None, Some(State::Redirect));
        published.local = Endpoint::new("0.0.0.0".parse().unwrap(), 8080);
        published.owner = Owner::Nobody(Nobody::Redirected);
        let container = Container { name: Some("web".to_owned()), ..testing_container() };
        let to = Endpoint::new("172.17.0.2".parse().unwrap(), 80).into();
        published.forward =
            Some(Box::new(Forward { by: ForwardedBy::Nat, to, container: Some(container), service: None }));
        snapshot.sockets.push(published);
        let text = text(&snapshot, 8080, PIPE);
        assert!(text.contains("tcp 0.0.0.0:8080 REDIRECT, every interface\n"), "{text}");
        assert!(text.contains("  leads to  172.17.0.2:80 (nat) container docker "), "{text}");
        assert!(!text.contains("peers"), "who is connected through a rule is not known: {text}");
    }

    fn testing_container() -> Container {
        Container::of_id(crate::model::Runtime::Docker, "0123456789abcdef".repeat(4))
    }

    #[test]
    fn the_same_port_in_two_spaces_is_told_apart() {
        let mut snapshot = known();
        let mut other = snapshot.spaces[0].clone();
        (other.id, other.label, other.ephemeral) = (SpaceId(7), "blue".to_owned(), "5000-6000".parse().ok());
        let mut socket = snapshot.sockets[3].clone();
        socket.space = other.id;
        snapshot.spaces.push(other);
        snapshot.sockets.push(socket);
        let text = text(&snapshot, 5432, PIPE);
        assert!(text.contains("ephemeral   no: outside the ephemeral range 32768-60999\n"), "{text}");
        let blue = text.split("in port space blue (host)\n").nth(1).unwrap();
        assert!(blue.starts_with("ephemeral   yes: inside the ephemeral range 5000-6000\n"), "{text}");
        assert!(text.contains("\ntcp 127.0.0.1:5432 LISTEN, loopback only, in port space blue\n"), "{text}");
    }

    #[test]
    fn many_clients_are_counted_and_the_rest_is_said() {
        let mut snapshot = known();
        for number in 0..9_u32 {
            let mut client = snapshot.sockets[1].clone();
            client.local.port = Port::new(7000);
            client.owner = Owner::Processes(vec![Holder { pid: Pid(900 + number), fd: Some(3) }]);
            snapshot.sockets.extend(std::iter::repeat_n(client, 5));
        }
        let text = text(&snapshot, 7000, PIPE);
        assert_eq!(text.matches("and 2 more: 5 from 1 address: 5 ESTABLISHED").count(), 5, "{text}");
        assert!(text.contains("20 more connections of 4 other owners"), "{text}");
    }
}
