//! The hard cases of the Linux engine: sockets of every kind, and how they must be shown.
#![cfg(target_os = "linux")]

#[path = "cases/hidden.rs"]
mod hidden;
mod support;

use std::process::Command;

use serde_json::Value;
use support::netns::OwnSpace;
use support::refused::Refused;
use support::scene::{Scene, all_are_listed, row};
use support::{Folder, ReachableBinary, eventually, is_root, pids, portscope, skip};

/// Everything, no matter what else is hidden on this machine.
fn listing() -> Vec<Value> {
    portscope(["-tu", "--json"]).success().sockets()
}

/// The scene must be listed whole.
fn is_whole(words: &str) -> Option<(Scene, Vec<Value>)> {
    let scene = Scene::start(words)?;
    let rows = listing();
    all_are_listed(&scene, &rows);
    Some((scene, rows))
}

/// The same for a scene that lives in a network namespace of its own.
fn is_whole_inside(words: &str) -> Option<(Scene, Vec<Value>)> {
    let scene = Scene::start(words)?;
    let rows = portscope(["-tu", "--json"]).under(scene.inside()).success().sockets();
    all_are_listed(&scene, &rows);
    Some((scene, rows))
}

/// A root user without the capabilities that the kernel's iterator takes.
const WITHOUT_BPF: [&str; 3] = ["setpriv", "--bounding-set", "-bpf,-perfmon,-sys_admin"];

#[test]
fn a_refused_netlink_falls_to_proc_net_and_says_so() {
    let Some(scene) = Scene::start("established") else { return };
    let Some(run) = portscope(["-tu", "--json"]).without(Refused::Netlink) else { return };
    let report = run.success().json();
    assert_eq!(report["socket_source"], "proc-net");
    let rows = report["sockets"].as_array().unwrap();
    all_are_listed(&scene, rows);
    let listener = row(rows, scene.socket("listener"));
    assert_eq!(
        (&listener["queue"], &listener["v6only"], &listener["cookie"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
    let reasons = report["visibility"]["reasons"].as_array().unwrap();
    let told = reasons.iter().find(|reason| reason["missing"] == "attributes").expect("it says what is missing");
    assert!(told["detail"].as_str().unwrap().contains("netlink access was refused"), "{told}");
    assert_eq!(report["visibility"]["complete"], false);
}

#[test]
fn without_ipv6_there_are_no_ipv6_sockets_and_no_error() {
    if !is_root() {
        return skip("needs root to make a network namespace");
    }
    let script = "sysctl -qw net.ipv6.conf.all.disable_ipv6=1; exec \"$0\" \"$@\"";
    let output = portscope(["-tu6", "--json"]).under(["unshare", "-n", "sh", "-c", script]).success();
    assert_eq!(output.sockets().len(), 0);
}

#[test]
fn a_bound_socket_takes_its_port_without_listening() {
    let Some((scene, rows)) = is_whole("bound") else { return };
    assert_eq!(row(&rows, scene.socket("bound"))["state"], "BOUND");
    let port = &scene.socket("bound")["port"];
    let listed = portscope(["--json", "--state", "bound"]).arg(port).success().only_socket();
    assert_eq!(listed["local"]["port"], *port);
    let nothing = format!("nothing is listening on tcp {port}");
    let output = portscope(["-l"]).arg(port).stderr_contains(&nothing).success();
    assert_eq!(output.stdout, "", "the line on stderr says it");
}

#[test]
fn what_has_no_inode_is_named_for_what_it_is() {
    for (words, note, reason) in [
        ("time-wait", "time-wait", "time-wait"),
        ("unaccepted", "unaccepted", "unaccepted"),
        ("syn-recv", "syn-recv", "handshake"),
        ("orphan", "orphan", "closing"),
        ("fin-wait2 by=close", "fin-wait2", "time-wait"),
    ] {
        let Some((scene, rows)) = is_whole(words) else { continue };
        let row = row(&rows, scene.socket(note));
        assert_eq!(row["owner"]["tier"], "none", "{row}");
        assert_eq!(row["owner"]["reason"], reason, "{row}");
        if matches!(note, "time-wait" | "syn-recv") {
            assert_eq!((&row["uid"], &row["user"]), (&Value::Null, &Value::Null), "the kernel knows no user");
        }
    }
}

#[test]
fn connections_that_wait_are_counted_in_their_listeners_queue() {
    let Some((scene, rows)) = is_whole("unaccepted n=3") else { return };
    let queue = &row(&rows, scene.socket("listener"))["queue"];
    assert_eq!(queue["used"], 3);
    assert!(queue["limit"].as_u64().unwrap() >= 3);
}

#[test]
fn a_client_is_not_called_a_listener() {
    let is_listener = |scene: &Scene, note: &str| {
        let port = &scene.socket(note)["port"];
        let rows = portscope(["-lu", "--json"]).arg(port).success().sockets();
        rows.iter().any(|row| row["inode"] == scene.socket(note)["inode"])
    };
    if let Some((scene, _)) = is_whole("udp-autobound") {
        assert!(!is_listener(&scene, "sender"));
    }
    if let Some((scene, _)) = is_whole("udp-connected") {
        assert!(!is_listener(&scene, "sender"));
    }
    // Any port that was asked for by number is a listener's, inside of the ephemeral range too.
    let free = std::net::UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    if let Some((scene, _)) = is_whole(&format!("udp4 port={port}")) {
        assert!(is_listener(&scene, "receiver"));
    }
}

#[test]
fn sockets_of_other_protocols_are_not_taken_for_tcp_or_udp() {
    let Some(scene) = Scene::start("udplite") else { return };
    let port = &scene.sockets()[0]["port"];
    let rows = portscope(["-tu", "--json"]).arg(port).success().sockets();
    let own: Vec<_> = rows.iter().filter(|row| row["inode"] == scene.sockets()[0]["inode"]).collect();
    assert!(!own.is_empty() && own.iter().all(|row| row["protocol"] == "udplite"), "{rows:#?}");
    let help = portscope(["--help"]).success().stdout;
    assert!(help.contains("TCP (the default)") && help.contains("UDP; -tu for both"), "what is covered is said");
}

#[test]
fn every_subflow_of_mptcp_has_the_owner() {
    let Some((scene, _)) = is_whole_inside("mptcp") else { return };
    assert!(scene.sockets().len() > 3);
}

#[test]
fn every_holder_is_named() {
    let _ = is_whole("fork n=3");
    let _ = is_whole("reuseport n=4");
    let _ = is_whole("reuseport-same n=4");
    let Some((scene, rows)) = is_whole("dup n=4") else { return };
    assert_eq!(row(&rows, scene.socket("listener"))["owner"]["processes"][0]["fds"].as_array().unwrap().len(), 4);
}

#[test]
fn dual_stack_and_v6only_are_told_apart() {
    for (words, v6only) in [("tcp-dual", false), ("tcp-v6only", true), ("tcp-mapped", false), ("tcp6", true)] {
        let Some((scene, rows)) = is_whole(words) else { continue };
        assert_eq!(row(&rows, scene.socket("listener"))["v6only"], v6only, "{words}");
    }
    let Some((scene, rows)) = is_whole("tcp4") else { return };
    assert_eq!(row(&rows, scene.socket("listener"))["v6only"], Value::Null);
}

#[test]
fn the_interface_is_told() {
    if let Some((scene, rows)) = is_whole_inside("two-devices") {
        assert_eq!(row(&rows, scene.socket("device tt0"))["device"], "tt0");
        assert_eq!(row(&rows, scene.socket("device lo"))["device"], "lo");
        assert_eq!(row(&rows, scene.socket("device lo"))["exposure"], "loopback");
    }
    if let Some((scene, rows)) = is_whole_inside("link-local") {
        let row = row(&rows, scene.socket("listener"));
        assert_eq!((&row["device"], &row["exposure"]), (&"tt0".into(), &"link-local".into()));
    }
}

#[test]
fn processes_of_inner_pid_namespaces_have_the_numbers_of_this_one() {
    let _ = is_whole("pidns");
}

#[test]
fn tables_of_single_threads_and_dead_leaders_are_read() {
    for words in ["thread-private", "zombie-leader"] {
        let Some((scene, _)) = is_whole(words) else { continue };
        all_are_listed(&scene, &portscope(["--json"]).under(WITHOUT_BPF).success().sockets());
    }
}

#[test]
fn a_descriptor_on_its_way_is_no_stranger() {
    let Some(scene) = Scene::start("scm") else { return };
    let report = portscope(["--json"]).success().json();
    let refused = report["visibility"]["reasons"].as_array().unwrap().iter().any(|gap| gap["reason"] == "protected");
    let row = row(report["sockets"].as_array().unwrap(), scene.socket("in-flight")).clone();
    // Where a process refuses even root, that one could hold it.
    let expected = if refused { ("user", "protected") } else { ("none", "in-flight") };
    assert_eq!((row["owner"]["tier"].as_str(), row["owner"]["reason"].as_str()), (Some(expected.0), Some(expected.1)));
}

#[test]
fn an_io_uring_is_a_holder() {
    let Some(scene) = Scene::start("io-uring") else { return };
    let holder = scene.sockets()[0].clone();
    for wrapper in [&["env"][..], &WITHOUT_BPF] {
        let rows = portscope(["--json"]).under(wrapper.iter().copied()).success().sockets();
        let row = row(&rows, &holder);
        assert_eq!(row["owner"]["tier"], "process", "{row}");
        assert_eq!(row["owner"]["processes"][0]["fd"], Value::Null, "{row}");
    }
}

#[test]
fn the_sockets_user_and_its_processes_user_are_two_facts() {
    if let Some((scene, rows)) = is_whole("setuid-drop uid=65534") {
        let row = row(&rows, scene.socket("listener"));
        assert_eq!((&row["uid"], &row["owner"]["processes"][0]["uid"]), (&0.into(), &65534.into()));
    }
    if let Some((scene, rows)) = is_whole("uid-listener uid=65534") {
        let row = row(&rows, scene.socket("listener"));
        assert_eq!((&row["uid"], &row["owner"]["processes"][0]["uid"]), (&65534.into(), &65534.into()));
    }
}

#[test]
fn a_user_without_a_number_here_is_unmapped() {
    let Some(scene) = Scene::start("uid-listener uid=12345") else { return };
    let inside = ["unshare", "-U", "-r"];
    let row = portscope(["--json"]).arg(&scene.socket("listener")["port"]).under(inside).success().only_socket();
    assert_eq!((&row["uid"], &row["user"]), (&65534.into(), &"unmapped".into()));
}

#[test]
fn the_service_is_named_before_the_manager_that_activated_it() {
    let Some((scene, rows)) = is_whole("activation") else { return };
    let row = row(&rows, scene.socket("listener"));
    assert_eq!(pids(row).len(), 2);
}

#[test]
fn names_are_told_byte_by_byte_and_harm_nothing() {
    if let Some((_, _)) = is_whole("evil-comm") {
        let output = portscope(["-H"]).any_stderr().success();
        assert!(!output.stdout.contains('\u{1b}'), "{:?}", output.stdout);
    }
    let _ = is_whole("deleted-exe");
    let _ = is_whole("memfd-exe");
    let _ = is_whole("evil-exe");
    let Some(scene) = Scene::start("evil-argv") else { return };
    let port = scene.socket("listener")["port"].clone();
    let row = portscope(["--json", "--argv"]).arg(&port).success().only_socket();
    let argv = row["owner"]["processes"][0]["argv"].as_array().unwrap();
    assert!(argv.iter().any(|argument| argument == ""), "an empty argument is one: {argv:?}");
    assert!(argv.iter().all(|argument| !argument.as_str().unwrap().contains("hunter2")), "{argv:?}");
    assert!(argv.iter().any(|argument| argument.as_str().unwrap().contains('\n')), "{argv:?}");
}

#[test]
fn a_range_of_the_namespaces_own_is_told() {
    if !is_root() {
        return skip("needs root to make a network namespace");
    }
    let script = "sysctl -qw net.ipv4.ip_local_port_range='1200 1300'; exec \"$0\" \"$@\"";
    let report = portscope(["--json"]).under(["unshare", "-n", "sh", "-c", script]).success().json();
    assert_eq!(report["spaces"][0]["ephemeral"], serde_json::json!([1200, 1300]));
}

#[test]
fn the_start_of_a_process_is_its_own() {
    let Some((scene, rows)) = is_whole("tcp4") else { return };
    let started =
        row(&rows, scene.socket("listener"))["owner"]["processes"][0]["started_at"].as_str().unwrap().to_owned();
    let by_proc = portscope(["--json"]).under(WITHOUT_BPF).success().sockets();
    let by_proc = row(&by_proc, scene.socket("listener"))["owner"]["processes"][0]["started_at"].as_str().unwrap();
    let seconds = |text: &str| text[17..19].parse::<i32>().unwrap();
    assert_eq!(started[..17], by_proc[..17]);
    assert!((seconds(&started) - seconds(by_proc)).abs() <= 1, "{started} {by_proc}");
}

#[test]
fn a_process_that_does_not_answer_holds_nothing_up() {
    let Some((scene, _)) = is_whole("d-state") else { return };
    let before = std::time::Instant::now();
    let row = portscope(["--json", "--argv"]).arg(&scene.socket("listener")["port"]).success().only_socket();
    assert_eq!(row["owner"]["processes"][0]["argv"], Value::Null);
    assert!(before.elapsed() < support::DEADLINE);
}

#[test]
fn the_kernels_iterator_and_the_walk_through_proc_agree() {
    if !is_root() {
        return skip("needs root for the iterator");
    }
    // Of its own, so that nothing else on the machine opens and closes sockets between two looks.
    let Some(space) = OwnSpace::new("") else { return };
    let inside = space.inside();
    let inside: Vec<&str> = inside.iter().map(String::as_str).collect();
    let crowd: Vec<Scene> =
        ["fork n=5", "thread-private", "zombie-leader", "many-fds n=10000", "scm", "io-uring", "dup n=9", "activation"]
            .iter()
            .filter_map(|words| Scene::start_under(&inside, words))
            .collect();
    assert_eq!(crowd.len(), 8);
    let held = |wrapper: &[&str], source: &str| -> Vec<(u64, Vec<u32>, Value)> {
        let wrapper = inside.iter().chain(wrapper).copied();
        let report = portscope(["-tu", "--json"]).under(wrapper).success().json();
        assert_eq!(report["owner_source"], source);
        let rows = report["sockets"].as_array().unwrap();
        let mut held: Vec<_> = rows
            .iter()
            .filter_map(|row| Some((row["inode"].as_u64()?, pids(row), row["owner"]["tier"].clone())))
            .collect();
        held.sort_by_key(|(inode, ..)| *inode);
        held
    };
    eventually("agreement of both ways", || {
        let (first, second) = (held(&["env"], "task-iter"), held(&WITHOUT_BPF, "fd-scan"));
        let many = first.iter().filter(|(_, pids, _)| pids.len() == 1).count();
        (many > 10_000 && first == second && first == held(&["env"], "task-iter")).then_some(())
    });
}
