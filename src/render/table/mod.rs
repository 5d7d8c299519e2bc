//! Tables: how columns yield on a narrow terminal, how rows are drawn, and how many rows are drawn in parallel.

pub mod draw;
pub mod fit;
pub mod grid;
pub mod in_order;
