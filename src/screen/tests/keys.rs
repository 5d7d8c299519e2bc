//! What keys do.

use super::super::state::{Over, Prompt};
use super::*;
use crate::model::Protocol;

#[test]
fn a_filter_is_live_and_goes_for_the_table_and_the_events() {
    let mut scene = Scene::new();
    let every = scene.ports();
    scene.happens(EventKind::Opened, listener(9000), at(1));
    scene.happens(EventKind::Opened, listener(9001), at(1));
    assert_eq!(scene.strip().len(), 2);
    scene.press(&[Key::Char('/')]);
    scene.types("9000");
    assert_eq!(scene.ports(), [9000]);
    assert_eq!(scene.strip().len(), 1);
    assert!(scene.strip()[0].contains(":9000"));
    scene.press(&[Key::Enter]);
    assert_eq!((scene.state.prompt.clone(), scene.ports()), (None, vec![9000]));
    scene.press(&[Key::Esc]);
    assert_eq!(scene.ports().len(), every.len() + 2);
}

#[test]
fn half_of_a_target_is_said_and_keeps_what_was_shown() {
    let mut scene = Scene::new();
    scene.press(&[Key::Char('/')]);
    scene.types("443");
    let shown = scene.ports();
    assert!(!shown.is_empty() && shown.iter().all(|port| *port == 443));
    scene.types("-");
    assert_eq!(scene.ports(), shown);
    assert!(scene.state.message().is_some());
    scene.press(&[Key::Backspace]);
    assert_eq!(scene.state.message(), None);
}

#[test]
fn escape_closes_the_innermost_thing_and_never_quits() {
    let mut scene = Scene::new();
    scene.press(&[Key::Char('?')]);
    assert!(matches!(scene.state.over, Some(Over::Page(..))));
    assert_eq!(scene.press(&[Key::Esc]), None);
    assert_eq!(scene.state.over, None);
    scene.press(&[Key::Char(':')]);
    assert_eq!(scene.state.prompt, Some((Prompt::Condition, String::new())));
    assert_eq!(scene.press(&[Key::Esc, Key::Esc, Key::Esc]), None);
    assert_eq!(scene.state.prompt, None);
}

#[test]
fn keys_that_quit_do_so_and_letters_of_a_prompt_do_not() {
    let mut scene = Scene::new();
    assert_eq!(scene.press(&[Key::Char('q')]), Some(Act::Quit));
    assert_eq!(scene.press(&[Key::Char('/'), Key::Char('q')]), None);
    assert_eq!(scene.state.filter, "q");
    assert_eq!(scene.press(&[Key::Ctrl('c')]), Some(Act::Quit));
    assert_eq!(scene.press(&[Key::Ctrl('z')]), Some(Act::Suspend));
}

#[test]
fn prompts_hand_over_what_was_typed() {
    let mut scene = Scene::new();
    scene.press(&[Key::Char(':')]);
    scene.types("local.port > 1");
    assert_eq!(scene.press(&[Key::Enter]), Some(Act::Condition("local.port > 1".to_owned())));
    scene.press(&[Key::Char('c')]);
    scene.types("+exe");
    assert_eq!(scene.press(&[Key::Enter]), Some(Act::Columns("+exe".to_owned())));
}

#[test]
fn moving_stops_at_both_ends() {
    let mut scene = Scene::new();
    let last = scene.ports().len() - 1;
    for (keys, cursor) in [
        (&[Key::Up][..], 0),
        (&[Key::End], last),
        (&[Key::Down, Key::PageDown], last),
        (&[Key::PageUp, Key::Home], 0),
        (&[Key::Char('j'), Key::Char('j'), Key::Char('k')], 1),
    ] {
        scene.press(keys);
        assert_eq!(scene.state.cursor(), cursor, "{keys:?}");
    }
}

#[test]
fn letters_choose_what_is_shown() {
    let mut scene = Scene::new();
    let every = scene.ports();
    let of = |scene: &Scene, protocol| scene.state.laid.lines.iter().filter(|line| line.id.1 == protocol).count();
    scene.press(&[Key::Char('u')]);
    assert_eq!(of(&scene, Protocol::Udp), 0);
    // One of the two is always shown.
    scene.press(&[Key::Char('t')]);
    assert!(of(&scene, Protocol::Tcp) == 0 && of(&scene, Protocol::Udp) > 0);
    scene.press(&[Key::Char('t')]);
    assert_eq!(scene.ports(), every);
    scene.press(&[Key::Char('l')]);
    assert!(scene.state.laid.lines.iter().all(|line| line.waits));
    scene.press(&[Key::Char('l'), Key::Char('a')]);
    assert!(scene.ports().len() < every.len());
    let title = scene.state.laid.title.as_str();
    assert!(title.ends_with(" TIME_WAIT (list them with a)"), "{title}");
}

#[test]
fn sorting_goes_through_the_columns_and_back() {
    let mut scene = Scene::new();
    let usual = scene.ports();
    scene.press(&[Key::Char('s')]);
    let mut sorted = usual.clone();
    sorted.sort_unstable();
    assert_eq!(scene.ports(), sorted);
    scene.press(&[Key::Char('r')]);
    sorted.reverse();
    assert_eq!(scene.ports(), sorted);
    scene.press(&[Key::Char('S')]);
    assert_eq!(scene.ports(), usual);
}

#[test]
fn only_a_listener_of_this_port_space_that_is_open_can_be_stopped() {
    let mut scene = Scene::new();
    let index = |scene: &Scene, waits: bool| {
        scene.state.laid.lines.iter().position(|line| line.waits == waits).expect("both kinds are there")
    };
    let go = |scene: &mut Scene, to: usize| {
        scene.press(&[Key::Home]);
        scene.press(&vec![Key::Down; to]);
    };
    let to = index(&scene, true);
    go(&mut scene, to);
    let Some(Act::Kill(target)) = scene.press(&[Key::Char('x')]) else { panic!("{:?}", scene.state.message()) };
    assert!(target.contains(&scene.ports()[to].to_string()), "{target}");
    let to = index(&scene, false);
    go(&mut scene, to);
    assert_eq!(scene.press(&[Key::Char('x')]), None);
    assert!(scene.state.message().unwrap().contains("connection"));

    let mut elsewhere = testing::snapshot();
    elsewhere.own.0 += 1;
    let mut scene = Scene::of(Charset::Unicode, elsewhere);
    let to = index(&scene, true);
    go(&mut scene, to);
    assert_eq!(scene.press(&[Key::Char('x')]), None);
    assert!(scene.state.message().unwrap().contains("port space"));

    let mut scene = Scene::new();
    scene.happens(EventKind::Closed, listener(1), at(1));
    assert_eq!(scene.press(&[Key::Home, Key::Char('X')]), None);
    assert!(scene.state.message().unwrap().contains("closed"));
}

#[test]
fn a_message_is_said_whole_and_until_the_next_key() {
    let mut scene = Scene::new();
    scene.state.say("a message that is longer than the screen is wide goes on in the line below");
    let frame = scene.frame(40, 8);
    let lines: Vec<&str> = frame.lines().collect();
    assert_eq!(lines[6..], ["a message that is longer than the screen", "is wide goes on in the line below"]);
    assert!(scene.frame(20, 8).ends_with("a message that is l…\n"));
    scene.press(&[Key::Down]);
    assert!(scene.frame(40, 8).contains("? help"));
}

#[test]
fn a_condition_that_has_no_answer_is_said_and_hides_nothing() {
    let mut scene = Scene::new();
    let every = scene.ports();
    scene.condition = Some(|_| Err("it cannot be evaluated".to_owned()));
    scene.state.is_old = true;
    scene.lay();
    assert_eq!(scene.ports(), every);
    assert_eq!(scene.state.message(), Some("it cannot be evaluated"));
}

#[test]
fn a_row_for_each_service_has_its_port_and_can_be_stopped() {
    let mut scene = Scene::new();
    let rows = scene.ports().len();
    scene.press(&[Key::Char('g')]);
    assert!(scene.ports().len() < rows);
    let frame = scene.frame(120, 24);
    assert!(frame.contains("PORTS") && frame.contains("CONNS"), "{frame}");
    assert_eq!(scene.ports()[0], 443);
    let Some(Act::Kill(target)) = scene.press(&[Key::Home, Key::Char('x')]) else {
        panic!("{:?}", scene.state.message())
    };
    assert!(target.contains("443"), "{target}");
    scene.press(&[Key::Char('g')]);
    assert_eq!(scene.ports().len(), rows);
}

#[test]
fn a_page_scrolls_and_stops_at_both_ends() {
    let mut scene = Scene::new();
    scene.state.resize(80, 12);
    let lines: Vec<String> = (0..30).map(|line| format!("line {line}")).collect();
    scene.state.over = Some(Over::Page(lines, 0));
    let top = |scene: &Scene| match &scene.state.over {
        Some(Over::Page(_, at)) => *at,
        other => panic!("{other:?}"),
    };
    for (key, at) in [
        (Key::Up, 0),
        (Key::Down, 1),
        (Key::Char('j'), 2),
        (Key::Char('k'), 1),
        (Key::Home, 0),
        (Key::End, 20),
        (Key::PageDown, 20),
        (Key::Home, 0),
    ] {
        scene.press(&[key]);
        assert_eq!(top(&scene), at, "{key:?}");
    }
    scene.press(&[Key::Esc]);
    assert_eq!(scene.state.over, None);
}

#[test]
fn a_key_that_asks_this_machine_says_which() {
    let mut scene = Scene::new();
    assert_eq!(scene.press(&[Key::Char('w')]), Some(Act::Save));
    assert_eq!(scene.press(&[Key::Char('b')]), Some(Act::Traffic(true)));
    assert_eq!(scene.press(&[Key::Char('b')]), Some(Act::Traffic(false)));
    assert_eq!(scene.press(&[Key::Char('e')]), None);
    assert_eq!(scene.state.over, Some(Over::Events(0)));
    scene.press(&[Key::Char('e')]);
    assert_eq!(scene.state.over, None);
}
