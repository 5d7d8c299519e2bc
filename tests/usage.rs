//! `portscope usage`: small port spaces are filled up for real, and the kernel says when they are full.
#![cfg(target_os = "linux")]

mod support;

use std::net::{TcpListener, TcpStream, UdpSocket};

use serde_json::{Value, json};
use support::scene::Scene;
use support::{Run, is_root, portscope, skip};

fn usage() -> Run {
    portscope(["usage"])
}

/// A run in a network namespace of its own that hands out 20 numbers, one of them reserved, after a few lines of Python
/// have made sockets there; they stay open until the end.
fn filled(python: &str, run: Run) -> Run {
    let prelude = "import os, socket, subprocess, sys, errno\n\
        os.system('ip link set lo up')\n\
        def setting(name, value):\n    open('/proc/sys/net/ipv4/' + name, 'w').write(value)\n\
        setting('ip_local_port_range', '40000 40019')\n\
        setting('ip_local_reserved_ports', '40003,50000')\n\
        def listener(port, backlog=100):\n    \
            s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n    \
            s.bind(('127.0.0.1', port)); s.listen(backlog); return s\n\
        def full(make):\n    \
            made = []\n    \
            while True:\n        \
                try: made.append(make())\n        \
                except OSError as error:\n            \
                    assert error.errno in (errno.EADDRNOTAVAIL, errno.EADDRINUSE), error\n            \
                    return made\n";
    let script = format!("{prelude}{python}\nsys.exit(subprocess.call(sys.argv[1:]))\n");
    run.under(["unshare", "-n", "python3", "-c", &script])
}

fn space(report: &Value) -> &Value {
    &report["spaces"][0]
}

#[track_caller]
fn gauge<'a>(report: &'a Value, protocol: &str, numbers: &str) -> &'a Value {
    let gauges = space(report)["gauges"].as_array().unwrap();
    gauges.iter().find(|gauge| gauge["protocol"] == protocol && gauge["numbers"] == numbers).unwrap()
}

#[test]
fn a_destination_is_full_exactly_when_the_kernel_has_no_number_left() {
    if !is_root() {
        return skip("needs root to make a network namespace");
    }
    // Two numbers of the range are not there for clients: one is reserved, one has a listener.
    let python = "server, other = listener(7000), listener(40005)\n\
        clients = full(lambda: socket.create_connection(('127.0.0.1', 7000)))\n\
        elsewhere = socket.create_connection(('127.0.0.1', 40005))\n\
        sys.stderr.write('%d connected' % len(clients))";
    let output = filled(python, usage().arg("--json")).stderr_contains("18 connected").success();
    let report = output.json();
    let destinations = space(&report)["destinations"].as_array().unwrap();
    assert_eq!((destinations.len(), &space(&report)["destination_count"]), (2, &json!(2)), "{report:#}");
    let fullest = &destinations[0];
    assert_eq!((&fullest["local"], &fullest["peer"]["port"]), (&json!("127.0.0.1"), &json!(7000)));
    assert_eq!((&fullest["used"], &fullest["limit"], &fullest["share"]), (&json!(18), &json!(18), &json!(1.0)));
    assert_eq!(fullest["processes"][0]["connections"], 18);
    assert!(fullest["processes"][0]["name"].as_str().unwrap().starts_with("python"), "{fullest}");
    assert_eq!((&destinations[1]["used"], &destinations[1]["limit"]), (&json!(1), &json!(18)), "not at all full");
    assert_eq!(space(&report)["reserved"], 1);
    let ephemeral = gauge(&report, "tcp", "ephemeral");
    assert_eq!((&ephemeral["used"], &ephemeral["limit"]), (&json!(19), &json!(19)), "the listener's number counts too");
    let above = report["above"].as_array().unwrap();
    assert_eq!(above.len(), 2, "{above:?}");
    assert_eq!(above[0]["what"], "tcp ephemeral ports, 19 of 19 (100.0%)");
    assert_eq!(above[1]["what"], "ports for tcp 127.0.0.1 to 127.0.0.1:7000, 18 of 18 (100.0%)");

    let text = filled(python, usage().args(["--warn", "80%"])).stderr_contains("18 connected").exits(1).stdout;
    assert!(text.contains("  held by python3"), "{text}");
    assert!(text.contains("18  18  100.0% !"), "{text}");
    assert!(text.contains("\nabove 80.0%: ports for tcp 127.0.0.1 to 127.0.0.1:7000, 18 of 18 (100.0%)\n"), "{text}");
    let _ = filled(python, usage().args(["--warn", "100%"])).any_stderr().success();
    let shown = filled(python, usage().args(["--json", "--top", "1"])).any_stderr().success().json();
    let listed = space(&shown)["destinations"].as_array().unwrap().len();
    assert_eq!((listed, &space(&shown)["destination_count"]), (1, &json!(2)));
}

#[test]
fn ports_that_are_bound_before_they_connect_run_out_for_every_destination() {
    if !is_root() {
        return skip("needs root to make a network namespace");
    }
    let python = "servers = [listener(7000 + number) for number in range(19)]\n\
        def bound_first():\n    \
            s = socket.socket(); s.bind(('127.0.0.1', 0)); s.connect(servers.pop(0).getsockname()); return s\n\
        listening = list(servers)\n\
        clients = [bound_first() for _ in listening]\n\
        try: socket.socket().bind(('127.0.0.1', 0))\n\
        except OSError as error: sys.stderr.write(errno.errorcode[error.errno])";
    let run = filled(python, usage().args(["--json", "--warn", "90%"])).stderr_contains("EADDRINUSE");
    let report = run.exits(1).json();
    let destinations = space(&report)["destinations"].as_array().unwrap();
    assert!(destinations.iter().all(|destination| destination["used"] == 1), "{report:#}");
    assert_eq!(report["above"][0]["what"], "tcp ephemeral ports, 19 of 19 (100.0%)");
}

#[test]
fn numbers_in_time_wait_are_told_apart_from_those_that_are_held() {
    if !is_root() {
        return skip("needs root to make a network namespace");
    }
    let python = "server = listener(7000)\n\
        pairs = [(socket.create_connection(('127.0.0.1', 7000)), server.accept()[0]) for _ in range(6)]\n\
        for client, accepted in pairs[:4]:\n    \
            client.close(); assert accepted.recv(1) == b''; accepted.close()\n";
    let report = filled(python, usage().arg("--json")).success().json();
    let destination = &space(&report)["destinations"][0];
    assert_eq!((&destination["used"], &destination["time_wait"]), (&json!(6), &json!(4)), "{report:#}");
    assert_eq!(destination["processes"][0]["connections"], 2);
}

#[test]
fn udp_has_one_range_for_all_destinations() {
    if !is_root() {
        return skip("needs root to make a network namespace");
    }
    let python = "def bound():\n    \
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('', 0)); return s\n\
        sockets = full(bound)\n\
        sys.stderr.write('%d bound' % len(sockets))";
    let output = filled(python, usage().args(["--json", "--warn", "80"])).stderr_contains("19 bound").exits(1);
    let report = output.json();
    let ephemeral = gauge(&report, "udp", "ephemeral");
    assert_eq!((&ephemeral["used"], &ephemeral["limit"]), (&json!(19), &json!(19)));
    assert_eq!(report["above"][0]["what"], "udp ephemeral ports, 19 of 19 (100.0%)");
    assert_eq!(report["warn"], 0.8);
}

#[test]
fn categories_count_distinct_numbers_of_each_protocol() {
    if !is_root() {
        return skip("needs root to make a network namespace");
    }
    let python = "def bind(kind, address, port):\n    \
            s = socket.socket(socket.AF_INET, kind); s.bind((address, port)); return s\n\
        tcp = [bind(socket.SOCK_STREAM, *end) for end in \
            [('127.0.0.1', 1), ('127.0.0.2', 1), ('127.0.0.1', 1023), ('127.0.0.1', 1024), ('127.0.0.1', 49152)]]\n\
        udp = [bind(socket.SOCK_DGRAM, '127.0.0.1', 49151)]\n\
        tcp[0].listen(); tcp[1].listen()";
    let report = filled(python, usage().arg("--json")).success().json();
    for (protocol, numbers, used, limit) in [
        ("tcp", "well-known", 2, 1024),
        ("tcp", "registered", 1, 48_128),
        ("tcp", "dynamic", 1, 16_384),
        ("udp", "well-known", 0, 1024),
        ("udp", "registered", 1, 48_128),
        ("udp", "dynamic", 0, 16_384),
    ] {
        let gauge = gauge(&report, protocol, numbers);
        let found = (&gauge["used"], &gauge["limit"]);
        assert_eq!(found, (&json!(used), &json!(limit)), "{protocol} {numbers}: bound ones count, addresses do not");
    }
}

#[test]
fn a_full_accept_queue_is_marked_and_lost_connections_are_counted() {
    if !is_root() {
        return skip("needs root to make a network namespace");
    }
    // The kernel lets one more wait than asked for; further ones are lost.
    let python = "server, calm = listener(7000, 4), listener(7001, 4)\n\
        clients = [socket.create_connection(('127.0.0.1', 7000)) for _ in range(5)]\n\
        late = socket.socket(); late.setblocking(False); late.connect_ex(('127.0.0.1', 7000))\n\
        def lost():\n    \
            names, numbers = [l.split() for l in open('/proc/net/netstat') if l.startswith('TcpExt:')]\n    \
            return int(numbers[names.index('ListenOverflows')])\n\
        while lost() == 0: pass\n";
    let report = filled(python, usage().args(["--json", "--warn", "80%"])).exits(1).json();
    let space = space(&report);
    let queues = space["queues"].as_array().unwrap();
    assert_eq!((queues.len(), &space["queue_count"]), (1, &json!(2)), "{report:#}");
    assert_eq!(
        (&queues[0]["used"], &queues[0]["limit"], &queues[0]["local"]["port"]),
        (&json!(5), &json!(4), &json!(7000))
    );
    assert!(queues[0]["name"].as_str().unwrap().starts_with("python"), "{queues:?}");
    assert!(space["listen_overflows"].as_u64().unwrap() > 0);
    assert_eq!(report["above"][0]["what"], "accept queue of tcp 127.0.0.1:7000, 5 of 4 (125.0%)");
    let text = filled(python, usage()).success().stdout;
    assert!(
        text.contains("accept queues: connections are waiting in 1 of 2; connections lost to full queues"),
        "{text}"
    );
    assert!(text.contains("5   4  125.0% !"), "{text}");
}

#[test]
fn the_space_of_the_test_is_measured_without_any_right() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let _udp = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    let peer = listener.local_addr().unwrap();
    let _clients: Vec<TcpStream> = (0..3).map(|_| TcpStream::connect(peer).unwrap()).collect();
    for backend in ["native", "portable"] {
        let report = usage().args(["--json", "--top", "100000", "--backend", backend]).any_stderr().success().json();
        assert_eq!(report["spaces"].as_array().unwrap().len(), 1);
        let is_it = |destination: &&Value| destination["peer"]["port"] == peer.port();
        let destination = space(&report)["destinations"].as_array().unwrap().iter().find(is_it).cloned().unwrap();
        assert_eq!(destination["used"], 3, "{backend}");
        assert_eq!(destination["processes"][0]["pid"], std::process::id(), "{backend}");
    }
    let text = usage().any_stderr().success().stdout;
    let last = text.lines().last().unwrap();
    assert!(last.starts_with("Fullest: "), "{last}");
    assert!(
        last.ends_with(
            "Ports are counted per host and per port space (network namespace): other computers do not use them up."
        ),
        "{last}"
    );
}

#[test]
fn each_space_is_measured_by_itself() {
    if !is_root() {
        return skip("needs root to make network namespaces");
    }
    let Some(scene) = Scene::start("netns n=1 port=7000") else { return };
    let id: u64 = scene.sockets()[0]["note"].as_str().unwrap()["netns ".len()..].parse().unwrap();
    let report = usage().args(["--json", "--space", &id.to_string()]).any_stderr().success().json();
    let spaces = report["spaces"].as_array().unwrap();
    assert_eq!((spaces.len(), &spaces[0]["id"]), (1, &json!(id)));
    assert_eq!(gauge(&report, "tcp", "registered")["used"], 1, "nothing of this space");
    assert_eq!(spaces[0]["listen_overflows"], 0, "its own counter");
    let all = usage().args(["--json", "--space", "all"]).any_stderr().success().json();
    assert!(all["spaces"].as_array().unwrap().iter().any(|space| space["id"] == id));
    let text = usage().args(["--space", "all"]).any_stderr().success().stdout;
    assert!(text.contains("\nport space mkports ("), "{text}");
}

#[test]
fn bad_input_is_one_line_and_exit_2() {
    for (arguments, message) in [
        (["--warn", "lots"], "--warn: `lots` is not a percentage: expected 0% to 100%, such as 80%"),
        (["--warn", "120%"], "--warn: `120%` is not a percentage: expected 0% to 100%, such as 80%"),
        (["--top", "many"], "--top: `many` is not a count: expected 0 or more"),
    ] {
        let stderr = usage().args(arguments).any_stderr().exits(2).stderr;
        assert_eq!(stderr, format!("portscope: {message}\n"));
    }
    let stderr = usage().args(["--space", "no-such-space"]).any_stderr().exits(1).stderr;
    assert!(stderr.starts_with("portscope: no port space is named `no-such-space`: expected all "), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
}

#[test]
fn a_real_measurement_is_valid() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let schema = portscope(["schema", "usage"]).success().json();
    let report = usage().arg("--json").success().json();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let errors: Vec<String> = validator.iter_errors(&report).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    let mut broken = report;
    broken["spaces"][0]["gauges"][0]["used"] = json!("1");
    assert!(!validator.is_valid(&broken));
}
