//! Port spaces that a local user makes and names.

use super::*;

/// Starts a program of a stranger in a network namespace of its own, under a name of its choice; nothing where that is
/// refused here.
fn in_own_space(room: &Room, name: &str) -> Option<Kept> {
    let inner = "import ctypes, signal, socket, sys\nctypes.CDLL(None).prctl(15, sys.argv[1].encode(), 0, 0, 0)\n\
                 s = socket.socket(); s.bind(('0.0.0.0', 8080)); s.listen()\nprint('ready', flush=True)\nsignal.pause()\n";
    let mut command = Command::new("nsenter");
    let pid = room.pid();
    command.args([format!("--net=/proc/{pid}/ns/net"), format!("--mount=/proc/{pid}/ns/mnt")]);
    command.args(["setpriv", "--reuid", STRANGER, "--regid", STRANGER, "--clear-groups", "unshare", "-U", "-r", "-n"]);
    command.args(["/usr/bin/python3", "-c", inner, name]).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut holder = Kept(start(&mut command));
    let mut line = String::new();
    BufReader::new(holder.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (line == "ready\n").then_some(holder)
}

#[test]
fn a_port_space_that_is_called_only_as_its_process_calls_itself_satisfies_no_rule_and_is_named_as_a_claim() {
    let Some(room) = Room::new() else { return };
    let Some(_holder) = in_own_space(&room, "webshop") else {
        return skip("an ordinary user may make no network namespace here");
    };
    let report = room.look(portscope(["--space", "all", "--json"])).arg(8080).any_stderr().success().json();
    let space = report["spaces"].as_array().unwrap().iter().find(|space| space["label"] == "webshop").unwrap().clone();
    assert_eq!(space["claims"], serde_json::json!(["label"]), "{space}");
    let host = &report["spaces"][0];
    assert_eq!(host["claims"], serde_json::json!([]), "{host}");

    let folder = Folder::new();
    let policy = writes(&folder, "default = \"deny\"\n[[allow]]\nspace = \"webs*\"\nuser = \"*\"\n");
    let run = room.look(portscope(["audit", "--space", "webshop", "--json", "--policy"])).arg(policy.display());
    let output = run.any_stderr().exits(1);
    let findings: Value = serde_json::from_str(&output.stdout).unwrap();
    let of_policy = |finding: &&Value| finding["id"].as_str().unwrap().starts_with("policy-");
    let found: Vec<&Value> = findings["findings"].as_array().unwrap().iter().filter(of_policy).collect();
    assert_eq!(found.len(), 1, "{findings:#}");
    assert_eq!(found[0]["id"], "policy-unlisted");
    assert!(found[0]["evidence"].as_str().unwrap().contains("matches only what the process says about itself"));
    assert!(output.stderr.contains("`webshop` is only what a process in that port space calls itself"), "{output:?}");
    let by_id = format!("--space {}", space["id"]);
    assert!(output.stderr.contains(&by_id), "{output:?}");
    let init = room.look(portscope(["audit", "--init", "--space", "webshop"])).any_stderr().success().stdout;
    assert!(!init.contains("space = ") && init.contains("# In the port space webshop."), "{init}");
    let sure = room.look(portscope(["--space", &space["id"].to_string(), "--json"])).any_stderr().success();
    assert!(!sure.stderr.contains("calls itself"), "{sure:?}");
}

#[test]
fn a_port_space_that_only_a_descriptor_on_its_way_keeps_is_at_least_said() {
    let Some(room) = Room::new() else { return };
    let script = "\
import ctypes, os, socket, signal
ends = socket.socketpair()
if os.fork() == 0:
    assert ctypes.CDLL(None).unshare(0x40000000) == 0
    s = socket.socket(); s.bind(('0.0.0.0', 8080)); s.listen()
    socket.send_fds(ends[0], [b'x'], [os.open('/proc/self/ns/net', os.O_RDONLY), s.fileno()])
    os._exit(0)
os.wait()
print('ready', flush=True)
signal.pause()
";
    let _keeper = python(&room, &[], script, &[]);
    let report = room.look(portscope(["-l", "--space", "all", "--json"])).any_stderr().success().json();
    let is_listed = report["sockets"].as_array().unwrap().iter().any(|row| row["local"]["port"] == 8080);
    let told = report["visibility"]["reasons"].to_string();
    assert!(is_listed || told.contains("spaces-in-flight"), "neither listed nor said: {told}");
    assert!(is_listed || report["visibility"]["complete"] == false, "{:#}", report["visibility"]);
}

#[test]
fn a_report_with_thousands_of_port_spaces_is_answered_at_once() {
    let folder = Folder::new();
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut report = portscope(["-l", "--json"]).arg(port).success().json();
    report["scope"]["filtered"] = false.into();
    let (space, socket) = (report["spaces"][0].clone(), report["sockets"][0].clone());
    for number in 1..8_000_u64 {
        let (mut space, mut socket) = (space.clone(), socket.clone());
        (space["id"], space["label"], space["kind"]) = (number.into(), format!("s{number}").into(), "netns".into());
        socket["space"] = number.into();
        report["spaces"].as_array_mut().unwrap().push(space);
        report["sockets"].as_array_mut().unwrap().push(socket);
    }
    let file = folder.join("report.json");
    std::fs::write(&file, report.to_string()).unwrap();
    for words in [&["-l"][..], &["-g"], &["spaces"], &["usage"], &["diff"], &["info", "80"], &["audit"]] {
        let mut run = portscope(words.iter().copied());
        run = if words[0] == "diff" {
            run.arg(file.display()).arg(file.display())
        } else {
            run.arg("--from").arg(file.display())
        };
        let begun = std::time::Instant::now();
        let _ = run.any_stderr().exits_with([0, 1]);
        // Quadratic work on so many takes minutes without optimization, and linear work some seconds.
        assert!(begun.elapsed() < std::time::Duration::from_secs(30), "{words:?}: {:?}", begun.elapsed());
    }
}
