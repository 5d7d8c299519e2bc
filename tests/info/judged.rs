//! Whether the number of a dossier can be had.

use super::*;

/// What each calls the same objection.
const SAME: [(&str, &str); 6] = [
    ("assigned", "registered"),
    ("kept-back", "kept-back"),
    ("privileged", "privileged"),
    ("ephemeral", "ephemeral"),
    ("reserved", "reserved"),
    ("bad-port", "bad-port"),
];

#[test]
fn a_number_is_judged_as_free_judges_it() {
    let script = "echo 30000 31000 > /proc/sys/net/ipv4/ip_local_port_range
                  echo 14511,30500 > /proc/sys/net/ipv4/ip_local_reserved_ports; \
                  echo 900 > /proc/sys/net/ipv4/ip_unprivileged_port_start";
    let Some(space) = support::netns::OwnSpace::new(script) else { return };
    for (port, objections) in [
        (6666, &["bad-port"][..]),
        (1024, &["kept-back"]),
        (6379, &["assigned", "kept-back"]),
        (14511, &["reserved"]),
        (30500, &["reserved"]),
        (30501, &["ephemeral"]),
        (899, &["well-known", "privileged"]),
        (991, &["assigned", "well-known"]),
        (14512, &[]),
    ] {
        let report = info(port).arg("--json").under(space.inside()).success().json();
        assert_eq!(report["ports"][0]["objections"], json!(objections), "{port}");
        let free = portscope(["free", "--range", "1-65535", "--json", "--explain"]).arg(port).under(space.inside());
        let free: Value = serde_json::from_slice(&free.output().stdout).unwrap();
        let reasons = free["explained"]["reasons"].as_array().unwrap();
        for (ours, its) in SAME {
            let is_given = reasons.iter().any(|reason| reason["reason"] == its);
            assert_eq!(objections.contains(&ours), is_given, "{port} {ours}: {free:#}");
        }
    }
    let text = info(6666).under(space.inside()).success().stdout;
    assert!(
        text.contains("\nown service not recommended: browsers refuse to connect to it (WHATWG bad ports)\n"),
        "{text}"
    );
    let text = info(1024).under(space.inside()).success().stdout;
    assert!(text.contains("\nown service not recommended: reserved by IANA for tcp and udp\n"), "{text}");
}

#[test]
fn the_dossier_ends_with_whether_the_port_can_be_bound() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let report = portscope(["info", "--json"]).arg(port).any_stderr().success().json();
    let binds = report["ports"][0]["binds"].as_array().unwrap();
    assert_eq!(binds.len(), 8, "two protocols at four addresses");
    let loopback = binds.iter().find(|bind| bind["protocol"] == "tcp" && bind["address"] == "127.0.0.1").unwrap();
    assert_eq!((&loopback["error"], &loopback["cause"]), (&"EADDRINUSE".into(), &"listener".into()));
    assert_eq!(loopback["probe"]["bound"], false);
    let text = portscope(["info", "--no-probe"]).arg(port).any_stderr().success().stdout;
    assert!(text.contains("bind tcp    no (EADDRINUSE): 0.0.0.0, ::, 127.0.0.1"), "{text}");
    assert!(text.contains(&format!("\nhint: see why, and what helps: portscope check -tu {port}\n")), "{text}");
}
