//! Runs that the system gives too little. The answer is whole, or says what it lacks; it is never a short one.
#![cfg(target_os = "linux")]

mod support;

use std::net::TcpListener;

use serde_json::Value;
use support::refused::Refused;
use support::scene::{Scene, all_are_listed};
use support::{ReachableBinary, Run, is_root, pids, portscope, skip};

/// A user who runs nothing but what a test starts.
const NOBODY_ELSE: &str = "65533";

/// Runs as a user whose only process it is and who may have no further one, nor a thread.
fn without_threads(run: Run, binary: &ReachableBinary) -> Run {
    let words = ["prlimit", "--nproc=1", "setpriv", "--reuid", NOBODY_ELSE, "--clear-groups", "--inh-caps=-all"];
    run.by(binary).under(words)
}

/// Runs with every privilege and without threads or children; nothing where that cannot be arranged.
fn without_threads_as_root(run: Run) -> Option<Run> {
    if !is_root() {
        skip("needs root");
        return None;
    }
    run.without(Refused::Threads)
}

/// The details of what was not seen of a kind.
fn missing(report: &Value, kind: &str) -> Vec<String> {
    let reasons = report["visibility"]["reasons"].as_array().unwrap();
    let of_kind = reasons.iter().filter(|reason| reason["missing"] == kind);
    of_kind.map(|reason| reason["detail"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn c18_a_user_who_may_have_no_thread_gets_the_same_answers() {
    if !is_root() {
        return skip("needs root to become another user");
    }
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let binary = ReachableBinary::new();
    for (words, code) in [
        (&["-l", port.as_str()][..], 0),
        (&["-l", "--no-helpers"], 0),
        (&["--space", "all"], 0),
        (&["-l", "--backend", "portable"], 0),
        (&["info", port.as_str()], 0),
        (&["spaces"], 0),
        (&["usage"], 0),
        (&["check", port.as_str()], 1),
        (&["free"], 0),
        (&["wait", port.as_str()], 0),
        (&["wait", "--free", "--timeout", "0s", port.as_str()], 1),
        (&["export"], 0),
        (&["snapshot"], 0),
        (&["kill", "--dry-run", port.as_str()], 1),
    ] {
        let output = without_threads(portscope(words), &binary).any_stderr().exits(code);
        assert!(!output.stderr.contains("panicked"), "{}", output.stderr);
    }
    let _ = without_threads(portscope(["audit"]), &binary).any_stderr().exits_with([0, 1]);

    let report = without_threads(portscope(["--json"]).arg(&port), &binary).success().json();
    let socket = &report["sockets"][0];
    assert_eq!((&socket["uid"], &socket["owner"]["tier"]), (&0.into(), &"user".into()), "{socket}");
    // The name service may never answer, so it is asked on a thread of its own or not at all.
    assert_eq!(socket["user"], Value::Null);
    let told = missing(&report, "processes").join("\n");
    assert!(told.contains("names of users") && told.contains("no thread"), "{report:#}");
}

#[test]
fn c18_a_waiting_run_at_a_terminal_takes_no_thread_for_its_sign_of_life() {
    let held = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let Some(run) = without_threads_as_root(portscope(["wait", "--free", "--timeout", "300ms"])) else { return };
    let mut person = run.arg(held.local_addr().unwrap().port()).env("TERM", "xterm").at_terminal();
    person.sees("waiting for tcp");
    let (code, seen) = person.ends();
    assert_eq!(code, 1, "{seen}");
    assert!(!seen.contains("panicked"), "{seen}");
}

#[test]
fn c18_without_threads_holders_and_other_port_spaces_are_found_all_the_same() {
    let (Some(crowd), Some(others)) = (Scene::start("fork n=3"), Scene::start("netns n=3 port=8083")) else { return };
    let Some(run) = without_threads_as_root(portscope(["--space", "all", "-tu", "--json"])) else { return };
    let report = run.success().json();
    let rows = report["sockets"].as_array().unwrap();
    all_are_listed(&crowd, rows);
    // No thread but one of its own may enter a namespace: without one, the tables are read through who lives there.
    for made in others.sockets() {
        let row = rows.iter().find(|row| row["inode"] == made["inode"]).unwrap_or_else(|| panic!("{made}: {report:#}"));
        assert_eq!(Value::from(pids(row)), made["pids"]);
        let space = report["spaces"].as_array().unwrap().iter().find(|space| space["id"] == row["space"]).unwrap();
        assert_eq!(space["source"], "proc-net", "{space}");
    }
    assert_ne!(report["spaces"][0]["source"], "proc-net", "the own one takes no thread");
    let told = missing(&report, "attributes").join("\n");
    assert!(told.contains("cannot be entered: no thread can be made for that"), "{told}");
}

#[test]
fn c18_a_long_listing_needs_no_further_thread() {
    let Some(_scene) = Scene::start("many-fds n=3000 kind=tcp") else { return };
    for words in [&["-l", "--json"][..], &["-l", "-o", "csv"], &["-l"]] {
        let Some(run) = without_threads_as_root(portscope(words)) else { return };
        let alone = run.any_stderr().success().stdout;
        assert!(alone.matches("127.0.0.1").count() >= 3000, "{words:?}: {} bytes", alone.len());
    }
}

#[test]
fn c18_to_ask_as_another_user_takes_a_thread_and_that_is_said() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    support::close(listener);
    let Some(run) = without_threads_as_root(portscope(["check", "--user", "65534"]).arg(port)) else { return };
    let output = run.any_stderr().exits_with([0, 1, 2]);
    assert!(!output.stderr.contains("panicked"), "{}", output.stderr);
    assert!(format!("{}{}", output.stdout, output.stderr).contains("as uid 65534"), "{output:?}");
}
