//! Listings as bytes: tables for people, JSON and CSV for programs. Text of other processes becomes safe here.

pub mod absence;
pub mod audit;
mod blocker;
mod blocks;
pub mod check;
pub mod check_report;
pub mod column;
pub mod csv;
pub mod diff;
mod fix;
pub mod free;
mod grid;
pub mod holder;
pub mod info;
pub mod json;
pub mod layout;
pub mod listing;
pub mod metrics;
mod owner;
mod paragraph;
mod program;
pub mod progress;
pub mod report;
pub mod report_info;
pub mod report_services;
pub mod report_spaces;
pub mod report_usage;
mod report_visibility;
pub mod sanitize;
mod secrets;
pub mod services;
pub mod spaces;
pub mod stop;
pub mod style;
pub mod summary;
pub mod table;
mod time;
pub mod usage;
pub mod wait;
pub mod words {
    //! A phrase about one thing, for every page.

    pub mod gap;
}
