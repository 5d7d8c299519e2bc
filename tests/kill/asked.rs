//! The question of `kill`, and the list to choose from.

use super::*;

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
