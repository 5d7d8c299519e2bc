//! Listings as bytes: tables for people, JSON and CSV for programs. Text of other processes becomes safe here.

pub mod audit;
mod blocks;
pub mod column;
pub mod csv;
mod grid;
pub mod info;
pub mod json;
pub mod layout;
pub mod listing;
mod owner;
mod paragraph;
mod program;
pub mod report;
pub mod report_info;
pub mod report_services;
pub mod report_spaces;
pub mod report_usage;
pub mod sanitize;
mod secrets;
pub mod services;
pub mod spaces;
pub mod style;
pub mod summary;
pub mod table;
mod time;
pub mod usage;
