//! Keys and events to state, and the state to frames.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::style::Modifier;

use super::keys::Key;
use super::laid::{Choice, Lens};
use super::state::{Act, Over, Prompt, State};
use super::view;
use crate::catalogue::Catalogue;
use crate::model::{
    Changes, Event, EventKind, Holder, Listing, Owner, Pid, Port, Protocol, Seen, Snapshot, Socket,
    State as SocketState,
};
use crate::render::page::listing::TableOptions;
use crate::render::table::draw::Frame;
use crate::render::text::safe::Charset;
use crate::render::text::style::Style;
use crate::render::words::column::Column;
use crate::select::Filter;
use crate::select::leftovers::Leftovers;
use crate::testing;

/// A screen with what it is shown through.
struct Scene {
    state: State,
    catalogue: Catalogue,
    filter: Filter,
    style: Style,
    now: Duration,
}

/// When the first table was begun.
fn begun() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_700_009_999)
}

fn at(seconds: u64) -> SystemTime {
    begun() + Duration::from_secs(seconds)
}

impl Scene {
    fn new() -> Scene {
        Scene::of(Charset::Unicode, testing::snapshot())
    }

    fn of(charset: Charset, snapshot: Snapshot) -> Scene {
        let style = Style { color: true, charset, width: None };
        let choice =
            Choice { listeners: false, tcp: true, udp: true, leftovers: true, targets: Vec::new(), sort: None };
        let mut state = State::new(style, choice);
        state.replace(snapshot);
        let mut scene =
            Scene { state, catalogue: Catalogue::default(), filter: Filter::default(), style, now: Duration::ZERO };
        scene.lay();
        scene
    }

    fn lay(&mut self) {
        let style = self.style;
        let options = |_: &Listing<'_>, width: usize| TableOptions {
            columns: Column::DEFAULT.to_vec(),
            named: vec![Column::State],
            bare: false,
            fitted: true,
            leftovers: Leftovers::new(),
            verbose: false,
            names_peers: false,
            frame: Frame::Plain,
            style: Style { width: Some(width), ..style },
        };
        let lens = Lens {
            catalogue: &self.catalogue,
            has_names: true,
            filter: &self.filter,
            lists: &|_| false,
            keep: &|_| Ok(()),
            options: &options,
        };
        self.state.lay(&lens);
    }

    fn press(&mut self, keys: &[Key]) -> Option<Act> {
        let mut act = None;
        for key in keys {
            act = self.state.press(*key);
            self.lay();
        }
        act
    }

    fn types(&mut self, text: &str) {
        let keys: Vec<Key> = text.chars().map(Key::Char).collect();
        self.press(&keys);
    }

    fn happens(&mut self, kind: EventKind, socket: Socket, when: SystemTime) {
        let snapshot = Snapshot { sockets: vec![socket], gaps: Vec::new(), ..testing::snapshot() };
        let event = Event {
            at: when,
            kind,
            seen: Seen::Kernel,
            socket: Some(0),
            gone: false,
            open_for: (kind == EventKind::Closed).then(|| Duration::from_secs(3)),
            error: None,
            blockers: Vec::new(),
            lost: None,
        };
        self.state.apply(Changes { snapshot, events: vec![event] });
        self.lay();
    }

    fn passes(&mut self, time: Duration) {
        self.now += time;
        self.state.tick(self.now);
        self.lay();
    }

    /// The ports of the rows, with the signs of their changes.
    fn rows(&self) -> Vec<(u16, Option<EventKind>)> {
        self.state.laid.lines.iter().map(|line| (line.port.get(), line.mark)).collect()
    }

    fn ports(&self) -> Vec<u16> {
        self.rows().into_iter().map(|(port, _)| port).collect()
    }

    fn terminal(&mut self, width: u16, height: u16) -> Terminal<TestBackend> {
        self.state.resize(width, height);
        self.lay();
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| view::draw(frame.buffer_mut(), &self.state, self.style)).unwrap();
        terminal
    }

    fn frame(&mut self, width: u16, height: u16) -> String {
        let terminal = self.terminal(width, height);
        let buffer = terminal.backend().buffer();
        let line = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_owned() + "\n";
        (0..height).map(line).collect()
    }
}

/// A listener on a port that nothing of the snapshot has.
fn listener(port: u16) -> Socket {
    let is_listener = |socket: &Socket| socket.state == Some(SocketState::Listen);
    let mut socket = testing::snapshot().sockets.into_iter().find(is_listener).unwrap();
    socket.local.port = Port::new(port);
    socket.cookie = Some(u64::from(port));
    socket
}

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
fn a_filter_is_live_and_goes_for_the_table_and_the_events() {
    let mut scene = Scene::new();
    let every = scene.ports();
    scene.happens(EventKind::Opened, listener(9000), at(1));
    scene.happens(EventKind::Opened, listener(9001), at(1));
    assert_eq!(scene.state.strip.len(), 2);
    scene.press(&[Key::Char('/')]);
    scene.types("9000");
    assert_eq!(scene.ports(), [9000]);
    assert_eq!(scene.state.strip.len(), 1);
    assert!(scene.state.strip[0].1.contains(":9000"));
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
fn the_chosen_line_stays_with_its_socket() {
    let mut scene = Scene::new();
    scene.press(&[Key::Down]);
    let chosen = scene.ports()[1];
    scene.happens(EventKind::Opened, listener(1), at(1));
    assert_eq!(scene.ports()[scene.state.cursor()], chosen);
    assert_eq!(scene.press(&[Key::Enter]), Some(Act::Info(Port::new(chosen))));
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
fn a_paused_screen_stands_still_and_catches_up() {
    let mut scene = Scene::new();
    let before = scene.ports();
    scene.press(&[Key::Char(' ')]);
    scene.happens(EventKind::Opened, listener(9000), at(1));
    assert_eq!((scene.ports(), scene.state.strip.len()), (before, 0));
    assert!(scene.frame(80, 24).contains("PAUSED"));
    scene.press(&[Key::Char(' ')]);
    assert!(scene.ports().contains(&9000) && scene.state.strip.len() == 1);
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
fn memory_of_events_is_bounded() {
    let mut scene = Scene::new();
    for port in 10_000..10_700 {
        scene.happens(EventKind::Opened, listener(port), at(1));
    }
    assert_eq!(scene.state.strip.len(), 500);
}

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
    snapshot.sockets[0].owner = Owner::Processes(vec![Holder { pid, fd: Some(3) }]);
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
