//! A real systemd that holds a listener for a service, as process 1 of namespaces of its own.
#![cfg(target_os = "linux")]

mod support;

use support::apart::{Apart, empty};
use support::{eventually, is_root, portscope, skip};

const SYSTEMD: &str = "/lib/systemd/systemd";

#[test]
fn a_listener_that_waits_to_be_activated_is_its_units() {
    if !is_root() || !std::path::Path::new(SYSTEMD).exists() {
        return skip("needs root, and systemd");
    }
    // Nothing of the machine's own units is started: it has only these.
    let unit = |name: &str, text: &str| {
        format!("printf '[Unit]\\nDefaultDependencies=no\\n{text}' >/run/systemd/system/{name}; ")
    };
    let script = [format!("{}; mkdir -p /run/systemd/system; ", empty("/var"))]
        .into_iter()
        .chain([unit("web.socket", "[Socket]\\nListenStream=127.0.0.1:8022\\n")])
        .chain([unit("web.service", "[Service]\\nExecStart=/bin/sleep 1000\\n")])
        .chain([unit("only.target", "Requires=web.socket\\nAfter=web.socket\\n")])
        .chain([format!(
            "exec env -i container=docker {SYSTEMD} --system --unit=only.target --log-target=null --show-status=no"
        )])
        .collect::<String>();
    let apart = Apart::start(&script);
    let socket = eventually("systemd listens and answers", || {
        let rows = portscope(["--json", "8022"]).under(apart.inside()).success().sockets();
        rows.into_iter().find(|row| !row["activation"].is_null())
    });
    assert_eq!(socket["activation"]["socket"], "web.socket");
    assert_eq!(socket["activation"]["service"], "web.service");
    assert!(!socket["owner"]["claims"].as_array().unwrap().contains(&"unit".into()), "systemd has told: {socket:#}");
    assert_eq!((&socket["owner"]["tier"], &socket["owner"]["unit"]), (&"unit".into(), &"web.service".into()));
    assert_eq!(socket["owner"]["processes"][0]["pid"], 1);
    let table = portscope(["-l", "web.service"]).under(apart.inside()).success().stdout;
    assert!(table.contains("web.socket → web.service"), "{table}");
    let check = portscope(["check", "8022", "-a", "127.0.0.1", "--json"]).under(apart.inside()).exits(1).json();
    let bind = &check["ports"][0]["binds"][0];
    assert_eq!(bind["cause"], "activation");
    assert_eq!(
        bind["fixes"][0],
        "stop the unit that systemd holds it for: systemctl stop web.socket; systemctl stop web.service"
    );
    let unasked = portscope(["--json", "8022", "--no-helpers"]).under(apart.inside()).success().only_socket();
    assert_eq!(unasked["activation"], serde_json::Value::Null);
    assert_eq!(unasked["owner"]["tier"], "process");

    // The service is started and takes the listener over: its owner is the one that it had.
    let before = portscope(["snapshot"]).under(apart.inside()).any_stderr().success().stdout;
    let folder = support::Folder::new();
    let file = |name: &str, text: &str| {
        std::fs::write(folder.join(name), text).unwrap();
        folder.join(name)
    };
    let before = file("before.json", &before);
    let started = apart.run(&["systemctl", "start", "web.service"]);
    assert!(started.status.success(), "{started:?}");
    let after = eventually("the service holds it too", || {
        let report = portscope(["snapshot"]).under(apart.inside()).any_stderr().success();
        let rows = report.sockets();
        let row = rows.iter().find(|row| row["local"]["port"] == 8022).unwrap();
        (row["owner"]["processes"].as_array().unwrap().len() == 2).then_some(report.stdout)
    });
    let after = file("after.json", &after);
    let diff = portscope(["diff", "--json"]).arg(before.display()).arg(after.display()).exits_with([0, 1]).json();
    let changes = diff["changes"].as_array().unwrap();
    assert!(!changes.iter().any(|change| change["port"] == 8022), "{diff:#}");
}
