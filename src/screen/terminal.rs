//! The terminal while the screen has it, and its return whatever happens.

use std::io::{self, IsTerminal, Write};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseEventKind};
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use crossterm::{cursor, queue};
use ratatui::backend::{Backend, CrosstermBackend};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::keys::Key;

/// Buttons and the wheel, with coordinates of any size. Where a terminal does not know them, the wheel does nothing.
const MOUSE_ON: &[u8] = b"\x1b[?1000h\x1b[?1006h";
const MOUSE_OFF: &[u8] = b"\x1b[?1006l\x1b[?1000l";

/// Whether the terminal is the screen's now.
static IS_HELD: AtomicBool = AtomicBool::new(false);

/// The terminal in raw mode, on its other screen. It is given back when this is dropped, and before a panic is reported.
///
/// The terminal is only written to and never asked, since one that does not answer would hold up everything: ratatui's
/// own `Terminal` asks where the cursor is.
pub struct Session {
    out: CrosstermBackend<Box<dyn Write>>,
    /// What the terminal shows.
    shown: Buffer,
}

impl Session {
    /// Takes the terminal that `out` leads to.
    pub fn enter(out: Box<dyn Write>) -> io::Result<Session> {
        restore_on_panic();
        let mut session = Session { out: CrosstermBackend::new(out), shown: Buffer::default() };
        session.take()?;
        Ok(session)
    }

    /// Takes the terminal, also where another program may have changed its modes meanwhile.
    pub fn take(&mut self) -> io::Result<()> {
        // Before the modes are changed: a half of them is given back too.
        IS_HELD.store(true, Ordering::SeqCst);
        // What crossterm believes is raw may have been changed by another program while this one was stopped.
        disable_raw_mode()?;
        enable_raw_mode()?;
        queue!(self.out, EnterAlternateScreen, cursor::Hide)?;
        self.out.write_all(MOUSE_ON)?;
        // The next frame is drawn whole.
        self.shown = Buffer::default();
        Write::flush(&mut self.out)
    }

    /// Gives the terminal back.
    pub fn give_back(&mut self) -> io::Result<()> {
        if !IS_HELD.swap(false, Ordering::SeqCst) {
            return Ok(());
        }
        give_back(&mut self.out)
    }

    /// Draws a frame; only what differs from the last one is written.
    pub fn draw(&mut self, (width, height): (u16, u16), draw: impl FnOnce(&mut Buffer)) -> io::Result<()> {
        let area = Rect::new(0, 0, width, height);
        let mut frame = Buffer::empty(area);
        draw(&mut frame);
        if self.shown.area != area {
            self.out.clear()?;
            self.shown = Buffer::empty(area);
        }
        self.out.draw(self.shown.diff(&frame).into_iter())?;
        self.shown = frame;
        Write::flush(&mut self.out)
    }

    /// Returns what was done since this was last asked; a change of the size does not count.
    #[expect(clippy::unused_self, reason = "keys are read only while the terminal is held")]
    pub fn keys(&self) -> io::Result<Vec<Key>> {
        let mut keys = Vec::new();
        while event::poll(Duration::ZERO)? {
            keys.extend(key(&event::read()?));
        }
        Ok(keys)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // A terminal that has gone needs nothing back.
        let _ = self.give_back();
    }
}

/// Says whether there is still a terminal. To be asked before keys are read: crossterm 0.29 reads the end of a terminal
/// that has gone again and again.
pub fn is_there() -> bool {
    io::stdin().is_terminal()
}

/// The columns and lines of the terminal, where it says so.
pub fn size() -> Option<(u16, u16)> {
    let (width, height) = terminal_size::terminal_size_of(io::stdout())?;
    (width.0 > 0 && height.0 > 0).then_some((width.0, height.0))
}

fn give_back(out: &mut dyn Write) -> io::Result<()> {
    let mut bytes = MOUSE_OFF.to_vec();
    queue!(bytes, LeaveAlternateScreen, cursor::Show)?;
    let written = out.write_all(&bytes).and_then(|()| out.flush());
    // Also where nothing can be written any more.
    disable_raw_mode()?;
    written
}

/// A panic ends the program at once in a release; what it says must be read on the usual screen.
fn restore_on_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let report = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if IS_HELD.swap(false, Ordering::SeqCst) {
                let _ = give_back(&mut io::stdout());
            }
            report(panic);
        }));
    });
}

fn key(event: &Event) -> Option<Key> {
    match event {
        Event::Key(KeyEvent { kind: KeyEventKind::Release, .. }) => None,
        Event::Key(KeyEvent { code: KeyCode::Char(letter), modifiers, .. })
            if modifiers.contains(KeyModifiers::CONTROL) =>
        {
            Some(Key::Ctrl(letter.to_ascii_lowercase()))
        }
        Event::Key(KeyEvent { code, .. }) => match code {
            KeyCode::Char(letter) => Some(Key::Char(*letter)),
            KeyCode::Enter => Some(Key::Enter),
            KeyCode::Esc => Some(Key::Esc),
            KeyCode::Backspace => Some(Key::Backspace),
            KeyCode::Up => Some(Key::Up),
            KeyCode::Down => Some(Key::Down),
            KeyCode::PageUp => Some(Key::PageUp),
            KeyCode::PageDown => Some(Key::PageDown),
            KeyCode::Home => Some(Key::Home),
            KeyCode::End => Some(Key::End),
            _ => None,
        },
        Event::Mouse(mouse) => match mouse.kind {
            MouseEventKind::ScrollUp => Some(Key::Up),
            MouseEventKind::ScrollDown => Some(Key::Down),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #[cfg(unix)]
    mod at_a_pseudo_terminal {
        use std::fs::File;
        use std::io::Read;
        use std::process::{Command, Stdio};

        use rustix::fs::{CWD, Mode, OFlags, openat};
        use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
        use rustix::termios::tcgetattr;

        use super::super::*;

        /// What the test below starts in a terminal.
        #[test]
        #[ignore = "it panics: it is started by another test"]
        fn a_panic_while_the_terminal_is_held() {
            let _session = Session::enter(Box::new(io::stdout())).unwrap();
            panic!("as it was asked to");
        }

        #[test]
        fn a_panic_restores_the_terminal_before_it_is_reported() {
            let person = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
            grantpt(&person).unwrap();
            unlockpt(&person).unwrap();
            let name = ptsname(&person, Vec::new()).unwrap();
            let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
            let terminal = openat(CWD, name.as_c_str(), flags, Mode::empty()).unwrap();
            let before = tcgetattr(&terminal).unwrap();
            let end = || Stdio::from(terminal.try_clone().unwrap());
            let mut child = Command::new(std::env::current_exe().unwrap())
                .args([
                    "--exact",
                    "--ignored",
                    "--nocapture",
                    "screen::terminal::tests::at_a_pseudo_terminal::a_panic_while_the_terminal_is_held",
                ])
                .stdin(end())
                .stdout(end())
                .stderr(end())
                .spawn()
                .unwrap();
            assert!(!child.wait().unwrap().success());
            let after = tcgetattr(&terminal).unwrap();
            assert_eq!((after.local_modes, after.input_modes), (before.local_modes, before.input_modes));
            drop(terminal);
            let mut seen = Vec::new();
            // The end of a pseudo-terminal is an error.
            let _ = File::from(person).read_to_end(&mut seen);
            let seen = String::from_utf8_lossy(&seen);
            let place = |text: &str| seen.find(text).unwrap_or_else(|| panic!("no {text:?} in {seen}"));
            assert!(place("\x1b[?1049h") < place("\x1b[?1049l"));
            assert!(place("\x1b[?1049l") < place("as it was asked to"));
            assert!(seen.contains("\x1b[?25h") && seen.contains("\x1b[?1000l"));
        }
    }
}
