//! What Linux tells through /proc.

pub mod owners;
pub mod spaces;
pub mod users;
