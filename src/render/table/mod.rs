//! Tables: how columns yield on a narrow terminal, and how rows are drawn.

pub mod draw;
pub mod fit;
pub mod grid;
