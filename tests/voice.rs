//! Every help text, rule, and common message in one place, so that a reviewer reads the whole voice at once.
//!
//! `INSTA_UPDATE=always cargo test --test voice` writes the file anew.

mod support;

use std::fmt::Write as _;

use support::portscope;

/// The names of the commands, from the summary that `-h` prints.
fn commands() -> Vec<String> {
    let summary = portscope(["-h"]).success().stdout;
    let lines = summary.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    lines.filter_map(|line| line.split_whitespace().next().map(str::to_owned)).collect()
}

#[test]
fn the_help_of_every_command() {
    let mut voice = String::new();
    let commands = commands();
    assert!(commands.len() >= 16, "{commands:?}");
    for command in commands {
        let help = portscope([command.as_str(), "--help"]).env("COLUMNS", "100").success().stdout;
        writeln!(voice, "════ portscope {command} --help\n{help}").unwrap();
    }
    insta::assert_snapshot!("help", voice);
}

#[test]
fn every_rule_of_the_audit() {
    let list = portscope(["audit", "--list"]).env("COLUMNS", "100").success().stdout;
    let mut voice = list.clone();
    let rules: Vec<&str> = list
        .lines()
        .filter_map(|line| line.split_whitespace().nth(1))
        .filter(|word| word.contains('-') && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'))
        .collect();
    assert!(rules.len() >= 8, "{list}");
    for rule in rules {
        let explained = portscope(["audit", "--explain", rule]).env("COLUMNS", "100").success().stdout;
        writeln!(voice, "════ portscope audit --explain {rule}\n{explained}").unwrap();
    }
    insta::assert_snapshot!("rules", voice);
}

#[test]
fn what_is_said_of_a_wrong_command_line() {
    let mut voice = String::new();
    for arguments in [
        &["--from", "tests/data/workstation.json", "kil", "3000"][..],
        &["--from", "tests/data/workstation.json", "ngxin"],
        &["--prto"],
        &["-z"],
        &["--output", "jsn"],
        &["--state", "listn"],
        &["--columns", "pdi"],
        &["--sort", "prot"],
        &["--exposure", "world"],
        &["--pid", "x"],
        &["--port", "0"],
        &["70000"],
        &["9-1"],
        &["--peer", "x"],
        &["--where", "prot == 1"],
        &["--where", "local.port =="],
        &["--label", "x"],
        &["--from", "/nonexistent"],
        &["check"],
        &["check", "x:y"],
        &["free", "--range", "9-1"],
        &["wait", "8080", "--timeout", "soon"],
        &["kill", "8080", "--signal", "SIGFOO"],
        &["audit", "--explain", "nothing"],
        &["completions", "tcsh"],
        &["man", "nothing"],
        &["-x"],
        &["-i", ":8080"],
    ] {
        let output = portscope(arguments.iter().copied()).any_stderr().exits_with([1, 2]);
        writeln!(voice, "$ portscope {}\n{}", arguments.join(" "), output.stderr).unwrap();
        assert_eq!(output.stdout, "", "{arguments:?}");
    }
    insta::assert_snapshot!("mistakes", voice);
}
