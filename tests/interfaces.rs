//! Addresses that say nothing without their interface: what is shown is what is taken back.
#![cfg(target_os = "linux")]

mod support;

use std::net::{SocketAddr, SocketAddrV6, TcpListener, TcpStream};

use rustix::net::{AddressFamily, SocketType, netdevice};
use socket2::{Domain, Socket, Type};
use support::netns::OwnSpace;
use support::{Kept, Run, eventually, hold, holding, portscope};

/// A port space with two interfaces that have the same address.
fn two_links() -> Option<OwnSpace> {
    OwnSpace::new(
        "ip link add tt0 type veth peer name tt1; ip link set tt0 up; ip link set tt1 up; \
         ip addr add fe80::9/64 dev tt0 nodad; ip addr add fe80::9/64 dev tt1 nodad;",
    )
}

/// The end of that interface, inside of the space.
fn end(interface: &str, port: u16) -> SocketAddrV6 {
    let any = rustix::net::socket(AddressFamily::INET, SocketType::DGRAM, None).unwrap();
    let index = netdevice::name_to_index(any, interface).unwrap();
    SocketAddrV6::new("fe80::9".parse().unwrap(), port, 0, index)
}

fn looking(space: &OwnSpace, arguments: &[&str]) -> Run {
    portscope(arguments.iter().copied()).under(space.inside())
}

/// The interfaces of the sockets that are meant.
fn devices(space: &OwnSpace, arguments: &[&str]) -> Vec<String> {
    let sockets = looking(space, &[&["--json"], arguments].concat()).success().sockets();
    sockets.iter().map(|socket| socket["device"].as_str().unwrap_or("-").to_owned()).collect()
}

fn is_alive(child: &mut Kept) -> bool {
    child.0.try_wait().unwrap().is_none()
}

#[test]
fn an_address_that_is_shown_with_its_interface_is_a_target() {
    let Some(space) = two_links() else { return };
    let (first, second) =
        space.run(|| (TcpListener::bind(end("tt0", 8080)).unwrap(), TcpListener::bind(end("tt1", 8080)).unwrap()));
    let table = looking(&space, &["-H", "8080"]).success().stdout;
    assert!(table.contains("fe80::9%tt0 ") && table.contains("fe80::9%tt1 "), "{table}");
    for (target, expected) in [
        ("[fe80::9%tt0]:8080", &["tt0"][..]),
        ("[fe80::9%tt1]:8080", &["tt1"]),
        ("fe80::9%tt1", &["tt1"]),
        ("[fe80::9]:8080", &["tt0", "tt1"]),
        ("fe80::9", &["tt0", "tt1"]),
        ("[fe80::9%lo]:8080", &[]),
        ("[fe80::9%tt0]:8081", &[]),
    ] {
        assert_eq!(devices(&space, &[target]), expected, "{target}");
    }
    drop((first, second));
}

#[test]
fn a_socket_that_is_bound_to_an_interface_is_shown_and_taken_alike() {
    let Some(space) = OwnSpace::new("") else { return };
    let bound = space.run(|| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind_device(Some(b"lo")).unwrap();
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 6008)).into()).unwrap();
        socket.listen(1).unwrap();
        socket
    });
    let server = hold(std::process::Command::new("sleep").arg("1000"), bound);
    let line = format!("tcp 127.0.0.1%lo:6008 LISTEN: {} sleep\n", server.pid());
    assert_eq!(looking(&space, &["wait", "6008"]).success().stdout, line);
    assert_eq!(devices(&space, &["127.0.0.1%lo:6008"]), ["lo"]);
    assert_eq!(devices(&space, &["127.0.0.1:6008"]), ["lo"]);
    assert_eq!(devices(&space, &["127.0.0.1%eth0:6008"]), [""; 0]);
    let text = looking(&space, &["info", "6008"]).any_stderr().success().stdout;
    assert!(text.contains("\ntcp 127.0.0.1%lo:6008 LISTEN, loopback only\n"), "{text}");
    let text = looking(&space, &["check", "6008", "-a", "0.0.0.0"]).any_stderr().exits(1).stdout;
    assert!(text.starts_with("port 6008 is taken: sleep (pid "), "{text}");
    assert!(text.contains(") listens on 127.0.0.1%lo:6008\n"), "{text}");
    let text = looking(&space, &["kill", "127.0.0.1%lo:6008", "--dry-run"]).success().stdout;
    assert!(text.contains(", listens on tcp 127.0.0.1%lo:6008\n"), "{text}");
    // What keeps the port after its socket was destroyed is named alike.
    let kept = looking(&space, &["close", "127.0.0.1%lo:6008", "--yes"]).any_stderr().output();
    let kept = String::from_utf8(kept.stdout).unwrap();
    // Some kernels cannot destroy sockets.
    if kept.contains("destroyed") {
        assert!(kept.contains(" sleep keeps 127.0.0.1%lo:6008 bound until it "), "{kept}");
    }
}

#[test]
fn kill_and_close_spare_who_has_the_address_on_another_interface() {
    let Some(space) = two_links() else { return };
    let (first, second) =
        space.run(|| (TcpListener::bind(end("tt0", 8080)).unwrap(), TcpListener::bind(end("tt1", 8080)).unwrap()));
    let (mut server, mut spared) = (holding(first), holding(second));
    let output = looking(&space, &["close", "[fe80::9%tt1]:8080", "--dry-run"]).success();
    let line = format!("tcp [fe80::9%tt1]:8080 LISTEN ({} sleep)\n", spared.pid());
    assert!(output.stdout.starts_with(&line), "{}", output.stdout);
    assert_eq!(output.stdout.matches("LISTEN").count(), 1, "{}", output.stdout);
    let output = looking(&space, &["kill", "[fe80::9%tt0]:8080", "--yes"]).success();
    assert!(output.stdout.contains(", listens on tcp [fe80::9%tt0]:8080\n"), "{}", output.stdout);
    assert!(output.stdout.ends_with("tcp [fe80::9%tt0]:8080 is free\n"), "{}", output.stdout);
    let _ = eventually("the server ends", || server.0.try_wait().unwrap());
    assert!(is_alive(&mut spared));
    let nobody = "portscope: nothing is listening on tcp [fe80::9%tt0]:8080\n";
    assert_eq!(looking(&space, &["kill", "[fe80::9%tt0]:8080"]).stderr_contains(nobody).exits(1).stderr, nobody);
}

#[test]
fn a_peer_and_a_destination_have_their_interface() {
    let Some(space) = two_links() else { return };
    let ends = space.run(|| {
        let listener = TcpListener::bind(end("tt0", 8080)).unwrap();
        let client = TcpStream::connect(end("tt0", 8080)).unwrap();
        (listener.accept().unwrap(), client, listener)
    });
    let both = ["[fe80::9%tt0]:8080", "fe80::9%tt0", "[fe80::9%tt0]", "fe80::%tt0/64", "fe80::9"];
    for (peer, count) in both.map(|peer| (peer, if peer.contains("8080") { 1 } else { 2 })) {
        assert_eq!(devices(&space, &["--peer", peer]).len(), count, "{peer}");
    }
    assert_eq!(devices(&space, &["--peer", "fe80::9%tt1"]), [""; 0]);
    // The peer is shown as it is taken.
    let table = looking(&space, &["-H", "--peer", "[fe80::9%tt0]:8080"]).success().stdout;
    assert!(table.contains("[fe80::9%tt0]:8080"), "{table}");

    let report = looking(&space, &["usage", "--json"]).success().json();
    let destination = &report["spaces"][0]["destinations"][0];
    assert_eq!((&destination["peer"]["port"], &destination["device"]), (&8080.into(), &"tt0".into()), "{report:#}");
    let text = looking(&space, &["usage"]).any_stderr().success().stdout;
    assert_eq!(text.matches("fe80::9%tt0 ").count(), 2, "both ends: {text}");
    drop(ends);
}
