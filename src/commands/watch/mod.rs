//! `portscope watch`: the listing, live and full-screen.

mod feed;
mod others;
mod redirects;
mod shown;

use std::time::{Duration, Instant};

use feed::Feed;
use others::Others;
use shown::Watch;

use crate::cli::{
    ColumnChange, Defaults, Format, HeaderArgs, JsonArgs, OutputArgs, SelectionArgs, StrictArgs, StyleArgs,
    parse_duration, parse_sorting,
};
use crate::context::Context;
use crate::error::{Error, ExitStatus};
use crate::model::Protocol;
use crate::render::words::mistake;
use crate::render::words::screen as words;
use crate::screen::laid::Choice;
use crate::screen::state::State;
use crate::screen::terminal::{self, Session};
use crate::select::Sorting;
use crate::system::signals::{Alarm, AskedAtTerminal, Stopped};
use crate::system::stdout::standard_output;

/// Show the listing live and full-screen, with each change marked
///
/// Marks each socket that opens, closes, or changes its owner, and shows the latest events at the bottom. Keys filter,
/// sort, and show details: press `?` for the list. Changes that the kernel reports appear at once, others when the socket
/// table is read again. Needs a terminal; `portscope events` prints changes line by line.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    selection: SelectionArgs,

    /// Columns to show: A,B for only these, +C,-D to add and remove some
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',', value_parser = ColumnChange::parse, allow_hyphen_values = true, help_heading = "Output")]
    columns: Vec<ColumnChange>,

    /// Column to sort by; COLUMN:desc for descending order
    #[arg(long, value_name = "COLUMN[:desc]", value_parser = parse_sorting, help_heading = "Output")]
    sort: Option<Sorting>,

    /// Do not show service names
    #[arg(short = 'n', long, help_heading = "Output")]
    numeric: bool,

    /// One row for each service, like -g in the listing
    #[arg(short = 'g', long, help_heading = "Output")]
    group: bool,

    /// Show bytes per second, round-trip times, and retransmits of TCP connections
    #[arg(long, help_heading = "Output")]
    traffic: bool,

    /// How often to read the socket table; chosen by how long a read takes if not given
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, help_heading = "Events")]
    interval: Option<Duration>,

    /// Only read the socket table: no load on a busy server, but ports that open and close between two reads are missed
    #[arg(long, help_heading = "Events")]
    poll: bool,

    /// With --from: replay the record at this multiple of its speed
    #[arg(long, value_name = "N", value_parser = parse_speed, default_value = "1", help_heading = "Events")]
    speed: f64,

    #[command(flatten)]
    style: StyleArgs,
}

pub fn run(args: &Args, defaults: &Defaults, context: &mut Context) -> Result<ExitStatus, Error> {
    if !context.is_at_terminal() || context.environment.text("TERM").is_some_and(|term| term == "dumb") {
        return Err(Error::Unable(words::NEEDS_TERMINAL.to_owned()));
    }
    let catalogue = context.configuration.catalogue(&args.style.labels, &context.environment)?;
    let wait = |error| Error::Unable(mistake::cannot_wait(&error));
    let asked = AskedAtTerminal::watch().map_err(wait)?;
    let stopped = Stopped::watch().map_err(wait)?;
    let alarm = Alarm::set().map_err(wait)?;
    let feed = Feed::start(args, context)?;
    let filter = args.selection.filter(|word| catalogue.ports_named(word));
    let style = args.style.style(context);
    let choice = Choice {
        listeners: filter.listeners_only,
        tcp: filter.protocols.contains(&Protocol::Tcp),
        udp: filter.protocols.contains(&Protocol::Udp),
        leftovers: args.selection.all,
        targets: Vec::new(),
        sort: args.sort.or(defaults.sort.as_ref().map(|preset| preset.value)),
        grouped: args.group,
        traffic: args.traffic,
    };
    let mut state = State::new(style, choice);
    state.is_looking = args.selection.source.from.is_none();
    state.notes.extend(feed.unseen(args.poll, context));
    let mut watch = Watch {
        selection: args.selection.clone(),
        typed_from: args.selection.conditions.len(),
        output: output(args).with(defaults),
        defaults,
        catalogue: &catalogue,
        filter,
        style,
        others: Others::new(&args.selection.source, style),
        asked: asked.clone(),
        stopped,
        alarm,
        feed,
        has_said_unknown: false,
        has_said_lost: false,
    };
    let mut session = Session::enter(standard_output())?;
    let end = watch.show(&mut state, &mut session, context);
    let restored = session.give_back();
    end?;
    if terminal::is_there() {
        restored?;
    }
    Ok(ExitStatus::Yes)
}

/// The flags of the listing that are not flags here, as they are when nobody gives them.
fn output(args: &Args) -> OutputArgs {
    OutputArgs {
        format: Format::Table,
        document: JsonArgs { json: false },
        pids_only: false,
        group: false,
        columns: args.columns.clone(),
        sort: args.sort,
        numeric: args.numeric,
        header: HeaderArgs { no_header: false },
        argv: false,
        traffic: false,
        verbose: 0,
        strictness: StrictArgs { strict: false },
        style: args.style.clone(),
    }
}

fn parse_speed(text: &str) -> Result<f64, String> {
    let speed = text.parse().ok().filter(|speed: &f64| (0.01..=10_000.0).contains(speed));
    speed.ok_or_else(|| words::not_a_speed(text))
}

/// The time since the start, for a replay.
fn since(started: Instant) -> Duration {
    started.elapsed()
}
