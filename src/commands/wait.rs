//! `portscope wait`: until somebody listens on a port, or nobody does.

use std::io::Write;
use std::time::{Duration, Instant};

use crate::analyse::stop;
use crate::cli::{ProtocolArgs, parse_duration, parse_name, parse_port};
use crate::context::{Context, Environment, Terminal};
use crate::error::{Error, ExitStatus};
use crate::join;
use crate::model::{Listing, Need, Port, Protocol, Row, Snapshot, Socket, SpaceChoice, State};
use crate::render::json;
use crate::render::progress::Spinner;
use crate::render::style::{ColorChoice, Style};
use crate::render::wait::{self, Goal, Outcome, WaitReport};
use crate::select::Pattern;

/// The time between the first two looks; each later one is half as long again.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
/// The longest time between two looks.
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// Wait until a port is listened on, or is free
///
/// Judged from the table of sockets: no packet is sent, so no server sees a connection that is none. A TCP port is
/// listened on when a socket is in LISTEN, a UDP port when one is bound and has no peer.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  portscope wait 8080                             until somebody listens on tcp 8080
  portscope wait 5432 6379 --timeout 2m           on both
  portscope wait 8080 --process nginx             until it is nginx that listens
  portscope wait 8080 --free                      until a server could take it

Exit codes: 0 it is so, 1 not within the time, 2 the command line is wrong or the system could not be asked")]
pub struct Args {
    /// Ports: 8080 or :8080
    #[arg(value_name = "PORT", value_parser = parse_port, required = true)]
    ports: Vec<Port>,

    #[command(flatten)]
    protocols: ProtocolArgs,

    /// Until no socket listens on it or is bound to it
    #[arg(long)]
    free: bool,

    /// With --free: until no connection is left on it either, TIME_WAIT included
    #[arg(long, requires = "free")]
    any_state: bool,

    /// Until it is so for one of the ports
    #[arg(long, conflicts_with = "all")]
    any: bool,

    /// Until it is so for every one of the ports (the default)
    #[arg(long)]
    all: bool,

    /// How long at most: 500ms, 30s, 5m; 0s to look once
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, default_value = "30s")]
    timeout: Duration,

    /// Until a process listens whose name begins so
    #[arg(long = "process", value_name = "NAME", value_delimiter = ',', value_parser = parse_name, conflicts_with = "free")]
    processes: Vec<String>,

    /// Say nothing: only the exit code
    #[arg(short = 'q', long, conflicts_with = "json")]
    quiet: bool,

    /// One document
    #[arg(long)]
    json: bool,
}

impl Args {
    fn goal(&self) -> Goal {
        if self.free { Goal::Free } else { Goal::Listening }
    }

    /// Each port with each protocol.
    fn aims(&self) -> impl Iterator<Item = (Port, Protocol)> {
        let protocols = self.protocols.protocols();
        let mut aims: Vec<_> =
            self.ports.iter().flat_map(|port| protocols.iter().map(|protocol| (*port, *protocol))).collect();
        let mut seen = std::collections::BTreeSet::new();
        aims.retain(|aim| seen.insert(*aim));
        aims.into_iter()
    }

    fn need(&self) -> Need {
        Need {
            protocols: self.protocols.protocols(),
            ports: Some(self.ports.iter().copied().collect()),
            exe: self.json || !self.processes.is_empty(),
            spaces: SpaceChoice::Own,
            helpers: false,
            ..Need::default()
        }
    }

    /// The states that the table must be asked for again and again.
    fn states(&self) -> Option<Vec<State>> {
        let has_udp = self.protocols.protocols().contains(&Protocol::Udp);
        match self.goal() {
            Goal::Listening => Some(vec![State::Listen, State::Unconnected]),
            Goal::Free if self.any_state || has_udp => None,
            Goal::Free => Some(vec![State::Listen, State::Bound]),
        }
    }

    fn is_enough(&self, mut reached: impl Iterator<Item = bool>) -> bool {
        if self.any { reached.any(|one| one) } else { reached.all(|one| one) }
    }

    /// Says whether the socket keeps the port from being free.
    fn blocks(&self, socket: &Socket) -> bool {
        (self.any_state && socket.state != Some(State::Redirect)) || stop::blocks(socket.protocol, socket.state)
    }

    /// A first judgement from the sockets alone; it may only be too hopeful.
    fn may_be_reached(&self, sockets: &[Socket]) -> bool {
        self.is_enough(self.aims().map(|(port, protocol)| {
            let mut on_it = sockets.iter().filter(|s| s.local.port == port && s.protocol == protocol);
            match self.goal() {
                Goal::Listening => on_it.any(|socket| stop::waits_in(protocol, socket.state)),
                Goal::Free => !on_it.any(|socket| self.blocks(socket)),
            }
        }))
    }

    /// The judgement with holders.
    fn outcomes<'r, 'a>(&self, listing: &'r Listing<'a>) -> Vec<Outcome<'r, 'a>> {
        let patterns: Vec<Pattern> = self.processes.iter().map(|name| Pattern::new(name)).collect();
        let is_wanted = |row: &&Row<'_>| {
            stop::waits(row) && (patterns.is_empty() || patterns.iter().any(|pattern| pattern.matches_row(row)))
        };
        let outcome = |(port, protocol): (Port, Protocol)| {
            let on_it = |row: &&Row<'_>| row.socket.local.port == port && row.socket.protocol == protocol;
            let rows: Vec<&Row<'_>> = listing.rows.iter().filter(on_it).collect();
            match self.goal() {
                Goal::Free => {
                    let is_reached = !rows.iter().any(|row| self.blocks(row.socket));
                    Outcome { port, protocol, is_reached, rows }
                }
                Goal::Listening => {
                    let wanted: Vec<&Row<'_>> = rows.iter().copied().filter(is_wanted).collect();
                    let is_reached = !wanted.is_empty();
                    Outcome { port, protocol, is_reached, rows: if is_reached { wanted } else { rows } }
                }
            }
        };
        self.aims().map(outcome).collect()
    }
}

pub fn run(args: &Args, context: &mut Context) -> Result<ExitStatus, Error> {
    let started = context.now();
    let snapshot = watch(args, started, context)?;
    let elapsed = context.now().duration_since(started);
    let listing = join::listing(&snapshot, None);
    let outcomes = args.outcomes(&listing);
    let is_reached = args.is_enough(outcomes.iter().map(|outcome| outcome.is_reached));
    let style = Style::new(ColorChoice::Auto, &context.environment, context.terminal);
    if args.json {
        let report = WaitReport::new(args.goal(), is_reached, elapsed, &outcomes);
        json::write(&mut context.stdout, &report, context.terminal.is_tty)?;
    } else if !args.quiet {
        for outcome in outcomes.iter().filter(|outcome| outcome.is_reached) {
            for line in wait::reached(args.goal(), outcome, style.charset) {
                writeln!(context.stdout, "{line}")?;
            }
        }
        context.stdout.flush()?;
        for outcome in outcomes.iter().filter(|outcome| !outcome.is_reached && !is_reached) {
            let line = wait::missed(args.goal(), outcome, &args.processes, style.charset);
            let within =
                if args.timeout.is_zero() { String::new() } else { format!("not within {:?}: ", args.timeout) };
            context.note(&format!("{within}{line}"));
        }
    }
    Ok(if is_reached { ExitStatus::Yes } else { ExitStatus::No })
}

/// Looks until it is so, or the time is over; the last look is the answer either way.
///
/// A dump may miss a socket that is there and never shows one that is not (C4). So what is there needs one look, and
/// what is not there two: the sockets alone, and then with their holders.
fn watch(args: &Args, started: Instant, context: &mut Context) -> Result<Snapshot, Error> {
    let need = args.need();
    let often = Need { states: args.states(), ..need.clone() };
    let spinner = spinner(args, context);
    let mut pause = FIRST_PAUSE;
    loop {
        let may_be_reached = args.may_be_reached(&context.source.sockets(&often)?);
        let left = args.timeout.saturating_sub(context.now().duration_since(started));
        if may_be_reached || left.is_zero() {
            let snapshot = context.source.snapshot(&need)?;
            let listing = join::listing(&snapshot, None);
            let outcomes = args.outcomes(&listing);
            if left.is_zero() || args.is_enough(outcomes.iter().map(|outcome| outcome.is_reached)) {
                return Ok(snapshot);
            }
        }
        if let Some(spinner) = &spinner {
            spinner.turn();
        }
        context.pause(pause.min(left));
        pause = (pause + pause / 2).min(LONGEST_PAUSE);
    }
}

fn spinner(args: &Args, context: &Context) -> Option<Spinner> {
    if args.quiet || !context.is_stderr_tty {
        return None;
    }
    let ports: Vec<String> = args.aims().map(|(port, protocol)| format!("{} {port}", protocol.name())).collect();
    let goal = if args.free { "to be free" } else { "to listen" };
    Some(Spinner::start(&format!("waiting for {} {goal}", ports.join(", ")), style_of_stderr(context)))
}

/// The look of what is drawn beside the output.
fn style_of_stderr(context: &Context) -> Style {
    let terminal = Terminal { is_tty: context.is_stderr_tty, ..context.terminal };
    let environment: &Environment = &context.environment;
    Style::new(ColorChoice::Never, environment, terminal)
}
