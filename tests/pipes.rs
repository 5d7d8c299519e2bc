//! Readers that go away, and places that take no output.

mod support;

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Command, Stdio};

use support::{alone, portscope, read_all};

#[test]
fn a_reader_that_goes_away_ends_the_run_quietly() {
    let _listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    for arguments in [&["services", "--all"][..], &["--json"], &["schema"], &["completions", "bash"], &["--help"]] {
        let run = portscope(arguments.iter().copied());
        let _alone = alone();
        let mut child = run.command().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // Closed at once, whatever was written.
        drop(child.stdout.take());
        let stderr = read_all(child.stderr.take().unwrap());
        assert_eq!(child.wait().unwrap().code(), Some(0), "{arguments:?} {stderr}");
        let unexpected =
            stderr.lines().filter(|line| !line.contains("can't see who owns") && !line.starts_with("hint: ")).count();
        assert_eq!(unexpected, 0, "{arguments:?} {stderr}");
    }
}

#[test]
fn the_first_line_is_enough_for_head() {
    let _alone = alone();
    let mut child = portscope(["services", "--all"]).command().stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.trim_start().starts_with("PORT"), "{line}");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_full_disk_is_an_error_of_one_line() {
    for arguments in [&["--json"][..], &[], &["-o", "csv"], &["services"], &["--help"], &["man"]] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let _alone = alone();
        let output = portscope(arguments.iter().copied()).command().stdout(full).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?} {stderr}");
        assert_eq!(stderr, "portscope: cannot write the output: No space left on device (os error 28)\n");
    }
}

#[test]
fn a_closed_stdout_is_an_error_of_one_line() {
    for arguments in ["", "--json", "services", "--version"] {
        let script = format!("exec {} {arguments} >&-", env!("CARGO_BIN_EXE_portscope"));
        let _alone = alone();
        let output = Command::new("sh").args(["-c", &script]).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments} {stderr}");
        assert_eq!(stderr, "portscope: cannot write the output: standard output is closed\n");
    }
}

#[test]
fn a_discarded_output_is_no_error() {
    let _alone = alone();
    for discard in ["</dev/null >/dev/null 2>/dev/null", "<&- >/dev/null", ">/dev/null 2>&-", "1<>/dev/null"] {
        let script = format!("exec {} services {discard}", env!("CARGO_BIN_EXE_portscope"));
        assert_eq!(Command::new("sh").args(["-c", &script]).status().unwrap().code(), Some(0), "{discard}");
    }
}
