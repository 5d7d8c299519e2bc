//! What a command needs from the system, so that the rest is not collected.

use super::{Family, Protocol, State};

/// Which backend to use.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum BackendChoice {
    /// The best that this system has.
    #[default]
    Auto,
    /// The kernel itself.
    Native,
    /// netstat2 and sysinfo.
    Portable,
}

impl BackendChoice {
    /// Every choice.
    pub const ALL: [BackendChoice; 3] = [BackendChoice::Auto, BackendChoice::Native, BackendChoice::Portable];

    /// The name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            BackendChoice::Auto => "auto",
            BackendChoice::Native => "native",
            BackendChoice::Portable => "portable",
        }
    }
}

/// What to collect. It only skips work: nothing here chooses rows by meaning, and a source may give more.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Need {
    /// The protocols whose sockets are wanted.
    pub protocols: Vec<Protocol>,
    /// The families whose sockets are wanted.
    pub families: Vec<Family>,
    /// The states whose sockets are wanted; all of them when absent.
    pub states: Option<Vec<State>>,
    /// Whether the arguments of owners are wanted.
    pub argv: bool,
    /// Who is to be asked.
    pub backend: BackendChoice,
}
