//! What `kill` refuses to do, and what a user may not do.

use super::*;

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
