//! Runs of `watch` on a screen.

use std::net::TcpListener;

use super::emulator::OnScreen;
use super::{Run, portscope};

pub fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

pub fn watch<const N: usize>(arguments: [&str; N]) -> Run {
    portscope(["watch"]).args(arguments).env("TERM", "xterm-256color")
}

/// A screen that shows one port alone, once it shows it.
pub fn watching(port: u16) -> OnScreen {
    let mut screen = watch([&port.to_string()]).on_screen(100, 24);
    screen.shows(&format!("{port}"));
    screen
}

/// Whether a line of the screen begins with the sign and has the port.
pub fn is_marked(contents: &str, sign: char, port: u16) -> bool {
    contents.lines().any(|line| line.starts_with(sign) && line.contains(&port.to_string()))
}
