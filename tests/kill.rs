//! `portscope kill` on processes that the test started, and on none else.

#[path = "kill/asked.rs"]
mod asked;
#[path = "kill/manager.rs"]
mod manager;
#[path = "kill/refused.rs"]
mod refused;
mod support;

use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use support::apart::empty;
use support::netns::OwnSpace;
use support::scene::Scene;
use support::{Folder, Kept, ReachableBinary, Run, eventually, hold, holding, is_root, portscope, skip};

fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// A process that holds a listener, and its port.
fn server() -> (Kept, u16) {
    let (listener, port) = listener();
    (holding(listener), port)
}

fn is_alive(child: &mut Kept) -> bool {
    child.0.try_wait().unwrap().is_none()
}

/// The signal that ended the process.
#[track_caller]
fn ended_by(mut child: Kept) -> Option<i32> {
    eventually("the process ends", || child.0.try_wait().unwrap()).signal()
}

/// Says whether the process is gone, or waits only for its parent to notice.
fn has_ended(pid: u64) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_none_or(|(_, fields)| fields.starts_with(['Z', 'X']))
}

const TERM: i32 = 15;
const KILL: i32 = 9;

#[test]
fn the_listeners_owner_ends_and_the_port_is_said_to_be_free() {
    let (server, port) = server();
    let pid = server.pid();
    let output = portscope(["kill", "--yes"]).arg(port).success();
    assert_eq!(ended_by(server), Some(TERM));
    let lines: Vec<&str> = output.stdout.lines().collect();
    assert!(lines[0].starts_with(&format!("sleep (pid {pid}, ")), "{}", output.stdout);
    assert!(lines[0].contains(", running for "), "{}", output.stdout);
    assert!(lines[0].ends_with(&format!(", listens on tcp 127.0.0.1:{port}")), "{}", output.stdout);
    assert_eq!(lines[lines.len() - 2..], [format!("{pid} sleep: sent SIGTERM"), format!("tcp {port} is free")]);
    assert!(TcpListener::bind(("127.0.0.1", port)).is_ok());
}

#[test]
fn a_port_that_no_server_can_have_yet_is_not_called_free() {
    let listener = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    listener.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    listener.listen(1).unwrap();
    let port = listener.local_addr().unwrap().as_socket().unwrap().port();
    let client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    // A connection that outlives its listener has not set SO_REUSEADDR, as the listener had not.
    let (accepted, _) = listener.accept().unwrap();
    let server = holding(listener);
    let refused = format!("tcp {port} is not free after 200ms: a bind with SO_REUSEADDR fails with EADDRINUSE");
    let _ = portscope(["kill", "--yes", "--timeout", "200ms"]).arg(port).stderr_contains(&refused).exits(1);
    assert_eq!(ended_by(server), Some(TERM));
    drop((client, accepted));
}

#[test]
fn a_server_that_its_supervisor_starts_again_is_not_called_gone() {
    let (listener, port) = listener();
    support::close(listener);
    let server =
        format!("import socket, time\ns = socket.create_server(('127.0.0.1', {port}))\nwhile True: time.sleep(100)");
    let folder = Folder::new();
    std::fs::write(folder.join("server.py"), server).unwrap();
    let script = format!("while :; do python3 {}; done", folder.join("server.py").display());
    let supervisor = Kept(support::start(Command::new("bash").args(["-c", &script]).stderr(Stdio::null())));
    let _ = portscope(["wait", "-q"]).arg(port).success();
    let output = portscope(["kill", "--yes"]).arg(port).any_stderr().exits(1);
    let again = format!("portscope: tcp {port} was taken again by ");
    assert!(output.stderr.starts_with(&again) && output.stderr.contains("python3 server.py"), "{}", output.stderr);
    let hint = format!("hint: bash (pid {}) starts it again; stop that first\n", supervisor.pid());
    assert!(output.stderr.contains(&hint), "{}", output.stderr);
    drop(supervisor);
    let _ = portscope(["kill", "--yes"]).arg(port).any_stderr().output();
}

#[test]
fn a_client_of_the_port_survives() {
    let (listener, port) = listener();
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let mut client = holding(stream);
    let server = holding(listener);
    let output = portscope(["kill", "--yes"]).arg(port).success();
    assert_eq!(ended_by(server), Some(TERM));
    assert!(is_alive(&mut client));
    assert!(!output.stdout.contains(&client.pid().to_string()), "{}", output.stdout);
}

#[test]
fn the_clients_of_this_host_end_too_when_they_are_asked_for() {
    let (listener, port) = listener();
    let client = holding(TcpStream::connect(("127.0.0.1", port)).unwrap());
    let accepted = holding(listener.accept().unwrap().0);
    let mut other = {
        let (elsewhere, port) = self::listener();
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        drop(elsewhere);
        holding(stream)
    };
    let server = holding(listener);
    let _ = portscope(["kill", "--clients", "--yes"]).arg(port).success();
    for child in [client, accepted, server] {
        assert_eq!(ended_by(child), Some(TERM));
    }
    assert!(is_alive(&mut other));
}

#[test]
fn a_preforked_server_ends_with_all_of_its_children() {
    let Some(scene) = Scene::start("fork") else { return };
    let made = scene.socket("listener").clone();
    let output = portscope(["kill", "--yes"]).arg(&made["port"]).success();
    let pids: Vec<u64> = made["pids"].as_array().unwrap().iter().map(|pid| pid.as_u64().unwrap()).collect();
    assert_eq!(pids.len(), 4);
    assert!(
        output.stdout.starts_with(&format!("mkports +3 (pids {}, ", scene.pid())),
        "the parent first: {}",
        output.stdout
    );
    for pid in pids {
        assert!(output.stdout.contains(&format!("{pid} mkports: ")), "{}", output.stdout);
        eventually("each holder ends", || has_ended(pid).then_some(()));
    }
    assert!(output.stdout.ends_with(&format!("tcp {} is free\n", made["port"])), "{}", output.stdout);
}

#[test]
fn every_member_of_a_group_that_shares_a_port_ends() {
    let Some(scene) = Scene::start("reuseport") else { return };
    let port = scene.sockets()[0]["port"].clone();
    let output = portscope(["kill", "--yes"]).arg(&port).success();
    assert_eq!(output.stdout.matches(": sent SIGTERM").count(), scene.sockets().len(), "{}", output.stdout);
    for socket in scene.sockets() {
        eventually("each holder ends", || has_ended(socket["pids"][0].as_u64().unwrap()).then_some(()));
    }
}

#[test]
fn a_listener_that_only_one_thread_has_is_found_again() {
    for words in ["thread-private", "zombie-leader"] {
        let Some(scene) = Scene::start(words) else { continue };
        let output = portscope(["kill", "--yes"]).arg(&scene.socket("listener")["port"]).success();
        assert!(output.stdout.contains(&format!("{} ", scene.number("child"))), "{}", output.stdout);
        eventually("the holder ends", || has_ended(scene.number("child")).then_some(()));
    }
}

/// A server that does not hear SIGTERM, once it does not.
fn deaf_server() -> (Kept, u16) {
    let (listener, port) = listener();
    let child = hold(Command::new("sh").args(["-c", "trap '' TERM; exec sleep 1000"]), listener);
    eventually("it ignores SIGTERM", || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.pid())).unwrap();
        let is_sleep = status.starts_with("Name:\tsleep\n");
        let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:\t"))?;
        let ignored = u64::from_str_radix(ignored, 16).unwrap();
        (is_sleep && ignored & (1 << (TERM - 1)) != 0).then_some(())
    });
    (child, port)
}

#[test]
fn a_process_that_ignores_the_signal_is_forced_only_when_that_was_asked_for() {
    let (mut server, port) = deaf_server();
    let pid = server.pid();
    let still = format!(
        "portscope: tcp {port} is not free after 200ms: {pid} sleep (tcp 127.0.0.1:{port} LISTEN); \
         still running: {pid} sleep\nhint: send SIGKILL to what does not end by itself: --force-after 5s\n"
    );
    let output = portscope(["kill", "--yes", "--timeout", "200ms"]).arg(port).stderr_contains(&still).exits(1);
    assert_eq!(output.stderr, still);
    assert!(is_alive(&mut server));
    let output = portscope(["kill", "--yes", "--force-after", "100ms"]).arg(port).success();
    assert_eq!(ended_by(server), Some(KILL));
    let told = format!("{pid} sleep: sent SIGTERM\n{pid} sleep: has not ended, sent SIGKILL\ntcp {port} is free\n");
    assert!(output.stdout.ends_with(&told), "{}", output.stdout);
}

#[test]
fn another_signal_can_be_sent() {
    // None that the caller of the tests may have made its children ignore.
    for (name, number) in [("KILL", KILL), ("SIGUSR1", 10), ("12", 12)] {
        let (server, port) = server();
        let _ = portscope(["kill", "--yes", "--signal", name]).arg(port).success();
        assert_eq!(ended_by(server), Some(number), "{name}");
    }
}

#[test]
fn udp_sockets_have_owners_too() {
    // At an address of its own, for TCP has the same number for somebody else.
    let socket = UdpSocket::bind(("127.0.53.1", 0)).unwrap();
    let end = socket.local_addr().unwrap();
    let mut server = holding(socket);
    let pid = server.pid();
    let hint = format!(
        "portscope: nothing is listening on tcp {end}; there is udp {end} UNCONN ({pid} sleep): use -u to select it\n"
    );
    assert_eq!(portscope(["kill", "--yes"]).arg(end).stderr_contains(&hint).exits(1).stderr, hint);
    assert!(is_alive(&mut server));
    let output = portscope(["kill", "-u", "--yes"]).arg(end).success();
    assert!(output.stdout.ends_with(&format!("udp {end} is free\n")), "{}", output.stdout);
    assert_eq!(ended_by(server), Some(TERM));
}

#[test]
fn an_address_spares_who_listens_at_another() {
    let (listener, port) = listener();
    let Ok(elsewhere) = TcpListener::bind(("127.0.0.2", port)) else {
        return skip("the port is taken at another address");
    };
    let (server, mut spared) = (holding(listener), holding(elsewhere));
    let _ = portscope(["kill", "--yes"]).arg(format!("127.0.0.1:{port}")).success();
    assert_eq!(ended_by(server), Some(TERM));
    assert!(is_alive(&mut spared));
}

#[test]
fn who_listens_on_every_address_is_named_where_nobody_has_the_one_that_is_meant() {
    for (wildcard, target) in [("0.0.0.0", "127.0.0.1"), ("[::]", "[::1]"), ("[::]", "127.0.0.1")] {
        let listener = TcpListener::bind(format!("{wildcard}:0")).unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut server = holding(listener);
        // A connection of it does not hide the listener.
        let client = TcpStream::connect(format!("{target}:{port}")).unwrap();
        let shown = if wildcard == "[::]" { "*" } else { wildcard };
        let hint = format!(
            "portscope: nothing is listening on tcp {target}:{port}; its traffic goes to tcp {shown}:{port} LISTEN \
             ({} sleep): use {wildcard}:{port} to select that\n",
            server.pid()
        );
        let run = portscope(["kill", "--yes"]).arg(format!("{target}:{port}")).stderr_contains(&hint);
        assert_eq!(run.exits(1).stderr, hint);
        assert!(is_alive(&mut server));
        let output = portscope(["close", "--dry-run"]).arg(format!("{target}:{port}")).any_stderr().exits(1);
        assert_eq!(output.stderr, hint);
        // What it says to type is what means it.
        let output = portscope(["kill", "--yes"]).arg(format!("{wildcard}:{port}")).success();
        assert!(output.stdout.contains(&format!("tcp {wildcard}:{port} is free")), "{}", output.stdout);
        assert_eq!(ended_by(server), Some(TERM));
        drop(client);
    }
}

#[test]
fn all_else_that_would_go_is_shown() {
    let (listener, port) = listener();
    let (second, second_port) = self::listener();
    let second = OwnedFd::from(second);
    let child = {
        let mut command = Command::new("sleep");
        command.arg("1000").stdin(OwnedFd::from(listener)).stdout(Stdio::from(second)).stderr(Stdio::null());
        Kept(support::start(&mut command))
    };
    let output = portscope(["kill", "--dry-run"]).arg(port).success();
    let also = format!("  it also holds: tcp 127.0.0.1:{second_port}\n");
    assert!(output.stdout.contains(&also), "{}", output.stdout);
    drop(child);
}

/// Set in the run of this test program that is process 1 of its own pid namespace.
const INSIDE: &str = "PORTSCOPE_TEST_INSIDE";

/// Between the question and the answer the server ends, and its number passes to another process that takes the port.
#[test]
fn a_number_that_has_passed_to_another_process_hits_nobody() {
    if !is_root() {
        return skip("needs root for a pid namespace");
    }
    if std::env::var_os(INSIDE).is_some() {
        return reuse_of_a_number();
    }
    let name = "a_number_that_has_passed_to_another_process_hits_nobody";
    let own = std::env::current_exe().unwrap();
    let output = {
        let _alone = support::alone();
        let mut command = Command::new("unshare");
        command.args(["-p", "-f", "--mount-proc"]).arg(own).args(["--exact", name, "--nocapture"]).env(INSIDE, "1");
        command.output().unwrap()
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

fn reuse_of_a_number() {
    let (listener, port) = listener();
    let second = listener.try_clone().unwrap();
    drop(listener);
    let victim = holding(second);
    let pid = victim.pid();
    let mut run = portscope(["kill"]).arg(port).at_terminal();
    run.sees(&format!("sleep (pid {pid}, "));
    run.sees("[y/N] ");
    drop(victim); // ends it and takes its status, so that the number is free
    let mut other = eventually("the number passes on", || {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        std::fs::write("/proc/sys/kernel/ns_last_pid", (pid - 1).to_string()).unwrap();
        Some(holding(listener)).filter(|child| child.pid() == pid)
    });
    run.types("y\n");
    let (code, shown) = run.ends();
    assert!(shown.contains(&format!("{pid} sleep: has ended by itself")), "{shown}");
    assert!(shown.contains(&format!("tcp {port} was taken by {pid} sleep")), "{shown}");
    assert_eq!(code, 1, "{shown}");
    assert!(is_alive(&mut other), "{shown}");
}
