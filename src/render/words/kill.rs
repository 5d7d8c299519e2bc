//! What `kill` says of each process: why it is left alone, what became of it, and what has the port afterwards.

use std::path::Path;
use std::time::Duration;

use crate::analyse::kill::{Obstacle, Plan, Refusal, activated};
use crate::analyse::restart::{self, Restarter};
use crate::model::{GapReason, HiddenBecause, Managed, Protocol, Row};
use crate::render::text::safe::{Charset, Text};
use crate::render::text::time;
use crate::render::words::said::Said;
use crate::render::words::{owner, process, socket, summary};

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
pub fn force_question(running: &[&str], after: Duration) -> String {
    let (have, them) = if running.len() == 1 { ("has", "it") } else { ("have", "them") };
    let names = running.join(", ");
    format!("{names} {have} not ended after {}. Stop {them} with SIGKILL?", time::span(after))
}

/// Why the holders of a socket are left alone, and what helps.
pub fn refusal(refusal: &Refusal<'_, '_>, charset: Charset, program: Option<&Path>) -> Said {
    let who = refusal.holder.map(|(pid, process)| socket::process(pid, process, charset)).unwrap_or_default();
    let instead = |managed: &Option<Managed>| match managed {
        Some(managed) => format!("stop {}: {}", managed.title(), managed.stop_line()),
        None => "stop the container with its own tools".to_owned(),
    };
    let (why, hints) = match &refusal.obstacle {
        Obstacle::Init => {
            let units: Vec<String> = activated(refusal.row).iter().map(|unit| instead(&Some(unit.clone()))).collect();
            let listed = || vec!["with systemd, find the unit to stop: systemctl list-sockets".to_owned()];
            let hints = if units.is_empty() { listed() } else { units };
            (format!("{who} is the first process; everything would end with it"), hints)
        }
        Obstacle::Itself => (format!("{who} is this command itself"), Vec::new()),
        Obstacle::Ancestor => (format!("{who} started this command, which would end with it"), Vec::new()),
        Obstacle::Kernel => (format!("{who} is a kernel thread"), Vec::new()),
        Obstacle::Elsewhere(managed) => {
            (format!("{who} runs in another PID namespace, such as a container's"), vec![instead(managed)])
        }
        Obstacle::Proxy(managed) => (format!("{who} only forwards the port to a container"), vec![instead(managed)]),
        Obstacle::Redirect(managed) => {
            let to = refusal.row.socket.forward().map(|forward| format!(" to {}", forward.to));
            let hints = managed.iter().map(|known| instead(&Some(known.clone()))).collect();
            (format!("no process holds it; a firewall rule forwards its traffic{}", to.unwrap_or_default()), hints)
        }
        Obstacle::Refused => {
            (format!("you don't have permission to signal {who}"), sudo(refusal.row, program).into_iter().collect())
        }
        Obstacle::Unheld(problem) => (format!("{who} cannot be stopped safely: {problem}"), Vec::new()),
        Obstacle::Ambiguous => {
            ("a listener on another port has the same inode, so its owner is uncertain".to_owned(), Vec::new())
        }
        Obstacle::Hidden(because @ HiddenBecause::Permission) => {
            let is_live = summary::hint(GapReason::Owner(*because), refusal.row.snapshot, program).is_some();
            let hint = sudo(refusal.row, program).filter(|_| is_live);
            ("you don't have permission to see its owner".to_owned(), hint.into_iter().collect())
        }
        Obstacle::Hidden(because) => (format!("its owner is {}", owner::hidden(*because)), Vec::new()),
        Obstacle::Nobody(why) => (format!("no process holds it ({})", why.name()), Vec::new()),
    };
    Said::with(format!("skipped {}: {why}", socket::socket(refusal.row, charset)), hints)
}

fn sudo(row: &Row<'_>, program: Option<&Path>) -> Option<String> {
    if crate::system::has_administrator() {
        return Some("run it as Administrator".to_owned());
    }
    let program = Text::of(&program?.to_string_lossy(), Charset::Unicode).into_string();
    let port = row.socket.local.port;
    let target = match row.socket.protocol {
        Protocol::Tcp => port.to_string(),
        other => format!("{port}/{}", other.name()),
    };
    Some(format!("sudo {program} kill {target}"))
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

/// The signal was sent.
pub fn sent(who: &str, signal: &str) -> String {
    format!("{who}: sent {signal}")
}

/// SIGKILL was sent to a process that did not hear the first signal.
pub fn forced(who: &str) -> String {
    format!("{who}: has not ended, sent SIGKILL")
}

/// The process ended before anything was sent to it.
pub fn ended_by_itself(who: &str) -> String {
    format!("{who}: has ended by itself")
}

/// The process closed the socket before anything was sent to it.
pub fn let_go(who: &str) -> String {
    format!("{who}: no longer holds the socket and was left alone")
}

/// The process closed the socket and goes on.
pub fn still_runs(who: &str) -> String {
    format!("{who}: has closed the port and is still running")
}

/// The signal could not be sent.
pub fn not_signaled(who: &str, problem: &dyn std::fmt::Display) -> String {
    format!("{who} was not signaled: {problem}")
}

/// All holders ended between the look and the plan.
pub fn nobody_left(targets: &str) -> String {
    format!("the process on {targets} has ended by itself")
}

/// Something else has the port now.
pub fn taken(targets: &str, by: &str, is_again: bool) -> String {
    let again = if is_again { " again" } else { "" };
    format!("{targets} was taken{again} by {by}")
}

/// The port is not free after this time.
pub fn held(targets: &str, after: Duration, by: &str, running: &[&str], can_force: bool) -> Said {
    let mut line = format!("{targets} is not free after {after:?}: {by}");
    if running.is_empty() {
        return Said::plain(line);
    }
    line = format!("{line}; still running: {}", running.join(", "));
    Said::with(line, can_force.then(|| "send SIGKILL to what does not end by itself: --force-after 5s".to_owned()))
}

/// What `--via-manager` would run, or asks whether to run.
pub fn stop_lines(found: &[Managed]) -> String {
    found.iter().map(|managed| format!("`{}`", managed.stop_line())).collect::<Vec<_>>().join(", ")
}

/// What `--via-manager --dry-run` would run.
pub fn would_run(found: &[Managed]) -> String {
    format!("would run {}", stop_lines(found))
}

/// Asks whether to run it.
pub fn run_question(found: &[Managed]) -> String {
    format!("Run {}?", stop_lines(found))
}

/// The manager has stopped it.
pub fn stopped(managed: &Managed) -> String {
    format!("{}: stopped", managed.title())
}

/// The manager did not stop it.
pub fn not_stopped(managed: &Managed, problem: &dyn std::fmt::Display) -> String {
    format!("{} was not stopped: {problem}", managed.title())
}

/// No manager has the process.
pub fn unmanaged(who: &str) -> String {
    format!("{who} runs in no unit or container that could be stopped; nothing was done")
}

/// The manager does not know the process, whatever its cgroup is called.
pub fn not_its_managers(who: &str, managed: &Managed) -> String {
    format!("{who} seems to belong to {}, but its manager does not know the process; nothing was done", managed.title())
}

/// The manager does not answer.
pub fn manager_is_silent(who: &str, managed: &Managed, problem: &dyn std::fmt::Display) -> String {
    format!("can't find out whether {who} belongs to {}: {problem}; nothing was done", managed.title())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Activation, Manager, Pid, StandsFor};
    use crate::{join, testing};

    #[test]
    fn a_listener_that_systemd_holds_is_refused_with_the_units_to_stop() {
        let mut snapshot = testing::snapshot();
        let activation =
            Activation { socket: "postgres.socket".to_owned(), service: Some("postgres.service".to_owned()) };
        snapshot.sockets[3].stands_for = Some(Box::new(StandsFor::Activation(activation)));
        let listing = join::listing(&snapshot, None);
        let refused = Refusal { row: &listing.rows[3], holder: Some((Pid(1), None)), obstacle: Obstacle::Init };
        let said = refusal(&refused, Charset::Unicode, None);
        assert_eq!(
            said.line,
            "skipped tcp 127.0.0.1:5432 LISTEN: 1 is the first process; everything would end with it"
        );
        assert_eq!(
            said.hints,
            [
                "stop unit postgres.socket: systemctl stop postgres.socket",
                "stop unit postgres.service: systemctl stop postgres.service"
            ]
        );
    }

    #[test]
    #[cfg_attr(windows, ignore = "the hint is sudo's")]
    fn a_refusal_says_why_and_what_helps() {
        let snapshot = testing::snapshot();
        let listing = join::listing(&snapshot, None);
        let row = &listing.rows[3];
        let holder = Some((Pid(700), snapshot.processes.get(&Pid(700))));
        let docker = Managed::new(Manager::Docker, "web");
        let sudo = "sudo /bin/portscope kill 5432";
        let other_tools = "stop the container with its own tools";
        for (obstacle, why, hint) in [
            (Obstacle::Ancestor, "700 postgres started this command, which would end with it", None),
            (Obstacle::Refused, "you don't have permission to signal 700 postgres", Some(sudo)),
            (
                Obstacle::Proxy(docker.clone()),
                "700 postgres only forwards the port to a container",
                Some("stop container web: docker stop web"),
            ),
            (Obstacle::Proxy(None), "700 postgres only forwards the port to a container", Some(other_tools)),
            (Obstacle::Hidden(HiddenBecause::Permission), "you don't have permission to see its owner", Some(sudo)),
        ] {
            let said = refusal(&Refusal { row, holder, obstacle }, Charset::Unicode, Some("/bin/portscope".as_ref()));
            let line = format!("skipped tcp 127.0.0.1:5432 LISTEN: {why}");
            assert_eq!(said, Said::with(line, hint.map(str::to_owned)));
        }
    }
}
