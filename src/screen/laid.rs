//! The listing as the screen has it: what is shown of the sockets, in which order.

use super::sockets::{FADE, Id, Sockets, id};
use crate::analyse::kill;
use crate::catalogue::Catalogue;
use crate::join;
use crate::model::{EventKind, Listing, Port, Protocol, Row, State};
use crate::render::page;
use crate::render::page::listing::{self, Sheet, TableOptions};
use crate::render::text::safe::{Charset, Text};
use crate::render::words::column::Column;
use crate::render::words::{screen as words, socket, summary};
use crate::select::group::{self, Group};
use crate::select::leftovers::{self, Leftovers};
use crate::select::{self, Filter, Sorting, TargetList, Wanted};

/// What the command line and the prompts say of the listing.
pub struct Lens<'a> {
    /// The names of services.
    pub catalogue: &'a Catalogue,
    /// Whether services are named.
    pub has_names: bool,
    /// What was asked for on the command line.
    pub filter: &'a Filter,
    /// States in which a socket is listed though no process holds it.
    pub lists: &'a dyn Fn(State) -> bool,
    /// Keeps the rows for which the conditions hold, or says why that cannot be known.
    pub keep: &'a dyn Fn(&mut Listing<'_>) -> Result<(), String>,
    /// The columns and the look, for so many columns of the terminal, with or without traffic.
    pub options: &'a dyn Fn(&Listing<'_>, usize, bool) -> TableOptions,
    /// What is shown changes with every table: timers, what waits in sockets, or a condition that may be about them.
    pub exact: bool,
}

/// What is shown of the sockets.
#[derive(Clone, Debug)]
pub struct Choice {
    /// Only listeners.
    pub listeners: bool,
    /// TCP is shown.
    pub tcp: bool,
    /// UDP is shown.
    pub udp: bool,
    /// Sockets that no process holds any more or yet are shown.
    pub leftovers: bool,
    /// What was typed as a filter.
    pub targets: Vec<TargetList>,
    /// The order.
    pub sort: Option<Sorting>,
    /// One row for each service.
    pub grouped: bool,
    /// What connections carry is shown.
    pub traffic: bool,
}

impl Choice {
    /// The protocols that are shown.
    fn protocols(&self) -> Vec<Protocol> {
        let is_shown = |protocol: &Protocol| if *protocol == Protocol::Tcp { self.tcp } else { self.udp };
        Protocol::ALL.into_iter().filter(is_shown).collect()
    }

    /// A test for rows.
    pub fn admits<'c>(&self, lens: &Lens<'c>) -> impl Fn(&Row<'_>) -> bool + use<'c> {
        let protocols = self.protocols();
        let filter = Filter { protocols: protocols.clone(), listeners_only: self.listeners, ..lens.filter.clone() };
        let named = |word: &str| lens.catalogue.ports_named(word);
        let typed: Vec<Wanted> = TargetList::all(&self.targets).map(|target| Wanted::new(target, named)).collect();
        move |row| {
            let finds = |wanted: &Wanted| wanted.means(row.socket.protocol, &protocols) && wanted.finds(row);
            filter.admits(row) && (typed.is_empty() || typed.iter().any(finds))
        }
    }
}

/// A row of the screen.
#[derive(Clone, Debug)]
pub struct Line {
    /// Which socket it is.
    pub id: Id,
    /// Its port.
    pub port: Port,
    /// Whether it waits for others.
    pub waits: bool,
    /// What has changed of it lately.
    pub mark: Option<EventKind>,
}

/// The listing, fitted to the screen.
#[derive(Clone, Debug, Default)]
pub struct Laid {
    /// The line above the table.
    pub title: Text,
    /// The table.
    pub sheet: Sheet,
    /// A line for each row of the table.
    pub lines: Vec<Line>,
    /// What a condition could not say.
    pub problem: Option<String>,
}

impl Laid {
    /// The index of the column with the states, if it is shown.
    pub fn state_column(&self) -> Option<usize> {
        self.sheet.columns.iter().position(|column| *column == Column::State)
    }
}

/// Joins, selects, sorts and fits the sockets.
pub fn lay(sockets: &Sockets, choice: &Choice, lens: &Lens<'_>, width: usize) -> Laid {
    let Some(snapshot) = sockets.snapshot() else { return Laid::default() };
    let mut listing = join::listing(snapshot, lens.has_names.then_some(lens.catalogue));
    listing.retain(choice.admits(lens));
    join::add_counterparts(&mut listing);
    // Where a condition has no answer all rows stay.
    let problem = (lens.keep)(&mut listing).err();
    let mut options = (lens.options)(&listing, width, choice.traffic);
    options.leftovers = if choice.leftovers { Leftovers::new() } else { leftovers::take(&mut listing, lens.lists) };
    let is_closed = |row: &Row<'_>| sockets.mark(&id(row.socket)).is_some_and(super::sockets::Mark::is_closed);
    // What is closed is shown and not counted.
    let closed: Vec<Row<'_>> = listing.rows.extract_if(.., |row| is_closed(row)).collect();
    let charset = options.style.charset;
    let title = summary::title_of_listing(&listing, &options.leftovers, "a", options.verbose, charset);
    if !closed.is_empty() {
        options.least_state = words::closed(FADE, None).first().map_or(0, String::len);
    }
    listing.rows.extend(closed);
    match choice.sort {
        Some(sorting) => sorting.sort(&mut listing.rows),
        None => select::in_default_order(&mut listing.rows),
    }
    let title = match sockets.total().filter(|_| choice.traffic) {
        Some(total) => summary::with_traffic(&title, total, charset),
        None => title,
    };
    let (sheet, lines) = if choice.grouped {
        let groups = group::groups_of(&listing.rows, is_closed);
        let sheet = page::group::sheet(&listing, &groups, &options);
        (sheet, groups.iter().filter_map(|group| line_of_group(group, sockets)).collect())
    } else {
        let lines = listing.rows.iter().map(|row| line(row, sockets)).collect();
        (listing::sheet(&listing, &options), lines)
    };
    Laid { title, sheet, lines, problem }
}

fn line(row: &Row<'_>, sockets: &Sockets) -> Line {
    let id = id(row.socket);
    let mark = sockets.mark(&id).map(|mark| mark.kind);
    Line { id, port: row.socket.local.port, waits: kill::waits(row), mark }
}

/// The first socket of the service, with what has changed of any.
fn line_of_group(group: &Group<'_, '_>, sockets: &Sockets) -> Option<Line> {
    let marks = || group.rows.iter().map(|row| sockets.mark(&id(row.socket)));
    let open = marks().position(|mark| !mark.is_some_and(super::sockets::Mark::is_closed)).unwrap_or(0);
    let mark = marks().flatten().next().map(|mark| mark.kind);
    Some(Line { mark, ..line(group.rows.get(open)?, sockets) })
}

/// The socket as a target of `kill` and `close`; nothing where these would not find it.
pub fn target(sockets: &Sockets, wanted: &Id, charset: Charset) -> Option<String> {
    let snapshot = sockets.snapshot()?;
    let listing = join::listing(snapshot, None);
    // The same port of another port space is another socket.
    let is_it = |row: &&Row<'_>| id(row.socket) == *wanted && row.space.id == snapshot.own;
    let row = listing.rows.iter().find(is_it)?;
    Some(format!("{}/{}", socket::local(row, charset), row.socket.protocol.name()))
}
