//! What `portscope watch` does with the terminal: it fits, and it gives it back whatever happens.
#![cfg(target_os = "linux")]
#![allow(clippy::pedantic, reason = "test code reads better without its ceremonies")]

mod support;

use rustix::process::Signal;
use support::eventually;
use support::watching::{listener, watch, watching};

#[test]
fn the_width_that_was_asked_for_is_kept() {
    let (_listener, port) = listener();
    let mut screen = watch([&port.to_string(), "--width", "60"]).on_screen(160, 24);
    screen.shows(&port.to_string());
    assert!(screen.contents().lines().all(|line| line.trim_end().chars().count() <= 60), "{}", screen.contents());
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
