//! What `portscope audit` and its like say of what they could not see: reports that leave something out, owners that are
//! hidden, port spaces other than their own.
#![cfg(target_os = "linux")]

mod support;

use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde_json::Value;
use support::room::Room;
use support::{Folder, Output, ReachableBinary, holding, is_root, portscope, skip};

/// The texts of one field of all findings of a rule.
fn of_rule<'a>(report: &'a Value, rule: &str, field: &str) -> Vec<&'a str> {
    let all = report["findings"].as_array().unwrap().iter().filter(|finding| finding["id"] == rule);
    all.map(|finding| finding[field].as_str().unwrap()).collect()
}

/// What the command says of a report; it must not call it whole.
#[track_caller]
fn of_report(words: &[&str], file: &Path, code: i32) -> Output {
    portscope(words.iter().copied()).arg("--from").arg(file.display()).any_stderr().exits(code)
}

const NO_UDP: &str = "the report does not include udp sockets";
const NO_DATAGRAMS: &str = "the report does not include udp and udplite sockets";
const FILTERS: &str = "the report was written with filters";

#[test]
fn a_report_that_leaves_something_out_is_never_called_clean() {
    let holder = holding(TcpListener::bind(("127.0.0.1", 0)).unwrap());
    let folder = Folder::new();
    let file = folder.join("filtered.json");
    let filtered = portscope(["-p", "--exposure", "loopback", "--json", "--pid"]).arg(holder.pid()).success();
    std::fs::write(&file, filtered.stdout).unwrap();

    let audit = ["audit", "--no-policy"];
    let text = of_report(&audit, &file, 0);
    assert!(text.stdout.contains("MEDIUM    incomplete  this run"), "{}", text.stdout);
    let helps = "so sockets may be missing\nhint: `portscope snapshot` writes a whole one";
    assert_eq!(text.stderr, format!("portscope: {NO_DATAGRAMS} and {FILTERS}, {helps}\n"));
    let report = of_report(&["audit", "--no-policy", "--json"], &file, 0).json();
    let told = of_rule(&report, "incomplete", "evidence");
    for left_out in [NO_UDP, FILTERS] {
        assert!(told.contains(&&*format!("sockets were not seen: {left_out}")), "{told:?}");
    }
    assert_eq!(report["visibility"]["complete"], false);
    let junit = of_report(&["audit", "--no-policy", "-o", "junit"], &file, 0).stdout;
    assert!(junit.contains(&format!("medium: sockets were not seen: {FILTERS}; fix: ")), "{junit}");

    for words in
        [&audit[..], &["export"], &["usage"], &["info", "4"], &["info", "--json", "4"], &["--json"], &["snapshot"]]
    {
        let strict = [words, &["--strict"]].concat();
        let stderr = of_report(&strict, &file, 3).stderr;
        assert!(
            stderr.contains(FILTERS) && (words[0] == "--json" || stderr.contains(NO_DATAGRAMS)),
            "{words:?}: {stderr}"
        );
    }
    let written = of_report(&["snapshot"], &file, 0).json();
    let reasons: Vec<&Value> = written["visibility"]["reasons"].as_array().unwrap().iter().collect();
    assert_eq!(reasons.iter().filter(|gap| gap["reason"] == "left-out").count(), 3, "{reasons:#?}");
    // It is still known of a report that was made of that report, and known once.
    let again = folder.join("again.json");
    std::fs::write(&again, written.to_string()).unwrap();
    assert_eq!(
        of_rule(&of_report(&["audit", "--no-policy", "--json"], &again, 0).json(), "incomplete", "evidence"),
        told
    );
}

#[test]
fn a_family_that_a_report_leaves_out_is_said_and_a_whole_report_is_not_blamed() {
    let _sockets = (TcpListener::bind(("127.0.0.1", 0)).unwrap(), UdpSocket::bind(("127.0.0.1", 0)).unwrap());
    let folder = Folder::new();
    let file = folder.join("report.json");
    std::fs::write(&file, portscope(["-t", "-u", "-4", "--json"]).any_stderr().success().stdout).unwrap();
    let lines = of_report(&["export"], &file, 0).stderr;
    assert!(lines.contains("the report does not include ipv6 sockets, so sockets may be missing"), "{lines}");
    let whole = portscope(["snapshot"]).any_stderr().success().stdout;
    std::fs::write(&file, whole).unwrap();
    for words in [&["export"][..], &["audit", "--no-policy", "--fail-on", "critical"], &["usage"]] {
        let said = portscope(words.iter().copied()).arg("--from").arg(file.display()).any_stderr().exits_with([0, 1]);
        assert!(!format!("{said:?}").contains("the report "), "{said:?}");
    }
}

#[test]
fn a_rule_that_asks_for_an_owner_who_is_hidden_is_neither_kept_nor_broken() {
    let Some(room) = Room::new() else { return };
    let folder = Folder::new();
    let policy = folder.join("policy.toml");
    let _root = room.holds("/bin/sleep", 0, &["tcp 127.0.0.1 8080"]);
    let _other = room.holds("/bin/sleep", 999, &["tcp 127.0.0.1 8081"]);
    std::fs::write(&policy, room.look(portscope(["audit", "--init"])).success().stdout).unwrap();
    for path in [folder.join("."), policy.clone()] {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let binary = ReachableBinary::new();
    let judge = |more: &[&str]| {
        let run = portscope(["audit", "--json", "--policy"]).arg(policy.display()).args(more.iter().copied());
        room.look(run.any_stderr().run_by_nobody(&binary))
    };
    let report = judge(&[]).exits(0).json();
    assert!(of_rule(&report, "policy-unlisted", "evidence").is_empty(), "{report:#}");
    let open = of_rule(&report, "incomplete", "evidence");
    let is_open = |line: &&&str| line.starts_with("can't tell whether the allow rule on line ");
    assert_eq!(open.iter().filter(is_open).count(), 2, "{open:?}");
    let _ = judge(&["--strict"]).exits(3);

    let _unlisted = room.holds("/bin/sleep", 0, &["tcp 127.0.0.1 9999"]);
    let report = judge(&[]).exits(1).json();
    assert_eq!(of_rule(&report, "policy-unlisted", "evidence").len(), 1, "no rule can be meant: {report:#}");

    // A policy that this user generates holds for this user.
    let own = room.look(portscope(["audit", "--init"]).any_stderr().run_by_nobody(&binary)).success().stdout;
    std::fs::write(&policy, own).unwrap();
    let report = judge(&[]).exits(0).json();
    let open = of_rule(&report, "incomplete", "evidence");
    assert_eq!(open.iter().filter(is_open).count(), 0, "{open:?}");
}

#[test]
fn a_user_who_has_a_name_is_known_by_his_number_too() {
    let Some(room) = Room::new() else { return };
    let folder = Folder::new();
    let policy = folder.join("policy.toml");
    let _nobody = room.holds("/bin/sleep", 65534, &["tcp 127.0.0.1 8080"]);
    for (user, code) in [("65534", 1), ("nobody", 1), ("6553", 0), ("root", 0)] {
        std::fs::write(&policy, format!("[[forbid]]\nuser = \"{user}\"\n")).unwrap();
        let report = room.look(portscope(["audit", "--json", "--policy"]).arg(policy.display())).exits(code).json();
        assert_eq!(of_rule(&report, "policy-forbidden", "id").len(), usize::try_from(code).unwrap(), "{user}");
    }
}

#[test]
fn what_helps_in_another_space_acts_there() {
    if !is_root() {
        return skip("needs root to make a network namespace");
    }
    let Some(room) = Room::new() else { return };
    room.runs(&["sysctl", "-qw", "net.ipv4.ip_local_port_range=40000 41000"]);
    let _holder = room.holds("/bin/sleep", 0, &["tcp 0.0.0.0 6379", "tcp 127.0.0.1 40001", "tcp 127.0.0.1 40003"]);
    let space = std::fs::metadata(format!("/proc/{}/ns/net", room.pid())).unwrap().ino().to_string();
    // Whether it was asked for alone, or with all others.
    for spaces in [space.as_str(), "all"] {
        let label = || {
            let shown = portscope(["--space", &space, "--json"]).any_stderr().success().json();
            shown["spaces"][0]["label"].as_str().unwrap().to_owned()
        };
        // The rooms of other tests come and go, and with them what it takes to tell this one from them.
        let (mut report, label) = support::eventually("one label", || {
            let before = label();
            let run = portscope(["audit", "--no-policy", "--json", "--space", spaces]).any_stderr();
            let report = run.exits_with([0, 1]).json();
            let has_findings = report["findings"].as_array().unwrap().iter().any(|f| f["subject"]["space"] == before);
            (has_findings && label() == before).then_some((report, before))
        });
        report["findings"].as_array_mut().unwrap().retain(|finding| finding["subject"]["space"] == label);
        let of_ports = |rule: &str, field: &str| {
            let found = of_rule(&report, rule, field);
            found.into_iter().map(str::to_owned).collect::<std::collections::BTreeSet<String>>()
        };
        let severities = of_ports("exposed-service", "severity");
        assert!(severities.contains("medium"), "{severities:?}");
        // It is called as its process calls itself, which no command repeats.
        let command = format!("portscope --space {space} :6379");
        let remedies = of_ports("exposed-service", "remedy");
        assert!(remedies.iter().any(|remedy| remedy.ends_with(&command)), "{remedies:?}");
        let words = command.split(' ').skip(1).chain(["--json"]);
        let found = portscope(words).any_stderr().success().sockets();
        assert!(found.iter().any(|socket| socket["space"].as_u64() == space.parse().ok()), "{found:#?}");
        let remedies = of_ports("ephemeral-listener", "remedy");
        let there = format!("inside port space {space}, since each has its own list (nsenter --net): ");
        let command = "sysctl -w net.ipv4.ip_local_reserved_ports=40001,40003";
        assert!(remedies.contains(&format!("{there}{command}")), "{remedies:?}");
    }
}

#[test]
fn a_holder_whose_program_cannot_be_read_is_never_called_clean() {
    let Some(room) = Room::new() else { return };
    let _holder = room.holds("/bin/sleep", 1000, &["tcp 127.0.0.1 8080"]);
    let blind = ["setpriv", "--bounding-set=-sys_ptrace,-dac_read_search"];
    let judge = |words: &[&str]| room.look(portscope(words.iter().copied()).any_stderr().under(blind));
    let owner = judge(&["--json", "8080"]).success().only_socket()["owner"].clone();
    if owner["processes"].as_array().unwrap().is_empty() {
        return skip("the kernel's iterator, which tells holders without that right, is not to be had here");
    }
    assert_eq!(owner["processes"][0]["exe"], serde_json::Value::Null, "{owner:#}");
    let report = judge(&["audit", "--no-policy", "--json"]).exits(0).json();
    let found = of_rule(&report, "incomplete", "evidence");
    assert!(
        found.iter().any(|told| told.starts_with("the executable could not be read for 1 of 1 listener,")),
        "{found:?}"
    );
    let _ = judge(&["audit", "--no-policy", "--strict"]).exits(3);
}
