//! Running this program once more, under conditions.

use std::path::Path;
use std::process::{Command, Stdio};

use super::FACTORY_VARIABLE;
use super::made::Made;
use super::outcome::{Context, Outcome};
use super::stage::Stage;

/// This program, by its path, so that the process is named as usual.
pub fn own_program() -> Outcome<Command> {
    Ok(Command::new(std::env::current_exe().context("find the program")?))
}

/// Starts the command as the factory `tcp4`, whatever its arguments say, and takes over its report.
pub fn run_as_tcp4(mut command: Command, stage: &mut Stage) -> Outcome<Made> {
    let program = command
        .env(FACTORY_VARIABLE, "tcp4")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .or_skip("start the program")?;
    let child = program.id();
    let report = stage.program(program)?;
    let mut made = Made::default();
    made.add_sockets(&Made::from_json(&report));
    Ok(made.fact("child", child))
}

/// Copies this program.
pub fn copy_own_program(to: &Path) -> Outcome<()> {
    std::fs::copy("/proc/self/exe", to).context("copy the program").map(drop)
}
