//! What a user without privileges sees and reads.

mod support;

use std::net::TcpListener;
use std::process::Command;

use support::{ReachableBinary, eventually, hold, is_root, pids, portscope, skip, ss};

#[test]
fn every_socket_is_listed_and_hidden_owners_are_counted() {
    if !is_root() {
        return skip("needs root to become another user");
    }
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let binary = ReachableBinary::new();

    let report = portscope(["--json"]).arg(port).run_by_nobody(&binary).success().json();
    let socket = &report["sockets"][0];
    assert_eq!(socket["uid"], 0);
    assert_eq!(socket["user"], "root");
    assert_eq!(socket["owner"]["tier"], "user");
    assert_eq!(socket["owner"]["reason"], "permission");
    assert_eq!(report["visibility"]["complete"], false);
    assert_eq!(report["visibility"]["hidden_owners"], 1);
    let hint = format!("sudo {}", binary.path().display());
    let reason = &report["visibility"]["reasons"][0];
    assert_eq!(reason["missing"], "owners");
    assert!(reason["hint"].as_str().unwrap().contains(&hint), "{reason}");

    let output = portscope(["-H"]).arg(port).run_by_nobody(&binary).stderr_contains(&hint).success();
    assert!(output.stdout.contains("(hidden)") && output.stdout.contains("root"), "{}", output.stdout);
    assert!(output.stderr.contains("can't see who owns 1 of 1 socket:"), "{}", output.stderr);
    assert!(output.stderr.ends_with(&format!("\nhint: to see them: {hint}\n")), "{}", output.stderr);

    let _ = portscope(["--strict", "--json"]).arg(port).run_by_nobody(&binary).exits(3);

    let all = || portscope(["--json", "-a"]).run_by_nobody(&binary).success().sockets();
    eventually("agreement with ss", || {
        let before = ss::list("-tan");
        let ours = ss::of_report(&all(), true);
        (before == ss::list("-tan") && ss::difference(&ours, &before).is_none()).then_some(())
    });
}

#[test]
fn a_users_own_processes_are_seen_without_root() {
    if !is_root() {
        return skip("needs root to become another user");
    }
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let holder = hold(Command::new("setpriv").args(["--reuid", "65534", "--clear-groups", "sleep", "1000"]), listener);
    let binary = ReachableBinary::new();
    let socket = eventually("the holder has changed its user", || {
        let socket = portscope(["--json"]).arg(port).run_by_nobody(&binary).success().only_socket();
        (socket["owner"]["tier"] == "process").then_some(socket)
    });
    assert_eq!(pids(&socket), [holder.pid()]);
    assert_eq!(socket["owner"]["processes"][0]["uid"], 65534);
    assert_eq!(socket["uid"], 0, "the user that made the socket, not the one that holds it");
}
