//! Processes that call themselves anything.

mod support;

use std::ffi::OsStr;
use std::net::TcpListener;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::process::Command;

use support::{Folder, Kept, eventually, hold, portscope};

/// A holder of a new listener, run from a link of this name: the kernel takes the name from there.
fn named(folder: &Folder, name: &[u8], arguments: &[&[u8]]) -> (Kept, u16) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let link = folder.join(OsStr::from_bytes(name));
    symlink("/usr/bin/tail", &link).unwrap();
    let mut command = Command::new(&link);
    command.args(["-f", "/dev/null", "--"]).args(arguments.iter().map(|argument| OsStr::from_bytes(argument)));
    (hold(&mut command, listener), port)
}

#[track_caller]
fn is_printable_line(text: &str) {
    assert!(!text.chars().any(|character| character.is_control() && character != '\n'), "{text:?}");
    assert!(!text.contains(['\u{202e}', '\u{2066}', '\u{9b}']), "{text:?}");
}

#[test]
fn no_name_breaks_a_line_or_steers_a_terminal() {
    let names: [&[u8]; 8] = [
        b"\x1b[31mRED\x1b[0m",
        b"a\nb\tc\rd",
        b"\xff\xfe\x80bad",
        "\u{202e}gpj.exe".as_bytes(),
        "\u{9b}2J".as_bytes(),
        b"x) S 1 (y",
        b"socket:[1]",
        "a中中中中中".as_bytes(),
    ];
    let folder = Folder::new();
    for name in names {
        let (_holder, port) = named(&folder, name, &[]);
        for format in ["table", "wide", "markdown", "csv", "tsv", "json", "ndjson"] {
            let output = portscope(["-H", "--argv", "-o", format]).arg(port).success().stdout;
            is_printable_line(&output.replace('\t', " "));
            let expected_lines = if format == "markdown" { 1..=3 } else { 1..=1 };
            assert!(expected_lines.contains(&output.lines().count()), "{format} {output:?}");
        }
        let socket = portscope(["--json"]).arg(port).success().only_socket();
        let shown = &socket["owner"]["processes"][0];
        let expected = &name[..name.len().min(15)];
        assert_eq!(shown["name"], String::from_utf8_lossy(expected).as_ref());
        let is_flagged = shown["undecodable"].as_array().is_some_and(|fields| fields.contains(&"name".into()));
        assert_eq!(is_flagged, std::str::from_utf8(expected).is_err(), "{shown}");
    }
}

#[test]
fn no_line_of_advice_repeats_what_a_process_calls_itself() {
    let folder = Folder::new();
    let (_holder, port) = named(&folder, b"$(id PWN)", &[b"$(id PWN)"]);
    for command in [["check", "--no-reuseaddr"], ["check", "-u"], ["info", "-v"]] {
        let run = portscope(command).arg(port).any_stderr().exits_with([0, 1]);
        for line in [&run.stdout, &run.stderr].into_iter().flat_map(|text| text.lines()) {
            assert!(!(line.starts_with("hint: ") && line.contains("PWN")), "{command:?}: {line}");
        }
    }
    let checked = portscope(["check", "-a", "127.0.0.1"]).arg(port).exits(1).stdout;
    assert!(checked.contains("$(id PWN)") && checked.contains(&format!("hint: stop it: portscope kill {port}\n")));
}

#[test]
fn arguments_are_whole_masked_and_printable() {
    let folder = Folder::new();
    let arguments: [&[u8]; 5] =
        [b"\x1b]8;;http://evil\x07click\x1b]8;;\x07", b"--password=hunter2", b"new\nline", b"\xff", b"a b"];
    let (_holder, port) = named(&folder, b"worker", &arguments);
    let socket = eventually("the program has started", || {
        let socket = portscope(["--json", "--argv"]).arg(port).success().only_socket();
        let argv = socket["owner"]["processes"][0]["argv"].as_array().cloned();
        argv.filter(|argv| argv.len() == 9).map(|_| socket)
    });
    let process = &socket["owner"]["processes"][0];
    let argv: Vec<&str> = process["argv"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
    assert_eq!(argv[1..4], ["-f", "/dev/null", "--"]);
    assert_eq!(
        argv[4..],
        ["\x1b]8;;http://evil\x07click\x1b]8;;\x07", "--password=********", "new\nline", "\u{fffd}", "a b"]
    );
    assert!(process["undecodable"].as_array().unwrap().contains(&"argv".into()));

    let table = portscope(["-H", "--columns", "port,argv"]).arg(port).success().stdout;
    is_printable_line(&table);
    assert!(
        table.contains("--password=********") && table.contains("new\\x0aline") && table.contains("'a b'"),
        "{table}"
    );
    assert!(!table.contains("hunter2"));
}

#[test]
fn cells_of_csv_are_no_formulas() {
    let folder = Folder::new();
    for (name, shown) in
        [("=1+1|cmd", "'=1+1|cmd"), ("+1", "'+1"), ("-1", "'-1"), ("@a", "'@a"), ("a,\"b", "\"a,\"\"b\"")]
    {
        let (_holder, port) = named(&folder, name.as_bytes(), &[]);
        let csv = portscope(["-o", "csv", "--columns", "port,process"]).arg(port).success().stdout;
        assert_eq!(csv, format!("port,process\n{port},{shown}\n"));
    }
}

#[test]
fn markdown_cells_hold_no_marks() {
    let folder = Folder::new();
    let (_holder, port) = named(&folder, b"a|b`<i>", &[]);
    let markdown = portscope(["-o", "markdown", "--columns", "port,process"]).arg(port).success().stdout;
    assert!(markdown.lines().last().unwrap().contains(r"a\|b\`&lt;i>"), "{markdown}");
}
