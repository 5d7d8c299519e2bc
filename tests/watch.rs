//! `portscope watch` in a pseudo-terminal, as a terminal emulator shows it.
#![cfg(target_os = "linux")]
#![allow(clippy::pedantic, reason = "test code reads better without its ceremonies")]

mod support;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use support::watching::{is_marked, listener, watch, watching};
use support::{Folder, ReachableBinary, close, eventually, hold, holding, is_root, portscope, skip};

#[test]
fn a_port_that_opens_and_closes_is_marked_and_leaves() {
    let (first, port) = listener();
    // Wide enough for the whole line of an event.
    let mut screen = watch([&port.to_string()]).on_screen(160, 24);
    screen.shows(&port.to_string());
    screen.is_taken();
    let address = format!("127.0.0.2:{port}");
    let second = TcpListener::bind(&address).unwrap();
    screen.until("opened", |contents| is_marked(contents, '+', port));
    screen.shows(&format!("+ tcp {address}"));
    close(second);
    screen.until("closed", |contents| is_marked(contents, '-', port) && contents.contains("closed"));
    screen.shows(", open for ");
    screen.until("how long it lived", |contents| {
        contents.lines().any(|line| line.starts_with('-') && line.contains("closed ") && line.contains("lived "))
    });
    screen.until("without it", |contents| !is_marked(contents, '-', port));
    screen.types("q");
    assert_eq!(screen.ends().code(), Some(0));
    screen.is_restored();
    drop(first);
}

#[test]
fn a_filter_narrows_the_table_while_it_is_typed() {
    let ((_one, first), (_other, second)) = (listener(), listener());
    let mut screen = watch([&format!("{first},{second}")]).on_screen(100, 24);
    screen.until("both", |contents| contents.contains(&first.to_string()) && contents.contains(&second.to_string()));
    screen.types(&format!("/{first}"));
    screen.lacks(&second.to_string());
    screen.types("\r");
    screen.shows(&format!("/{first}"));
    screen.types("\x1b");
    screen.shows(&second.to_string());
}

#[test]
fn a_condition_and_columns_are_those_of_the_command_line() {
    let ((_one, first), (_other, second)) = (listener(), listener());
    let mut screen = watch([&format!("{first},{second}")]).on_screen(120, 24);
    screen.shows(&second.to_string());
    screen.types(&format!(":local.port == {first}\r"));
    screen.lacks(&second.to_string());
    screen.types(":\r");
    screen.shows(&second.to_string());
    screen.types("c+inode\r");
    screen.shows("INODE");
    screen.types("c+nonsense\r");
    screen.shows("nonsense");
}

#[test]
fn enter_shows_what_info_prints() {
    let (_listener, port) = listener();
    let mut screen = watching(port);
    screen.types("\r");
    screen.shows(&format!("port {port} on"));
    screen.shows("registered");
    screen.types("\x1b");
    screen.shows("PROTO");
}

#[test]
fn a_process_is_stopped_only_after_yes() {
    let (listener, port) = listener();
    let mut server = holding(listener);
    let mut screen = watching(port);
    screen.types("x");
    screen.shows("[y/N]");
    screen.is_restored();
    screen.types("n\r");
    screen.shows("Press Enter");
    assert!(server.0.try_wait().unwrap().is_none());
    screen.types("\r");
    screen.shows("PROTO");
    screen.is_taken();
    screen.types("x");
    screen.until("asked again", |contents| contents.matches("[y/N]").count() == 2);
    screen.types("y\r");
    screen.shows("is free");
    eventually("the process ends", || server.0.try_wait().unwrap());
    screen.types("\r");
    screen.until("without the port", |contents| contents.contains("no open socket matches"));
}

#[test]
fn an_interrupt_answers_no_to_a_question_and_leads_back_at_once() {
    let (listener, port) = listener();
    let mut server = holding(listener);
    let mut screen = watching(port);
    screen.types("x");
    screen.shows("[y/N]");
    screen.signal(Signal::INT);
    screen.shows("PROTO");
    screen.is_taken();
    assert!(server.0.try_wait().unwrap().is_none());
    screen.types("q");
    assert_eq!(screen.ends().code(), Some(0));
}

#[test]
fn a_process_that_does_not_end_is_offered_sigkill() {
    let (listener, port) = listener();
    // What is ignored stays so over exec.
    let mut server = hold(Command::new("sh").args(["-c", "trap '' TERM; exec sleep 1000"]), listener);
    let mut screen = watching(port);
    eventually("it ignores SIGTERM", || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
        let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap().trim().to_owned();
        (u64::from_str_radix(&ignored, 16).unwrap() & (1 << 14) != 0).then_some(())
    });
    screen.types("x");
    screen.shows("with SIGTERM? [y/N]");
    screen.types("y\r");
    screen.shows("with SIGKILL? [y/N]");
    assert!(server.0.try_wait().unwrap().is_none());
    screen.types("y\r");
    screen.shows("is free");
    eventually("the process ends", || server.0.try_wait().unwrap());
}

#[test]
fn a_socket_is_closed_and_its_process_goes_on() {
    if !is_root() {
        return skip("to destroy a socket needs root");
    }
    let (listener, port) = listener();
    let mut server = holding(listener);
    let mut screen = watching(port);
    screen.types("X");
    screen.shows("[y/N]");
    screen.types("y\r");
    screen.shows("Press Enter");
    screen.types("\r");
    screen.until("without the port", |contents| contents.contains("no open socket matches"));
    assert!(server.0.try_wait().unwrap().is_none());
}

#[test]
fn a_snapshot_is_saved_where_the_screen_was_started() {
    let folder = Folder::new();
    let (_listener, port) = listener();
    let mut screen =
        watch([&port.to_string()]).under(["env", "-C", folder.join("").to_str().unwrap()]).on_screen(100, 24);
    screen.shows(&port.to_string());
    screen.types("w");
    screen.shows("saved portscope-");
    let name = std::fs::read_dir(folder.join("")).unwrap().next().unwrap().unwrap().file_name();
    let saved = portscope(["--json", "--from"]).arg(folder.join(name).display()).arg(port).any_stderr().success();
    assert_eq!(saved.only_socket()["local"]["port"], port);
}

#[test]
fn services_traffic_events_and_a_pause_are_a_key_away() {
    let (listener, port) = listener();
    let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let mut server = listener.accept().unwrap().0;
    let mut screen = watch([&port.to_string()]).on_screen(160, 24);
    screen.shows("ESTAB");
    screen.types("g");
    screen.shows("CONNS");
    screen.types("g");
    screen.shows("ESTAB");
    screen.types("b");
    screen.shows("RETRANSMITS");
    // Until it is seen: a rate is what came between two looks.
    let text = vec![b'x'; 100_000];
    let sending = std::thread::spawn(move || {
        while client.write_all(&text).is_ok() {
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    let reading = std::thread::spawn(move || {
        let mut buffer = vec![0; 1 << 16];
        server.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        while server.read(&mut buffer).is_ok_and(|read| read > 0) {}
    });
    screen.until("a rate", |contents| {
        let is_busy = |line: &str| line.contains("LISTEN") && line.contains("M/s");
        contents.contains("rx ") && contents.lines().any(is_busy)
    });
    screen.types(" ");
    screen.shows("PAUSED");
    screen.types(" ");
    screen.lacks("PAUSED");
    screen.types("e");
    screen.lacks("PROTO");
    screen.types("\x1b");
    screen.shows("PROTO");
    screen.types("q");
    assert_eq!(screen.ends().code(), Some(0));
    drop((sending, reading));
}

#[test]
fn connections_that_end_between_two_looks_count_for_their_listener() {
    let (listener, port) = listener();
    let mut screen = watch([&port.to_string(), "--traffic"]).on_screen(160, 24);
    // Nothing is a rate before two looks were compared.
    screen.until("two looks", |contents| contents.lines().next().is_some_and(|title| title.contains("rx ")));
    let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let mut server = listener.accept().unwrap().0;
    let sending = std::thread::spawn(move || client.write_all(&vec![b'x'; 5_000_000]).unwrap());
    std::io::copy(&mut server, &mut std::io::sink()).unwrap();
    sending.join().unwrap();
    drop(server);
    screen.until("the bytes", |contents| {
        contents.lines().any(|line| line.contains("LISTEN") && (line.contains("M/s") || line.contains("K/s")))
    });
}

#[test]
fn the_mouse_wheel_scrolls() {
    let (_listener, port) = listener();
    let mut screen = watch([]).on_screen(100, 12);
    screen.shows("PROTO");
    screen.types("?");
    screen.shows("PgUp, PgDn");
    for _ in 0..3 {
        screen.types("\x1b[<65;10;5M");
    }
    screen.lacks("PgUp, PgDn");
    for _ in 0..3 {
        screen.types("\x1b[<64;10;5M");
    }
    screen.shows("PgUp, PgDn");
    let _ = port;
}

#[test]
fn a_condition_without_an_answer_is_said_and_hides_nothing() {
    let (_listener, port) = listener();
    let mut screen = watching(port);
    screen.types(":peer.port == 1\r");
    screen.shows("cannot be evaluated");
    screen.shows(&format!("  {port}"));
}

#[test]
fn a_port_is_on_the_screen_within_a_second_of_being_opened() {
    if !is_root() {
        return skip("the kernel tells root alone");
    }
    let (_first, port) = listener();
    let mut screen = watch([&port.to_string()]).on_screen(100, 24);
    screen.shows(&port.to_string());
    let opened = Instant::now();
    let _second = TcpListener::bind(format!("127.0.0.2:{port}")).unwrap();
    screen.shows("127.0.0.2");
    assert!(opened.elapsed() < Duration::from_secs(1), "{:?}", opened.elapsed());
}

#[test]
fn nobody_sees_a_port_close_at_once_by_the_kernels_notice() {
    if !is_root() {
        return skip("only root can become somebody else");
    }
    let reachable = ReachableBinary::new();
    let (_first, port) = listener();
    let second = TcpListener::bind(format!("127.0.0.2:{port}")).unwrap();
    // No look at the table comes before the test is over.
    let screen = watch([&port.to_string(), "--interval", "10m"]).run_by_nobody(&reachable);
    let mut screen = screen.on_screen(100, 24);
    screen.shows("127.0.0.2");
    let began = Instant::now();
    close(second);
    screen.until("closed", |contents| is_marked(contents, '-', port));
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}

#[test]
fn ends_of_connections_that_the_kernel_could_not_tell_are_said_to_be_missing() {
    if !is_root() {
        return skip("only root can become somebody else");
    }
    let reachable = ReachableBinary::new();
    let (listener, port) = listener();
    let screen = watch([&port.to_string(), "--traffic"]).run_by_nobody(&reachable);
    let mut screen = screen.on_screen(160, 24);
    screen.shows(&port.to_string());
    // Nobody reads meanwhile, and nobody has more room than this twice. A connection is two notices of 768 bytes or more.
    let room = std::fs::read_to_string("/proc/sys/net/core/rmem_max").unwrap();
    let connections = room.trim().parse::<usize>().unwrap() / 768 * 2;
    screen.signal(Signal::STOP);
    screen.stops();
    for _ in 0..connections {
        let client = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let (server, _) = listener.accept().unwrap();
        // Without TIME_WAIT the kernel reports the end at once, and no port is kept.
        rustix::net::sockopt::set_socket_linger(&client, Some(Duration::ZERO)).unwrap();
        drop((client, server));
    }
    // The kernel tells of them a little later, in its own time: columns are sk, Eth, Pid, Groups and, after four more, Drops.
    eventually("notices of TCP are dropped", || {
        let table = std::fs::read_to_string("/proc/self/net/netlink").unwrap();
        let columns = |line: &str| line.split_ascii_whitespace().map(str::to_owned).collect::<Vec<_>>();
        table.lines().map(columns).any(|row| row[3] == "00000005" && row[8] != "0").then_some(())
    });
    screen.signal(Signal::CONT);
    screen.shows("events lost");
    screen.shows("rates are too low: the last bytes of up to ");
}

#[test]
fn a_record_is_replayed() {
    let folder = Folder::new();
    let (_listener, port) = listener();
    let record = portscope(["events", "--initial", "--count", "1", "-o", "ndjson"]).arg(port).any_stderr().success();
    let path = folder.join("ports.ndjson");
    std::fs::write(&path, &record.stdout).unwrap();
    let mut screen = watch(["--from", path.to_str().unwrap(), "--speed", "100"]).on_screen(100, 24);
    screen.until("replayed", |contents| is_marked(contents, '+', port));
    screen.shows("end of the record");
    screen.types("x");
    screen.shows("not available in a record");
    let refused = watch(["--from", "-"]).command().stdin(Stdio::null()).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
}
