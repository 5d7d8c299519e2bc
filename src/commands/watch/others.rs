//! Other commands that keys of the screen run, as if they had been typed.

use std::cell::RefCell;
use std::ffi::OsString;
use std::io::{self, Write};
use std::rc::Rc;
use std::time::SystemTime;

use crate::cli::SourceArgs;
use crate::context::Context;
use crate::error::Error;
use crate::model::Port;
use crate::render::text::safe::Charset;
use crate::render::text::style::Style;
use crate::render::text::time;
use crate::screen::terminal::Session;
use crate::system::console;

/// The other commands, with the flags that they share with this one.
pub struct Others {
    source: Vec<OsString>,
    charset: Charset,
}

/// Text that is written and read in one place.
#[derive(Clone, Default)]
struct Kept(Rc<RefCell<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Kept {
    fn lines(&self) -> Vec<String> {
        String::from_utf8_lossy(&self.0.borrow()).lines().map(str::to_owned).collect()
    }
}

impl Others {
    pub fn new(source: &SourceArgs, style: Style) -> Others {
        let mut words: Vec<OsString> = vec!["--backend".into(), source.backend.backend.name().into()];
        words.extend(source.backend.no_helpers.then(|| "--no-helpers".into()));
        Others { source: words, charset: style.charset }
    }

    /// Everything about the port, as `info` prints it.
    pub fn info(&self, port: Port, width: usize, context: &mut Context) -> Vec<String> {
        let words = ["info", &port.to_string(), "--color", "never", "--no-pager", "--width", &width.max(1).to_string()]
            .map(OsString::from);
        let (mut lines, notes) = self.captured(&words, context);
        if !notes.is_empty() {
            lines.push(String::new());
            lines.extend(notes);
        }
        lines
    }

    /// Saves a snapshot in this folder, and says where.
    pub fn save(&self, context: &mut Context) -> String {
        let stamp = time::rfc3339(SystemTime::now()).replace(':', "");
        let name = format!("portscope-{stamp}.json");
        let (_, notes) = self.captured(&["snapshot".into(), OsString::from(&name)], context);
        match notes.iter().find(|note| note.contains("cannot")) {
            Some(problem) => problem.clone(),
            None => format!("saved {name}"),
        }
    }

    /// Runs the command, and returns what it writes to standard output and to standard error.
    fn captured(&self, words: &[OsString], context: &mut Context) -> (Vec<String>, Vec<String>) {
        let (out, err) = (Kept::default(), Kept::default());
        let stdout = std::mem::replace(&mut context.stdout, Box::new(out.clone()));
        let stderr = std::mem::replace(&mut context.stderr, Box::new(err.clone()));
        let words = std::iter::once("portscope".into()).chain(words.iter().cloned()).chain(self.source.clone());
        if let Err(error) = super::super::run(words, context) {
            context.complain(&error);
        }
        (context.stdout, context.stderr) = (stdout, stderr);
        (out.lines(), err.lines())
    }

    /// Gives the terminal back for a command that asks before it does something, and takes it again afterwards.
    pub fn ask(&self, command: &str, target: &str, session: &mut Session, context: &mut Context) -> Result<(), Error> {
        session.give_back()?;
        // What was typed before the question is no answer to it.
        console::discard_input();
        let arrow = if self.charset == Charset::Unicode { '›' } else { '>' };
        context.say(&format!("{arrow} portscope {command} {target}"))?;
        let words = ["portscope", command, target].map(OsString::from);
        if let Err(error) = super::super::run(words, context) {
            context.complain(&error);
        }
        context.stdout.flush()?;
        context.ask_for("Press Enter to return to the screen.");
        Ok(session.take()?)
    }
}
