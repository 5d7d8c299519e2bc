//! Why a port is not offered.

use crate::analyse::free::Reason;
use crate::model::Port;
use crate::render::text::safe::{Charset, Text};
use crate::render::words::blocker;

/// Why a port is or is not offered.
#[derive(Clone, Copy, Debug)]
pub struct Explained<'a> {
    /// The port.
    pub port: Port,
    /// What speaks against it; empty when it is offered.
    pub reasons: &'a [Reason<'a>],
}

/// Says what speaks against a port.
pub fn words(reason: &Reason<'_>, charset: Charset) -> String {
    match reason {
        Reason::Outside(range) => format!("the requested range is {range}"),
        Reason::Privileged(start) => format!("ports below {start} require a privilege"),
        Reason::Registered(protocol, service) => {
            let name = Text::of(service.name, charset);
            format!("{} is assigned to {} ({})", protocol.name(), name.as_str(), service.source.name())
        }
        Reason::KeptBack(protocol) => format!("reserved by IANA for {}", protocol.name()),
        Reason::Ephemeral(range) => format!("inside the ephemeral range {range}"),
        Reason::Reserved => "reserved by the system (ip_local_reserved_ports; on Windows an excluded range)".to_owned(),
        Reason::Bad => "browsers refuse to connect to it (WHATWG bad ports)".to_owned(),
        Reason::Published(to) => format!("a firewall rule forwards its traffic to {to}"),
        Reason::Used(row) => blocker::in_full(row, charset),
        Reason::Refused(protocol, refusal) => {
            let refusal = Text::of(refusal.name(), charset);
            format!("binding {} fails with {}", protocol.name(), refusal.as_str())
        }
    }
}
