//! The screen of `portscope watch`: the listing, alive.
//!
//! `state` is a pure function of keys and events, `view` draws it, `terminal` has the terminal and gives it back.

mod flows;
pub mod keys;
pub mod laid;
mod sockets;
pub mod state;
mod strip;
pub mod terminal;
#[cfg(test)]
mod tests;
pub mod view;
