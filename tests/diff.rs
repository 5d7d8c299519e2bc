//! `portscope diff`: what changed since a report, on real listeners.

mod support;

use std::net::TcpListener;
use std::path::Path;

use serde_json::Value;
use support::{Folder, hold, portscope};

/// The changes on the port, by kind.
fn changes(before: &Path, port: u16) -> Vec<Value> {
    let output = portscope(["diff", "--json"]).arg(before.display()).any_stderr();
    // Other tests open and close ports meanwhile, so that there may or may not be other differences.
    let output = output.exits_with([0, 1]);
    let report = output.json();
    report["changes"].as_array().unwrap().iter().filter(|change| change["port"] == port).cloned().collect()
}

fn snapshot(folder: &Folder, name: &str) -> std::path::PathBuf {
    let file = folder.join(name);
    let _ = portscope(["snapshot"]).arg(file.display()).any_stderr().success();
    file
}

fn kind(changes: &[Value]) -> Vec<&str> {
    changes.iter().map(|change| change["kind"].as_str().unwrap()).collect()
}

#[test]
fn a_listener_that_opens_widens_changes_hands_and_closes_is_told_step_by_step() {
    let folder = Folder::new();
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let narrow = snapshot(&folder, "narrow.json");
    assert!(changes(&narrow, port).is_empty());
    drop(listener);
    let closed = changes(&narrow, port);
    assert_eq!(kind(&closed), ["closed"]);
    assert_eq!(closed[0]["before"]["exposure"], "loopback");

    let none = snapshot(&folder, "none.json");
    let wide = TcpListener::bind(("0.0.0.0", port)).unwrap();
    assert_eq!(kind(&changes(&none, port)), ["opened"]);
    let widened = changes(&narrow, port);
    assert_eq!(kind(&widened), ["exposure-widened"]);
    assert_eq!(
        (&widened[0]["before"]["exposure"], &widened[0]["after"]["exposure"]),
        (&"loopback".into(), &"any".into())
    );
    let wide_report = snapshot(&folder, "wide.json");
    drop(wide);
    let narrow_again = TcpListener::bind(("127.0.0.1", port)).unwrap();
    assert_eq!(kind(&changes(&wide_report, port)), ["exposure-narrowed"]);

    // Another program takes it over; then the same program with another number, which is no change.
    let by_sleep = |listener: TcpListener| hold(std::process::Command::new("sleep").arg("1000"), listener);
    let kept = narrow_again.try_clone().unwrap();
    let first = by_sleep(narrow_again);
    let second_listener = kept.try_clone().unwrap();
    drop(kept);
    let third = second_listener.try_clone().unwrap();
    let _ = &third;
    drop(third);
    let second = by_sleep(second_listener);
    let owned = changes(&narrow, port);
    assert_eq!(kind(&owned), ["owner-changed"]);
    assert!(owned[0]["after"]["holders"][0]["program"].as_str().unwrap().ends_with("sleep"), "{owned:?}");
    let both = snapshot(&folder, "both.json");
    drop(first);
    assert!(changes(&both, port).is_empty(), "one process of two that run the same is left");
    drop(second);
    assert_eq!(kind(&changes(&both, port)), ["closed"]);
}

#[test]
fn two_reports_are_compared_and_a_report_is_the_same_as_itself() {
    let folder = Folder::new();
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let before = snapshot(&folder, "before.json");
    let same = portscope(["diff"]).arg(before.display()).arg(before.display()).success().stdout;
    assert!(same.ends_with("no difference\n"), "{same}");
    drop(listener);
    let text = std::fs::read_to_string(&before).unwrap();
    let mut report: Value = serde_json::from_str(&text).unwrap();
    report["sockets"].as_array_mut().unwrap().retain(|socket| socket["local"]["port"] != port);
    report["host"]["name"] = "web-2".into();
    let after = folder.join("after.json");
    std::fs::write(&after, report.to_string()).unwrap();
    let output = portscope(["diff"]).arg(before.display()).arg(after.display()).exits(1).stdout;
    assert!(output.contains("host web-2") && output.contains("1 difference"), "{output}");
    let row = output.lines().find(|line| line.contains(&port.to_string())).unwrap();
    assert!(row.starts_with("closed") && row.contains("127.0.0.1 (loopback)"), "{output}");
    let json = portscope(["diff", "--json"]).arg(before.display()).arg(after.display()).exits(1).json();
    let schema = portscope(["schema", "diff"]).success().json();
    assert!(jsonschema::draft202012::new(&schema).unwrap().is_valid(&json));
    let _ = portscope(["diff", "/nonexistent"]).stderr_contains("/nonexistent: No such file").exits(2);
}

#[test]
fn spaces_of_several_hosts_are_looked_at_together() {
    let folder = Folder::new();
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let own = snapshot(&folder, "own.json");
    let mut other: Value = serde_json::from_slice(&std::fs::read(&own).unwrap()).unwrap();
    other["host"]["name"] = "web-2".into();
    other["host"]["boot_id"] = "another".into();
    let file = folder.join("other.json");
    std::fs::write(&file, other.to_string()).unwrap();
    let output = portscope(["spaces"]).arg(file.display()).any_stderr().success().stdout;
    assert!(output.starts_with("HOST"), "{output}");
    assert!(output.contains(&format!("{port}/tcp is open in 2 spaces: no conflict")), "{output}");
    assert!(output.contains("web-2/"), "{output}");
    let only_files = portscope(["spaces", "--json", "--from"]).arg(own.display()).arg(file.display()).success().json();
    assert_eq!(only_files["hosts"].as_array().unwrap().len(), 2);
    let twice = portscope(["spaces"]).arg(own.display()).stderr_contains("expected one report a host").exits(2);
    assert!(twice.stderr.contains("portscope diff"), "{}", twice.stderr);
}
