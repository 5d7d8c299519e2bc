//! The public JSON is what `portscope schema` says.

mod support;

use std::net::{TcpListener, TcpStream, UdpSocket};

use serde_json::Value;
use support::portscope;

#[track_caller]
fn validate(schema: &Value, document: &Value) {
    let validator = jsonschema::draft202012::new(schema).unwrap();
    let errors: Vec<String> =
        validator.iter_errors(document).map(|e| format!("{} at {}", e, e.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:#?}");
}

#[test]
fn a_real_report_is_valid() {
    let listener = TcpListener::bind(("::", 0)).unwrap();
    let client = TcpStream::connect(("::1", listener.local_addr().unwrap().port())).unwrap();
    let _udp = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    let schema = portscope(["schema"]).success().json();
    let report = portscope(["-tu", "--json", "--argv"]).success().json();
    assert!(report["sockets"].as_array().unwrap().len() >= 4);
    validate(&schema, &report);
    drop(client);
    // The validator does look: a document with a field of the wrong kind is refused.
    let mut broken = report;
    broken["sockets"][0]["local"]["port"] = Value::from("80");
    assert!(!jsonschema::draft202012::new(&schema).unwrap().is_valid(&broken));
}

#[test]
fn the_registry_is_valid() {
    let schema = portscope(["schema", "services"]).success().json();
    validate(&schema, &portscope(["services", "--all", "--json"]).success().json());
}

#[test]
fn a_line_of_ndjson_is_a_socket_with_its_host_and_time() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let line = portscope(["-o", "ndjson"]).arg(port).success().stdout;
    let mut line: Value = serde_json::from_str(&line).unwrap();
    let report = portscope(["--json"]).arg(port).success().json();
    let host = line.as_object_mut().unwrap().remove("host").unwrap();
    assert_eq!(host, report["host"]["name"]);
    let captured_at = line.as_object_mut().unwrap().remove("captured_at").unwrap();
    // Both are of the same form and zone, so that they are ordered as text; the report was made later.
    assert!(captured_at.as_str() <= report["host"]["captured_at"].as_str() && captured_at.is_string());
    for (key, of_space) in [("space_label", "label"), ("space_kind", "kind")] {
        assert_eq!(line.as_object_mut().unwrap().remove(key).unwrap(), report["spaces"][0][of_space]);
    }
    assert_eq!(line, report["sockets"][0]);
}

#[test]
fn the_documents_fields_are_those_of_the_contract() {
    let _listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let report = portscope(["-l", "--json"]).success().json();
    let keys = |value: &Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
    let same = |value: &Value, expected: &[&str]| {
        let mut expected: Vec<String> = expected.iter().map(|key| (*key).to_owned()).collect();
        expected.sort();
        assert_eq!(keys(value), expected);
    };
    same(
        &report,
        &[
            "schema",
            "backend",
            "socket_source",
            "owner_source",
            "scope",
            "host",
            "spaces",
            "sockets",
            "visibility",
            "warnings",
        ],
    );
    same(&report["host"], &["name", "os", "kernel", "boot_id", "captured_at"]);
    let of_space = [
        "id",
        "kind",
        "label",
        "source",
        "processes",
        "containers",
        "ephemeral",
        "reserved",
        "unprivileged_start",
        "time_wait_reuse",
        "claims",
    ];
    same(&report["spaces"][0], &of_space);
    let fields = [
        "space",
        "protocol",
        "family",
        "local",
        "peer",
        "state",
        "category",
        "service",
        "exposure",
        "device",
        "v6only",
        "queue",
        "pending",
        "inode",
        "uid",
        "user",
        "cookie",
        "autobound",
        "time_left_ms",
        "timer",
        "traffic",
        "forward",
        "reachability",
        "activation",
        "owner",
        "peer_owner",
    ];
    same(&report["sockets"][0], &fields);
    same(
        &report["sockets"][0]["owner"],
        &["tier", "reason", "processes", "unit", "container", "outer_container", "claims"],
    );
    same(
        &report["visibility"],
        &["complete", "hidden_owners", "unseen_spaces", "further_spaces", "redirects_checked", "reasons"],
    );
    assert_eq!(report["schema"], "portscope/1");
}

#[test]
fn every_document_says_which_host_it_is_about_and_what_was_hidden() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let folder = support::Folder::new();
    let saved = folder.join("saved.json").display().to_string();
    let _ = portscope(["snapshot", &saved]).any_stderr().success();
    for (document, arguments) in [
        ("report", &["--json"][..]),
        ("report", &["--json", "--from", &saved]),
        ("info", &["info", &port, "--json"]),
        ("check", &["check", &port, "--json"]),
        ("free", &["free", "--json"]),
        ("usage", &["usage", "--json"]),
        ("diff", &["diff", &saved, "--json"]),
        ("audit", &["audit", "--json"]),
        ("services", &["services", "--json"]),
        ("spaces", &["spaces", "--json"]),
        ("spaces", &["spaces", "--from", &saved, "--json"]),
        ("wait", &["wait", &port, "--json"]),
    ] {
        let schema = portscope(["schema", document]).success().json();
        let title = if document == "report" { "portscope report".to_owned() } else { format!("portscope {document}") };
        assert_eq!(schema["title"], title);
        let required: Vec<&str> =
            schema["required"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        let report = portscope(arguments.iter().copied()).any_stderr().exits_with([0, 1]).json();
        validate(&schema, &report);
        for name in ["schema", "host", "visibility", "warnings"] {
            assert!(required.contains(&name), "the schema of {document} does not require {name}");
            assert!(report.get(name).is_some(), "{arguments:?} has no {name}");
        }
        assert_eq!(report["schema"], "portscope/1");
        assert!(report["host"]["captured_at"].is_string() && report["visibility"]["complete"].is_boolean());
    }
}
