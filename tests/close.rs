//! `portscope close` on sockets of the test's own.

mod support;

use std::io::{ErrorKind, Read};
use std::net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketType};
use support::scene::Scene;
use support::{ReachableBinary, holding, is_root, portscope, skip};

fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// Says whether this system and user can; else why not.
fn can_close() -> bool {
    if !is_root() {
        skip("needs CAP_NET_ADMIN");
        return false;
    }
    let (_listener, port) = listener();
    let output = portscope(["close", "--yes"]).arg(port).output();
    let stderr = String::from_utf8_lossy(&output.stderr);
    if stderr.contains("CONFIG_INET_DIAG_DESTROY") || stderr.contains("CAP_NET_ADMIN") {
        skip(stderr.trim());
        return false;
    }
    true
}

#[test]
fn a_listener_is_destroyed_and_its_process_lives_on() {
    if !can_close() {
        return;
    }
    let (listener, port) = listener();
    let mut child = holding(listener);
    let pid = child.pid();
    let output = portscope(["close", "--yes"]).arg(port).success();
    assert_eq!(
        output.stdout,
        format!(
            "tcp 127.0.0.1:{port} LISTEN ({pid} sleep)\n\
             tcp 127.0.0.1:{port} LISTEN: destroyed\n"
        )
    );
    assert!(child.0.try_wait().unwrap().is_none());
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    // The kernel had chosen the port and has taken it back.
    assert_eq!(
        portscope(["wait", "--free", "--timeout", "0s"]).arg(port).success().stdout,
        format!("tcp {port} is free\n")
    );
}

#[test]
fn a_port_that_was_asked_for_by_number_is_said_to_stay_bound() {
    if !can_close() {
        return;
    }
    let (first, port) = listener();
    support::close(first);
    let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) else { return skip("the port was taken by another") };
    let child = holding(listener);
    let output = portscope(["close", "--yes"]).arg(port).success();
    let told = format!(
        ": destroyed; {} sleep keeps 127.0.0.1:{port} bound until it closes its descriptor or ends\n",
        child.pid()
    );
    assert!(output.stdout.ends_with(&told), "{}", output.stdout);
    // A server that sets SO_REUSEADDR, as the standard library does, can bind beside it; a plain bind cannot.
    let _ = portscope(["wait", "--free", "--timeout", "0s"]).arg(port).success();
    let plain = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    let taken = rustix::net::bind(&plain, &SocketAddr::from(([127, 0, 0, 1], port)));
    assert_eq!(taken, Err(rustix::io::Errno::ADDRINUSE));
}

#[test]
fn the_connections_of_one_peer_are_destroyed_and_no_others() {
    if !can_close() {
        return;
    }
    for address in ["127.0.0.1", "::1"] {
        let listener = TcpListener::bind((address, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut meant = TcpStream::connect((address, port)).unwrap();
        let mut spared = TcpStream::connect((address, port)).unwrap();
        let _accepted = [listener.accept().unwrap(), listener.accept().unwrap()];
        let peer = format!(":{}", meant.local_addr().unwrap().port());
        let output = portscope(["close", "--yes", "--peer", &peer]).arg(port).success();
        assert_eq!(output.stdout.matches(": destroyed\n").count(), 1, "{}", output.stdout);
        assert!(output.stdout.contains("ESTABLISHED with "), "{}", output.stdout);
        assert_eq!(meant.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
        spared.set_nonblocking(true).unwrap();
        assert_eq!(spared.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        let output = portscope(["close", "--yes", "--clients"]).arg(port).success();
        assert_eq!(output.stdout.matches(": destroyed\n").count(), 1, "{}", output.stdout);
        assert!(TcpStream::connect((address, port)).is_ok(), "the listener is spared");
    }
}

#[test]
fn an_ipv4_connection_of_an_ipv6_socket_is_found() {
    if !can_close() {
        return;
    }
    let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let _accepted = listener.accept().unwrap();
    let output = portscope(["close", "--yes", "--clients"]).arg(port).success();
    assert!(output.stdout.contains("127.0.0.1:") && !output.stdout.contains("ffff"), "{}", output.stdout);
    // Either end of the same connection may be met first: the other one is reset by it.
    assert_eq!(client.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[test]
fn every_listener_of_a_group_is_destroyed() {
    if !can_close() {
        return;
    }
    let Some(scene) = Scene::start("reuseport-same n=8") else { return };
    let port = scene.sockets()[0]["port"].clone();
    let output = portscope(["close", "--yes"]).arg(&port).success();
    assert_eq!(output.stdout.matches(": destroyed").count(), 8, "{}", output.stdout);
    let listening = portscope(["-l", "--json"]).arg(&port).success().sockets();
    assert_eq!(listening.len(), 0, "{listening:?}");
}

#[test]
fn udp_is_destroyed_when_it_is_asked_for() {
    if !can_close() {
        return;
    }
    let socket = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    let port = socket.local_addr().unwrap().port();
    let nobody = format!("portscope: nothing is listening on tcp {port}\n");
    assert_eq!(portscope(["close", "--yes"]).arg(port).stderr_contains(&nobody).exits(1).stderr, nobody);
    let output = portscope(["close", "-u", "--yes"]).arg(port).success();
    assert!(output.stdout.ends_with(&format!("udp 127.0.0.1:{port} UNCONN: destroyed\n")), "{}", output.stdout);
    assert_eq!(socket.recv(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionAborted);
}

#[test]
fn nothing_is_done_in_a_dry_run_or_where_nobody_agrees() {
    let (listener, port) = listener();
    let line = format!("tcp 127.0.0.1:{port} LISTEN (");
    let output = portscope(["close", "--dry-run"]).arg(port).success();
    assert!(output.stdout.starts_with(&line) && output.stdout.ends_with("(--dry-run)\n"), "{}", output.stdout);
    let asked = "not a terminal, so nothing was done: use --yes to confirm\n";
    let _ = portscope(["close"]).arg(port).stderr_contains(asked).exits(2);
    let mut run = portscope(["close"]).arg(port).at_terminal();
    run.sees("Destroy 1 socket? [y/N] ");
    run.types("\n");
    assert_eq!(run.ends().0, 1);
    assert!(TcpStream::connect(("127.0.0.1", port)).is_ok());
    drop(OwnedFd::from(listener));
}

#[test]
fn a_user_without_the_right_is_told_so_in_one_line() {
    if !is_root() {
        return skip("needs root to become another user");
    }
    let (_listener, port) = listener();
    let binary = ReachableBinary::new();
    let output = portscope(["close", "--yes"]).arg(port).run_by_nobody(&binary).any_stderr().exits(1);
    let told = format!(
        "portscope: destroying a socket requires root or CAP_NET_ADMIN; nothing was done\nhint: sudo {} close {port}\n",
        binary.path().display()
    );
    assert_eq!(output.stderr, told);
    assert!(TcpStream::connect(("127.0.0.1", port)).is_ok());
}

#[test]
fn a_mistake_is_one_line_and_exit_2() {
    for (arguments, message) in [
        (&["close"][..], "no port was named: expected `portscope close PORT`"),
        (&["close", "127.0.0.1"], "`127.0.0.1` is not a port: expected a port (8080, 53/udp, 8000-8100), ADDR:PORT"),
        (&["close", "1", "--peer", "x"], "--peer: `x` is not a peer: expected ADDR, ADDR/BITS"),
    ] {
        let stderr = portscope(arguments.iter().copied()).any_stderr().exits(2).stderr;
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(stderr.starts_with(&format!("portscope: {message}")), "{arguments:?}: {stderr}");
    }
}
