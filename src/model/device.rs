//! The names of network interfaces.

use std::ops::Deref;

/// The name of an interface, or its number where the name is not known. It is no larger than a pointer, since nearly none
/// of a million sockets has one.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Device(#[expect(clippy::box_collection, reason = "a text itself is three times as large")] Box<String>);

impl From<String> for Device {
    fn from(name: String) -> Device {
        Device(Box::new(name))
    }
}

impl From<&str> for Device {
    fn from(name: &str) -> Device {
        Device::from(name.to_owned())
    }
}

impl Deref for Device {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}
