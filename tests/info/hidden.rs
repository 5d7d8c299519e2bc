//! Owners and ancestors that may not be seen.

use super::*;

#[test]
fn a_hidden_owner_is_said_with_what_would_show_it() {
    if !is_root() {
        return skip("needs root to become another user");
    }
    let (_socket, port) = listener();
    let binary = ReachableBinary::new();
    let hint = format!("to see them: sudo {}", binary.path().display());
    let output = info(port).run_by_nobody(&binary).stderr_contains(&hint).success();
    assert!(output.stdout.contains("  owner     hidden: no permission to see its process\n"), "{}", output.stdout);
    assert!(output.stdout.contains("  user      root (0)\n"), "{}", output.stdout);
    assert_eq!(output.stderr.lines().count(), 2, "{}", output.stderr);
    let report = info(port).arg("--json").run_by_nobody(&binary).success().json();
    assert_eq!((&report["processes"], &report["visibility"]["hidden_owners"]), (&json!([]), &json!(1)));
    let _ = info(port).args(["--json", "--strict"]).run_by_nobody(&binary).exits(3);
}

#[test]
fn ancestors_that_may_not_be_seen_are_said_to_be_there() {
    if !is_root() {
        return skip("needs root for a /proc of its own");
    }
    let (socket, port) = listener();
    let holder = hold(Command::new("setpriv").args(NOBODY).args(["sleep", "1000"]), socket);
    let binary = ReachableBinary::new();
    support::eventually("the holder has changed its user", || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", holder.pid())).unwrap();
        let runs = std::fs::read_to_string(format!("/proc/{}/comm", holder.pid())).unwrap() == "sleep\n";
        (runs && status.contains("Uid:\t65534\t65534")).then_some(())
    });
    // In this /proc a user sees only their own processes: not the test, which is the parent.
    let (words, program) = (NOBODY.join(" "), binary.path());
    let run = format!("mount -t proc -o hidepid=2 proc /proc && exec setpriv {words} {} \"$@\"", program.display());
    let run = info(port).under(["unshare", "-m", "sh", "-c", &run]);
    let text = run.any_stderr().success().stdout;
    assert!(text.contains(&format!("  ancestry  ({}, not seen) → sleep\n", std::process::id())), "{text}");
}
