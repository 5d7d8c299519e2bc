//! `-o nagios`: one line and an exit status that a monitoring system understands, whatever happens.
#![cfg(unix)]

mod support;

use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::Stdio;

use support::{Folder, Run, portscope};

/// The one line, its state, and its numbers by name.
fn checked(run: Run, status: i32) -> (String, Vec<(String, String)>) {
    let text = run.any_stderr().exits(status).stdout;
    assert_eq!(text.lines().count(), 1, "{text}");
    let line = text.trim_end();
    let state = ["OK", "WARNING", "CRITICAL", "UNKNOWN"][usize::try_from(status).unwrap()];
    assert!(line.starts_with(&format!("{state}: ")), "{line}");
    let (text, numbers) = line.split_once(" | ").unwrap_or((line, ""));
    assert!(!text.contains('|') && !numbers.contains('|'), "{line}");
    let number = |word: &str| word.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())).unwrap();
    (text.to_owned(), numbers.split_whitespace().map(number).collect())
}

fn value<'a>(numbers: &'a [(String, String)], name: &str) -> &'a str {
    let found = numbers.iter().find(|(found, _)| found == name);
    &found.unwrap_or_else(|| panic!("{name}: {numbers:?}")).1
}

/// A policy in which one port may not be open, so that there is a finding of this severity.
fn policy(folder: &Folder, port: u16, severity: &str) -> String {
    let path = folder.join("policy.toml");
    let text = format!("[[forbid]]\nport = {port}\nseverity = \"{severity}\"\ncomment = \"a|b\"\n");
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// An audit in which only the policy's own rule finds something.
fn audit(policy: &str) -> Run {
    let list = portscope(["audit", "--list"]).success().stdout;
    let ids: Vec<&str> = list
        .lines()
        .filter_map(|line| line.split_whitespace().nth(1))
        .filter(|word| word.contains('-') || *word == "incomplete")
        .filter(|word| {
            !word.starts_with("policy-forbid") && word.bytes().all(|byte| b'-' == byte || byte.is_ascii_lowercase())
        })
        .collect();
    portscope(["audit", "-o", "nagios", "--policy", policy, "--disable", &ids.join(",")])
}

#[test]
fn an_audit_is_critical_from_fail_on_and_a_warning_below() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let folder = Folder::new();
    let (text, numbers) = checked(audit(&policy(&folder, port, "high")), 2);
    assert!(text.contains(&format!("tcp 127.0.0.1:{port}")), "{text}");
    assert_eq!(value(&numbers, "high"), "1;;0;0");
    let (_, numbers) = checked(audit(&policy(&folder, port, "medium")), 1);
    assert_eq!((value(&numbers, "high"), value(&numbers, "medium")), ("0;;0;0", "1;0;;0"));
    let _ = checked(audit(&policy(&folder, port, "medium")).args(["--fail-on", "medium"]), 2);
    drop(listener);
    let (text, numbers) = checked(audit(&policy(&folder, port, "high")), 0);
    assert!(text.starts_with("OK: no findings; "), "{text}");
    assert_eq!(value(&numbers, "critical"), "0;;0;0");
}

#[test]
fn an_audit_that_could_not_see_everything_is_unknown_if_that_was_asked() {
    let report = "tests/data/workstation.json";
    let run = || portscope(["audit", "-o", "nagios", "--no-policy", "--from", report]);
    let (text, _) = checked(run(), 1);
    assert!(text.contains("medium incomplete: "), "{text}");
    let _ = checked(run().arg("--strict"), 3);
}

#[test]
fn a_full_accept_queue_is_critical_and_its_limits_are_in_the_line() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    // With a backlog of 0 one connection may wait.
    rustix::net::listen(&listener, 0).unwrap();
    let waiting = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let run = || portscope(["usage", "-o", "nagios"]);
    let address = listener.local_addr().unwrap().to_string();
    support::eventually("the queue is full", || {
        let report = portscope(["usage", "--json"]).any_stderr().success().json();
        let above = report["above"].as_array().unwrap();
        above.iter().any(|above| above["what"].as_str().unwrap().contains(&address)).then_some(())
    });
    let (text, numbers) = checked(run(), 2);
    assert!(text.contains("accept queue of tcp 127.0.0.1:"), "{text}");
    assert_eq!(value(&numbers, "accept-queue"), "100%;80;95;0;100");
    let (_, numbers) = checked(run().args(["--warn", "50%", "--critical", "100%"]), 1);
    assert_eq!(value(&numbers, "accept-queue"), "100%;50;100;0;100");
    drop(waiting);
}

#[test]
fn every_error_is_unknown() {
    for arguments in [
        &["usage", "-o", "nagios", "--space", "nowhere"][..],
        &["usage", "-onagios", "--warn", "lots"],
        &["usage", "--output=nagios", "--no-such-flag"],
        &["usage", "-o", "nagios", "--from", "/nonexistent"],
        &["audit", "--no-such-flag", "-o", "nagios"],
        &["audit", "-o", "nagios", "--policy", "/nonexistent|x"],
        &["audit", "--output", "nagios", "--json"],
        &["audit", "-o", "nagios", "too", "much"],
        &["adit", "-o", "nagios"],
        &["-o", "nagios"],
    ] {
        let run = portscope(arguments.iter().copied()).any_stderr();
        let text = run.exits(3).stdout;
        assert!(text.starts_with("UNKNOWN: ") && text.lines().count() == 1, "{arguments:?}: {text}");
        assert!(!text.contains('|'), "{text}");
    }
    // Where nothing can be printed, the status still says it.
    let read_only = OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
    let mut command = portscope(["audit", "-o", "nagios", "--no-policy"]).command();
    let status = command.stdout(Stdio::from(read_only)).stderr(Stdio::null()).status().unwrap();
    assert_eq!(status.code(), Some(3));
}
