//! The flags that say where the facts come from.

use std::path::PathBuf;

use clap::Args;

use super::one_of;
use crate::model::{BackendChoice, Need};

/// Where the facts come from.
#[derive(Args, Clone, Debug)]
pub struct SourceArgs {
    /// Read this snapshot instead of this host; - is standard input
    #[arg(long, value_name = "FILE", help_heading = "Source")]
    pub from: Option<PathBuf>,

    #[command(flatten, next_help_heading = "Source")]
    pub backend: BackendArgs,
}

impl SourceArgs {
    /// The need with what these flags say of it.
    pub fn asked(&self, need: Need) -> Need {
        self.backend.asked(need)
    }
}

/// Which ways of collecting may be used.
#[derive(Args, Clone, Copy, Debug)]
pub struct BackendArgs {
    /// Where data comes from: the kernel (native, Linux), or netstat2 and sysinfo (portable)
    #[arg(long, value_name = "BACKEND", value_parser = one_of(&BackendChoice::ALL, BackendChoice::name), default_value = "auto")]
    pub backend: BackendChoice,

    /// Do not run helper programs or ask container runtimes
    #[arg(long)]
    pub no_helpers: bool,
}

impl BackendArgs {
    /// The need with what these flags say of it.
    pub fn asked(self, need: Need) -> Need {
        Need { backend: self.backend, helpers: !self.no_helpers, ..need }
    }
}
