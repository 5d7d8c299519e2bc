//! What `portscope events` says was in the way of a bind that failed.
#![cfg(target_os = "linux")]
#![allow(clippy::pedantic, reason = "test code reads better without its ceremonies")]

mod support;

use std::io::Read;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;

use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use serde_json::Value;
use support::netns::OwnSpace;
use support::stream::{Stream, json, needs_root, pids};

/// A listener that has not set `SO_REUSEADDR`, unlike those of the standard library.
fn plain_listener(address: &str) -> (TcpListener, u16) {
    let address: SocketAddr = address.parse().unwrap();
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = rustix::net::socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
    if family == AddressFamily::INET6 {
        sockopt::set_ipv6_v6only(&socket, false).unwrap();
    }
    rustix::net::bind(&socket, &address).unwrap();
    rustix::net::listen(&socket, 8).unwrap();
    let listener = TcpListener::from(socket);
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// A connection of a listener: its end that was accepted, and the other one.
fn connected(listener: &TcpListener) -> [TcpStream; 2] {
    let client = TcpStream::connect(("127.0.0.1", listener.local_addr().unwrap().port())).unwrap();
    [listener.accept().unwrap().0, client]
}

/// Has a real server try to get the port, which it must not.
fn http_server(port: u16, address: &str) -> Command {
    let mut server = Command::new("python3");
    server.args(["-m", "http.server", &port.to_string(), "--bind", address]);
    server
}

fn fails(mut server: Command) {
    let output = support::output(&mut server);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("Address already in use"), "{said}");
}

/// The one thing that was in the way of a bind to the port.
fn blocker(stream: &mut Stream, port: u16) -> Value {
    let failed = stream.until("the failure", |event| event["event"] == "bind-failed" && event["local"]["port"] == port);
    assert_eq!(failed["errno"], "EADDRINUSE");
    assert!(failed["owner"]["processes"][0]["name"].as_str().unwrap().starts_with("python3"), "{failed:#}");
    let blockers = failed["blocked_by"].as_array().unwrap();
    assert_eq!(blockers.len(), 1, "{failed:#}");
    blockers[0].clone()
}

/// Says whether this process holds it. A child that another test starts may do so too, until it runs its program.
fn is_ours(owner: &Value) -> bool {
    pids(owner).contains(&u64::from(std::process::id()))
}

#[test]
fn a_bind_that_fails_names_the_listener_that_has_the_port_and_since_when() {
    if !needs_root() {
        return;
    }
    let _initial = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let mut stream = Stream::start(json());
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    fails(http_server(port, "127.0.0.1"));
    let blocker = blocker(&mut stream, port);
    assert_eq!((blocker["state"].as_str(), is_ours(&blocker)), (Some("LISTEN"), true), "{blocker:#}");
    assert!(blocker["since"].is_string(), "{blocker:#}");
    stream.end();
}

#[test]
fn a_dual_stack_listener_is_named_as_what_is_in_the_way_of_ipv4() {
    if !needs_root() {
        return;
    }
    let (_taken, port) = plain_listener("[::]:0");
    let mut stream = Stream::start(json().arg(port));
    fails(http_server(port, "0.0.0.0"));
    let blocker = blocker(&mut stream, port);
    assert_eq!((blocker["local"]["address"].as_str(), is_ours(&blocker)), (Some("::"), true), "{blocker:#}");
    stream.end();
}

#[test]
fn connections_of_a_server_that_listens_no_more_are_named_with_who_holds_them() {
    if !needs_root() {
        return;
    }
    let _initial = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let (listener, port) = plain_listener("127.0.0.1:0");
    let _connections = [connected(&listener), connected(&listener)];
    drop(listener);
    let mut stream = Stream::start(json());
    fails(http_server(port, "127.0.0.1"));
    let blocker = blocker(&mut stream, port);
    assert_eq!((blocker["state"].as_str(), is_ours(&blocker)), (Some("ESTABLISHED"), true), "{blocker:#}");
    stream.end();
}

/// Leaves a connection in TIME_WAIT on a port on which nothing listens any more.
fn in_time_wait() -> u16 {
    let (listener, port) = plain_listener("127.0.0.1:0");
    let [accepted, mut client] = connected(&listener);
    drop(accepted);
    // The side that closes first waits.
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
    port
}

#[test]
fn what_waits_for_its_end_is_named_as_such() {
    if !needs_root() {
        return;
    }
    let _initial = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let mut stream = Stream::start(json());
    let port = in_time_wait();
    fails(http_server(port, "127.0.0.1"));
    let blocker = blocker(&mut stream, port);
    assert_eq!(blocker["state"], "TIME_WAIT");
    assert_eq!((blocker["tier"].as_str(), blocker["reason"].as_str()), (Some("none"), Some("time-wait")));
    stream.end();
}

#[test]
fn what_is_in_the_way_is_named_in_another_namespace_too() {
    let Some(space) = OwnSpace::new("true") else { return };
    let _initial = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let mut stream = Stream::start(json());
    let port = space.run(in_time_wait);
    let mut server = Command::new("nsenter");
    server.args(&space.inside()[1..]).arg("python3");
    server.args(["-m", "http.server", &port.to_string(), "--bind", "127.0.0.1"]);
    fails(server);
    assert_eq!(blocker(&mut stream, port)["state"], "TIME_WAIT");
    stream.end();
}

#[test]
fn each_of_hundreds_of_ports_that_fail_at_once_is_looked_up() {
    if !needs_root() {
        return;
    }
    let _initial = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let mut stream = Stream::start(json());
    let mut ports: Vec<u16> = (0..300).map(|_| in_time_wait()).collect();
    let asked: Vec<String> = ports.iter().map(u16::to_string).collect();
    let script = "import socket, sys\nfor port in sys.argv[1:]:\n    try: socket.socket().bind(('127.0.0.1', int(port)))\n    except OSError: pass";
    let output = support::output(Command::new("python3").args(["-c", script]).args(&asked));
    assert!(output.status.success());
    while !ports.is_empty() {
        let failed = stream.until("a failure", |event| {
            event["event"] == "bind-failed" && ports.iter().any(|port| event["local"]["port"] == *port)
        });
        assert_eq!(failed["blocked_by"][0]["state"], "TIME_WAIT", "{failed:#}");
        ports.retain(|port| failed["local"]["port"] != *port);
    }
    stream.end();
}
