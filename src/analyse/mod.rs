//! Answers that take more than one row: pure functions over listings. Nothing here asks the system.

pub mod audit;
pub mod bind;
pub mod cause;
pub mod changes;
pub mod check;
pub mod diff;
pub mod dossier;
pub mod free;
pub mod health;
pub mod history;
pub mod kill;
pub mod metrics;
pub mod order;
pub mod policy;
pub mod restart;
pub mod spaces;
mod squatter;
pub mod targets;
pub mod unmatched;
pub mod usage;
pub mod wait;
