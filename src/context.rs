//! The only door to standard output and error, the terminal, the environment, the clock and the system's sockets.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::collect::{Saved, Source, System};
use crate::error::Error;
use crate::render::sanitize::{Charset, Text};

/// The environment variables that portscope reads; no other is looked at.
pub const VARIABLES: &[&str] = &[
    "APPDATA",
    "CLICOLOR_FORCE",
    "COLUMNS",
    "FORCE_COLOR",
    "HOME",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "NO_COLOR",
    "PAGER",
    "PATH",
    "PORTSCOPE_CONFIG",
    "PORTSCOPE_PAGER",
    "PROGRAMDATA",
    "SUDO_UID",
    "SYSTEMROOT",
    "TERM",
    "XDG_CONFIG_HOME",
];

/// The surroundings of one run.
pub struct Context {
    pub(crate) stdout: Box<dyn Write>,
    pub(crate) stderr: Box<dyn Write>,
    pub(crate) terminal: Terminal,
    /// Whether standard error is a terminal, where progress may be drawn.
    pub(crate) is_stderr_tty: bool,
    /// What a person types; absent where nobody can be asked.
    answers: Option<Box<dyn BufRead>>,
    pub(crate) environment: Environment,
    pub(crate) source: Box<dyn Source>,
    /// The absolute path of this program, for hints that must work under sudo.
    pub(crate) program: Option<PathBuf>,
}

/// The terminal that standard output goes to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Terminal {
    /// Whether standard output is a terminal at all.
    pub is_tty: bool,
    /// Its columns and lines.
    pub size: Option<(u16, u16)>,
    /// Whether it shows Unicode though no locale says so (Windows).
    pub is_unicode_by_default: bool,
    /// Whether it shows colours though `TERM` is not set, or does not; absent where only `TERM` tells.
    pub has_color: Option<bool>,
}

/// The environment variables in [`VARIABLES`] that are set and not empty.
#[derive(Clone, Debug, Default)]
pub struct Environment(BTreeMap<&'static str, OsString>);

impl Environment {
    fn of_process() -> Environment {
        let set = |name: &&'static str| Some((*name, std::env::var_os(name).filter(|value| !value.is_empty())?));
        Environment(VARIABLES.iter().filter_map(set).collect())
    }

    /// The value, when it is set and not empty.
    pub fn get(&self, name: &'static str) -> Option<&OsStr> {
        debug_assert!(VARIABLES.contains(&name), "{name} is not in the list of variables");
        self.0.get(name).map(OsString::as_os_str)
    }

    /// The value as text, when it is set, not empty and valid UTF-8.
    pub fn text(&self, name: &'static str) -> Option<&str> {
        self.get(name)?.to_str()
    }

    /// Says whether the run was started through sudo, so that these variables may be another user's.
    pub fn is_sudo(&self) -> bool {
        self.get("SUDO_UID").is_some()
    }

    #[cfg(test)]
    pub fn of(pairs: &[(&'static str, &str)]) -> Environment {
        Environment(pairs.iter().map(|(name, value)| (*name, OsString::from(value))).collect())
    }
}

impl Context {
    /// The surroundings of this process.
    pub fn of_process() -> Context {
        let is_tty = io::stdout().is_terminal();
        let size = if is_tty { terminal_size::terminal_size_of(io::stdout()) } else { None };
        Context {
            stdout: crate::stdout::standard_output(),
            stderr: Box::new(io::stderr()),
            terminal: Terminal {
                is_tty,
                size: size.map(|(width, height)| (width.0, height.0)),
                // A console gets Unicode whatever its code page; who reads a pipe takes that code page for granted.
                is_unicode_by_default: cfg!(windows) && is_tty,
                // The console of Windows has to be asked to take colours; elsewhere this says nothing.
                has_color: if is_tty { anstyle_query::windows::enable_ansi_colors() } else { None },
            },
            is_stderr_tty: io::stderr().is_terminal(),
            // What is asked about is shown on standard output, and the question on standard error: who sees only one of
            // them cannot answer. And an answer in a pipe was not given to this question.
            answers: if is_tty && io::stdin().is_terminal() && io::stderr().is_terminal() {
                Some(Box::new(io::stdin().lock()))
            } else {
                None
            },
            environment: Environment::of_process(),
            source: Box::new(System),
            program: std::env::current_exe().ok(),
        }
    }

    /// Takes the facts from a saved report, where one is named, instead of from this machine.
    pub(crate) fn read_from(&mut self, report: Option<&Path>) -> Result<(), Error> {
        if let Some(path) = report {
            self.source = Box::new(Saved::open(path)?);
        }
        Ok(())
    }

    /// Writes one line to standard error.
    pub(crate) fn note(&mut self, line: &str) {
        // Where standard error itself is broken there is nobody left to tell.
        let line = Text::of(line, Charset::Unicode);
        let _ = writeln!(self.stderr, "portscope: {}", line.as_str());
    }

    /// Asks the person at the terminal; anything but yes is no. Nothing where nobody can be asked.
    pub(crate) fn ask(&mut self, question: &str) -> Option<bool> {
        let answers = self.answers.as_mut()?;
        let question = Text::of(question, Charset::Unicode);
        let _ = write!(self.stderr, "{} [y/N] ", question.as_str());
        let _ = self.stderr.flush();
        let mut answer = String::new();
        let is_answered = answers.read_line(&mut answer).is_ok();
        if !answer.ends_with('\n') {
            let _ = writeln!(self.stderr);
        }
        Some(is_answered && ["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str()))
    }

    /// A clock that only goes forward.
    #[expect(clippy::unused_self, reason = "the clock has one door, like everything around a run")]
    pub(crate) fn now(&self) -> Instant {
        Instant::now()
    }

    /// Lets so much time go by.
    #[expect(clippy::unused_self, reason = "the clock has one door, like everything around a run")]
    pub(crate) fn pause(&self, time: Duration) {
        std::thread::sleep(time);
    }

    /// Says on standard error what stopped the command.
    pub(crate) fn complain(&mut self, error: &Error) {
        self.note(&error.to_string());
    }
}
