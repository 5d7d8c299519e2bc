//! The picture of the screen in the README: what a record of the made-up workstation looks like.
//!
//! `PORTSCOPE_UPDATE=1 cargo test --lib picture` writes it anew.

use std::fmt::Write as _;
use std::path::Path;

use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier};

use super::*;
use crate::collect::Recorded;

const SIZE: (u16, u16) = (120, 20);

/// The frame with the codes that a terminal is sent for it.
fn with_codes(buffer: &Buffer) -> String {
    let mut text = String::new();
    for y in 0..buffer.area.height {
        let last = (0..buffer.area.width).rev().find(|x| {
            let cell = &buffer[(*x, y)];
            cell.symbol() != " " || cell.modifier.contains(Modifier::REVERSED)
        });
        for x in 0..last.map_or(0, |last| last + 1) {
            let cell = &buffer[(x, y)];
            let modifiers = [(Modifier::BOLD, 1), (Modifier::DIM, 2), (Modifier::REVERSED, 7)];
            let modifiers = modifiers.iter().filter(|(modifier, _)| cell.modifier.contains(*modifier));
            let color = match cell.fg {
                Color::Indexed(number) => Some(30 + number),
                _ => None,
            };
            for code in modifiers.map(|(_, code)| *code).chain(color) {
                write!(text, "\x1b[{code}m").unwrap();
            }
            write!(text, "{}\x1b[0m", cell.symbol()).unwrap();
        }
        text.push('\n');
    }
    text
}

/// A screen on which the record has been replayed.
fn replayed() -> Scene {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/workstation.ndjson");
    let mut record = Recorded::open(&data).unwrap();
    let mut scene = Scene::of(Charset::Unicode, Snapshot { sockets: Vec::new(), ..testing::snapshot() });
    scene.state = State::new(scene.style, choice());
    scene.state.is_looking = false;
    let mut first = None;
    while let Some(Changes { snapshot, events, binds }) = record.next().unwrap() {
        for event in events {
            let first = *first.get_or_insert(event.at);
            scene.now = event.at.duration_since(first).unwrap();
            scene.state.tick(scene.now);
            scene.state.apply(Changes { snapshot: snapshot.clone(), events: vec![event], binds });
        }
    }
    assert_eq!(record.strange, 0);
    scene.passes(Duration::from_secs(2));
    scene
}

#[test]
fn the_picture_is_what_a_replay_shows() {
    let mut scene = replayed();
    let frame = scene.terminal(SIZE.0, SIZE.1);
    let mut text = with_codes(frame.backend().buffer());
    // The clock on the wall is that of the host of the test.
    for event in ["16:19:57.482311", "16:19:58.007190", "16:19:58.330001", "16:19:58.330078"] {
        let at: jiff::Timestamp = format!("2026-11-25T{event}Z").parse().unwrap();
        let (_, local) = crate::render::text::time::day_and_clock(at.try_into().unwrap());
        let coded = |text: &str| text.split_inclusive(|_| true).collect::<Vec<_>>().join("\x1b[0m") + "\x1b[0m";
        text = text.replace(&coded(&local), &coded(event));
    }
    let rgb = |red, green, blue| anstyle::Color::Rgb(anstyle::RgbColor(red, green, blue));
    for (name, ink, ground) in
        [("light", rgb(36, 41, 47), rgb(255, 255, 255)), ("dark", rgb(230, 237, 243), rgb(13, 17, 23))]
    {
        let picture = anstyle_svg::Term::new().fg_color(ink).bg_color(ground).render_svg(&text);
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("docs/watch-{name}.svg"));
        if std::env::var_os("PORTSCOPE_UPDATE").is_some() {
            std::fs::write(&path, &picture).unwrap();
        }
        let there = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(there == picture, "{} is stale: PORTSCOPE_UPDATE=1 cargo test --lib picture", path.display());
    }
}
