//! What has flowed through a connection.

/// What a TCP connection has carried so far, and how well; for a listener on the screen, all connections of its port.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Traffic {
    /// Bytes of payload that were received.
    pub received: u64,
    /// Bytes of payload that were sent, each counted once however often it was sent again.
    pub sent: u64,
    /// The smoothed round-trip time, in microseconds.
    pub rtt_us: Option<u32>,
    /// How many segments were sent again.
    pub retransmits: u32,
    /// Milliseconds since payload was last received or sent.
    pub idle_ms: Option<u32>,
    /// How fast it flows; known where two looks were compared.
    pub rate: Option<Rate>,
}

/// Bytes of payload a second.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Rate {
    /// Received.
    pub received: u64,
    /// Sent.
    pub sent: u64,
}

impl Rate {
    /// Both together.
    pub fn plus(self, other: Rate) -> Rate {
        Rate { received: self.received.saturating_add(other.received), sent: self.sent.saturating_add(other.sent) }
    }
}

impl Traffic {
    /// What is received a second, or where that is not known the bytes received so far.
    pub fn receives(&self) -> u64 {
        self.rate.map_or(self.received, |rate| rate.received)
    }

    /// What is sent a second, or where that is not known the bytes sent so far.
    pub fn sends(&self) -> u64 {
        self.rate.map_or(self.sent, |rate| rate.sent)
    }

    /// Several connections as one: bytes are summed, and of the times the shortest idle one stays.
    pub fn sum(all: impl Iterator<Item = Traffic>) -> Option<Traffic> {
        all.reduce(|one, other| Traffic {
            received: one.received.saturating_add(other.received),
            sent: one.sent.saturating_add(other.sent),
            rtt_us: None,
            retransmits: one.retransmits.saturating_add(other.retransmits),
            idle_ms: one.idle_ms.into_iter().chain(other.idle_ms).min(),
            rate: one.rate.map_or(other.rate, |rate| Some(rate.plus(other.rate.unwrap_or_default()))),
        })
    }
}
