//! `--where`: a condition in CEL over the fields of a socket.

mod support;

use std::net::TcpListener;

use support::{pids, portscope};

#[test]
fn a_condition_chooses_rows_by_the_fields_of_the_json() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let one = |condition: String| portscope(["--json", "--where"]).arg(condition).success().only_socket();
    let socket = one(format!("local.port == {port} && state == 'LISTEN' && peer == null"));
    assert_eq!(pids(&socket), [std::process::id()]);
    // The file that a process runs is collected for it, also where the output has no place for it.
    let pid = std::process::id();
    let condition = format!("local.port == {port} && owner.processes.exists(p, p.pid == {pid} && p.exe.contains('/'))");
    assert_eq!(portscope(["-H", "--where"]).arg(condition).success().stdout.lines().count(), 1);
    let both =
        portscope(["--json", "--where", "protocol == 'tcp'", "--where"]).arg(format!("local.port == {port} && false"));
    assert!(both.success().sockets().is_empty());
}

#[test]
fn a_condition_over_every_field_of_the_contract_is_known() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let socket = portscope(["--json"]).arg(port).success().only_socket();
    for field in socket.as_object().unwrap().keys() {
        let condition = format!("{field} == null || {field} != null");
        assert_eq!(portscope(["--json", "--where"]).arg(condition).arg(port).success().sockets().len(), 1, "{field}");
    }
}

#[test]
fn what_cannot_be_answered_is_one_line_and_exit_2() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let end = listener.local_addr().unwrap();
    for (condition, message) in [
        ("peer.port == 443", format!("--where, for tcp {end}: `peer.port == 443` cannot be evaluated: ")),
        ("1 + 1", "--where: `1 + 1` is not a condition: expected an expression that is true or false".into()),
        ("local.port", format!("--where, for tcp {end}: `local.port` is not a condition: expected ")),
        ("port == 1", "--where: `port == 1`: `port` is neither a function nor a field: expected space, ".into()),
        ("true || nope", "--where: `true || nope`: `nope` is neither a function nor a field: expected space, ".into()),
        (
            "state == 'listen'",
            "--where: `state == 'listen'`: no value is ever 'listen' there (did you mean 'LISTEN'?): expected ".into(),
        ),
        ("1 +", "--where: `1 +` is not a valid expression: column ".into()),
        ("", "--where: `` is not a valid expression: ".into()),
    ] {
        let run = portscope(["--where"]).arg(condition).arg(end.port());
        let stderr = run.any_stderr().exits(2).stderr;
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(stderr.starts_with(&format!("portscope: {message}")), "{condition}: {stderr}");
    }
    let guarded = portscope(["--json", "--where", "peer != null && peer.port == 443"]).arg(end.port());
    assert!(guarded.success().sockets().is_empty());
}
