//! `portscope export`: metrics for Prometheus.

use std::path::PathBuf;
use std::time::Instant;

use crate::analyse::{metrics, usage};
use crate::cli::{SourceArgs, SpaceArgs, StrictArgs};
use crate::context::Context;
use crate::error::{Error, ExitStatus};
use crate::join;
use crate::model::Need;
use crate::render;
use crate::system::file;

/// Print metrics for Prometheus in the OpenMetrics text format
///
/// Reports listeners by exposure, connections by state, how full the ephemeral range and the accept queues are, and what was
/// hidden. With --textfile, a cron job or timer feeds the textfile collector of node_exporter.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Write to this file instead, readable by everyone: a name ending in .prom in the collector's folder
    #[arg(long, value_name = "FILE")]
    textfile: Option<PathBuf>,

    #[command(flatten)]
    space: SpaceArgs,

    #[command(flatten)]
    strictness: StrictArgs,

    #[command(flatten)]
    source: SourceArgs,
}

pub fn run(args: &Args, context: &mut Context) -> Result<ExitStatus, Error> {
    let start = Instant::now();
    let spaces = args.space.choice();
    let need = args.source.asked(Need { counters: true, spaces, ..Need::default() });
    let snapshot = super::snapshot(&need, &args.source, context)?;
    // How long it takes to read a report says nothing of the machine.
    let took = args.source.from.is_none().then(|| start.elapsed());
    let mut listing = join::listing(&snapshot, None);
    listing.retain(|row| need.spaces.admits(row.space));
    let mut usage = usage::usage(&listing);
    usage.retain(|space| need.spaces.admits(space.space));
    let mut text = Vec::new();
    let metrics = metrics::metrics(&listing, &usage, render::document::openmetrics::name_of);
    render::document::openmetrics::write(&mut text, &metrics, &snapshot, took, env!("CARGO_PKG_VERSION"))?;
    match &args.textfile {
        None => context.stdout.write_all(&text)?,
        Some(path) => file::replace(path, &text, file::Mode::Public)
            .map_err(|error| Error::Write { path: path.to_owned(), error })?,
    }
    context.stdout.flush()?;
    super::tell_gaps(&listing, context);
    Ok(args.strictness.status(&listing, ExitStatus::Yes))
}
