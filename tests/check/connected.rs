//! Sockets that have a peer: what they keep of their port, and what helps.

use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};

use socket2::{Domain, Socket, Type};

use super::support::netns::OwnSpace;
use super::support::{self, eventually, pids, portscope};
use super::{PLACES, Place, bind, binds, port_of, text, verdict};

/// A socket that has a peer: where it was bound before, and whose side of the connection it is.
struct Connected {
    what: String,
    port: u16,
    /// Whether the kernel tells no more whether it could take IPv4.
    is_doubtful: bool,
    _sockets: Vec<Socket>,
}

fn loopback(target: &str) -> SocketAddr {
    SocketAddr::new(target.parse().unwrap(), 0)
}

fn connected(kind: Type, bound: Option<Place>, v6only: bool, target: &str, is_server: bool) -> Connected {
    let what = format!("{kind:?} {bound:?} v6only: {v6only}, connected to {target}, server: {is_server}");
    let domain = Domain::for_address(loopback(target));
    let server = Socket::new(domain, kind, None).unwrap();
    if domain == Domain::IPV6 {
        server.set_only_v6(v6only && is_server).unwrap();
    }
    let every = match bound {
        Some(place) if is_server => SocketAddr::new(place.address.parse().unwrap(), 0),
        _ => loopback(target),
    };
    server.bind(&every.into()).unwrap();
    if kind == Type::STREAM {
        server.listen(1).unwrap();
    }
    let client = Socket::new(domain, kind, None).unwrap();
    if domain == Domain::IPV6 {
        client.set_only_v6(v6only && !is_server).unwrap();
    }
    if let Some(place) = bound.filter(|_| !is_server) {
        client.bind(&SocketAddr::new(place.address.parse().unwrap(), 0).into()).unwrap();
    }
    client.connect(&SocketAddr::new(target.parse().unwrap(), port_of(&server)).into()).unwrap();
    let is_doubtful = target == "::1";
    if is_server {
        let (accepted, _) = server.accept().unwrap();
        support::close(server);
        return Connected { what, port: port_of(&accepted), is_doubtful, _sockets: vec![accepted, client] };
    }
    Connected { what, port: port_of(&client), is_doubtful, _sockets: vec![client, server] }
}

#[test]
fn every_socket_that_is_connected_is_in_the_way_of_what_the_kernel_says() {
    let Some(space) = OwnSpace::new("") else { return };
    let place = |address| Some(Place { address, v6only: false });
    let mut places = Vec::new();
    for (bound, target) in [
        (None, "127.0.0.1"),
        (place("0.0.0.0"), "127.0.0.1"),
        (place("127.0.0.1"), "127.0.0.1"),
        (None, "::1"),
        (place("::"), "::1"),
        (place("::1"), "::1"),
        (None, "::ffff:127.0.0.1"),
        (place("::"), "::ffff:127.0.0.1"),
        (place("::ffff:127.0.0.1"), "::ffff:127.0.0.1"),
    ] {
        let v6only: &[bool] = if target == "::1" { &[false, true] } else { &[false] };
        places.extend(v6only.iter().map(|v6only| (bound, *v6only, target)));
    }
    let newer = ["0.0.0.0", "127.0.0.1", "127.0.0.6", "127.0.0.9", "::", "::1", "::ffff:0.0.0.0", "::ffff:127.0.0.1"];
    let mut named = 0;
    for (flag, kind) in [("-t", Type::STREAM), ("-u", Type::DGRAM)] {
        let sides: &[bool] = if kind == Type::STREAM { &[false, true] } else { &[false] };
        let older: Vec<Connected> = space.run(|| {
            let mut older: Vec<Connected> = Vec::new();
            for ((bound, v6only, target), is_server) in
                places.iter().flat_map(|place| sides.iter().map(move |is_server| (*place, *is_server)))
            {
                // The kernel may choose one port for sockets of both families, which would then both be in the way.
                older.push(support::eventually("a port of its own", || {
                    let made = connected(kind, bound, v6only, target, is_server);
                    (!older.iter().any(|other| other.port == made.port)).then_some(made)
                }));
            }
            older
        });
        let ports: Vec<u16> = older.iter().map(|older| older.port).collect();
        for v6only in [&[][..], &["--v6only"]] {
            let addresses = newer.join(",");
            let run =
                portscope(["check", "--json", "--no-reuseaddr", flag, "-a", &addresses]).args(&ports).args(v6only);
            let report = run.under(space.inside()).exits(1).json();
            let _alone = support::alone();
            for (answer, older) in report["ports"].as_array().unwrap().iter().zip(&older) {
                assert_eq!(answer["port"], older.port);
                for (answer, address) in answer["binds"].as_array().unwrap().iter().zip(newer) {
                    let place = Place { address, v6only: !v6only.is_empty() };
                    // The kernel binds no mapped address with IPV6_V6ONLY set.
                    if place.v6only && address.starts_with("::ffff") {
                        assert_eq!(answer["error"], "EINVAL", "{answer:#}");
                        let fix = "leave IPV6_V6ONLY unset: the address is an IPv4-mapped IPv6 address";
                        assert_eq!(answer["fixes"][0], fix, "{answer:#}");
                        continue;
                    }
                    let real = space.run(|| bind(kind, place, "", older.port).is_ok());
                    let case = format!("{}; {place:?}\n{answer:#}", older.what);
                    assert_eq!(answer["outcome"], if real { "bindable" } else { "refused" }, "{case}");
                    assert_ne!(answer["agrees"], false, "{case}");
                    let is_doubtful = older.is_doubtful && ["0.0.0.0", "127.0.0.6"].contains(&address);
                    let rule = match (is_doubtful, real) {
                        (true, _) => "depends",
                        (false, true) => "bindable",
                        (false, false) => "refused",
                    };
                    assert_eq!(answer["rule"], rule, "{case}");
                    if !real {
                        let blockers = answer["blockers"].as_array().unwrap();
                        assert!(blockers.iter().all(|blocker| blocker["socket"]["local"]["port"] == older.port));
                        assert_eq!(blockers[0]["overlap"] == "their-former-dual-stack", is_doubtful, "{case}");
                        assert_ne!(answer["cause"], "unseen", "{case}");
                        named += usize::from(is_doubtful);
                    }
                }
            }
        }
    }
    assert!(named >= 8, "only {named} binds were in the way of an IPv6 client that could take IPv4");
}

#[test]
fn an_ipv6_client_that_keeps_every_ipv4_address_taken_is_named() {
    let socket = UdpSocket::bind("[::1]:0").unwrap();
    let client = connected(Type::DGRAM, Some(Place { address: "::", v6only: false }), false, "::1", false);
    drop(socket);
    let answer = verdict(client.port, &["-u", "-a", "0.0.0.0"], 1);
    assert_eq!(answer["blockers"][0]["overlap"], "their-former-dual-stack");
    assert_eq!(pids(&answer["blockers"][0]["socket"]), [std::process::id()]);
    let shown = text(client.port, &["-u", "-a", "0.0.0.0"]);
    assert!(shown.contains(", which also accepted IPv4 before it was connected\n"), "{shown}");
    assert!(!shown.contains("as root") && !shown.contains("disagreement"), "{shown}");
    // Nobody tells whether it really could: without a bind that stays open.
    let answer = verdict(client.port, &["-u", "-a", "0.0.0.0", "--no-probe"], 1);
    assert_eq!((&answer["outcome"], &answer["rule"]), (&"unknown".into(), &"depends".into()));
    assert_eq!(verdict(client.port, &["-u", "-a", "127.0.0.1", "--no-probe"], 0)["outcome"], "bindable");
}

#[test]
fn a_client_that_chose_its_port_is_stopped_and_not_waited_for() {
    let Some(space) = OwnSpace::new("echo 50000 50100 > /proc/sys/net/ipv4/ip_local_port_range") else { return };
    for (flags, kind) in [("", Type::STREAM), ("-u ", Type::DGRAM)] {
        let (client, _server) = space.run(|| {
            let server = bind(kind, PLACES[1], "", 0).unwrap();
            if kind == Type::STREAM {
                server.listen(1).unwrap();
            }
            let client = bind(kind, PLACES[1], "", 9002).unwrap();
            client.connect(&server.local_addr().unwrap()).unwrap();
            (client, server)
        });
        let holder = support::holding(client);
        let run =
            || portscope(["check", "9002", "-a", "127.0.0.1"]).args(flags.split_whitespace()).under(space.inside());
        assert_eq!(binds(&run().arg("--json").exits(1).json())[0]["cause"], "connection");
        let shown = run().exits(1).stdout;
        let pid = holder.pid();
        let fix = format!(
            "hint: stop it: portscope kill {flags}--clients 9002 (this includes the process at the other end)\n"
        );
        assert!(shown.contains(&fix), "no {fix}: {shown}");
        assert!(!shown.contains("wait"), "{shown}");
        // What is advised does it.
        let kill = portscope(["kill", "9002", "--clients", "--dry-run"]).args(flags.split_whitespace());
        let shown = kill.under(space.inside()).any_stderr().output().stdout;
        let shown = String::from_utf8(shown).unwrap();
        assert!(shown.contains(&format!("sleep (pid {pid}, ")), "{shown}");
    }
}

#[test]
fn a_connection_that_nobody_holds_can_be_waited_for_or_destroyed() {
    let Some(space) = OwnSpace::new("echo 50000 50100 > /proc/sys/net/ipv4/ip_local_port_range") else { return };
    let _client = space.run(|| {
        let listener = TcpListener::bind(("127.0.0.1", 8080)).unwrap();
        let client = TcpStream::connect(("127.0.0.1", 8080)).unwrap();
        support::close(listener.accept().unwrap());
        client
    });
    let shown = portscope(["check", "8080", "-a", "127.0.0.1", "--no-reuseaddr"]).under(space.inside()).exits(1).stdout;
    assert!(shown.contains("hint: no process holds it anymore: wait for "), "{shown}");
    let _ = portscope(["close", "8080", "--clients", "--yes"]).under(space.inside()).any_stderr().output();
    eventually("the port is free", || {
        let output = portscope(["check", "8080", "-q", "-a", "127.0.0.1", "--no-reuseaddr"]);
        let output = output.under(space.inside()).output();
        output.status.success().then_some(())
    });
}
