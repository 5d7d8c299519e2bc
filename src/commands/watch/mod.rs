//! `portscope watch`: the listing, live and full-screen.

mod feed;
mod others;

use std::time::{Duration, Instant};

use feed::Feed;
use others::Others;

use crate::catalogue::Catalogue;
use crate::cli::{
    ColumnChange, Defaults, Format, HeaderArgs, JsonArgs, OutputArgs, SelectionArgs, StrictArgs, StyleArgs,
    parse_duration, parse_sorting,
};
use crate::config;
use crate::context::Context;
use crate::error::{Error, ExitStatus};
use crate::join;
use crate::model::{Listing, Protocol};
use crate::render::page::listing::TableOptions;
use crate::render::table::draw::Frame;
use crate::render::text::style::Style;
use crate::render::words::column::Column;
use crate::render::words::event;
use crate::screen::laid::{Choice, Lens};
use crate::screen::state::{Act, Over, State};
use crate::screen::terminal::{self, Session};
use crate::screen::view;
use crate::select::leftovers::Leftovers;
use crate::select::{Filter, Sorting};
use crate::system::signals::{self, Asked, Stopped};
use crate::system::stdout::standard_output;

/// The longest wait until keys, signals and the clock are looked at again.
const TICK: Duration = Duration::from_millis(30);

/// Show the listing live and full-screen, with each change marked
///
/// Marks what opens, closes, or changes its owner, shows the last events below, and filters, sorts, and explains while
/// you look: press `?` for the keys. What the kernel reports is on the screen at once, and everything else after the next
/// look at the table. Redirected ports are not shown. Needs a terminal; `portscope events` prints changes line by line.
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

    /// Time between two looks at the table; adapted to what a look costs if not given
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, help_heading = "Events")]
    interval: Option<Duration>,

    /// Only look at the table; costs a busy server nothing and misses what lives shorter than the interval
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
        return Err(Error::Unable(
            "watch needs a terminal that can move its cursor; use `portscope events` to print changes line by line"
                .to_owned(),
        ));
    }
    let catalogue = config::catalogue(&args.style.labels, &context.environment)?;
    let wait = |error| Error::Unable(format!("cannot wait for signals: {error}"));
    let asked = Asked::to_end().map_err(wait)?;
    asked.or_to_hang_up().map_err(wait)?;
    let stopped = Stopped::watch().map_err(wait)?;
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
    };
    let mut state = State::new(style, choice);
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
    };
    let mut session = Session::enter(standard_output())?;
    let end = watch.show(feed, &mut state, &mut session, (&asked, &stopped), context);
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
        verbose: false,
        strictness: StrictArgs { strict: false },
        style: args.style.clone(),
    }
}

/// What stays the same while the screen is shown, and what prompts change.
struct Watch<'a> {
    selection: SelectionArgs,
    /// The index of the first condition that was typed into the screen.
    typed_from: usize,
    output: OutputArgs,
    defaults: &'a Defaults,
    catalogue: &'a Catalogue,
    filter: Filter,
    style: Style,
    others: Others,
}

impl Watch<'_> {
    fn show(
        &mut self,
        mut feed: Feed,
        state: &mut State,
        session: &mut Session,
        (asked, stopped): (&Asked, &Stopped),
        context: &mut Context,
    ) -> Result<(), Error> {
        let started = context.now();
        let mut must_draw = true;
        while !asked.is_so() {
            let came = feed.next(TICK)?;
            let has_come = came.table.is_some() || !came.changes.is_empty();
            for changes in came.changes {
                state.apply(changes);
            }
            if let Some(table) = came.table {
                if state.laid.title.as_str().is_empty() {
                    // What could not be seen of the first table cannot be seen later.
                    let notes = super::gaps(&join::listing(&table, None), context);
                    notes.first().iter().for_each(|note| state.say(note));
                    state.notes.extend(notes);
                }
                state.replace(table);
            }
            if came.has_ended {
                state.say("end of the record");
            }
            if !terminal::is_there() {
                return Ok(());
            }
            for key in session.keys()? {
                must_draw = true;
                match state.press(key) {
                    None => {}
                    Some(Act::Quit) => return Ok(()),
                    Some(Act::Suspend) => self.suspend(session)?,
                    Some(act) => self.act(&act, state, session, context)?,
                }
                // The next key may be about what this one has changed.
                self.lay(state);
            }
            if stopped.is_asked() {
                self.suspend(session)?;
                must_draw = true;
            } else if stopped.has_gone_on() {
                // It was stopped by force, and the shell may have changed the modes of the terminal.
                session.take()?;
                must_draw = true;
            }
            let now = context.now();
            let size = terminal::size().unwrap_or(state.size());
            if size != state.size() {
                state.resize(size.0, size.1);
                must_draw = true;
            }
            must_draw |= state.tick(now.duration_since(started)) || has_come;
            if std::mem::take(&mut must_draw) {
                self.lay(state);
                session.draw(state.size(), |buffer| view::draw(buffer, state, self.style))?;
            }
        }
        Ok(())
    }

    fn lay(&self, state: &mut State) {
        let keep = |listing: &mut Listing<'_>| self.selection.keep_where(listing).map_err(|error| error.to_string());
        let options = |listing: &Listing<'_>, width: usize| TableOptions {
            columns: self.output.columns_for_person(listing),
            // Columns that come and go as states do would make the table jump, and a closed socket says so there.
            named: self.output.named().into_iter().chain([Column::State]).collect(),
            leftovers: Leftovers::new(),
            verbose: false,
            bare: false,
            fitted: true,
            names_peers: true,
            frame: Frame::Plain,
            style: Style { width: Some(width), ..self.style },
        };
        state.lay(&Lens {
            catalogue: self.catalogue,
            has_names: !self.output.numeric,
            filter: &self.filter,
            lists: &|state| self.defaults.lists(state),
            keep: &keep,
            options: &options,
        });
    }

    #[expect(clippy::unused_self, reason = "one of the things that keys ask for")]
    fn suspend(&self, session: &mut Session) -> Result<(), Error> {
        session.give_back()?;
        signals::stop()?;
        Ok(session.take()?)
    }

    fn act(&mut self, act: &Act, state: &mut State, session: &mut Session, context: &mut Context) -> Result<(), Error> {
        if self.selection.source.from.is_some()
            && matches!(act, Act::Info(_) | Act::Kill(_) | Act::Close(_) | Act::Save)
        {
            state.say("not in a record: this machine may be another one");
            return Ok(());
        }
        match act {
            Act::Quit | Act::Suspend => {}
            Act::Info(port) => {
                let width = usize::from(state.size().0);
                let lines = self.others.info(*port, width, context);
                state.over = Some(Over::Page(lines, 0));
            }
            Act::Save => {
                let message = self.others.save(context);
                state.say(&message);
            }
            Act::Kill(target) => self.others.ask("kill", target, session, context)?,
            Act::Close(target) => self.others.ask("close", target, session, context)?,
            Act::Condition(text) => self.set_condition(text, state),
            Act::Columns(text) => self.change_columns(text, state),
        }
        Ok(())
    }

    fn set_condition(&mut self, text: &str, state: &mut State) {
        // Those of the command line stay; the one that was typed last takes the place of the one before.
        match text.trim() {
            "" => self.selection.conditions.truncate(self.typed_from),
            text => match text.parse() {
                Ok(condition) => {
                    self.selection.conditions.truncate(self.typed_from);
                    self.selection.conditions.push(condition);
                }
                Err(problem) => state.say(&problem),
            },
        }
        state.is_old = true;
    }

    fn change_columns(&mut self, text: &str, state: &mut State) {
        let changes: Result<Vec<ColumnChange>, String> =
            text.split([',', ' ']).filter(|name| !name.is_empty()).map(str::parse::<ColumnChange>).collect();
        let before = self.output.columns.clone();
        match changes {
            Ok(changes) => self.output.columns.extend(changes),
            Err(problem) => state.say(&problem),
        }
        if let Err(problem) = self.output.check() {
            self.output.columns = before;
            state.say(&problem.to_string());
        }
        state.is_old = true;
    }
}

fn parse_speed(text: &str) -> Result<f64, String> {
    let speed = text.parse().ok().filter(|speed: &f64| (0.01..=10_000.0).contains(speed));
    speed.ok_or_else(|| format!("`{text}` is not a speed: expected 0.01 to 10000, such as 2 for twice as fast"))
}

/// The time since the start, for a replay.
fn since(started: Instant) -> Duration {
    started.elapsed()
}

/// What is not seen of the machine, for `?`.
fn unseen(ways: &crate::model::Ways, context: &Context) -> Vec<String> {
    let (line, hint) = event::unseen(ways, context.program.as_deref());
    let hint = hint.map(|hint| format!("hint: {}", hint.replace(" events", " watch")));
    std::iter::once(line).chain(hint).collect()
}
