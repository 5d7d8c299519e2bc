// What every backend must answer, on sockets that the test opened. Included once for each backend.

use std::net::{TcpListener, TcpStream, UdpSocket};

use super::support::{self, Kept, Run, eventually, holding, pids};

/// A run with the backend that is tested.
fn portscope<const N: usize>(arguments: [&str; N]) -> Run {
    support::portscope(arguments).backend(BACKEND)
}

fn listener(address: &str) -> (TcpListener, u16) {
    let listener = TcpListener::bind((address, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

#[test]
fn a_listener_is_joined_with_its_category_and_process() {
    for address in ["127.0.0.1", "127.9.8.7", "::1", "0.0.0.0", "::"] {
        let (_listener, port) = listener(address);
        // Another test may have got the same port of another address.
        let sockets = portscope(["--json"]).arg(port).success().sockets();
        let socket = sockets.into_iter().find(|socket| socket["local"]["address"] == address).unwrap();
        assert_eq!(socket["local"]["port"], port);
        assert_eq!(socket["protocol"], "tcp");
        assert_eq!(socket["family"], if address.contains(':') { "ipv6" } else { "ipv4" });
        assert_eq!(socket["state"], "LISTEN");
        assert_eq!(socket["peer"], serde_json::Value::Null);
        assert_eq!(socket["category"], if port < 49152 { "registered" } else { "dynamic" });
        assert_eq!(pids(&socket), [std::process::id()]);
        assert_eq!(socket["owner"]["tier"], "process");
        assert_eq!(socket["owner"]["reason"], serde_json::Value::Null);
        assert_eq!(socket["uid"], rustix::process::geteuid().as_raw());
        let process = &socket["owner"]["processes"][0];
        assert!(process["exe"].as_str().unwrap().contains("list-"), "{process}");
        assert!(process["fd"].as_u64().unwrap() > 2);
        assert_eq!(process["argv"], serde_json::Value::Null, "arguments are shown only when asked for");
    }
}

#[test]
fn both_ends_of_a_connection_are_listed() {
    for address in ["127.0.0.1", "::1"] {
        let (listener, port) = listener(address);
        let client = TcpStream::connect((address, port)).unwrap();
        let (_server, _) = listener.accept().unwrap();
        let client_end = client.local_addr().unwrap();
        let client_port = client_end.port();

        // Another test's connection may have left its TIME_WAIT on the same port.
        let sockets = portscope(["--json", "--state", "listen,established"]).arg(port).success().sockets();
        assert_eq!(sockets.len(), 2, "{sockets:#?}");
        assert_eq!(sockets[0]["state"], "LISTEN", "listeners come first");
        assert_eq!(sockets[1]["state"], "ESTABLISHED");
        assert_eq!(sockets[1]["peer"]["port"], client_port);

        // The kernel gives one local port to several connections at once when they go to different ports.
        let mut sockets = portscope(["--json"]).arg(client_end).success().sockets();
        sockets.retain(|socket| socket["peer"]["port"] == port);
        let [socket] = &sockets[..] else { panic!("{sockets:#?}") };
        assert_eq!(socket["peer"]["address"], address);
        assert_eq!(pids(socket), [std::process::id()]);
    }
}

#[test]
fn a_dual_stack_listener_shows_its_ipv4_peers_as_they_are() {
    let (listener, port) = listener("::");
    let client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let (_server, _) = listener.accept().unwrap();
    let client_end = client.local_addr().unwrap();
    let sockets = portscope(["--json", "--state", "established"]).arg(port).success().sockets();
    assert_eq!(sockets.len(), 1, "{sockets:#?}");
    assert_eq!(sockets[0]["family"], "ipv6");
    assert_eq!(sockets[0]["local"]["address"], "::ffff:127.0.0.1");
    assert_eq!(sockets[0]["peer"]["port"], client_end.port());
    assert_eq!(sockets[0]["exposure"], "loopback");
    let by_address = portscope(["--json", "--state", "established"]).arg(format!("127.0.0.1:{port}"));
    assert_eq!(by_address.success().sockets(), sockets);
}

#[test]
fn udp_sockets_are_listed_when_asked_for() {
    let unconnected = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    let connected = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    connected.connect(unconnected.local_addr().unwrap()).unwrap();
    for socket in [&unconnected, &connected] {
        let port = socket.local_addr().unwrap().port();
        assert!(portscope(["--json", "-t"]).arg(port).success().sockets().is_empty());
        for flags in ["-u", "-tu"] {
            let socket = portscope([flags, "--json"]).arg(port).success().only_socket();
            assert_eq!(socket["protocol"], "udp");
            assert_eq!(socket["local"]["address"], "127.0.0.1");
            assert_eq!(pids(&socket), [std::process::id()]);
        }
    }
}

#[test]
fn every_process_that_holds_a_socket_is_named() {
    let (listener, port) = listener("127.0.0.1");
    let holders: Vec<Kept> = (0..3).map(|_| holding(listener.try_clone().unwrap())).collect();
    drop(listener);
    let mut expected: Vec<u32> = holders.iter().map(Kept::pid).collect();
    expected.sort_unstable();
    let socket = eventually("three holders and no other", || {
        let socket = portscope(["--json"]).arg(port).success().only_socket();
        (pids(&socket) == expected).then_some(socket)
    });
    assert_eq!(socket["owner"]["processes"][0]["fd"], 0);
    let table = portscope(["-H"]).arg(port).success().stdout;
    assert!(table.contains("sleep +2"), "{table}");
    assert_eq!(table.lines().count(), 1, "one socket is one row");
}

#[test]
fn a_socket_held_through_two_descriptors_is_one_holder() {
    let (listener, port) = listener("127.0.0.1");
    let _second = listener.try_clone().unwrap();
    let socket = portscope(["--json"]).arg(port).success().only_socket();
    assert_eq!(pids(&socket), [std::process::id()]);
    assert_eq!(socket["owner"]["processes"][0]["fds"].as_array().unwrap().len(), 2);
}

#[test]
fn a_connection_in_time_wait_has_no_holder_and_no_invented_user() {
    let (listener, port) = listener("127.0.0.1");
    let client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let client_port = client.local_addr().unwrap().port();
    let (server, _) = listener.accept().unwrap();
    // The side that closes first keeps the numbers. A shutdown closes also what a forked child still has open.
    client.shutdown(std::net::Shutdown::Write).unwrap();
    drop(server);
    drop(client);
    let socket = eventually("TIME_WAIT", || {
        let sockets = portscope(["--json", "--state", "time-wait"]).arg(client_port).success().sockets();
        sockets.into_iter().next()
    });
    assert_eq!(socket["owner"]["tier"], "none");
    assert_eq!(socket["owner"]["reason"], "time-wait");
    assert_eq!(socket["uid"], serde_json::Value::Null);
    assert_eq!(socket["user"], serde_json::Value::Null);
    let table = portscope(["-H"]).arg(client_port).success().stdout;
    assert!(table.contains("(time-wait)") && !table.contains("root"), "{table}");
}

#[test]
fn an_unaccepted_connection_waits_in_its_listener() {
    let (_listener, port) = listener("127.0.0.1");
    let client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let sockets = portscope(["--json", "--state", "established"]).arg(port).success().sockets();
    assert_eq!(sockets.len(), 1);
    assert_eq!(sockets[0]["peer"]["port"], client.local_addr().unwrap().port());
    assert_eq!(sockets[0]["owner"]["tier"], "none");
    assert_eq!(sockets[0]["owner"]["reason"], "unaccepted");
}

#[test]
fn every_form_of_target_finds_its_socket() {
    let (_listener, port) = listener("127.0.0.1");
    let name = "list-"; // the name of this test's process
    for target in [
        format!("{port}"),
        format!(":{port}"),
        format!("{port}-{port}"),
        format!("127.0.0.1:{port}"),
        format!("localhost:{port}"),
    ] {
        let socket = portscope(["--json"]).arg(&target).success().only_socket();
        assert_eq!(socket["local"]["port"], port, "{target}");
    }
    let by_process = portscope(["--json", "-l", name]).success().sockets();
    assert!(by_process.iter().any(|socket| socket["local"]["port"] == port));
    let by_label = portscope(["--json", "frontend", "--label"]).arg(format!("{port}=frontend")).success().only_socket();
    assert_eq!(by_label["service"]["source"], "user");
    for other in [format!("127.0.0.2:{port}"), format!("*:{port}"), format!("{port}/udp")] {
        assert!(portscope(["--json"]).arg(&other).success().sockets().is_empty(), "{other}");
    }
}

#[test]
fn targets_are_ored_and_filters_anded() {
    let (_one, one) = listener("127.0.0.1");
    let (_two, two) = listener("127.0.0.1");
    assert_eq!(portscope(["--json"]).arg(one).arg(two).success().sockets().len(), 2);
    assert_eq!(portscope(["--json"]).arg(one).arg("--port").arg(two).success().sockets().len(), 0);
    assert_eq!(portscope(["--json", "--port"]).arg(format!("{one},{two}")).success().sockets().len(), 2);
    let own = std::process::id();
    let count = |flags: &[&str]| portscope(["--json"]).arg(one).args(flags).success().sockets().len();
    let own_pid = own.to_string();
    for (flags, expected) in [
        (&["--pid", own_pid.as_str()][..], 1),
        (&["--user", rustix::process::geteuid().as_raw().to_string().as_str()], 1),
        (&["--user", "daemon"], 0),
        (&["--process", "list-"], 1),
        (&["--state", "listen"], 1),
        (&["--state", "established,time-wait"], 0),
        (&["--exposure", "loopback"], 1),
        (&["--exposure", "any,public"], 0),
        (&["--category", "well-known"], 0),
        (&["--category", "registered,dynamic"], 1),
        (&["-4"], 1),
        (&["-6"], 0),
        (&["-46"], 1),
        (&["-l"], 1),
        (&["--peer", "127.0.0.1"], 0),
        (&["--space", "all"], 1),
        (&["--space", "host"], usize::from(is_in_host_space())),
    ] {
        assert_eq!(count(flags), expected, "{flags:?}");
    }
}

/// Says whether the tests run in the space that is called `host`.
fn is_in_host_space() -> bool {
    portscope(["--json"]).success().json()["spaces"][0]["label"] == "host"
}

#[test]
fn a_space_that_does_not_exist_is_a_mistake() {
    let output = portscope(["--space", "elsewhere"]).stderr_contains("no port space is named `elsewhere`").exits(1);
    assert!(output.stdout.is_empty() && output.stderr.lines().count() == 1, "{output:?}");
}

#[test]
fn a_peer_is_found_by_address_network_and_port() {
    let (listener, port) = listener("127.0.0.1");
    let client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let (_server, _) = listener.accept().unwrap();
    let own = client.local_addr().unwrap().port();
    for peer in [format!(":{port}"), format!("127.0.0.1:{port}"), "127.0.0.0/8".into(), "127.0.0.1".into()] {
        let socket = portscope(["--json", "--peer"]).arg(&peer).arg(own).success().only_socket();
        assert_eq!(socket["peer"]["port"], port);
    }
    assert!(portscope(["--json", "--peer", "10.0.0.0/8"]).arg(own).success().sockets().is_empty());
}

#[test]
fn an_empty_listing_says_so_and_succeeds() {
    let free = listener("127.0.0.1").1;
    let output = portscope([""; 0]).arg(free).any_stderr().success();
    assert_eq!(output.stdout, "", "the line on stderr says it");
    // That nothing is there is said only as far as this backend can look.
    let is_portable = BACKEND == "portable";
    assert!(output.stderr.starts_with(&format!("portscope: nothing is open on tcp {free}\n")), "{}", output.stderr);
    assert_eq!(output.stderr.contains("portscope: not seen: netstat2 does not report v6only"), is_portable);
    assert_eq!(output.stderr.lines().count(), 1 + usize::from(is_portable), "{}", output.stderr);
    assert!(portscope(["-H"]).arg(free).any_stderr().success().stdout.is_empty());
    assert!(portscope(["--json"]).arg(free).success().sockets().is_empty());
}

#[test]
fn rows_can_be_sorted() {
    let ports: Vec<u16> = {
        let listeners: Vec<_> = (0..4).map(|_| listener("127.0.0.1")).collect();
        let mut ports: Vec<u16> = listeners.iter().map(|(_, port)| *port).collect();
        let listed = |sort: &str| -> Vec<u64> {
            let run = portscope(["--json", "--sort", sort]).args(ports.iter());
            run.success().sockets().iter().map(|socket| socket["local"]["port"].as_u64().unwrap()).collect()
        };
        let mut ascending = listed("port");
        assert!(ascending.is_sorted());
        assert_eq!(listed("state"), ascending, "the default order breaks ties");
        ascending.reverse();
        assert_eq!(listed("port:desc"), ascending);
        ports.sort_unstable();
        ports
    };
    assert_eq!(ports.len(), 4);
}

#[test]
fn numeric_listings_look_up_no_names() {
    let (_listener, port) = listener("127.0.0.1");
    let label = format!("{port}=frontend");
    let named = portscope(["--label", &label]).arg(port).success().stdout;
    assert!(named.contains("SERVICE") && named.contains("frontend"), "{named}");
    let numeric = portscope(["-tulpn", "--label", &label]).arg(port).any_stderr().success().stdout;
    assert!(!numeric.contains("SERVICE") && !numeric.contains("frontend"), "{numeric}");
}
