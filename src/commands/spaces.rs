//! `portscope spaces`: the port spaces of this machine, and which numbers are open in several of them.

use std::path::{Path, PathBuf};

use super::pager;
use crate::analyse;
use crate::cli::{HeaderArgs, JsonArgs, OnlyProtocolArgs, SourceArgs, StyleArgs};
use crate::collect::Saved;
use crate::context::Context;
use crate::error::{Error, ExitStatus};
use crate::join;
use crate::model::{Family, Listing, Need, Snapshot, SpaceChoice};
use crate::render::document::json;
use crate::render::document::spaces::SpacesReport;
use crate::render::page::spaces;
use crate::render::text::safe::Charset;
use crate::render::words::mistake;
use crate::render::words::said::Said;
use crate::render::words::summary;

/// Show the port spaces (network namespaces) of this host, and the ports they share
///
/// A port number belongs to one network stack: that of the host, a container, or another network namespace. The same port
/// in two of them is no conflict.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Snapshots of other hosts, to show together with this one
    #[arg(value_name = "REPORT")]
    reports: Vec<PathBuf>,

    /// Show a matrix: a row for each port, a column for each port space
    #[arg(long, conflicts_with = "json")]
    matrix: bool,

    #[command(flatten)]
    document: JsonArgs,

    #[command(flatten)]
    protocols: OnlyProtocolArgs,

    #[command(flatten)]
    header: HeaderArgs,

    #[command(flatten)]
    source: SourceArgs,

    #[command(flatten)]
    style: StyleArgs,
}

pub fn run(args: &Args, context: &mut Context) -> Result<ExitStatus, Error> {
    let catalogue = context.configuration.catalogue(&args.style.labels, &context.environment)?;
    let need = need(args);
    let mut snapshots: Vec<Snapshot> = vec![super::snapshot(&need, &args.source, context)?];
    for path in &args.reports {
        snapshots.push(report(path, &snapshots, &need, context)?);
    }
    let listings: Vec<Listing<'_>> =
        snapshots.iter().map(|snapshot| join::listing(snapshot, Some(&catalogue))).collect();
    let overview = analyse::spaces::overview(&listings);
    let style = args.style.style(context);
    let mut text = Vec::new();
    if args.document.json {
        let report = SpacesReport::new(&overview, &listings, context.program.as_deref());
        json::write(&mut context.stdout, &report, context.terminal.is_tty)?;
        return Ok(ExitStatus::Yes);
    }
    if args.matrix {
        spaces::write_matrix(&mut text, &overview, args.header.no_header, style)?;
    } else {
        spaces::write(&mut text, &overview, args.header.no_header, style)?;
    }
    pager::show(&text, !args.style.no_pager, context)?;
    context.stdout.flush()?;
    for listing in &listings {
        let host = spaces::host(&listing.snapshot.host, &overview, Charset::Unicode);
        let whose = if listings.len() > 1 { format!("{}: ", host.as_str()) } else { String::new() };
        let gaps = super::gaps(listing, context);
        context.tell(gaps.into_iter().map(|said| Said { line: format!("{whose}{}", said.line), ..said }));
    }
    Ok(ExitStatus::Yes)
}

/// Reads the report of a further host.
fn report(path: &Path, others: &[Snapshot], need: &Need, context: &mut Context) -> Result<Snapshot, Error> {
    let snapshot = Saved::open(path)?.into_snapshot_for(need);
    let identity = |snapshot: &Snapshot| (snapshot.host.name.clone(), snapshot.host.boot_id.clone());
    if others.iter().any(|other| identity(other) == identity(&snapshot)) {
        let name = snapshot.host.name.unwrap_or_else(|| "unknown".to_owned());
        return Err(Error::Usage(mistake::same_host(path, &name)));
    }
    let left_out = summary::left_out(&snapshot);
    context.tell(left_out.map(|said| Said { line: format!("{}: {}", path.display(), said.line), ..said }));
    Ok(snapshot)
}

fn need(args: &Args) -> Need {
    args.source.asked(Need {
        protocols: args.protocols.protocols(),
        families: Family::ALL.to_vec(),
        states: None,
        argv: false,
        belonging: true,
        exe: args.document.json,
        spaces: SpaceChoice::All,
        ..Need::default()
    })
}
