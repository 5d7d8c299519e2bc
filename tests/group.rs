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
