//! Output for people: a file for each command, named as it is.

pub mod audit;
pub mod check;
pub mod diff;
pub mod events;
pub mod free;
pub mod group;
pub mod info;
pub mod kill;
pub mod listing;
pub mod progress;
pub mod services;
pub mod settings;
pub mod spaces;
pub mod usage;
