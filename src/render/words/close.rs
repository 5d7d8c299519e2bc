//! What `close` says of each socket.

use std::path::Path;

use crate::model::{Endpoint, Row};
use crate::render::text::number::thousands;
use crate::render::text::safe::{Charset, Text};
use crate::render::words::said::Said;
use crate::render::words::{absence, socket};

/// Nothing on the port is what `close` would destroy; the listeners on every address take its traffic instead.
pub fn nothing(targets: &str, connections: bool, wildcards: &[&Row<'_>], charset: Charset) -> String {
    let line = if connections {
        format!("no such connection is on {targets}")
    } else {
        format!("nothing is listening on {targets}")
    };
    let instead = wildcards.iter().map(|row| absence::wildcard(row, charset));
    std::iter::once(line).chain(instead).collect::<Vec<_>>().join("; ")
}

/// `Destroy 3 sockets?`
pub fn question(count: usize) -> String {
    format!("Destroy {} {}?", thousands(count), if count == 1 { "socket" } else { "sockets" })
}

/// The socket is gone, and what its process keeps of the port.
pub fn destroyed(row: &Row<'_>, kept: Option<(Endpoint, Option<&str>)>, charset: Charset) -> String {
    let line = format!("{}: destroyed", socket::socket(row, charset));
    match kept {
        Some((end, device)) => format!(
            "{line}; {} keeps {} bound until it closes its descriptor or ends",
            socket::all(row, charset),
            socket::end(end, device, charset)
        ),
        None => line,
    }
}

/// Its process was faster.
pub fn gone(row: &Row<'_>, charset: Charset) -> String {
    format!("{}: was closed in the meantime", socket::socket(row, charset))
}

/// The system refused.
pub fn not_destroyed(row: &Row<'_>, problem: &dyn std::fmt::Display, charset: Charset) -> String {
    format!("{} was not destroyed: {problem}", socket::socket(row, charset))
}

/// This user may not destroy sockets.
pub fn refused(targets: &str, program: Option<&Path>) -> Said {
    let program = program.map_or_else(|| "portscope".into(), |path| path.to_string_lossy());
    let program = Text::of(&program, Charset::Unicode);
    let hint = format!("sudo {} close {targets}", program.as_str());
    Said::with("destroying a socket requires root or CAP_NET_ADMIN; nothing was done", [hint])
}
