//! `portscope wait`: until somebody listens on a port, or nobody does.

use std::collections::BTreeSet;
use std::io::Write;
use std::time::{Duration, Instant};

use super::{KERNEL, ports};
use crate::analyse::wait::{Condition, Goal, Place};
use crate::catalogue::Catalogue;
use crate::cli::{JsonArgs, ProtocolArgs, parse_duration, parse_name};
use crate::collect::probe;
use crate::context::Context;
use crate::environment::{Environment, Terminal};
use crate::error::{Error, ExitStatus};
use crate::join;
use crate::model::{BindError, Need, Snapshot, SpaceChoice};
use crate::render::document::json;
use crate::render::document::wait::WaitReport;
use crate::render::page::progress::Spinner;
use crate::render::text::style::{ColorChoice, Style};
use crate::render::words::wait;
use crate::select::{Pattern, TargetList};

/// The time between the first two looks; each later one is half as long again.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
/// The longest time between two looks.
const LONGEST_PAUSE: Duration = Duration::from_millis(250);
/// The time between two looks at the rules of the firewall, which take longer.
const RULES_PAUSE: Duration = Duration::from_secs(1);

/// Wait until something is listening on a port, or until the port is free
///
/// Reads the socket table and sends nothing, so no server sees a stray connection. A TCP port is ready when a socket is in
/// LISTEN, a UDP port when a socket without a peer is bound to it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Ports: 8080, 53/udp, 8000-8010, localhost:8080, or the name of a service
    #[arg(value_name = "PORT", required = true)]
    ports: Vec<TargetList>,

    #[command(flatten)]
    protocols: ProtocolArgs,

    /// Wait until a server can bind the port
    #[arg(long)]
    free: bool,

    /// With --free: also wait until no connection is left on the port, not even in TIME_WAIT
    #[arg(long, requires = "free")]
    any_state: bool,

    /// Succeed when any one of the ports is ready
    #[arg(long, conflicts_with = "all")]
    any: bool,

    /// Succeed when all of the ports are ready (the default)
    #[arg(long)]
    all: bool,

    /// Give up after this time: 500ms, 30s, 5m; 0s to check once
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, default_value = "30s")]
    timeout: Duration,

    /// Wait until a process whose name starts with NAME is listening
    #[arg(long = "process", value_name = "NAME", value_delimiter = ',', value_parser = parse_name, conflicts_with = "free")]
    processes: Vec<String>,

    /// Print nothing; the exit status is the answer
    #[arg(short = 'q', long, conflicts_with = "json")]
    quiet: bool,

    #[command(flatten)]
    document: JsonArgs,
}

impl Args {
    fn condition(&self, catalogue: &Catalogue) -> Result<Condition, Error> {
        let mut places: Vec<Place> = Vec::new();
        for asked in ports::look_up(TargetList::all(&self.ports), &self.protocols.of_servers(), catalogue)? {
            let place = |(port, protocol)| Place { address: asked.address.cloned(), port, protocol };
            places.extend(asked.ports.iter().copied().map(place));
        }
        let mut seen = BTreeSet::new();
        places.retain(|place| seen.insert(place.to_string()));
        Ok(Condition {
            ports: places,
            goal: if self.free { Goal::Free } else { Goal::Listening },
            any: self.any,
            any_state: self.any_state,
            processes: self.processes.iter().map(|name| Pattern::new(name)).collect(),
        })
    }

    fn need(&self, condition: &Condition) -> Need {
        Need {
            protocols: condition.protocols(),
            ports: Some(condition.ports.iter().map(|place| place.port).collect()),
            exe: self.document.json || !self.processes.is_empty(),
            spaces: SpaceChoice::Own,
            helpers: false,
            ..Need::default()
        }
    }
}

pub fn run(args: &Args, context: &mut Context) -> Result<ExitStatus, Error> {
    let started = context.now();
    let catalogue = context.configuration.catalogue(&[], &context.environment)?;
    let condition = args.condition(&catalogue)?;
    let snapshot = watch(args, &condition, started, context)?;
    let elapsed = context.now().duration_since(started);
    let listing = join::listing(&snapshot, None);
    let outcomes = condition.outcomes(&listing, &refuses);
    let is_reached = condition.is_met(outcomes.iter().map(|outcome| outcome.is_reached));
    let style = context.style();
    if args.document.json {
        let report =
            WaitReport::new(&listing, condition.goal, is_reached, elapsed, &outcomes, context.program.as_deref());
        json::write(&mut context.stdout, &report, context.terminal.is_tty)?;
    } else if !args.quiet {
        for outcome in outcomes.iter().filter(|outcome| outcome.is_reached) {
            for line in wait::reached(condition.goal, outcome, style.charset) {
                context.say(&line)?;
            }
        }
        context.stdout.flush()?;
        for outcome in outcomes.iter().filter(|outcome| !outcome.is_reached && !is_reached) {
            let line = wait::missed(condition.goal, outcome, &args.processes, style.charset);
            context.note(&wait::timed_out(args.timeout, &line));
        }
    }
    Ok(if is_reached { ExitStatus::Yes } else { ExitStatus::No })
}

/// Why the kernel does not let a server have the port now, asked with a real bind.
fn refuses(place: &Place) -> Option<BindError> {
    KERNEL.refuses_server(place.address.as_ref(), place.port, place.protocol, probe::caller().platform)
}

/// Looks until it is so, or the time is over; the last look is the answer either way.
///
/// A dump may miss a socket that is there and never shows one that is not. So what is there needs one look, and
/// what is not there two: the sockets alone, and then with their holders.
fn watch(args: &Args, condition: &Condition, started: Instant, context: &mut Context) -> Result<Snapshot, Error> {
    let need = args.need(condition);
    let often = Need { states: condition.states(), ..need.clone() };
    let with_rules = Need { helpers: true, ..need.clone() };
    let mut next_rules = started + RULES_PAUSE;
    let spinner = spinner(args, condition, context);
    let mut pause = FIRST_PAUSE;
    loop {
        let may_be_reached = condition.may_be_met(&context.source.sockets(&often)?, &refuses);
        let now = context.now();
        let left = args.timeout.saturating_sub(now.duration_since(started));
        // A port that is published by a rule has no socket.
        let looks_at_rules = !may_be_reached
            && condition.goal == Goal::Listening
            && condition.processes.is_empty()
            && (left.is_zero() || now >= next_rules);
        if may_be_reached || left.is_zero() || looks_at_rules {
            let snapshot = context.source.snapshot(if looks_at_rules { &with_rules } else { &need })?;
            next_rules = context.now() + RULES_PAUSE;
            let listing = join::listing(&snapshot, None);
            let outcomes = condition.outcomes(&listing, &refuses);
            if left.is_zero() || condition.is_met(outcomes.iter().map(|outcome| outcome.is_reached)) {
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

fn spinner(args: &Args, condition: &Condition, context: &Context) -> Option<Spinner> {
    if args.quiet || !context.is_stderr_tty {
        return None;
    }
    let ports: Vec<String> = condition.ports.iter().map(ToString::to_string).collect();
    Some(Spinner::start(&wait::waiting(&ports, condition.goal), style_of_stderr(context)))
}

/// The look of what is drawn beside the output.
fn style_of_stderr(context: &Context) -> Style {
    let terminal = Terminal { is_tty: context.is_stderr_tty, ..context.terminal };
    let environment: &Environment = &context.environment;
    Style::new(Some(ColorChoice::Never), None, None, environment, terminal)
}
