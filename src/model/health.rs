//! How a check of a monitoring system ended.

/// The four answers of a plug-in. The numbers are those of Nagios, which Icinga, Checkmk and others share. Source: the
/// Monitoring Plugins Development Guidelines.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Health {
    /// Nothing is wrong.
    Ok,
    /// Something should be looked at.
    Warning,
    /// Something is wrong.
    Critical,
    /// The question could not be answered.
    Unknown,
}

impl Health {
    /// The number that the monitoring system sees.
    pub const fn code(self) -> u8 {
        match self {
            Health::Ok => 0,
            Health::Warning => 1,
            Health::Critical => 2,
            Health::Unknown => 3,
        }
    }

    /// The word that the line begins with.
    pub const fn name(self) -> &'static str {
        match self {
            Health::Ok => "OK",
            Health::Warning => "WARNING",
            Health::Critical => "CRITICAL",
            Health::Unknown => "UNKNOWN",
        }
    }
}
