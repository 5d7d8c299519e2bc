//! What a port is assigned to.

use super::{Port, Protocol};

/// Where a service name comes from.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum ServiceSource {
    /// A label of the user.
    User,
    /// The built-in table of representative services.
    WellKnown,
    /// The host's own `/etc/services`.
    Host,
    /// The IANA registry.
    Iana,
}

impl ServiceSource {
    /// Every source, in the order in which they win.
    pub const ALL: [ServiceSource; 4] =
        [ServiceSource::User, ServiceSource::WellKnown, ServiceSource::Host, ServiceSource::Iana];

    /// The name in every output.
    pub const fn name(self) -> &'static str {
        match self {
            ServiceSource::User => "user",
            ServiceSource::WellKnown => "well-known",
            ServiceSource::Host => "host",
            ServiceSource::Iana => "iana",
        }
    }
}

/// A service registered for a port and protocol. It says what the port is assigned to, not what is running there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Service<'a> {
    /// Its short name.
    pub name: &'a str,
    /// What it is, in words.
    pub description: Option<&'a str>,
    /// Where the name comes from.
    pub source: ServiceSource,
}

/// A port with its service.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Registered<'a> {
    /// The port.
    pub port: Port,
    /// The protocol.
    pub protocol: Protocol,
    /// What it is assigned to.
    pub service: Service<'a>,
}
