//! `portscope diff`: what changed between two reports, or since one.

use std::path::PathBuf;

use super::pager;
use crate::analyse;
use crate::cli::{HeaderArgs, JsonArgs, SourceArgs, StyleArgs};
use crate::collect::Saved;
use crate::context::Context;
use crate::error::{Error, ExitStatus};
use crate::join;
use crate::model::{Need, SpaceChoice};
use crate::render::document::diff::DiffReport;
use crate::render::document::json;
use crate::render::page::diff;
use crate::render::words::doubt::doubts;

/// Show what changed since a snapshot, or between two of them
///
/// Identifies a listener by its port space, protocol, and port, and its owner by program, unit, container, and user, so a
/// restart is no change. Compares only what both sides could see.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The snapshot to compare with
    #[arg(value_name = "BEFORE")]
    before: PathBuf,

    /// The later snapshot; if omitted, this host as it is now
    #[arg(value_name = "AFTER", conflicts_with = "from")]
    after: Option<PathBuf>,

    /// Include connections, UDP sockets whose port the kernel chose, and TCP sockets that do not listen
    ///
    /// TCP listeners are always compared, because the kernel does not report whether it chose their port.
    #[arg(long)]
    all: bool,

    #[command(flatten)]
    document: JsonArgs,

    #[command(flatten)]
    header: HeaderArgs,

    #[command(flatten)]
    source: SourceArgs,

    #[command(flatten)]
    style: StyleArgs,
}

pub fn run(args: &Args, context: &mut Context) -> Result<ExitStatus, Error> {
    let before = Saved::open(&args.before)?.into_snapshot();
    let need =
        args.source.asked(Need { belonging: true, exe: true, runs: true, spaces: SpaceChoice::All, ..Need::default() });
    let after = match &args.after {
        Some(path) => Saved::open(path)?.into_snapshot(),
        None => super::snapshot(&need, &args.source, context)?,
    };
    let (old, new) = (join::listing(&before, None), join::listing(&after, None));
    let found = analyse::diff::diff(&old, &new, args.all);
    if args.document.json {
        let report = DiffReport::new(&found, &before, &after, context.program.as_deref());
        json::write(&mut context.stdout, &report, context.terminal.is_tty)?;
    } else {
        let mut text = Vec::new();
        diff::write(&mut text, &found, &before, &after, args.header.no_header, args.style.style(context))?;
        pager::show(&text, !args.style.no_pager, context)?;
        context.stdout.flush()?;
        for line in doubts(&found) {
            context.note(&line);
        }
    }
    Ok(if found.changes.is_empty() { ExitStatus::Yes } else { ExitStatus::No })
}
