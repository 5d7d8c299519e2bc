//! What `portscope audit` finds, and what it leaves alone: real sockets at real ports in namespaces of their own.
#![cfg(target_os = "linux")]

#[path = "audit/policy.rs"]
mod policy;
mod support;

use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use support::room::Room;
use support::{Folder, Kept, Output, ReachableBinary, Run, hold, is_root, portscope, skip};

/// An audit by the built-in rules alone, whose exit code is of no matter.
fn audit<const N: usize>(arguments: [&str; N]) -> Run {
    portscope(["audit", "--no-policy"]).args(arguments)
}

/// Runs it, whether it fails or not.
#[track_caller]
fn carried_out(run: Run) -> Output {
    run.exits_with([0, 1])
}

/// The findings of a JSON report but for what could not be seen: `id severity protocol address port`.
fn findings(report: &Value) -> Vec<String> {
    let all = report["findings"].as_array().unwrap().iter().filter(|finding| finding["id"] != "incomplete");
    all.map(line).collect()
}

fn line(finding: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let subject = &finding["subject"];
    let place = if subject.is_null() {
        format!("line {}", finding["policy_line"])
    } else {
        format!("{} {} {}", text(&subject["protocol"]), text(&subject["address"]), subject["port"])
    };
    format!("{} {} {place}", text(&finding["id"]), text(&finding["severity"]))
}

/// What one rule finds in the namespace.
#[track_caller]
fn found_by(room: &Room, rule: &str) -> Vec<String> {
    let report = carried_out(room.look(audit(["--json"]))).json();
    findings(&report).into_iter().filter(|line| line.split(' ').next() == Some(rule)).collect()
}

/// A copy of `sleep` under another name.
fn program(folder: &Folder, name: &str) -> String {
    let path = folder.join(name);
    std::fs::copy("/bin/sleep", &path).unwrap();
    path.to_str().unwrap().to_owned()
}

/// A folder in /tmp, which every user may write to.
fn open_folder() -> Folder {
    let folder = Folder::in_folder("/tmp");
    std::fs::set_permissions(folder.join("."), std::fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

/// The lines of the table behind a rule: protocol, ports, severity.
fn table(rule: &str) -> Vec<(String, u16, String)> {
    let text = portscope(["audit", "--explain", rule]).success().stdout;
    let rows = text.lines().filter_map(|line| {
        let mut fields = line.split("  ");
        let (ports, protocol) = fields.next()?.split_once('/')?;
        let port = ports.split('-').next()?.parse().ok()?;
        Some((protocol.to_owned(), port, fields.next()?.to_owned()))
    });
    rows.collect()
}

#[test]
fn every_service_of_the_tables_is_found_beyond_loopback_and_on_it_none() {
    let Some(room) = Room::new() else { return };
    for rule in ["exposed-service", "clear-text"] {
        let table = table(rule);
        assert!(table.len() > 10, "{table:?}");
        let places = |address: &str| -> Vec<String> {
            table.iter().map(|(protocol, port, _)| format!("{protocol} {address} {port}")).collect()
        };
        let loopback = places("127.0.0.1");
        let holder = room.holds("/bin/sleep", 0, &loopback.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(found_by(&room, rule), Vec::<String>::new());
        drop(holder);
        let open = places("0.0.0.0");
        let holder = room.holds("/bin/sleep", 0, &open.iter().map(String::as_str).collect::<Vec<_>>());
        let mut expected: Vec<String> = table
            .iter()
            .map(|(protocol, port, severity)| format!("{rule} {severity} {protocol} 0.0.0.0 {port}"))
            .collect();
        let mut found = found_by(&room, rule);
        expected.sort();
        found.sort();
        assert_eq!(found, expected);
        drop(holder);
    }
}

#[test]
fn the_exit_code_says_whether_a_finding_is_bad_enough() {
    let Some(room) = Room::new() else { return };
    let _ = room.look(audit([])).exits(0);
    let _redis = room.holds("/bin/sleep", 0, &["tcp 0.0.0.0 6379"]);
    let text = room.look(audit([])).exits(1).stdout;
    assert!(text.contains("HIGH      exposed-service  tcp 0.0.0.0:6379  /"), "{text}");
    assert!(text.contains(" 1 at high or above; 1 listener, "), "{text}");
    let _ = room.look(audit(["--fail-on", "critical"])).exits(0);
    let _ = room.look(audit(["--fail-on", "medium"])).exits(1);
    let report = room.look(audit(["--json", "--disable", "exposed-service"])).exits(0).json();
    assert_eq!(findings(&report), Vec::<String>::new());
    assert!(!report["rules"].as_array().unwrap().contains(&"exposed-service".into()));
}

#[test]
fn a_program_is_judged_by_the_file_that_it_runs() {
    let Some(room) = Room::new() else { return };
    let folder = open_folder();
    let known = room.holds(&program(&folder, "sshd"), 0, &["tcp 0.0.0.0 22", "tcp 127.0.0.1 8022"]);
    assert_eq!(found_by(&room, "unknown-program"), Vec::<String>::new());
    drop(known);
    let _stranger = room.holds(&program(&folder, "stranger"), 0, &["tcp 0.0.0.0 22", "udp 0.0.0.0 22"]);
    assert_eq!(found_by(&room, "unknown-program"), ["unknown-program medium tcp 0.0.0.0 22"]);
}

#[test]
fn unrelated_programs_on_one_port_are_found_and_workers_of_one_are_not() {
    let Some(room) = Room::new() else { return };
    let folder = open_folder();
    let (one, other) = (program(&folder, "one"), program(&folder, "other"));
    let _first = room.holds(&one, 0, &["tcp+ 127.0.0.1 8080", "udp+ 0.0.0.0 5353"]);
    let _worker = room.holds(&one, 0, &["tcp+ 127.0.0.1 8080", "udp+ 0.0.0.0 5353"]);
    assert_eq!(found_by(&room, "shared-port"), Vec::<String>::new());
    let _stranger = room.holds(&other, 0, &["tcp+ 127.0.0.1 8080", "udp+ 0.0.0.0 5353"]);
    assert_eq!(found_by(&room, "shared-port"), ["shared-port high tcp 127.0.0.1 8080"]);
}

#[test]
fn a_file_in_a_place_of_all_users_in_memory_or_gone_is_found() {
    let Some(room) = Room::new() else { return };
    let folder = open_folder();
    let installed = room.holds("/bin/sleep", 0, &["tcp 127.0.0.1 8080"]);
    for rule in ["executable-writable", "executable-deleted"] {
        assert_eq!(found_by(&room, rule), Vec::<String>::new());
    }
    drop(installed);
    let path = program(&folder, "x");
    let _temporary = room.holds(&path, 0, &["tcp 127.0.0.1 8081"]);
    let _memory = room.holds("memfd:", 0, &["tcp 127.0.0.1 8082"]);
    let both = ["executable-writable high tcp 127.0.0.1 8081", "executable-writable high tcp 127.0.0.1 8082"];
    assert_eq!(found_by(&room, "executable-writable"), both);
    assert_eq!(found_by(&room, "executable-deleted"), Vec::<String>::new());
    std::fs::remove_file(&path).unwrap();
    assert_eq!(found_by(&room, "executable-writable"), both);
    assert_eq!(found_by(&room, "executable-deleted"), ["executable-deleted medium tcp 127.0.0.1 8081"]);
}

#[test]
fn a_persons_process_on_a_port_of_the_system_is_found() {
    let Some(room) = Room::new() else { return };
    let places = |port: &str| format!("tcp 127.0.0.1 {port}");
    let _root = room.holds("/bin/sleep", 0, &[&places("81")]);
    let _system = room.holds("/bin/sleep", 999, &[&places("82")]);
    let _nobody = room.holds("/bin/sleep", 65534, &[&places("83")]);
    let _high = room.holds("/bin/sleep", 1000, &[&places("8080")]);
    assert_eq!(found_by(&room, "user-on-system-port"), Vec::<String>::new());
    let _person = room.holds("/bin/sleep", 1000, &[&places("84")]);
    assert_eq!(found_by(&room, "user-on-system-port"), ["user-on-system-port high tcp 127.0.0.1 84"]);
}

#[test]
fn the_sysctl_line_that_is_printed_reserves_the_port() {
    let Some(room) = Room::new() else { return };
    room.runs(&["sysctl", "-qw", "net.ipv4.ip_local_port_range=40000 41000", "net.ipv4.ip_local_reserved_ports=40005"]);
    let places = ["tcp 127.0.0.1 40005", "tcp 127.0.0.1 39999", "tcp 127.0.0.1 40001", "udp 127.0.0.1 40004"];
    let _holder = room.holds("/bin/sleep", 0, &places);
    let both = ["ephemeral-listener low tcp 127.0.0.1 40001", "ephemeral-listener low udp 127.0.0.1 40004"];
    assert_eq!(found_by(&room, "ephemeral-listener"), both);
    let report = room.look(audit(["--json"])).exits(0).json();
    let all = report["findings"].as_array().unwrap();
    let remedy = all.iter().find(|one| one["id"] == "ephemeral-listener").unwrap()["remedy"].as_str().unwrap();
    assert_eq!(remedy, "sysctl -w net.ipv4.ip_local_reserved_ports=40001,40004-40005");
    room.runs(&remedy.split(' ').collect::<Vec<_>>());
    assert_eq!(found_by(&room, "ephemeral-listener"), Vec::<String>::new());
}

#[test]
fn a_queue_above_four_fifths_is_found() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    rustix::net::listen(&listener, 5).unwrap();
    let end = listener.local_addr().unwrap();
    let is_found = || {
        let report = carried_out(audit(["--json"])).json();
        let line = format!("accept-queue medium tcp 127.0.0.1 {}", end.port());
        findings(&report).contains(&line)
    };
    let mut clients: Vec<TcpStream> = (0..4).map(|_| TcpStream::connect(end).unwrap()).collect();
    assert!(!is_found(), "4 of 5");
    clients.push(TcpStream::connect(end).unwrap());
    assert!(is_found(), "5 of 5");
}

#[test]
fn ipv6_that_is_open_where_ipv4_is_closed_is_found() {
    let Some(room) = Room::new() else { return };
    let places = ["tcp 127.0.0.1 81", "tcp ::1 81", "tcp 0.0.0.0 82", "tcp :: 82", "tcp :: 83"];
    let _fine = room.holds("/bin/sleep", 0, &places);
    assert_eq!(found_by(&room, "ipv6-open"), Vec::<String>::new());
    let _open = room.holds("/bin/sleep", 0, &["tcp 127.0.0.1 84", "tcp :: 84"]);
    assert_eq!(found_by(&room, "ipv6-open"), ["ipv6-open medium tcp :: 84"]);
}

#[test]
fn a_port_that_the_firewall_sends_elsewhere_is_found_unless_it_stays_on_this_host() {
    let Some(room) = Room::new() else { return };
    let rules = "table ip n { chain p { type nat hook prerouting priority -100; tcp dport 8080 dnat to 10.9.8.7:80; \
                 tcp dport 8081 redirect to :8000; ip daddr 127.0.0.1 tcp dport 8082 dnat to 10.9.8.7:80; }; }";
    room.runs(&["nft", rules]);
    assert_eq!(found_by(&room, "published-port"), ["published-port medium tcp 0.0.0.0 8080"]);
    let report = carried_out(room.look(audit(["--json", "--no-helpers"]))).json();
    let unseen = report["findings"].as_array().unwrap().iter().filter(|one| one["id"] == "incomplete");
    let told: Vec<&str> = unseen.filter_map(|one| one["evidence"].as_str()).collect();
    assert!(told.iter().any(|evidence| evidence.starts_with("redirects were not seen: ")), "{told:?}");
}

#[test]
fn a_container_by_its_own_word_is_judged_as_anybody() {
    let id = "0123456789abcdef".repeat(4);
    let folder = Folder::new();
    let tree = folder.join("tree");
    std::fs::create_dir(&tree).unwrap();
    let own = tree.join(format!("portscope-audit.slice/docker-{id}.scope"));
    let (tree, own) = (tree.display(), own.display());
    let Some(room) = Room::with(&format!("mount -t cgroup2 cgroup2 {tree} && mkdir -p {own}")) else { return };
    let enter = format!("echo $$ > {own}/cgroup.procs && exec \"$@\"");
    let holder = {
        let ns = [
            "nsenter".to_owned(),
            format!("--net=/proc/{}/ns/net", room.pid()),
            format!("--mount=/proc/{}/ns/mnt", room.pid()),
        ];
        let bind = "import os, socket; s = socket.socket(); s.bind(('0.0.0.0', 6379)); s.listen(); s.set_inheritable(True); \
                    os.execv('/bin/sleep', ['sleep', '1000'])";
        let mut command = Command::new(&ns[0]);
        command.args(&ns[1..]).args(["sh", "-c", &enter, "sh", "python3", "-c", bind]);
        Kept(support::start(&mut command))
    };
    let socket = support::eventually("the listener is there", || {
        room.look(portscope(["-l", "--json"])).success().sockets().into_iter().next()
    });
    assert_eq!(socket["owner"]["container"]["id"], *id);
    assert_eq!(found_by(&room, "exposed-service"), ["exposed-service high tcp 0.0.0.0 6379"]);
    let policy = folder.join("policy.toml");
    std::fs::write(&policy, format!("[[allow]]\ncontainer = \"{id}\"\n")).unwrap();
    let report = room.look(portscope(["audit", "--json", "--policy"])).arg(policy.display()).exits(1).json();
    assert!(findings(&report).contains(&"policy-hint info line 1".to_owned()), "{report:#}");
    drop(holder);
    let remove = format!("while ! rmdir {own} 2>/dev/null && test -d {own}; do :; done; rmdir $(dirname {own})");
    room.runs(&["sh", "-c", &remove]);
}

#[test]
fn hidden_owners_are_a_finding_and_never_called_clean() {
    if !is_root() {
        return skip("needs root to become another user");
    }
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let _holder = hold(Command::new("sleep").arg("1000"), listener);
    let binary = ReachableBinary::new();
    let report = carried_out(audit(["--json"]).run_by_nobody(&binary)).json();
    let all = report["findings"].as_array().unwrap();
    let told = all.iter().find(|one| one["evidence"].as_str().unwrap().starts_with("owners are hidden for ")).unwrap();
    assert_eq!((&told["id"], &told["severity"]), (&"incomplete".into(), &"medium".into()));
    assert!(told["remedy"].as_str().unwrap().contains("sudo "), "{told}");
    assert_eq!(report["visibility"]["complete"], false);
    let text = carried_out(audit([]).run_by_nobody(&binary)).stdout;
    assert!(text.contains("incomplete") && !text.contains("no findings"), "{text}");
    let nothing_fails = audit(["--strict", "--fail-on", "critical"]).run_by_nobody(&binary);
    let _ = nothing_fails.exits(3);
    let _ = audit(["--fail-on", "medium"]).run_by_nobody(&binary).exits(1);
}

/// A name that would break a line, a terminal, an attribute and a string.
const HOSTILE: &str = "x\n\u{1b}[31m\"'<&>]]>\u{202e}\u{ffff}\\";

#[test]
fn every_form_of_the_answer_is_valid_whatever_programs_are_called() {
    let Some(room) = Room::new() else { return };
    let folder = open_folder();
    let _holder = room.holds(&program(&folder, HOSTILE), 1000, &["tcp 0.0.0.0 22", "tcp 0.0.0.0 6379"]);
    let policy = folder.join("po licy.toml");
    std::fs::write(&policy, "[[require]]\nport = 1\ncomment = \"a \\\"<&\\u0007\"\n").unwrap();
    let look = |form: &str| {
        let run = portscope(["audit", "-o", form, "--policy"]).arg(policy.display());
        room.look(run).exits(1).stdout
    };
    for form in ["text", "json", "sarif", "junit"] {
        let text = look(form);
        assert!(!text.chars().any(|c| c != '\n' && (c.is_control() || c == '\u{202e}')), "{form}: {text:?}");
    }

    let document: Value = serde_json::from_str(&look("json")).unwrap();
    let schema = portscope(["schema", "audit"]).success().json();
    is_valid(&jsonschema::draft202012::new(&schema).unwrap(), &document);
    assert!(findings(&document).contains(&"policy-missing high line 1".to_owned()));

    let mut sarif: Value = serde_json::from_str(&look("sarif")).unwrap();
    let mut schema: Value = serde_json::from_str(include_str!("data/sarif-2.1.0.schema.json")).unwrap();
    // The pattern that OASIS published for a field that we do not write has a bracket too many.
    for part in ["run", "toolComponent"] {
        let language = &mut schema["definitions"][part]["properties"]["language"];
        language.as_object_mut().unwrap().remove("pattern").unwrap();
    }
    let validator = jsonschema::draft7::new(&schema).unwrap();
    is_valid(&validator, &sarif);
    let run = &sarif["runs"][0];
    let results = run["results"].as_array().unwrap();
    let ids: Vec<&str> = results.iter().map(|result| result["ruleId"].as_str().unwrap()).collect();
    for id in ["exposed-service", "unknown-program", "executable-writable", "user-on-system-port", "policy-missing"] {
        assert!(ids.contains(&id), "no {id} in {ids:?}");
    }
    for result in results {
        let place = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(run["tool"]["driver"]["rules"][place]["id"], result["ruleId"]);
    }
    sarif["runs"][0]["results"][0]["level"] = "dire".into();
    assert!(!validator.is_valid(&sarif), "the validator looks");

    let junit = look("junit");
    if Command::new("xmllint").arg("--version").output().is_err() {
        return skip("needs xmllint");
    }
    let is_valid = |text: &str| {
        let file = folder.join("junit.xml");
        std::fs::write(&file, text).unwrap();
        let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/junit-10.xsd");
        let output =
            support::output(Command::new("xmllint").args(["--noout", "--nonet", "--schema", schema]).arg(&file));
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (valid, told) = is_valid(&junit);
    assert!(valid, "{told}\n{junit}");
    assert!(!is_valid(&junit.replace("<failure ", "<failing ")).0, "the validator looks");
    let failures = document["failures"].as_u64().unwrap();
    assert_eq!(junit.matches("<failure ").count() as u64, failures);
    assert!(junit.contains(&format!("failures=\"{failures}\"")));
}

#[track_caller]
fn is_valid(validator: &jsonschema::Validator, document: &Value) {
    let errors: Vec<String> =
        validator.iter_errors(document).map(|error| format!("{error} at {}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:#?}");
}

#[test]
fn every_rule_is_listed_and_explained() {
    let list = portscope(["audit", "--list"]).success().stdout;
    let ids: Vec<&str> = list.lines().map(|line| line.split_whitespace().nth(1).unwrap()).collect();
    assert_eq!(ids.len(), 17);
    for id in ids {
        let text = portscope(["audit", "--explain", id]).success().stdout;
        assert!(text.starts_with(&format!("{id} (")) && text.contains(&format!("--disable {id}")), "{text}");
    }
    let stderr = portscope(["audit", "--explain", "x"]).any_stderr().exits(2).stderr;
    assert!(stderr.contains("`x` is not a rule: expected exposed-service, clear-text"), "{stderr}");
}
