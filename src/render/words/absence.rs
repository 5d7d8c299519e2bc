//! The sentence about a port of `kill` or `close` that no listener is on.

use crate::analyse::targets::{Absence, Instead, PortTargets};
use crate::model::Row;
use crate::render::text::safe::Charset;
use crate::render::words::socket;

/// Says that nothing is on the target, and what is there instead.
pub fn line(absence: &Absence<'_, '_>, targets: &PortTargets, charset: Charset) -> String {
    let verb = if targets.has_clients() { "using" } else { "listening on" };
    let line = format!("nothing is {verb} {}", absence.text);
    let say = |row: &Row<'_>| socket::socket_and_holders(row, charset);
    match absence.instead {
        Instead::Nothing => line,
        Instead::Wildcard(row) => format!("{line}; {}", wildcard(row, charset)),
        Instead::Connection(row, more) => {
            let and_more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let them = if more > 0 { "them" } else { "it" };
            format!("{line}; there is {}{and_more}: use --clients to include {them}", say(row))
        }
        Instead::OtherProtocol(row) => {
            format!("{line}; there is {}: use -{} to select it", say(row), &row.socket.protocol.name()[..1])
        }
    }
}

/// Names the listener on every address that answers at the one that was meant, and the target that means it.
pub fn wildcard(row: &Row<'_>, charset: Charset) -> String {
    let (socket, target) = (socket::socket_and_holders(row, charset), socket::local(row, charset));
    format!("its traffic goes to {socket}: use {target} to select that")
}
