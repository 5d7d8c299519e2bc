//! What would be stopped, and what is left alone and why: shown before anybody is asked.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use crate::analyse::kill::{Obstacle, Plan, Refusal, Victim, activated};
use crate::analyse::restart::{self, Restarter};
use crate::model::{GapReason, HiddenBecause, Managed, Row};
use crate::render::text::paragraph;
use crate::render::text::safe::{Charset, Text};
use crate::render::text::style::Style;
use crate::render::text::time;
use crate::render::words::owner;
use crate::render::words::process;
use crate::render::words::reachability;
use crate::render::words::socket;
use crate::render::words::summary;

/// Where the value of a fact begins.
const VALUE: usize = 12;

/// More of the other sockets of a process are only counted.
const MOST_OTHERS: usize = 12;

/// Writes each process with everything that would go with it.
pub fn write(out: &mut dyn Write, plan: &Plan<'_, '_>, style: Style) -> io::Result<()> {
    let Style { charset, width, .. } = style;
    for victim in &plan.victims {
        writeln!(out, "{}", socket::process(victim.pid, victim.process, charset))?;
        for (title, value) in facts(victim, charset) {
            let lines = paragraph::hanging(&format!("  {title:<9} {value}"), VALUE, width);
            lines.iter().try_for_each(|line| writeln!(out, "{line}"))?;
        }
    }
    Ok(())
}

/// `Stop node server.js (2214) with SIGTERM?`
pub fn question(plan: &Plan<'_, '_>, signal: &str, charset: Charset) -> String {
    let first = plan.victims.first().map_or_else(String::new, |victim| {
        let name = victim.process.map(|process| process::called(process, charset).into_string() + " ");
        format!("{}({})", name.unwrap_or_default(), victim.pid.0)
    });
    let whom = match plan.victims.len() {
        0 | 1 => first,
        2 => format!("{first} and 1 more process"),
        count => format!("{first} and {} more processes", count - 1),
    };
    // Other signals need not end a process.
    match signal {
        "SIGTERM" | "SIGKILL" | "SIGINT" | "SIGQUIT" | "SIGABRT" => format!("Stop {whom} with {signal}?"),
        _ => format!("Send {signal} to {whom}?"),
    }
}

/// `2214 node has not ended after 3 s. Stop it with SIGKILL?`
pub fn force(running: &[&str], after: Duration) -> String {
    let (have, them) = if running.len() == 1 { ("has", "it") } else { ("have", "them") };
    let names = running.join(", ");
    format!("{names} {have} not ended after {}. Stop {them} with SIGKILL?", time::span(after))
}

fn facts(victim: &Victim<'_, '_>, charset: Charset) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    if let Some(process) = victim.process {
        let exe = process.exe.as_deref().map(|exe| Text::of_os(exe.as_os_str(), charset).into_string());
        facts.extend(exe.map(|exe| ("runs", exe)));
        facts.extend(process.project.as_ref().map(|known| ("project", owner::project(known, charset).into_string())));
        let cwd = process.cwd.as_deref().map(|cwd| Text::of_os(cwd.as_os_str(), charset).into_string());
        facts.extend(cwd.map(|cwd| ("folder", cwd)));
        let name = |uid| victim.meant.first().and_then(|row| row.user_name(uid));
        let user =
            process.uid.map(|uid| name(uid).map_or_else(|| uid.0.to_string(), |n| Text::of(n, charset).into_string()));
        facts.extend(user.map(|user| ("user", user)));
        facts.extend(process.started_at.map(|started| ("started", time::rfc3339(started))));
    }
    facts.extend(victim.managed.as_ref().map(|managed| ("in", may_start_again(managed))));
    let socket = |row: &&Row<'_>| socket::socket(row, charset);
    facts.extend(victim.meant.iter().map(|row| ("holds", socket(row))));
    let mut notes: Vec<String> = Vec::new();
    for row in victim.meant.iter().filter(|row| row.is_listener) {
        let Some(known) = row.snapshot.reachability(row.socket) else { continue };
        // Whoever is sent elsewhere does not notice that the process stops.
        for note in reachability::notes(&known, row.socket.local.port) {
            let note = Text::of(&note, charset).into_string();
            if !notes.contains(&note) {
                notes.push(note);
            }
        }
    }
    facts.extend(notes.into_iter().map(|note| ("firewall", note)));
    // Those that others depend on first.
    let mut others = victim.others.clone();
    others.sort_by_key(|row| row.is_connection());
    facts.extend(others.iter().take(MOST_OTHERS).map(|row| ("also", socket(row))));
    if others.len() > MOST_OTHERS {
        let (more, pid) = (others.len() - MOST_OTHERS, victim.pid.0);
        facts.push(("also", format!("{more} more: portscope -tu --pid {pid} lists them")));
    }
    facts
}

fn may_start_again(managed: &Managed) -> String {
    format!("{}, which may start it again; to stop it for good: {}", managed.title(), managed.stop_line())
}

/// What would stop a process for good that was started again and has the port now.
pub fn for_good(row: &Row<'_>, plan: &Plan<'_, '_>, charset: Charset) -> Option<String> {
    Some(match restart::restarted_by(row, plan)? {
        Restarter::Manager(managed) => {
            format!("{} starts it again; stop it with: {}", managed.title(), managed.stop_line())
        }
        Restarter::Parent(pid, process) => {
            let name = process::called(process, charset);
            format!("{} (pid {}) starts it again; stop that first", name.as_str(), pid.0)
        }
    })
}

/// The line of a socket whose holders are left alone.
pub fn refusal(refusal: &Refusal<'_, '_>, charset: Charset, program: Option<&Path>) -> String {
    let socket = socket::socket(refusal.row, charset);
    let who = refusal.holder.map(|(pid, process)| socket::process(pid, process, charset)).unwrap_or_default();
    let instead = |managed: &Option<Managed>| match managed {
        Some(managed) => format!("; to stop {}: {}", managed.title(), managed.stop_line()),
        None => "; stop the container with its own tools".to_owned(),
    };
    let why = match &refusal.obstacle {
        Obstacle::Init => {
            let units: Vec<String> = activated(refusal.row).iter().map(Managed::stop_line).collect();
            let instead = if units.is_empty() {
                "where it is systemd, systemctl list-sockets names the unit to stop".to_owned()
            } else {
                format!("to stop the units that it holds it for: {}", units.join("; "))
            };
            format!("{who} is the first process, with which everything would end; {instead}")
        }
        Obstacle::Itself => format!("{who} is this very process"),
        Obstacle::Ancestor => format!("{who} has started this process and would take it along"),
        Obstacle::Kernel => format!("{who} is a thread of the kernel"),
        Obstacle::Elsewhere(managed) => {
            format!("{who} lives in another pid namespace, a container's{}", instead(managed))
        }
        Obstacle::Proxy(managed) => format!("{who} only stands in for a container{}", instead(managed)),
        Obstacle::Redirect(managed) => {
            let to = refusal.row.socket.forward.as_ref().map(|forward| format!(" to {}", forward.to));
            let instead = managed.as_ref().map(|_| instead(managed));
            let (to, instead) = (to.unwrap_or_default(), instead.unwrap_or_default());
            format!("no process holds it, a rule of the firewall sends what comes{to}{instead}")
        }
        Obstacle::Refused => format!("{who} may not be signalled by this user{}", sudo(program)),
        Obstacle::Unheld(problem) => format!("{who} cannot be held: {problem}"),
        Obstacle::Ambiguous => "a listener on another port has the same inode, so its owner is in doubt".to_owned(),
        Obstacle::Hidden(because @ HiddenBecause::Permission) => {
            let hint = summary::hint(GapReason::Owner(*because), refusal.row.snapshot, program)
                .map(|hint| format!("; {hint}"));
            format!("who holds it is hidden from this user{}", hint.unwrap_or_default())
        }
        Obstacle::Hidden(because) => format!("its owner is {}", owner::hidden(*because)),
        Obstacle::Nobody(why) => format!("nobody holds it ({})", why.name()),
    };
    format!("{socket} is left alone: {why}")
}

fn sudo(program: Option<&Path>) -> String {
    if crate::system::has_administrator() {
        return "; with the right to: run it as Administrator".to_owned();
    }
    let hint = program.map(|path| Text::of(&path.to_string_lossy(), Charset::Unicode).into_string());
    hint.map(|program| format!("; with the right to: sudo {program} kill ...")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Listing, Manager, Pid, Snapshot};
    use crate::{join, testing};

    fn victim<'r, 'a>(listing: &'r Listing<'a>, managed: Option<Managed>) -> Victim<'r, 'a> {
        let is_meant = |row: &&Row<'_>| row.socket.local.port.get() == 443;
        let (meant, others) = (listing.rows.iter().filter(is_meant).collect(), listing.rows.iter().skip(3).collect());
        Victim { pid: Pid(811), process: listing.snapshot.processes.get(&Pid(811)), managed, meant, others }
    }

    fn listing(snapshot: &Snapshot) -> Listing<'_> {
        join::listing(snapshot, None)
    }

    #[test]
    fn everything_that_would_go_with_a_process_is_shown() {
        let snapshot = testing::snapshot();
        let listing = listing(&snapshot);
        let managed = Managed::new(Manager::Systemd, "nginx.service");
        let plan = Plan { victims: vec![victim(&listing, managed)], refusals: Vec::new() };
        let mut text = Vec::new();
        let style = Style { color: false, charset: Charset::Unicode, width: None };
        write(&mut text, &plan, style).unwrap();
        insta::assert_snapshot!(String::from_utf8(text).unwrap(), @r"
        811 nginx
          runs      /usr/sbin/nginx
          user      root
          started   2023-11-14T22:26:51Z
          in        unit nginx.service, which may start it again; to stop it for good: systemctl stop nginx.service
          holds     tcp 192.0.2.7:443 ESTABLISHED with 198.51.100.23:51034
          holds     tcp 0.0.0.0:443 LISTEN
          also      tcp 127.0.0.1:5432 LISTEN
          also      tcp [::1]:5432 LISTEN
          also      udp [::]:5353
        ");
    }

    #[test]
    fn a_listener_that_systemd_holds_is_refused_with_the_units_to_stop() {
        let mut snapshot = testing::snapshot();
        snapshot.sockets[3].activation = Some(Box::new(crate::model::Activation {
            socket: "postgres.socket".to_owned(),
            service: Some("postgres.service".to_owned()),
        }));
        let listing = listing(&snapshot);
        let refused = Refusal { row: &listing.rows[3], holder: Some((Pid(1), None)), obstacle: Obstacle::Init };
        assert_eq!(
            refusal(&refused, Charset::Unicode, None),
            "tcp 127.0.0.1:5432 LISTEN is left alone: 1 is the first process, with which everything would end; \
             to stop the units that it holds it for: systemctl stop postgres.socket; systemctl stop postgres.service"
        );
    }

    #[test]
    #[cfg_attr(windows, ignore = "the hint is sudo's")]
    fn a_refusal_says_why_and_what_helps() {
        let snapshot = testing::snapshot();
        let listing = listing(&snapshot);
        let row = &listing.rows[3];
        let holder = Some((Pid(700), snapshot.processes.get(&Pid(700))));
        let docker = Managed::new(Manager::Docker, "web");
        for (obstacle, end) in [
            (Obstacle::Ancestor, "700 postgres has started this process and would take it along"),
            (
                Obstacle::Refused,
                "700 postgres may not be signalled by this user; with the right to: sudo /bin/portscope kill ...",
            ),
            (
                Obstacle::Proxy(docker.clone()),
                "700 postgres only stands in for a container; to stop container web: docker stop web",
            ),
            (
                Obstacle::Proxy(None),
                "700 postgres only stands in for a container; stop the container with its own tools",
            ),
            (
                Obstacle::Hidden(HiddenBecause::Permission),
                "who holds it is hidden from this user; to see them: sudo /bin/portscope",
            ),
        ] {
            let line = refusal(&Refusal { row, holder, obstacle }, Charset::Unicode, Some("/bin/portscope".as_ref()));
            assert_eq!(line, format!("tcp 127.0.0.1:5432 LISTEN is left alone: {end}"));
        }
    }
}
