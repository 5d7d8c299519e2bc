//! portscope: which ports of this host are in use, what they are registered for, and who holds them.
//!
//! The library is the inside of the program, for its own binary, tests and fuzzers. It offers no API to other crates, and
//! a program that links it gets a function that runs before `main` (see `system::stdout`).
//!
//! ```text
//!   argv, env, tty, clock                      the operating system
//!         |                                            |
//!      cli  (typed -> meant)                       collect      facts as the system states them: Snapshot
//!         |                                            |
//!         +----------------> commands ----------->   join       + catalogue = Listing
//!                            (glue only)               |
//!                                |                   select     targets, filter, sort
//!                                |                   analyse    what takes more than one row
//!                                |                     |
//!                                +----------------> render ---> stdout bytes; `screen` draws them for `watch`
//!   model  <- used by all, uses nothing of ours          catalogue <- uses model
//!   parallel  <- shares work among the cores, for the rooms that have much of it
//! ```

#![warn(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr, reason = "errors and output have one way out")]

mod analyse;
mod catalogue;
mod cli;
mod collect;
mod commands;
mod config;
mod context;
mod environment;
mod error;
mod expression;
mod follow;
#[cfg(any(feature = "fuzzing", test))]
pub mod fuzzing;
mod join;
mod model;
mod parallel;
mod render;
mod screen;
mod select;
mod system;
#[cfg(test)]
mod testing;

use std::ffi::OsString;

pub use context::Context;
pub use error::ExitStatus;

/// Runs the program: reads the command line, does what it asks and says how it went.
///
/// Data goes to the context's stdout, everything else to its stderr. A reader that closed the pipe is success.
pub fn run(arguments: impl IntoIterator<Item = OsString>, context: &mut Context) -> ExitStatus {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let is_monitored = cli::is_for_nagios(&arguments);
    match commands::run(arguments, context) {
        Ok(status) => status,
        Err(error) if is_monitored => {
            context.answer_unknown(&error);
            ExitStatus::Monitored(model::Health::Unknown)
        }
        Err(error) if error.is_broken_pipe() => ExitStatus::Yes,
        Err(error) => {
            context.complain(&error);
            error.status()
        }
    }
}
