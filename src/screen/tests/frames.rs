//! What is drawn.

use ratatui::style::Modifier;

use super::*;
use crate::model::{Holder, Owner, Pid};

/// A screen with something of everything.
fn busy(charset: Charset) -> Scene {
    let mut scene = Scene::of(charset, testing::snapshot());
    scene.happens(EventKind::Opened, listener(9000), at(1));
    scene.happens(EventKind::Closed, listener(9001), at(2));
    scene.passes(Duration::from_millis(3200));
    scene
}

/// The zone of the clock is that of the host.
fn without_times(frame: &str) -> String {
    let is_time = |word: &str| word.len() == 15 && word.matches(':').count() == 2 && word.contains('.');
    let line = |line: &str| match line.split_once(' ') {
        Some((time, rest)) if is_time(time) => format!("HH:MM:SS.ffffff {rest}"),
        _ => line.to_owned(),
    };
    frame.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn frames_of_four_sizes() {
    for (width, height) in [(40, 8), (80, 24), (120, 40), (200, 50)] {
        let frame = busy(Charset::Unicode).frame(width, height);
        insta::assert_snapshot!(format!("frame_{width}x{height}"), without_times(&frame));
    }
}

#[test]
fn a_closed_row_says_how_long_it_lived_in_its_state_or_behind_the_row() {
    let row = |width: u16| {
        let frame = busy(Charset::Unicode).frame(width, 40);
        frame.lines().find(|line| line.starts_with('-')).unwrap().trim_end().to_owned()
    };
    // PEER, which has nothing to say of a listener, makes room.
    assert!(row(120).contains("closed 3 s, lived 3.0 s      "), "{}", row(120));
    assert!(row(120).ends_with("root"));
    // STATE is as wide as is needed while such a row is shown; the line of the event says how long it was open.
    assert!(row(80).contains("  closed 3 s  nginx"), "{}", row(80));
    assert!(row(70).contains("  closed 3 s  nginx"), "{}", row(70));
}

#[test]
fn a_frame_of_a_locale_without_utf8_is_ascii() {
    let mut scene = busy(Charset::Ascii);
    for (width, height) in [(40, 8), (80, 24), (200, 50)] {
        let frame = scene.frame(width, height);
        assert!(frame.is_ascii(), "{frame}");
    }
}

#[test]
fn help_and_the_events_take_the_whole_screen() {
    let mut scene = busy(Charset::Unicode);
    scene.press(&[Key::Char('?')]);
    insta::assert_snapshot!("help_80x24", scene.frame(80, 24));
    scene.press(&[Key::Esc, Key::Char('e')]);
    insta::assert_snapshot!("events_80x24", without_times(&scene.frame(80, 24)));
}

#[test]
fn any_size_can_be_drawn() {
    let mut scene = busy(Charset::Unicode);
    for over in [None, Some('?'), Some('e'), Some('/')] {
        scene.press(&[Key::Esc]);
        scene.press(&over.map(Key::Char).into_iter().collect::<Vec<_>>());
        for (width, height) in [(1, 1), (1, 50), (300, 1), (2, 2), (3, 3), (10, 4), (40, 8)] {
            scene.frame(width, height);
        }
    }
}

#[test]
fn names_of_processes_cannot_steer_the_terminal() {
    let mut snapshot = testing::snapshot();
    let pid = Pid(666);
    let mut process = snapshot.processes.values().next().unwrap().clone();
    (process.pid, process.name) = (pid, Some("\x1b[2J\u{202e}evil\r\n".into()));
    snapshot.processes.insert(pid, process);
    snapshot.sockets[0].owner = Owner::Processes(vec![Holder { pid, fd: Some(3) }].into());
    let mut scene = Scene::of(Charset::Unicode, snapshot);
    let frame = scene.frame(200, 50);
    assert!(frame.contains("\\x1b[2J"), "{frame}");
    assert!(!frame.contains(['\x1b', '\r', '\u{202e}']));
}

#[test]
fn without_color_there_is_none_and_the_chosen_line_still_stands_out() {
    let mut scene = busy(Charset::Unicode);
    scene.style.color = false;
    let terminal = scene.terminal(120, 40);
    let cells = &terminal.backend().buffer().content;
    let reset = ratatui::style::Color::Reset;
    assert!(cells.iter().all(|cell| (cell.fg, cell.bg) == (reset, reset)));
    assert!(cells.iter().any(|cell| cell.modifier.contains(Modifier::REVERSED)));
}
