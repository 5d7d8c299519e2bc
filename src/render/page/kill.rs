//! What would be stopped: shown before anybody is asked.

use std::collections::HashSet;
use std::io::{self, Write};
use std::time::SystemTime;

use crate::analyse::kill::{Plan, Victim};
use crate::model::{Protocol, Row, State};
use crate::render::text::number::thousands;
use crate::render::text::paragraph;
use crate::render::text::safe::{Charset, Text};
use crate::render::text::style::Style;
use crate::render::text::time;
use crate::render::words::cell;
use crate::render::words::process;
use crate::render::words::reachability;
use crate::render::words::socket;

/// More process numbers of one group are only counted.
const MOST_PIDS: usize = 8;

/// More of the other sockets of a process are only counted.
const MOST_OTHERS: usize = 12;

/// A process, and the others that are the same program on the same sockets: a server and its workers.
struct Group<'p, 'r, 'a> {
    first: &'p Victim<'r, 'a>,
    workers: Vec<&'p Victim<'r, 'a>>,
    /// What each of them is called.
    name: Option<String>,
    /// What each of them does with the sockets that were asked for.
    activity: String,
}

impl<'p, 'r, 'a> Group<'p, 'r, 'a> {
    fn all(&self) -> impl Iterator<Item = &'p Victim<'r, 'a>> {
        std::iter::once(self.first).chain(self.workers.iter().copied())
    }
}

/// Writes a line for each process, and what would go with it.
pub fn write(out: &mut dyn Write, plan: &Plan<'_, '_>, style: Style) -> io::Result<()> {
    let mut hints: Vec<String> = Vec::new();
    for group in groups(&plan.victims, style.charset) {
        paragraph::item(out, &headline(&group, style.charset), style.width)?;
        for line in further(&group, style.charset) {
            paragraph::hanging(&format!("  {line}"), 4, style.width)
                .iter()
                .try_for_each(|line| writeln!(out, "{line}"))?;
        }
        if let Some(managed) = &group.first.managed {
            add(&mut hints, format!("hint: stop it for good: {}", managed.stop_line()));
        }
    }
    hints.iter().try_for_each(|hint| paragraph::item(out, hint, style.width))
}

/// Adds the text, unless it is there.
fn add(texts: &mut Vec<String>, text: String) {
    if !texts.contains(&text) {
        texts.push(text);
    }
}

fn groups<'p, 'r, 'a>(victims: &'p [Victim<'r, 'a>], charset: Charset) -> Vec<Group<'p, 'r, 'a>> {
    let mut groups: Vec<Group<'p, 'r, 'a>> = Vec::new();
    for victim in victims {
        let (name, activity) = (name(victim, charset), activity(victim, charset));
        let is_worker = |group: &&mut Group<'p, 'r, 'a>| {
            let (first, own) = (group.first.process, victim.process);
            let is_child = own.is_some_and(|own| own.parent == Some(group.first.pid));
            let is_same_user = first.map(|known| known.uid) == own.map(|known| known.uid);
            (is_child || is_same_user)
                && group.name == name
                && group.first.managed == victim.managed
                && group.activity == activity
        };
        match groups.iter_mut().find(is_worker) {
            Some(group) => group.workers.push(victim),
            None => groups.push(Group { first: victim, workers: Vec::new(), name, activity }),
        }
    }
    groups
}

fn name(victim: &Victim<'_, '_>, charset: Charset) -> Option<String> {
    victim.process.map(|known| process::called(known, charset).into_string())
}

/// `node server.js (pid 2214, ada) in ~/src/shop, running for 2 h, listens on tcp *:3000`
fn headline(group: &Group<'_, '_, '_>, charset: Charset) -> String {
    let victim = group.first;
    let mut line = group.name.clone().unwrap_or_else(|| "unknown program".to_owned());
    if !group.workers.is_empty() {
        line = format!("{line} +{}", group.workers.len());
    }
    let mut facts = vec![pids(group)];
    let known = victim.process;
    let user_name = known.and_then(|known| victim.meant.first()?.user_of(known));
    facts.extend(
        known.and_then(|known| known.project.as_ref()).map(|found| cell::project(found, charset).into_string()),
    );
    let uid = || Some(known?.uid?.0.to_string());
    facts.extend(user_name.map(|name| Text::of(name, charset).into_string()).or_else(uid));
    line = format!("{line} ({})", facts.join(", "));
    if let Some(cwd) = known.and_then(|known| known.cwd.as_deref()) {
        line = format!("{line} in {}", process::folder(cwd, user_name, charset).as_str());
    }
    if let Some(age) = known.and_then(|known| age(known.started_at?, victim)) {
        line = format!("{line}, running for {age}");
    }
    format!("{line}, {}", group.activity)
}

/// `pid 811`, `pids 811, 812, 813`
fn pids(group: &Group<'_, '_, '_>) -> String {
    let all: Vec<String> = group.all().take(MOST_PIDS).map(|victim| victim.pid.0.to_string()).collect();
    let count = group.workers.len() + 1;
    let more = if count > all.len() { format!(" and {} more", count - all.len()) } else { String::new() };
    format!("{} {}{more}", if count == 1 { "pid" } else { "pids" }, all.join(", "))
}

fn age(started: SystemTime, victim: &Victim<'_, '_>) -> Option<String> {
    let now = victim.meant.first()?.snapshot.host.captured_at;
    Some(time::span(now.duration_since(started).unwrap_or_default()))
}

/// What it does with the sockets that were asked for: `listens on tcp *:3000`.
fn activity(victim: &Victim<'_, '_>, charset: Charset) -> String {
    let mut parts: Vec<String> = Vec::new();
    for (verb, does) in
        [("listens on", listens as fn(&Row<'_>) -> bool), ("receives on", receives), ("has bound", is_bound)]
    {
        let mut ends: Vec<String> = Vec::new();
        for row in victim.meant.iter().filter(|row| does(row)) {
            add(&mut ends, end(row, charset));
        }
        if !ends.is_empty() {
            parts.push(format!("{verb} {}", ends.join(", ")));
        }
    }
    let is_other = |row: &&&Row<'_>| !listens(row) && !receives(row) && !is_bound(row);
    match victim.meant.iter().filter(is_other).collect::<Vec<_>>()[..] {
        [] => {}
        [row] => parts.push(format!("has the connection {}", socket::socket(row, charset))),
        ref rows => parts.push(format!("has {} connections on the port", thousands(rows.len()))),
    }
    parts.join(" and ")
}

fn listens(row: &Row<'_>) -> bool {
    row.socket.state == Some(State::Listen)
}

fn receives(row: &Row<'_>) -> bool {
    row.socket.protocol != Protocol::Tcp && row.socket.peer.is_none()
}

fn is_bound(row: &Row<'_>) -> bool {
    row.socket.state == Some(State::Bound)
}

/// `tcp *:3000`
fn end(row: &Row<'_>, charset: Charset) -> String {
    format!("{} {}", row.socket.protocol.name(), socket::answering(row, charset))
}

/// What else there is to know before it is stopped, a line each.
fn further(group: &Group<'_, '_, '_>, charset: Charset) -> Vec<String> {
    let mut lines: Vec<String> = also(group, charset).into_iter().collect();
    if let Some(managed) = &group.first.managed {
        lines.push(format!("{} may start it again", managed.title()));
    }
    for row in group.first.meant.iter().filter(|row| row.is_listener) {
        let Some(known) = row.snapshot.reachability(row.socket) else { continue };
        // A client that is sent elsewhere does not notice that the process stops.
        for note in reachability::notes(&known, row.socket.local.port) {
            add(&mut lines, Text::of(&note, charset).into_string());
        }
    }
    lines
}

/// `it also holds: tcp *:9229; 4 connections`: those that others depend on by name.
fn also(group: &Group<'_, '_, '_>, charset: Charset) -> Option<String> {
    // What only another of the group was asked about is named in its first line; workers share their sockets.
    let mut named: HashSet<*const Row<'_>> =
        group.all().flat_map(|victim| &victim.meant).map(|row| std::ptr::from_ref(*row)).collect();
    let others = group.all().flat_map(|victim| &victim.others).copied();
    let others = others.filter(|row| named.insert(std::ptr::from_ref(*row)));
    let (connections, open): (Vec<&Row<'_>>, Vec<&Row<'_>>) = others.partition(|row| row.is_connection());
    let mut ends: Vec<String> = Vec::new();
    for row in open {
        add(&mut ends, end(row, charset));
    }
    let more = ends.len().saturating_sub(MOST_OTHERS);
    ends.truncate(MOST_OTHERS);
    let mut parts: Vec<String> = Vec::new();
    if !ends.is_empty() {
        parts.push(ends.join(", "));
    }
    if more > 0 {
        parts.push(format!("{more} more sockets (portscope -tu --pid {} lists them)", group.first.pid.0));
    }
    match connections.len() {
        0 => {}
        1 => parts.push("1 connection".to_owned()),
        count => parts.push(format!("{} connections", thousands(count))),
    }
    (!parts.is_empty()).then(|| format!("it also holds: {}", parts.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Listing, Managed, Manager, Pid, Snapshot};
    use crate::{join, testing};

    fn victim<'r, 'a>(listing: &'r Listing<'a>, pid: u32, managed: Option<Managed>) -> Victim<'r, 'a> {
        let is_meant = |row: &&Row<'_>| row.socket.local.port.get() == 443 && row.is_listener;
        let is_other = |row: &&Row<'_>| row.socket.local.port.get() != 443 || !row.is_listener;
        let meant = listing.rows.iter().filter(is_meant).collect();
        let others = listing.rows.iter().skip(1).filter(is_other).collect();
        Victim { pid: Pid(pid), process: listing.snapshot.processes.get(&Pid(pid)), managed, meant, others }
    }

    fn written(snapshot: &Snapshot, pids: &[u32], managed: Option<&Managed>) -> String {
        written_at(snapshot, pids, managed, None)
    }

    fn written_at(snapshot: &Snapshot, pids: &[u32], managed: Option<&Managed>, width: Option<usize>) -> String {
        let listing = join::listing(snapshot, None);
        let victims = pids.iter().map(|pid| victim(&listing, *pid, managed.cloned())).collect();
        let plan = Plan { victims, refusals: Vec::new() };
        let mut text = Vec::new();
        write(&mut text, &plan, Style { color: false, charset: Charset::Unicode, width }).unwrap();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn everything_that_would_go_with_a_process_is_shown() {
        let managed = Managed::new(Manager::Systemd, "nginx.service");
        insta::assert_snapshot!(written(&testing::snapshot(), &[811], managed.as_ref()), @r"
        nginx (pid 811, root), running for 2 h 33 min, listens on tcp 0.0.0.0:443
          it also holds: tcp 127.0.0.1:5432, tcp [::1]:5432, udp [::]:5353; 1 connection
          unit nginx.service may start it again
        hint: stop it for good: systemctl stop nginx.service
        ");
    }

    #[test]
    fn the_plan_fits_each_width() {
        let mut snapshot = testing::snapshot();
        snapshot.processes.get_mut(&Pid(811)).unwrap().cwd = Some("/root/site".into());
        let managed = Managed::new(Manager::Systemd, "nginx.service");
        let at = |width| written_at(&snapshot, &[811, 812, 813], managed.as_ref(), Some(width));
        for width in [60, 80, 120, 200] {
            assert!(at(width).lines().all(|line| line.len() <= width), "{}", at(width));
        }
        insta::assert_snapshot!("kill_60", at(60));
        insta::assert_snapshot!("kill_80", at(80));
    }

    #[test]
    fn the_workers_of_a_server_are_folded_into_its_line() {
        let mut snapshot = testing::snapshot();
        snapshot.processes.get_mut(&Pid(811)).unwrap().cwd = Some("/root/site".into());
        let all = written(&snapshot, &[811, 812, 813], None);
        assert!(all.starts_with("nginx +2 (pids 811, 812, 813, root) in ~/site, running for "), "{all}");
        assert_eq!(all.lines().count(), 2, "{all}");
        // Another program on the same socket is no worker.
        snapshot.processes.get_mut(&Pid(813)).unwrap().runs = Some("other.py".into());
        assert_eq!(written(&snapshot, &[811, 812, 813], None).lines().count(), 4);
    }
}
