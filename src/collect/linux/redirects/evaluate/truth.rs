//! The answer to a question about packets.

use super::state::Condition;
use crate::collect::linux::redirects::ruleset::{Dimension, Ranges};

/// Which of the packets meet a test.
#[derive(Clone, Debug, PartialEq)]
pub enum Truth {
    /// All.
    Yes,
    /// None.
    No,
    /// Those with these numbers.
    Among(Dimension, Ranges),
    /// Perhaps some.
    Maybe(Condition),
}

impl From<bool> for Truth {
    fn from(is_met: bool) -> Truth {
        if is_met { Truth::Yes } else { Truth::No }
    }
}
