//! `portscope events` against ports that the test opens and closes itself.
#![cfg(target_os = "linux")]
#![allow(clippy::pedantic, reason = "test code reads better without its ceremonies")]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::process::{Command, Stdio};

use serde_json::Value;
use support::scene::in_group;
use support::stream::{Stream, is, json, listener_at, needs_root, pids};
use support::{Kept, eventually, portscope, start};

#[test]
fn root_is_told_of_listeners_and_receivers_of_both_families_with_the_process_that_opened_them() {
    if !needs_root() {
        return;
    }
    let _initial = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let mut stream = Stream::start(json());
    let listeners = [TcpListener::bind(("127.0.0.1", 0)).unwrap(), TcpListener::bind(("::1", 0)).unwrap()];
    let receivers = [UdpSocket::bind(("127.0.0.1", 0)).unwrap(), UdpSocket::bind(("::1", 0)).unwrap()];
    let dual = TcpListener::bind(("::", 0)).unwrap();
    let mut ports: Vec<u16> = listeners.iter().map(|socket| socket.local_addr().unwrap().port()).collect();
    ports.push(dual.local_addr().unwrap().port());
    ports.extend(receivers.iter().map(|socket| socket.local_addr().unwrap().port()));
    let mut left: BTreeSet<u16> = ports.iter().copied().collect();
    while !left.is_empty() {
        let opened = stream.until("an opening", |event| {
            event["event"] == "opened"
                && left.iter().any(|port| is(event, "opened", *port))
                && event["owner"]["processes"][0]["pid"] == std::process::id()
        });
        assert_eq!(opened["seen"], "kernel", "{opened:#}");
        let tracepoint = if opened["protocol"] == "tcp" { "inet_sock_set_state" } else { "sys_exit_bind" };
        assert_eq!(opened["tracepoint"], tracepoint, "{opened:#}");
        assert_eq!(opened["schema"], "portscope-event/1");
        left.remove(&(opened["local"]["port"].as_u64().unwrap() as u16));
    }
    drop((listeners, receivers, dual));
    let mut left: BTreeSet<u16> = ports.into_iter().collect();
    while !left.is_empty() {
        let closed = stream.until("a closing", |event| {
            event["event"] == "closed" && left.iter().any(|port| is(event, "closed", *port))
        });
        assert!(closed["open_for_ms"].is_u64(), "{closed:#}");
        assert_ne!(closed["seen"], "poll", "{closed:#}");
        assert_eq!(closed["tracepoint"].is_null(), closed["seen"] == "netlink", "{closed:#}");
        left.remove(&(closed["local"]["port"].as_u64().unwrap() as u16));
    }
    stream.end();
}

#[test]
fn a_connection_that_is_accepted_closes_no_port() {
    if !needs_root() {
        return;
    }
    let mut stream = Stream::start(json());
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    stream.until("the opening", |event| is(event, "opened", port));
    for _ in 0..3 {
        let _client = TcpStream::connect(("127.0.0.1", port)).unwrap();
        listener.accept().unwrap();
    }
    let _other = listener_at("127.77.3.1");
    let is_last = |event: &Value| event["local"]["address"] == "127.77.3.1";
    let next = stream.until("what comes next", |event| is(event, "closed", port) || is_last(event));
    assert_eq!(next["event"], "opened", "{next:#}");
    stream.end();
}

#[test]
fn a_port_is_open_until_its_listener_is_closed_however_many_connections_it_takes() {
    if !needs_root() {
        return;
    }
    let _initial = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let mut stream = Stream::start(json());
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    for _ in 0..20 {
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        drop((client, listener.accept().unwrap()));
    }
    drop(listener);
    let _last = listener_at("127.77.4.1");
    let mut closed = 0;
    while let Some(event) = stream.next().filter(|event| event["local"]["address"] != "127.77.4.1") {
        closed += u32::from(is(&event, "closed", port));
    }
    assert_eq!(closed, 1);
    stream.end();
}

#[test]
fn a_bind_that_is_followed_by_listen_is_one_event_and_a_group_of_reuseport_is_told_apart() {
    if !needs_root() {
        return;
    }
    let _initial = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let mut stream = Stream::start(json());
    let listener = |port: u16| {
        let socket =
            rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM, None).unwrap();
        rustix::net::sockopt::set_socket_reuseport(&socket, true).unwrap();
        let address: std::net::SocketAddrV4 = format!("127.0.0.1:{port}").parse().unwrap();
        rustix::net::bind(&socket, &address).unwrap();
        rustix::net::listen(&socket, 8).unwrap();
        TcpListener::from(socket)
    };
    let first = listener(0);
    let port = first.local_addr().unwrap().port();
    let others = [listener(port), listener(port)];
    let last = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let mark = last.local_addr().unwrap().port();
    let mut cookies = Vec::new();
    stream.until("the last one", |event| {
        if is(event, "opened", port) {
            cookies.push(event["cookie"].as_u64().unwrap());
        }
        is(event, "opened", mark)
    });
    let distinct: BTreeSet<u64> = cookies.iter().copied().collect();
    assert_eq!((cookies.len(), distinct.len()), (3, 3));
    drop(others);
    for _ in 0..2 {
        let closed = stream.until("a closing", |event| is(event, "closed", port));
        assert!(closed["cookie"].as_u64().is_some_and(|cookie| distinct.contains(&cookie) && cookie != cookies[0]));
    }
    stream.end();
}

#[test]
fn a_listener_of_another_namespace_is_told_to_root_with_its_space() {
    if !needs_root() {
        return;
    }
    let _initial = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let mut stream = Stream::start(json());
    let mut other = Command::new("unshare");
    other.args([
        "--net",
        "python3",
        "-c",
        "import socket,sys\ns=socket.socket()\ns.bind(('0.0.0.0',4321))\ns.listen()\nsys.stdin.read()",
    ]);
    let mut child = Kept(start(other.stdin(Stdio::piped())));
    let opened = stream.until("the opening", |event| is(event, "opened", 4321));
    let space = opened["space"].as_u64().unwrap();
    let own = fs::read_link("/proc/self/ns/net").unwrap().to_string_lossy().into_owned();
    assert!(!own.contains(&space.to_string()), "{opened:#}");
    drop(child.0.stdin.take());
    let closed = stream.until("the closing", |event| is(event, "closed", 4321));
    assert_eq!(closed["space"], space);
    stream.end();
}

#[test]
fn what_lasts_is_told_to_everybody_by_looking_at_the_table() {
    let _initial = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let mut stream = Stream::start(json().args(["--poll", "--interval", "50ms"]));
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let opened = stream.until("the opening", |event| is(event, "opened", port));
    assert_eq!((opened["seen"].as_str(), pids(&opened["owner"])), (Some("poll"), vec![u64::from(std::process::id())]));
    drop(listener);
    let closed = stream.until("the closing", |event| is(event, "closed", port));
    assert_eq!(closed["seen"], "poll");
    stream.end();
}

#[test]
fn a_port_of_a_container_is_told_to_root_with_the_container() {
    if !needs_root() {
        return;
    }
    let _initial = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let mut stream = Stream::start(json());
    let id = "facade00".repeat(8);
    in_group(&format!("docker-{id}.scope"), "netns n=1 port=8083", |scene| {
        let opened = stream.until("the opening", |event| is(event, "opened", 8083));
        assert_eq!(opened["owner"]["container"]["id"], id, "{opened:#}");
        assert_eq!((&opened["inode"], opened["seen"].as_str()), (&scene.sockets()[0]["inode"], Some("kernel")));
    });
    let closed = stream.until("the closing", |event| is(event, "closed", 8083));
    assert_eq!(closed["owner"]["container"]["id"], id, "{closed:#}");
    stream.end();
}

#[test]
fn connections_are_told_when_they_are_asked_for() {
    if !needs_root() {
        return;
    }
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut stream = Stream::start(json().arg("--connections"));
    let client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let own = client.local_addr().unwrap().port();
    let connected = stream.until("the connection", |event| is(event, "connected", own));
    assert_eq!(connected["peer"]["port"], port);
    assert_eq!(pids(&connected["owner"]), [u64::from(std::process::id())]);
    drop(client);
    drop(listener.accept());
    stream.until("its end", |event| event["event"] == "disconnected" && event["peer"]["port"] == port);
    stream.end();
}

#[test]
fn nothing_stays_attached_and_little_may_be_done_once_it_runs() {
    if !needs_root() {
        return;
    }
    let _initial = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let stream = Stream::start(json());
    let pid = stream.child.pid();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap().trim();
    let effective = u64::from_str_radix(effective, 16).unwrap();
    // DAC_READ_SEARCH, SETGID, SETUID, SYS_PTRACE, SYS_ADMIN.
    let kept = 1 << 2 | 1 << 6 | 1 << 7 | 1 << 19 | 1 << 21;
    assert_eq!(effective & !kept, 0, "{effective:x}");
    let programs = || {
        let held = fs::read_dir(format!("/proc/{pid}/fdinfo")).into_iter().flatten().flatten();
        held.filter(|file| fs::read_to_string(file.path()).is_ok_and(|text| text.contains("prog_tag"))).count()
    };
    assert!(programs() >= 1);
    stream.end();
    assert_eq!(programs(), 0);
}

#[test]
fn every_event_is_as_the_schema_says() {
    let schema = portscope(["schema", "events"]).success().json();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let _initial = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let output = portscope(["events", "-o", "ndjson", "--initial", "--for", "2s"]).any_stderr().success();
    assert!(!output.stdout.is_empty());
    for line in output.stdout.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        let errors: Vec<String> = validator.iter_errors(&event).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?}: {line}");
    }
}

#[test]
fn it_ends_after_its_time_and_after_its_count() {
    let _initial = [TcpListener::bind(("127.0.0.1", 0)).unwrap(), TcpListener::bind(("127.0.0.1", 0)).unwrap()];
    let output = portscope(["events", "--initial", "--count", "2", "--for", "60s"]).any_stderr().success();
    assert_eq!(output.stdout.lines().count(), 2);
    eventually("it ends in time", || {
        portscope(["events", "--for", "300ms", "--kind", "lost"]).any_stderr().output().status.success().then_some(())
    });
}
