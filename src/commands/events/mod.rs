//! `portscope events`: what happens to ports from now on, or what a record says of it.

mod recorded;

use std::time::{Duration, Instant};

use crate::catalogue::Catalogue;
use crate::cli::{SelectionArgs, StyleArgs, one_of, parse_duration};
use crate::context::Context;
use crate::error::{Error, ExitStatus};
use crate::follow::Follow;
use crate::join;
use crate::model::{BindWay, Changes, Event, EventKind, Listing, Watching, Ways};
use crate::render::document;
use crate::render::page::events::EventLines;
use crate::render::words::mistake;
use crate::render::words::{event, summary};
use crate::select::Filter;
use crate::system::signals::Asked;

/// The longest wait until the clock and signals are looked at again.
const TICK: Duration = Duration::from_millis(100);

/// `--output`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Format {
    /// An aligned line each.
    Text,
    /// A JSON object each.
    Ndjson,
}

impl Format {
    const ALL: [Format; 2] = [Format::Text, Format::Ndjson];

    const fn name(self) -> &'static str {
        match self {
            Format::Text => "text",
            Format::Ndjson => "ndjson",
        }
    }
}

/// Print each port that opens, closes, or cannot be bound from now on
///
/// For root, every event comes from the kernel, with the process that caused it. For other users, the kernel reports only
/// closed ports; opened ones are found by reading the socket table again and again, and failed binds are not seen. On
/// systems other than Linux, all events come from the table. Takes the filters of the listing. Ctrl-C ends it.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    selection: SelectionArgs,

    /// Output format
    #[arg(short = 'o', long = "output", value_name = "FORMAT", value_parser = one_of(&Format::ALL, Format::name), default_value = "text", help_heading = "Output")]
    format: Format,

    /// Same as --output ndjson
    #[arg(long, conflicts_with = "format", help_heading = "Output")]
    json: bool,

    /// Only events of this kind: opened, closed, bind-failed, ...
    #[arg(long = "kind", value_name = "KIND", value_delimiter = ',', value_parser = one_of(&EventKind::ALL, EventKind::name), help_heading = "Events")]
    kinds: Vec<EventKind>,

    /// Begin with the ports that are open now
    #[arg(long, help_heading = "Events")]
    initial: bool,

    /// Report connections too, as connected and disconnected
    #[arg(long, help_heading = "Events")]
    connections: bool,

    /// End after this time: 30s, 10m
    #[arg(long = "for", value_name = "DURATION", value_parser = parse_duration, help_heading = "Events")]
    duration: Option<Duration>,

    /// End after this many events
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), help_heading = "Events")]
    count: Option<u64>,

    /// How often to read the socket table; chosen by how long a read takes if not given
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, help_heading = "Events")]
    interval: Option<Duration>,

    /// Only read the socket table: no load on a busy server, but ports that open and close between two reads are missed
    #[arg(long, help_heading = "Events")]
    poll: bool,

    /// With --from: for each port, how often it was opened, closed, and refused, the shortest time it was open, and its owners
    #[arg(long, requires = "from", help_heading = "Events")]
    summary: bool,

    /// Show the arguments of processes in JSON, with the usual secrets masked
    #[arg(long, help_heading = "Output")]
    argv: bool,

    /// Report on stderr how events are seen
    #[arg(short = 'v', long, help_heading = "Output")]
    verbose: bool,

    #[command(flatten)]
    style: StyleArgs,
}

/// Which events are wanted, and how they are shown.
struct Shown<'a> {
    args: &'a Args,
    catalogue: &'a Catalogue,
    filter: Filter,
    lines: EventLines,
    /// How many were shown.
    count: u64,
}

impl Shown<'_> {
    fn is_json(&self) -> bool {
        self.args.json || self.args.format == Format::Ndjson
    }

    fn is_full(&self) -> bool {
        self.args.count.is_some_and(|most| self.count >= most)
    }

    /// Which of the events are wanted, by their place; no more than may still be shown.
    fn wanted(&mut self, changes: &Changes, listing: &Listing<'_>) -> Result<Vec<bool>, Error> {
        let mut admitted = Listing { rows: listing.rows.clone(), ..*listing };
        admitted.retain(|row| self.filter.admits(row));
        self.args.selection.keep_where(&mut admitted)?;
        let mut is_admitted = vec![false; listing.rows.len()];
        let mut left = admitted.rows.iter().map(|row| std::ptr::from_ref(row.socket)).peekable();
        for (index, row) in listing.rows.iter().enumerate() {
            is_admitted[index] = left.next_if(|socket| std::ptr::eq(*socket, row.socket)).is_some();
        }
        let mut wanted = Vec::with_capacity(changes.events.len());
        for event in &changes.events {
            // What was lost may have been any.
            let is_meant = event.socket.is_none_or(|index| is_admitted.get(index) == Some(&true));
            let is_it = is_meant && self.is_of_kind(event) && !self.is_full();
            self.count += u64::from(is_it);
            wanted.push(is_it);
        }
        Ok(wanted)
    }

    fn is_of_kind(&self, event: &Event) -> bool {
        self.args.kinds.is_empty() || self.args.kinds.contains(&event.kind)
    }

    fn show(&mut self, changes: &Changes, context: &mut Context) -> Result<(), Error> {
        let listing = join::listing(&changes.snapshot, Some(self.catalogue));
        let wanted = self.wanted(changes, &listing)?;
        let is_wanted = |index: usize, _: &Event| wanted.get(index) == Some(&true);
        if self.is_json() {
            document::events::write(&mut context.stdout, changes, &listing, is_wanted)?;
        } else {
            self.lines.write(&mut context.stdout, changes, &listing, is_wanted)?;
        }
        Ok(())
    }
}

pub fn run(args: &Args, context: &mut Context) -> Result<ExitStatus, Error> {
    let catalogue = context.configuration.catalogue(&args.style.labels, &context.environment)?;
    let filter = args.selection.filter(|word| catalogue.ports_named(word));
    let filter = Filter { protocols: args.selection.protocols.or_every(), ..filter };
    let style = args.style.style(context);
    let lines = EventLines::new(style, args.selection.source.from.is_some());
    let mut shown = Shown { args, catalogue: &catalogue, filter, lines, count: 0 };
    if let Some(path) = &args.selection.source.from {
        return recorded::run(path, &mut shown, style, context);
    }
    live(&mut shown, context)
}

fn live(shown: &mut Shown<'_>, context: &mut Context) -> Result<ExitStatus, Error> {
    let args = shown.args;
    let asked = Asked::to_end().map_err(|error| Error::Unable(mistake::cannot_wait(&error)))?;
    let started = context.now();
    let need = args.selection.need_of_events(args.argv);
    let watching = Watching {
        connections: args.connections,
        interval: args.interval,
        poll_only: args.poll,
        drop_privileges: true,
    };
    let mut follow = Follow::start(&*context.source, &need, watching, args.initial)?;
    notes(follow.ways(), args, context);
    let mut is_begun = false;
    while !asked.is_so() && !shown.is_full() {
        let Some(wait) = left(args.duration, started, context.now()) else { break };
        for changes in follow.next(wait.min(TICK).into())? {
            shown.show(&changes, context)?;
        }
        context.stdout.flush()?;
        if let Some(table) = follow.table().filter(|_| !is_begun) {
            is_begun = true;
            // What could not be seen of the first table cannot be seen later.
            let missing = summary::missing(table, context.program.as_deref());
            context.tell(missing);
        }
    }
    Ok(ExitStatus::Yes)
}

/// How much of the time is left; nothing when it is over.
fn left(duration: Option<Duration>, started: Instant, now: Instant) -> Option<Duration> {
    let Some(duration) = duration else { return Some(TICK) };
    duration.checked_sub(now.duration_since(started)).filter(|left| !left.is_zero())
}

/// Says once what is not seen, and why a better way is not taken.
fn notes(ways: &Ways, args: &Args, context: &mut Context) {
    if args.verbose {
        context.note(&event::ways(ways));
        for reason in &ways.refused {
            context.note(reason);
        }
    }
    if ways.binds == Some(BindWay::OfEveryCall) {
        context.note(event::EVERY_CALL);
    }
    if args.poll || ways.binds.is_some() {
        return;
    }
    let (line, hint) = event::unseen(ways, context.program.as_deref());
    context.note(&line);
    if let Some(hint) = hint {
        context.hint(&hint);
    }
}
