//! What happens, and what is marked of it.

use std::time::Duration;

use super::super::keys::Key;
use super::super::state::Act;
use super::*;
use crate::model::{Timer, TimerKind};

#[test]
fn a_port_that_opens_is_marked_and_one_that_closes_stays_for_a_while() {
    let mut scene = Scene::new();
    let before = scene.ports();
    scene.happens(EventKind::Opened, listener(9000), at(1));
    assert!(scene.rows().contains(&(9000, Some(EventKind::Opened))));
    scene.happens(EventKind::Closed, listener(9000), at(2));
    assert!(scene.rows().contains(&(9000, Some(EventKind::Closed))));
    scene.passes(Duration::from_millis(4900));
    assert!(scene.ports().contains(&9000));
    scene.passes(Duration::from_millis(200));
    assert_eq!(scene.ports(), before);
}

#[test]
fn a_mark_fades_and_its_port_stays() {
    let mut scene = Scene::new();
    scene.happens(EventKind::Opened, listener(9000), at(1));
    scene.passes(Duration::from_secs(6));
    assert!(scene.rows().contains(&(9000, None)));
}

#[test]
fn what_happened_after_a_table_was_begun_counts_more_than_what_it_says() {
    let mut scene = Scene::new();
    let open = Snapshot { sockets: vec![listener(9000)], ..testing::snapshot() };
    // It was opened and closed while a table was read that was begun at second 5.
    scene.happens(EventKind::Opened, listener(9001), at(6));
    scene.happens(EventKind::Closed, listener(9000), at(6));
    let mut table = open.clone();
    table.host.captured_at = at(5);
    scene.state.replace(table);
    scene.lay();
    assert_eq!(scene.rows(), [(9000, Some(EventKind::Closed)), (9001, Some(EventKind::Opened))]);
    // A table that was begun later is right.
    let mut table = open;
    table.host.captured_at = at(7);
    scene.state.replace(table);
    scene.lay();
    assert_eq!(scene.rows(), [(9000, None)]);
}

#[test]
fn what_is_closed_is_shown_and_not_counted() {
    let mut scene = Scene::new();
    let before = scene.state.laid.title.clone();
    scene.happens(EventKind::Opened, listener(9000), at(1));
    assert_ne!(scene.state.laid.title, before);
    scene.happens(EventKind::Closed, listener(9000), at(2));
    assert_eq!(scene.state.laid.title, before);
}

#[test]
fn the_chosen_line_stays_with_its_socket() {
    let mut scene = Scene::new();
    scene.press(&[Key::Down]);
    let chosen = scene.ports()[1];
    scene.happens(EventKind::Opened, listener(1), at(1));
    assert_eq!(scene.ports()[scene.state.cursor()], chosen);
    assert_eq!(scene.press(&[Key::Enter]), Some(Act::Info(Port::new(chosen))));
}

#[test]
fn before_the_first_table_an_event_is_told_and_no_listing_is_shown() {
    let mut scene = Scene::new();
    scene.state = State::new(scene.style, choice());
    scene.happens(EventKind::BindFailed, listener(9000), at(1));
    scene.happens(EventKind::Opened, listener(9001), at(1));
    assert!(scene.frame(80, 24).contains("looking..."));
    assert!(!scene.state.tick(Duration::ZERO), "nothing new is to be drawn until the table comes");
    assert_eq!((scene.ports(), scene.strip().len()), (Vec::new(), 2));
    let mut table = testing::snapshot();
    table.host.captured_at = at(0);
    assert!(scene.state.replace(table));
    scene.lay();
    let frame = scene.frame(80, 24);
    assert!(!frame.contains("looking...") && scene.ports().contains(&9001), "{frame}");
}

#[test]
fn a_paused_screen_stands_still_and_catches_up() {
    let mut scene = Scene::new();
    let before = scene.ports();
    scene.press(&[Key::Char(' ')]);
    scene.happens(EventKind::Opened, listener(9000), at(1));
    assert_eq!((scene.ports(), scene.strip().len()), (before, 0));
    assert!(scene.frame(80, 24).contains("PAUSED"));
    scene.press(&[Key::Char(' ')]);
    assert!(scene.ports().contains(&9000) && scene.strip().len() == 1);
}

#[test]
fn a_pause_before_the_first_table_begins_with_it() {
    let mut scene = Scene::new();
    scene.state = State::new(scene.style, choice());
    scene.press(&[Key::Char(' ')]);
    let frame = scene.frame(80, 24);
    assert!(frame.contains("looking...") && frame.contains("PAUSED"), "{frame}");
    assert!(scene.state.replace(testing::snapshot()));
    scene.lay();
    let ports = scene.ports();
    assert!(!ports.is_empty() && scene.frame(80, 24).contains("PAUSED"));
    scene.happens(EventKind::Opened, listener(9000), at(1));
    assert_eq!(scene.ports(), ports);
}

#[test]
fn nothing_wakes_the_screen_but_ages_and_the_end_of_a_message() {
    let mut scene = Scene::new();
    let second = Duration::from_secs(1);
    scene.passes(Duration::from_millis(2300));
    assert_eq!(scene.state.rest(), second);
    scene.state.say("what was asked for");
    scene.passes(Duration::from_millis(4500));
    assert_eq!(scene.state.rest(), second / 2);
    scene.happens(EventKind::Opened, listener(9000), at(1));
    assert_eq!(scene.state.rest(), second / 5);
    scene.passes(second / 5);
    assert_eq!(scene.state.rest(), second * 3 / 10);
    scene.passes(second / 2);
    assert_eq!((scene.state.message(), scene.state.rest()), (None, second / 2));
}

#[test]
fn memory_of_events_is_bounded() {
    let mut scene = Scene::new();
    for port in 10_000..10_700 {
        scene.happens(EventKind::Opened, listener(port), at(1));
    }
    assert_eq!(scene.strip().len(), 500);
}

#[test]
fn a_table_that_shows_nothing_new_is_not_laid_out_again() {
    let mut scene = Scene::new();
    let mut table = testing::snapshot();
    table.host.captured_at = at(5);
    // What changes all the time is not shown.
    for socket in &mut table.sockets {
        socket.timer = Some(Timer { kind: TimerKind::Keepalive, retries: 0, left_ms: 7 });
    }
    assert!(!scene.state.replace(table.clone()));
    assert!(!scene.state.is_old && !scene.state.tick(Duration::from_secs(1)));
    table.sockets.pop();
    assert!(scene.state.replace(table));
    assert!(scene.state.is_old);
}
