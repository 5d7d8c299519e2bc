//! Parts of rows that thousands of rows behind each other have in common, so that they become JSON once.

use std::io;
use std::num::NonZeroU64;

use crate::model::{Owner, Reachability};

/// What the last row had; one of these for each part of a row.
#[derive(Default)]
pub struct Repeats {
    /// Its owner, if that is no process: to a user who may look into no process, all have the same. The text depends on
    /// nothing else but the cgroup, and whether the user is known.
    pub owner: Repeat<(Owner, Option<NonZeroU64>, bool)>,
    /// What the firewall does to what is sent to its port.
    pub reachability: Repeat<Reachability>,
}

/// A value and its text.
pub struct Repeat<T> {
    of: Option<T>,
    text: Vec<u8>,
}

impl<T> Default for Repeat<T> {
    fn default() -> Repeat<T> {
        Repeat { of: None, text: Vec::new() }
    }
}

impl<T: PartialEq> Repeat<T> {
    /// Adds the text of the value; `write` is what makes it.
    pub fn add(
        &mut self,
        of: T,
        text: &mut Vec<u8>,
        write: impl FnOnce(&T, &mut Vec<u8>) -> io::Result<()>,
    ) -> io::Result<()> {
        if self.of.as_ref() != Some(&of) {
            self.text.clear();
            write(self.of.insert(of), &mut self.text)?;
        }
        text.extend(&self.text);
        Ok(())
    }
}
