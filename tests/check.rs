//! `portscope check`: every verdict beside what the kernel does with a real bind, every cause made for real.
#![cfg(target_os = "linux")]
#![allow(clippy::pedantic, reason = "test code reads better without its ceremonies")]

#[path = "check/connected.rs"]
mod connected;
#[path = "check/random.rs"]
mod random;
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
fn in_a_user_namespace_without_the_network_a_right_is_not_taken_for_granted() {
    let own = ["unshare", "--user", "--map-root-user"];
    let can = support::output(Command::new(own[0]).args(&own[1..]).arg("true")).status.success();
    if !can {
        return skip("no user namespace can be made here");
    }
    let check = |arguments: &[&str], prefix: &[&str]| {
        let run = portscope(["check", "81", "-a", "127.0.0.1", "--json"]).args(arguments).under(prefix);
        binds(&run.exits_with([0, 1]).json())[0].clone()
    };
    assert_eq!(check(&["--no-probe"], &own)["outcome"], "unknown");
    assert_eq!(check(&[], &own)["error"], "EACCES");
    let both = ["unshare", "--user", "--map-root-user", "--net", "sh", "-c", "ip link set lo up; exec \"$0\" \"$@\""];
    assert_eq!(check(&["--no-probe"], &both)["outcome"], "bindable", "there the right counts");
}

#[test]
fn root_is_not_sent_to_root() {
    if !is_root() {
        return skip("needs root to be told as root");
    }
    let socket = plain("127.0.0.1", 0);
    let arguments = ["-a", "127.0.0.1", "--backend", "portable"];
    let shown = text(port_of(&socket), &arguments);
    assert!(shown.contains("hint: try again: the owner may be short-lived"), "{shown}");
    let binary = support::ReachableBinary::new();
    let run = portscope(["check"]).arg(port_of(&socket)).args(arguments).any_stderr().run_by_nobody(&binary);
    let shown = run.exits(1).stdout;
    assert!(shown.contains("hint: try again as root: the owner may be short-lived"), "{shown}");
}

#[test]
fn nobody_is_told_to_stop_a_process_that_he_cannot_see() {
    if !is_root() {
        return skip("needs root to become another user");
    }
    let socket = plain("127.0.0.1", 0);
    socket.listen(1).unwrap();
    let (binary, port) = (support::ReachableBinary::new(), port_of(&socket));
    let run = portscope(["check", "-a", "127.0.0.1"]).arg(port).any_stderr().run_by_nobody(&binary);
    let shown = run.exits(1).stdout;
    let fix = format!("hint: find out which process holds it: portscope {port} shows why it is hidden");
    assert!(shown.contains(&fix) && !shown.contains("portscope kill"), "{shown}");
}

#[test]
fn without_proc_a_low_port_is_not_called_free() {
    if !is_root() {
        return skip("needs root to hide /proc");
    }
    let Some(space) = OwnSpace::new("") else { return };
    let binary = support::ReachableBinary::new();
    let blind = |arguments: &[&str]| {
        let run = portscope(["check", "80", "-a", "127.0.0.1"]).args(arguments).any_stderr().run_by_nobody(&binary);
        let run = run.under(["unshare", "-m", "sh", "-c", "mount -t tmpfs tmpfs /proc; exec \"$@\"", "sh"]);
        run.under(space.inside()).exits(1)
    };
    let answer = binds(&blind(&["--no-probe", "--json"]).json())[0].clone();
    assert_eq!((&answer["outcome"], &answer["cause"]), (&"unknown".into(), &"privileged".into()), "{answer:#}");
    assert!(answer["fixes"][0].as_str().unwrap().contains("without --no-probe"), "{answer:#}");
    let shown = blind(&["--no-probe"]).stdout;
    assert!(shown.contains("unknown         it may need a privilege"), "{shown}");
    let answer = binds(&blind(&["--json"]).json())[0].clone();
    assert_eq!((&answer["error"], &answer["cause"]), (&"EACCES".into(), &"privileged".into()), "{answer:#}");
}

#[test]
fn a_multicast_address_is_bound_on_its_interface_and_for_udp_only() {
    let port = port_of(&bind(Type::DGRAM, PLACES[2], "", 0).unwrap()).to_string();
    let answers = |arguments: &[&str], code| {
        binds(&portscope(["check", &port, "--json"]).args(arguments).exits(code).json())[0].clone()
    };
    assert_eq!(answers(&["-u", "-a", "ff02::fb%lo"], 0)["agrees"], true);
    assert_eq!(answers(&["-u", "-a", "ff01::1%lo"], 0)["agrees"], true);
    assert_eq!(answers(&["-u", "-a", "ff05::1"], 0)["agrees"], true);
    for probe in [&[][..], &["--no-probe"]] {
        let answer = answers(&[&["-a", "ff02::fb%lo"], probe].concat(), 1);
        assert_eq!((&answer["error"], &answer["cause"]), (&"EINVAL".into(), &"multicast".into()), "{answer:#}");
        assert_ne!(answer["agrees"], false, "{answer:#}");
    }
    let shown = portscope(["check", &port, "-a", "ff02::fb%lo"]).exits(1).stdout;
    assert!(shown.contains("no    EINVAL  a multicast address, which tcp cannot use\n"), "{shown}");
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
fn a_specific_address_is_in_the_way_of_every_address_and_the_other_way_round() {
    let specific = plain("127.0.0.53", 0);
    specific.listen(1).unwrap();
    let answer = verdict(port_of(&specific), &["-a", "0.0.0.0"], 1);
    assert_eq!(answer["blockers"][0]["overlap"], "covers-specific");
    assert!(text(port_of(&specific), &["-a", "0.0.0.0"]).contains("hint: bind one address that is free"));
    assert_eq!(verdict(port_of(&specific), &["-a", "127.0.0.54"], 0)["outcome"], "bindable");
    let every = plain("0.0.0.0", 0);
    every.listen(1).unwrap();
    assert_eq!(verdict(port_of(&every), &["-a", "127.0.0.53"], 1)["blockers"][0]["overlap"], "covered-by-wildcard");
}

#[test]
fn dual_stack_is_told_from_both_sides() {
    let dual = plain("::", 0);
    dual.listen(1).unwrap();
    let answer = verdict(port_of(&dual), &["-a", "127.0.0.1"], 1);
    assert_eq!(answer["blockers"][0]["overlap"], "their-dual-stack");
    assert!(
        text(port_of(&dual), &["-a", "0.0.0.0"]).contains("hint: set IPV6_V6ONLY in the program that is bound to ::")
    );

    let ipv4 = plain("127.0.0.1", 0);
    ipv4.listen(1).unwrap();
    assert_eq!(verdict(port_of(&ipv4), &["-a", "::"], 1)["blockers"][0]["overlap"], "our-dual-stack");
    assert!(text(port_of(&ipv4), &["-a", "::"]).contains("hint: set IPV6_V6ONLY: only the IPv4 half"));
    assert_eq!(verdict(port_of(&ipv4), &["-a", "::", "--v6only"], 0)["v6only"], true);
    assert_eq!(verdict(port_of(&ipv4), &["-a", "::ffff:127.0.0.1"], 1)["blockers"][0]["overlap"], "same");
}

#[test]
fn sharing_by_reuseport_is_offered_to_the_same_user_only() {
    let place = PLACES[1];
    let first = bind(Type::STREAM, place, "--reuseport", 0).unwrap();
    first.listen(1).unwrap();
    let port = port_of(&first);
    let answer = verdict(port, &["-a", "127.0.0.1", "--no-reuseaddr"], 1);
    assert_eq!((&answer["with_reuseport"], &answer["with_reuseaddr"]), (&true.into(), &false.into()));
    assert!(text(port, &["-a", "127.0.0.1"]).contains("hint: set SO_REUSEPORT before bind to share the port"));
    assert_eq!(verdict(port, &["-a", "127.0.0.1", "--reuseport"], 0)["rule"], "depends");
    // Two on the very same address show that both have set it.
    let second = bind(Type::STREAM, place, "--reuseport", port).unwrap();
    second.listen(1).unwrap();
    assert_eq!(verdict(port, &["-a", "127.0.0.1", "--reuseport"], 0)["rule"], "bindable");
    if is_root() {
        let other = ["-a", "127.0.0.1", "--reuseport", "--user", "65534"];
        assert_eq!(verdict(port, &other, 1)["probe"]["error"], "EADDRINUSE");
    }
}

#[test]
fn a_socket_that_is_bound_and_does_not_listen_takes_the_port() {
    let socket = plain("127.0.0.1", 0);
    let answer = verdict(port_of(&socket), &["-a", "127.0.0.1"], 1);
    assert_eq!((&answer["cause"], &answer["blockers"][0]["socket"]["state"]), (&"bound".into(), &"BOUND".into()));
    assert_eq!(pids(&answer["blockers"][0]["socket"]), [std::process::id()]);
    assert!(text(port_of(&socket), &["-a", "127.0.0.1"]).contains("the process that bound it is not listening"));
}

#[test]
fn time_wait_is_told_with_its_seconds_and_with_what_helps() {
    let listener = bind(Type::STREAM, PLACES[1], "--reuseaddr", 0).unwrap();
    listener.listen(1).unwrap();
    let port = port_of(&listener);
    let listener: TcpListener = listener.into();
    let client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    // The side that closes first keeps the numbers.
    support::close(listener.accept().unwrap());
    drop(client);
    drop(listener);
    let strict = ["-a", "127.0.0.1", "--no-reuseaddr"];
    let answer = eventually("TIME_WAIT", || {
        let answer = verdict(port, &strict, 1);
        (answer["cause"] == "time-wait").then_some(answer)
    });
    assert_eq!((&answer["with_reuseaddr"], &answer["error"]), (&true.into(), &"EADDRINUSE".into()));
    let text = text(port, &strict);
    let seconds = text.split("hint: wait ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
    assert!((1..=61).contains(&seconds.parse::<u32>().unwrap()), "{text}");
    assert!(text.contains("hint: set SO_REUSEADDR before bind, as servers do"), "{text}");
    // A server sets it, and what differs without it is said.
    let answer = verdict(port, &["-a", "127.0.0.1"], 0);
    assert_eq!((&answer["outcome"], &answer["without_reuseaddr"]), (&"bindable".into(), &false.into()));
    let text = portscope(["check", "-a", "127.0.0.1"]).arg(port).success().stdout;
    assert!(
        text.contains("with SO_REUSEADDR, which servers set; without it EADDRINUSE: a closed connection keeps "),
        "{text}"
    );
}

#[test]
fn a_client_that_got_the_port_from_the_ephemeral_range_is_one() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let port = client.local_addr().unwrap().port();
    let answer = verdict(port, &["-a", "127.0.0.1"], 1);
    assert_eq!(answer["cause"], "client");
    // Others may share the port as clients of other servers.
    let is_ours = |blocker: &Value| blocker["socket"]["peer"]["port"] == listener.local_addr().unwrap().port();
    assert!(answer["blockers"].as_array().unwrap().iter().any(is_ours), "{answer:#}");
    let shown = text(port, &["-a", "127.0.0.1"]);
    assert!(shown.contains("hint: wait until the program closes it, or stop "), "{shown}");
    assert!(shown.contains(&format!("ip_local_reserved_ports={port}")), "{shown}");
}

#[test]
fn a_connection_outlives_the_listener_that_accepted_it() {
    let Some(space) = OwnSpace::new("echo 50000 50100 > /proc/sys/net/ipv4/ip_local_port_range") else { return };
    let (_client, _accepted) = space.run(|| {
        let listener = TcpListener::bind(("127.0.0.1", 8080)).unwrap();
        let client = TcpStream::connect(("127.0.0.1", 8080)).unwrap();
        (client, listener.accept().unwrap())
    });
    let report = portscope(["check", "8080", "-a", "127.0.0.1", "--no-reuseaddr", "--json"]);
    let report = report.under(space.inside()).exits(1).json();
    assert_eq!(binds(&report)[0]["cause"], "connection", "{report}");
}

#[test]
fn privileged_numbers_begin_where_the_space_says() {
    let Some(space) = OwnSpace::new("echo 5000 > /proc/sys/net/ipv4/ip_unprivileged_port_start") else { return };
    let check = |arguments: &[&str], code| {
        let run = portscope(["check", "-a", "127.0.0.1,::1", "--json"]).args(arguments).under(space.inside());
        binds(&run.exits(code).json())
    };
    for (user, port, error) in
        [("65534", "4999", Value::from("EACCES")), ("65534", "5000", Value::Null), ("0", "4999", Value::Null)]
    {
        let code = i32::from(!error.is_null());
        for answer in check(&["--user", user, port], code) {
            assert_eq!((&answer["error"], &answer["agrees"]), (&error, &true.into()), "{answer:#}");
            assert_eq!(answer["cause"] == "privileged", code == 1);
        }
        // Nobody needs to be asked for that.
        for answer in check(&["--user", user, port, "--no-probe"], code) {
            assert_eq!((&answer["error"], &answer["probe"]), (&error, &Value::Null), "{answer:#}");
        }
    }
    let text = portscope(["check", "80", "--user", "65534"]).under(space.inside()).exits(1).stdout;
    assert!(text.contains("AmbientCapabilities=CAP_NET_BIND_SERVICE"), "{text}");
}

#[test]
fn without_root_the_privilege_is_missed_for_real() {
    if !is_root() {
        return skip("needs root to become another user");
    }
    let Some(space) = OwnSpace::new("") else { return };
    let binary = support::ReachableBinary::new();
    let run = portscope(["check", "80", "--json"]).any_stderr().run_by_nobody(&binary).under(space.inside());
    for answer in binds(&run.exits(1).json()) {
        assert_eq!((&answer["error"], &answer["cause"]), (&"EACCES".into(), &"privileged".into()), "{answer:#}");
        assert_eq!(answer["agrees"], true);
    }
    // Another user cannot be asked for, and that is said.
    let run = portscope(["check", "8080", "--user", "0", "--json"]).run_by_nobody(&binary).under(space.inside());
    let answers = binds(&run.stderr_contains("not tried as uid 0").success().json());
    assert_eq!(answers[0]["probe"], Value::Null);
}

#[test]
fn an_address_that_is_not_here_is_told_and_missing_usual_ones_are_not_held_against_the_port() {
    let answer = verdict(8080, &["-a", "192.0.2.1"], 1);
    assert_eq!((&answer["error"], &answer["cause"]), (&"EADDRNOTAVAIL".into(), &"address-not-here".into()));
    assert_eq!(verdict(8080, &["-a", "2001:db8::1", "--no-probe"], 1)["error"], "EADDRNOTAVAIL");
    let Some(space) = OwnSpace::new("echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6") else { return };
    let report = portscope(["check", "8080", "--json"]).under(space.inside()).success().json();
    let loopback = binds(&report).into_iter().find(|answer| answer["address"] == "::1").unwrap();
    assert_eq!((&loopback["cause"], &loopback["ok"]), (&"address-not-here".into(), &true.into()));
    let _ = portscope(["check", "8080", "-q", "-a", "::1"]).under(space.inside()).exits(1);
    let Some(space) = OwnSpace::new("echo 1 > /proc/sys/net/ipv4/ip_nonlocal_bind") else { return };
    let _ = portscope(["check", "8080", "-q", "-a", "192.0.2.1"]).under(space.inside()).success();
}

#[test]
fn the_same_number_in_another_space_is_no_conflict() {
    let Some(space) = OwnSpace::new("") else { return };
    let port = port_of(&plain("0.0.0.0", 0));
    let _listener = space.run(|| TcpListener::bind(("0.0.0.0", port)).unwrap());
    let answer = verdict(port, &["-a", "0.0.0.0"], 0);
    assert_eq!((&answer["agrees"], &answer["blockers"]), (&true.into(), &Value::Array(Vec::new())));
    let elsewhere = answer["elsewhere"].as_array().unwrap();
    assert_eq!(elsewhere.len(), 1, "{answer:#}");
    assert_eq!(pids(&elsewhere[0]), [std::process::id()]);
    let text = portscope(["check", "-a", "0.0.0.0"]).arg(port).success().stdout;
    assert!(text.contains(&format!("no conflict: tcp LISTEN 0.0.0.0:{port}: ")), "{text}");
    // There it is in the way.
    let _ = portscope(["check", "-q", "-a", "127.0.0.1"]).arg(port).under(space.inside()).exits(1);
}

#[test]
fn a_port_that_the_firewall_redirects_is_bound_in_vain() {
    let rules =
        "table ip n { chain p { type nat hook prerouting priority -100; tcp dport 42100 redirect to :42101; }; }";
    let Some(space) = OwnSpace::new(&format!("nft '{rules}'")) else { return };
    let run = |arguments: &[&str]| portscope(["check", "42100", "-4"]).args(arguments).under(space.inside());
    let answers = binds(&run(&["--json"]).exits(1).json());
    let of = |address: &str| answers.iter().find(|answer| answer["address"] == address).unwrap();
    let every = of("0.0.0.0");
    assert_eq!((&every["outcome"], &every["cause"]), (&"shadowed".into(), &"redirected".into()));
    assert_eq!((&every["probe"]["bound"], &every["error"]), (&true.into(), &Value::Null), "bind(2) succeeds");
    assert_eq!(every["reachability"]["outside"]["to"]["port"], 42101);
    assert_eq!(of("127.0.0.1")["outcome"], "bindable", "the rule is not for what the host sends to itself");
    let text = run(&[]).exits(1).stdout;
    assert!(text.contains("redirected") && text.contains("the firewall forwards its traffic to "), "{text}");
    assert!(!text.contains("not seen: "), "{text}");
    // Nobody looked: the port must not be called free without that being said.
    let text = run(&["--no-helpers"]).success().stdout;
    assert!(text.contains("not seen: "), "{text}");
}

#[test]
fn a_device_is_part_of_the_question() {
    let device = "ip link add tt0 type veth peer name tt1 || ip link add tt0 type dummy || ip tuntap add tt0 mode tun";
    let script = format!("{device}; ip link set tt0 up; ip addr add fe80::9/64 dev tt0 nodad");
    let Some(space) = OwnSpace::new(&script) else { return };
    let socket = |device: &'static [u8], port: u16| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind_device(Some(device)).unwrap();
        socket.bind(&SocketAddr::from(([0, 0, 0, 0], port)).into()).unwrap();
        socket.listen(1).unwrap();
        socket
    };
    let _held = space.run(|| [socket(b"lo", 41053), socket(b"tt0", 41053)]);
    let _link = space.run(|| {
        let index = support::output(Command::new("cat").arg("/proc/net/if_inet6")).stdout;
        let index = String::from_utf8(index).unwrap();
        let line = index.lines().find(|line| line.ends_with("tt0") && line.contains("0009 ")).unwrap().to_owned();
        let index = u32::from_str_radix(line.split(' ').nth(1).unwrap(), 16).unwrap();
        let address = std::net::SocketAddrV6::new("fe80::9".parse().unwrap(), 41054, 0, index);
        TcpListener::bind(address).unwrap()
    });
    let check = |arguments: &[&str], code| {
        let run = portscope(["check", "--json"]).args(arguments).under(space.inside());
        binds(&run.exits(code).json())[0].clone()
    };
    assert_eq!(check(&["41053", "-a", "0.0.0.0"], 1)["blockers"].as_array().unwrap().len(), 2);
    assert_eq!(check(&["41053", "-a", "0.0.0.0", "--device", "lo"], 1)["blockers"].as_array().unwrap().len(), 1);
    assert_eq!(check(&["41054", "-a", "0.0.0.0", "--device", "lo"], 0)["agrees"], true);
    assert_eq!(check(&["41053", "-a", "0.0.0.0", "--device", "nothing"], 1)["cause"], "no-device");
    assert_eq!(check(&["41054", "-a", "fe80::9%tt0"], 1)["cause"], "listener");
    assert_eq!(check(&["41055", "-a", "fe80::9%tt0"], 0)["agrees"], true);
    assert_eq!(check(&["41055", "-a", "fe80::9%lo"], 1)["error"], "EADDRNOTAVAIL");
}

/// A program of this name that holds a socket and does nothing.
fn program(folder: &Folder, name: &str) -> std::path::PathBuf {
    let path = folder.join(name);
    std::fs::copy("/bin/sleep", &path).unwrap();
    path
}

#[test]
fn systemd_that_holds_a_port_for_a_unit_is_told_from_a_server() {
    if !is_root() {
        return skip("needs root to make a pid namespace");
    }
    let folder = Folder::new();
    let socket = plain("127.0.0.1", 0);
    socket.listen(1).unwrap();
    let port = port_of(&socket);
    let mut command = Command::new("unshare");
    command.args(["-p", "-f", "--mount-proc"]).arg(program(&folder, "systemd")).arg("1000");
    let unshare = hold(&mut command, socket);
    let children = format!("/proc/{0}/task/{0}/children", unshare.pid());
    let child = eventually("the first process of the namespace runs", || {
        let child = std::fs::read_to_string(&children).ok()?.trim().to_owned();
        let name = std::fs::read_to_string(format!("/proc/{child}/comm")).ok()?;
        (name == "systemd\n").then_some(child)
    });
    let _ends_with_the_test = Ended(child.clone());
    let inside = ["nsenter", "-t", &child, "-p", "-m"];
    let run = portscope(["check", "--json", "-a", "127.0.0.1"]).arg(port).under(inside);
    let answer = eventually("unshare has let go of the socket", || {
        let answer = binds(&run_json(&run))[0].clone();
        (answer["cause"] == "activation").then_some(answer)
    });
    assert_eq!(answer["blockers"][0]["socket"]["owner"]["processes"][0]["pid"], 1);
    assert!(answer["fixes"][0].as_str().unwrap().contains("systemctl"), "{answer:#}");
}

fn run_json(run: &support::Run) -> Value {
    let output = run.output();
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The first process of a pid namespace does not end with its parent.
struct Ended(String);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = support::output(Command::new("kill").args(["-9", &self.0]));
    }
}

#[test]
fn a_known_squatter_is_named_with_its_own_remedy() {
    let Some(space) = OwnSpace::new("") else { return };
    let folder = Folder::new();
    let socket = space.run(|| plain("127.0.0.53", 53));
    socket.listen(1).unwrap();
    let _resolved = hold(Command::new(program(&folder, "systemd-resolved")).arg("1000"), socket);
    let text = portscope(["check", "53", "-a", "0.0.0.0"]).under(space.inside()).exits(1).stdout;
    assert!(text.contains("hint: it is the stub resolver of systemd-resolved: set DNSStubListener=no"), "{text}");
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
        (&["90-80"], "`90-80` is not a range: 90 is above 80; expected a port (8080, 53/udp, 8000-8100), ADDR:PORT"),
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
