//! Answers that take more than one row: pure functions over listings.

pub mod spaces;
