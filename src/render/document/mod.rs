//! Output for programs: a file for each command, named as it is, and one for each format.

pub mod audit;
pub mod check;
pub mod csv;
pub mod diff;
pub mod envelope;
pub mod events;
mod flow;
mod forward;
pub mod free;
pub mod group;
pub mod info;
pub mod json;
pub mod junit;
pub mod listing;
pub mod nagios;
pub mod openmetrics;
mod owner;
mod owner_texts;
pub mod policy;
mod process;
pub mod sarif;
pub mod services;
pub mod space;
pub mod spaces;
pub mod usage;
mod visibility;
pub mod wait;
