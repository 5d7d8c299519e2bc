//! The owner of sockets in full, for people: one fact a line.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::SystemTime;

use crate::analyse::cause::Squatter;
use crate::analyse::dossier::{Holding, Peers, User};
use crate::model::{Forward, HiddenBecause, Listing, Nobody, Owner, Pid, Process, Project, Row, State, Uid};
use crate::render::text::number::thousands;
use crate::render::text::safe::{Charset, Text};
use crate::render::text::time;
use crate::render::words::cell;
use crate::render::words::column;
use crate::render::words::process;
use crate::render::words::reachability;
use crate::render::words::socket;

/// `3 from 2 addresses: 2 ESTABLISHED, 1 TIME_WAIT`.
pub fn connected(peers: &Peers<'_>) -> String {
    if peers.connections == 0 {
        return "no connections".to_owned();
    }
    let noun = if peers.addresses == 1 { "address" } else { "addresses" };
    let states: Vec<String> =
        peers.states.iter().map(|(state, count)| format!("{} {}", thousands(*count), state.name())).collect();
    let (connections, addresses) = (thousands(peers.connections), thousands(peers.addresses));
    format!("{connections} from {addresses} {noun}: {}", states.join(", "))
}

/// `node server.js (shop) ×12, psql`: the processes of this machine that are connected.
fn used_by(peers: &Peers<'_>, charset: Charset) -> Option<Text> {
    let user = |user: &User<'_>| {
        let mut parts = vec![process::called(user.process, charset)];
        if let Some(known) = &user.process.project {
            let name = cell::project(known, charset);
            parts.push(Text::join(&[Text::plain("("), name, Text::plain(")")], ""));
        }
        if user.connections > 1 {
            let times = if charset == Charset::Unicode { "×" } else { "x" };
            parts.push(Text::of(&format!("{times}{}", user.connections), charset));
        }
        Text::join(&parts, " ")
    };
    let mut named: Vec<Text> = peers.users.iter().take(MOST_USERS).map(user).collect();
    let more = peers.users.len().saturating_sub(MOST_USERS);
    named.extend((more > 0).then(|| Text::plain(format!("{more} more"))));
    (!named.is_empty()).then(|| Text::join(&named, ", "))
}

/// More programs that are connected to one server are only counted.
const MOST_USERS: usize = 6;

/// A fact and its name.
pub type Fact = (&'static str, Text);

/// What is known of the owner, and of the sockets as it holds them. A process that is in `told` is named only, and
/// comes to be in it.
pub fn facts(holding: &Holding<'_>, listing: &Listing<'_>, told: &mut BTreeSet<Pid>, charset: Charset) -> Vec<Fact> {
    let Some(row) = holding.row() else { return Vec::new() };
    let mut facts: Vec<Fact> = Vec::new();
    let foremost = row.processes.first();
    let is_told = foremost.is_some_and(|(pid, _)| !told.insert(*pid));
    match (&row.socket.owner, foremost) {
        (Owner::Nobody(why), _) => facts.push(("owner", Text::plain(nobody(*why)))),
        (Owner::Hidden(because), _) => facts.push(("owner", Text::plain(hidden(*because)))),
        (Owner::Processes(_), Some((pid, process))) => {
            let holder = holder(*pid, *process, holding, charset);
            let above = Text::plain(if is_told { ", shown above" } else { "" });
            facts.push(("process", Text::join(&[holder, above], "")));
            facts.extend(others(row, charset).map(|others| ("also", others)));
            let known = Squatter::of_any(row).filter(|_| !is_told);
            facts.extend(known.map(|known| ("known as", Text::plain(format!("{}: {}", known.what, known.fix)))));
        }
        (Owner::Processes(_), None) => {}
    }
    if !is_told {
        facts.extend(in_full(row, foremost.and_then(|(_, process)| *process), listing, charset));
    }
    facts.extend(of_sockets(holding, charset));
    facts
}

fn in_full(row: &Row<'_>, process: Option<&Process>, listing: &Listing<'_>, charset: Charset) -> Vec<Fact> {
    let mut facts: Vec<Fact> = Vec::new();
    facts.extend(process.map(|process| ("ancestry", process::ancestry(process, listing.snapshot, charset))));
    facts.extend(row.unit().map(|unit| ("unit", Text::of(unit, charset))));
    let container = row.belonging().and_then(|belonging| belonging.container.as_ref());
    facts.extend(container.map(|container| ("container", column::container(container, charset))));
    facts.extend(users(row, process, charset).map(|users| ("user", users)));
    let now = listing.snapshot.host.captured_at;
    let user = process.and_then(|process| row.user_of(process));
    facts.extend(process.into_iter().flat_map(|process| of_process(process, user, now, charset)));
    facts
}

fn of_sockets(holding: &Holding<'_>, charset: Charset) -> Vec<Fact> {
    let mut facts: Vec<Fact> = Vec::new();
    for open in &holding.open {
        facts.extend(open.socket.queue().map(|queue| {
            let is_one_of_many = holding.open.len() > 1;
            let place =
                if is_one_of_many { format!(" at {}", socket::answering(open, charset)) } else { String::new() };
            let line = format!("{}/{} connections waiting to be accepted{place}", queue.used, queue.limit);
            ("queue", Text::of(&line, charset))
        }));
        facts.extend(open.socket.activation().map(|activation| {
            let socket = Text::of(&activation.socket, charset);
            let service = activation.service.as_deref().map(|service| Text::of(service, charset));
            let units = std::iter::once(socket).chain(service).collect::<Vec<_>>();
            ("starts", Text::join(&units, if charset == Charset::Unicode { " → " } else { " -> " }))
        }));
        facts.extend(open.socket.forward().map(|forward| ("leads to", leads_to(forward, charset))));
        let reachability = open.snapshot.reachability(open.socket).filter(|_| open.socket.forward().is_none());
        let notes = reachability.map(|known| reachability::notes(&known, open.socket.local.port)).unwrap_or_default();
        facts.extend(notes.iter().map(|note| ("firewall", Text::of(note, charset))));
    }
    // A server on UDP talks to peers without being connected to any.
    let is_told = |peers: &&Peers| {
        peers.connections > 0 || holding.open.iter().any(|row| row.socket.state == Some(State::Listen))
    };
    if let Some(peers) = holding.peers.as_ref().filter(is_told) {
        facts.push(("peers", Text::plain(connected(peers))));
        facts.extend(used_by(peers, charset).map(|users| ("used by", users)));
    }
    facts
}

/// The program, its number and its descriptors.
fn holder(pid: Pid, process: Option<&Process>, holding: &Holding<'_>, charset: Charset) -> Text {
    let name = process.map_or_else(|| Text::plain("(exited)"), |process| process::called(process, charset));
    let sockets = if holding.open.is_empty() { &holding.connections } else { &holding.open };
    let holders = sockets.iter().flat_map(|row| row.socket.owner.holders()).filter(|holder| holder.pid == pid);
    let mut fds: Vec<u32> = holders.filter_map(|holder| holder.fd).collect();
    fds.sort_unstable();
    fds.dedup();
    let noun = if fds.len() == 1 { "descriptor" } else { "descriptors" };
    let shown: Vec<String> = fds.iter().take(8).map(ToString::to_string).collect();
    let more = if fds.len() > shown.len() { format!(" and {} more", fds.len() - shown.len()) } else { String::new() };
    let fds = if fds.is_empty() { String::new() } else { format!(", {noun} {}{more}", shown.join(" ")) };
    Text::join(&[name, Text::plain(format!(" ({}{fds})", pid.0))], "")
}

/// The other processes that hold the same sockets.
fn others(row: &Row<'_>, charset: Charset) -> Option<Text> {
    let other = |(pid, process): &(Pid, Option<&Process>)| {
        let name = column::name(*process, charset).unwrap_or_else(Text::unknown);
        Text::join(&[name, Text::plain(format!("({})", pid.0))], " ")
    };
    let others: Vec<Text> = row.processes.iter().skip(1).map(other).collect();
    (!others.is_empty()).then(|| Text::join(&others, ", "))
}

/// The user that it runs as, and where that is another one the user that made the socket.
fn users(row: &Row<'_>, process: Option<&Process>, charset: Charset) -> Option<Text> {
    let text = |uid: Uid| {
        let number = Text::plain(format!("({})", uid.0));
        row.user_name(uid).map_or(number.clone(), |name| Text::join(&[Text::of(name, charset), number], " "))
    };
    if let Some(account) = process.and_then(|process| process.account.as_deref()) {
        return Some(Text::of(account, charset));
    }
    let runs_as = process.and_then(|process| process.uid);
    match (runs_as, row.socket.uid) {
        (Some(runs_as), Some(made_by)) if runs_as != made_by => {
            Some(Text::join(&[text(runs_as), text(made_by)], "; the socket was created by "))
        }
        (Some(uid), _) | (None, Some(uid)) => Some(text(uid)),
        (None, None) => None,
    }
}

fn of_process(process: &Process, user: Option<&str>, now: SystemTime, charset: Charset) -> Vec<Fact> {
    let not_readable = || Text::plain("could not be read");
    let path = |path: &Path| Text::of_os(path.as_os_str(), charset);
    let started = process.started_at.map(|time| {
        let ago = now.duration_since(time).map(|age| format!(", {} ago", time::span(age))).unwrap_or_default();
        Text::plain(format!("{}{ago}", time::rfc3339(time)))
    });
    let exe = process.exe.as_deref().map_or_else(not_readable, |exe| match process.exe_deleted {
        Some(true) => {
            let whole = exe.to_string_lossy();
            let without_mark = Text::of(whole.strip_suffix(" (deleted)").unwrap_or(&whole), charset);
            Text::join(&[without_mark, Text::plain("(deleted: the running file is no longer on disk)")], " ")
        }
        _ => path(exe),
    });
    let argv = process
        .argv
        .as_ref()
        .map_or_else(not_readable, |argv| column::command_line(argv, charset).unwrap_or_else(|| Text::plain("none")));
    let mut facts = vec![
        ("started", started.unwrap_or_else(Text::unknown)),
        ("exe", exe),
        ("cwd", process.cwd.as_deref().map_or_else(not_readable, |cwd| process::folder(cwd, user, charset))),
        ("argv", argv),
    ];
    facts.extend(process.project.as_ref().map(|known| ("project", project(known, user, charset))));
    facts
}

/// The project with its folder: `shop@feature-x (~/src/shop)`.
fn project(project: &Project, user: Option<&str>, charset: Charset) -> Text {
    let name = cell::project(project, charset);
    let Some(folder) = &project.folder else { return name };
    let folder = process::folder(folder, user, charset);
    Text::join(&[name, Text::join(&[Text::plain("("), folder, Text::plain(")")], "")], " ")
}

fn leads_to(forward: &Forward, charset: Charset) -> Text {
    let to = Text::plain(format!("{} ({})", forward.to, forward.by.name()));
    match &forward.container {
        Some(made_by) => Text::join(&[to, Text::plain("container"), column::container(made_by, charset)], " "),
        None => to,
    }
}

const fn nobody(why: Nobody) -> &'static str {
    match why {
        Nobody::TimeWait => "none: the connection is over; the kernel keeps its ports for a minute",
        Nobody::Handshake => "none yet: the handshake is not finished",
        Nobody::Closing => "none: it was closed; the kernel is finishing the connection",
        Nobody::Unaccepted => "none yet: it is waiting in the listener's accept queue",
        Nobody::InFlight => "none: its descriptor is being passed to another process",
        Nobody::Redirected => "none: a firewall rule takes the port's traffic",
    }
}

/// Why the owner is not known.
pub const fn hidden(because: HiddenBecause) -> &'static str {
    match because {
        HiddenBecause::Permission => "hidden: no permission to see its process",
        HiddenBecause::Protected => "hidden: the process is protected",
        HiddenBecause::PidNamespace => "hidden: it may be outside this PID namespace",
        HiddenBecause::NotFound => "not found: no process that could be read holds it",
        HiddenBecause::NoProcesses => "hidden: the process list cannot be read",
        HiddenBecause::Ambiguous => "ambiguous: the kernel gave several sockets the same inode",
        HiddenBecause::Unsupported => "hidden: the system does not report it",
    }
}
