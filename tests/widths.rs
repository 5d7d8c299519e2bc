//! Every page fits the terminal: no line is longer than the width that was asked for.

mod support;

use std::net::{TcpListener, TcpStream};

use support::{Folder, portscope};
use unicode_width::UnicodeWidthStr;

const WIDTHS: [usize; 4] = [120, 80, 60, 40];

/// The lines that are too long. An address or a path that stands on a line of its own is never broken.
fn too_long(text: &str, width: usize) -> Vec<&str> {
    let is_one_word = |line: &str| !line.trim().contains(' ');
    text.lines().filter(|line| line.width() > width && !is_one_word(line)).collect()
}

#[track_caller]
fn fits(arguments: &[&str]) {
    for width in WIDTHS {
        let run = portscope(arguments.iter().copied()).env("COLUMNS", width.to_string()).any_stderr();
        let output = run.exits_with([0, 1]);
        for text in [&output.stdout, &output.stderr] {
            let wide = too_long(text, width);
            assert!(wide.is_empty(), "{arguments:?} at {width} columns: {wide:#?}");
        }
        assert!(!output.stdout.is_empty() || !output.stderr.is_empty(), "{arguments:?} says nothing");
    }
}

#[test]
fn no_line_of_a_page_about_sockets_is_longer_than_the_terminal() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let beside = TcpListener::bind("[::1]:0").unwrap();
    let client = TcpStream::connect(server.local_addr().unwrap()).unwrap();
    let port = server.local_addr().unwrap().port().to_string();
    let folder = Folder::new();
    let before = folder.join("before.json");
    std::fs::write(&before, portscope(["snapshot"]).any_stderr().success().stdout).unwrap();
    let last = client.local_addr().unwrap().port().to_string();
    drop((client, beside));
    let before = before.to_str().unwrap();
    for arguments in [
        &["--tcp", "--udp", "--all"][..],
        &["--listening"],
        &["--output", "wide", "--all"],
        &["--from", before],
        &["--argv", "--verbose", "--all"],
        &["--all", "--columns", "pid,process,exe,argv,started,inode,local,peer"],
        &[&port],
        &["65533"],
        &["no-such-process-has-this-name-which-is-long"],
        &["spaces"],
        &["spaces", "--matrix"],
        &["info", &port],
        &["info", &last],
        &["check", &port],
        &["check", "-tu", "--address", "::1", &port],
        &["free", "--explain", &port],
        &["free", "--explain", "22"],
        &["wait", "--timeout", "1s", &port],
        &["wait", "--timeout", "0s", "65533"],
        &["wait", "--timeout", "0s", "--free", &port],
        &["kill", "--dry-run", &port],
        &["kill", "--dry-run", "65533"],
        &["close", "--dry-run", &port],
        &["usage"],
        &["diff", before],
        &["audit"],
    ] {
        fits(arguments);
    }
}

#[test]
fn no_line_of_a_page_about_services_and_rules_is_longer_than_the_terminal() {
    for arguments in [
        &["services"][..],
        &["services", "--all"],
        &["services", "http"],
        &["services", "no-such-service"],
        &["audit", "--list"],
        &["audit", "--explain", "exposed-service"],
        &["--colunms", "port"],
        &["--columns", "prot"],
    ] {
        if arguments[0].starts_with("--") {
            for width in WIDTHS {
                let run = portscope(arguments.iter().copied()).env("COLUMNS", width.to_string()).any_stderr();
                let said = run.exits(2).stderr;
                assert_eq!(too_long(&said, width), [""; 0], "{said}");
            }
        } else {
            fits(arguments);
        }
    }
}

#[test]
fn the_flag_goes_before_the_environment_and_json_has_no_width() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let run = |arguments: &[&str]| {
        portscope(arguments.iter().copied()).arg(&port).env("COLUMNS", "200").any_stderr().success().stdout
    };
    let widest = |text: &str| text.lines().map(str::width).max().unwrap();
    assert!(widest(&run(&["--width", "40"])) <= 40);
    assert!(widest(&run(&[])) > 40);
    assert_eq!(run(&["--json", "--width", "40"]).lines().count(), run(&["--json"]).lines().count());
    let refused = portscope(["--width", "0"]).stderr_contains("`0` is not a width: expected 1 to 65535 columns");
    let _ = refused.exits(2);
}

#[test]
fn wide_output_is_paged_sideways_on_a_terminal_and_cut_where_it_is_not_paged() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let folder = Folder::new();
    let pager = folder.join("less");
    std::fs::write(&pager, "#!/bin/sh\necho \"arguments: $*.\"\ncat\n").unwrap();
    make_executable(&pager);
    let wide = |pager: &str| {
        let run = portscope(["-o", "wide", "--width", "60"]).arg(&port).env("PORTSCOPE_PAGER", pager);
        run.env("TERM", "dumb").at_terminal().ends().1
    };
    let seen = wide(&format!("{} -R", pager.display()));
    assert!(seen.contains("arguments: -R -S."), "{seen}");
    assert!(seen.lines().any(|line| line.width() > 60 && line.contains(&port)), "{seen}");
    let cut = wide("cat");
    assert!(cut.lines().any(|line| line.contains(&port)), "{cut}");
    assert_eq!(too_long(&cut, 60), [""; 0], "{cut}");
}

#[cfg(unix)]
fn make_executable(path: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}
