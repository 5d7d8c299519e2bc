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
use crate::render::words::screen as shown;
use crate::screen::terminal::Session;
use crate::system::console;
use crate::system::signals::AskedAtTerminal;

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

    /// Everything about the port, as `info` prints it. The port is not tried out: that would itself be a change.
    pub fn info(&self, port: Port, width: usize, context: &mut Context) -> Vec<String> {
        let (port, width) = (port.to_string(), width.max(1).to_string());
        let words = ["info", &port, "--no-probe", "--color", "never", "--no-pager", "--width", &width];
        let words = words.map(OsString::from);
        let (mut lines, notes, _) = self.captured(&words, context);
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
        let (_, notes, is_done) = self.captured(&["snapshot".into(), OsString::from(&name)], context);
        match notes.first().filter(|_| !is_done) {
            Some(problem) => problem.clone(),
            None => shown::saved(&name),
        }
    }

    /// Runs the command, and returns what it writes to standard output and to standard error, and whether nothing stopped
    /// it.
    fn captured(&self, words: &[OsString], context: &mut Context) -> (Vec<String>, Vec<String>, bool) {
        let (out, err) = (Kept::default(), Kept::default());
        let stdout = std::mem::replace(&mut context.stdout, Box::new(out.clone()));
        let stderr = std::mem::replace(&mut context.stderr, Box::new(err.clone()));
        let words = std::iter::once("portscope".into()).chain(words.iter().cloned()).chain(self.source.clone());
        let end = super::super::run(words, context);
        if let Err(error) = &end {
            context.complain(error);
        }
        (context.stdout, context.stderr) = (stdout, stderr);
        (out.lines(), err.lines(), end.is_ok())
    }

    /// Gives the terminal back for a command that asks before it does something, and takes it again afterwards. Ctrl-C
    /// answers no to what is asked, and leads back to the screen at once.
    pub fn ask(
        &self,
        words: &[&str],
        asked: &AskedAtTerminal,
        session: &mut Session,
        context: &mut Context,
    ) -> Result<(), Error> {
        session.give_back()?;
        // What was typed before the question is no answer to it.
        console::discard_input();
        let is_over = asked.clone();
        let answers = console::answers(move || is_over.is_so());
        let usual = if answers.is_some() { std::mem::replace(&mut context.answers, answers) } else { None };
        let arrow = if self.charset == Charset::Unicode { '›' } else { '>' };
        context.say(&format!("{arrow} portscope {}", words.join(" ")))?;
        let run = std::iter::once("portscope").chain(words.iter().copied()).map(OsString::from);
        if let Err(error) = super::super::run(run, context) {
            context.complain(&error);
        }
        context.stdout.flush()?;
        if !asked.is_so() {
            context.ask_for(shown::RETURN);
        }
        if usual.is_some() {
            context.answers = usual;
        }
        // The question was left, and not the screen.
        asked.is_interrupted();
        Ok(session.take()?)
    }
}
