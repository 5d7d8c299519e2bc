//! What connections carry, compared with what was sent.
#![cfg(target_os = "linux")]
#![allow(clippy::pedantic, reason = "test code reads better without its ceremonies")]

mod support;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};

use serde_json::Value;
use support::{Folder, portscope};

/// Both ends of a connection.
fn connection() -> (TcpListener, TcpStream, TcpStream) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let server = listener.accept().unwrap().0;
    (listener, client, server)
}

/// Sends so many bytes from one end to the other.
fn transfer(from: &mut TcpStream, to: &mut TcpStream, bytes: usize) {
    let (mut writer, text) = (from.try_clone().unwrap(), vec![b'x'; bytes]);
    let sending = std::thread::spawn(move || writer.write_all(&text).unwrap());
    to.read_exact(&mut vec![0; bytes]).unwrap();
    sending.join().unwrap();
}

/// What is said of the end with this local port and peer.
fn traffic_of<'a>(sockets: &'a [Value], end: &TcpStream) -> &'a Value {
    let (local, peer) = (end.local_addr().unwrap().port(), end.peer_addr().unwrap().port());
    let is_it = |socket: &&Value| socket["local"]["port"] == local && socket["peer"]["port"] == peer;
    &sockets.iter().find(is_it).unwrap_or_else(|| panic!("{sockets:#?}"))["traffic"]
}

#[test]
fn bytes_are_exactly_those_of_the_payload() {
    let (listener, mut client, mut server) = connection();
    let port = listener.local_addr().unwrap().port();
    transfer(&mut client, &mut server, 3_456_789);
    transfer(&mut server, &mut client, 1_234);
    let look = |by: &[&str]| portscope(["--traffic", "--json"]).args(by).any_stderr().success();
    let report = look(&["--where", &format!("local.port == {port} || (peer != null && peer.port == {port})")]);
    let sockets = report.sockets();
    for (end, received, sent) in [(&client, 1_234, 3_456_789), (&server, 3_456_789, 1_234)] {
        let traffic = traffic_of(&sockets, end);
        assert_eq!((&traffic["received"], &traffic["sent"]), (&received.into(), &sent.into()), "{traffic}");
        assert!(traffic["rtt_us"].as_u64().is_some_and(|rtt| rtt > 0), "{traffic}");
        assert!(traffic["retransmits"].is_u64() && traffic["idle_ms"].is_u64(), "{traffic}");
    }
    let listening = sockets.iter().find(|socket| socket["state"] == "LISTEN").unwrap();
    assert_eq!(listening["traffic"], Value::Null);
    // A saved report has it too.
    let folder = Folder::new();
    std::fs::write(folder.join("report.json"), &report.stdout).unwrap();
    let saved = portscope(["--json", "--from"]).arg(folder.join("report.json").display()).any_stderr().success();
    assert_eq!(traffic_of(&saved.sockets(), &client), traffic_of(&sockets, &client));
    // The end of the stream is no byte.
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(server.read(&mut [0; 1]).unwrap(), 0);
    let sockets = look(&[&port.to_string()]).sockets();
    assert_eq!(traffic_of(&sockets, &server)["received"], 3_456_789);
    drop(listener);
}

#[test]
fn it_is_asked_for_only_where_it_is_wanted() {
    let (listener, mut client, mut server) = connection();
    transfer(&mut client, &mut server, 2_000);
    let port = listener.local_addr().unwrap().port();
    let without = portscope(["--json"]).arg(port).success().sockets();
    assert!(without.iter().all(|socket| socket["traffic"] == Value::Null));
    let columns = portscope(["--columns", "port,state,rx,tx", "-o", "csv", "-H"]).arg(port).success().stdout;
    assert!(columns.contains(&format!("{port},ESTABLISHED,2000,0\n")), "{columns}");
    let shown = portscope(["--columns", "state,rx", "--width", "80"]).arg(port).success().stdout;
    assert!(shown.contains("2.0K"), "{shown}");
    let condition = format!("local.port == {port} && traffic != null && traffic.received == 2000");
    assert_eq!(portscope(["--json", "--where", &condition]).success().sockets().len(), 1);
    let group = portscope(["-g", "--traffic", "--json"]).arg(port).success().json();
    assert_eq!(group["groups"][0]["traffic"]["received"], 2_000, "{group:#}");
    drop(client);
}

#[test]
fn rows_are_sorted_by_what_they_carry() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut ends = Vec::new();
    for bytes in [10, 1_000, 100] {
        let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let mut server = listener.accept().unwrap().0;
        transfer(&mut client, &mut server, bytes);
        ends.push((client, server));
    }
    let rows = portscope(["--sort", "rx:desc", "--columns", "rx", "-o", "csv", "-H", "--state", "established"]);
    assert_eq!(rows.arg(port).success().stdout, "1000\n100\n10\n");
}

#[test]
fn what_the_system_does_not_count_is_said_once() {
    let udp = [UdpSocket::bind(("127.0.0.1", 0)).unwrap(), UdpSocket::bind(("127.0.0.1", 0)).unwrap()];
    let ports: Vec<String> = udp.iter().map(|socket| socket.local_addr().unwrap().port().to_string()).collect();
    let run = portscope(["-u", "--traffic", "--json"]).arg(ports.join(",")).success();
    assert!(run.sockets().iter().all(|socket| socket["traffic"] == Value::Null));
    let gaps = |report: &Value| {
        let reasons = report["visibility"]["reasons"].as_array().unwrap();
        reasons.iter().filter(|reason| reason["missing"] == "traffic").count()
    };
    assert_eq!(gaps(&run.json()), 1);
    let portable = portscope(["--traffic", "--json"]).backend("portable").any_stderr().success();
    assert_eq!(gaps(&portable.json()), 1);
    let table = portscope(["-u", "--traffic"]).arg(ports.join(",")).stderr_contains("bytes of UDP sockets").success();
    assert_eq!(table.stderr.matches("bytes of UDP sockets").count(), 1);
}

#[test]
fn documents_with_it_are_as_the_schema_says() {
    let (_listener, mut client, mut server) = connection();
    transfer(&mut client, &mut server, 1);
    for (name, flags) in [("report", &["--traffic", "--json"][..]), ("group", &["-g", "--traffic", "--json"])] {
        let schema = portscope(["schema", name]).success().json();
        let report = portscope(flags.iter().copied()).any_stderr().success().json();
        let validator = jsonschema::draft202012::new(&schema).unwrap();
        let errors: Vec<String> = validator.iter_errors(&report).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?}");
    }
}
