//! The same sockets as `ss`, all of them, at the same moment.

mod support;

use std::net::{TcpListener, TcpStream, UdpSocket};

use support::{eventually, portscope, ss};

/// A moving system never gives the same answer twice, so the two are compared until they agree.
#[track_caller]
fn agrees(ours: &[&str], ss_flags: &str, is_tcp: bool) {
    for backend in ["native", "portable"] {
        agrees_with(backend, ours, ss_flags, is_tcp);
    }
}

#[track_caller]
fn agrees_with(backend: &str, ours: &[&str], ss_flags: &str, is_tcp: bool) {
    let mut last = String::new();
    let compare = || {
        let before = ss::list(ss_flags);
        let sockets = portscope(ours.iter().copied()).backend(backend).arg("--json").success().sockets();
        let after = ss::list(ss_flags);
        if before != after {
            return None;
        }
        last = ss::difference(&ss::of_report(&sockets, is_tcp), &after).unwrap_or_default();
        last.is_empty().then_some(())
    };
    eventually("agreement with ss", compare);
}

#[test]
fn tcp_sockets_are_those_of_ss() {
    let listeners: Vec<TcpListener> =
        ["127.0.0.1", "::1", "0.0.0.0", "::"].map(|address| TcpListener::bind((address, 0)).unwrap()).into();
    let port = listeners[3].local_addr().unwrap().port();
    let _clients = [TcpStream::connect(("127.0.0.1", port)).unwrap(), TcpStream::connect(("::1", port)).unwrap()];
    let _server = listeners[3].accept().unwrap();
    agrees(&["-t"], "-tan", true);
    agrees(&["-t", "-4"], "-4tan", true);
    agrees(&["-t", "-6"], "-6tan", true);
    agrees(&["-t", "-l"], "-tln", true);
}

#[test]
fn udp_sockets_are_those_of_ss() {
    let sockets: Vec<UdpSocket> =
        ["127.0.0.1", "::1", "0.0.0.0", "::"].map(|address| UdpSocket::bind((address, 0)).unwrap()).into();
    sockets[0].connect(("127.0.0.1", 9)).unwrap();
    agrees(&["-u"], "-uan", false);
}
