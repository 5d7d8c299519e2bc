//! Listings as bytes: tables for people, JSON and CSV for programs. Text of other processes becomes safe here.

mod blocks;
pub mod column;
pub mod csv;
mod grid;
pub mod json;
pub mod layout;
pub mod listing;
pub mod report;
pub mod report_services;
pub mod report_spaces;
pub mod sanitize;
mod secrets;
pub mod services;
pub mod spaces;
pub mod style;
pub mod summary;
pub mod table;
mod time;
