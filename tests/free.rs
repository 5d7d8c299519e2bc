//! `portscope free`: what is offered can be bound, and the reasons against a port are shown.
#![cfg(target_os = "linux")]
#![allow(clippy::pedantic, reason = "test code reads better without its ceremonies")]

mod support;

use std::collections::BTreeSet;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::process::Stdio;

use serde_json::Value;
use socket2::{Domain, Socket, Type};
use support::netns::OwnSpace;
use support::{Folder, ReachableBinary, Run, alone, eventually, is_root, portscope, skip};

fn ports(output: &str) -> Vec<u16> {
    output.lines().map(|line| line.parse().unwrap()).collect()
}

fn free(arguments: &[&str]) -> Run {
    portscope(["free"]).args(arguments)
}

/// The names of the reasons against a port.
fn reasons(port: u16, arguments: &[&str], space: Option<&OwnSpace>) -> Vec<String> {
    let run = free(&["--json"]).args(arguments).arg("--explain").arg(port);
    let run = match space {
        Some(space) => run.under(space.inside()),
        None => run,
    };
    let output = run.output();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let explained = &report["explained"];
    let reasons: Vec<String> =
        explained["reasons"].as_array().unwrap().iter().map(|r| r["reason"].as_str().unwrap().to_owned()).collect();
    assert_eq!(explained["offered"], reasons.is_empty());
    assert_eq!(output.status.code(), Some(i32::from(!reasons.is_empty())), "{report}");
    reasons
}

#[test]
fn a_bare_number_is_printed_that_nothing_is_registered_for_and_that_can_be_bound() {
    let output = free(&[]).success().stdout;
    let port: u16 = output.trim_end().parse().unwrap();
    assert_eq!(output, format!("{port}\n"));
    assert!((1024..=49151).contains(&port));
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap();
    let range: Vec<u16> = range.split_whitespace().map(|number| number.parse().unwrap()).collect();
    assert!(!(range[0]..=range[1]).contains(&port), "{port} is in the ephemeral range");
    let _ = portscope(["services"]).arg(port).any_stderr().exits(1);
    drop((TcpListener::bind(("::", port)).unwrap(), UdpSocket::bind(("::", port)).unwrap()));
}

#[test]
fn twenty_at_once_never_repeat_one() {
    let twenty = ports(&free(&["--count", "20"]).success().stdout);
    assert_eq!(twenty.iter().collect::<BTreeSet<_>>().len(), 20, "{twenty:?}");
}

#[test]
fn a_block_is_contiguous_and_the_nearest_ports_come_first() {
    let block = ports(&free(&["--contiguous", "--count", "8", "--near", "20000"]).success().stdout);
    assert!(block.len() == 8 && block.is_sorted_by(|a, b| a + 1 == *b), "{block:?}");
    assert!(block[0] > 18000 && block[7] < 22000, "{block:?}");
    let near = ports(&free(&["--near", "20000", "--count", "3"]).success().stdout);
    let distance = |port: &u16| port.abs_diff(20000);
    assert!(near.is_sorted_by_key(distance), "{near:?}");
}

#[test]
fn exactly_what_a_thousand_sockets_and_the_ranges_leave_is_offered() {
    let script = "echo 41500 41999 > /proc/sys/net/ipv4/ip_local_port_range; \
                  echo 41100-41109,41200 > /proc/sys/net/ipv4/ip_local_reserved_ports";
    let Some(space) = OwnSpace::new(script) else { return };
    let occupied: Vec<OwnedFd> = space.run(|| {
        let socket = |port: u16| -> OwnedFd {
            let bound = |domain, kind, address: &str| {
                let socket = Socket::new(domain, kind, None).unwrap();
                socket.bind(&std::net::SocketAddr::new(address.parse().unwrap(), port).into()).unwrap();
                socket
            };
            match port % 5 {
                0 => TcpListener::bind(("127.0.0.1", port)).unwrap().into(),
                1 => TcpListener::bind(("::1", port)).unwrap().into(),
                2 => UdpSocket::bind(("127.0.0.9", port)).unwrap().into(),
                3 => UdpSocket::bind(("::", port)).unwrap().into(),
                _ => bound(Domain::IPV4, Type::STREAM, "127.0.0.1").into(),
            }
        };
        (40000..41000).map(socket).collect()
    });
    assert_eq!(occupied.len(), 1000);
    let all = ["--range", "40000-41999", "--allow-registered", "--count"];
    let kept = |port: &u16| !(41100..=41109).contains(port) && *port != 41200;
    let expected: BTreeSet<u16> = (41000..41500).filter(kept).collect();
    let run = |count: &str| free(&all).arg(count).under(space.inside());
    let found = ports(&run(&expected.len().to_string()).success().stdout);
    assert_eq!(found.len(), expected.len());
    assert_eq!(found.into_iter().collect::<BTreeSet<u16>>(), expected);
    // One more does not exist; nothing is printed, and where the others went is said.
    let output = run(&(expected.len() + 1).to_string()).any_stderr().exits(1);
    assert_eq!(output.stdout, "");
    let message = format!(
        "portscope: only {0} of the {1} requested ports are free in 40000-41999",
        expected.len(),
        expected.len() + 1
    );
    assert!(output.stderr.starts_with(&message), "{}", output.stderr);
    assert!(output.stderr.contains("500 ephemeral"), "{}", output.stderr);
    let report = free(&all).arg(1000).arg("--json").under(space.inside()).exits(1).json();
    assert_eq!(report["ports"].as_array().unwrap().len(), expected.len());
    assert_eq!(report["not_offered"]["ephemeral"], 500);
    let _ = free(&["--range", "40000-40999", "--allow-registered"]).under(space.inside()).any_stderr().exits(1);
}

#[test]
fn two_hundred_runs_at_once_with_one_seed_agree() {
    let expected = free(&["--seed", "concurrent"]).success().stdout;
    let children: Vec<_> = {
        let _alone = alone();
        let spawn = |_| free(&["--seed", "concurrent"]).command().stdout(Stdio::piped()).spawn().unwrap();
        (0..200).map(spawn).collect()
    };
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
        assert!(output.status.success());
    }
}

#[test]
fn a_seed_keeps_its_port_while_it_is_free_and_comes_back_to_it() {
    let run = |seed: &str| free(&["--seed", seed]).success().stdout.trim_end().parse::<u16>().unwrap();
    let port = run("keeps");
    assert_eq!(run("keeps"), port);
    assert_ne!(run("another"), port);
    let held = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let second = run("keeps");
    assert_ne!(second, port);
    assert_eq!(run("keeps"), second, "the next choice is the same each time too");
    support::close(held);
    assert_eq!(run("keeps"), port);
}

#[test]
fn a_folder_is_a_seed_by_its_full_name() {
    let folder = Folder::new();
    std::fs::create_dir(folder.join("inner")).unwrap();
    let run = |seed: &str, from: &str| {
        let mut command = free(&["--seed", seed]).command();
        let _alone = alone();
        String::from_utf8(command.current_dir(folder.join(from)).output().unwrap().stdout).unwrap()
    };
    let full = folder.join("").canonicalize().unwrap();
    let port = run(full.to_str().unwrap(), "");
    assert_eq!((run(".", ""), run("..", "inner"), run("inner/..", "")), (port.clone(), port.clone(), port.clone()));
    // A word is a text, whatever lies in the folder.
    assert_eq!(run("inner", ""), run("inner", "inner"));
    assert_ne!(run("inner", ""), run("./inner", ""));
}

#[test]
fn each_reason_against_a_port_is_explained() {
    let script = "echo 30000 30999 > /proc/sys/net/ipv4/ip_local_port_range; \
                  echo 14511 > /proc/sys/net/ipv4/ip_local_reserved_ports; \
                  echo 1000 > /proc/sys/net/ipv4/ip_unprivileged_port_start";
    let Some(space) = OwnSpace::new(script) else { return };
    let explained = |port, arguments: &[&str]| reasons(port, arguments, Some(&space));
    assert_eq!(explained(14512, &[]), [""; 0]);
    assert_eq!(explained(14511, &[]), ["reserved"]);
    assert_eq!(explained(30500, &["--allow-registered"]), ["ephemeral"]);
    assert_eq!(explained(6379, &[]), ["registered", "kept-back"]);
    assert_eq!(explained(6379, &["--allow-registered"]), [""; 0]);
    assert_eq!(explained(6667, &["--allow-registered"]), ["bad-port"]);
    assert_eq!(explained(999, &["--allow-registered", "--range", "1-65535"]), ["privileged"]);
    assert_eq!(explained(1000, &["--allow-registered", "--range", "1-65535"]), [""; 0]);
    assert_eq!(explained(60000, &["--allow-registered"]), ["outside"]);
    assert_eq!(explained(14512, &["--label", "14512=mine"]), ["registered", "registered"]);
    let _udp = space.run(|| UdpSocket::bind(("::1", 14512)).unwrap());
    assert_eq!(explained(14512, &[]), ["used"]);

    let text = free(&["--explain", "14512"]).under(space.inside()).exits(1).stdout;
    let line = "  used: udp UNCONN [::1]:14512: free-";
    assert!(text.contains("14512 is not offered:\n") && text.contains(line), "{text}");
    let text = free(&["--explain", "14513"]).under(space.inside()).success().stdout;
    assert!(text.contains("14513 is offered: no conflicts were found"), "{text}");
}

#[test]
fn a_published_port_is_not_offered() {
    let rules =
        "table ip n { chain p { type nat hook prerouting priority -100; tcp dport 14511 redirect to :42101; }; }";
    let Some(space) = OwnSpace::new(&format!("nft '{rules}'")) else { return };
    assert_eq!(reasons(14511, &[], Some(&space)), ["published"]);
    let block = ["--range", "14510-14512", "--count", "3", "--contiguous"];
    let output = free(&block).under(space.inside()).any_stderr().exits(1);
    assert_eq!(output.stderr, "portscope: no 3 consecutive free ports in 14510-14512 (not offered: 1 published)\n");
}

#[test]
fn sockets_in_every_state_count_as_used() {
    let Some(space) = OwnSpace::new("echo 30000 30999 > /proc/sys/net/ipv4/ip_local_port_range") else { return };
    // 8500 listens no more, its connections are in TIME_WAIT and ESTABLISHED.
    let _connections = space.run(|| {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener.set_reuse_address(true).unwrap();
        listener.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 8500)).into()).unwrap();
        listener.listen(4).unwrap();
        let listener: TcpListener = listener.into();
        let over = TcpStream::connect(("127.0.0.1", 8500)).unwrap();
        support::close(listener.accept().unwrap());
        drop(over);
        let lasting = TcpStream::connect(("127.0.0.1", 8500)).unwrap();
        (lasting, listener.accept().unwrap())
    });
    assert_eq!(reasons(8500, &[], Some(&space)).iter().filter(|reason| *reason == "used").count(), 2);
}

#[test]
fn a_socket_whose_holder_is_hidden_counts_too() {
    if !is_root() {
        return skip("needs root to become another user");
    }
    let Some(space) = OwnSpace::new("") else { return };
    let _held = space.run(|| {
        let bound = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        bound.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 8500)).into()).unwrap();
        (bound, UdpSocket::bind(("127.0.0.1", 8501)).unwrap())
    });
    let binary = ReachableBinary::new();
    let run = free(&["--range", "8500-8502", "--allow-registered"]).run_by_nobody(&binary);
    // That the rules of the firewall could not be read is said beside it.
    assert_eq!(run.under(space.inside()).any_stderr().success().stdout, "8502\n");
}

#[test]
fn the_command_takes_portscopes_place_with_the_port_and_its_own_status() {
    let output = free(&["--range", "8500-8599", "--exec", "sh", "-c", "echo {} -{}- $$; exit 7", "-n"]).exits(7);
    let words: Vec<&str> = output.stdout.split_whitespace().collect();
    let port: u16 = words[0].parse().unwrap();
    assert!((8500..8600).contains(&port) && words[1] == format!("-{port}-"), "{output:?}");
    assert_eq!(words.len(), 3);
    // What held the port is not left to the command.
    let script = "ls -l /proc/$$/fd 2>/dev/null | grep -c socket: ; : {}";
    assert_eq!(free(&["--exec", "sh", "-c", script]).success().stdout, "0\n");
}

#[test]
fn a_listener_is_passed_on_as_systemd_does() {
    for (arguments, address) in [(&["--address", "127.0.0.1"][..], "127.0.0.1"), (&[], "[::]")] {
        let script = "test $LISTEN_PID = $$ && echo {} $LISTEN_FDS && exec sleep 1000 <&3";
        let run = free(arguments).args(["--listen-fds", "--exec", "sh", "-c", script]);
        let mut child = support::Kept(support::start(run.command().stdout(Stdio::piped())));
        let mut line = String::new();
        let mut stdout = std::io::BufReader::new(child.0.stdout.take().unwrap());
        std::io::BufRead::read_line(&mut stdout, &mut line).unwrap();
        let port: u16 = line.strip_suffix(" 1\n").unwrap_or_else(|| panic!("{line:?}")).parse().unwrap();
        let socket = eventually("the command holds the listener", || {
            let sockets = portscope(["-l", "--json"]).arg(port).any_stderr().success().sockets();
            let socket = sockets.into_iter().next()?;
            (socket["owner"]["processes"][0]["name"] == "sleep").then_some(socket)
        });
        assert_eq!(support::pids(&socket), [child.pid()]);
        assert_eq!(socket["local"]["address"], address.trim_matches(['[', ']']));
        drop(TcpStream::connect(("127.0.0.1", port)).unwrap());
    }
}

#[test]
fn the_document_is_what_the_schema_says() {
    let schema = portscope(["schema", "free"]).success().json();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    for (arguments, code) in [(&["--count", "3"][..], 0), (&["--range", "6665-6669"], 1), (&["--explain", "80"], 1)] {
        let report = free(&["--json"]).args(arguments).exits(code).json();
        let errors: Vec<String> = validator.iter_errors(&report).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:#?}");
    }
    let mut broken = free(&["--json"]).success().json();
    broken["ports"] = Value::from("8080");
    assert!(!validator.is_valid(&broken));
}

#[test]
fn bad_input_is_one_line_and_exit_2() {
    for (arguments, message) in [
        (&["--count", "0"][..], "--count: 0 is not in 1..=65535"),
        (&["--count", "11", "--range", "8000-8009"], "--count: `11` exceeds the 10 ports in 8000-8009"),
        (&["--range", "9-8"], "--range: `9-8` is not a range: 9 is above 8; expected LOW-HIGH, such as 8000-8100"),
        (&["--near", "70000"], "--near: `70000` is not a port: expected 1-65535"),
        (&["--near", "80", "--seed", "x"], "`--near <PORT>` cannot be used with `--seed <TEXT|PATH>`"),
        (&["--seed", ""], "--seed: the seed is empty: expected a text or a path"),
        (&["--explain", "x"], "--explain: `x` is not a port: expected 1-65535"),
        (&["--exec", "true"], "--exec: the command has no `{}`, which stands for the port: add it to an argument"),
        (&["--count", "2", "--exec", "echo", "{}"], "--exec runs the command with one port: expected --count 1"),
        (&["--exec", "/nonexistent/command", "{}"], "cannot run /nonexistent/command: No such file or directory"),
        (&["--exec"], "--exec needs a value"),
        (&["--listen-fds"], "the following required arguments were not provided: --exec <CMD>..."),
        (&["--listen-fds", "--address", "192.0.2.1", "--exec", "true"], "--listen-fds: cannot listen on port "),
        (&["8080"], "unexpected argument `8080`: expected portscope free [OPTIONS]"),
    ] {
        let stderr = free(arguments).any_stderr().exits(2).stderr;
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(stderr.starts_with(&format!("portscope: {message}")), "{arguments:?}: {stderr}");
    }
}

#[test]
fn a_folder_keeps_its_port_while_its_own_server_runs() {
    let folder = Folder::new();
    let run = |flags: &[&str]| free(&["--seed"]).arg(folder.join(".").display()).args(flags);
    let port: u16 = run(&[]).success().stdout.trim().parse().unwrap();
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let inside = folder.join("src");
    std::fs::create_dir(&inside).unwrap();
    let server = support::hold(std::process::Command::new("sleep").arg("1000").current_dir(&inside), listener);
    let output = run(&[]).any_stderr().success();
    assert_eq!(output.stdout, format!("{port}\n"));
    let note = format!("portscope: port {port} is in use by your own server there: sleep (pid {})\n", server.pid());
    assert_eq!(output.stderr, note);
    let report = run(&["--json"]).success().json();
    assert_eq!((&report["ports"][0], &report["in_use_by_own_server"][0]), (&port.into(), &port.into()));
    // A command that is to have it cannot.
    let other = run(&["--exec", "echo", "{}"]).success().stdout;
    assert_ne!(other, format!("{port}\n"));
    drop(server);
    // Another process that has it makes the folder move on.
    let _stranger = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let moved = run(&[]).success().stdout;
    assert_ne!(moved, format!("{port}\n"));
}

#[test]
fn where_every_port_may_go_to_clients_the_flag_that_offers_them_is_named() {
    let Some(space) = OwnSpace::new("echo 1024 65535 > /proc/sys/net/ipv4/ip_local_port_range") else { return };
    let hint = "hint: --allow-ephemeral also offers ports that the system hands out to clients";
    let output = free(&[]).under(space.inside()).stderr_contains(hint).exits(1);
    assert_eq!(output.stdout, "");
    let port = free(&["--allow-ephemeral"]).under(space.inside()).success().stdout;
    assert_eq!(ports(&port).len(), 1);
}
