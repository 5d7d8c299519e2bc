//! Phrases about one thing, for every page and document.

pub mod absence;
pub mod blocker;
pub mod category;
pub mod cell;
pub mod column;
pub mod doubt;
pub mod event;
pub mod finding;
pub mod fix;
pub mod gap;
pub mod owner;
pub mod process;
pub mod reachability;
pub mod reason;
pub mod registered;
pub mod screen;
pub mod service_group;
pub mod socket;
pub mod summary;
pub mod traffic;
pub mod unmatched;
pub mod usage;
pub mod verdict;
pub mod wait;
