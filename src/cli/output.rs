//! The flags that say how the answer looks.

use clap::Args;

use super::Defaults;
use super::nearest::suggesting;
use super::{HeaderArgs, JsonArgs, StrictArgs, StyleArgs, one_of};
use crate::context::Context;
use crate::error::Error;
use crate::model::Listing;
use crate::render::page::listing::SPARE;
use crate::render::words::column::Column;
use crate::select::{SortKey, Sorting};

/// `--output`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    /// Fitted to the terminal.
    Table,
    /// More columns, nothing shortened.
    Wide,
    /// One document.
    Json,
    /// One socket a line.
    Ndjson,
    /// Comma-separated.
    Csv,
    /// Tab-separated.
    Tsv,
    /// A Markdown table.
    Markdown,
}

impl Format {
    /// Says whether a format is called so.
    pub fn is_name(text: &str) -> bool {
        Format::ALL.iter().any(|format| format.name() == text)
    }

    const ALL: [Format; 7] =
        [Format::Table, Format::Wide, Format::Json, Format::Ndjson, Format::Csv, Format::Tsv, Format::Markdown];

    const fn name(self) -> &'static str {
        match self {
            Format::Table => "table",
            Format::Wide => "wide",
            Format::Json => "json",
            Format::Ndjson => "ndjson",
            Format::Csv => "csv",
            Format::Tsv => "tsv",
            Format::Markdown => "markdown",
        }
    }
}

/// How the answer looks.
#[derive(Args, Clone, Debug)]
pub struct OutputArgs {
    /// Output format
    #[arg(short = 'o', long = "output", value_name = "FORMAT", value_parser = one_of(&Format::ALL, Format::name), default_value = "table", conflicts_with = "json", help_heading = "Output")]
    pub format: Format,

    #[command(flatten, next_help_heading = "Output")]
    pub document: JsonArgs,

    /// Print only process IDs, one per line
    #[arg(long = "pids", conflicts_with_all = ["format", "json", "columns"], help_heading = "Output")]
    pub pids_only: bool,

    /// Columns to show: A,B for only these, +C,-D to add and remove some
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',', value_parser = ColumnChange::parse, allow_hyphen_values = true, help_heading = "Output")]
    pub columns: Vec<ColumnChange>,

    /// Column to sort by; COLUMN:desc for descending order
    #[arg(long, value_name = "COLUMN[:desc]", value_parser = parse_sorting, help_heading = "Output")]
    pub sort: Option<Sorting>,

    /// One row for each service: what a program, unit, or container has open, with its connections counted
    #[arg(short = 'g', long, conflicts_with_all = ["columns", "sort", "pids_only", "argv"], help_heading = "Output")]
    pub group: bool,

    /// Do not show service names
    #[arg(short = 'n', long, help_heading = "Output")]
    pub numeric: bool,

    #[command(flatten, next_help_heading = "Output")]
    pub header: HeaderArgs,

    /// Show command lines, with the usual secrets masked
    #[arg(long, help_heading = "Output")]
    pub argv: bool,

    /// Show what TCP connections have carried: columns rx, tx, rtt, retransmits, idle; `traffic` in JSON
    #[arg(long, help_heading = "Output")]
    pub traffic: bool,

    /// Report on stderr how data was collected; repeat it to report how long that took
    #[arg(short = 'v', long, action = clap::ArgAction::Count, help_heading = "Output")]
    pub verbose: u8,

    #[command(flatten, next_help_heading = "Output")]
    pub strictness: StrictArgs,

    #[command(flatten)]
    pub style: StyleArgs,
}

impl OutputArgs {
    /// The form that was asked for.
    pub fn format(&self) -> Format {
        if self.document.json { Format::Json } else { self.format }
    }

    /// The same, with what the configuration file says where the flags say nothing.
    pub fn with(&self, defaults: &Defaults) -> OutputArgs {
        let mut output = self.clone();
        let is_free = !self.group && !self.pids_only;
        let chooses = self.columns.iter().any(|change| matches!(change, ColumnChange::Only(_)));
        if let Some(columns) = defaults.columns.as_ref().filter(|_| is_free && !chooses) {
            output.columns.splice(0..0, columns.value.iter().copied());
        }
        if let Some(sort) = defaults.sort.as_ref().filter(|_| is_free && self.sort.is_none()) {
            output.sort = Some(sort.value);
        }
        output
    }

    /// The columns that were asked for; where rows of several spaces are shown, the space is one of them.
    pub fn columns_of(&self, listing: &Listing<'_>) -> Vec<Column> {
        let mut columns = self.columns();
        let is_chosen = self.columns.iter().any(|change| !matches!(change, ColumnChange::Add(_)));
        if listing.has_several_spaces() && !is_chosen && !columns.contains(&Column::Space) {
            columns.insert(0, Column::Space);
        }
        columns
    }

    /// The columns that a table for a person has: those that were asked for, and where none was chosen what is shown where
    /// there is room.
    pub fn columns_for_person(&self, listing: &Listing<'_>) -> Vec<Column> {
        let mut columns = self.columns_of(listing);
        if self.shows_spare() {
            let before_user = columns.iter().position(|column| *column == Column::User).unwrap_or(columns.len());
            let spare: Vec<Column> = SPARE.into_iter().filter(|column| !columns.contains(column)).collect();
            columns.splice(before_user..before_user, spare);
        }
        columns
    }

    /// Says whether columns are added where there is room for them.
    pub fn shows_spare(&self) -> bool {
        self.format() == Format::Table && !self.pids_only && self.columns.is_empty()
    }

    /// The columns that were asked for by name.
    pub fn named(&self) -> Vec<Column> {
        let named = |change: &ColumnChange| match change {
            ColumnChange::Only(column) | ColumnChange::Add(column) => Some(*column),
            ColumnChange::Drop(_) => None,
        };
        self.columns.iter().filter_map(named).chain(self.argv.then_some(Column::Argv)).collect()
    }

    /// The columns that were asked for.
    pub fn columns(&self) -> Vec<Column> {
        let basis = if self.format() == Format::Wide { &Column::WIDE[..] } else { &Column::DEFAULT };
        let mut columns: Vec<Column> = basis.to_vec();
        if self.numeric {
            columns.retain(|column| *column != Column::Service);
        }
        if self.argv {
            columns.push(Column::Argv);
        }
        if self.traffic {
            columns.extend(Column::TRAFFIC);
        }
        if self.columns.iter().any(|change| matches!(change, ColumnChange::Only(_))) {
            columns.clear();
        }
        for change in &self.columns {
            let (ColumnChange::Only(column) | ColumnChange::Add(column) | ColumnChange::Drop(column)) = *change;
            let has = columns.contains(&column);
            match change {
                ColumnChange::Drop(_) => columns.retain(|other| *other != column),
                _ if has => {}
                _ => columns.push(column),
            }
        }
        columns
    }

    /// Says whether the files that processes run must be collected.
    pub fn wants_exe(&self) -> bool {
        matches!(self.format(), Format::Json | Format::Ndjson) || self.columns().contains(&Column::Exe)
    }

    /// Says whether the units and containers of processes must be collected.
    pub fn wants_belonging(&self) -> bool {
        let columns = self.columns();
        matches!(self.format(), Format::Json | Format::Ndjson)
            || columns.contains(&Column::Unit)
            || columns.contains(&Column::Container)
            || columns.contains(&Column::Project)
    }

    /// Says whether it must be collected what interpreters run.
    pub fn wants_runs(&self) -> bool {
        let columns = self.columns();
        matches!(self.format(), Format::Json | Format::Ndjson)
            || [Column::Process, Column::Runs, Column::PeerProcess].iter().any(|column| columns.contains(column))
    }

    /// Says whether the projects of processes must be collected, and the folders that they work in.
    pub fn wants_project(&self) -> bool {
        let columns = self.columns();
        matches!(self.format(), Format::Json | Format::Ndjson)
            || [Column::Project, Column::Cwd].iter().any(|column| columns.contains(column))
    }

    /// Says whether the other ends of connections must be looked for.
    pub fn wants_peers(&self) -> bool {
        matches!(self.format(), Format::Json | Format::Ndjson) || self.columns().contains(&Column::PeerProcess)
    }

    /// Says whether PEER names the process at the other end: for people alone, and where it has no column of its own.
    pub fn names_peers(&self, context: &Context) -> bool {
        self.format() == Format::Table && context.terminal.is_tty && !self.columns().contains(&Column::PeerProcess)
    }

    /// Says whether it must be collected what connections have carried.
    pub fn wants_traffic(&self) -> bool {
        let columns = self.columns();
        self.traffic
            || Column::TRAFFIC.iter().any(|column| columns.contains(column))
            || self.sort.is_some_and(|sorting| sorting.key.is_about_traffic())
    }

    /// Says whether arguments must be collected.
    pub fn wants_argv(&self) -> bool {
        self.argv || self.columns().contains(&Column::Argv)
    }

    /// What makes no sense together.
    pub fn check(&self) -> Result<(), Error> {
        if self.columns().is_empty() {
            return Err(Error::Usage("`--columns` leaves no column: name at least one".to_owned()));
        }
        if self.group && matches!(self.format(), Format::Wide | Format::Ndjson) {
            let format = self.format().name();
            return Err(Error::Usage(format!("`--group` cannot be used with `-o {format}`")));
        }
        Ok(())
    }
}

/// One item of `--columns`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ColumnChange {
    /// `A`: of the columns only those that are named.
    Only(Column),
    /// `+A`: this one too.
    Add(Column),
    /// `-A`: all but this one.
    Drop(Column),
}

impl std::str::FromStr for ColumnChange {
    type Err = String;

    fn from_str(text: &str) -> Result<ColumnChange, String> {
        if let Some(name) = text.strip_prefix('+') {
            return name.parse().map(ColumnChange::Add);
        }
        if let Some(name) = text.strip_prefix('-') {
            return name.parse().map(ColumnChange::Drop);
        }
        text.parse().map(ColumnChange::Only)
    }
}

impl ColumnChange {
    /// Reads one item; the error for an unknown name says which name is nearest.
    pub fn parse(text: &str) -> Result<ColumnChange, String> {
        text.parse().map_err(|problem| suggesting(problem, text, Column::ALL.into_iter().map(Column::name)))
    }
}

/// What rows can be sorted by, as it is typed.
pub const SORT_KEYS: [(&str, SortKey); 17] = [
    ("proto", SortKey::Protocol),
    ("local", SortKey::Address),
    ("port", SortKey::Port),
    ("service", SortKey::Service),
    ("state", SortKey::State),
    ("peer", SortKey::Peer),
    ("pid", SortKey::Pid),
    ("process", SortKey::Process),
    ("user", SortKey::User),
    ("space", SortKey::Space),
    ("exposure", SortKey::Exposure),
    ("started", SortKey::Started),
    ("rx", SortKey::Rx),
    ("tx", SortKey::Tx),
    ("rtt", SortKey::Rtt),
    ("retransmits", SortKey::Retransmits),
    ("idle", SortKey::Idle),
];

/// The text that is typed for it: `port:desc`.
pub fn sorting_name(sorting: Sorting) -> String {
    let name = SORT_KEYS.iter().find(|(_, key)| *key == sorting.key).map_or("port", |(name, _)| *name);
    if sorting.descending { format!("{name}:desc") } else { name.to_owned() }
}

/// Reads `COLUMN` or `COLUMN:desc`.
pub fn parse_sorting(text: &str) -> Result<Sorting, String> {
    let (name, descending) = match text.split_once(':') {
        None => (text, false),
        Some((name, "asc")) => (name, false),
        Some((name, "desc")) => (name, true),
        Some((_, order)) => return Err(format!("`{order}` is not an order: expected asc or desc")),
    };
    let name = if name.eq_ignore_ascii_case(&Column::Address.header()) { Column::Address.name() } else { name };
    let key = SORT_KEYS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, key)| *key);
    let key = key.ok_or_else(|| {
        let names = SORT_KEYS.map(|(name, _)| name).join(", ");
        let problem = format!("`{name}` is not a column to sort by: expected {names}, with :desc for descending order");
        suggesting(problem, name, SORT_KEYS.map(|(name, _)| name))
    })?;
    Ok(Sorting { key, descending })
}
