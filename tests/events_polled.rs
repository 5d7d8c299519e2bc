//! What `portscope events` sees by looking at the table, and where the better ways are refused.
#![cfg(target_os = "linux")]
#![allow(clippy::pedantic, reason = "test code reads better without its ceremonies")]

mod support;

use std::io::{BufRead, BufReader};
use std::net::{TcpListener, UdpSocket};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use support::stream::{Stream, is, json, needs_root, pids};
use support::{Kept, ReachableBinary, eventually, is_root, portscope, skip, start};

/// The port that the child has written.
fn port_of(child: &mut Kept) -> u16 {
    let mut line = String::new();
    BufReader::new(child.0.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    line.trim().parse().unwrap()
}

#[test]
fn another_program_that_holds_the_same_socket_is_told_within_the_time_that_the_manual_names() {
    let _initial = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let mut stream = Stream::start(json());
    let script = "import os, socket, sys\n\
                  s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(); s.set_inheritable(True)\n\
                  print(s.getsockname()[1], flush=True)\n\
                  sys.stdin.readline()\n\
                  os.execvp('sleep', ['sleep', '1000'])";
    let mut command = Command::new("python3");
    let mut child = Kept(start(command.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped())));
    let port = port_of(&mut child);
    stream.until("the opening", |event| is(event, "opened", port));
    // A look that sees the first program has to come before the other one: what only a look shows says that it has.
    let client = rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::DGRAM, None).unwrap();
    let to: std::net::SocketAddr = "127.0.0.1:9".parse().unwrap();
    rustix::net::sendto(&client, b"x", rustix::net::SendFlags::empty(), &to).unwrap();
    let client = UdpSocket::from(client);
    let chosen = client.local_addr().unwrap().port();
    stream.until("what is seen by looking alone", |event| is(event, "opened", chosen) && event["seen"] == "poll");
    drop(child.0.stdin.take());
    let began = Instant::now();
    let changed = stream.until("the other owner", |event| is(event, "owner-changed", port));
    assert_eq!(pids(&changed["owner"]), [u64::from(child.pid())]);
    assert_eq!(
        (changed["owner"]["processes"][0]["name"].as_str(), changed["seen"].as_str()),
        (Some("sleep"), Some("poll"))
    );
    // Fifteen seconds, and as much again for a machine that is busy.
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    stream.end();
}

#[test]
fn a_port_that_more_can_reach_between_two_looks_is_told_as_such() {
    let _initial = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let loopback = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = loopback.local_addr().unwrap().port();
    let mut stream = Stream::start(json().arg(port));
    drop(loopback);
    // A process that another test starts at this moment has the listener too, until it runs its program.
    let _any = eventually("the port to be free", || TcpListener::bind(("0.0.0.0", port)).ok());
    let widened = stream.until("the widening", |event| is(event, "exposure-widened", port));
    assert_eq!((widened["local"]["address"].as_str(), widened["exposure"].as_str()), (Some("0.0.0.0"), Some("any")));
    stream.end();
}

#[test]
fn nobody_is_told_of_a_listener_that_stays_with_its_process_and_then_of_its_end() {
    if !is_root() {
        skip("only root can become somebody else");
        return;
    }
    let reachable = ReachableBinary::new();
    let _initial = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let mut stream = Stream::start(json().run_by_nobody(&reachable));
    // That user may not be able to reach the interpreter, so it becomes that user; then it lets others look at it again.
    let script = "import ctypes, os, socket, sys\n\
                  os.setgroups([]); os.setresuid(65534, 65534, 65534); ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)\n\
                  s = socket.create_server(('127.0.0.1', 0))\n\
                  print(s.getsockname()[1], flush=True)\n\
                  sys.stdin.read()";
    let mut server = Command::new("python3");
    server.args(["-c", script]);
    let mut child = Kept(start(server.stdin(Stdio::piped()).stdout(Stdio::piped())));
    let port = port_of(&mut child);
    let opened = stream.until("the opening", |event| is(event, "opened", port));
    assert_eq!((opened["seen"].as_str(), pids(&opened["owner"])), (Some("poll"), vec![u64::from(child.pid())]));
    drop(child.0.stdin.take());
    let closed = stream.until("the closing", |event| is(event, "closed", port));
    assert_eq!((closed["seen"].as_str(), pids(&closed["owner"])), (Some("netlink"), vec![u64::from(child.pid())]));
    stream.end();
}

/// Runs it where no tracefs can be mounted: /sys/kernel holds nothing but the description of the types.
const WITHOUT_TRACEFS: &str = "set -e; exec 9</sys/kernel/btf; mount -t tmpfs tmpfs /sys/kernel; mkdir /sys/kernel/btf; \
                               mount --no-canonicalize --bind /proc/self/fd/9 /sys/kernel/btf; exec 9<&-; exec \"$0\" \"$@\"";

#[test]
fn where_tracefs_is_refused_failed_binds_are_seen_all_the_same_and_it_says_how() {
    if !needs_root() {
        return;
    }
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let mut stream = Stream::start(json().arg(port).under(["unshare", "-m", "sh", "-c", WITHOUT_TRACEFS]));
    TcpListener::bind(("127.0.0.1", port)).unwrap_err();
    let failed = stream.until("the failure", |event| is(event, "bind-failed", port));
    assert_eq!((failed["errno"].as_str(), failed["seen"].as_str()), (Some("EADDRINUSE"), Some("kernel")));
    assert_eq!(failed["tracepoint"], "sys_exit");
    assert_eq!(pids(&failed["owner"]), [u64::from(std::process::id())]);
    stream.end();
    let told =
        portscope(["events", "--for", "10ms", "--kind", "lost"]).under(["unshare", "-m", "sh", "-c", WITHOUT_TRACEFS]);
    assert_eq!(told.stderr_contains("every system call is checked for bind(2)").success().stdout, "");
    let once = portscope(["events", "-v", "--for", "10ms", "--kind", "lost"]).under([
        "unshare",
        "-m",
        "sh",
        "-c",
        WITHOUT_TRACEFS,
    ]);
    let output = once.stderr_contains("failed binds: BPF programs on every system call").success();
    assert_eq!(output.stdout, "");
}
