//! The facts of a finding, in words.

use crate::analyse::audit::{
    Doubt, Fact, Finding, Holding, Judgement, KnownBy, RuleOfPolicy, Running, Subject, Unseen,
};
use crate::model::{Exposure, ForwardedBy, Part, Replaceable, Replacer, Row, Uid};
use crate::render::words::finding::holding::{OF_OWN_NAMESPACE, holding, program};
use crate::render::words::gap;

/// Says what is so.
pub fn evidence(finding: &Finding<'_>) -> String {
    let evidence = match finding.subject {
        Subject::Socket(row) => of_socket(&finding.fact, row),
        Subject::Policy { .. } | Subject::Run => None,
    };
    let evidence = evidence.or_else(|| of_rule_or_run(&finding.fact));
    // Every fact is worded as one of a socket or as one of a rule or the run.
    let evidence = evidence.unwrap_or_else(|| finding.rule.title.to_owned());
    match finding.doubt {
        Some(Doubt { rule, why }) => {
            format!("{evidence}; can't tell whether {} accepts it: {}", in_words(rule), unseen(why))
        }
        None => evidence,
    }
}

fn of_socket(fact: &Fact<'_>, row: &Row<'_>) -> Option<String> {
    let port = row.socket.local.port;
    let held_by = || holding(&Holding::of(row));
    Some(match fact {
        Fact::Service { service, known_by } => {
            let (name, reach) = (service.name, reach(row.exposure));
            let fact = match known_by {
                KnownBy::Port => {
                    format!("{port} is the default {name} port, open on {reach} and held by {}", held_by())
                }
                KnownBy::Program => format!("{port} is held by {}, a {name} program, and open on {reach}", held_by()),
                KnownBy::PortOfAnother(stranger) => format!(
                    "{port} is the default {name} port, open on {reach}, but {} holds it, and {stranger} is known for \
                     another service",
                    held_by()
                ),
            };
            format!("{fact}: {} ({})", service.why, service.source)
        }
        Fact::UnknownPrograms { service, strangers } => {
            let verb = if strangers.len() == 1 { "is" } else { "are" };
            let strangers = strangers.iter().map(program).collect::<Vec<_>>().join(", ");
            format!("{port} is the {service} port, but {strangers} {verb} not known to serve it")
        }
        Fact::Person(uid) => {
            let name = user(*uid, row);
            format!("{port} is a system port, but a process of user {name} serves it: {}", held_by())
        }
        Fact::Shared { one, strangers } => {
            let strangers = strangers.iter().map(running).collect::<Vec<_>>().join(", ");
            format!(
                "{} and {strangers} each have a socket on this address and port (SO_REUSEPORT): the kernel distributes \
                 traffic between them",
                running(one)
            )
        }
        Fact::OpenOverIpv6 { closed, held_by: holder } => format!(
            "over IPv4 this port is on loopback only ({closed}, {}), but over IPv6 it is open ({}, {})",
            holding(holder),
            row.socket.local,
            held_by()
        ),
        Fact::InMemory(path) => format!("it runs {path}, which exists only in memory"),
        Fact::Replaceable { exe, way, is_of_own_namespace } => replaceable(row, exe, way, *is_of_own_namespace),
        Fact::Deleted(path) => {
            format!("its executable {path} was deleted or replaced after it started, so it still runs the old code")
        }
        Fact::Ephemeral { range, is_known, .. } => {
            let known = if *is_known { "is not reserved" } else { "may not be reserved" };
            format!(
                "{port} is in the range {range} that this port space uses for outgoing connections, and {known}: when \
                 {} restarts, a connection may be using the port",
                held_by()
            )
        }
        Fact::Queue(queue) => format!(
            "accept queue {}/{}: connections are waiting for {}; when the queue is full, new ones are dropped",
            queue.used,
            queue.limit,
            held_by()
        ),
        Fact::Published => {
            let way = match row.socket.forward().map(|forward| forward.by) {
                Some(ForwardedBy::Proxy) => "a proxy, and usually a firewall rule,",
                Some(ForwardedBy::Nat) | None => "a firewall rule",
            };
            let reach = reach(row.exposure);
            format!(
                "{way} forwards traffic for port {port} on {reach} before this host's input rules see it: {}",
                held_by()
            )
        }
        Fact::Forbidden(rule) => format!("{} matches: {}", in_words(*rule), held_by()),
        Fact::Unlisted(None) => format!("no rule of the policy allows it: {}", held_by()),
        Fact::Unlisted(Some(rule)) => format!(
            "no rule of the policy allows it: {} matches only what the process says about itself: {}",
            in_words(*rule),
            held_by()
        ),
        _ => return None,
    })
}

fn of_rule_or_run(fact: &Fact<'_>) -> Option<String> {
    Some(match fact {
        Fact::HiddenOwners { hidden, open, gap } => {
            let owners = format!("owners are hidden for {hidden} of {}", counted(*open, "listener"));
            match gap {
                Some(gap) => format!("{owners}: {}", gap::sentence(gap)),
                None => owners,
            }
        }
        Fact::Unseen(gap) => format!("{} were not seen: {}", gap.missing().name(), gap::sentence(gap)),
        Fact::NoExecutable { unknown, open, first } => {
            let socket = first.0.socket;
            let open = counted(*open, "listener");
            let (protocol, local) = (socket.protocol.name(), socket.local);
            format!("the executable could not be read for {unknown} of {open}, including {protocol} {local}")
        }
        Fact::FurtherSpaces(1) => "1 more port space (network namespace) was not inspected".to_owned(),
        Fact::FurtherSpaces(count) => format!("{count} more port spaces (network namespaces) were not inspected"),
        Fact::Unclear(rule, judgement, why) => {
            let verb = match judgement {
                Judgement::Forbids => "matches",
                Judgement::Allows => "allows it",
            };
            format!("can't tell whether {} {verb}: {}", in_words(*rule), unseen(*why))
        }
        Fact::Expired(rule, last) => match last {
            Some(last) => format!("{} expired after {last}", in_words(*rule)),
            None => format!("{} expired", in_words(*rule)),
        },
        Fact::AnyUser(rule) => {
            format!("{} names no user, so any local user's process can satisfy it", in_words(*rule))
        }
        Fact::Missing(rule) => format!("nothing open matches {}", in_words(*rule)),
        Fact::MaybeMissing(rule) => {
            format!("can't tell whether anything open matches {}: owners are hidden", in_words(*rule))
        }
        _ => return None,
    })
}

fn replaceable(row: &Row<'_>, exe: &str, way: &Replaceable, is_of_own_namespace: bool) -> String {
    let file = way.path.to_string_lossy();
    let by = match way.by {
        Replacer::Everybody => "every user".to_owned(),
        Replacer::User(uid) => format!("user {}", user(uid, row)),
    };
    if is_of_own_namespace {
        return format!("it runs {exe} {OF_OWN_NAMESPACE}, a file that {by} can write to");
    }
    let runs = match way.part {
        Part::Program => format!("it runs {exe}"),
        Part::Loaded => format!("it is the loader {exe}"),
        Part::Script => format!("it is the interpreter {exe}"),
    };
    let what = match way.part {
        Part::Program if exe == file => String::new(),
        Part::Program => format!(" under {file}"),
        Part::Loaded => format!(" and runs code from {file}"),
        Part::Script => format!(", and its arguments say that it runs code from {file}"),
    };
    format!("{runs}{what}, which {by} can write to")
}

/// Who holds it, with what interpreters run: `/usr/bin/python3 (root) running a.py`.
fn running(running: &Running) -> String {
    let held_by = holding(&running.held_by);
    let runs = running.runs.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    if runs.is_empty() { held_by } else { format!("{held_by} running {runs}") }
}

/// Names the kind of address that a socket is open on.
fn reach(exposure: Exposure) -> &'static str {
    match exposure {
        Exposure::Loopback => "loopback only",
        Exposure::LinkLocal => "a link-local address",
        Exposure::Private => "a private address",
        Exposure::Public => "a public address",
        Exposure::Any => "every interface",
    }
}

fn user(uid: Uid, row: &Row<'_>) -> String {
    row.user_name(uid).map_or_else(|| uid.0.to_string(), str::to_owned)
}

/// The rule in words: `the forbid rule on line 7 (no telnet)`.
fn in_words(rule: RuleOfPolicy<'_>) -> String {
    let comment = rule.comment.map(|comment| format!(" ({comment})")).unwrap_or_default();
    format!("the {} rule on line {}{comment}", rule.verb, rule.line)
}

const fn unseen(why: Unseen) -> &'static str {
    match why {
        Unseen::Owner => "its owner is hidden",
        Unseen::OwnNamespace => "the path of its executable exists only in its own mount namespace",
        Unseen::Executable => "its executable could not be read",
    }
}

fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}
