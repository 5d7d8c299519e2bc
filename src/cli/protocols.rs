//! The flags that say which protocols are meant.

use clap::Args;

use crate::model::Protocol;

/// `-t`, `-u`.
#[derive(Args, Clone, Copy, Debug)]
pub struct ProtocolArgs {
    /// TCP (the default)
    #[arg(short = 't', long)]
    tcp: bool,

    /// UDP; -tu for both
    #[arg(short = 'u', long)]
    udp: bool,
}

impl ProtocolArgs {
    /// The protocols that are meant.
    pub fn protocols(self) -> Vec<Protocol> {
        match (self.tcp, self.udp) {
            (_, false) => vec![Protocol::Tcp],
            (false, true) => vec![Protocol::Udp, Protocol::UdpLite],
            (true, true) => Protocol::ALL.to_vec(),
        }
    }

    /// The protocols that are meant where a port is asked for a server: nobody asks that of UDP-Lite.
    pub fn of_servers(self) -> Vec<Protocol> {
        let mut protocols = self.protocols();
        protocols.retain(|protocol| Protocol::REGISTERED.contains(protocol));
        protocols
    }

    /// The same where without a flag every protocol is meant.
    pub fn or_every(self) -> Vec<Protocol> {
        if self.tcp || self.udp { self.protocols() } else { Protocol::ALL.to_vec() }
    }
}

/// `-t`, `-u` of commands whose answers have every protocol without them.
#[derive(Args, Clone, Copy, Debug)]
pub struct OnlyProtocolArgs {
    /// TCP only
    #[arg(short = 't', long)]
    tcp: bool,

    /// UDP only
    #[arg(short = 'u', long)]
    udp: bool,
}

impl OnlyProtocolArgs {
    /// The protocols that are meant.
    pub fn protocols(self) -> Vec<Protocol> {
        match (self.tcp, self.udp) {
            (true, false) => vec![Protocol::Tcp],
            (false, true) => vec![Protocol::Udp, Protocol::UdpLite],
            _ => Protocol::ALL.to_vec(),
        }
    }
}
