//! `portscope man`.

use crate::context::Context;
use crate::error::{Error, ExitStatus};

/// Print the manual page, in roff
#[derive(Debug, clap::Args)]
pub struct Args {}

pub fn run(_: &Args, command: &clap::Command, context: &mut Context) -> Result<ExitStatus, Error> {
    clap_mangen::Man::new(command.clone()).render(&mut context.stdout)?;
    Ok(ExitStatus::Yes)
}
