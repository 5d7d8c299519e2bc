//! `portscope diff`: what changed since a report, on real listeners.

mod support;

use std::net::TcpListener;
use std::path::Path;

use serde_json::Value;
use support::{Folder, close, hold, portscope};

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
    close(listener);
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
    close(wide);
    let narrow_again = TcpListener::bind(("127.0.0.1", port)).unwrap();
    assert_eq!(kind(&changes(&wide_report, port)), ["exposure-narrowed"]);

    // Another program takes it over; then the same program with another number, which is no change.
    let by_sleep = |listener: TcpListener| hold(std::process::Command::new("sleep").arg("1000"), listener);
    let kept = narrow_again.try_clone().unwrap();
    let first = by_sleep(narrow_again);
    let second_listener = kept.try_clone().unwrap();
    drop(kept);
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
    assert!(same.contains("\nno differences\n"), "{same}");
    close(listener);
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
    let host = other["host"].clone();
    other["host"]["name"] = "web-2".into();
    other["host"]["boot_id"] = "another".into();
    let facts = serde_json::json!({
        "gap": "closed-spaces", "count": 1, "perhaps_listed": false, "refused": true, "problem": "it is locked",
    });
    let gap = serde_json::json!({ "facts": facts });
    other["visibility"]["reasons"].as_array_mut().unwrap().push(gap);
    let file = folder.join("other.json");
    std::fs::write(&file, other.to_string()).unwrap();
    let whose = "portscope: web-2: 1 port space is not listed: ";
    let output = portscope(["spaces"]).arg(file.display()).stderr_contains(whose).success().stdout;
    assert!(output.starts_with("HOST"), "{output}");
    // The number may be some service's.
    let line = output.lines().find(|line| line.starts_with(&format!("{port}/tcp"))).unwrap();
    assert!(line.ends_with(" is open in 2 port spaces: no conflict"), "{output}");
    assert!(output.contains("web-2/"), "{output}");
    // A machine of the same name that was started at another time is another one.
    other["host"]["name"].clone_from(&host["name"]);
    let namesake = folder.join("namesake.json");
    std::fs::write(&namesake, other.to_string()).unwrap();
    let output = portscope(["spaces"]).arg(namesake.display()).any_stderr().success().stdout;
    let name = host["name"].as_str().unwrap();
    let boot = &host["boot_id"].as_str().unwrap()[..8];
    for host in [format!("{name} [another]"), format!("{name} [{boot}]")] {
        let is_row = |line: &&str| line.starts_with(&format!("{host}  "));
        assert!(output.lines().any(|line| is_row(&line)) && output.contains(&format!("  {host}/")), "{output}");
    }
    let only_files = portscope(["spaces", "--json", "--from"]).arg(own.display()).arg(file.display()).success().json();
    assert_eq!(only_files["hosts"].as_array().unwrap().len(), 2);
    let boots = only_files["spaces"].as_array().unwrap().iter().map(|space| space["boot_id"].as_str().unwrap());
    assert_eq!(boots.collect::<std::collections::BTreeSet<_>>().len(), 2);
    let twice = portscope(["spaces"]).arg(own.display()).stderr_contains("expected one report per host").exits(2);
    assert!(twice.stderr.contains("portscope diff"), "{}", twice.stderr);
}

#[test]
fn what_a_report_could_not_have_is_no_difference_and_is_said() {
    let folder = Folder::new();
    let only = |name: &str, flags: &[&str]| {
        let file = folder.join(name);
        std::fs::write(&file, portscope(flags.iter().copied()).any_stderr().success().stdout).unwrap();
        file
    };
    let _four = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let six = TcpListener::bind(("::1", 0)).unwrap();
    let port = six.local_addr().unwrap().port();
    let whole = snapshot(&folder, "whole.json");
    let of_port = |run: support::Output| -> Value {
        let report = run.json();
        let changes = report["changes"].as_array().unwrap();
        assert!(!changes.iter().any(|change| change["port"] == port), "{changes:#?}");
        report["warnings"].clone()
    };
    let compare = |before: &Path| {
        let run = portscope(["diff", "--json"]).arg(before.display()).arg(whole.display()).any_stderr();
        of_port(run.exits_with([0, 1]))
    };
    let warnings = compare(&only("four.json", &["-4", "-tu", "--json"]));
    assert!(warnings[0].as_str().unwrap().contains("out of scope on the before side"), "{warnings}");
    // Nobody is known in a redacted report, and so nobody is another one.
    let warnings = compare(&only("redacted.json", &["snapshot", "--redact"]));
    let warnings = warnings.as_array().unwrap();
    assert!(warnings[0].as_str().unwrap().starts_with("redacted: "), "{warnings:?}");
    assert_eq!(warnings[1], "users were not compared: the before report is redacted");
    let redacted = folder.join("redacted.json");
    let text =
        portscope(["diff"]).arg(redacted.display()).arg(redacted.display()).stderr_contains("redacted").success();
    assert!(text.stdout.contains("no differences"), "{}", text.stdout);
}

#[test]
#[cfg(target_os = "linux")]
fn owners_that_are_hidden_on_both_sides_are_no_silent_agreement() {
    if !support::is_root() {
        return support::skip("needs root, to run as another user");
    }
    let folder = Folder::new();
    let _listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let file = folder.join("hidden.json");
    let reachable = support::ReachableBinary::new();
    let report = portscope(["snapshot"]).any_stderr().run_by_nobody(&reachable).success().stdout;
    std::fs::write(&file, report).unwrap();
    let text = portscope(["diff"]).arg(file.display()).arg(file.display()).success().stdout;
    assert!(text.contains("no differences\nthe owners of "), "{text}");
    let hidden = portscope(["diff", "--json"]).arg(file.display()).any_stderr().exits_with([0, 1]).json();
    assert!(hidden["incomparable_owners"].as_u64().unwrap() >= 1);
    assert!(
        !hidden["changes"].as_array().unwrap().iter().any(|change| change["kind"] == "owner-changed"),
        "{hidden:#}"
    );
}

#[test]
fn connections_are_compared_with_all_and_by_their_peers() {
    let folder = Folder::new();
    let listener = TcpListener::bind(("0.0.0.0", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let before = snapshot(&folder, "before.json");
    let client = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    let (_server, _) = listener.accept().unwrap();
    assert!(changes(&before, port).is_empty());
    let with_all = portscope(["diff", "--json", "--all"]).arg(before.display()).any_stderr().exits(1).json();
    let of_port: Vec<&Value> =
        with_all["changes"].as_array().unwrap().iter().filter(|change| change["port"] == port).collect();
    assert_eq!(of_port.len(), 1, "{of_port:#?}");
    assert_eq!((&of_port[0]["kind"], &of_port[0]["before"]), (&"opened".into(), &Value::Null));
    assert_eq!(of_port[0]["peer"]["port"], client.local_addr().unwrap().port());
    let schema = portscope(["schema", "diff"]).success().json();
    assert!(jsonschema::draft202012::new(&schema).unwrap().is_valid(&with_all));
}

#[test]
#[cfg(target_os = "linux")]
fn another_address_and_another_user_are_changes_of_their_own() {
    let folder = Folder::new();
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let before = snapshot(&folder, "before.json");
    close(listener);
    let listener = TcpListener::bind(("127.9.8.7", port)).unwrap();
    let moved = changes(&before, port);
    assert_eq!(kind(&moved), ["address-changed"]);
    assert_eq!(moved[0]["after"]["addresses"], serde_json::json!(["127.9.8.7"]));
    if !support::is_root() {
        return support::skip("needs root, to run as another user");
    }
    let kept = listener.try_clone().unwrap();
    let by_root = hold(std::process::Command::new("sleep").arg("1000"), listener);
    let by_nobody = {
        let mut command = std::process::Command::new("setpriv");
        hold(command.args(["--reuid", "65534", "--clear-groups", "sleep", "1000"]), kept)
    };
    for process in [&by_root, &by_nobody] {
        let exe = format!("/proc/{}/exe", process.pid());
        support::eventually("sleep runs", || std::fs::read_link(&exe).ok()?.ends_with("sleep").then_some(()));
    }
    let both = snapshot(&folder, "both.json");
    drop(by_root);
    let owned = changes(&both, port);
    assert_eq!(kind(&owned), ["owner-changed"], "{owned:#?}");
    let users = |side: &str| -> Vec<&str> {
        let holders = owned[0][side]["holders"].as_array().unwrap();
        holders.iter().map(|holder| holder["user"].as_str().unwrap()).collect()
    };
    assert_eq!(users("before"), ["nobody", "root"]);
    assert_eq!(users("after"), ["nobody"]);
}

#[test]
#[cfg(target_os = "linux")]
fn a_program_that_listens_in_another_space_now_has_moved() {
    use support::apart::Apart;
    use support::scene::Scene;
    if !support::is_root() {
        return support::skip("needs root to make network namespaces");
    }
    let folder = Folder::new();
    let apart = Apart::start("exec sleep 1000");
    let Some(here) = Scene::start("tcp4") else { return };
    let port = here.socket("listener")["port"].as_u64().unwrap();
    let before = snapshot(&folder, "before.json");
    drop(here);
    let inside = apart.inside();
    let inside: Vec<&str> = inside.iter().map(String::as_str).collect();
    let Some(_there) = Scene::start_under(&inside, &format!("tcp4 port={port}")) else { return };
    let moved = changes(&before, u16::try_from(port).unwrap());
    assert_eq!(kind(&moved), ["moved-space"], "{moved:#?}");
    assert_ne!(moved[0]["space"], moved[0]["to_space"]);
    let text = portscope(["diff"]).arg(before.display()).any_stderr().exits(1).stdout;
    assert!(text.lines().any(|line| line.starts_with("moved-space") && line.contains("now in port space")), "{text}");
}

#[test]
#[cfg(target_os = "linux")]
fn a_published_port_that_leads_elsewhere_is_told_and_one_that_may_not_be_read_is_not() {
    use support::apart::Apart;
    if !support::is_root() {
        return support::skip("needs root for rules of the firewall");
    }
    let folder = Folder::new();
    let apart = Apart::start("exec sleep 1000");
    let redirect_to = |port: &str| {
        let rule = format!(
            "chain ip n p {{ type nat hook prerouting priority -100; }}; add rule ip n p tcp dport 42100 redirect to :{port}"
        );
        let output = apart.run(&["nft", &format!("add table ip n; flush table ip n; add {rule}")]);
        assert!(output.status.success(), "{output:?}");
    };
    let report = |name: &str, run: support::Run| {
        let file = folder.join(name);
        std::fs::write(&file, run.under(apart.inside()).any_stderr().success().stdout).unwrap();
        file
    };
    let compare = |before: &Path, after: &Path, code| {
        portscope(["diff", "--json"]).arg(before.display()).arg(after.display()).exits(code).json()
    };
    redirect_to("42101");
    let first = report("first.json", portscope(["snapshot"]));
    redirect_to("42102");
    let second = report("second.json", portscope(["snapshot"]));
    let changed = compare(&first, &second, 1);
    assert_eq!(changed["changes"].as_array().unwrap().len(), 1, "{changed:#}");
    assert_eq!(
        (&changed["changes"][0]["kind"], &changed["changes"][0]["port"]),
        (&"forward-changed".into(), &42100.into())
    );
    assert_eq!(changed["changes"][0]["after"]["forward"], "0.0.0.0:42102");
    // A report without the rules has not seen the port close.
    let unasked = report("unasked.json", portscope(["snapshot", "--no-helpers"]));
    let same = compare(&first, &unasked, 0);
    assert_eq!(same["changes"], serde_json::json!([]));
    assert!(
        same["warnings"][0].as_str().unwrap().starts_with("1 socket was not compared: out of scope on the after"),
        "{same:#}"
    );
}
