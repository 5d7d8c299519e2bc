//! Sockets that systemd holds for services that it starts on demand.

use std::net::SocketAddr;

use serde::Deserialize;

use super::output;
use crate::collect::helper::HelperError;
use crate::model::{Endpoint, Port};

/// A socket unit's address and the service that it starts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Activation {
    /// Where it listens; without an address on every one.
    pub address: Option<std::net::IpAddr>,
    /// The port.
    pub port: Port,
    /// The `.socket` unit.
    pub socket: String,
    /// The unit that it starts.
    pub service: Option<String>,
}

impl Activation {
    /// Returns whether it belongs to the listener with this address.
    pub fn is_of(&self, local: Endpoint) -> bool {
        let is_same = |address: std::net::IpAddr| address.to_canonical() == local.address.to_canonical();
        self.port == local.port && self.address.is_none_or(|address| is_same(address) || address.is_unspecified())
    }
}

/// Asks systemd for its sockets. Source: systemctl(1), `list-sockets`.
pub fn activations() -> Result<Vec<Activation>, HelperError> {
    let text = output("systemctl", &["list-sockets", "--all", "--no-pager", "--output=json"])?;
    parse(&text).ok_or_else(|| HelperError::Malformed("systemctl".to_owned()))
}

#[derive(Deserialize)]
struct Line {
    listen: String,
    unit: String,
    activates: Option<String>,
}

/// Parses the answer and leaves out unix sockets and everything else that has no port; `None` when the answer has
/// another form.
pub fn parse(text: &[u8]) -> Option<Vec<Activation>> {
    let lines: Vec<Line> = serde_json::from_slice(text).ok()?;
    let activation = |line: Line| {
        let (address, port) = end(&line.listen)?;
        Some(Activation { address, port, socket: line.unit, service: line.activates.filter(|unit| !unit.is_empty()) })
    };
    Some(lines.into_iter().filter_map(activation).collect())
}

/// `[::]:22`, `127.0.0.1:631`, `*:80` or, of old versions, a bare `22`.
fn end(listen: &str) -> Option<(Option<std::net::IpAddr>, Port)> {
    if let Ok(address) = listen.parse::<SocketAddr>() {
        return Some((Some(address.ip()), Port::new(address.port())));
    }
    let port = listen.strip_prefix("*:").unwrap_or(listen);
    Some((None, port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_finds_the_unit_that_it_is_held_for() {
        let text = br#"[{"listen":"/run/dbus/system_bus_socket","unit":"dbus.socket","activates":"dbus.service"},
            {"listen":"[::]:22","unit":"ssh.socket","activates":"ssh.service"},
            {"listen":"127.0.0.1:631","unit":"cups.socket","activates":""},
            {"listen":"kobject-uevent 1","unit":"systemd-udevd-kernel.socket","activates":"systemd-udevd.service"}]"#;
        let found = parse(text).unwrap();
        assert_eq!(found.len(), 2);
        let end = |text: &str| {
            let end: SocketAddr = text.parse().unwrap();
            Endpoint::new(end.ip(), end.port())
        };
        assert!(found[0].is_of(end("[::]:22")) && !found[0].is_of(end("[::]:23")));
        assert_eq!(found[0].service.as_deref(), Some("ssh.service"));
        assert!(found[1].is_of(end("127.0.0.1:631")) && !found[1].is_of(end("127.0.0.2:631")));
        assert_eq!(found[1].service, None);
        assert_eq!(parse(b"No sockets"), None);
    }
}
