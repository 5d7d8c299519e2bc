//! Keys and events to state, and the state to frames.

mod changes;
mod frames;
mod keys;
mod picture;
mod traffic;

use std::num::NonZeroU64;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::keys::Key;
use super::laid::{Choice, Lens};
use super::state::{Act, State};
use super::view;
use crate::catalogue::Catalogue;
use crate::model::{Changes, Event, EventKind, Listing, Port, Seen, Snapshot, Socket, State as SocketState};
use crate::render::page::listing::TableOptions;
use crate::render::table::draw::Frame;
use crate::render::text::safe::Charset;
use crate::render::text::style::Style;
use crate::render::words::column::Column;
use crate::select::Filter;
use crate::select::leftovers::Leftovers;
use crate::testing;

/// What a condition does to rows.
type Condition = fn(&mut Listing<'_>) -> Result<(), String>;

/// A screen with what it is shown through.
struct Scene {
    state: State,
    catalogue: Catalogue,
    filter: Filter,
    style: Style,
    now: Duration,
    /// What a condition does.
    condition: Option<Condition>,
}

/// When the first table was begun.
fn begun() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_700_009_999)
}

fn at(seconds: u64) -> SystemTime {
    begun() + Duration::from_secs(seconds)
}

/// Everything is shown.
fn choice() -> Choice {
    Choice {
        listeners: false,
        tcp: true,
        udp: true,
        leftovers: true,
        targets: Vec::new(),
        sort: None,
        grouped: false,
        traffic: false,
    }
}

impl Scene {
    fn new() -> Scene {
        Scene::of(Charset::Unicode, testing::snapshot())
    }

    fn of(charset: Charset, snapshot: Snapshot) -> Scene {
        let style = Style { color: true, charset, width: None };
        let mut state = State::new(style, choice());
        state.replace(snapshot);
        let mut scene = Scene {
            state,
            catalogue: Catalogue::default(),
            filter: Filter::default(),
            style,
            now: Duration::ZERO,
            condition: None,
        };
        scene.lay();
        scene
    }

    fn lay(&mut self) {
        let style = self.style;
        let options = |_: &Listing<'_>, width: usize, traffic: bool| TableOptions {
            columns: Column::DEFAULT.into_iter().chain(Column::TRAFFIC.into_iter().filter(|_| traffic)).collect(),
            named: [Column::State].into_iter().chain(Column::TRAFFIC).collect(),
            bare: false,
            fitted: true,
            leftovers: Leftovers::new(),
            verbose: false,
            names_peers: false,
            least_state: 0,
            frame: Frame::Plain,
            style: Style { width: Some(width), ..style },
        };
        let lens = Lens {
            catalogue: &self.catalogue,
            has_names: true,
            filter: &self.filter,
            lists: &|_| false,
            keep: &|listing| self.condition.map_or(Ok(()), |keep| keep(listing)),
            options: &options,
            exact: false,
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
        self.state.apply(Changes { snapshot, events: vec![event], binds: None });
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

    /// The lines of the events.
    fn strip(&self) -> Vec<&str> {
        self.state.strip().iter().map(|(_, line)| line.as_str()).collect()
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
    socket.cookie = NonZeroU64::new(u64::from(port));
    socket
}
