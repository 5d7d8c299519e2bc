//! `portscope completions SHELL`.

use clap_complete::Shell;

use crate::context::Context;
use crate::error::{Error, ExitStatus};

/// Print a script that completes portscope's commands and flags in a shell
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

pub fn run(args: &Args, command: &mut clap::Command, context: &mut Context) -> Result<ExitStatus, Error> {
    // Into memory first: clap_complete panics when a write fails.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, command, "portscope", &mut script);
    context.stdout.write_all(&script)?;
    Ok(ExitStatus::Yes)
}
