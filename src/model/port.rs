//! Port numbers: the number itself, its range forms and its category.

use std::fmt;
use std::str::FromStr;

/// A TCP or UDP port number of one port space. It is kept as packets have it: two bytes, the high one first, stand at any
/// place, so that an end of a connection takes no more memory than what it says.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Port([u8; 2]);

impl Port {
    /// Makes a port of a number; every `u16` is one.
    pub const fn new(number: u16) -> Port {
        Port(number.to_be_bytes())
    }

    /// Returns the number.
    pub const fn get(self) -> u16 {
        u16::from_be_bytes(self.0)
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

/// What is wrong with a text that should be a port or a range of ports.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PortError {
    /// Not a number from 1 to 65535.
    #[error("`{0}` is not a port: expected 1-65535")]
    NotAPort(String),
    /// A range without its one or its other end.
    #[error("`{0}` is not a range: it has {1}; expected LOW-HIGH, such as 8000-8100")]
    Half(String, &'static str),
    /// A range whose end is below its start.
    #[error("`{first}-{last}` is not a range: {first} is above {last}; expected LOW-HIGH, such as 8000-8100")]
    Reversed {
        /// The number before the dash.
        first: Port,
        /// The number after the dash.
        last: Port,
    },
}

impl FromStr for Port {
    type Err = PortError;

    /// Reads 1 to 65535 in plain decimal digits. 0 is refused, because no program can listen on it.
    fn from_str(text: &str) -> Result<Port, PortError> {
        let number = if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None };
        match number {
            Some(number) if number > 0 => Ok(Port::new(number)),
            _ => Err(PortError::NotAPort(text.to_owned())),
        }
    }
}

/// A closed range of ports, one or more.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PortRange {
    first: Port,
    last: Port,
}

impl PortRange {
    /// Returns the range from `first` to `last`, both included; `None` when `last` is below `first`.
    pub const fn new(first: Port, last: Port) -> Option<PortRange> {
        if first.get() <= last.get() { Some(PortRange { first, last }) } else { None }
    }

    /// Returns the range of just one port.
    pub const fn single(port: Port) -> PortRange {
        PortRange { first: port, last: port }
    }

    /// The lowest port of the range.
    pub const fn first(self) -> Port {
        self.first
    }

    /// The highest port of the range.
    pub const fn last(self) -> Port {
        self.last
    }

    /// Says whether the port lies in the range.
    pub const fn contains(self, port: Port) -> bool {
        self.first.get() <= port.get() && port.get() <= self.last.get()
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last { self.first.fmt(f) } else { write!(f, "{}-{}", self.first, self.last) }
    }
}

impl FromStr for PortRange {
    type Err = PortError;

    /// Reads `8080` or `8000-8100`.
    fn from_str(text: &str) -> Result<PortRange, PortError> {
        let Some((first, last)) = text.split_once('-') else {
            return text.parse().map(PortRange::single);
        };
        match (first, last) {
            ("", "") => return Err(PortError::NotAPort(text.to_owned())),
            ("", _) => return Err(PortError::Half(text.to_owned(), "no beginning")),
            (_, "") => return Err(PortError::Half(text.to_owned(), "no end")),
            _ => {}
        }
        let (first, last) = (first.parse()?, last.parse()?);
        PortRange::new(first, last).ok_or(PortError::Reversed { first, last })
    }
}

/// The three parts into which RFC 6335, section 6, divides the port numbers.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Category {
    /// 0-1023: assigned by IANA under the strictest rules; RFC 6335 calls them System Ports.
    WellKnown,
    /// 1024-49151: registered with IANA on request; RFC 6335 calls them User Ports.
    Registered,
    /// 49152-65535: never assigned; dynamic or private use.
    Dynamic,
}

impl Category {
    /// Every category, by number.
    pub const ALL: [Category; 3] = [Category::WellKnown, Category::Registered, Category::Dynamic];

    /// Returns the category that the port belongs to.
    pub const fn of(port: Port) -> Category {
        match port.get() {
            0..=1023 => Category::WellKnown,
            1024..=49151 => Category::Registered,
            49152.. => Category::Dynamic,
        }
    }

    /// The name in every output and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Category::WellKnown => "well-known",
            Category::Registered => "registered",
            Category::Dynamic => "dynamic",
        }
    }

    /// The numbers that belong to it.
    pub const fn range(self) -> PortRange {
        let (first, last) = match self {
            Category::WellKnown => (0, 1023),
            Category::Registered => (1024, 49151),
            Category::Dynamic => (49152, 65535),
        };
        PortRange { first: Port::new(first), last: Port::new(last) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_category_changes_exactly_at_the_rfc_6335_boundaries() {
        for (number, category) in [
            (0, Category::WellKnown),
            (1023, Category::WellKnown),
            (1024, Category::Registered),
            (49151, Category::Registered),
            (49152, Category::Dynamic),
            (65535, Category::Dynamic),
        ] {
            assert_eq!(Category::of(Port::new(number)), category, "{number}");
        }
    }

    #[test]
    fn the_category_ranges_cover_every_number_once() {
        for number in 0..=u16::MAX {
            let holding: Vec<_> = Category::ALL.into_iter().filter(|c| c.range().contains(Port::new(number))).collect();
            assert_eq!(holding, [Category::of(Port::new(number))]);
        }
    }

    #[test]
    fn a_range_reads_back_what_it_prints() {
        for text in ["1", "80", "65535", "8000-8100", "1-65535"] {
            assert_eq!(text.parse::<PortRange>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_bad_port_is_named() {
        for (text, message) in [
            ("0", "`0` is not a port: expected 1-65535"),
            ("70000", "`70000` is not a port: expected 1-65535"),
            ("+80", "`+80` is not a port: expected 1-65535"),
            ("", "`` is not a port: expected 1-65535"),
            ("80-20", "`80-20` is not a range: 80 is above 20; expected LOW-HIGH, such as 8000-8100"),
            ("80-", "`80-` is not a range: it has no end; expected LOW-HIGH, such as 8000-8100"),
            ("-80", "`-80` is not a range: it has no beginning; expected LOW-HIGH, such as 8000-8100"),
            ("-", "`-` is not a port: expected 1-65535"),
            ("80-99999", "`99999` is not a port: expected 1-65535"),
        ] {
            assert_eq!(text.parse::<PortRange>().unwrap_err().to_string(), message);
        }
    }
}
