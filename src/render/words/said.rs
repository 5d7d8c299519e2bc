//! A sentence and what helps, which are apart: a person reads the one and types the other.

/// A sentence for a person.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Said {
    /// What is so, and why.
    pub line: String,
    /// What helps, one line each.
    pub hints: Vec<String>,
}

impl Said {
    /// A sentence that nothing helps against.
    pub fn plain(line: impl Into<String>) -> Said {
        Said { line: line.into(), hints: Vec::new() }
    }

    /// A sentence with what helps.
    pub fn with(line: impl Into<String>, hints: impl IntoIterator<Item = String>) -> Said {
        Said { line: line.into(), hints: hints.into_iter().collect() }
    }
}
