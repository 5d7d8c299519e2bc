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
            (false, true) => vec![Protocol::Udp],
            (true, true) => Protocol::ALL.to_vec(),
        }
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
            (false, true) => vec![Protocol::Udp],
            _ => Protocol::ALL.to_vec(),
        }
    }
}
