//! The Linux program: reads the command line, lets one factory work, reports, waits, cleans up.

mod churn;
mod devices;
mod factories;
mod flight;
mod keys;
mod made;
mod many;
mod mptcp;
mod names;
mod net;
mod outcome;
mod programs;
mod share;
mod spaces;
mod stage;
mod states;
mod sys;
mod table;
mod tcp;
mod threads;
mod udp;
mod users;

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use self::keys::Keys;
use self::outcome::{Context, Failure, Outcome};
use self::stage::Stage;

/// Names the factory when the command line itself is part of what is being made, as in `evil-argv`.
pub const FACTORY_VARIABLE: &str = "MKPORTS_FACTORY";

/// The exit code that test harnesses read as "skipped".
const SKIPPED: u8 = 77;

pub fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = writeln!(io::stderr(), "{failure}");
            match failure {
                Failure::Error(_) => ExitCode::FAILURE,
                Failure::Skipped(_) => ExitCode::from(SKIPPED),
            }
        }
    }
}

fn run() -> Outcome<()> {
    let mut arguments: Vec<OsString> = match std::env::var_os(FACTORY_VARIABLE) {
        Some(name) => vec![name],
        None => std::env::args_os().skip(1).collect(),
    };
    if arguments.is_empty() {
        return Err(Failure::Error("usage: mkports FACTORY [KEY=VALUE...] | --list".to_owned()));
    }
    let name = arguments.remove(0);
    if name == "--list" {
        return list();
    }
    if name == users::INHERITED {
        sys::park(); // before asking for another death signal than the one that exec preserved
    }
    let factory = factories::find(&name)?;
    let keys = Keys::parse(&arguments, factory.keys)?;

    let mut stage = Stage::of_supervisor()?;
    let made = (factory.make)(&keys, &mut stage)?;
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{}", made.line(factory.name)).and_then(|()| stdout.flush()).context("print the report")?;
    drop(stdout);
    stage.wait_for_the_end()
}

fn list() -> Outcome<()> {
    let mut stdout = io::stdout().lock();
    for factory in factories::ALL {
        writeln!(stdout, "{}", factory.name).context("print the list")?;
    }
    Ok(())
}
