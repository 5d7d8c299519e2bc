//! The only door to standard output and error, the terminal, the environment, the clock and the system's sockets.

use std::io::{self, BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::collect::{Saved, Source, System};
use crate::config::Configuration;
use crate::environment::{Environment, Terminal};
use crate::error::Error;
use crate::render::document::nagios;
use crate::render::text::paragraph;
use crate::render::text::safe::{Charset, Text};
use crate::render::text::style::{self, ColorChoice, Style};
use crate::render::words::said::Said;
use crate::system;

/// The surroundings of one run.
pub struct Context {
    /// When the program started.
    pub(crate) started: Instant,
    pub(crate) stdout: Box<dyn Write>,
    pub(crate) stderr: Box<dyn Write>,
    pub(crate) terminal: Terminal,
    /// Whether standard error is a terminal, where progress may be drawn.
    pub(crate) is_stderr_tty: bool,
    /// The columns that a line on standard error may take; absent where there is no limit.
    stderr_width: Option<usize>,
    /// What a person types; absent where nobody can be asked.
    pub(crate) answers: Option<Box<dyn BufRead>>,
    pub(crate) environment: Environment,
    /// What the configuration files have; empty for commands that do not read them.
    pub(crate) configuration: Configuration,
    /// What the configuration file says of the look of everything.
    pub(crate) look: Look,
    pub(crate) source: Box<dyn Source>,
    /// The absolute path of this program, for hints that must work under sudo.
    pub(crate) program: Option<PathBuf>,
}

/// What holds for every command where neither a flag nor a variable says otherwise.
#[derive(Clone, Debug, Default)]
pub(crate) struct Look {
    pub(crate) color: Option<ColorChoice>,
    /// The command of the pager; empty for none.
    pub(crate) pager: Option<String>,
}

impl Context {
    /// The surroundings of this process.
    pub fn of_process() -> Context {
        let started = Instant::now();
        system::memory::share_arenas();
        system::signals::outlive_full_files();
        let environment = Environment::of_process();
        let is_tty = io::stdout().is_terminal();
        let size = if is_tty { terminal_size::terminal_size_of(io::stdout()) } else { None };
        Context {
            started,
            stdout: system::stdout::standard_output(),
            stderr: Box::new(io::stderr()),
            terminal: Terminal {
                is_tty,
                size: size.map(|(width, height)| (width.0, height.0)),
                // A console shows Unicode whatever its code page; a program that reads our pipe assumes the code page.
                is_unicode_by_default: system::console_is_unicode() && is_tty,
                // The console of Windows has to be asked to show colors; elsewhere this does nothing.
                has_color: if is_tty { anstyle_query::windows::enable_ansi_colors() } else { None },
            },
            is_stderr_tty: io::stderr().is_terminal(),
            stderr_width: style::columns(&environment).or_else(|| {
                let size = terminal_size::terminal_size_of(io::stderr());
                size.map(|(width, _)| usize::from(width.0)).filter(|width| *width > 0)
            }),
            // What is asked about is shown on standard output, and the question on standard error: who sees only one of
            // them cannot answer. And an answer in a pipe was not given to this question.
            answers: if is_tty && io::stdin().is_terminal() && io::stderr().is_terminal() {
                Some(Box::new(io::stdin().lock()))
            } else {
                None
            },
            environment,
            configuration: Configuration::default(),
            look: Look::default(),
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

    /// The look of what commands without flags for it write to standard output.
    pub(crate) fn style(&self) -> Style {
        Style::new(None, self.look.color, None, &self.environment, self.terminal)
    }

    /// Writes a sentence to standard output, folded between words.
    pub(crate) fn say(&mut self, line: &str) -> io::Result<()> {
        let width = self.style().width;
        paragraph::item(&mut self.stdout, line, width)
    }

    /// Writes one line to standard error.
    pub(crate) fn note(&mut self, line: &str) {
        // Where standard error itself is broken there is nobody left to tell.
        let line = Text::of(&format!("portscope: {line}"), Charset::Unicode);
        let _ = paragraph::item(&mut self.stderr, line.as_str(), self.stderr_width);
    }

    /// Writes to standard error what helps, on a line of its own.
    pub(crate) fn hint(&mut self, line: &str) {
        let line = Text::of(&format!("hint: {line}"), Charset::Unicode);
        let _ = paragraph::item(&mut self.stderr, line.as_str(), self.stderr_width);
    }

    /// Writes what is to be said to standard error, and after all of it what helps, each line once.
    pub(crate) fn tell(&mut self, all: impl IntoIterator<Item = Said>) {
        let mut hints: Vec<String> = Vec::new();
        for said in all {
            self.note(&said.line);
            for hint in said.hints {
                if !hints.contains(&hint) {
                    hints.push(hint);
                }
            }
        }
        for hint in hints {
            self.hint(&hint);
        }
    }

    /// Asks the person at the terminal; anything but yes is no. Nothing where nobody can be asked.
    pub(crate) fn ask(&mut self, question: &str) -> Option<bool> {
        self.answers.as_ref()?;
        let answer = self.ask_for(&format!("{question} [y/N]")).unwrap_or_default();
        Some(["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str()))
    }

    /// Says whether keys come from a terminal, and standard output goes to one.
    #[expect(clippy::unused_self, reason = "the terminal has one door, like everything around a run")]
    pub(crate) fn is_at_terminal(&self) -> bool {
        io::stdin().is_terminal() && io::stdout().is_terminal()
    }

    /// Says whether there is a person at the terminal who can be asked.
    pub(crate) fn can_ask(&self) -> bool {
        self.answers.is_some()
    }

    /// Asks for a line of text. Nothing where nobody can be asked, or nobody answers.
    pub(crate) fn ask_for(&mut self, question: &str) -> Option<String> {
        let answers = self.answers.as_mut()?;
        let question = Text::of(question, Charset::Unicode);
        // The answer is typed behind the last word.
        let lines = paragraph::hanging(question.as_str(), 4, self.stderr_width);
        let _ = write!(self.stderr, "{} ", lines.join("\n"));
        let _ = self.stderr.flush();
        let mut answer = String::new();
        let is_read = answers.read_line(&mut answer).is_ok();
        if !answer.ends_with('\n') {
            let _ = writeln!(self.stderr);
        }
        (is_read && !answer.is_empty()).then_some(answer)
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

    /// Says to a monitoring system, which reads standard output only, what stopped the command.
    pub(crate) fn answer_unknown(&mut self, error: &Error) {
        let line = nagios::unknown(&error.to_string());
        // Where standard output is broken, the exit status is all that can be said.
        let _ = self.stdout.write_all(line.as_bytes()).and_then(|()| self.stdout.flush());
    }

    /// Says on standard error what stopped the command.
    pub(crate) fn complain(&mut self, error: &Error) {
        self.note(&error.to_string());
        for hint in error.hints() {
            self.hint(hint);
        }
    }
}
