//! Runs that the system gives too little: no thread, few descriptors, a /proc that is none. The answer is whole, or says
//! what it lacks; it is never a short one.
#![cfg(target_os = "linux")]

mod support;

use std::net::TcpListener;
use std::process::Command;

use serde_json::Value;
use support::refused::Refused;
use support::scene::{Scene, all_are_listed};
use support::{ReachableBinary, Run, is_root, pids, portscope, skip};

/// A user who runs nothing but what a test starts.
const NOBODY_ELSE: &str = "65533";

/// Runs as a user whose only process it is and who may have no further one, nor a thread.
fn without_threads(run: Run, binary: &ReachableBinary) -> Run {
    let words = ["prlimit", "--nproc=1", "setpriv", "--reuid", NOBODY_ELSE, "--clear-groups", "--inh-caps=-all"];
    run.by(binary).under(words)
}

/// Runs with every privilege and without threads or children; nothing where that cannot be arranged.
fn without_threads_as_root(run: Run) -> Option<Run> {
    if !is_root() {
        skip("needs root");
        return None;
    }
    run.without(Refused::Threads)
}

/// Runs with so many descriptors at most.
fn with_descriptors(run: Run, most: usize) -> Run {
    run.under(["sh", "-c", &format!("ulimit -n {most}; exec \"$0\" \"$@\"")])
}

/// The details of what was not seen of a kind.
fn missing(report: &Value, kind: &str) -> Vec<String> {
    let reasons = report["visibility"]["reasons"].as_array().unwrap();
    let of_kind = reasons.iter().filter(|reason| reason["missing"] == kind);
    of_kind.map(|reason| reason["detail"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_user_who_may_have_no_thread_gets_the_same_answers() {
    if !is_root() {
        return skip("needs root to become another user");
    }
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let binary = ReachableBinary::new();
    for (words, code) in [
        (&["-l", port.as_str()][..], 0),
        (&["-l", "--no-helpers"], 0),
        (&["--space", "all"], 0),
        (&["-l", "--backend", "portable"], 0),
        (&["info", port.as_str()], 0),
        (&["spaces"], 0),
        (&["usage"], 0),
        (&["check", port.as_str()], 1),
        (&["free"], 0),
        (&["wait", port.as_str()], 0),
        (&["wait", "--free", "--timeout", "0s", port.as_str()], 1),
        (&["export"], 0),
        (&["snapshot"], 0),
        (&["kill", "--dry-run", port.as_str()], 1),
    ] {
        let output = without_threads(portscope(words), &binary).any_stderr().exits(code);
        assert!(!output.stderr.contains("panicked"), "{}", output.stderr);
    }
    let _ = without_threads(portscope(["audit"]), &binary).any_stderr().exits_with([0, 1]);

    let report = without_threads(portscope(["--json"]).arg(&port), &binary).success().json();
    let socket = &report["sockets"][0];
    assert_eq!((&socket["uid"], &socket["owner"]["tier"]), (&0.into(), &"user".into()), "{socket}");
    // The name service may never answer, so it is asked on a thread of its own or not at all.
    assert_eq!(socket["user"], Value::Null);
    let told = missing(&report, "processes").join("\n");
    assert!(told.contains("user names") && told.contains("cannot start a thread"), "{report:#}");
}

#[test]
fn a_waiting_run_at_a_terminal_takes_no_thread_for_its_sign_of_life() {
    let held = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let Some(run) = without_threads_as_root(portscope(["wait", "--free", "--timeout", "300ms"])) else { return };
    let mut person = run.arg(held.local_addr().unwrap().port()).env("TERM", "xterm").at_terminal();
    person.sees("waiting for tcp");
    let (code, seen) = person.ends();
    assert_eq!(code, 1, "{seen}");
    assert!(!seen.contains("panicked"), "{seen}");
}

#[test]
fn without_threads_holders_and_other_port_spaces_are_found_all_the_same() {
    let (Some(crowd), Some(others)) = (Scene::start("fork n=3"), Scene::start("netns n=3 port=8083")) else { return };
    let Some(run) = without_threads_as_root(portscope(["--space", "all", "-tu", "--json"])) else { return };
    let report = run.success().json();
    let rows = report["sockets"].as_array().unwrap();
    all_are_listed(&crowd, rows);
    // No thread but one of its own may enter a namespace: without one, the tables are read through who lives there.
    for made in others.sockets() {
        let row = rows.iter().find(|row| row["inode"] == made["inode"]).unwrap_or_else(|| panic!("{made}: {report:#}"));
        assert_eq!(Value::from(pids(row)), made["pids"]);
        let space = report["spaces"].as_array().unwrap().iter().find(|space| space["id"] == row["space"]).unwrap();
        assert_eq!(space["source"], "proc-net", "{space}");
    }
    assert_ne!(report["spaces"][0]["source"], "proc-net", "the own one takes no thread");
    let told = missing(&report, "attributes").join("\n");
    assert!(told.contains("cannot enter its network namespace: cannot start a thread"), "{told}");
}

#[test]
fn a_space_that_goes_while_its_tables_are_read_as_text_ends_no_listing() {
    let Some(stable) = Scene::start("netns n=2 port=8085") else { return };
    // Spaces with one listener that end after some milliseconds, at any moment of a listing.
    let churn = "import ctypes, os, socket\n\
                 libc = ctypes.CDLL(None)\n\
                 while True:\n\
                 \x20   child = os.fork()\n\
                 \x20   if child == 0:\n\
                 \x20       libc.unshare(0x40000000)\n\
                 \x20       listener = socket.create_server(('', 8085))\n\
                 \x20       for _ in range(os.getpid() % 16 * 40000): pass\n\
                 \x20       os._exit(0)\n\
                 \x20   os.waitpid(child, 0)\n";
    let start = || support::Kept(support::start(Command::new("python3").args(["-c", churn])));
    let _churn = [start(), start(), start()];
    for _ in 0..30 {
        let Some(run) = without_threads_as_root(portscope(["--space", "all", "--json", "8085"])) else { return };
        let report = run.success().json();
        for made in stable.sockets() {
            let rows = report["sockets"].as_array().unwrap();
            assert_eq!(rows.iter().filter(|row| row["inode"] == made["inode"]).count(), 1, "{report:#}");
        }
    }
}

#[test]
fn a_long_listing_needs_no_further_thread() {
    let Some(_scene) = Scene::start("many-fds n=3000 kind=tcp") else { return };
    for words in [&["-l", "--json"][..], &["-l", "-o", "csv"], &["-l"]] {
        let Some(run) = without_threads_as_root(portscope(words)) else { return };
        let alone = run.any_stderr().success().stdout;
        assert!(alone.matches("127.0.0.1").count() >= 3000, "{words:?}: {} bytes", alone.len());
    }
}

#[test]
fn to_ask_as_another_user_takes_a_thread_and_that_is_said() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    support::close(listener);
    let Some(run) = without_threads_as_root(portscope(["check", "--user", "65534"]).arg(port)) else { return };
    let output = run.any_stderr().exits_with([0, 1, 2]);
    assert!(!output.stderr.contains("panicked"), "{}", output.stderr);
    assert!(format!("{}{}", output.stdout, output.stderr).contains("as uid 65534"), "{output:?}");
}

#[test]
fn a_proc_that_is_no_procfs_is_not_one_without_holders() {
    if !is_root() {
        return skip("needs root to mount over /proc");
    }
    let Some(scene) = Scene::start("tcp4") else { return };
    let port = &scene.socket("listener")["port"];
    let over = ["unshare", "-m", "sh", "-c", "mount -t tmpfs tmpfs /proc && exec \"$0\" \"$@\""];
    let report = portscope(["--json"]).arg(port).under(over).success().json();
    let owner = &report["sockets"][0]["owner"];
    assert_eq!((&owner["tier"], &owner["reason"]), (&"user".into(), &"no-processes".into()), "{report:#}");
    let visibility = &report["visibility"];
    assert_eq!(visibility["complete"], false);
    assert_eq!((&visibility["unseen_spaces"], &visibility["further_spaces"]), (&Value::Null, &Value::Null));
    assert_eq!(visibility["redirects_checked"], false);
    for kind in ["owners", "spaces", "redirects"] {
        let told = missing(&report, kind).join("\n");
        assert!(told.contains("/proc is not a procfs mount"), "{kind}: {told}");
    }
    // The kernel tells the namespace without it.
    let usual = portscope(["--json"]).arg(port).success().json();
    let space = |report: &Value| (report["spaces"][0]["id"].clone(), report["spaces"][0]["kind"].clone());
    assert_eq!(space(&report), space(&usual));

    let table = portscope(["-H"]).arg(port).under(over).stderr_contains("is not a procfs mount").success();
    assert!(table.stdout.contains("(hidden)") && !table.stdout.contains("(not found)"), "{}", table.stdout);
    let _ = portscope(["--strict"]).arg(port).under(over).any_stderr().exits(3);
    let all = portscope(["--space", "all"]).under(over).any_stderr().success().stderr;
    let line = "some port spaces are not listed: other port spaces cannot be found: /proc is not a procfs mount";
    assert_eq!(all.matches(line).count(), 1, "{all}");
    let named = portscope(["--space", "web"]).under(over).any_stderr().exits(2);
    assert_eq!(named.stderr, "portscope: cannot read port space web: /proc is not a procfs mount\n");
}

#[test]
fn a_proc_of_other_processes_names_no_holders() {
    if !is_root() {
        return skip("needs root to make a pid namespace");
    }
    let Some(scene) = Scene::start("tcp4") else { return };
    // A /proc of a pid namespace that has ended its work; this process has no number in it.
    let foreign = "mount --make-rprivate / && unshare -p -f mount -t proc proc /proc && exec \"$0\" \"$@\"";
    let run =
        portscope(["--json"]).arg(&scene.socket("listener")["port"]).under(["unshare", "-m", "sh", "-c", foreign]);
    let report = run.success().json();
    assert_eq!(report["sockets"][0]["owner"]["reason"], "no-processes", "{report:#}");
    let told = missing(&report, "owners").join("\n");
    assert!(told.contains("another PID namespace"), "{told}");
    assert_eq!(report["visibility"]["further_spaces"], Value::Null);
}

#[test]
fn with_too_few_descriptors_there_is_no_answer_but_the_reason() {
    for most in [6, 8, 16, 64] {
        for words in
            [&["-a"][..], &["--space", "all", "--json"], &["--backend", "portable"], &["audit"], &["info", "80"]]
        {
            let output = with_descriptors(portscope(words), most).any_stderr().exits(2);
            assert_eq!(output.stdout, "", "{words:?}");
            let start = "portscope: too few file descriptors: ".to_owned();
            assert!(output.stderr.starts_with(&start), "{}", output.stderr);
            assert!(output.stderr.contains(" more are needed") && output.stderr.lines().count() == 1);
        }
    }
}

#[test]
fn spaces_for_which_no_descriptor_is_left_are_listed_through_their_processes() {
    if !is_root() {
        return skip("needs root to make network namespaces");
    }
    let Some(scene) = Scene::start("netns n=12 port=8084") else { return };
    let run = with_descriptors(portscope(["--space", "all", "--json", "8084"]), 106);
    let report = run.success().json();
    let rows = report["sockets"].as_array().unwrap();
    for made in scene.sockets() {
        let of_it: Vec<&Value> = rows.iter().filter(|row| row["inode"] == made["inode"]).collect();
        assert_eq!(of_it.len(), 1, "{made}: {report:#}");
        assert_eq!(Value::from(pids(of_it[0])), made["pids"]);
    }
    let of_text = report["spaces"].as_array().unwrap().iter().filter(|space| space["source"] == "proc-net").count();
    assert!(of_text >= 6, "{report:#}");
    let told = missing(&report, "attributes").join("\n");
    assert!(told.contains("Too many open files"), "{told}");
}

#[test]
fn spaces_that_only_an_open_file_keeps_are_counted_out_where_none_is_left() {
    if !is_root() {
        return skip("needs root to make network namespaces");
    }
    // A process that keeps twenty namespaces by their files and lives in none of them.
    let keep = "import ctypes, os, sys\n\
                libc = ctypes.CDLL(None, use_errno=True)\n\
                own = os.open('/proc/self/ns/net', os.O_RDONLY)\n\
                kept = []\n\
                for _ in range(20):\n\
                \x20   assert libc.unshare(0x40000000) == 0\n\
                \x20   kept.append(os.open('/proc/self/ns/net', os.O_RDONLY))\n\
                assert libc.setns(own, 0) == 0\n\
                print('ready', flush=True)\n\
                sys.stdin.read()\n";
    let mut command = Command::new("python3");
    command.args(["-c", keep]).stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut keeper = support::Kept(support::start(&mut command));
    let mut ready = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(keeper.0.stdout.take().unwrap()), &mut ready).unwrap();
    assert_eq!(ready, "ready\n");
    // A run of another test that lists all spaces keeps them too, for a moment.
    let kept = |report: &Value| {
        let spaces = report["spaces"].as_array().unwrap();
        spaces.iter().filter(|space| space["label"].as_str().unwrap().starts_with("kept by ")).count()
    };
    let all = portscope(["--space", "all", "--json"]).any_stderr().success().json();
    assert!(kept(&all) >= 20, "{all:#}");
    let few = with_descriptors(portscope(["--space", "all", "--json"]), 112).any_stderr().success().json();
    assert!(kept(&few) < 20, "{few:#}");
    assert_eq!(few["visibility"]["unseen_spaces"], Value::Null);
    let told = missing(&few, "spaces").join("\n");
    assert!(told.contains("were inspected: Too many open files"), "{told}");
}
