//! Answers that take more than one row: pure functions over listings.

pub mod audit;
pub mod diff;
pub mod dossier;
pub mod policy;
pub mod spaces;
pub mod stop;
pub mod usage;
