//! `portscope --group`: one row for each service.

mod support;

use std::net::{TcpListener, TcpStream};

use serde_json::Value;
use support::{holding, portscope};

#[test]
fn the_sockets_of_one_program_are_one_service_with_its_connections_counted() {
    let bind = |address: &str, port: u16| TcpListener::bind((address, port)).unwrap();
    let first = bind("127.0.31.1", 0);
    let port = first.local_addr().unwrap().port();
    let second = bind("127.0.31.2", port);
    let client = TcpStream::connect(("127.0.31.1", port)).unwrap();
    let accepted = first.accept().unwrap().0;
    // Two processes that run the same, each with one of the addresses, and a third with the server's end.
    let workers = [holding(first), holding(second), holding(accepted)];
    let mut pids: Vec<u64> = workers.iter().map(|worker| worker.pid().into()).collect();
    pids.sort_unstable();
    let report = portscope(["-g", "--json"]).arg(port).success().json();
    let schema = portscope(["schema", "group"]).success().json();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    assert!(
        validator.is_valid(&report),
        "{:?}",
        validator.iter_errors(&report).map(|e| e.to_string()).collect::<Vec<_>>()
    );
    let groups = report["groups"].as_array().unwrap();
    assert_eq!(groups.len(), 1, "{report:#}");
    let group = &groups[0];
    assert_eq!(group["ports"][0]["port"], port);
    assert_eq!(group["addresses"], serde_json::json!(["127.0.31.1", "127.0.31.2"]));
    let mut shown: Vec<u64> =
        group["processes"].as_array().unwrap().iter().map(|one| one["pid"].as_u64().unwrap()).collect();
    shown.sort_unstable();
    assert_eq!(shown, pids);
    assert_eq!((&group["connections"], &group["peers"][0]["connections"]), (&1.into(), &1.into()));
    // The other end is this test, whether it is named or its address is.
    let peer = &group["peers"][0];
    assert!(peer["pid"] == std::process::id() || peer["address"] == "127.0.0.1", "{peer}");

    let table = portscope(["-g", "-H"]).arg(port).success().stdout;
    assert_eq!(table.lines().count(), 1, "{table}");
    assert!(table.starts_with(&port.to_string()) && table.contains(" 127.0.31.1 127.0.31.2 "), "{table}");
    assert!(table.contains(" sleep +2 "), "{table}");
    let csv = portscope(["-g", "-o", "csv"]).arg(port).success().stdout;
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines.len(), 2, "{csv}");
    assert_eq!(lines[0], "space,ports,addresses,services,pids,process,project,user,connections,peers");
    assert!(
        lines[1].starts_with(&format!("host,{port},127.0.31.1 127.0.31.2,")) || !lines[1].starts_with("host"),
        "{csv}"
    );
    drop(client);
}

/// A port with three connections, of two programs of which one has two; each has carried five bytes to it.
#[cfg(target_os = "linux")]
fn busy() -> (u16, [u64; 3], impl Sized) {
    use std::io::{Read, Write};
    use std::process::Command;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let connected = |words: &[&str]| {
        let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let mut server = listener.accept().unwrap().0;
        client.write_all(b"hello").unwrap();
        server.read_exact(&mut [0; 5]).unwrap();
        // In no project, whose name would be shown.
        (support::hold(Command::new(words[0]).args(&words[1..]).current_dir("/"), client), server)
    };
    let clients = [&["tail", "-f", "/dev/null"][..], &["sleep", "1000"], &["sleep", "1000"]].map(connected);
    let pids = [0, 1, 2].map(|index: usize| u64::from(clients[index].0.pid()));
    (port, pids, (clients, listener))
}

#[test]
#[cfg(target_os = "linux")]
fn programs_read_the_connections_of_a_service_and_its_busiest_peers_first() {
    let (port, [tail, first, second], _running) = busy();
    let report = portscope(["-g", "--traffic", "--json"]).arg(port).any_stderr().success().json();
    let group = &report["groups"][0];
    assert_eq!(group["connections"], 3, "{report:#}");
    assert_eq!((&group["traffic"]["received"], &group["traffic"]["sent"]), (&15.into(), &0.into()), "{group:#}");
    let mut peers: Vec<(u64, String, u64)> = Vec::new();
    for peer in group["peers"].as_array().unwrap() {
        assert_eq!(peer["address"], Value::Null);
        let name = peer["name"].as_str().unwrap().to_owned();
        peers.push((peer["pid"].as_u64().unwrap(), name, peer["connections"].as_u64().unwrap()));
    }
    peers.sort_unstable();
    let mut expected: Vec<(u64, String, u64)> =
        [(tail, "tail"), (first, "sleep"), (second, "sleep")].map(|(pid, name)| (pid, name.to_owned(), 1)).into();
    expected.sort_unstable();
    assert_eq!(peers, expected);
    let csv = |arguments: &[&str]| {
        let text = portscope(["-g"]).args(arguments).arg(port).any_stderr().success().stdout;
        let rows = text.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect::<Vec<Vec<String>>>();
        assert_eq!(rows.len(), 2, "{text}");
        rows[0].iter().cloned().zip(rows[1].iter().cloned()).collect::<Vec<_>>()
    };
    let cell = |heads: &[(String, String)], head: &str| {
        heads.iter().find(|(name, _)| name == head).map(|(_, value)| value.clone())
    };
    let plain = csv(&["-o", "tsv"]);
    assert_eq!(cell(&plain, "connections").as_deref(), Some("3"));
    assert_eq!(cell(&plain, "peers").as_deref(), Some("sleep ×2, tail"));
    assert_eq!(cell(&plain, "rx"), None);
    let with_traffic = csv(&["-o", "tsv", "--traffic"]);
    assert_eq!((cell(&with_traffic, "rx").as_deref(), cell(&with_traffic, "tx").as_deref()), (Some("15"), Some("0")));
}

#[test]
fn one_process_with_most_connections_is_the_first_peer() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut ends = Vec::new();
    let mut connect = || {
        let client = TcpStream::connect(("127.0.0.1", port)).unwrap();
        ends.push(listener.accept().unwrap().0);
        client
    };
    let one = holding(connect());
    let _many = [connect(), connect(), connect()];
    let report = portscope(["-g", "--json"]).arg(port).any_stderr().success().json();
    let peers = report["groups"][0]["peers"].as_array().unwrap().clone();
    let shown: Vec<(&Value, &Value)> = peers.iter().map(|peer| (&peer["pid"], &peer["connections"])).collect();
    let expected = [(Value::from(std::process::id()), Value::from(3)), (one.pid().into(), 1.into())];
    assert_eq!(shown, expected.iter().map(|(pid, count)| (pid, count)).collect::<Vec<_>>());
}

#[test]
fn what_a_row_for_each_service_cannot_show_is_a_mistake() {
    for arguments in [&["-g", "-o", "wide"][..], &["-g", "-o", "ndjson"], &["-g", "--sort", "pid"], &["-g", "--pids"]] {
        let stderr = portscope(arguments.iter().copied()).any_stderr().exits(2).stderr;
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
    // Where nothing is open there is no service.
    let unused = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let report: Value = portscope(["-g", "--json"]).arg(unused).any_stderr().success().json();
    assert_eq!(report["groups"], serde_json::json!([]));
}
