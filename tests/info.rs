//! `portscope info`.
#![cfg(target_os = "linux")]

#[path = "info/hidden.rs"]
mod hidden;
#[path = "info/judged.rs"]
mod judged;
mod support;

use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::process::Command;

use serde_json::{Value, json};
use support::scene::Scene;
use support::{Folder, ReachableBinary, Run, hold, holding, is_root, portscope, skip};

/// What `setpriv` takes to become somebody without rights, also without those of the group 0.
const NOBODY: [&str; 5] = ["--reuid", "65534", "--regid", "65534", "--clear-groups"];

fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

fn info(subject: impl ToString) -> Run {
    portscope(["info"]).arg(subject)
}

/// The only process of a dossier.
#[track_caller]
fn only_process(report: &Value) -> Value {
    let processes = report["processes"].as_array().unwrap();
    assert_eq!(processes.len(), 1, "{report:#}");
    processes[0].clone()
}

/// The pids that a process descends from as /proc tells them, the first process first.
fn ancestors(pid: u32) -> Vec<u32> {
    let parent = |pid: u32| -> Option<u32> {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let number = status.lines().find_map(|line| line.strip_prefix("PPid:")).unwrap().trim().parse().unwrap();
        (number != 0).then_some(number)
    };
    let mut found: Vec<u32> = std::iter::successors(parent(pid), |pid| parent(*pid)).collect();
    found.reverse();
    found
}

#[test]
fn a_number_is_told_with_its_category_rule_services_and_settings() {
    let report = info(5432).arg("--json").success().json();
    let port = &report["ports"][0];
    assert_eq!(port["port"], 5432);
    assert_eq!((&port["category"]["name"], &port["category"]["first"]), (&json!("registered"), &json!(1024)));
    assert!(port["category"]["rule"].as_str().unwrap().contains("choose an unassigned port"));
    for (place, protocol) in ["tcp", "udp"].into_iter().enumerate() {
        let registration = &port["registrations"][place];
        assert_eq!(registration["protocol"], protocol);
        let service = json!({"name": "postgresql", "source": "iana", "description": "PostgreSQL Database"});
        assert_eq!(registration["services"], json!([service]));
    }
    assert_eq!(port["objections"][0], "assigned");
    let own = &port["spaces"][0];
    let setting = |name: &str| std::fs::read_to_string(format!("/proc/sys/net/ipv4/{name}")).unwrap();
    let range: Vec<u16> = setting("ip_local_port_range").split_whitespace().map(|n| n.parse().unwrap()).collect();
    assert_eq!(own["ephemeral"], json!(range));
    assert_eq!(own["in_ephemeral"], (range[0]..=range[1]).contains(&5432));
    assert_eq!(own["unprivileged_start"].to_string(), setting("ip_unprivileged_port_start").trim());

    let text = info(22).success().stdout;
    for line in ["category    well-known, 0-1023: assigned by IANA", "tcp ssh: SSH Remote Login Protocol (well-known)"]
    {
        assert!(text.contains(line), "{line}: {text}");
    }
    let text = info(4).success().stdout;
    assert!(text.contains("tcp no service (IANA: Unassigned)"), "{text}");
}

#[test]
fn a_space_of_its_own_has_settings_of_its_own() {
    if !is_root() {
        return skip("needs root to make a network namespace");
    }
    let script = "sysctl -qw net.ipv4.ip_local_port_range='5000 6000' net.ipv4.ip_local_reserved_ports=5432,7000 \
                  net.ipv4.ip_unprivileged_port_start=80; exec \"$0\" \"$@\"";
    let own = |port: u16| {
        let report = info(port).arg("--json").under(["unshare", "-n", "sh", "-c", script]).success().json();
        let (port, own) = (report["ports"][0].clone(), report["ports"][0]["spaces"][0].clone());
        let facts = [&own["in_ephemeral"], &own["reserved"], &own["privileged"]];
        (facts.map(|fact| fact.as_bool().unwrap()), port["objections"].clone())
    };
    assert_eq!(own(5432), ([true, true, false], json!(["assigned", "reserved"])), "no client is given it");
    assert_eq!(own(5998), ([true, false, false], json!(["ephemeral"])));
    assert_eq!(own(7000).0, [false, true, false]);
    assert_eq!(own(79).0, [false, false, true]);
    assert_eq!(own(80).0, [false, false, false]);
}

#[test]
fn an_owner_is_told_in_full() {
    let folder = Folder::new();
    let script = folder.join("serve.sh");
    // It holds the socket and does nothing, without a child of its own.
    std::fs::write(&script, "kill -STOP $$\n").unwrap();
    let (socket, port) = listener();
    let mut command = Command::new("sh");
    command.arg(&script).arg("--token=hunter2").current_dir(folder.join(""));
    let holder = hold(&mut command, socket);
    // It keeps the socket for a further start.
    drop(command);

    let report = info(port).arg("--json").success().json();
    let process = only_process(&report);
    assert_eq!(process["pid"], holder.pid());
    let ancestry: Vec<u32> = process["ancestry"]
        .as_array()
        .unwrap()
        .iter()
        .map(|ancestor| ancestor["pid"].as_u64().unwrap().try_into().unwrap())
        .collect();
    assert_eq!(ancestry, ancestors(holder.pid()));
    assert_eq!(ancestry.last(), Some(&std::process::id()));
    assert_eq!(process["ancestry"][0]["parent"], Value::Null);
    let folder = std::fs::canonicalize(folder.join("")).unwrap();
    assert_eq!(process["cwd"], folder.to_str().unwrap());
    let exe = std::fs::read_link(format!("/proc/{}/exe", holder.pid())).unwrap();
    assert_eq!((process["exe"].as_str(), &process["exe_deleted"]), (exe.to_str(), &json!(false)));
    assert_eq!(process["argv"], json!(["sh", script.to_str().unwrap(), "--token=********"]));
    assert_eq!(process["uid"], rustix::process::geteuid().as_raw());
    assert!(process["age_seconds"].as_u64().unwrap() < support::DEADLINE.as_secs());
    let open = report["ports"][0]["holdings"][0]["open"].as_array().unwrap();
    assert_eq!((open.len(), &open[0]["state"]), (1, &json!("LISTEN")));

    let text = info(port).success().stdout;
    let pid = holder.pid();
    for line in [
        format!("\ntcp 127.0.0.1:{port} LISTEN, loopback only\n"),
        format!("  process   sh serve.sh ({pid}, descriptor 0)\n"),
        format!("  cwd       {}\n", folder.display()),
        format!("  argv      sh {} --token=********\n", script.display()),
        " s ago\n".to_owned(),
        "  peers     no connections\n".to_owned(),
    ] {
        assert!(text.contains(&line), "{line}: {text}");
    }
    let ancestry = text.lines().find(|line| line.starts_with("  ancestry  ")).unwrap();
    assert!(ancestry.ends_with(" → sh serve.sh"), "{ancestry}");
    assert_eq!(ancestry.matches(" → ").count(), ancestors(pid).len(), "{ancestry}");
}

#[test]
fn an_orphan_is_told_with_the_parent_that_it_has_now() {
    let (socket, port) = listener();
    // The shell ends and leaves the program to another process.
    let mut shell = Command::new("sh");
    shell.args(["-c", "exec 3<&0; sleep 1000 >/dev/null 2>&1 & echo $!"]).stdin(OwnedFd::from(socket));
    let pid: u32 = String::from_utf8(support::output(&mut shell).stdout).unwrap().trim().parse().unwrap();
    drop(shell); // it has the socket too
    let process = only_process(&info(port).arg("--json").success().json());
    let ancestry = ancestors(pid);
    let _ = support::output(Command::new("kill").arg(pid.to_string()));
    assert_eq!(process["pid"], pid);
    let told: Vec<Value> =
        process["ancestry"].as_array().unwrap().iter().map(|ancestor| ancestor["pid"].clone()).collect();
    assert_eq!(json!(told), json!(ancestry));
    assert!(!ancestry.contains(&std::process::id()), "it did not stay with the test");
}

#[test]
fn a_file_that_is_gone_is_told_from_one_that_is_called_so() {
    let folder = Folder::new();
    let sleep = ["/bin/sleep", "/usr/bin/sleep"].into_iter().find(|path| std::path::Path::new(path).exists()).unwrap();
    for (name, is_deleted) in [("server", true), ("server (deleted)", false), ("server", false)] {
        let program = folder.join(name);
        std::fs::copy(sleep, &program).unwrap();
        let (socket, port) = listener();
        let _holder = hold(Command::new(&program).arg("1000"), socket);
        if is_deleted {
            std::fs::remove_file(&program).unwrap();
        }
        let process = only_process(&info(port).arg("--json").success().json());
        assert_eq!(process["exe_deleted"], is_deleted, "{process}");
        let text = info(port).success().stdout;
        let told = text.contains(&format!("{} (deleted: the running file is no longer on disk)", program.display()));
        assert_eq!(told, is_deleted, "{text}");
    }
}

#[test]
fn peers_are_counted_whoever_holds_the_connections() {
    let (socket, port) = listener();
    let clients: Vec<TcpStream> = (0..3).map(|_| TcpStream::connect(("127.0.0.1", port)).unwrap()).collect();
    let accepted: Vec<TcpStream> = (0..3).map(|_| socket.accept().unwrap().0).collect();
    // The connections belong to this process, the listener to another one.
    let holder = holding(socket);

    let report = info(port).arg("--json").success().json();
    let holdings = report["ports"][0]["holdings"].as_array().unwrap();
    assert_eq!(holdings.len(), 2, "{report:#}");
    assert_eq!(support::pids(&holdings[0]["open"][0]), [holder.pid()]);
    let peers = &holdings[0]["peers"];
    let counts = (&peers["connections"], &peers["addresses"], &peers["states"]);
    assert_eq!(counts, (&json!(3), &json!(1), &json!({"ESTABLISHED": 3})));
    let users: Vec<_> =
        peers["used_by"].as_array().unwrap().iter().map(|user| (&user["pids"], &user["connections"])).collect();
    assert_eq!(users, [(&json!([std::process::id()]), &json!(3))]);
    assert_eq!((holdings[1]["connections"].as_array().unwrap().len(), &holdings[1]["peers"]), (3, &Value::Null));
    assert_eq!(support::pids(&holdings[1]["connections"][0]), [std::process::id()]);

    let text = info(port).success().stdout;
    assert!(text.contains("  peers     3 from 1 address: 3 ESTABLISHED\n"), "{text}");
    assert_eq!(text.matches(&format!("tcp 127.0.0.1:{port} ESTABLISHED with 127.0.0.1:")).count(), 3, "{text}");
    drop((clients, accepted));
}

#[test]
fn udp_sockets_and_those_that_only_take_the_number_are_told_too() {
    let socket = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    let port = socket.local_addr().unwrap().port();
    let text = info(format!(":{port}")).success().stdout;
    assert!(text.contains(&format!("\nudp 127.0.0.1:{port} UNCONN, loopback only\n")), "{text}");
    assert!(!text.contains("peers"), "{text}");
    if let Some(scene) = Scene::start("bound") {
        let port = &scene.socket("bound")["port"];
        let text = info(port).success().stdout;
        assert!(text.contains(&format!("{port} BOUND")) && !text.contains("no socket"), "{text}");
    }
}

#[test]
fn what_nobody_holds_is_named_for_what_it_is() {
    let Some(scene) = Scene::start("time-wait") else { return };
    let text = info(&scene.socket("time-wait")["port"]).success().stdout;
    assert!(text.contains(" TIME_WAIT with 127.0.0.1:"), "{text}");
    assert!(text.contains("  owner     none: the connection is over"), "{text}");
}

#[test]
fn a_number_that_nobody_has_is_told_too() {
    let (socket, port) = listener();
    support::close(socket);
    let text = info(port).success().stdout;
    assert!(text.contains("\nno socket uses it\n"), "{text}");
    assert_eq!(info(port).arg("--json").success().json()["ports"][0]["holdings"], json!([]));
}

#[test]
fn a_name_is_told_port_by_port() {
    let ports = |name: &str| -> Vec<u64> {
        let report = info(name).args(["--json", "--label", "64001=mine", "--label", "64003/udp=mine"]).success().json();
        report["ports"].as_array().unwrap().iter().map(|port| port["port"].as_u64().unwrap()).collect()
    };
    assert_eq!(ports("mine"), [64001, 64003]);
    assert_eq!(ports("HTTP"), [80], "an alias, in any case of letters");
    assert!(ports("http-alt").len() > 1, "several registrations");
    let text = info("mine").args(["--label", "64001=mine", "--label", "64003/udp=mine"]).success().stdout;
    assert_eq!(text.lines().filter(|line| line.starts_with("port ")).count(), 2, "{text}");
    assert!(text.contains("registered  tcp mine (user)\n"), "{text}");
    // A label does not hide what the number is registered for.
    let text = info(5432).args(["--label", "5432=mine"]).success().stdout;
    assert!(text.contains("tcp mine (user)\n            tcp postgresql: PostgreSQL Database (iana)\n"), "{text}");
}

#[test]
fn several_ports_are_told_one_after_the_other() {
    let report =
        |arguments: &[&str]| portscope(["info", "--json", "--no-probe"]).args(arguments).any_stderr().success();
    for arguments in [&["61985,61986"][..], &["61986", "61985/tcp"], &["61985-61986"], &["61985 61986"]] {
        let report = report(arguments).json();
        let ports: Vec<_> = report["ports"].as_array().unwrap().iter().map(|port| &port["port"]).collect();
        assert_eq!(ports, [61985, 61986], "{arguments:?}");
    }
}

#[test]
fn an_unknown_name_is_exit_1_and_bad_input_exit_2() {
    let stderr = info("no-such-service-at-all").any_stderr().exits(1).stderr;
    assert!(stderr.contains("`no-such-service-at-all`") && stderr.starts_with("portscope: "), "{stderr}");
    let near = info("postgresq").any_stderr().exits(1).stderr;
    assert!(near.contains("hint: did you mean the service `postgresql` (tcp 5432)?\n"), "{near}");
    for (subject, problem) in [
        ("70000", "`70000` is not a port: expected 1-65535"),
        ("0", "`0` is not a port: expected 1-65535"),
        ("90-80", "`90-80` is not a range: 90 is above 80; expected LOW-HIGH, such as 8000-8100"),
        ("", "`` is not a target: expected a port (8080, 53/udp, 8000-8100), ADDR:PORT, an address or a name"),
    ] {
        let message = format!("portscope: {problem}\n");
        assert_eq!(info(subject).any_stderr().exits(2).stderr, message);
    }
    let missing = portscope(["info"]).any_stderr().exits(2).stderr;
    assert_eq!(missing.lines().count(), 1, "{missing}");
}

#[test]
fn hostile_names_harm_nothing() {
    for words in ["evil-argv", "evil-comm", "evil-exe"] {
        let Some(scene) = Scene::start(words) else { continue };
        let port = &scene.socket("listener")["port"];
        let text = info(port).success().stdout;
        assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}') && !text.contains("hunter2"), "{text:?}");
        let report = info(port).arg("--json").success();
        assert!(!report.stdout.contains("hunter2") && !report.stdout.contains('\u{1b}'));
    }
}

#[test]
fn a_process_that_does_not_answer_holds_nothing_up() {
    let Some(scene) = Scene::start("d-state") else { return };
    let before = std::time::Instant::now();
    let report = info(&scene.socket("listener")["port"]).arg("--json").success().json();
    assert!(before.elapsed() < support::DEADLINE);
    assert_eq!(only_process(&report)["argv"], Value::Null);
}

#[test]
fn the_portable_backend_tells_what_it_can() {
    let (socket, port) = listener();
    let holder = holding(socket);
    let report = info(port).args(["--json", "--backend", "portable"]).success().json();
    assert_eq!(report["backend"], "portable");
    let process = only_process(&report);
    assert_eq!((&process["pid"], &process["argv"]), (&json!(holder.pid()), &json!(["sleep", "1000"])));
    assert_eq!(process["cwd"], std::env::current_dir().unwrap().to_str().unwrap());
    assert_eq!(process["exe_deleted"], Value::Null, "it cannot tell");
    let last = process["ancestry"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(last["pid"], std::process::id());
}

#[test]
fn a_real_dossier_is_valid() {
    let (_socket, port) = listener();
    let schema = portscope(["schema", "info"]).success().json();
    let report = info(port).arg("--json").success().json();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let errors: Vec<String> = validator.iter_errors(&report).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    let mut broken = report;
    broken["ports"][0]["port"] = json!("80");
    assert!(!validator.is_valid(&broken));
}

#[test]
fn a_number_is_told_in_every_space_that_has_it() {
    if !is_root() {
        return skip("needs root to make network namespaces");
    }
    let (_socket, port) = listener();
    let Some(scene) = Scene::start(&format!("netns n=1 port={port}")) else { return };
    let report = info(port).arg("--json").success().json();
    let holdings = report["ports"][0]["holdings"].as_array().unwrap();
    let inode = &scene.sockets()[0]["inode"];
    let other = holdings.iter().find(|holding| holding["open"][0]["inode"] == *inode).expect("that of the other space");
    assert_eq!(json!(support::pids(&other["open"][0])), scene.sockets()[0]["pids"]);
    let own = &report["ports"][0]["spaces"][0]["id"];
    assert_eq!(holdings[0]["open"][0]["space"], *own, "the own space comes first");
    assert_ne!(other["open"][0]["space"], *own);
    let text = info(port).success().stdout;
    assert!(text.contains(&format!("\ntcp 127.0.0.1:{port} LISTEN, loopback only\n")), "{text}");
    assert!(text.contains(", in port space mkports"), "{text}");
    // What is so there as it is here is not said again; what differs is.
    let settings = "echo 30000 31000 > /proc/sys/net/ipv4/ip_local_port_range";
    let space = format!("--net=/proc/{}/ns/net", scene.sockets()[0]["pids"][0]);
    let set = support::output(Command::new("nsenter").args([&space, "sh", "-c", settings]));
    assert!(set.status.success(), "{set:?}");
    let text = info(port).success().stdout;
    let told = "\nin port space mkports (netns)\nephemeral   no: outside the ephemeral range 30000-31000\n\ntcp ";
    assert!(text.contains(told), "{text}");
    assert_eq!(text.matches("\nreserved ").count(), 1, "{text}");
}

#[test]
fn a_port_that_several_spaces_have_takes_one_line_each_on_a_terminal() {
    let mut spaces = Vec::new();
    for _ in 0..3 {
        let Some(space) = support::netns::OwnSpace::new("") else { return };
        spaces.push(space);
    }
    // A port that no other test takes in a space of its own.
    let held: Vec<TcpListener> =
        spaces.iter().map(|space| space.run(|| TcpListener::bind(("0.0.0.0", 61_987)).unwrap())).collect();
    let seen = |arguments: &[&str]| {
        let run = portscope(["info", "61987", "--no-pager", "--color", "never", "--width", "80"]).args(arguments);
        run.env("TERM", "xterm").at_terminal().ends().1.replace("\r\n", "\n")
    };
    let brief = seen(&[]);
    assert!(brief.contains("\nalso open in 3 other port spaces (network namespaces)\n"), "{brief}");
    assert!(brief.contains("\nhint: show each of them in full: portscope info -v 61987\n"), "{brief}");
    assert!(!brief.contains("  started   "), "{brief}");
    let whole = seen(&["-v"]);
    assert_eq!(whole.matches("tcp 0.0.0.0:61987 LISTEN, every interface").count(), 3, "{whole}");
    drop(held);
}
