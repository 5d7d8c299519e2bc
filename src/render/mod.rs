//! Listings as bytes: pages for people, documents for programs. Text of other processes becomes safe here.

pub mod document;
pub mod page;
pub mod table;
pub mod text;
pub mod words;
