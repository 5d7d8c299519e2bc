//! How full a limit is.

use crate::analyse::usage::{Excess, Measured, QueueUse};
use crate::model::Endpoint;
use crate::render::text::number::thousands;
use crate::render::text::safe::{Charset, Text};
use crate::render::words::socket;

/// Above this part of a limit a line is marked, unless `--warn` says another.
pub const MARKED_ABOVE: f64 = 0.8;

/// What it is, and how much of it is used, in words.
pub fn described(excess: &Excess<'_, '_>) -> String {
    let share = excess.share();
    let what = match excess {
        Excess::Gauge(gauge) => format!("{} {} ports", gauge.protocol.name(), measured(gauge.measured)),
        Excess::Destination(destination) => {
            let peer = destination.peer;
            let local = address(Endpoint { address: destination.local, ..peer }, destination.device, Charset::Unicode);
            let device = destination.device.filter(|_| peer.is_of_a_link());
            format!("ports for tcp {} to {}", local.as_str(), socket::end(peer, device, Charset::Unicode))
        }
        Excess::Queue(QueueUse { row, .. }) => {
            format!("accept queue of {} {}", row.socket.protocol.name(), socket::answering(row, Charset::Unicode))
        }
    };
    format!("{what}, {} of {} ({})", thousands(share.used), thousands(share.limit), percent(share.part()))
}

/// What a gauge measures, by name.
pub const fn measured(measured: Measured) -> &'static str {
    match measured {
        Measured::Category(category) => category.name(),
        Measured::Ephemeral => "ephemeral",
    }
}

/// Truncates instead of rounding, so that a limit that is not reached never shows as 100%.
pub fn percent(part: f64) -> String {
    let tenths = (part * 1000.0 + 1e-9).floor() / 10.0;
    format!("{tenths:.1}%")
}

/// An address, with its interface where it says nothing without.
pub fn address(end: Endpoint, device: Option<&str>, charset: Charset) -> Text {
    let text = Text::plain(end.address.to_string());
    match device.filter(|_| end.is_of_a_link()) {
        Some(device) => Text::join(&[text, Text::of(device, charset)], "%"),
        None => text,
    }
}
