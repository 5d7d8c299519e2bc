//! `portscope snapshot` and `--from`: a report in the place of the machine.

mod support;

use std::net::{TcpListener, TcpStream};

use serde_json::Value;
use support::{Folder, portscope};

fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// The report without what a later reading cannot have: hints of what would have shown more.
fn without_hints(mut report: Value) -> Value {
    for reason in report["visibility"]["reasons"].as_array_mut().unwrap() {
        reason["hint"] = Value::Null;
    }
    report
}

#[test]
fn a_report_that_was_saved_is_read_back_the_same() {
    let (listener, port) = listener();
    let client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    #[cfg(unix)]
    let _undecodable = {
        use std::os::unix::{ffi::OsStrExt, process::CommandExt};
        let mut sleep = std::process::Command::new("sleep");
        support::hold(sleep.arg0(std::ffi::OsStr::from_bytes(b"\xffsl\xfe\xfep")).arg("1000"), self::listener().0)
    };
    let folder = Folder::new();
    let file = folder.join("report.json");
    let written = portscope(["-tu", "--json", "--argv", "--space", "all"]).success().json();
    std::fs::write(&file, written.to_string()).unwrap();
    let read = portscope(["-tu", "--json", "--argv", "--space", "all", "--from"]).arg(file.display()).success().json();
    assert_eq!(without_hints(written.clone()), without_hints(read));
    #[cfg(unix)]
    assert!(written.to_string().contains(r#""undecodable":["argv"]"#));
    assert!(written["sockets"].as_array().unwrap().len() >= 3);
    support::close((listener, client));
    // The machine has moved on; the report has not.
    let row =
        portscope(["--json", "--state", "listen", "--from"]).arg(file.display()).arg(port).success().only_socket();
    assert_eq!(row["owner"]["processes"][0]["pid"], std::process::id());
    let none = portscope(["--json", "--state", "listen"]).arg(port).success().sockets();
    assert!(none.is_empty());
}

#[test]
fn a_snapshot_is_whole_private_and_read_by_every_command() {
    let (_listener, port) = listener();
    let folder = Folder::new();
    let file = folder.join("snapshot.json");
    let output = portscope(["snapshot"]).arg(file.display()).any_stderr().success();
    assert!(output.stdout.is_empty());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(std::fs::read_dir(file.parent().unwrap()).unwrap().count(), 1, "nothing is left beside it");
    let report: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(
        report["scope"],
        serde_json::json!({
            "protocols": ["tcp", "udp", "udplite"], "families": ["ipv4", "ipv6"], "filtered": false
        })
    );
    let schema = portscope(["schema"]).success().json();
    assert!(jsonschema::draft202012::new(&schema).unwrap().is_valid(&report));
    let from = |command: &[&str]| {
        portscope(command.iter().copied()).arg("--from").arg(file.display()).any_stderr().success().stdout
    };
    assert!(from(&["-l"]).contains(&port.to_string()));
    assert!(from(&["info", &port.to_string()]).contains(&format!("tcp 127.0.0.1:{port} LISTEN")));
    assert!(from(&["usage"]).contains("Ports are counted per host"));
    assert!(from(&["spaces"]).contains("65,536"));
    let to_stdout = portscope(["snapshot", "-"]).any_stderr().success().json();
    assert_eq!(to_stdout["schema"], "portscope/1");
}

#[test]
fn a_redacted_snapshot_names_no_people_and_says_so() {
    let (_listener, port) = listener();
    let _client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let report = portscope(["snapshot", "--redact"]).any_stderr().success().json();
    for socket in report["sockets"].as_array().unwrap() {
        assert_eq!((&socket["peer"], &socket["user"], &socket["uid"]), (&Value::Null, &Value::Null, &Value::Null));
        for process in socket["owner"]["processes"].as_array().unwrap() {
            assert_eq!(
                (&process["user"], &process["uid"], &process["argv"]),
                (&Value::Null, &Value::Null, &Value::Null)
            );
        }
    }
    assert!(report["warnings"][0].as_str().unwrap().starts_with("redacted:"), "{}", report["warnings"]);
    let missing: Vec<&Value> =
        report["visibility"]["reasons"].as_array().unwrap().iter().filter(|gap| gap["reason"] == "redacted").collect();
    assert_eq!(missing.len(), 2, "{missing:?}");
    // A question about what was taken out of the report is answered so; an empty answer would be wrong.
    let folder = Folder::new();
    let file = folder.join("redacted.json");
    std::fs::write(&file, report.to_string()).unwrap();
    let note = "peers, users and arguments are not in it";
    let by_user = portscope(["--user", "root", "--from"]).arg(file.display()).stderr_contains(note).success();
    assert!(by_user.stdout.contains("no open socket matches"), "{}", by_user.stdout);
    let usage = portscope(["usage", "--from"]).arg(file.display()).stderr_contains(note).success().stdout;
    assert!(usage.contains("the destinations of TCP connections are unknown"), "{usage}");
    let metrics = portscope(["export", "--from"]).arg(file.display()).stderr_contains(note).success().stdout;
    assert!(!metrics.contains("portscope_fullest_destination_ratio{"), "{metrics}");
    assert!(metrics.contains("portscope_connections{"), "{metrics}");
}

#[test]
fn a_file_that_is_no_report_is_one_line_and_exit_2() {
    let folder = Folder::new();
    let file = folder.join("bad.json");
    let whole = portscope(["--json"]).success().stdout;
    for (text, problem) in [
        (String::new(), "it is not a portscope report: it is empty"),
        ("{}".to_owned(), "expected a field `schema` of"),
        (whole.replace("portscope/1", "portscope/2"), "its schema is \"portscope/2\": expected \"portscope/1\""),
        (whole[..whole.len() / 2].to_owned(), "it is not a portscope report: EOF"),
        (whole.replacen("\"spaces\":[", "\"spaces\":[],\"x\":[", 1), "it lists no port spaces"),
        (whole.replace("\"LISTEN\"", "\"\u{1b}[2J\""), ""),
    ] {
        std::fs::write(&file, &text).unwrap();
        let output = portscope(["--from"]).arg(file.display()).stderr_contains(problem).exits(2);
        assert_eq!(output.stderr.lines().count(), 1, "{}", output.stderr);
        assert!(output.stderr.contains("bad.json"), "{}", output.stderr);
        assert!(!output.stderr.contains('\u{1b}'), "{:?}", output.stderr);
    }
    let _ = portscope(["--from", "/nonexistent/report.json"]).stderr_contains("No such file or directory").exits(2);
    let _ = portscope(["snapshot", "/nonexistent/report.json"]).stderr_contains("cannot write /nonexistent/").exits(2);
}

#[test]
fn what_a_report_leaves_out_is_said() {
    let folder = Folder::new();
    let file = folder.join("tcp.json");
    std::fs::write(&file, portscope(["--json", "-l"]).success().stdout).unwrap();
    let _ = portscope(["-l", "--from"]).arg(file.display()).stderr_contains("written with filters").success();
    let _ = portscope(["usage", "--from"])
        .arg(file.display())
        .stderr_contains("the report does not include udp and udplite sockets")
        .success();
}

#[test]
fn users_and_spaces_are_those_of_the_report() {
    let (_listener, port) = listener();
    let folder = Folder::new();
    let file = folder.join("other.json");
    let mut report = portscope(["-l", "--json"]).arg(port).success().json();
    let socket = &mut report["sockets"][0];
    (socket["uid"], socket["user"]) = (54_321.into(), "wilma".into());
    let process = &mut socket["owner"]["processes"][0];
    (process["uid"], process["user"]) = (54_321.into(), "wilma".into());
    report["spaces"][0]["label"] = "bedrock".into();
    report["scope"]["filtered"] = false.into();
    std::fs::write(&file, report.to_string()).unwrap();
    let rows =
        |filter: [&str; 2]| portscope(filter).arg("--json").arg("--from").arg(file.display()).success().sockets();
    assert_eq!(rows(["--user", "wilma"]).len(), 1);
    assert_eq!(rows(["--user", "54321"]).len(), 1);
    assert!(rows(["--user", "root"]).is_empty());
    assert_eq!(rows(["--space", "bedrock"]).len(), 1);
    let _ = portscope(["--space", "host", "--from"]).arg(file.display()).stderr_contains("bedrock").exits(1);
}

#[test]
fn lines_of_json_are_no_report_and_a_report_comes_through_a_pipe_too() {
    let (_listener, port) = listener();
    let folder = Folder::new();
    let file = folder.join("sockets.ndjson");
    for targets in [vec![port.to_string()], vec![]] {
        std::fs::write(&file, portscope(["-l", "-o", "ndjson"]).args(targets).any_stderr().success().stdout).unwrap();
        let _ = portscope(["--from"]).arg(file.display()).stderr_contains("(NDJSON): expected a report").exits(2);
    }
    std::fs::write(&file, portscope(["snapshot"]).any_stderr().success().stdout).unwrap();
    let mut command = portscope(["-l", "--json", "--from", "-"]).arg(port).command();
    let output = support::output(command.stdin(std::fs::File::open(&file).unwrap()));
    assert!(output.status.success(), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["sockets"][0]["local"]["port"], port);
}

#[test]
#[cfg(unix)]
fn only_a_file_is_replaced_and_the_umask_does_not_decide_who_reads_it() {
    use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
    let folder = Folder::new();
    let (pipe, link, public) = (folder.join("pipe"), folder.join("link"), folder.join("public.prom"));
    assert!(support::output(std::process::Command::new("mkfifo").arg(&pipe)).status.success());
    symlink("elsewhere", &link).unwrap();
    for place in [&pipe, &link, &std::env::temp_dir()] {
        let problem = "what is there is not a regular file";
        let _ = portscope(["snapshot"]).arg(place.display()).stderr_contains(problem).exits(2);
    }
    assert!(std::fs::metadata(&pipe).unwrap().file_type().is_fifo());
    assert_eq!(std::fs::read_link(&link).unwrap(), std::path::Path::new("elsewhere"));
    let _ = portscope(["export", "--textfile"])
        .arg(public.display())
        .under(["sh", "-c", "umask 077; exec \"$@\"", "sh"])
        .any_stderr()
        .success();
    assert_eq!(std::fs::metadata(&public).unwrap().permissions().mode() & 0o777, 0o644);
}

#[test]
fn numbers_that_no_machine_has_are_shown_or_refused_by_every_command() {
    let (_listener, port) = listener();
    let folder = Folder::new();
    let file = folder.join("hostile.json");
    let whole = portscope(["snapshot"]).any_stderr().success().json();
    let most = u64::MAX;
    let facts = serde_json::json!({
        "gap": "closed-spaces", "count": most, "perhaps_listed": false, "refused": true, "problem": "\u{1b}[2J\n",
    });
    let gap = serde_json::json!({ "facts": facts });
    let changes: [&dyn Fn(&mut Value); 4] = [
        &|report| report["visibility"]["reasons"] = [gap.clone(), gap.clone()].to_vec().into(),
        &|report| report["spaces"][0]["processes"] = most.into(),
        &|report| {
            for socket in report["sockets"].as_array_mut().unwrap() {
                socket["queue"] = serde_json::json!({"used": u32::MAX, "limit": u32::MAX});
                (socket["time_left_ms"], socket["inode"], socket["cookie"]) = (most.into(), most.into(), most.into());
            }
        },
        &|report| {
            report["host"]["name"] = "\u{1b}]0;x\u{7}\u{202e}".into();
            report["spaces"][0]["label"] = "\u{1b}[31m\n".into();
            report["warnings"] = vec!["\u{1b}[2J\n"].into();
        },
    ];
    let number = port.to_string();
    for change in changes {
        let mut report = whole.clone();
        change(&mut report);
        std::fs::write(&file, report.to_string()).unwrap();
        for command in [
            &["-tu"][..],
            &["-tu", "--json"],
            &["-o", "wide"],
            &["info", &number],
            &["usage"],
            &["usage", "--json"],
            &["spaces"],
            &["spaces", "--json"],
            &["export"],
            &["audit"],
            &["snapshot", "--redact"],
        ] {
            let run = portscope(command.iter().copied()).arg("--from").arg(file.display()).any_stderr();
            let output = run.exits_with([0, 1]);
            assert!(!output.stdout.contains('\u{1b}') && !output.stderr.contains('\u{1b}'), "{command:?} {output:?}");
        }
    }
}

#[test]
fn where_users_have_no_numbers_the_account_is_the_user() {
    let (_listener, port) = listener();
    let folder = Folder::new();
    let file = folder.join("report.json");
    let mut report = portscope(["-l", "--json"]).arg(port).success().json();
    let socket = &mut report["sockets"][0];
    (socket["uid"], socket["user"]) = (Value::Null, Value::Null);
    let process = &mut socket["owner"]["processes"][0];
    (process["uid"], process["user"]) = (Value::Null, "ada".into());
    std::fs::write(&file, report.to_string()).unwrap();
    let from = |words: &[&str]| portscope(words.iter().copied()).arg("--from").arg(file.display()).any_stderr();
    assert_eq!(from(&["-o", "csv", "--columns", "port,user"]).success().stdout, format!("port,user\n{port},ada\n"));
    assert_eq!(from(&["--json", "--user", "ada"]).success().only_socket()["owner"]["processes"][0]["user"], "ada");
    let info = from(&["info", &port.to_string()]).success().stdout;
    assert!(info.lines().any(|line| line.split_whitespace().collect::<Vec<_>>() == ["user", "ada"]), "{info}");
    let policy = folder.join("policy.toml");
    for (user, allowed) in [("ada", 0), ("bob", 1)] {
        let rule = format!("default = \"deny\"\n[[allow]]\nport = {port}\nuser = \"{user}\"\n");
        std::fs::write(&policy, rule).unwrap();
        let found = from(&["audit", "--json", "--policy", &policy.to_string_lossy()]).exits_with([0, 1]).json();
        let unlisted = found["findings"].as_array().unwrap().iter().filter(|one| one["id"] == "policy-unlisted");
        assert_eq!(unlisted.count(), allowed, "{found:#}");
    }
}
