//! `portscope info`: everything about one number.

use std::collections::BTreeSet;
use std::io::Write;

use super::pager;
use crate::analyse::check::{Question, usual_binds};
use crate::analyse::dossier::Dossier;
use crate::catalogue::Catalogue;
use crate::cli::{JsonArgs, SourceArgs, StrictArgs, StyleArgs};
use crate::collect::probe;
use crate::context::Context;
use crate::error::{Error, ExitStatus};
use crate::model::{Listing, Need, Port, Protocol, Row, SpaceChoice};
use crate::render::document::info::InfoReport;
use crate::render::document::json;
use crate::render::page::check as check_text;
use crate::render::page::info as text;
use crate::render::words::summary;
use crate::select::{Target, TargetKind, TargetList, Wanted};
use crate::{join, select};

/// Show everything about a port, or everything that a process holds
///
/// For a name, shows each of its ports. Shows each owner in full: parents, unit, container, user, start time, executable,
/// folder, and command line, with the usual secrets masked.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Ports, services, or names of processes, units, or containers, to show all their ports
    #[arg(value_name = "PORT|NAME", required = true)]
    subjects: Vec<TargetList>,

    #[command(flatten)]
    document: JsonArgs,

    /// Do not try a real bind; judge only by the open sockets
    #[arg(long)]
    no_probe: bool,

    /// Show every owner in full, even when many port spaces use the port
    #[arg(short = 'v', long)]
    verbose: bool,

    #[command(flatten)]
    strictness: StrictArgs,

    #[command(flatten)]
    source: SourceArgs,

    #[command(flatten)]
    style: StyleArgs,
}

pub fn run(args: &Args, context: &mut Context) -> Result<ExitStatus, Error> {
    let catalogue = context.configuration.catalogue(&args.style.labels, &context.environment)?;
    let style = args.style.style(context);
    let ports = args.ports(&catalogue, context)?;
    let need = args.source.asked(Need {
        ports: Some(ports.clone()),
        clients: true,
        argv: true,
        runs: true,
        project: true,
        belonging: true,
        exe: true,
        dossier: true,
        spaces: SpaceChoice::All,
        ..Need::default()
    });
    let mut snapshot = super::snapshot(&need, &args.source, context)?;
    if !snapshot.sockets.iter().any(|socket| need.wants_port(socket.local.port)) {
        // The kernel's table is not read in one moment; that nothing is there needs two agreeing looks.
        snapshot = context.source.snapshot(&need)?;
    }
    let mut listing = join::listing(&snapshot, Some(&catalogue));
    // A source may give more than was asked for.
    listing.rows.retain(|row| need.wants_port(row.socket.local.port));
    join::add_counterparts(&mut listing);
    select::in_default_order(&mut listing.rows);
    let dossiers: Vec<Dossier<'_>> =
        ports.iter().map(|port| Dossier::new(*port, &snapshot, &listing.rows, &catalogue)).collect();
    // A saved report cannot be asked, and who would ask there is not known.
    let checked = match args.source.from {
        None => {
            let question = Question {
                binds: &usual_binds(),
                is_usual: true,
                is_tried: !args.no_probe,
                caller: probe::caller(),
                kernel: super::KERNEL,
            };
            question.at(ports.iter().copied(), &listing, &catalogue)
        }
        Some(_) => Vec::new(),
    };
    let program = context.program.clone();
    if args.document.json {
        let report = InfoReport::new(&listing, &dossiers, &checked, probe::caller(), program.as_deref());
        json::write(&mut context.stdout, &report, context.terminal.is_tty)?;
    } else {
        let mut written = Vec::new();
        for (index, dossier) in dossiers.iter().enumerate() {
            if index > 0 {
                writeln!(written)?;
            }
            text::write(&mut written, &listing, dossier, program.as_deref(), args.verbose, style)?;
            if let Some(checked) = checked.get(index) {
                writeln!(written)?;
                check_text::write_in_brief(&mut written, checked, style)?;
            }
        }
        pager::show(&written, !args.style.no_pager, context)?;
        context.stdout.flush()?;
        context.tell(summary::hidden(&listing, program.as_deref()));
    }
    Ok(args.strictness.status(&listing, ExitStatus::Yes))
}

impl Args {
    /// The ports that are meant: those of the target, and those that a process, unit or container of the name holds.
    fn ports(&self, catalogue: &Catalogue, context: &mut Context) -> Result<BTreeSet<Port>, Error> {
        let mut ports = BTreeSet::new();
        let mut words = Vec::new();
        for subject in TargetList::all(&self.subjects) {
            if let TargetKind::Word(word) = &subject.kind {
                words.push((subject, word));
            } else {
                let named = super::ports::look_up([subject], &Protocol::REGISTERED, catalogue)?;
                ports.extend(named.into_iter().flat_map(|asked| asked.ports).map(|(port, _)| port));
            }
        }
        if words.is_empty() {
            return Ok(ports);
        }
        let need = self.source.asked(Need { belonging: true, exe: true, spaces: SpaceChoice::All, ..Need::default() });
        let snapshot = super::snapshot(&need, &self.source, context)?;
        let listing = join::listing(&snapshot, None);
        for (subject, word) in words {
            let mut meant = held_by(subject, &listing);
            meant.extend(catalogue.ports_named(word).into_iter().map(|(port, _)| port));
            if meant.is_empty() {
                return Err(super::unmatched::nothing_called(word, &listing, catalogue, &self.source, context));
            }
            ports.extend(meant);
        }
        Ok(ports)
    }
}

/// The ports that a process, unit or container of the name holds.
fn held_by(subject: &Target, listing: &Listing<'_>) -> BTreeSet<Port> {
    let wanted = Wanted::new(subject, |_| BTreeSet::new());
    let held: Vec<&Row<'_>> = listing.rows.iter().filter(|row| wanted.matches(row)).collect();
    // Who listens is known by those ports; each of its connections has one of no meaning.
    let has_listener = held.iter().any(|row| row.is_listener);
    let is_meant = |row: &&&Row<'_>| row.is_listener || !has_listener;
    held.iter().filter(is_meant).map(|row| row.socket.local.port).collect()
}
