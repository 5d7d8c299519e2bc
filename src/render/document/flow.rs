//! What waits in a socket and what has flowed through it, for programs.

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::{Pending, Queue, Timer, Traffic};

/// The accept queue of a listener.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Queue")]
pub struct QueueReport {
    /// The number of connections waiting to be accepted.
    pub used: u32,
    /// The number of connections that can wait.
    pub limit: u32,
}

/// What waits in the buffers of a socket that is no listener.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Pending")]
pub struct PendingReport {
    /// Bytes that were received and not read yet. For UDP the memory that they take up.
    pub unread: u32,
    /// Bytes that were written and that the peer has not acknowledged yet. For UDP the memory that they take up.
    pub unacknowledged: u32,
}

/// What a TCP connection has carried.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Traffic")]
pub struct TrafficReport {
    /// Bytes of payload received.
    pub received: u64,
    /// Bytes of payload sent, each counted once even if it was retransmitted.
    pub sent: u64,
    /// The smoothed round-trip time, in microseconds.
    pub rtt_us: Option<u32>,
    /// The number of retransmitted segments.
    pub retransmits: u32,
    /// Milliseconds since payload was last received or sent.
    pub idle_ms: Option<u32>,
}

/// The timer that runs for a TCP connection.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Timer")]
pub struct TimerReport {
    /// `retransmit`, `keepalive`, `time-wait`, or `probe` (the peer has no room for more data).
    pub kind: &'static str,
    /// Milliseconds until it ends.
    pub left_ms: u32,
    /// How often it has ended before without an answer of the peer.
    pub retries: u8,
}

/// Turns a queue into its object.
pub(super) fn queue(queue: Queue) -> QueueReport {
    QueueReport { used: queue.used, limit: queue.limit }
}

/// Turns what waits into its object.
pub(super) fn pending(pending: Pending) -> PendingReport {
    PendingReport { unread: pending.unread, unacknowledged: pending.unacknowledged }
}

/// Turns a timer into its object.
pub(super) fn timer(timer: Timer) -> TimerReport {
    TimerReport { kind: timer.kind.name(), left_ms: timer.left_ms, retries: timer.retries }
}

/// Turns what connections carry into its object.
pub(super) fn traffic(traffic: &Traffic) -> TrafficReport {
    TrafficReport {
        received: traffic.received,
        sent: traffic.sent,
        rtt_us: traffic.rtt_us,
        retransmits: traffic.retransmits,
        idle_ms: traffic.idle_ms,
    }
}
