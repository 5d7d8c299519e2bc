//! Netlink datagrams of the socket tables, from bytes to rows.
//!
//! Source: `linux/netlink.h`, `linux/inet_diag.h`, sock_diag(7). Numbers are in the machine's order, ports and
//! addresses in the network's.

use std::num::NonZeroU64;

use super::request::{SOCK_DIAG_BY_FAMILY, TCPDIAG_GETSOCK};
use super::tcp_info;
use crate::collect::linux::kernel_socket::{KernelSocket, address};
use crate::collect::linux::netlink::{self, DONE, DUMP_INTERRUPTED, ERROR, Malformed, NOOP, OVERRUN, word};
use crate::model::{Endpoint, Family, Protocol};

const ENTRY: usize = 72;
const ATTRIBUTE_INFO: u16 = 2;
const ATTRIBUTE_V6ONLY: u16 = 11;
const ATTRIBUTE_CGROUP_ID: u16 = 21;

/// One message of a datagram.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Message {
    /// A row.
    Socket(KernelSocket),
    /// The end of the table; below zero it is the error that ended it.
    Done(i32),
    /// The request failed with this number, below zero.
    Error(i32),
    /// Rows were lost.
    Overrun,
    /// A message of another kind.
    Other,
}

/// A message with what its header says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Framed {
    /// Which request it answers.
    pub sequence: u32,
    /// Whether the kernel says that the table changed meanwhile.
    pub interrupted: bool,
    /// What it says.
    pub message: Message,
}

/// Splits a datagram into its messages; ends after the first that is malformed.
pub fn messages(datagram: &[u8], protocol: Protocol) -> impl Iterator<Item = Result<Framed, Malformed>> {
    let mut has_failed = false;
    netlink::messages(datagram).map_while(move |message| {
        if has_failed {
            return None;
        }
        let framed = message.and_then(|message| framed(&message, protocol));
        has_failed = framed.is_err();
        Some(framed)
    })
}

fn framed(message: &netlink::Message<'_>, protocol: Protocol) -> Result<Framed, Malformed> {
    let netlink::Message { kind, flags, sequence, payload } = *message;
    let message = match kind {
        NOOP => Message::Other,
        ERROR => Message::Error(word(payload, 0).ok_or(Malformed)?.cast_signed()),
        // Old kernels end a dump without a code.
        DONE => Message::Done(word(payload, 0).map_or(0, u32::cast_signed)),
        OVERRUN => Message::Overrun,
        SOCK_DIAG_BY_FAMILY | TCPDIAG_GETSOCK => entry(payload, protocol).map_or(Message::Other, Message::Socket),
        _ => Message::Other,
    };
    if [SOCK_DIAG_BY_FAMILY, TCPDIAG_GETSOCK].contains(&kind) && payload.len() < ENTRY {
        return Err(Malformed);
    }
    Ok(Framed { sequence, interrupted: flags & DUMP_INTERRUPTED != 0, message })
}

/// Reads `struct inet_diag_msg`; nothing for a family that has no ports.
fn entry(bytes: &[u8], protocol: Protocol) -> Option<KernelSocket> {
    let family = match bytes.first()? {
        2 => Family::Ipv4,
        10 => Family::Ipv6,
        _ => return None,
    };
    let end = |port: usize, at: usize| {
        let number = u16::from_be_bytes(bytes.get(port..port + 2)?.try_into().ok()?);
        let octets: [u8; 16] = bytes.get(at..at + 16)?.try_into().ok()?;
        Some(Endpoint::new(address(family, octets), number))
    };
    let mut entry = KernelSocket {
        protocol,
        family,
        state: *bytes.get(1)?,
        timer: *bytes.get(2)?,
        retries: *bytes.get(3)?,
        local: end(4, 8)?,
        peer: end(6, 24)?,
        interface: word(bytes, 40)?,
        cookie: NonZeroU64::new(u64::from(word(bytes, 44)?) | u64::from(word(bytes, 48)?) << 32),
        expires: word(bytes, 52)?,
        receive_queue: word(bytes, 56)?,
        send_queue: word(bytes, 60)?,
        uid: word(bytes, 64)?,
        inode: u64::from(word(bytes, 68)?),
        v6only: None,
        cgroup: None,
        traffic: None,
    };
    read_attributes(bytes.get(ENTRY..)?, &mut entry);
    Some(entry)
}

/// Reads the attributes behind the fixed part; what is malformed there costs only the attributes after it.
fn read_attributes(bytes: &[u8], entry: &mut KernelSocket) {
    for (kind, value) in netlink::attributes(bytes) {
        match kind {
            ATTRIBUTE_V6ONLY => entry.v6only = value.first().map(|byte| *byte != 0),
            ATTRIBUTE_CGROUP_ID => {
                entry.cgroup = value.first_chunk().and_then(|bytes| NonZeroU64::new(u64::from_ne_bytes(*bytes)));
            }
            ATTRIBUTE_INFO if entry.protocol == Protocol::Tcp => {
                entry.traffic = tcp_info::read(value, entry.state).map(Box::new);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::collect::linux::netlink::HEADER;

    fn message(kind: u16, flags: u16, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(HEADER + payload.len()).unwrap();
        let mut bytes = length.to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend(7u32.to_ne_bytes());
        bytes.extend([0; 4]);
        bytes.extend(payload);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    /// A listener on [::]:8080 with v6only, three connections of 128 waiting, inode 4242, uid 33.
    fn row() -> Vec<u8> {
        let mut bytes = vec![10, 10, 0, 0];
        bytes.extend(8080u16.to_be_bytes());
        bytes.extend([0; 34]);
        bytes.extend(2u32.to_ne_bytes());
        bytes.extend(5u32.to_ne_bytes());
        bytes.extend(1u32.to_ne_bytes());
        for number in [0u32, 3, 128, 33, 4242] {
            bytes.extend(number.to_ne_bytes());
        }
        bytes.extend([5u16.to_ne_bytes(), ATTRIBUTE_V6ONLY.to_ne_bytes()].concat());
        bytes.extend([1, 0, 0, 0]);
        bytes.extend([12u16.to_ne_bytes(), ATTRIBUTE_CGROUP_ID.to_ne_bytes()].concat());
        bytes.extend(99u64.to_ne_bytes());
        bytes
    }

    fn decoded(datagram: &[u8]) -> Vec<Result<Framed, Malformed>> {
        messages(datagram, Protocol::Tcp).collect()
    }

    fn messages_of(datagram: &[u8]) -> Vec<Message> {
        decoded(datagram).into_iter().map(|framed| framed.unwrap().message).collect()
    }

    #[test]
    fn a_row_is_read_with_its_attributes() {
        let messages = messages_of(&message(SOCK_DIAG_BY_FAMILY, 2, &row()));
        let [Message::Socket(entry)] = &messages[..] else { panic!("{messages:?}") };
        assert_eq!(entry.local.to_string(), "[::]:8080");
        assert_eq!((entry.state, entry.interface, entry.uid, entry.inode), (10, 2, 33, 4242));
        assert_eq!((entry.receive_queue, entry.send_queue), (3, 128));
        assert_eq!(
            (entry.cookie, entry.v6only, entry.cgroup),
            (NonZeroU64::new(1 << 32 | 5), Some(true), NonZeroU64::new(99))
        );
    }

    #[test]
    fn a_dump_that_ends_with_an_error_is_not_an_empty_table() {
        // What a kernel without the handler answers: 20 bytes, DONE, -ENOENT.
        assert_eq!(messages_of(&message(DONE, 2, &(-2i32).to_ne_bytes())), [Message::Done(-2)]);
        assert_eq!(messages_of(&message(DONE, 2, &[])), [Message::Done(0)]);
        assert_eq!(messages_of(&message(ERROR, 0, &(-22i32).to_ne_bytes())), [Message::Error(-22)]);
        assert_eq!(messages_of(&message(OVERRUN, 0, &[])), [Message::Overrun]);
    }

    #[test]
    fn an_interrupted_dump_is_marked() {
        let framed = decoded(&message(SOCK_DIAG_BY_FAMILY, 0x12, &row()));
        assert!(framed[0].as_ref().unwrap().interrupted);
        assert_eq!(framed[0].as_ref().unwrap().sequence, 7);
    }

    #[test]
    fn lengths_that_lie_end_the_datagram_and_keep_what_was_good() {
        let good = message(SOCK_DIAG_BY_FAMILY, 2, &row());
        let mut zero = message(DONE, 2, &[0; 4]);
        zero[..4].fill(0);
        let mut long = message(DONE, 2, &[0; 4]);
        long[0] = 200;
        let short = message(SOCK_DIAG_BY_FAMILY, 2, &row()[..70]);
        for bad in [zero, long, short, vec![1, 2, 3]] {
            let both = decoded(&[good.clone(), bad].concat());
            assert!(matches!(both[..], [Ok(_), Err(Malformed)]), "{both:?}");
        }
        assert_eq!(decoded(&[]), []);
    }

    #[test]
    fn odd_attributes_cost_only_themselves() {
        for attributes in [&[4u8, 0][..], &[0, 0, 11, 0], &[3, 0, 11, 0], &[200, 0, 11, 0], &[5, 0, 11, 0]] {
            let mut bytes = row();
            bytes.truncate(ENTRY);
            bytes.extend(attributes);
            let messages = messages_of(&message(SOCK_DIAG_BY_FAMILY, 2, &bytes));
            let [Message::Socket(entry)] = &messages[..] else { panic!("{messages:?}") };
            assert_eq!((entry.inode, entry.cgroup), (4242, None));
        }
    }

    #[test]
    fn an_unknown_family_is_no_row() {
        let mut bytes = row();
        bytes[0] = 40;
        assert_eq!(messages_of(&message(SOCK_DIAG_BY_FAMILY, 2, &bytes)), [Message::Other]);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_loop(datagram in any::<Vec<u8>>()) {
            prop_assert!(decoded(&datagram).len() <= datagram.len() / HEADER + 1);
        }

        #[test]
        fn a_good_neighbour_before_is_never_lost(junk in any::<Vec<u8>>()) {
            let datagram = [message(SOCK_DIAG_BY_FAMILY, 2, &row()), junk].concat();
            let is_entry = matches!(decoded(&datagram)[0], Ok(Framed { message: Message::Socket(_), .. }));
            prop_assert!(is_entry);
        }

        #[test]
        fn any_payload_of_the_right_length_is_a_row_or_none(payload in prop::collection::vec(any::<u8>(), ENTRY..200)) {
            let framed = decoded(&message(SOCK_DIAG_BY_FAMILY, 2, &payload));
            prop_assert!(matches!(framed[..], [Ok(_)]), "{:?}", framed);
        }
    }
}
