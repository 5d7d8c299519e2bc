//! The other end of a connection, what waits in its buffers, and its timer.

#![cfg(target_os = "linux")]

mod support;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;

use rustix::net::sockopt;
use serde_json::{Value, json};
use support::netns::OwnSpace;
use support::{Folder, eventually, hold, holding, pids, portscope};

/// A listener, and both ends of a connection to it.
fn connected(address: &str) -> (TcpListener, TcpStream, TcpStream) {
    let listener = TcpListener::bind((address, 0)).unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, _) = listener.accept().unwrap();
    (listener, client, server)
}

fn peer_pids(socket: &Value) -> Vec<u64> {
    let processes = socket["peer_owner"]["processes"].as_array().cloned().unwrap_or_default();
    processes.iter().map(|process| process["pid"].as_u64().unwrap()).collect()
}

#[test]
fn both_ends_of_a_local_connection_name_the_process_at_the_other() {
    let (listener, client, _server) = connected("127.0.0.1");
    let (port, own) = (listener.local_addr().unwrap().port(), u64::from(std::process::id()));
    let far = client.local_addr().unwrap().port();
    let client = holding(client);
    for backend in ["native", "portable"] {
        let mut sockets = portscope(["--json"]).backend(backend).args([port, far]).any_stderr().success().sockets();
        // Other connections may come from the same local port: the kernel gives it again for another destination.
        sockets.retain(|socket| socket["local"]["port"] != far || socket["peer"]["port"] == port);
        assert_eq!(sockets.len(), 3, "{sockets:?}");
        let of = |port: u16, state: &str| {
            let found = sockets.iter().find(|socket| socket["local"]["port"] == port && socket["state"] == state);
            found.unwrap().clone()
        };
        assert_eq!(of(port, "LISTEN")["peer_owner"], Value::Null);
        assert_eq!(peer_pids(&of(port, "ESTABLISHED")), [u64::from(client.pid())], "{backend}");
        assert_eq!(peer_pids(&of(far, "ESTABLISHED")), [own], "{backend}");
    }
    let rows = portscope(["--columns", "peer-process", "-H", "-o", "csv"]).arg(port).any_stderr().success().stdout;
    assert_eq!(rows.lines().collect::<Vec<_>>(), ["\"\"", "sleep"]);
    let condition = "peer_owner != null && peer_owner.processes.exists(p, p.name == 'sleep')";
    let found = portscope(["--json", "--where", condition]).arg(port).any_stderr().success().only_socket();
    assert_eq!(pids(&found), [std::process::id()]);
}

#[test]
fn info_says_which_processes_use_a_port_and_how_often() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let connect = || TcpStream::connect(("127.0.0.1", port)).unwrap();
    // In no project, whose name would be shown.
    let connected = |program: &str, words: &[&str]| hold(Command::new(program).args(words).current_dir("/"), connect());
    let _clients =
        [connected("sleep", &["1000"]), connected("sleep", &["1000"]), connected("tail", &["-f", "/dev/null"])];
    let _accepted: Vec<_> = (0..3).map(|_| listener.accept().unwrap()).collect();
    let text = portscope(["info"]).arg(port).any_stderr().success().stdout;
    assert!(text.contains("used by   sleep ×2, tail\n"), "{text}");
    let document = portscope(["info", "--json"]).arg(port).any_stderr().success().json();
    let users = document["ports"][0]["holdings"][0]["peers"]["used_by"].as_array().unwrap().clone();
    let told: Vec<_> = users.iter().map(|user| (user["name"].clone(), user["connections"].clone())).collect();
    assert_eq!(told, [(json!("sleep"), json!(2)), (json!("tail"), json!(1))]);
    assert_eq!(users[0]["pids"].as_array().unwrap().len(), 2);
}

#[test]
fn a_connection_between_two_port_spaces_has_both_of_its_owners() {
    let Some(server_space) = OwnSpace::new("") else { return };
    let inside = server_space.inside().join(" ");
    let keeper = inside.split('/').nth(2).unwrap();
    let script = format!(
        "ip link add v0 type veth peer name v1 netns {keeper}; ip addr add 10.77.0.1/24 dev v0; ip link set v0 up; \
         {inside} ip addr add 10.77.0.2/24 dev v1; {inside} ip link set v1 up"
    );
    let Some(client_space) = OwnSpace::new(&script) else { return };
    let listener = server_space.run(|| TcpListener::bind(("10.77.0.2", 0)).unwrap());
    let end = listener.local_addr().unwrap();
    let client = eventually("a way through the pair of devices", || client_space.run(|| TcpStream::connect(end).ok()));
    let (server, _) = listener.accept().unwrap();
    let (client, server) = (holding(client), holding(server));
    let sockets = portscope(["--space", "all", "--state", "established", "--json", "--where"])
        .arg(format!("local.port == {0} || peer.port == {0}", end.port()))
        .any_stderr()
        .success()
        .sockets();
    let told = |space: u64| {
        let found = sockets.iter().find(|socket| socket["space"] == space).unwrap();
        (pids(found), peer_pids(found))
    };
    assert_eq!(told(server_space.id()), (vec![server.pid()], vec![u64::from(client.pid())]));
    assert_eq!(told(client_space.id()), (vec![client.pid()], vec![u64::from(server.pid())]));
}

#[test]
fn a_person_reads_the_name_of_a_local_peer_and_a_program_its_address() {
    let (listener, client, _server) = connected("127.0.0.1");
    let (port, far) = (listener.local_addr().unwrap().port(), client.local_addr().unwrap());
    let _client = holding(client);
    let wide = ["--columns", "port,state,peer", "--no-pager"];
    let (code, seen) = portscope(wide).arg(port).env("TERM", "xterm").at_terminal().ends();
    assert_eq!(code, 0);
    let row = seen.lines().find(|line| line.contains("ESTABLISHED")).unwrap();
    assert!(row.contains("sleep") && !row.contains(&far.to_string()), "{seen}");
    let text = portscope(wide).arg(port).any_stderr().success().stdout;
    assert!(text.contains(&far.to_string()) && !text.contains("sleep"), "{text}");
}

#[test]
fn a_redacted_snapshot_names_nobody_at_the_other_end() {
    let (_listener, client, _server) = connected("127.0.0.1");
    let _client = holding(client);
    let has_one = |document: &Value| {
        let sockets = document["sockets"].as_array().unwrap();
        sockets.iter().any(|socket| socket["peer_owner"] != Value::Null)
    };
    assert!(has_one(&portscope(["snapshot"]).any_stderr().success().json()));
    assert!(!has_one(&portscope(["snapshot", "--redact"]).any_stderr().success().json()));
}

#[test]
fn bytes_that_wait_are_counted_at_both_ends_and_survive_a_saved_report() {
    let (listener, mut client, mut server) = connected("127.0.0.1");
    let port = listener.local_addr().unwrap().port();
    server.write_all(b"12345").unwrap();
    let far = client.local_addr().unwrap().port();
    let ends = |from: &[String]| {
        let mut run = portscope(["--json", "--state", "established"]).args([port, far]);
        run = run.args(from);
        let sockets = run.any_stderr().success().sockets();
        let end = |port: u16| sockets.iter().find(|socket| socket["local"]["port"] == port).unwrap().clone();
        [end(port), end(far)]
    };
    let [_, waiting] = ends(&[]);
    assert_eq!(waiting["pending"], json!({"unread": 5, "unacknowledged": 0}));
    assert_eq!(waiting["queue"], Value::Null);
    let columns = ["--columns", "recv-q,send-q", "-H", "-o", "csv", "--state", "established"];
    assert_eq!(portscope(columns).arg(far).any_stderr().success().stdout, "5,0\n");
    let mut read = [0; 5];
    client.read_exact(&mut read).unwrap();
    // A peer that reads nothing: the rest stays here, and a timer runs.
    server.set_nonblocking(true).unwrap();
    while server.write(&[0; 4096]).is_ok() {}
    let [full, _] = eventually("a timer that probes for room", || {
        let ends = ends(&[]);
        (ends[0]["timer"]["kind"] == "probe").then_some(ends)
    });
    assert!(full["pending"]["unacknowledged"].as_u64().unwrap() > 0, "{full}");
    let folder = Folder::new();
    let saved = folder.join("saved.json");
    assert_eq!(portscope(["snapshot"]).arg(saved.display()).any_stderr().success().stdout, "");
    let [again, _] = ends(&["--from".to_owned(), saved.display().to_string()]);
    assert_eq!(again["timer"]["kind"], "probe");
    assert!(again["pending"]["unacknowledged"].as_u64().unwrap() > 0, "{again}");
}

#[test]
fn a_listener_shows_its_accept_queue_and_a_connection_its_timer() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let shown = |columns: &str, state: &str, port: u16| {
        let run = portscope(["-H", "-o", "csv", "--state", state, "--columns", columns]);
        run.arg(port).any_stderr().success().stdout
    };
    let queue = shown("recv-q,send-q,queue", "listen", port);
    let [waiting, limit, both] = queue.trim().split(',').collect::<Vec<_>>()[..] else { panic!("{queue}") };
    assert_eq!((waiting, both), ("1", &*format!("1/{limit}")));
    let far = client.local_addr().unwrap().port();
    assert_eq!(shown("timer", "established", far), "\"\"\n");
    sockopt::set_socket_keepalive(&client, true).unwrap();
    sockopt::set_tcp_keepidle(&client, std::time::Duration::from_mins(50)).unwrap();
    let timer = shown("timer", "established", far);
    assert!(timer.starts_with("keepalive 49 min") || timer == "keepalive 50 min\n", "{timer}");
}

/// The two queues and the timer of a socket, as `ss` prints them: `(on,9min30sec,0)`.
fn as_ss_has_it(port: u16, peer: u16) -> [String; 3] {
    let filter = format!("( sport = :{port} and dport = :{peer} )");
    let text = support::output(Command::new("ss").args(["-tanoH", &filter])).stdout;
    let text = String::from_utf8(text).unwrap();
    let fields: Vec<&str> = text.split_whitespace().collect();
    let timer = fields.iter().find_map(|field| field.strip_prefix("timer:")).unwrap_or_default();
    [fields[1].to_owned(), fields[2].to_owned(), timer.to_owned()]
}

/// `keepalive` of `(keepalive,49min,0)`, by the name that the column has for it.
fn kind_of(timer: &str) -> &str {
    match timer.trim_start_matches('(').split(',').next().unwrap() {
        "on" => "retransmit",
        "persist" => "probe",
        kind => kind,
    }
}

#[test]
fn the_queues_and_the_timer_of_a_connection_are_those_of_ss() {
    let (listener, client, mut server) = connected("127.0.0.1");
    let (port, far) = (listener.local_addr().unwrap().port(), client.local_addr().unwrap().port());
    sockopt::set_socket_keepalive(&client, true).unwrap();
    sockopt::set_tcp_keepidle(&client, std::time::Duration::from_mins(50)).unwrap();
    // A peer that reads nothing: its queue is full, and what is written stays here.
    server.set_nonblocking(true).unwrap();
    while server.write(&[0; 4096]).is_ok() {}
    let kinds = [(port, far, "probe"), (far, port, "keepalive")].map(|(own, other, kind)| {
        // The kernel moves bytes and starts its timers for some time yet: ss is asked before and after.
        let [received, sent, timer] = eventually("agreement with ss", || {
            let before = as_ss_has_it(own, other);
            let columns = ["-H", "-o", "tsv", "--state", "established", "--columns", "recv-q,send-q,timer"];
            let shown = portscope(columns).arg(own).any_stderr().success().stdout;
            let shown: Vec<String> = shown.trim_end_matches('\n').split('\t').map(str::to_owned).collect();
            let agrees = before == as_ss_has_it(own, other)
                && shown[..2] == before[..2]
                && shown[2].split(' ').next().unwrap() == kind_of(&before[2]);
            (agrees && !before[2].is_empty()).then(|| [shown[0].clone(), shown[1].clone(), shown[2].clone()])
        });
        assert!(timer.starts_with(kind), "{timer}");
        [received, sent].map(|bytes| bytes.parse::<u64>().unwrap())
    });
    let [[server_unread, server_unsent], [client_unread, client_unsent]] = kinds;
    assert_eq!((server_unread, client_unsent), (0, 0));
    assert!(server_unsent > 0 && client_unread > 0, "{kinds:?}");
}
