//! `portscope kill` on processes that the test started, and on none else.

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
fn nothing_is_done_in_a_dry_run_or_where_nobody_can_be_asked() {
    let (mut server, port) = server();
    let output = portscope(["kill", "--dry-run"]).arg(port).success();
    assert!(output.stdout.starts_with(&format!("sleep (pid {}, ", server.pid())), "{}", output.stdout);
    assert!(output.stdout.ends_with("nothing was done (--dry-run)\n"), "{}", output.stdout);
    let asked = "portscope: not a terminal, so nothing was done: use --yes to confirm\n";
    assert_eq!(portscope(["kill"]).arg(port).stderr_contains(asked).exits(2).stderr, asked);
    // What "yes" in a pipe would be the answer to, nobody knows.
    let script = format!("yes | {} kill {port}", env!("CARGO_BIN_EXE_portscope"));
    let output = support::output(Command::new("sh").args(["-c", &script]));
    assert_eq!(String::from_utf8_lossy(&output.stderr), asked);
    assert!(is_alive(&mut server));
}

#[test]
fn at_a_terminal_only_yes_is_yes() {
    let (mut server, port) = server();
    for answer in ["\n", "n\n", "x\n", "\u{4}"] {
        let mut run = portscope(["kill"]).arg(port).at_terminal();
        run.sees(&format!("Stop sleep ({}) with SIGTERM? [y/N] ", server.pid()));
        run.types(answer);
        let (code, shown) = run.ends();
        assert_eq!(code, 1, "{answer:?}: {shown}");
        assert!(shown.trim_end().ends_with("nothing was done"), "{answer:?}: {shown}");
        assert!(is_alive(&mut server), "{answer:?}");
    }
    // The question is folded between words.
    let mut run = portscope(["kill"]).arg(port).env("COLUMNS", "24").at_terminal();
    run.sees("[y/N] ");
    run.types("n\n");
    let shown = run.ends().1;
    assert!(shown.lines().any(|line| line.starts_with("Stop sleep ")), "{shown}");
    assert!(shown.contains("SIGTERM?") && shown.lines().all(|line| line.trim_end().chars().count() <= 24), "{shown}");
    let mut run = portscope(["kill"]).arg(port).at_terminal();
    run.sees("[y/N] ");
    run.types("y\n");
    let (code, shown) = run.ends();
    assert_eq!(code, 0, "{shown}");
    assert_eq!(ended_by(server), Some(TERM));
}

#[test]
fn without_a_port_a_person_chooses_from_a_list_and_a_name_only_shortens_it() {
    let Some(space) = OwnSpace::new("") else { return };
    let make = || {
        let listener = space.run(|| TcpListener::bind("127.0.0.1:0").unwrap());
        let port = listener.local_addr().unwrap().port();
        (support::hold(Command::new("sleep").arg("1000"), listener), port)
    };
    let mut servers = [make(), make(), make()];
    servers.sort_by_key(|(_, port)| *port);
    let [(first, one), (mut second, two), (third, three)] = servers;
    let ask = "Which to kill? Numbers such as 1, 3-5, or Enter for none:";
    for arguments in [&["kill"][..], &["kill", "slee"]] {
        let mut run = portscope(arguments.iter().copied()).under(space.inside()).at_terminal();
        run.sees(ask);
        run.types("\n");
        let (code, shown) = run.ends();
        assert_eq!(code, 1, "{shown}");
        for (place, (pid, port)) in [(first.pid(), one), (second.pid(), two), (third.pid(), three)].iter().enumerate() {
            let line = format!("  {}  tcp 127.0.0.1:{port}  sleep (pid {pid}, ", place + 1);
            assert!(shown.contains(&line), "no {line}: {shown}");
        }
    }
    let mut run = portscope(["kill"]).under(space.inside()).at_terminal();
    run.sees(ask);
    run.types("4\n");
    run.sees("`4` is not in the list: expected numbers from 1 to 3");
    run.types("1, 3\n");
    run.sees(&format!("Stop sleep ({}) and 1 more process with SIGTERM? [y/N] ", first.pid()));
    run.types("y\n");
    let (code, shown) = run.ends();
    assert_eq!(code, 0, "{shown}");
    assert_eq!((ended_by(first), ended_by(third)), (Some(TERM), Some(TERM)));
    assert!(is_alive(&mut second));
    let mut run = portscope(["kill", "no-such-name"]).under(space.inside()).at_terminal();
    run.sees("nothing that listens is called `no-such-name`");
    assert_eq!(run.ends().0, 1);
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
fn nobody_to_stop_is_no() {
    let (listener, port) = listener();
    let client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let accepted = listener.accept().unwrap().0;
    let mut connected = holding(accepted);
    support::close(listener);
    let pid = connected.pid();
    let output = portscope(["kill", "--yes"]).arg(port).any_stderr().exits(1);
    let told =
        format!("portscope: nothing is listening on tcp {port}; there is tcp 127.0.0.1:{port} ESTABLISHED with ");
    assert!(output.stderr.starts_with(&told) && output.stderr.contains(&format!("({pid} sleep)")), "{}", output.stderr);
    assert!(output.stderr.ends_with("use --clients to include it\n"), "{}", output.stderr);
    assert!(is_alive(&mut connected));
    drop(client);
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

#[test]
fn ancestors_of_the_run_are_refused_and_so_is_what_they_share() {
    let (listener, port) = listener();
    // This test is the parent of the run; the child holds the same socket.
    let mut child = holding(listener.try_clone().unwrap());
    let output = portscope(["kill", "--yes"]).arg(port).any_stderr().exits(1);
    let told = format!("portscope: skipped tcp 127.0.0.1:{port} LISTEN: {} kill-", std::process::id());
    assert!(output.stderr.starts_with(&told), "{}", output.stderr);
    assert!(output.stderr.ends_with("started this command, which would end with it\n"), "{}", output.stderr);
    assert_eq!((output.stderr.lines().count(), output.stdout.as_str()), (1, ""));
    assert!(is_alive(&mut child));
}

#[test]
fn the_first_process_and_this_one_are_refused() {
    if !is_root() {
        return skip("needs root for a pid namespace");
    }
    let program = env!("CARGO_BIN_EXE_portscope");
    // The shell is process 1; what it starts holds the listener too, unless it is given another input.
    for (input, told) in [("</dev/null", "1 sh is the first process"), ("", "skipped ")] {
        let (listener, port) = listener();
        let script = format!("{program} kill --yes {port} {input}; echo $?");
        let _alone = support::alone();
        let mut command = Command::new("unshare");
        command.args(["-p", "-f", "--mount-proc", "sh", "-c", &script]).stdin(OwnedFd::from(listener));
        let output = command.output().unwrap();
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(stdout, "1\n", "{stderr}");
        assert!(stderr.contains(told), "{stderr}");
    }
    let (listener, port) = listener();
    let output = {
        let _alone = support::alone();
        let mut command = portscope(["kill", "--yes"]).arg(port).command();
        let child =
            command.stdin(OwnedFd::from(listener)).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(command); // it has the listener too
        child.wait_with_output().unwrap()
    };
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.trim_end().ends_with("is this command itself"), "{stderr}");
}

#[test]
fn a_process_of_another_pid_namespace_is_refused() {
    let Some(scene) = Scene::start("pidns") else { return };
    let made = scene.sockets()[0].clone();
    let output = portscope(["kill", "--yes"]).arg(&made["port"]).any_stderr().exits(1);
    assert!(output.stderr.contains("runs in another PID namespace, such as a container's"), "{}", output.stderr);
    assert!(!has_ended(made["pids"][0].as_u64().unwrap()));
}

#[test]
fn a_process_that_only_has_the_name_of_a_proxy_is_stopped_like_any_other() {
    let folder = Folder::new();
    let proxy = folder.join("docker-proxy");
    std::fs::copy("/bin/sleep", &proxy).unwrap();
    let (listener, port) = listener();
    let mut child = hold(Command::new(&proxy).arg("1000"), listener);
    let output = portscope(["kill", "--yes"]).arg(port).success();
    assert!(output.stdout.contains("docker-proxy: sent SIGTERM"), "{}", output.stdout);
    assert!(!is_alive(&mut child));
}

#[test]
fn a_user_without_the_right_is_told_so_at_once() {
    if !is_root() {
        return skip("needs root to become another user");
    }
    let (mut server, port) = server();
    let binary = ReachableBinary::new();
    let output = portscope(["kill", "--yes"]).arg(port).run_by_nobody(&binary).any_stderr().exits(1);
    let told = format!(
        "portscope: skipped tcp 127.0.0.1:{port} LISTEN: you don't have permission to see its owner\n\
         hint: sudo {} kill {port}\n",
        binary.path().display()
    );
    assert_eq!((output.stderr.as_str(), output.stdout.as_str()), (told.as_str(), ""));
    assert!(is_alive(&mut server));
    // One who may see everything and signal nobody.
    let capabilities = "+sys_ptrace,+dac_read_search";
    let caps = [format!("--inh-caps=-all,{capabilities}"), format!("--ambient-caps={capabilities}")];
    let setpriv = ["setpriv", "--reuid", "65534", "--clear-groups", &caps[0], &caps[1]];
    let output = portscope(["kill", "--yes"]).arg(port).under(setpriv).any_stderr().exits(1);
    let told = format!("you don't have permission to signal {} sleep\nhint: sudo ", server.pid());
    assert!(output.stderr.contains(&told) && output.stderr.ends_with(&format!(" kill {port}\n")), "{}", output.stderr);
    assert_eq!(output.stderr.lines().count(), 2);
    assert!(is_alive(&mut server));
}

#[test]
fn a_mistake_is_one_line_and_exit_2() {
    for (arguments, message) in [
        (&["kill"][..], "no port was named: expected `portscope kill PORT`"),
        (&["kill", "127.0.0.1"], "`127.0.0.1` is not a port: expected"),
        (&["kill", "70000"], "`70000` is not a port: expected 1-65535"),
        (
            &["kill", "1", "--signal", "STOP"],
            "--signal: `STOP` is not a signal that ends a process: expected TERM, INT, HUP, QUIT, ABRT, USR1, USR2, KILL",
        ),
        (&["kill", "1", "--force-after", "5"], "--force-after: `5` is not a duration"),
        (&["kill", "1", "--via-manager", "--signal", "INT"], "`--via-manager` cannot be used with `--signal <SIGNAL>`"),
    ] {
        let stderr = portscope(arguments.iter().copied()).any_stderr().exits(2).stderr;
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(stderr.starts_with(&format!("portscope: {message}")), "{arguments:?}: {stderr}");
    }
}

/// A cgroup that is called like a unit, with a process in it that holds a listener; it goes with the value.
struct Unit {
    folder: PathBuf,
    server: Option<Kept>,
    port: u16,
}

impl Unit {
    fn start(name: &str) -> Option<Unit> {
        let root = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"]
            .into_iter()
            .find(|root| Path::new(root).join("cgroup.procs").exists());
        let Some(root) = root.filter(|_| is_root()) else {
            skip("needs root and a tree of cgroups of version 2");
            return None;
        };
        let folder = Path::new(root).join(name);
        if let Err(error) = std::fs::create_dir_all(&folder) {
            skip(&format!("cannot make a cgroup: {error}"));
            return None;
        }
        let (server, port) = server();
        let unit = Unit { folder, server: Some(server), port };
        std::fs::write(unit.folder.join("cgroup.procs"), unit.pid().to_string()).unwrap();
        Some(unit)
    }

    fn pid(&self) -> u32 {
        self.server.as_ref().unwrap().pid()
    }

    /// Runs `kill` where `systemctl` is this script, in a mount namespace of its own.
    fn kill(&self, flags: &[&str], script: &str) -> Run {
        let program = format!("#!/bin/sh\n{script}\n");
        let prepare = format!(
            "set -e; p=$(readlink -f /usr/bin); {}; printf '%s' \"$0\" >/mnt/systemctl; chmod 755 /mnt/systemctl; \
             test -e $p/systemctl || exit 77; mount --bind /mnt/systemctl $p/systemctl; exec \"$@\"",
            empty("/mnt")
        );
        let wrapper = ["unshare", "-m", "sh", "-c", &prepare, &program].map(str::to_owned);
        portscope(["kill", "--via-manager"]).args(flags).arg(self.port).under(wrapper)
    }
}

impl Drop for Unit {
    fn drop(&mut self) {
        drop(self.server.take());
        // Those that others are in, and the root, stay.
        for folder in self.folder.ancestors().take_while(|folder| folder.join("cgroup.procs").exists()) {
            if std::fs::remove_dir(folder).is_err() {
                break;
            }
        }
    }
}

#[test]
fn a_unit_is_named_with_the_command_that_stops_it_and_its_manager_is_told_to() {
    if !Path::new("/usr/bin/systemctl").exists() {
        return skip("needs a systemctl in whose place another can be put");
    }
    let name = format!("portscope-test-{}.service", std::process::id());
    let Some(mut unit) = Unit::start(&name) else { return };
    let pid = unit.pid();
    let output = portscope(["kill", "--dry-run"]).arg(unit.port).success();
    let told = format!("  unit {name} may start it again\nhint: stop it for good: systemctl stop {name}\n");
    assert!(output.stdout.contains(&told), "{}", output.stdout);

    // What a cgroup is called is a hint; here systemd knows nothing of it.
    let not = format!(
        "{pid} sleep seems to belong to unit {name}, but its manager does not know the process; nothing was done"
    );
    let _ = unit.kill(&["--yes"], "echo /system.slice/other.service").stderr_contains(&not).exits(1);
    let cannot = format!("can't find out whether {pid} sleep belongs to unit {name}: /usr/bin/systemctl: no bus");
    let _ = unit.kill(&["--yes"], "echo no bus >&2; exit 1").stderr_contains(&cannot).exits(1);
    assert!(is_alive(unit.server.as_mut().unwrap()));

    let script = format!(
        "case $1 in show) echo /{name};; stop) test $(env | grep -cv '^PWD=\\|^_=\\|^SHLVL=\\|^OLDPWD=') = 1 && kill -USR1 {pid};; esac"
    );
    let output = unit.kill(&["--dry-run"], &script).success();
    assert!(output.stdout.contains(&format!("would run `systemctl stop {name}`\n")), "{}", output.stdout);
    assert!(is_alive(unit.server.as_mut().unwrap()));
    let output = unit.kill(&["--yes"], &script).env("DOCKER_HOST", "tcp://192.0.2.1").success();
    let told = format!("unit {name}: stopped\ntcp {} is free\n", unit.port);
    assert!(output.stdout.ends_with(&told), "{}", output.stdout);
    assert_eq!(ended_by(unit.server.take().unwrap()), Some(10), "by the manager, not by portscope");
}

#[test]
fn a_unit_inside_of_a_container_is_never_taken_for_the_hosts() {
    let own = std::process::id();
    let around = format!("systemd-nspawn@box{own}.service");
    for (container, unit, fix) in [
        (format!("portscope-{own}.slice/{around}/payload"), Some(&around), format!("systemctl stop {around}\n")),
        (
            format!("portscope-{own}.slice/machine-box{own}.scope/payload"),
            None,
            format!(" inside its container (nspawn box{own}), or stop the container with its own tools\n"),
        ),
        (
            format!("lxc.payload.box{own}"),
            None,
            format!(" inside its container (lxc box{own}), or stop the container with its own tools\n"),
        ),
    ] {
        let Some(server) = Unit::start(&format!("{container}/system.slice/nginx.service")) else { return };
        let port = server.port;
        // A condition looks at every field, so that units are asked for.
        let row = portscope(["--json", "--where", "owner.container != null"]).arg(port).success().only_socket();
        assert_eq!(row["owner"]["unit"], serde_json::json!(unit), "{container}");
        assert_eq!(row["owner"]["container"]["id"], format!("box{own}"), "{container}");
        let by_unit = portscope(["-o", "csv", "nginx.service"]).any_stderr().exits_with([0, 1]).stdout;
        assert!(!by_unit.contains(&format!(",{port},")), "{container}");
        let check = portscope(["check", "-a", "127.0.0.1"]).arg(port).any_stderr().exits(1).stdout;
        let kill = portscope(["kill", "--dry-run"]).arg(port).success().stdout;
        assert!(check.contains(&fix), "{check}");
        let stops = unit.map(|unit| format!("unit {unit} may start it again\nhint: stop it for good: {fix}"));
        assert_eq!(stops.as_ref().is_some_and(|stops| kill.contains(stops)), unit.is_some(), "{kill}");
        assert_eq!(kill.contains("may start it again"), unit.is_some(), "{kill}");
        assert!(!check.contains("nginx.service") && !kill.contains("nginx.service"), "{check}{kill}");
    }
}

#[test]
fn without_a_manager_nothing_is_stopped_through_one() {
    let (mut server, port) = server();
    let told = format!("{} sleep runs in no unit or container that could be stopped; nothing was done\n", server.pid());
    let run = portscope(["kill", "--via-manager", "--yes"]).arg(port);
    if portscope(["kill", "--dry-run"]).arg(port).success().stdout.contains("may start it again") {
        return skip("the tests themselves run in a unit");
    }
    let _ = run.stderr_contains(&told).exits(1);
    assert!(is_alive(&mut server));
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
