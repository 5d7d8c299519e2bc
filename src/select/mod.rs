//! Which rows an answer has, and in what order: pure functions over joined rows.

mod filter;
pub mod group;
pub mod leftovers;
mod names;
mod sort;
mod target;
mod wanted;

pub use filter::{Filter, Peer, StateSet};
pub use names::{Pattern, UserName};
pub use sort::{SortKey, Sorting, in_default_order};
pub use target::{Address, Place, Ports, Target, TargetKind, TargetList};
pub use wanted::{NameKind, Wanted};
