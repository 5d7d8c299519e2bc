//! Answers that take more than one row: pure functions over listings.

pub mod diff;
pub mod dossier;
pub mod spaces;
pub mod stop;
pub mod usage;
