//! The flags that say where the facts come from.

use std::path::PathBuf;

use clap::Args;

use super::one_of;
use crate::model::{BackendChoice, Need};

/// Where the facts come from.
#[derive(Args, Clone, Debug)]
pub struct SourceArgs {
    /// Read a report that `snapshot` or --json has written instead of this machine; - for standard input
    #[arg(long, value_name = "FILE", help_heading = "Source")]
    pub from: Option<PathBuf>,

    /// Who is asked: the kernel (native, Linux), or netstat2 and sysinfo (portable)
    #[arg(long, value_name = "BACKEND", value_parser = one_of(&BackendChoice::ALL, BackendChoice::name), default_value = "auto", help_heading = "Source")]
    pub backend: BackendChoice,

    /// Ask no other program: no container runtime, no systemctl, no tools of the firewall
    #[arg(long, help_heading = "Source")]
    pub no_helpers: bool,
}

impl SourceArgs {
    /// The need with what these flags say of it.
    pub fn asked(&self, need: Need) -> Need {
        Need { backend: self.backend, helpers: !self.no_helpers, ..need }
    }
}
