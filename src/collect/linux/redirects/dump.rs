//! Dumps over netlink that take one request and no options.

use std::io;
use std::time::Duration;

use rustix::net::{Protocol, SendFlags};

use crate::collect::linux::netlink::{self, DONE, DUMP, ERROR, Malformed, ReceiveError};

/// The protocol of links and addresses.
pub const ROUTE: Option<Protocol> = None;
/// The protocol of the firewall.
pub const NETFILTER: Option<Protocol> = Some(rustix::net::netlink::NETFILTER);

const PATIENCE: Duration = Duration::from_secs(2);
/// The flags in the upper bits of an attribute's kind.
const KIND: u16 = 0x3fff;

/// Asks for all things of a kind, and gives the kind and the payload of each message to `each`.
pub fn dump(protocol: Option<Protocol>, kind: u16, payload: &[u8], mut each: impl FnMut(u16, &[u8])) -> io::Result<()> {
    let socket = netlink::open(protocol, PATIENCE)?;
    rustix::net::send(&socket, &netlink::request(kind, DUMP, 1, payload), SendFlags::empty())?;
    let mut buffer = Vec::with_capacity(64 * 1024);
    loop {
        match netlink::receive(&socket, &mut buffer) {
            Ok(true) => {}
            Ok(false) => continue,
            Err(ReceiveError::Incomplete(what)) => return Err(io::Error::other(what)),
            Err(ReceiveError::Kernel(error)) => return Err(error.into()),
        }
        if let Some(code) = answers(&buffer, &mut each).map_err(|Malformed| io::ErrorKind::InvalidData)? {
            return if code == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(code.saturating_neg())) };
        }
    }
}

/// Goes through the messages of a datagram; the code with which the dump ends, where it does.
pub fn answers(bytes: &[u8], each: &mut impl FnMut(u16, &[u8])) -> Result<Option<i32>, Malformed> {
    for message in netlink::messages(bytes) {
        let message = message?;
        match message.kind {
            DONE | ERROR => {
                let code = message.payload.first_chunk().map(|code| i32::from_ne_bytes(*code));
                return Ok(Some(code.unwrap_or(0)));
            }
            kind => each(kind, message.payload),
        }
    }
    Ok(None)
}

/// The value of the first attribute of that kind.
pub fn attribute(bytes: &[u8], wanted: u16) -> Option<&[u8]> {
    netlink::attributes(bytes).find(|(kind, _)| kind & KIND == wanted).map(|(_, value)| value)
}
