//! What follows from a listing: pure functions from the model to the model.

pub mod dossier;
pub mod usage;
