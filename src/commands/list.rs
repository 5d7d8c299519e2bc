//! `portscope`: what is open on this machine.

use std::collections::BTreeSet;
use std::io::Write;

use super::pager;
use super::unmatched::{self, Absent};
use crate::cli::{Defaults, Format, OutputArgs, SelectionArgs};
use crate::context::Context;
use crate::error::{Error, ExitStatus};
use crate::model::{Listing, Pid, Stage, Stopwatch};
use crate::render::document::csv;
use crate::render::document::group::{self as document, GroupsReport};
use crate::render::document::json;
use crate::render::page::group as page;
use crate::render::page::listing::{self, TableOptions};
use crate::render::table::draw::Frame;
use crate::render::words::summary;
use crate::select::group;
use crate::select::leftovers::{self, Leftovers};
use crate::{join, select};

/// List open sockets (the default)
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub selection: SelectionArgs,
    #[command(flatten)]
    pub output: OutputArgs,

    /// Print the settings in force, and where each is from
    #[arg(long, help_heading = "Output")]
    pub show_config: bool,
}

pub fn run(args: &Args, defaults: &Defaults, context: &mut Context) -> Result<ExitStatus, Error> {
    let mut stopwatch = Stopwatch::since(context.started);
    if args.show_config {
        return super::show_config::run(&args.output, defaults, context);
    }
    let is_page = context.terminal.is_tty && args.output.format() == Format::Table && !args.output.pids_only;
    // What a program reads depends on its command line alone.
    let args = &if is_page { Args { output: args.output.with(defaults), ..args.clone() } } else { args.clone() };
    args.output.check()?;
    let catalogue = context.configuration.catalogue(&args.output.style.labels, &context.environment)?;
    let filter = args.selection.filter(|word| catalogue.ports_named(word));
    let names = (!args.output.numeric).then_some(&catalogue);
    let mut need = args.selection.need(&args.output);
    if args.output.shows_spare() && args.output.style.style(context).width.is_some() {
        (need.project, need.belonging) = (true, true);
    }
    if args.output.group {
        (need.project, need.belonging, need.exe) = (true, true, true);
    }
    stopwatch.end(Stage::Start);
    let mut snapshot = super::snapshot(&need, &args.selection.source, context)?;
    if args.selection.is_specific() && !join::listing(&snapshot, names).rows.iter().any(|row| filter.admits(row)) {
        // The kernel's table is not read in one moment; that nothing is there needs two agreeing looks.
        snapshot = context.source.snapshot(&need)?;
    }
    if args.output.verbose > 0 {
        context.note(&summary::sources(&snapshot));
    }
    stopwatch.add(std::mem::take(&mut snapshot.stages));
    let mut listing = join::listing(&snapshot, names);
    let absent = unmatched::absent(&args.selection, &filter, &listing, &catalogue, context);
    if absent.iter().any(unmatched::Absent::is_mistake) {
        unmatched::report(&absent, &listing, context);
        return Ok(ExitStatus::No);
    }
    listing.retain(|row| filter.admits(row));
    if args.output.group
        || args.output.names_peers(context)
        || args.output.wants_peers()
        || args.selection.asks_for_peers()
    {
        join::add_counterparts(&mut listing);
    }
    args.selection.keep_where(&mut listing)?;
    let leftovers = if is_page && args.selection.folds_leftovers() {
        leftovers::take(&mut listing, |state| defaults.lists(state))
    } else {
        Leftovers::new()
    };
    match args.output.sort {
        Some(sorting) => sorting.sort(&mut listing.rows),
        None => select::in_default_order(&mut listing.rows),
    }
    stopwatch.end(Stage::Join);
    if args.output.pids_only {
        let pids: BTreeSet<Pid> =
            listing.rows.iter().flat_map(|row| row.processes.iter().map(|(pid, _)| *pid)).collect();
        for pid in pids {
            writeln!(context.stdout, "{}", pid.0)?;
        }
        context.stdout.flush()?;
        super::tell_gaps(&listing, context);
    } else if listing.rows.is_empty() && !absent.is_empty() && args.output.format() == Format::Table {
        // The lines below name everything that was looked for; an empty table would say the same again.
        super::tell_gaps(&listing, context);
    } else {
        show(&listing, &leftovers, &args.output, context)?;
    }
    stopwatch.end(Stage::Output);
    // A document says itself what it is about, and that it is empty.
    let is_document = args.output.format() == Format::Json;
    if !is_document {
        unmatched::explain(&args.selection, &filter, &listing, context);
    }
    let absent: Vec<Absent> = absent.into_iter().filter(|absent| !is_document || !absent.is_known()).collect();
    unmatched::report(&absent, &listing, context);
    if args.selection.is_specific()
        && need.states.is_none()
        && listing.rows.is_empty()
        && args.output.format() != Format::Json
        && let Some(line) = summary::not_looked_at(listing.snapshot)
    {
        // That there is nothing is said only as far as one could look.
        context.note(&line);
    }
    if args.output.verbose > 1 {
        context.note(&summary::stages(&stopwatch.finish()));
    }
    let can_tell = !absent.iter().any(Absent::is_hidden);
    let status = args.output.strictness.status(&listing, if can_tell { ExitStatus::Yes } else { ExitStatus::No });
    // The program ends here, and its memory with it: to give back 100,000 rows one by one would take longer.
    std::mem::forget(listing);
    std::mem::forget(snapshot);
    Ok(status)
}

fn show(listing: &Listing<'_>, leftovers: &Leftovers, output: &OutputArgs, context: &mut Context) -> Result<(), Error> {
    let style = output.style.style(context);
    let is_for_person = style.width.is_some();
    let names_peers = output.names_peers(context);
    let table = |frame, fitted| TableOptions {
        columns: if is_for_person { output.columns_for_person(listing) } else { output.columns_of(listing) },
        named: output.named(),
        leftovers: leftovers.clone(),
        verbose: output.verbose > 0,
        bare: output.header.no_header,
        fitted,
        names_peers,
        least_state: 0,
        frame,
        style,
    };
    let program = context.program.clone();
    if output.group {
        show_groups(listing, &table(Frame::Plain, true), output, context)?;
        return Ok(());
    }
    let out = &mut context.stdout;
    match output.format() {
        // The document says itself what was hidden.
        Format::Json => {
            return Ok(json::write_report(out, listing, program.as_deref(), context.terminal.is_tty)?);
        }
        Format::Ndjson => json::write_lines(out, listing)?,
        Format::Csv => csv::write(out, listing, &output.columns_of(listing), b',', output.header.no_header)?,
        Format::Tsv => csv::write(out, listing, &output.columns_of(listing), b'\t', output.header.no_header)?,
        Format::Markdown => listing::write(out, listing, &table(Frame::Markdown, false))?,
        Format::Table if !context.terminal.is_tty => listing::write(out, listing, &table(Frame::Plain, true))?,
        Format::Table => {
            let mut text = Vec::new();
            let options = table(Frame::Plain, true);
            listing::write(&mut text, listing, &options)?;
            let headings = listing::headings(listing, &options);
            if pager::show_table(&text, headings, !output.style.no_pager, context)? && !options.bare {
                // The line above the table has left the screen.
                listing::write_title(&mut context.stdout, listing, &options)?;
            }
        }
        Format::Wide if style.width.is_none() => listing::write(out, listing, &table(Frame::Plain, false))?,
        Format::Wide => {
            let mut text = Vec::new();
            let options = table(Frame::Plain, false);
            listing::write(&mut text, listing, &options)?;
            let headings = listing::headings(listing, &options);
            pager::show_wide(&text, headings, !output.style.no_pager, style.width, context)?;
        }
    }
    // The rows first, also where both go to the same terminal.
    context.stdout.flush()?;
    super::tell_gaps(listing, context);
    Ok(())
}

/// The same by service.
fn show_groups(
    listing: &Listing<'_>,
    options: &TableOptions,
    output: &OutputArgs,
    context: &mut Context,
) -> Result<(), Error> {
    let groups = group::groups(&listing.rows);
    let program = context.program.clone();
    let is_tty = context.terminal.is_tty;
    let out = &mut context.stdout;
    let bare = output.header.no_header;
    match output.format() {
        // The document says itself what was hidden.
        Format::Json => {
            return Ok(json::write(out, &GroupsReport::new(listing, &groups, program.as_deref()), is_tty)?);
        }
        Format::Csv => document::write_csv(out, &groups, b',', bare, output.traffic)?,
        Format::Tsv => document::write_csv(out, &groups, b'\t', bare, output.traffic)?,
        Format::Markdown => {
            page::write(out, listing, &groups, &TableOptions { frame: Frame::Markdown, ..options.clone() })?;
        }
        Format::Table | Format::Wide | Format::Ndjson => {
            let mut text = Vec::new();
            page::write(&mut text, listing, &groups, options)?;
            pager::show_table(&text, listing::headings(listing, options), !output.style.no_pager, context)?;
        }
    }
    context.stdout.flush()?;
    super::tell_gaps(listing, context);
    Ok(())
}
