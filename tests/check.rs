//! `portscope check`: every verdict beside what the kernel does with a real bind, every cause made for real.
#![cfg(target_os = "linux")]
#![allow(clippy::pedantic, reason = "test code reads better without its ceremonies")]

#[path = "check/connected.rs"]
mod connected;
#[path = "check/holders.rs"]
mod holders;
#[path = "check/places.rs"]
mod places;
#[path = "check/random.rs"]
mod random;
#[path = "check/rights.rs"]
mod rights;
mod support;

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::Command;

use serde_json::Value;
use socket2::{Domain, Socket, Type};
use support::netns::OwnSpace;
use support::{Folder, eventually, hold, is_root, pids, portscope, skip};

/// A bind with its options.
#[derive(Clone, Copy, Debug)]
struct Place {
    address: &'static str,
    v6only: bool,
}

const PLACES: [Place; 5] = [
    Place { address: "0.0.0.0", v6only: false },
    Place { address: "127.0.0.1", v6only: false },
    Place { address: "::", v6only: false },
    Place { address: "::", v6only: true },
    Place { address: "::1", v6only: false },
];

/// No option, `SO_REUSEADDR`, `SO_REUSEPORT`.
const OPTIONS: [&str; 3] = ["--no-reuseaddr", "--reuseaddr", "--reuseport"];

fn bind(kind: Type, place: Place, option: &str, port: u16) -> std::io::Result<Socket> {
    let address = SocketAddr::new(place.address.parse().unwrap(), port);
    let socket = Socket::new(Domain::for_address(address), kind, None)?;
    if address.is_ipv6() {
        socket.set_only_v6(place.v6only)?;
    }
    socket.set_reuse_address(option == "--reuseaddr")?;
    socket.set_reuse_port(option == "--reuseport")?;
    socket.bind(&address.into())?;
    Ok(socket)
}

fn port_of(socket: &Socket) -> u16 {
    socket.local_addr().unwrap().as_socket().unwrap().port()
}

fn plain(address: &'static str, port: u16) -> Socket {
    bind(Type::STREAM, Place { address, v6only: false }, "", port).unwrap()
}

/// Says whether a server can take the port now: with `SO_REUSEADDR` for TCP and plainly for UDP, at every address of both
/// families, and for TCP listen there.
fn can_serve(kind: Type, port: u16) -> bool {
    let option = if kind == Type::STREAM { "--reuseaddr" } else { "" };
    ["0.0.0.0", "::"].into_iter().all(|address| {
        let socket = bind(kind, Place { address, v6only: false }, option, port);
        socket.is_ok_and(|socket| kind == Type::DGRAM || socket.listen(1).is_ok())
    })
}

/// What `wait --free` says of each port at this moment.
fn waited_for(flag: &str, ports: &[u16]) -> Vec<bool> {
    let run = portscope(["wait", "--free", "--json", "--timeout", "0s", flag]).args(ports);
    let report = run.exits_with([0, 1]).json();
    report["ports"].as_array().unwrap().iter().map(|port| port["reached"].as_bool().unwrap()).collect()
}

/// The answers of a report for its first port.
fn binds(report: &Value) -> Vec<Value> {
    report["ports"][0]["binds"].as_array().unwrap().clone()
}

/// The one answer for an address.
#[track_caller]
fn verdict(port: u16, arguments: &[&str], code: i32) -> Value {
    let report = portscope(["check", "--json"]).arg(port).args(arguments).exits(code).json();
    assert_eq!(report["bindable"], code == 0, "{report}");
    let binds = binds(&report);
    assert_eq!(binds.len(), 1, "{report}");
    assert_ne!(binds[0]["agrees"], false, "{report}");
    binds[0].clone()
}

/// What people read for the same.
fn text(port: u16, arguments: &[&str]) -> String {
    portscope(["check"]).arg(port).args(arguments).exits(1).stdout
}

#[test]
fn every_pair_of_addresses_and_options_gives_the_kernels_answer() {
    for (flag, kind, listens) in [("-t", Type::STREAM, false), ("-t", Type::STREAM, true), ("-u", Type::DGRAM, false)] {
        let older = PLACES.into_iter().flat_map(|place| OPTIONS.map(|option| (place, option)));
        let older: Vec<(Place, &str, Socket)> = older
            .map(|(place, option)| {
                let socket = bind(kind, place, option, 0).unwrap();
                if listens {
                    socket.listen(1).unwrap();
                }
                (place, option, socket)
            })
            .collect();
        let ports: Vec<u16> = older.iter().map(|(.., socket)| port_of(socket)).collect();
        let mut compared = 0;
        let mut refused: BTreeSet<(usize, &str, &str, bool)> = BTreeSet::new();
        for (option, v6only) in OPTIONS.into_iter().flat_map(|option| ["", "--v6only"].map(|v6only| (option, v6only))) {
            let flags: Vec<&str> = [flag, option, v6only].into_iter().filter(|flag| !flag.is_empty()).collect();
            let run = portscope(["check", "--json", "-a", "0.0.0.0,127.0.0.1,::,::1"]).args(&ports).args(&flags);
            let report = run.exits(1).json();
            // No child of another test may keep one of the sockets that are opened and closed here.
            let _alone = support::alone();
            let answers = report["ports"].as_array().unwrap().iter().zip(&older).enumerate();
            for (index, (answer, (place, older_option, socket))) in answers {
                assert_eq!(answer["port"], port_of(socket));
                for answer in answer["binds"].as_array().unwrap() {
                    let address = PLACES.iter().find(|place| answer["address"] == place.address).unwrap().address;
                    let newer = Place { address, v6only: !v6only.is_empty() && address.contains(':') };
                    let real = bind(kind, newer, option, port_of(socket));
                    let case = format!("{place:?} {older_option} listens: {listens}; {newer:?} {option}\n{answer:#}");
                    let is_shared = !answer["shares_with"].as_array().unwrap().is_empty();
                    let (outcome, error) = match &real {
                        Ok(_) if is_shared => ("shared", Value::Null),
                        Ok(_) => ("bindable", Value::Null),
                        Err(_) => ("refused", Value::from("EADDRINUSE")),
                    };
                    assert_eq!((&answer["outcome"], &answer["error"]), (&Value::from(outcome), &error), "{case}");
                    assert_ne!(answer["agrees"], false, "{case}");
                    if option == "--no-reuseaddr" {
                        assert_eq!(answer["rule"], outcome, "without options nothing is in doubt: {case}");
                    }
                    if real.is_err() {
                        let blockers = answer["blockers"].as_array().unwrap();
                        let is_it = |blocker: &Value| {
                            let local = &blocker["socket"]["local"];
                            local["port"] == port_of(socket) && local["address"] == place.address
                        };
                        assert!(!blockers.is_empty() && blockers.iter().all(is_it), "{case}");
                        refused.insert((index, address, option, newer.v6only));
                    }
                    assert_eq!(
                        answer["blockers"].as_array().unwrap().is_empty(),
                        answer["rule"] == "bindable",
                        "{case}"
                    );
                    compared += 1;
                }
            }
        }
        assert_eq!(compared, 15 * 6 * 4);
        // Beside each, what waits for a free port agrees with a server that would take it.
        let waited = waited_for(flag, &ports);
        let _alone = support::alone();
        for ((place, option, socket), waited) in older.iter().zip(&waited) {
            assert_eq!(*waited, can_serve(kind, port_of(socket)), "{place:?} {option} listens: {listens}");
        }
        // What was named as in the way was all of it: where it is closed, the same bind succeeds.
        drop(older);
        for (index, address, option, v6only) in &refused {
            let real = bind(kind, Place { address, v6only: *v6only }, option, ports[*index]);
            assert!(real.is_ok(), "{address} {option} on {} after what blocked it is closed", ports[*index]);
        }
        let free = waited.iter().filter(|free| **free).count();
        println!(
            "{flag} listens: {listens}: {compared} binds compared, {} refused and then granted, {free} of {} ports free \
             for a server",
            refused.len(),
            ports.len()
        );
        assert!(refused.len() > 100, "only {} binds were refused", refused.len());
    }
}

#[test]
fn a_bind_beside_another_socket_is_never_a_bare_yes() {
    let place = PLACES[1];
    let old = bind(Type::DGRAM, place, "--reuseaddr", 0).unwrap();
    let port = port_of(&old);
    let answer = verdict(port, &["-u", "-a", "127.0.0.1"], 1);
    assert_eq!(answer["with_reuseaddr"], true, "{answer:#}");
    let fixes = answer["fixes"].to_string();
    assert!(!fixes.contains("SO_REUSEADDR"), "it takes the datagrams of the other: {fixes}");
    let answer = verdict(port, &["-u", "-a", "127.0.0.1", "--reuseaddr"], 0);
    assert_eq!((&answer["outcome"], pids(&answer["shares_with"][0])), (&"shared".into(), vec![std::process::id()]));
    let text = portscope(["check", "-u", "-a", "127.0.0.1", "--reuseaddr"]).arg(port).success().stdout;
    assert!(text.contains("shared") && text.contains("takes the datagrams of check-"), "{text}");
    // The kernel gives them to the newer one.
    let new = bind(Type::DGRAM, place, "--reuseaddr", port).unwrap();
    let sender = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    sender.send_to(b"x", ("127.0.0.1", port)).unwrap();
    let new: UdpSocket = new.into();
    assert_eq!(new.recv(&mut [0; 8]).unwrap(), 1);

    let listener = bind(Type::STREAM, place, "--reuseport", 0).unwrap();
    listener.listen(1).unwrap();
    let text = portscope(["check", "-a", "127.0.0.1", "--reuseport"]).arg(port_of(&listener)).success().stdout;
    assert!(text.contains("shared") && text.contains("the kernel divides traffic between it and"), "{text}");
}

#[test]
fn a_free_port_is_bindable_and_stays_so() {
    let socket = plain("127.0.0.1", 0);
    let port = port_of(&socket);
    support::close(socket);
    let output = portscope(["check", "-4"]).arg(port).success().stdout;
    assert!(output.starts_with(&format!("port {port} is free")) && output.lines().count() == 1, "{output}");
    assert_eq!(portscope(["check", "-q", "-4"]).arg(port).success().stdout, "");
    // The probe has left nothing behind.
    support::close(TcpListener::bind(("127.0.0.1", port)).unwrap());
}

#[test]
fn a_listener_is_named_with_its_process_and_since_when() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let holder = hold(Command::new("sleep").arg("1000"), listener);
    let answer = verdict(port, &["-a", "127.0.0.1"], 1);
    assert_eq!((&answer["error"], &answer["cause"]), (&"EADDRINUSE".into(), &"listener".into()));
    let blocker = &answer["blockers"][0];
    assert_eq!((&blocker["overlap"], &blocker["certain"]), (&"same".into(), &true.into()));
    assert_eq!(pids(&blocker["socket"]), [holder.pid()]);
    assert!(blocker["socket"]["owner"]["processes"][0]["started_at"].is_string());
    let text = text(port, &["-a", "127.0.0.1"]);
    for part in [
        &format!("port {port} is taken: sleep (pid {}, ", holder.pid()),
        &format!(") listens on 127.0.0.1:{port}\nPROTO"),
        ", since ",
        &format!("tcp    127.0.0.1  no    EADDRINUSE  sleep ({}) listens on 127.0.0.1:{port}\n", holder.pid()),
        &format!("hint: stop it: portscope kill {port}\n"),
        &format!("hint: use another port: portscope free --near {port}\n"),
    ] {
        assert!(text.contains(part), "no {part}: {text}");
    }
    assert!(text.starts_with("port "), "the verdict comes first: {text}");
    assert_eq!(portscope(["why", "-q", "-a", "127.0.0.1"]).arg(port).exits(1).stdout, "");
}

#[test]
fn udp_is_judged_by_udp_sockets() {
    let socket = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    let port = socket.local_addr().unwrap().port();
    let answer = verdict(port, &["-u", "-a", "0.0.0.0"], 1);
    assert_eq!((&answer["protocol"], &answer["error"]), (&"udp".into(), &"EADDRINUSE".into()));
    let report = portscope(["check", "-tu", "-a", "127.0.0.1", "--json"]).arg(port).exits(1).json();
    let outcomes: Vec<Value> = binds(&report).iter().map(|answer| answer["outcome"].clone()).collect();
    assert_eq!(outcomes[1], "refused");
}

#[test]
fn with_no_probe_the_rule_alone_answers() {
    let socket = plain("127.0.0.1", 0);
    socket.listen(1).unwrap();
    let answer = verdict(port_of(&socket), &["-a", "127.0.0.1", "--no-probe"], 1);
    assert_eq!((&answer["outcome"], &answer["rule"]), (&"refused".into(), &"refused".into()));
    for key in ["probe", "agrees", "with_reuseaddr", "with_reuseport"] {
        assert_eq!(answer[key], Value::Null, "{key}");
    }
    let answer = verdict(port_of(&socket), &["-a", "127.0.0.1", "--no-probe", "--reuseport"], 1);
    assert_eq!((&answer["outcome"], &answer["rule"]), (&"unknown".into(), &"depends".into()));
}

#[test]
fn the_portable_backend_answers_too() {
    let socket = plain("127.0.0.1", 0);
    socket.listen(1).unwrap();
    let answer = verdict(port_of(&socket), &["-a", "127.0.0.1", "--backend", "portable"], 1);
    assert_eq!(answer["cause"], "listener");
    // netstat2 does not list it: only the kernel knows, and the difference is reported.
    let socket = plain("127.0.0.1", 0);
    let report = portscope(["check", "--json", "-a", "127.0.0.1", "--backend", "portable"]).arg(port_of(&socket));
    let answer = binds(&report.exits(1).json())[0].clone();
    assert_eq!((&answer["cause"], &answer["agrees"]), (&"unseen".into(), &false.into()));
    let text = text(port_of(&socket), &["-a", "127.0.0.1", "--backend", "portable"]);
    assert!(
        text.contains(
            "disagreement: tcp 127.0.0.1: by the sockets that were seen it succeeds; tried, it fails with EADDRINUSE"
        ),
        "{text}"
    );
}

#[test]
fn what_was_not_seen_is_said_beside_a_port_that_looks_free() {
    let report = portscope(["check", "8080", "-a", "127.0.0.1", "--json"]).any_stderr();
    let output = report.output();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = portscope(["check", "8080", "-a", "127.0.0.1"]).output().stdout;
    let text = String::from_utf8(text).unwrap();
    let is_checked = report["visibility"]["redirects_checked"] == true;
    assert_eq!(text.contains("not seen: "), !is_checked, "{text}");
}

#[test]
fn the_document_is_what_the_schema_says() {
    let socket = plain("::", 0);
    socket.listen(1).unwrap();
    let schema = portscope(["schema", "check"]).success().json();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let report = portscope(["check", "-tu", "--json"]).arg(port_of(&socket)).exits(1).json();
    let errors: Vec<String> = validator.iter_errors(&report).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    let mut broken = report;
    broken["ports"][0]["binds"][0]["outcome"] = Value::from(1);
    assert!(!validator.is_valid(&broken));
}

#[test]
fn bad_input_is_one_line_and_exit_2() {
    for (arguments, message) in [
        (&["70000"][..], "`70000` is not a port: expected 1-65535"),
        (&["0"], "`0` is not a port: expected 1-65535"),
        (&["90-80"], "`90-80` is not a range: 90 is above 80; expected LOW-HIGH, such as 8000-8100"),
        (&[], "the following required arguments were not provided: <PORT>..."),
        (&["80", "-a", "localhost"], "--address: `localhost` is not an address: expected an IPv4 or IPv6 address"),
        (
            &["80", "-a", "fe80::1"],
            "--address: `fe80::1` is link-local: expected its interface too, such as fe80::1%eth0",
        ),
        (&["80", "-a", "fe80::1%"], "--address: `fe80::1%` is not an address"),
        (
            &["80", "-a", "ff02::1"],
            "--address: `ff02::1` is link-local: expected its interface too, such as ff02::1%eth0",
        ),
        (
            &["80", "-a", "ff01::1"],
            "--address: `ff01::1` is interface-local: expected its interface too, such as ff01::1%eth0",
        ),
        (&["80", "-a", "ff05::1%lo"], "--address: `ff05::1%lo`: only a link-local address has an interface"),
        (&["80", "-a", "fe80::1%nothing"], "--address: `nothing` is not an interface here"),
        (&["80", "-a", "::1%lo"], "--address: `::1%lo`: only a link-local address has an interface; see --device"),
        (&["80", "--user", "root"], "--user: `root` is not a user ID: expected 0-4294967294"),
        (&["80", "-q", "--json"], "`--quiet` cannot be used with `--json`"),
        (&["80", "-4", "-a", "::1"], "`--ipv4` cannot be used with `--address <ADDR>`"),
    ] {
        let stderr = portscope(["check"]).args(arguments).any_stderr().exits(2).stderr;
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(stderr.starts_with(&format!("portscope: {message}")), "{arguments:?}: {stderr}");
    }
    // A port with its colon, and several at once, are what people type.
    let output = portscope(["check", ":8080", "8080-8081", "-a", "127.0.0.1", "--json"]).any_stderr();
    let report: Value = serde_json::from_slice(&output.output().stdout).unwrap();
    assert_eq!(report["ports"].as_array().unwrap().len(), 2);
    let _: IpAddr = report["ports"][0]["binds"][0]["address"].as_str().unwrap().parse().unwrap();
}
