//! Any text made safe, styled, and folded.

pub mod clip;
pub mod number;
pub mod palette;
pub mod paragraph;
pub mod safe;
pub mod secrets;
pub mod style;
pub mod time;
