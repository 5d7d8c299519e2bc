//! The command line: flag groups that commands share, and the values that flags take.

mod common;
mod complaint;
mod defaults;
mod duration;
pub mod habits;
pub mod handbook;
mod monitored;
mod nearest;
mod output;
mod protocols;
mod selection;
mod source;
mod style;

pub use common::{HeaderArgs, JsonArgs, SpaceArgs, StrictArgs};
pub use complaint::one_line;
pub use defaults::{Defaults, Preset};
pub use duration::parse_duration;
pub use monitored::is_for_nagios;
pub use output::{ColumnChange, Format, OutputArgs, SORT_KEYS, parse_sorting, sorting_name};
pub use protocols::{OnlyProtocolArgs, ProtocolArgs};
pub use selection::{SelectionArgs, parse_name};
pub use source::{BackendArgs, SourceArgs};
pub use style::StyleArgs;

use clap::builder::{PossibleValuesParser, TypedValueParser};

/// A parser for a flag that takes one of a few names.
pub fn one_of<T: Copy + Send + Sync + 'static>(
    choices: &'static [T],
    name: fn(T) -> &'static str,
) -> impl TypedValueParser<Value = T> {
    PossibleValuesParser::new(choices.iter().map(|choice| name(*choice))).try_map(move |text| {
        let found = choices.iter().copied().find(|choice| name(*choice) == text);
        found.ok_or("not one of the accepted values")
    })
}
