//! What people type to say which sockets they mean, and what they read when it means nothing.

mod support;

use std::net::{TcpListener, UdpSocket};

use support::netns::OwnSpace;
use support::{ReachableBinary, Run, is_root, portscope, skip};

/// A listener on a port that nothing else has at any address.
fn listener(address: &str) -> (TcpListener, u16) {
    let listener = TcpListener::bind((address, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

fn ports(run: Run) -> Vec<u64> {
    run.success().sockets().iter().map(|socket| socket["local"]["port"].as_u64().unwrap()).collect()
}

#[test]
fn a_port_is_found_with_its_protocol_in_a_list_and_by_its_service() {
    let (_tcp, tcp) = listener("127.0.0.1");
    let (_other, other) = listener("127.0.0.1");
    let socket = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    let udp = socket.local_addr().unwrap().port();
    let (low, high) = (u64::from(tcp.min(other)), u64::from(tcp.max(other)));
    assert_eq!(ports(portscope(["--json"]).arg(format!("{tcp}/tcp"))), [u64::from(tcp)]);
    assert_eq!(ports(portscope(["--json"]).arg(format!("{udp}/udp"))), [u64::from(udp)]);
    assert_eq!(ports(portscope(["--json"]).arg(format!("{udp}-{udp}/UDP"))), [u64::from(udp)]);
    assert_eq!(ports(portscope(["--json"]).arg(format!("{tcp},{other}"))), [low, high]);
    assert_eq!(ports(portscope(["--json"]).arg(format!("{tcp}, {other}"))), [low, high]);
    assert_eq!(ports(portscope(["--json"]).arg(format!("{tcp} {other}"))), [low, high]);
    let label = format!("{tcp}=frontend");
    for target in [":frontend", "localhost:frontend", "frontend/tcp"] {
        assert_eq!(ports(portscope(["--json", target, "--label"]).arg(&label)), [u64::from(tcp)], "{target}");
    }
}

#[test]
fn the_listing_has_a_name_too() {
    let (_listener, port) = listener("127.0.0.1");
    for name in ["list", "ls"] {
        assert_eq!(ports(portscope([name, "--json"]).arg(port)), [u64::from(port)]);
    }
}

#[test]
fn an_address_finds_the_listeners_on_every_address_that_answer_there() {
    for (bound, targets) in
        [("0.0.0.0", &["127.0.0.1", "127.9.8.7", "localhost"][..]), ("::", &["127.0.0.1", "[::1]", "localhost"])]
    {
        let (_listener, port) = listener(bound);
        for target in targets {
            let target = format!("{target}:{port}");
            let note = format!("listens on every address, so it also answers at {target}\n");
            let output = portscope(["-H"]).arg(&target).stderr_contains(&note).success();
            assert!(output.stdout.contains(&port.to_string()), "{target}: {}", output.stdout);
        }
    }
    let (_listener, port) = listener("127.0.0.1");
    let elsewhere = format!("127.0.0.2:{port}");
    let nothing = format!("portscope: nothing is open on tcp {elsewhere}\n");
    let _ = portscope([""; 0]).arg(&elsewhere).stderr_contains(&nothing).success();
}

#[test]
fn each_target_without_a_match_is_named() {
    let (_listener, port) = listener("127.0.0.1");
    let free = listener("127.0.0.1").1;
    let other = format!("{}/udp", UdpSocket::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port());
    let run = |flags: &[&str]| portscope(flags.iter().copied()).arg(port).arg(free).any_stderr().success().stderr;
    assert_eq!(run(&[]).lines().next(), Some(&*format!("portscope: nothing is open on tcp {free}")));
    assert_eq!(run(&["-l"]).lines().next(), Some(&*format!("portscope: nothing is listening on tcp {free}")));
    let udp = portscope([other]).any_stderr().success().stderr;
    assert!(udp.starts_with("portscope: nothing is open on udp "), "{udp}");
}

#[test]
fn a_word_that_is_the_name_of_nothing_is_a_mistake_with_a_suggestion() {
    let Some(space) = OwnSpace::new("") else { return };
    let _listener = space.run(|| TcpListener::bind(("127.0.0.1", 3000)).unwrap());
    let run = |arguments: &[&str]| portscope(arguments.iter().copied()).under(space.inside()).any_stderr().exits(1);
    for (arguments, line, hint) in [
        (&["kil", "3000"][..], "no service, process, unit or container here is named `kil`", "portscope kill 3000"),
        (&["lst"], "is named `lst`", "`portscope list`"),
        (&["tcp"], "is named `tcp`", "`portscope -t`"),
        (&[":htp"], "no service here is named `htp`", "the service `http` (tcp 80)"),
        (&["--user", "nobodyx"], "no user here is named `nobodyx`", "the user `nobody` (--user nobody)"),
    ] {
        let output = run(arguments);
        assert!(output.stdout.is_empty(), "no table: {}", output.stdout);
        assert!(output.stderr.contains(line), "{arguments:?}: {}", output.stderr);
        let hints = output.stderr.lines().filter(|line| line.starts_with("hint: did you mean "));
        assert!(hints.into_iter().any(|line| line.contains(hint)), "{arguments:?}: {}", output.stderr);
    }
    for (arguments, line) in [
        (&["--process", "no-such-process"][..], "portscope: no process here is named `no-such-process`\n"),
        (&["--pid", "4194304"], "portscope: there is no process 4194304\n"),
        (&["--json", "no-such-name-at-all"], "is named `no-such-name-at-all`\n"),
    ] {
        let output = run(arguments);
        assert!(output.stdout.is_empty() && output.stderr.ends_with(line), "{arguments:?}: {output:?}");
    }
}

#[test]
fn a_name_that_exists_without_a_socket_is_an_empty_answer() {
    let Some(space) = OwnSpace::new("") else { return };
    for (arguments, line) in [
        (&["sleep"][..], "portscope: nothing that matches `sleep` is open\n"),
        (&["https"], "portscope: nothing that matches `https` is open\n"),
        (&["--process", "sleep"], "portscope: process `sleep` has no matching socket\n"),
        (&["--user", "nobody"], "portscope: user `nobody` has no matching socket\n"),
    ] {
        let run = portscope(arguments.iter().copied()).under(space.inside()).stderr_contains(line);
        let output = run.success();
        assert_eq!(output.stdout, "", "{arguments:?}: the line on stderr says it");
    }
}

#[test]
fn where_owners_are_hidden_nobody_is_told_that_a_name_is_unknown() {
    if !is_root() {
        return skip("needs root to become another user");
    }
    let (_listener, _) = listener("127.0.0.1");
    let binary = ReachableBinary::new();
    for arguments in [&["no-such-name"][..], &["--process", "no-such-name"]] {
        let output = portscope(arguments.iter().copied()).run_by_nobody(&binary).any_stderr().exits(1);
        assert!(output.stderr.contains("can't tell whether `no-such-name` has a socket: the owners of "), "{output:?}");
        assert!(output.stderr.contains("\nhint: to see them: sudo /"), "{}", output.stderr);
    }
}

#[test]
fn pids_are_printed_one_a_line_and_each_once() {
    let (one, port) = listener("127.0.0.1");
    let _again = one.try_clone().unwrap();
    let holder = support::holding(one.try_clone().unwrap());
    let mut expected = [std::process::id(), holder.pid()];
    expected.sort_unstable();
    let printed = support::eventually("two holders", || {
        let printed = portscope(["--pids"]).arg(port).success().stdout;
        (printed.lines().count() == 2).then_some(printed)
    });
    assert_eq!(printed, format!("{}\n{}\n", expected[0], expected[1]));
    let _ = portscope(["--pids", "--json"]).any_stderr().exits(2);
}

#[test]
fn the_habits_of_other_tools_work_or_bring_the_command() {
    for flags in ["-tulpen", "-tano", "-tnop", "-tulpn", "-e"] {
        let _ = portscope([flags]).any_stderr().success();
    }
    for (arguments, command) in [
        (&["-s"][..], "use `portscope usage`"),
        (&["-x"], "for unix sockets use `ss -x`"),
        (&["state", "established"], "use `portscope --state established`"),
        (&["sport", "=", ":22"], "use `portscope :22`"),
        (&["dst", "10.0.0.0/8"], "use `portscope --peer 10.0.0.0/8`"),
        (&["-i", ":8080"], "use `portscope :8080`"),
        (&["-iTCP", "-sTCP:LISTEN"], "use `portscope -t -l`"),
        (&["-i@127.0.0.1:80"], "use `portscope 127.0.0.1:80`"),
        (&["-ti", ":80"], "use `portscope --pids :80`"),
        (&["fuser", "8080/tcp"], "use `portscope 8080/tcp`"),
        (&["netstat", "-anp"], "use `portscope -a -n`"),
    ] {
        let stderr = portscope(arguments.iter().copied()).any_stderr().exits(2).stderr;
        assert_eq!(stderr.lines().count(), 2, "{stderr}");
        assert!(stderr.lines().last().unwrap().starts_with("hint: "), "{stderr}");
        assert!(stderr.ends_with(&format!("{command}\n")), "{arguments:?}: {stderr}");
    }
}

#[test]
fn check_and_wait_take_addresses_and_services() {
    let (_listener, port) = listener("0.0.0.0");
    let at = |address: &str| format!("{address}:{port}");
    let check = portscope(["check", "--json"]).arg(at("127.0.0.1")).any_stderr().exits(1).json();
    let binds = check["ports"][0]["binds"].as_array().unwrap();
    assert_eq!(binds.len(), 1);
    assert_eq!(binds[0]["address"], "127.0.0.1");
    let _ = portscope(["check", "-q"]).arg(at("localhost")).any_stderr().exits(1);
    let service = portscope(["check", "--json", "http"]).any_stderr().exits_with([0, 1]).json();
    assert_eq!((&service["ports"][0]["port"], &service["ports"].as_array().unwrap().len()), (&80.into(), &1));
    let _ = portscope(["check", "no-such-service"]).stderr_contains("no service here is named").exits(1);

    for address in ["localhost", "127.0.0.1", "127.3.4.5"] {
        let reached = portscope(["wait", "--json", "--timeout", "0s"]).arg(at(address)).success().json();
        assert_eq!(reached["ports"][0]["address"], address);
    }
    let missed = format!("nothing is listening on tcp [::1]:{port}");
    let _ = portscope(["wait", "--timeout", "0s"]).arg(at("[::1]")).stderr_contains(&missed).exits(1);
    let _ = portscope(["wait", "--timeout", "0s", "-q"]).arg(format!("{port}/udp")).exits(1);
}

#[test]
fn info_shows_what_a_process_holds() {
    let (_listener, port) = listener("127.0.0.1");
    let name = std::fs::read_to_string("/proc/self/comm").unwrap();
    let output = portscope(["info", "--no-probe", name.trim()]).any_stderr().success();
    assert!(output.stdout.contains(&format!("port {port} on ")), "{}", output.stdout);
}

#[test]
fn kill_and_close_act_on_ports_and_services_and_never_on_the_name_of_a_process() {
    let (held, port) = listener("127.0.0.1");
    let holder = support::holding(held.try_clone().unwrap());
    drop(held);
    let label = support::eventually("one holder", || {
        let dry = portscope(["kill", "--dry-run"]).arg(format!("{port}/tcp")).success().stdout;
        dry.contains(&format!("sleep (pid {}, ", holder.pid())).then_some(dry)
    });
    assert!(label.contains(&format!("listens on tcp 127.0.0.1:{port}\n")), "{label}");
    let refused = portscope(["kill", "--yes", "sleep"]).any_stderr().exits(1).stderr;
    assert!(refused.starts_with("portscope: no service here is named `sleep`\n"), "{refused}");
    assert!(refused.contains(&format!("{port}/tcp")), "{refused}");
    let listed = portscope(["kill", "--dry-run"]).arg(format!("{port},{port}")).success().stdout;
    assert_eq!(listed.matches("listens on").count(), 1, "{listed}");
    let nothing = portscope(["kill", "--dry-run"]).arg(format!("{port}/udp")).any_stderr().exits(1).stderr;
    assert!(nothing.starts_with(&format!("portscope: nothing is listening on udp {port}")), "{nothing}");
}
