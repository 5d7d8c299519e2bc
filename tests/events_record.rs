//! `portscope events --from`, which answers from what `portscope events -o ndjson` has written.
#![cfg(target_os = "linux")]
#![allow(clippy::pedantic, reason = "test code reads better without its ceremonies")]

mod support;

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::process::Stdio;

use serde_json::Value;
use support::stream::pids;
use support::{Folder, Kept, portscope, read_all, start};

#[test]
fn a_record_says_who_had_a_port_and_who_failed_to_get_it() {
    let folder = Folder::new();
    let path = folder.join("record");
    let event = |kind: &str, time: &str, more: &str| {
        format!(
            r#"{{"schema":"portscope-event/1","event":"{kind}","time":"2026-11-25T{time}Z","host":"web-1","space":4026531840,"space_label":"host","space_kind":"host","protocol":"tcp","family":"ipv4","local":{{"address":"0.0.0.0","port":3000}},"peer":null,"state":"LISTEN","cookie":7,"inode":9,"uid":1000,"user":"ada","category":"registered","service":null,"exposure":"any",{more}"seen":"kernel"}}"#
        )
    };
    let owner = |name: &str, pid: u32| {
        format!(
            r#"{{"tier":"process","reason":null,"processes":[{{"pid":{pid},"name":"{name}","uid":1000,"user":"ada"}}],"unit":null,"container":null}}"#
        )
    };
    let node = owner("node", 2214);
    let blocked =
        format!(r#"{{"local":{{"address":"0.0.0.0","port":3000}},"state":"LISTEN","since":null,{}"#, &node[1..]);
    let lines = [
        event("opened", "14:02:11.482311", &format!(r#""owner":{node},"#)),
        "a line that a logger wrote".to_owned(),
        event(
            "bind-failed",
            "14:02:12.000001",
            &format!(r#""owner":{},"errno":"EADDRINUSE","blocked_by":[{blocked}],"#, owner("java", 2301)),
        ),
        event("closed", "14:02:15.482311", &format!(r#""owner":{node},"open_for_ms":4000,"#)),
        event("opened", "14:03:00.000000", &format!(r#""owner":{},"#, owner("java", 2302))),
    ];
    fs::write(&path, lines.join("\n") + "\n").unwrap();
    let run = |more: &[&str]| {
        let path = path.to_str().unwrap();
        portscope(["events", "--from", path])
            .args(more)
            .env("TZ", "UTC")
            .stderr_contains("skipped 1 line of the record that is not an event")
            .success()
            .stdout
    };
    insta::assert_snapshot!(run(&["3000"]), @r"
    2026-11-25 14:02:11.482311  + tcp 0.0.0.0:3000     node (2214, ada)
    2026-11-25 14:02:12.000001  ! tcp 0.0.0.0:3000     java (2301, ada) could not bind: EADDRINUSE, node (2214, ada) has 0.0.0.0:3000
    2026-11-25 14:02:15.482311  - tcp 0.0.0.0:3000     node (2214, ada), open for 4.0 s since 14:02:11.482311
    2026-11-25 14:03:00.000000  + tcp 0.0.0.0:3000     java (2302, ada)
    2026-11-25 14:03:00.000000  = tcp 0.0.0.0:3000  java (2302, ada), still open at the end of the record
    ");
    insta::assert_snapshot!(run(&["--summary"]), @r"
    2026-11-25 14:02:11 to 2026-11-25 14:03:00
    PROTO  PORT  OPENED  CLOSED  FAILED  SHORTEST  OPENED-BY
    tcp    3000       2       1       1     4.0 s  java, node
    ");
    assert_eq!(run(&["--kind", "bind-failed", "-o", "ndjson"]).lines().count(), 1);
    assert_eq!(run(&["java"]).lines().count(), 3);
    assert_eq!(run(&["9"]), "");
}

#[test]
fn a_record_may_come_by_a_pipe_and_is_what_the_stream_wrote() {
    let _initial = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = _initial.local_addr().unwrap().port();
    let run = portscope(["events", "-o", "ndjson", "--initial", "--count", "1", "--for", "60s"]).arg(port);
    let written = run.any_stderr().success().stdout;
    let mut command = portscope(["events", "--from", "-", "-o", "ndjson"]).command();
    let mut child = Kept(start(command.stdin(Stdio::piped()).stdout(Stdio::piped())));
    child.0.stdin.take().unwrap().write_all(written.as_bytes()).unwrap();
    let again = read_all(child.0.stdout.take().unwrap());
    let (written, again): (Value, Value) =
        (serde_json::from_str(&written).unwrap(), serde_json::from_str(&again).unwrap());
    for field in ["event", "time", "host", "space", "protocol", "local", "cookie", "inode", "seen", "exposure"] {
        assert_eq!(written[field], again[field], "{field}");
    }
    assert_eq!(pids(&written["owner"]), pids(&again["owner"]));
}

/// A line of a record: the socket with this number on port 8080.
fn line(kind: &str, second: u32, number: u32, process: &str) -> String {
    let minute = second / 60;
    let second = second % 60;
    format!(
        r#"{{"schema":"portscope-event/1","event":"{kind}","time":"2026-11-25T{:02}:{:02}:{second:02}.000000Z","host":"web-1","space":4026531840,"space_label":"host","space_kind":"host","protocol":"tcp","family":"ipv4","local":{{"address":"0.0.0.0","port":8080}},"peer":null,"state":"LISTEN","cookie":{number},"inode":9,"uid":1000,"user":"ada","category":"registered","service":null,"exposure":"any","owner":{{"tier":"process","reason":null,"processes":[{{"pid":{number},"name":"{process}","uid":1000,"user":"ada"}}],"unit":null,"container":null}},"open_for_ms":{},"seen":"kernel"}}"#,
        minute / 60 % 24,
        minute % 60,
        if kind == "closed" { "1000" } else { "null" },
    )
}

#[test]
fn a_port_that_was_opened_before_the_record_was_rotated_is_closed_after_it() {
    let folder = Folder::new();
    let record = |name: &str, lines: &[String]| {
        let path = folder.join(name);
        fs::write(&path, lines.join("\n") + "\n").unwrap();
        path
    };
    let old = record("ports.ndjson.1", &[line("opened", 1, 1, "node"), line("opened", 2, 2, "java")]);
    let new = record("ports.ndjson", &[line("closed", 2, 1, "node")]);
    let mut command = portscope(["events", "--from", "-", "8080"]).env("TZ", "UTC").command();
    let mut child = Kept(start(command.stdin(Stdio::piped()).stdout(Stdio::piped())));
    let mut pipe = child.0.stdin.take().unwrap();
    for path in [old, new] {
        pipe.write_all(&fs::read(path).unwrap()).unwrap();
    }
    drop(pipe);
    insta::assert_snapshot!(read_all(child.0.stdout.take().unwrap()), @r"
    2026-11-25 00:00:01.000000  + tcp 0.0.0.0:8080     node (1, ada)
    2026-11-25 00:00:02.000000  + tcp 0.0.0.0:8080     java (2, ada)
    2026-11-25 00:00:02.000000  - tcp 0.0.0.0:8080     node (1, ada), open for 1.0 s since 00:00:01.000000
    2026-11-25 00:00:02.000000  = tcp 0.0.0.0:8080  java (2, ada), still open at the end of the record
    ");
    assert!(child.0.wait().unwrap().success());
}

/// How much memory the process has used at most, in KiB.
fn most_memory(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn the_memory_for_a_long_record_does_not_grow_with_it() {
    /// As many again are read in seconds by the release build; see docs/events.md.
    const PAIRS: u32 = 30_000;
    let mut command = portscope(["events", "--from", "-", "--summary"]).env("TZ", "UTC").command();
    let mut child = Kept(start(command.stdin(Stdio::piped()).stdout(Stdio::piped())));
    let mut pipe = std::io::BufWriter::new(child.0.stdin.take().unwrap());
    let mut write = |pairs: std::ops::Range<u32>| {
        for number in pairs {
            let process = format!("server-{}", number % 10);
            writeln!(pipe, "{}", line("opened", number, number, &process)).unwrap();
            writeln!(pipe, "{}", line("closed", number + 1, number, &process)).unwrap();
        }
    };
    write(0..PAIRS / 10);
    let early = most_memory(child.pid());
    write(PAIRS / 10..PAIRS);
    let late = most_memory(child.pid());
    drop(pipe);
    let summary = read_all(child.0.stdout.take().unwrap());
    assert!(summary.contains(" 30000 ") && summary.contains("1.0 s"), "{summary}");
    assert!(late < early + 4096, "{early} KiB, then {late} KiB");
}

#[test]
fn a_port_that_was_open_for_less_than_a_millisecond_is_not_said_to_have_been_open_for_no_time() {
    let folder = Folder::new();
    let path = folder.join("ports.ndjson");
    let closed = line("closed", 1, 1, "node").replace(r#""open_for_ms":1000"#, r#""open_for_ms":0"#);
    fs::write(&path, [line("opened", 1, 1, "node"), closed].join("\n") + "\n").unwrap();
    let run =
        |flag: &str| portscope(["events", "--from", path.to_str().unwrap(), flag]).env("TZ", "UTC").success().stdout;
    insta::assert_snapshot!(run("--kind=closed"), @"2026-11-25 00:00:01.000000  - tcp 0.0.0.0:8080     node (1, ada), open for under 1 ms");
    assert!(run("--summary").contains("under 1 ms"), "{}", run("--summary"));
}
