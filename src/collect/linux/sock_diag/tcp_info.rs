//! What a TCP connection has carried: `struct tcp_info`.
//!
//! Newer kernels have appended fields, so that an older one sends fewer bytes. Source: `linux/tcp.h`, `tcp_get_info` in
//! net/ipv4/tcp.c.

use crate::collect::linux::netlink::word;
use crate::model::Traffic;

/// Where the fields are.
mod at {
    pub const LAST_DATA_SENT: usize = 44;
    pub const LAST_DATA_RECEIVED: usize = 52;
    pub const ROUND_TRIP: usize = 68;
    pub const RETRANSMITS: usize = 100;
    pub const BYTES_ACKNOWLEDGED: usize = 120;
    pub const BYTES_RECEIVED: usize = 128;
    pub const BYTES_SENT: usize = 200;
    pub const BYTES_SENT_AGAIN: usize = 208;
}

/// States in which the end of what the peer sends has come: CLOSE_WAIT, LAST_ACK and CLOSING of `tcp_states.h`.
const PEER_HAS_ENDED: [u8; 3] = [8, 9, 11];

/// Reads the structure of a connection in this state; nothing where the kernel counts no bytes (before 4.1).
pub fn read(bytes: &[u8], state: u8) -> Option<Traffic> {
    let received = long(bytes, at::BYTES_RECEIVED)?;
    // The kernel counts the end of the stream (FIN) as a byte.
    let received = received.saturating_sub(u64::from(PEER_HAS_ENDED.contains(&state)));
    let sent = match (long(bytes, at::BYTES_SENT), long(bytes, at::BYTES_SENT_AGAIN)) {
        (Some(sent), Some(again)) => sent.saturating_sub(again),
        // Before 4.19 only what has arrived is counted, the beginning of the stream (SYN) of a client included.
        _ => long(bytes, at::BYTES_ACKNOWLEDGED)?,
    };
    let idle = word(bytes, at::LAST_DATA_SENT)?.min(word(bytes, at::LAST_DATA_RECEIVED)?);
    Some(Traffic {
        received,
        sent,
        rtt_us: word(bytes, at::ROUND_TRIP).filter(|rtt| *rtt != 0),
        retransmits: word(bytes, at::RETRANSMITS)?,
        idle_ms: Some(idle),
        rate: None,
    })
}

fn long(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|bytes| u64::from_ne_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A connection that has sent 500 bytes, 100 of them twice, and received 40.
    fn info() -> Vec<u8> {
        let mut bytes = vec![0; 216];
        for (at, value) in [(44, 900_u32), (52, 250), (68, 1234), (100, 2)] {
            bytes[at..at + 4].copy_from_slice(&value.to_ne_bytes());
        }
        for (at, value) in [(120, 401_u64), (128, 40), (200, 600), (208, 100)] {
            bytes[at..at + 8].copy_from_slice(&value.to_ne_bytes());
        }
        bytes
    }

    #[test]
    fn bytes_count_once_however_often_they_were_sent() {
        let traffic = read(&info(), 1).unwrap();
        assert_eq!((traffic.received, traffic.sent, traffic.retransmits), (40, 500, 2));
        assert_eq!((traffic.rtt_us, traffic.idle_ms), (Some(1234), Some(250)));
    }

    #[test]
    fn the_end_of_the_stream_is_no_byte() {
        for state in PEER_HAS_ENDED {
            assert_eq!(read(&info(), state).unwrap().received, 39);
        }
    }

    #[test]
    fn an_older_kernel_counts_what_has_arrived_and_the_oldest_nothing() {
        assert_eq!(read(&info()[..200], 1).unwrap().sent, 401);
        assert_eq!(read(&info()[..104], 1), None);
        assert_eq!(read(&[], 1), None);
    }
}
