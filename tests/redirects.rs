//! Ports that rules of the firewall send elsewhere: what is reported about them, and what is said if they could not all be read.
#![cfg(target_os = "linux")]
#![allow(clippy::pedantic, reason = "test code reads better without its ceremonies")]

mod support;

use std::net::{Ipv6Addr, TcpListener, UdpSocket};

use serde_json::Value;

use support::netns::OwnSpace;
use support::{Folder, ReachableBinary, Run, portscope};

/// An interface with two addresses, by which other hosts could send.
const DUMMY: &str = "ip link add name dummy7 type veth peer name dummy8; ip addr add 10.9.0.1/24 dev dummy7; \
                     ip addr add 10.9.0.2/24 dev dummy7; ip link set dummy7 up;";

/// A namespace with these rules for what comes in.
fn space_with(rules: &str) -> Option<OwnSpace> {
    OwnSpace::new(&format!(
        "{DUMMY} nft 'table inet x {{ chain p {{ type nat hook prerouting priority -100; {rules} }}; }}'"
    ))
}

fn inside(space: &OwnSpace, words: &[&str]) -> Run {
    portscope(words.iter().copied()).under(space.inside())
}

/// The redirects of a report: `tcp 0.0.0.0:80 10.0.0.2 8080`, or the first and the last of several ports.
fn redirects(report: &Value) -> Vec<String> {
    let rows = report["sockets"].as_array().unwrap().iter().filter(|row| row["state"] == "REDIRECT");
    let shown = |row: &Value| {
        let (local, to) = (&row["local"], &row["forward"]["to"]);
        let ports = if to["ports"].is_null() { &to["port"] } else { &to["ports"] };
        let word = |value: &Value| value.as_str().unwrap().to_owned();
        let (protocol, address, target) = (word(&row["protocol"]), word(&local["address"]), word(&to["address"]));
        format!("{protocol} {address}:{} {target} {ports}", local["port"])
    };
    rows.map(shown).collect()
}

fn reasons(report: &Value) -> Vec<String> {
    let reasons = report["visibility"]["reasons"].as_array().unwrap().iter();
    let of_redirects = reasons.filter(|gap| gap["missing"] == "redirects");
    of_redirects.map(|gap| format!("{} {}", gap["reason"].as_str().unwrap(), gap["detail"].as_str().unwrap())).collect()
}

#[test]
fn rules_for_sets_ranges_and_comparisons_have_rows() {
    let rules = "meta l4proto { tcp, udp } th dport 7050 redirect to :5300; \
                 ip daddr { 127.0.0.1, 10.9.0.1 } tcp dport 7061 redirect to :1; \
                 ip daddr 10.9.0.2 udp dport < 3 redirect to :2; \
                 tcp dport 7070 accept; tcp dport 7069-7071 redirect to :3; ip daddr 10.9.0.1 tcp dport 7053 redirect to :7053;";
    let Some(space) = space_with(rules) else { return };
    let report = inside(&space, &["-tu4", "--json"]).success().json();
    assert_eq!(
        redirects(&report),
        [
            "udp 10.9.0.2:1 0.0.0.0 2",
            "udp 10.9.0.2:2 0.0.0.0 2",
            "tcp 0.0.0.0:7050 0.0.0.0 5300",
            "udp 0.0.0.0:7050 0.0.0.0 5300",
            "tcp 10.9.0.1:7061 0.0.0.0 1",
            "tcp 0.0.0.0:7069 0.0.0.0 3",
            "tcp 0.0.0.0:7071 0.0.0.0 3",
        ],
        "7070 leaves the chain before, and 7053 is redirected to itself"
    );
    assert_eq!(report["visibility"]["redirects_checked"], true);
}

#[test]
fn a_rule_for_many_ports_is_a_range_and_counts_wherever_a_port_looks_free() {
    for (rule, words) in [
        ("meta l4proto tcp redirect to :12345;", "tcp 1-12344 to 0.0.0.0:12345"),
        ("tcp dport != 7055 redirect to :2;", "tcp 3-7054 to 0.0.0.0:2"),
        ("tcp dport >= 7056 redirect to :1;", "tcp 7056-65535 to 0.0.0.0:1"),
    ] {
        let Some(space) = space_with(rule) else { return };
        let said = format!("firewall rules also forward {words}");
        let _ = inside(&space, &["-t4"]).stderr_contains(&said).success();
        let run = inside(&space, &["--json"]).success();
        let listed: Vec<String> =
            redirects(&run.json()).into_iter().filter(|row| row.contains(":8000 ") || row.contains(":9000 ")).collect();
        assert_eq!((listed, reasons(&run.json())), (vec![], vec![]), "{rule}");
        // A port that is asked for has its row.
        let report = inside(&space, &["8000", "--json"]).success().json();
        assert_eq!(redirects(&report).len(), 2, "{rule}: {report}");
        let output = inside(&space, &["free", "--explain", "8000", "--allow-registered"]).exits(1).stdout;
        assert!(output.contains("a firewall rule forwards its traffic to "), "{output}");
        let _ = inside(&space, &["free", "--range", "9000-9020", "--allow-registered"]).any_stderr().exits(1);
        let output = inside(&space, &["check", "8000", "-a", "0.0.0.0"]).exits(1).stdout;
        assert!(output.contains("the firewall forwards its traffic to port "), "{output}");
    }
}

/// What is said of the one server of a port: its outside, its local answer, and its owner's tier.
fn of_server(space: &OwnSpace, port: u16) -> (String, String, String) {
    let report = inside(space, &[&port.to_string(), "--json"]).success().json();
    let servers: Vec<&Value> =
        report["sockets"].as_array().unwrap().iter().filter(|row| row["state"] == "LISTEN").collect();
    let [server] = servers[..] else { panic!("{report}") };
    assert_eq!(server["forward"], Value::Null, "a server is no forward: {server}");
    let answer = |class: &str| {
        let of = &server["reachability"][class];
        let senders = of["senders"].as_str().map(|senders| format!(" {senders}")).unwrap_or_default();
        format!("{}{senders}", of["answer"].as_str().unwrap())
    };
    (answer("outside"), answer("local"), server["owner"]["tier"].as_str().unwrap().to_owned())
}

#[test]
fn a_server_keeps_its_name_whatever_rules_there_are() {
    for (rule, port, outside, local) in [
        ("PREROUTING -p tcp --dport 7053 -j REDIRECT --to-ports 7053", 7053, "not", "not"),
        (
            "PREROUTING -i tun0 -s 10.1.0.0/24 -p tcp --dport 7080 -j REDIRECT --to-ports 3127",
            7080,
            "some via tun0, from 10.1.0.0/24",
            "not",
        ),
        ("OUTPUT -p tcp --dport 7199 -j REDIRECT --to-ports 12345", 7199, "not", "certain"),
        ("PREROUTING -p tcp --dport 7081 -j REDIRECT --to-ports 12345", 7081, "certain", "not"),
    ] {
        let Some(space) = OwnSpace::new(&format!("iptables -t nat -A {rule};")) else { return };
        let held = space.run(|| TcpListener::bind(("0.0.0.0", port)).unwrap());
        let expected = (outside.to_owned(), local.to_owned(), "process".to_owned());
        assert_eq!(of_server(&space, port), expected, "{rule}");
        let table = inside(&space, &["-l"]).success().stdout;
        assert!(table.lines().any(|line| line.contains(&port.to_string()) && line.contains("redirects-")), "{table}");
        support::close(held);
        // The same answer decides whether a bind can be reached, from other hosts and from this one.
        let is_good = |address: &str| {
            let run = inside(&space, &["check", &port.to_string(), "-a", address, "--json"]).exits_with([0, 1]);
            run.json()["ports"][0]["binds"][0]["outcome"].as_str().unwrap().to_owned()
        };
        let outcome = |answer: &str| if answer == "certain" { "shadowed" } else { "bindable" };
        assert_eq!(
            (is_good("0.0.0.0"), is_good("127.0.0.1")),
            (outcome(outside).into(), outcome(local).into()),
            "{rule}"
        );
    }
}

#[test]
fn rules_of_mangle_and_tables_that_are_switched_off_are_known() {
    let rule = "iptables -t mangle -A PREROUTING -p tcp --dport 8000:8081 -j TPROXY --on-port 12345; \
                ip rule add fwmark 1 lookup 100; ip route add local 0.0.0.0/0 dev lo table 100;";
    let Some(space) = OwnSpace::new(rule) else { return };
    let report = inside(&space, &["8005", "-4", "--json"]).success().json();
    assert_eq!(redirects(&report), ["tcp 0.0.0.0:8005 0.0.0.0 12345"]);
    let dormant = "nft 'table ip x { flags dormant; chain p { type nat hook prerouting priority -100; \
                   tcp dport 8005 redirect to :1; }; }';";
    let Some(space) = OwnSpace::new(dormant) else { return };
    let report = inside(&space, &["8005", "-4", "--json"]).success().json();
    assert_eq!((redirects(&report), &report["visibility"]["redirects_checked"]), (vec![], &true.into()));
}

#[test]
fn what_the_filter_drops_is_said_of_a_server() {
    let rules =
        "iptables -P INPUT DROP; iptables -A INPUT -i lo -j ACCEPT; iptables -A INPUT -p tcp --dport 7022 -j ACCEPT;";
    let Some(space) = OwnSpace::new(rules) else { return };
    let held = space.run(|| [7022, 7023].map(|port| TcpListener::bind(("0.0.0.0", port)).unwrap()));
    let filtered = |port: &str| {
        let report = inside(&space, &[port, "--json"]).success().json();
        report["sockets"][0]["reachability"]["filtered"].clone()
    };
    assert_eq!(filtered("7022"), Value::Null);
    assert!(filtered("7023").as_str().unwrap().contains("INPUT"), "{}", filtered("7023"));
    support::close(held);
}

#[test]
fn rules_that_are_not_understood_count_for_what_was_seen() {
    let rule = "iptables -t nat -A PREROUTING -p tcp --dport 7005 -d 10.0.0.0/8 -j NETMAP --to 10.1.0.0/16;";
    let Some(space) = OwnSpace::new(&format!("{DUMMY} {rule}")) else { return };
    let report = inside(&space, &["7005", "--json"]).any_stderr().success().json();
    assert_eq!(report["visibility"]["complete"], false, "{report:#}");
    assert!(reasons(&report)[0].contains("NETMAP"), "{report:#}");
}

#[test]
fn rules_of_iptables_for_several_ports_have_rows() {
    let rules = "iptables -t nat -A PREROUTING -p udp ! --dport 7006 -j DNAT --to-destination 10.9.9.1; \
                 iptables -t nat -A PREROUTING -p tcp -m multiport --dports 80,443 -j DNAT --to-destination 10.9.9.1:80-90;";
    let Some(space) = OwnSpace::new(rules) else { return };
    let said = "firewall rules also forward udp 1-7005 to 10.9.9.1, udp 7007-65535 to 10.9.9.1";
    let _ = inside(&space, &["-tu"]).stderr_contains(said).success();
    let report = inside(&space, &["-tu", "--json"]).success().json();
    assert_eq!(redirects(&report), ["tcp 0.0.0.0:80 10.9.9.1 [80,90]", "tcp 0.0.0.0:443 10.9.9.1 [80,90]"]);
}

#[test]
fn a_range_of_target_ports_is_told_as_one() {
    let rules = "tcp dport 7052 redirect to :8080-8090; tcp dport 7054 dnat ip to 10.9.9.1:80-90; \
                 tcp dport 7056 dnat ip to 10.9.9.1:numgen inc mod 2 map { 0 : 80, 1 : 81 };";
    let Some(space) = space_with(rules) else { return };
    let output = inside(&space, &["-4", "--json"]).success();
    let expected =
        ["tcp 0.0.0.0:7052 0.0.0.0 [8080,8090]", "tcp 0.0.0.0:7054 10.9.9.1 [80,90]", "tcp 0.0.0.0:7056 10.9.9.1 null"];
    assert_eq!(redirects(&output.json()), expected);
    let schema = portscope(["schema"]).success().json();
    assert!(jsonschema::draft202012::new(&schema).unwrap().is_valid(&output.json()));
    // A report that was kept reads back the same.
    let folder = Folder::new();
    std::fs::write(folder.join("kept.json"), &output.stdout).unwrap();
    let kept = portscope(["-4", "--json", "--from", folder.join("kept.json").to_str().unwrap()]);
    let kept = kept.stderr_contains("the report was written with filters").success().json();
    assert_eq!(redirects(&kept), expected);
    let table = inside(&space, &["-4"]).success().stdout;
    for (port, cell) in [("7052", "→ :8080-8090 "), ("7054", "→ 10.9.9.1:80-90 "), ("7056", "→ 10.9.9.1 ")] {
        let row = table.lines().find(|line| line.contains(port)).unwrap_or_else(|| panic!("{table}"));
        assert!(row.contains(cell), "{row}");
    }
}

#[test]
fn redirects_of_other_spaces_are_read_or_it_is_said() {
    let Some(space) = space_with("ip daddr 10.9.0.1 tcp dport 6543 dnat ip to 10.9.9.1:5432;") else { return };
    let report = portscope(["6543", "--json", "--space"]).arg(space.id()).success().json();
    assert_eq!(redirects(&report), ["tcp 10.9.0.1:6543 10.9.9.1 5432"]);
    assert_eq!(report["sockets"][0]["space"], space.id());
    assert_eq!((reasons(&report), &report["visibility"]["redirects_checked"]), (vec![], &true.into()));
    let report = portscope(["6543", "--json", "--space", "all"]).success().json();
    let rows = report["sockets"].as_array().unwrap();
    assert!(rows.iter().any(|row| row["space"] == space.id() && row["state"] == "REDIRECT"), "{report:#}");

    let report = portscope(["6543", "--json", "--no-helpers", "--space"]).arg(space.id()).success().json();
    assert_eq!(report["visibility"]["redirects_checked"], false);
    let said = reasons(&report);
    assert!(said.len() == 1 && said[0].contains("rules may forward ports without a socket"), "{said:?}");
    let binary = ReachableBinary::new();
    let by_nobody = portscope(["6543", "--json", "--space"]).arg(space.tables()).any_stderr().run_by_nobody(&binary);
    let report = by_nobody.success().json();
    assert_eq!((redirects(&report), &report["visibility"]["redirects_checked"]), (vec![], &false.into()));
    assert!(reasons(&report)[0].starts_with("permission "), "{report:#}");
}

#[test]
fn rules_for_what_a_space_sends_itself_are_beside_the_point_of_others() {
    // So the engine of containers lets each find the names of the others.
    let rules = "nft 'table ip x { chain o { type nat hook output priority -100; \
                 ip daddr 127.0.0.11 udp dport 53 dnat to 127.0.0.11:41957; }; }'";
    let Some(space) = OwnSpace::new(rules) else { return };
    let report = portscope(["-tu", "--json", "--space"]).arg(space.id()).success().json();
    assert_eq!((redirects(&report), reasons(&report)), (vec![], vec![]));
    let report = inside(&space, &["-tu", "--json"]).success().json();
    assert_eq!(redirects(&report), ["udp 127.0.0.11:53 127.0.0.11 41957"]);
}

#[test]
fn a_filter_makes_no_row_that_is_not_there_without_it() {
    let Some(space) = space_with("tcp dport 8092-8094 dnat ip to 10.9.9.1:80; udp dport 8092 dnat ip to 10.9.9.1:80;")
    else {
        return;
    };
    // The first is held for both families at once, the second on loopback, the third is bound and does not listen.
    let held = space.run(|| {
        let third = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        third.bind(&"0.0.0.0:8094".parse::<std::net::SocketAddr>().unwrap().into()).unwrap();
        let first = TcpListener::bind((Ipv6Addr::UNSPECIFIED, 8092)).unwrap();
        (first, TcpListener::bind("127.0.0.1:8093").unwrap(), third, UdpSocket::bind("0.0.0.0:8092").unwrap())
    });
    let look = |words: &[&str]| {
        let report = inside(&space, words).arg("--json").success().json();
        let rows = report["sockets"].as_array().unwrap().iter();
        let word = |row: &Value| {
            let of = |name: &str| row[name].as_str().unwrap().to_owned();
            let to = &row["forward"]["to"]["address"];
            format!("{} {} {} {}", of("protocol"), row["local"]["port"], of("state"), to.as_str().unwrap_or("-"))
        };
        rows.map(word).collect::<Vec<_>>()
    };
    let all = [
        "tcp 8092 LISTEN -",
        "udp 8092 UNCONN -",
        "tcp 8093 LISTEN -",
        "tcp 8093 REDIRECT 10.9.9.1",
        "tcp 8094 BOUND -",
        "tcp 8094 REDIRECT 10.9.9.1",
    ];
    let mut whole = look(&["-tu"]);
    whole.sort();
    let mut expected = all.map(str::to_owned).to_vec();
    expected.sort();
    assert_eq!(whole, expected);
    for words in [
        &["-tu", "--state", "redirect"][..],
        &["-tul"],
        &["-tu4"],
        &["-tu6"],
        &["-t", "--state", "redirect", "-4"],
        &["-u", "--state", "redirect"],
        &["-tu", "--state", "connected"],
        &["8092", "--state", "redirect"],
    ] {
        let rows = look(words);
        assert!(rows.iter().all(|row| whole.contains(row)), "{words:?}: {rows:?} of {whole:?}");
    }
    assert_eq!(look(&["-tu", "--state", "redirect"]), ["tcp 8093 REDIRECT 10.9.9.1", "tcp 8094 REDIRECT 10.9.9.1"]);
    support::close(held);
}

#[test]
fn who_is_about_to_stop_a_server_is_told_whose_connections_go_elsewhere() {
    let Some(space) = space_with("ip saddr 10.8.0.0/16 tcp dport 8080 redirect to :9090;") else { return };
    let server = space.run(|| TcpListener::bind("0.0.0.0:8080").unwrap());
    let _holder = support::holding(server);
    let shown = inside(&space, &["kill", "8080", "--dry-run"]).success().stdout;
    let told = "  some connections from other hosts (from 10.8.0.0/16) go to port 9090 of this host (firewall rule ";
    assert!(shown.contains(told), "{shown}");
}
