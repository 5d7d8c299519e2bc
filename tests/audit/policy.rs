//! Policies: written by `--init`, read, and compared with what is open.

use super::*;

#[test]
fn the_policy_that_init_writes_is_kept_until_one_more_listener_opens() {
    let Some(room) = Room::new() else { return };
    let folder = open_folder();
    let odd = program(&folder, "a \"b\" \\ c*");
    let holders = many_kinds(&room, &odd);
    let policy = folder.join("policy.toml");
    let text = room.look(portscope(["audit", "--init"])).success().stdout;
    for holder in &holders {
        assert!(!text.contains(&holder.pid().to_string()), "a pid in {text}");
    }
    std::fs::write(&policy, &text).unwrap();
    let judge = || portscope(["audit", "--json", "--policy"]).arg(policy.display());
    assert_eq!(findings(&room.look(judge()).exits(0).json()), Vec::<String>::new(), "{text}");

    drop(holders);
    let _again = many_kinds(&room, &odd);
    assert_eq!(findings(&room.look(judge()).exits(0).json()), Vec::<String>::new(), "after a restart: {text}");

    let _more = room.holds("/bin/sleep", 0, &["tcp 127.0.0.1 9999"]);
    let report = room.look(judge()).exits(1).json();
    assert_eq!(findings(&report), ["policy-unlisted high tcp 127.0.0.1 9999"]);
    assert_eq!(report["failures"], 1);
}

#[test]
fn a_policy_that_could_not_be_read_again_is_not_written() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut report = portscope(["--json"]).arg(port).success().json();
    report["scope"] =
        serde_json::json!({"protocols": ["tcp", "udp", "udplite"], "families": ["ipv4", "ipv6"], "filtered": false});
    let socket = report["sockets"][0].clone();
    let folder = Folder::new();
    let file = folder.join("report.json");
    let mut init = |programs: u32| {
        let of_program = |number: u32| {
            let mut socket = socket.clone();
            socket["local"]["port"] = (2000 + 2 * number).into();
            socket["owner"]["processes"][0]["pid"] = (1000 + number).into();
            socket["owner"]["processes"][0]["exe"] = format!("/{number}/{}", "x".repeat(4000)).into();
            socket
        };
        report["sockets"] = (0..programs).map(of_program).collect();
        std::fs::write(&file, report.to_string()).unwrap();
        portscope(["audit", "--init", "--from"]).arg(file.display()).any_stderr()
    };
    let many = init(600).exits(2);
    assert!(many.stdout.is_empty());
    let problem = "portscope: the policy would have 600 rules and 5 MiB, but --policy reads at most 4 MiB: ";
    assert!(many.stderr.starts_with(problem) && many.stderr.lines().count() == 1, "{}", many.stderr);
    let policy = folder.join("policy.toml");
    std::fs::write(&policy, init(400).success().stdout).unwrap();
    let judge = portscope(["audit", "--json", "--from"]).arg(file.display()).arg("--policy").arg(policy.display());
    assert_eq!(findings(&carried_out(judge.any_stderr()).json()), Vec::<String>::new());
}

/// Listeners with findings of many kinds: an exposed store, SNMP, workers that share a port, an odd name, a person.
fn many_kinds(room: &Room, odd: &str) -> [Kept; 3] {
    [
        room.holds("/bin/sleep", 0, &["tcp 0.0.0.0 6379", "udp :: 161", "tcp+ 0.0.0.0 8080"]),
        room.holds("/bin/sleep", 0, &["tcp+ 0.0.0.0 8080", "tcp 127.0.0.1 8081"]),
        room.holds(odd, 1000, &["tcp ::1 22"]),
    ]
}

/// Writes the policy and holds the namespace against it.
#[track_caller]
fn by_policy(room: &Room, text: &str) -> Vec<String> {
    let folder = Folder::new();
    let policy = folder.join("policy.toml");
    std::fs::write(&policy, text).unwrap();
    findings(&carried_out(room.look(portscope(["audit", "--json", "--policy"])).arg(policy.display())).json())
}

#[test]
fn the_rules_of_a_policy_are_held_against_what_is_open() {
    let Some(room) = Room::new() else { return };
    let _holder = room.holds("/bin/sleep", 999, &["tcp 127.0.0.1 8080", "udp 127.0.0.1 8081"]);
    let sleep = std::fs::canonicalize("/bin/sleep").unwrap();
    let sleep = sleep.display();
    for (text, expected) in [
        ("[[forbid]]\nport = \"8000-8100\"\n".to_owned(), &["policy-forbidden high tcp 127.0.0.1 8080", "policy-forbidden high udp 127.0.0.1 8081"][..]),
        ("[[forbid]]\nport = 8080\nprotocol = \"udp\"\n".to_owned(), &[]),
        ("[[forbid]]\nwhen = 'protocol == \"udp\" && local.port == 8081'\nseverity = \"low\"\n".to_owned(), &["policy-forbidden low udp 127.0.0.1 8081"]),
        (format!("[[require]]\nexe = \"{sleep}\"\nport = 8080\nuser = \"999\"\n"), &[]),
        (format!("[[require]]\nexe = \"{sleep}\"\nport = 8080\nuser = \"0\"\n"), &["policy-missing high line 1"]),
        ("default = \"deny\"\n[[allow]]\nuser = \"9*\"\nexposure = \"loopback\"\n".to_owned(), &[]),
        ("default = \"deny\"\n[[allow]]\nport = 8080\nexpires = 2999-12-31\n[[allow]]\nport = 8081\nexpires = 2001-01-01\n".to_owned(), &["policy-unlisted high udp 127.0.0.1 8081", "policy-expired medium line 5", "policy-hint info line 2"]),
    ] {
        assert_eq!(by_policy(&room, &text), expected, "{text}");
    }
}

#[test]
fn a_mistake_in_a_policy_is_one_line_and_exit_2() {
    let folder = Folder::new();
    let _listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let path = folder.join("policy.toml");
    let fails = |path: &PathBuf, message: &str| {
        let stderr = portscope(["audit", "--policy"]).arg(path.display()).any_stderr().exits(2).stderr;
        assert_eq!(stderr, format!("portscope: cannot read {}: {message}\n", path.display()));
    };
    fails(&folder.join("nothing"), "No such file or directory (os error 2)");
    fails(&folder.join(""), "cannot be read: expected a regular file of 4 MiB at most");
    std::fs::write(&path, b"\xff").unwrap();
    fails(&path, "it is not valid UTF-8");
    for (text, message) in [
        ("[[allow]]\nport = 0\n", "line 2, column 8: `port`: `0` is not a port: expected 1-65535"),
        (
            "default = \"deny\"\nports = 1\n",
            "line 2, column 1: unknown key `ports`: expected default, disable, [[allow]], [[require]], [[forbid]]",
        ),
    ] {
        std::fs::write(&path, text).unwrap();
        fails(&path, message);
    }
    std::fs::write(&path, "[[forbid]]\nwhen = 'peer.port == 1'\n").unwrap();
    let stderr = portscope(["audit", "--policy"]).arg(path.display()).any_stderr().exits(2).stderr;
    assert!(
        stderr.contains("policy.toml: line 2, column 8: `when`, evaluated for ") && stderr.lines().count() == 1,
        "{stderr}"
    );
    let stderr = portscope(["audit", "--no-policy", "--space", "moon"]).any_stderr().exits(1).stderr;
    assert!(stderr.starts_with("portscope: no port space is named `moon`: expected all or one of "), "{stderr}");
    let stderr = portscope(["audit", "--disable", "x"]).any_stderr().exits(2).stderr;
    assert!(stderr.starts_with("portscope: --disable: `x` is not a rule: expected exposed-service, "), "{stderr}");
}

#[test]
fn the_machines_own_policy_counts_and_under_sudo_only_roots() {
    let folder = Folder::new();
    let etc = folder.join("etc");
    std::fs::create_dir_all(etc.join("portscope")).unwrap();
    let file = etc.join("portscope/policy.toml");
    std::fs::write(&file, "[[forbid]]\nport = 8080\n").unwrap();
    let Some(room) = Room::with(&format!("mount --bind {} /etc", etc.display())) else { return };
    let _holder = room.holds("/bin/sleep", 0, &["tcp 127.0.0.1 8080"]);
    let report = room.look(portscope(["audit", "--json"])).exits(1).json();
    assert_eq!(findings(&report), ["policy-forbidden high tcp 127.0.0.1 8080"]);
    assert_eq!(report["policy"], "/etc/portscope/policy.toml");
    let _ = room.look(audit([])).exits(0);
    let sudo = || room.look(portscope(["audit"])).env("SUDO_UID", "1000");
    let _ = sudo().exits(1);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o666)).unwrap();
    let _ = sudo().stderr_contains("under sudo it must be owned by root and writable by root only").exits(2);
}
