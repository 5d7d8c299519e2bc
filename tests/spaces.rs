//! Port spaces: the same number in several network namespaces, as root and as another user.
#![cfg(target_os = "linux")]

mod support;

use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};

use serde_json::Value;
use support::scene::{Scene, in_group};
use support::{ReachableBinary, eventually, is_root, pids, portscope, skip};

/// A namespace of `ip netns`, with lo up, removed with this value.
struct Named(String);

impl Named {
    fn new(name: &str) -> Named {
        let named = Named(format!("portscope-{name}-{}", std::process::id()));
        ip(&["netns", "add", &named.0]);
        ip(&["-n", &named.0, "link", "set", "lo", "up"]);
        named
    }

    fn hold(&self, words: &str) -> Option<Scene> {
        Scene::start_under(&["ip", "netns", "exec", &self.0], words)
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        let _ = support::output(Command::new("ip").args(["netns", "del", &self.0]));
    }
}

#[track_caller]
fn ip(arguments: &[&str]) {
    assert!(support::output(Command::new("ip").args(arguments)).status.success(), "ip {arguments:?}");
}

fn own_netns() -> u64 {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self/ns/net").unwrap().ino()
}

/// The rows of a listing with this inode.
fn with_inode<'a>(report: &'a Value, inode: &Value) -> Vec<&'a Value> {
    report["sockets"].as_array().unwrap().iter().filter(|row| row["inode"] == *inode).collect()
}

#[track_caller]
fn label_of(report: &Value, id: &Value) -> String {
    let spaces = report["spaces"].as_array().unwrap();
    let space = spaces.iter().find(|space| space["id"] == *id).unwrap_or_else(|| panic!("no space {id}"));
    space["label"].as_str().unwrap().to_owned()
}

#[test]
fn one_number_in_three_spaces_is_three_rows_and_no_conflict() {
    if !is_root() {
        return skip("needs root to make network namespaces");
    }
    let named = Named::new("three");
    // One that nothing else on the machine has in any space.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (Some(one), Some(two), Some(moved)) = (
        named.hold(&format!("tcp4 port={port}")),
        Scene::start(&format!("netns n=1 port={port}")),
        Scene::start(&format!("foreign-netns port={port}")),
    ) else {
        return;
    };
    let report = portscope(["--space", "all", "--json"]).arg(port).success().json();
    let two_space = &two.sockets()[0];
    for (scene, space, label) in [
        (&one, None, named.0.as_str()),
        (&two, Some(two_space["note"].as_str().unwrap()["netns ".len()..].parse::<u64>().unwrap()), "mkports"),
        (&moved, Some(moved.number("socket_netns")), "kept by mkports"),
    ] {
        let made = &scene.sockets()[0];
        let rows = with_inode(&report, &made["inode"]);
        assert_eq!(rows.len(), 1, "{label}: {report:#}");
        assert_eq!(rows[0]["owner"]["tier"], "process", "{label}");
        assert_eq!(Value::from(pids(rows[0])), made["pids"], "{label}");
        // Other tests may have spaces of such a process too, which adds the number.
        assert!(label_of(&report, &rows[0]["space"]).starts_with(label), "{label}: {report:#}");
        if let Some(space) = space {
            assert_eq!(rows[0]["space"], space, "a socket belongs to its own space, wherever its holder lives now");
        }
    }
    assert_eq!(report["visibility"]["unseen_spaces"], 0);
    assert_eq!(report["visibility"]["further_spaces"], 0);

    let output = portscope(["spaces"]).any_stderr().success().stdout;
    let line =
        output.lines().find(|line| line.starts_with(&format!("{port}/tcp"))).unwrap_or_else(|| panic!("{output}"));
    assert!(line.ends_with("is open in 3 port spaces: no conflict"), "{output}");
    for label in [named.0.as_str(), "mkports", "kept by mkports"] {
        assert!(output.contains(label), "{output}");
    }
    let matrix = portscope(["spaces", "--matrix", "-t"]).any_stderr().success().stdout;
    let row = matrix.lines().find(|line| line.trim_start().starts_with(&port.to_string())).unwrap();
    assert_eq!(row.matches("mkports").count(), 3, "{matrix}");
    let json = portscope(["spaces", "--json"]).success().json();
    let shared = json["shared"].as_array().unwrap().iter().find(|shared| shared["port"] == port).unwrap();
    assert_eq!(shared["listeners"].as_array().unwrap().len(), 3);
    let schema = portscope(["schema", "spaces"]).success().json();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    assert!(validator.is_valid(&json), "{:?}", validator.iter_errors(&json).map(|e| e.to_string()).collect::<Vec<_>>());
}

#[test]
fn without_privileges_every_socket_is_there_and_only_owners_are_hidden() {
    if !is_root() {
        return skip("needs root to make network namespaces");
    }
    let Some(scene) = Scene::start("netns n=3 port=8081") else { return };
    let binary = ReachableBinary::new();
    // A /proc that hides processes hides their spaces too; this one does not.
    let visible = ["unshare", "-m", "sh", "-c", "mount -t proc proc /proc && exec \"$0\" \"$@\""];
    let report = portscope(["--space", "all", "--json", "8081"]).run_by_nobody(&binary).under(visible).success().json();
    let mut spaces = std::collections::BTreeSet::new();
    for made in scene.sockets() {
        let rows = with_inode(&report, &made["inode"]);
        assert_eq!(rows.len(), 1, "{made}: {report:#}");
        assert_eq!((&rows[0]["owner"]["tier"], &rows[0]["owner"]["reason"]), (&"user".into(), &"permission".into()));
        assert_eq!(
            (&rows[0]["v6only"], &rows[0]["queue"], &rows[0]["cookie"]),
            (&Value::Null, &Value::Null, &Value::Null)
        );
        spaces.insert(rows[0]["space"].as_u64().unwrap());
    }
    assert_eq!(spaces.len(), 3, "each in its own space");
    let of_text = report["spaces"].as_array().unwrap().iter().filter(|space| space["source"] == "proc-net").count();
    assert!(of_text >= 3, "{report:#}");
    assert_eq!(report["visibility"]["hidden_owners"], 3);
}

#[test]
fn a_proc_that_hides_processes_hides_their_spaces_and_that_is_said() {
    if !is_root() {
        return skip("needs root to mount /proc");
    }
    let binary = ReachableBinary::new();
    let hiding = ["unshare", "-m", "sh", "-c", "mount -t proc -o hidepid=2 proc /proc && exec \"$0\" \"$@\""];
    let report = portscope(["--space", "all", "--json"])
        .run_by_nobody(&binary)
        .under(["setpriv", "--regid", "65534", "--clear-groups"])
        .under(hiding)
        .success()
        .json();
    assert_eq!(report["visibility"]["unseen_spaces"], Value::Null);
    let reasons = report["visibility"]["reasons"].as_array().unwrap();
    let told = reasons.iter().find(|reason| reason["missing"] == "spaces").expect("spaces are said to be missing");
    assert_eq!(told["reason"], "permission");
    assert!(told["hint"].as_str().unwrap().starts_with("to see them: sudo "), "{told}");
}

#[test]
fn the_plain_listing_is_of_this_space_and_says_that_there_are_more() {
    if !is_root() {
        return skip("needs root to make a network namespace");
    }
    let Some(scene) = Scene::start("netns n=1 port=8082") else { return };
    let report = portscope(["--json", "8082"]).success().json();
    assert!(with_inode(&report, &scene.sockets()[0]["inode"]).is_empty());
    assert_eq!(report["spaces"][0]["id"], own_netns());
    assert!(report["visibility"]["further_spaces"].as_u64().unwrap() >= 1);
    let own = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = own.local_addr().unwrap().port();
    let output = portscope(["-l"]).arg(port).success().stdout;
    let last = output.lines().last().unwrap();
    assert!(last.contains("more port space") && last.contains("--space all"), "{output}");
    assert!(!output.lines().nth(1).unwrap().starts_with("SPACE"), "one space needs no column: {output}");
    let all = portscope(["--space", "all", "-l", "8082"]).arg(port).success().stdout;
    assert!(all.lines().nth(1).unwrap().starts_with("SPACE"), "{all}");
    let chosen = portscope(["--space", "all", "-l", "--columns", "port,process", "8082"]).arg(port).success().stdout;
    assert!(chosen.lines().nth(1).unwrap().trim_start().starts_with("PORT"), "columns that were chosen stay: {chosen}");
}

#[test]
fn a_space_is_chosen_by_its_label_or_its_id() {
    if !is_root() {
        return skip("needs root to make a network namespace");
    }
    let named = Named::new("chosen");
    let Some(scene) = named.hold("tcp4 port=8083") else { return };
    let by_label = portscope(["--json", "--space", &named.0]).success().json();
    assert_eq!(by_label["sockets"].as_array().unwrap().len(), 1);
    assert_eq!(by_label["spaces"].as_array().unwrap().len(), 1);
    let id = by_label["spaces"][0]["id"].to_string();
    let by_id = portscope(["--json", "--space", &id]).success().sockets();
    assert_eq!(by_id[0]["inode"], scene.sockets()[0]["inode"]);
    let both = portscope(["--json", "--space", &format!("{id},{}", own_netns())]).success().json();
    assert_eq!(both["spaces"].as_array().unwrap().len(), 2);
    let empty = Named::new("empty");
    assert!(
        portscope(["--json", "--space", &empty.0]).success().sockets().is_empty(),
        "a space without sockets is one"
    );
    let output =
        portscope(["--space", "no-such-space"]).stderr_contains("no port space is named `no-such-space`").exits(1);
    assert!(output.stderr.contains(&named.0) && output.stderr.lines().count() == 1, "{}", output.stderr);
}

#[test]
fn a_name_that_a_process_gives_itself_makes_no_space_the_host() {
    if !is_root() {
        return skip("needs root to make network namespaces");
    }
    let script = "printf host > /proc/$$/comm; read -r _";
    let fakes: Vec<support::Kept> = (0..2)
        .map(|_| {
            let mut command = Command::new("unshare");
            command.args(["-n", "sh", "-c", script]).stdin(Stdio::piped());
            support::Kept(support::start(&mut command))
        })
        .collect();
    let id = |fake: &support::Kept| std::fs::metadata(format!("/proc/{}/ns/net", fake.pid())).unwrap().ino();
    let labels = || -> Vec<String> {
        let report = portscope(["spaces", "--json"]).any_stderr().success().json();
        let label = |space: &Value| space["label"].as_str().unwrap().to_owned();
        report["spaces"].as_array().unwrap().iter().map(label).collect()
    };
    let labels = eventually("they have the name", || {
        // A space of their own they have only some time after they have been started.
        let expected: Vec<String> = fakes.iter().map(|fake| format!("host:{}", id(fake))).collect();
        Some(labels()).filter(|labels| expected.iter().all(|label| labels.contains(label)))
    });
    let mut different = labels.clone();
    different.sort();
    different.dedup();
    assert_eq!(different.len(), labels.len(), "every space has a label of its own: {labels:?}");
    let report = portscope(["--space", "host", "--json"]).any_stderr().success().json();
    assert_eq!(report["spaces"].as_array().unwrap().len(), 1, "{report:#}");
    assert_eq!(report["spaces"][0]["id"], own_netns());
}

#[test]
fn a_space_out_of_reach_is_no_empty_answer() {
    if !is_root() {
        return skip("needs root to make network namespaces and to become another user");
    }
    let named = Named::new("reach");
    let binary = ReachableBinary::new();
    let run = |arguments: &[&str]| portscope(arguments.iter().copied()).run_by_nobody(&binary);
    let problem = format!("cannot read port space {}: cannot enter it", named.0);
    for arguments in [&["--space", &named.0][..], &["--space", &named.0, "--strict"], &["usage", "--space", &named.0]] {
        let _ = run(arguments).stderr_contains(&problem).exits(2);
    }
    let missing = "not listed: mounted network namespaces cannot be entered";
    let _ = run(&["--space", "all"]).stderr_contains(missing).success();
    let _ = run(&["--space", "all", "--strict"]).stderr_contains(missing).exits(3);
    // What was not asked for is not missing.
    let report = run(&["--json", "8086"]).any_stderr().success().json();
    assert_eq!(report["visibility"]["unseen_spaces"], 0, "{report:#}");
    eventually("all the others are further ones, the own one too", || {
        let of_one = portscope(["--space", &named.0, "--json"]).any_stderr().success().json();
        let every = portscope(["--space", "all", "--json"]).any_stderr().success().json();
        let others = every["spaces"].as_array().unwrap().len() - 1;
        (of_one["visibility"]["further_spaces"] == others).then_some(())
    });
}

#[test]
fn a_space_has_its_own_settings() {
    if !is_root() {
        return skip("needs root to make a network namespace");
    }
    let named = Named::new("settings");
    ip(&["netns", "exec", &named.0, "sysctl", "-qw", "net.ipv4.ip_local_port_range=2000 2100"]);
    ip(&["netns", "exec", &named.0, "sysctl", "-qw", "net.ipv4.ip_local_reserved_ports=2001,2050-2052"]);
    ip(&["netns", "exec", &named.0, "sysctl", "-qw", "net.ipv4.ip_unprivileged_port_start=80"]);
    let report = portscope(["--json", "--space", &named.0]).success().json();
    let space = &report["spaces"][0];
    assert_eq!(space["ephemeral"], serde_json::json!([2000, 2100]));
    assert_eq!(space["reserved"], serde_json::json!([[2001, 2001], [2050, 2052]]));
    assert_eq!(space["unprivileged_start"], 80);
    assert_eq!(space["processes"], 0);
}

#[test]
fn portscope_itself_stays_where_it_is() {
    if !is_root() {
        return skip("needs root to make network namespaces");
    }
    let Some(_scene) = Scene::start("netns n=5") else { return };
    // What it says of its own space after it has been in others is still true.
    let report = portscope(["--space", "all", "--json"]).success().json();
    assert_eq!(report["spaces"][0]["id"], own_netns());
    let under = ["strace", "-f", "-e", "trace=setns,exit_group"];
    let output = portscope(["--space", "all", "-H"]).under(under).output();
    let trace = String::from_utf8(output.stderr).unwrap();
    let calls: Vec<&str> = trace.lines().filter(|line| line.contains("setns(")).collect();
    assert!(calls.len() >= 5, "{trace}");
    assert!(calls.iter().all(|line| line.starts_with("[pid")), "only a thread of its own enters: {calls:?}");
    let end = trace.lines().find(|line| line.contains("exit_group(")).unwrap();
    let main = end.split(']').next().unwrap();
    assert!(!calls.iter().any(|line| line.starts_with(main)), "the main thread stays: {trace}");
}

#[test]
fn spaces_that_come_and_go_lose_nothing_of_the_others() {
    if !is_root() {
        return skip("needs root to make network namespaces");
    }
    let Some(stable) = Scene::start("netns n=2 port=8084") else { return };
    let churn = "while :; do unshare -n true; done";
    let _churn = support::Kept(support::start(Command::new("sh").args(["-c", churn])));
    for _ in 0..50 {
        let report = portscope(["--space", "all", "--json", "8084"]).success().json();
        for made in stable.sockets() {
            assert_eq!(with_inode(&report, &made["inode"]).len(), 1, "{report:#}");
        }
    }
}

#[test]
fn a_redirected_port_without_a_socket_has_a_row() {
    if !is_root() {
        return skip("needs root for rules of the firewall");
    }
    let named = Named::new("redirect");
    let rules = "table ip n { chain p { type nat hook prerouting priority -100; tcp dport 42100 redirect to :42101; \
                 ip daddr 127.0.0.1 udp dport { 53, 60-61 } dnat to 10.9.8.7:5353; \
                 ip daddr 192.0.2.99 tcp dport 1 dnat to 10.9.8.7:1; }; }";
    ip(&["netns", "exec", &named.0, "nft", rules]);
    let Some(_listener) = named.hold("tcp4 port=42101") else { return };
    let inside = || portscope(["-tu", "--json"]).under(["ip", "netns", "exec", &named.0]);
    let report = inside().success().json();
    assert_eq!(report["visibility"]["redirects_checked"], true);
    let rows = report["sockets"].as_array().unwrap();
    let mut redirects: Vec<String> = rows
        .iter()
        .filter(|row| row["state"] == "REDIRECT")
        .map(|row| {
            let to = &row["forward"]["to"];
            let (local, address) = (row["local"]["address"].as_str().unwrap(), to["address"].as_str().unwrap());
            format!("{local}:{} {address}:{}", row["local"]["port"], to["port"])
        })
        .collect();
    redirects.sort();
    assert_eq!(
        redirects,
        ["0.0.0.0:42100 0.0.0.0:42101",],
        "nothing comes from outside for 127.0.0.1, and 192.0.2.99 is no address of this host"
    );
    let redirected = rows.iter().find(|row| row["local"]["port"] == 42100).unwrap();
    assert_eq!((&redirected["owner"]["tier"], &redirected["owner"]["reason"]), (&"none".into(), &"redirected".into()));
    let table = portscope(["-l", "42100-42101"]).under(["ip", "netns", "exec", &named.0]).success().stdout;
    let row = table.lines().find(|line| line.contains("42100")).unwrap_or_else(|| panic!("{table}"));
    assert!(row.contains("REDIRECT") && row.contains("→ :42101"), "{table}");
    assert!(table.contains("1 listening · 1 redirected"), "{table}");

    let report = inside().arg("--no-helpers").success().json();
    assert_eq!(report["visibility"]["redirects_checked"], false);
    let reasons = report["visibility"]["reasons"].as_array().unwrap();
    assert!(reasons.iter().any(|gap| gap["missing"] == "redirects" && gap["reason"] == "not-looked-for"), "{report:#}");
    // Without the right to read them that is said, and nothing is invented.
    let binary = ReachableBinary::new();
    let by_nobody = portscope(["-tu", "--json"]).run_by_nobody(&binary).under(["ip", "netns", "exec", &named.0]);
    let report = by_nobody.success().json();
    assert_eq!(report["visibility"]["redirects_checked"], false);
}

#[test]
fn two_hundred_spaces_are_listed_like_one() {
    if !is_root() {
        return skip("needs root to make network namespaces");
    }
    let Some(scene) = Scene::start("netns n=200 port=8086") else { return };
    let report = portscope(["--space", "all", "--json", "8086"]).success().json();
    for made in scene.sockets() {
        assert_eq!(with_inode(&report, &made["inode"]).len(), 1, "{made}");
    }
    assert_eq!(scene.sockets().len(), 200);
}

#[test]
fn a_unit_with_a_network_of_its_own_is_a_space() {
    in_group("portscope-test.service", "netns n=1 port=8087", |scene| {
        let report = portscope(["--space", "portscope-test.service", "--json"]).success().json();
        let row = with_inode(&report, &scene.sockets()[0]["inode"])[0].clone();
        assert_eq!(report["spaces"][0]["kind"], "unit");
        assert_eq!(row["owner"]["unit"], "portscope-test.service", "units of processes are told on version 1 too");
    });
}

#[test]
fn a_label_that_a_user_could_have_made_up_is_only_shown() {
    // A cgroup named like a container of Docker, with a process in a namespace of its own.
    let id = "feedface".repeat(8);
    in_group(&format!("docker-{id}.scope"), "netns n=1 port=8085", |scene| {
        let report = portscope(["--json", "8085"]).success().json();
        let row = with_inode(&report, &scene.sockets()[0]["inode"])[0].clone();
        let space = report["spaces"].as_array().unwrap().iter().find(|space| space["id"] == row["space"]).unwrap();
        assert_eq!((&space["kind"], &space["label"]), (&"container".into(), &id[..12].into()));
        assert_eq!(space["containers"][0]["name"], Value::Null, "no runtime knows it");
        assert_eq!(row["owner"]["container"]["id"], id);
    });
}
