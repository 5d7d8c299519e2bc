//! `portscope wait` against sockets that come and go.

mod support;

use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, getsockname, listen, socket_with};
use support::{holding, portscope};

/// A socket that has a port and does not listen yet, so that the port is nobody else's.
fn bound() -> (OwnedFd, u16) {
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
    bind(&socket, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = SocketAddr::try_from(getsockname(&socket).unwrap()).unwrap();
    (socket, address.port())
}

fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

#[test]
fn a_listener_that_appears_ends_the_waiting_and_is_named() {
    let (socket, port) = bound();
    let run = portscope(["wait"]).arg(port).start();
    run.has_looked_several_times();
    listen(&socket, 16).unwrap();
    let output = run.exits(0);
    let own = std::process::id();
    assert!(output.stdout.starts_with(&format!("tcp 127.0.0.1:{port} LISTEN: {own} ")), "{}", output.stdout);
    assert_eq!((output.stdout.lines().count(), output.stderr.as_str()), (1, ""));
}

#[test]
fn a_listener_that_goes_away_leaves_a_free_port() {
    let (listener, port) = listener();
    let run = portscope(["wait", "--free"]).arg(port).start();
    run.has_looked_several_times();
    drop(listener);
    let output = run.exits(0);
    assert_eq!((output.stdout, output.stderr), (format!("tcp {port} is free\n"), String::new()));
}

#[test]
fn no_connection_is_made_to_whoever_is_waited_for() {
    let (listener, port) = listener();
    listener.set_nonblocking(true).unwrap();
    let _ = portscope(["wait"]).arg(port).success();
    assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn a_timeout_says_what_was_seen_instead() {
    let (socket, port) = bound();
    let output = portscope(["wait", "--timeout", "100ms"]).arg(port).any_stderr().exits(1);
    let own = std::process::id();
    let expected = format!(
        "portscope: timed out after 100ms: nothing is listening on tcp {port}: tcp 127.0.0.1:{port} BOUND ({own} wait-"
    );
    assert!(output.stderr.starts_with(&expected), "{}", output.stderr);
    assert_eq!((output.stderr.lines().count(), output.stdout.as_str()), (1, ""));
    support::close(socket);
    let nothing = format!("portscope: nothing is listening on tcp {port}\n");
    let _ = portscope(["wait", "--timeout", "0s"]).arg(port).stderr_contains(&nothing).exits(1);
}

#[test]
fn a_socket_that_is_bound_keeps_a_port_from_being_free() {
    let (_socket, port) = bound();
    let not = format!(
        "tcp {port} is not free: a bind with SO_REUSEADDR fails with EADDRINUSE, because of tcp 127.0.0.1:{port} BOUND"
    );
    let _ = portscope(["wait", "--free", "--timeout", "0s"]).arg(port).stderr_contains(&not).exits(1);
}

#[test]
fn what_is_left_of_connections_counts_only_when_it_is_asked_for() {
    let (listener, port) = listener();
    let client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let (server, _) = listener.accept().unwrap();
    // Closed on the side of the server first, which so keeps TIME_WAIT.
    support::close((server, listener));
    drop(client);
    let output = portscope(["wait", "--free", "--timeout", "0s"]).arg(port).success();
    let line = format!(
        "tcp {port} is free; 1 old connection remains, which only blocks programs that do not set SO_REUSEADDR\n"
    );
    assert_eq!(output.stdout, line);
    let seen = format!("tcp {port} is not free: tcp 127.0.0.1:{port} TIME_WAIT");
    let _ = portscope(["wait", "--free", "--any-state", "--timeout", "0s"]).arg(port).stderr_contains(&seen).exits(1);
}

#[test]
fn a_port_is_free_only_when_a_server_can_have_it() {
    let listener = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    listener.listen(1).unwrap();
    let port = listener.local_addr().unwrap().as_socket().unwrap().port();
    let client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let (accepted, _) = listener.accept().unwrap();
    support::close(listener);
    // Neither the server nor the client has set SO_REUSEADDR, which both sides of a bind must.
    for port in [port, client.local_addr().unwrap().port()] {
        let refused =
            format!("tcp {port} is not free: a bind with SO_REUSEADDR fails with EADDRINUSE, because of tcp ");
        let _ = portscope(["wait", "--free", "--timeout", "0s"]).arg(port).stderr_contains(&refused).exits(1);
        assert!(TcpListener::bind(("127.0.0.1", port)).is_err());
    }
    support::close(accepted);
    drop(client);
    let refused = "is not free: a bind with SO_REUSEADDR fails with EADDRINUSE, because of tcp ";
    let _ = portscope(["wait", "--free", "--timeout", "0s"]).arg(port).stderr_contains(refused).exits(1);
}

#[test]
fn only_the_process_that_is_waited_for_counts() {
    let (listener, port) = listener();
    let wait = || portscope(["wait", "--process", "sleep", "--timeout", "0s"]).arg(port);
    let own = std::process::id();
    let seen = format!("no process named sleep is listening on tcp {port}: tcp 127.0.0.1:{port} LISTEN ({own} ");
    let _ = wait().stderr_contains(&seen).exits(1);
    let holder = holding(listener);
    let output = wait().success();
    assert_eq!(output.stdout, format!("tcp 127.0.0.1:{port} LISTEN: {} sleep\n", holder.pid()));
}

#[test]
fn udp_is_awaited_when_it_is_asked_for() {
    let server = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    let port = server.local_addr().unwrap().port();
    let wait = |flags: &[&str]| portscope(["wait", "--timeout", "0s"]).args(flags).arg(port);
    let output = wait(&["-u"]).success();
    assert!(output.stdout.starts_with(&format!("udp 127.0.0.1:{port} UNCONN: ")), "{}", output.stdout);
    // A socket with a peer waits for nobody else; and TCP has a port of the same number of its own.
    let peer = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    server.connect(peer.local_addr().unwrap()).unwrap();
    let _ = wait(&["-u"])
        .stderr_contains(&format!("nothing is listening on udp {port}: udp 127.0.0.1:{port} EST"))
        .exits(1);
    let _ = wait(&["-u", "--free"]).stderr_contains(&format!("udp {port} is not free")).exits(1);
    assert_eq!(wait(&["-t", "--free"]).success().stdout, format!("tcp {port} is free\n"));
}

#[test]
fn of_several_ports_all_are_awaited_or_any() {
    let ((_listener, heard), (_bound, silent)) = (listener(), bound());
    let wait = |flag: &str| portscope(["wait", "--timeout", "0s", flag]).args([heard, silent]);
    let output = wait("--all").any_stderr().exits(1);
    assert!(output.stdout.starts_with(&format!("tcp 127.0.0.1:{heard} LISTEN")), "{}", output.stdout);
    assert!(
        output.stderr.starts_with(&format!("portscope: nothing is listening on tcp {silent}")),
        "{}",
        output.stderr
    );
    assert_eq!(output.stderr.lines().count(), 1);
    assert_eq!(wait("--any").success().stdout.lines().count(), 1);
}

#[test]
fn quiet_is_quiet() {
    let ((_listener, heard), (_bound, silent)) = (listener(), bound());
    assert_eq!(portscope(["wait", "-q", "--timeout", "0s"]).arg(heard).success().stdout, "");
    assert_eq!(portscope(["wait", "-q", "--timeout", "0s"]).arg(silent).exits(1).stdout, "");
}

#[test]
fn the_document_is_what_its_schema_says() {
    let ((_listener, heard), (_bound, silent)) = (listener(), bound());
    let schema = portscope(["schema", "wait"]).success().json();
    let report = portscope(["wait", "--json", "--timeout", "0s"]).args([heard, silent]).exits(1).json();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let errors: Vec<String> = validator.iter_errors(&report).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!((&report["goal"], &report["reached"]), (&"listening".into(), &false.into()));
    let of = |place: usize| &report["ports"][place];
    assert_eq!((&of(0)["reached"], &of(0)["sockets"][0]["state"]), (&true.into(), &"LISTEN".into()));
    assert_eq!((&of(1)["reached"], &of(1)["sockets"][0]["state"]), (&false.into(), &"BOUND".into()));
    assert_eq!(of(0)["sockets"][0]["owner"]["processes"][0]["pid"], std::process::id());
}

/// A dump can miss a socket that is there all the time; one look would call its port free now and then.
#[test]
fn a_port_is_not_called_free_while_others_come_and_go() {
    let (_listener, port) = listener();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let _many: Vec<_> = (0..50).map(|_| TcpListener::bind(("127.0.0.1", 0)).unwrap()).collect();
                }
            });
        }
        let result = std::panic::catch_unwind(|| {
            for _ in 0..15 {
                let _ = portscope(["wait", "--free", "--timeout", "0s", "-q"]).arg(port).exits(1);
            }
        });
        is_over.store(true, Ordering::Relaxed);
        result.unwrap();
    });
}

#[test]
fn a_terminal_shows_that_it_waits_and_a_pipe_does_not() {
    let (socket, port) = bound();
    let mut run = portscope(["wait"]).arg(port).env("TERM", "xterm").at_terminal();
    run.sees(&format!("waiting for tcp {port} to accept connections"));
    run.sees("1s");
    listen(&socket, 16).unwrap();
    let (code, shown) = run.ends();
    assert_eq!(code, 0);
    let last = shown.trim_end().rsplit(['\n', '\r']).next().unwrap();
    assert!(last.contains(&format!("tcp 127.0.0.1:{port} LISTEN: {} ", std::process::id())), "{shown:?}");
}

#[test]
fn a_mistake_is_one_line_and_exit_2() {
    for (arguments, message) in [
        (&["wait"][..], "the following required arguments were not provided: <PORT>..."),
        (&["wait", "0"], "`0` is not a port: expected 1-65535"),
        (&["wait", "2-1"], "`2-1` is not a range: 2 is above 1; expected LOW-HIGH, such as 8000-8100"),
        (
            &["wait", "1", "--timeout", "30"],
            "--timeout: `30` is not a duration: expected a number with its unit, such as 500ms, 30s or 5m",
        ),
        (&["wait", "1", "--timeout=-1s"], "--timeout: `-1s` is not a duration"),
        (&["wait", "1", "--any", "--all"], "`--any` cannot be used with `--all`"),
        (&["wait", "1", "--free", "--process", "x"], "`--free` cannot be used with `--process <NAME>`"),
        (&["wait", "1", "--any-state"], "the following required arguments were not provided: --free"),
        (&["wait", "1", "-q", "--json"], "`--quiet` cannot be used with `--json`"),
    ] {
        let stderr = portscope(arguments.iter().copied()).any_stderr().exits(2).stderr;
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(stderr.starts_with(&format!("portscope: {message}")), "{arguments:?}: {stderr}");
    }
}
