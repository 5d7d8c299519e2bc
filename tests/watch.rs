//! `portscope watch` in a pseudo-terminal, as a terminal emulator shows it.
#![cfg(target_os = "linux")]
#![allow(clippy::pedantic, reason = "test code reads better without its ceremonies")]

mod support;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};

use rustix::process::Signal;
use support::emulator::OnScreen;
use support::{Folder, Run, close, eventually, hold, holding, is_root, portscope, skip};

fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

fn watch<const N: usize>(arguments: [&str; N]) -> Run {
    portscope(["watch"]).args(arguments).env("TERM", "xterm-256color")
}

/// A screen that shows one port alone, once it shows it.
fn watching(port: u16) -> OnScreen {
    let mut screen = watch([&port.to_string()]).on_screen(100, 24);
    screen.shows(&format!("{port}"));
    screen
}

/// Whether a line of the screen begins with the sign and has the port.
fn is_marked(contents: &str, sign: char, port: u16) -> bool {
    contents.lines().any(|line| line.starts_with(sign) && line.contains(&port.to_string()))
}

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
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    });
    let reading = std::thread::spawn(move || {
        let mut buffer = vec![0; 1 << 16];
        server.set_read_timeout(Some(std::time::Duration::from_secs(60))).unwrap();
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
fn the_width_that_was_asked_for_is_kept() {
    let (_listener, port) = listener();
    let mut screen = watch([&port.to_string(), "--width", "60"]).on_screen(160, 24);
    screen.shows(&port.to_string());
    assert!(screen.contents().lines().all(|line| line.trim_end().chars().count() <= 60), "{}", screen.contents());
}

#[test]
fn a_port_is_on_the_screen_within_a_second_of_being_opened() {
    if !is_root() {
        return skip("the kernel tells root alone");
    }
    let (_first, port) = listener();
    let mut screen = watch([&port.to_string()]).on_screen(100, 24);
    screen.shows(&port.to_string());
    let opened = std::time::Instant::now();
    let _second = TcpListener::bind(format!("127.0.0.2:{port}")).unwrap();
    screen.shows("127.0.0.2");
    assert!(opened.elapsed() < std::time::Duration::from_secs(1), "{:?}", opened.elapsed());
}

#[test]
fn it_fits_any_size_that_the_terminal_takes() {
    let (_listener, port) = listener();
    let mut screen = watching(port);
    for (width, height) in [(40, 8), (20, 3), (200, 50), (80, 24)] {
        screen.resize(width, height);
        let wide = usize::from(width);
        screen.until("fitted", |contents| {
            contents.lines().all(|line| line.chars().count() <= wide) && contents.contains("?")
        });
    }
    screen.shows(&port.to_string());
    screen.shows("USER");
}

#[test]
fn suspending_gives_the_terminal_back_and_going_on_takes_it_again() {
    let (_listener, port) = listener();
    let mut screen = watching(port);
    // By the key, by the signal, and by force, where the modes cannot be given back.
    screen.types("\x1a");
    screen.stops();
    screen.is_restored();
    screen.signal(Signal::CONT);
    screen.shows("PROTO");
    screen.is_taken();
    screen.signal(Signal::TSTP);
    screen.stops();
    screen.is_restored();
    screen.signal(Signal::CONT);
    screen.shows("PROTO");
    screen.is_taken();
    screen.types("q");
    assert_eq!(screen.ends().code(), Some(0));
    screen.is_restored();
}

#[test]
fn every_way_to_end_restores_the_terminal() {
    let (_listener, port) = listener();
    for signal in [Signal::TERM, Signal::HUP, Signal::INT] {
        let mut screen = watching(port);
        screen.signal(signal);
        assert_eq!(screen.ends().code(), Some(0), "{signal:?}");
        screen.is_restored();
    }
    let mut screen = watching(port);
    screen.types("\x03");
    assert_eq!(screen.ends().code(), Some(0));
    screen.is_restored();
}

#[test]
fn signals_that_come_at_once_end_it_and_restore_the_terminal_all_the_same() {
    let (_listener, port) = listener();
    let mut screen = watching(port);
    for signal in [Signal::TERM, Signal::TERM, Signal::INT, Signal::HUP, Signal::TERM] {
        screen.signal(signal);
    }
    assert_eq!(screen.ends().code(), Some(0));
    screen.is_restored();
}

#[test]
fn it_takes_the_terminal_again_when_it_was_stopped_by_force_and_a_shell_changed_the_modes() {
    let (_listener, port) = listener();
    let mut screen = watching(port);
    screen.signal(Signal::STOP);
    screen.stops();
    screen.is_cooked();
    screen.signal(Signal::CONT);
    eventually("raw again", || screen.is_raw().then_some(()));
    screen.types("q");
    assert_eq!(screen.ends().code(), Some(0));
    screen.is_restored();
}

#[test]
fn it_ends_when_the_terminal_is_lost() {
    let (_listener, port) = listener();
    let mut screen = watching(port);
    screen.is_lost();
    screen.ends();
}

#[test]
fn without_a_terminal_it_points_to_events() {
    let without = watch([]).stderr_contains("watch needs a terminal");
    let _ = without.exits(2);
    let mut screen = watch([]).env("TERM", "dumb").on_screen(80, 24);
    assert_eq!(screen.ends().code(), Some(2));
    assert!(screen.contents().contains("watch needs a terminal"), "{}", screen.contents());
    screen.is_restored();
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
