//! Small groups of flags that several commands share.

use clap::Args;

use crate::error::ExitStatus;
use crate::model::{Listing, SpaceChoice};

/// `--json`.
#[derive(Args, Clone, Copy, Debug)]
pub struct JsonArgs {
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// `--no-header`.
#[derive(Args, Clone, Copy, Debug)]
pub struct HeaderArgs {
    /// Omit the header and the summary lines
    #[arg(short = 'H', long)]
    pub no_header: bool,
}

/// `--space`.
#[derive(Args, Clone, Debug)]
pub struct SpaceArgs {
    /// Port space (network namespace), by label or ID; `all` for every one
    #[arg(long = "space", value_name = "SPACE", value_delimiter = ',')]
    pub spaces: Vec<String>,
}

impl SpaceArgs {
    /// The port spaces that are meant.
    pub fn choice(&self) -> SpaceChoice {
        SpaceChoice::of_names(&self.spaces)
    }
}

/// `--strict`.
#[derive(Args, Clone, Copy, Debug)]
pub struct StrictArgs {
    /// Exit with status 3 if something was hidden
    #[arg(long)]
    pub strict: bool,
}

impl StrictArgs {
    /// The exit status of an answer that rests on this listing: with `--strict`, an incomplete one has a status of its own.
    pub fn status(self, listing: &Listing<'_>, status: ExitStatus) -> ExitStatus {
        if self.strict && listing.is_incomplete() { ExitStatus::Incomplete } else { status }
    }
}
