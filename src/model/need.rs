//! What a command needs from the system; nothing else is collected.

use std::collections::BTreeSet;

use super::{Endpoint, Family, Port, PortRange, Protocol, Socket, Space, SpaceKind, State};

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

/// Which port spaces are meant.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum SpaceChoice {
    /// The one that this process is in.
    Own,
    /// That one and those of containers.
    #[default]
    Containers,
    /// Every one that can be found.
    All,
    /// Those with one of these labels or ids.
    Named(Vec<String>),
}

impl SpaceChoice {
    /// What `--space` names: labels, ids, or `all`.
    pub fn of_names(names: &[String]) -> SpaceChoice {
        match names {
            [] => SpaceChoice::Containers,
            names if names.iter().any(|name| name == "all") => SpaceChoice::All,
            names => SpaceChoice::Named(names.to_vec()),
        }
    }

    /// Returns whether a space that was collected is asked for; a source may return more than was asked for by name.
    pub fn admits(&self, space: &Space) -> bool {
        match self {
            SpaceChoice::Own | SpaceChoice::Containers | SpaceChoice::All => true,
            SpaceChoice::Named(names) => names.iter().any(|name| space.is_called(name)),
        }
    }
}

/// What to collect. It only saves work: it does not choose rows by meaning, and a source may return more.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Need {
    /// The protocols whose sockets are wanted.
    pub protocols: Vec<Protocol>,
    /// The families whose sockets are wanted.
    pub families: Vec<Family>,
    /// The states whose sockets are wanted; all of them when absent.
    pub states: Option<Vec<State>>,
    /// The local ports whose sockets are wanted; all of them when absent.
    pub ports: Option<BTreeSet<Port>>,
    /// Ports that were named while others are wanted too: they have a row even in a wide range of redirects.
    pub named_ports: Vec<PortRange>,
    /// Whether connections are wanted too whose other end is on one of these ports.
    pub clients: bool,
    /// Whether the arguments of owners are wanted.
    pub argv: bool,
    /// Whether the units and containers of owners are wanted.
    pub belonging: bool,
    /// Whether the files that owners run are wanted.
    pub exe: bool,
    /// Whether it is wanted who could have put these files there.
    pub executables: bool,
    /// Whether everything else about owners is wanted too: their ancestors, their working folder, and whether the file
    /// that they run still exists.
    pub dossier: bool,
    /// Whether it is wanted what interpreters among the owners run.
    pub runs: bool,
    /// Whether the projects of listeners' owners are wanted, and the folders that they work in; with a dossier those of
    /// every owner.
    pub project: bool,
    /// Whether it is wanted what connections have carried.
    pub traffic: bool,
    /// Whether the counters of the spaces are wanted.
    pub counters: bool,
    /// Which backend to use.
    pub backend: BackendChoice,
    /// The port spaces whose sockets are wanted.
    pub spaces: SpaceChoice,
    /// Whether other programs may be asked: a container runtime, systemctl, the firewall's tools.
    pub helpers: bool,
}

impl Default for Need {
    /// Every socket, and the facts about its owners that cost no extra time.
    fn default() -> Need {
        Need {
            protocols: Protocol::ALL.to_vec(),
            families: Family::ALL.to_vec(),
            states: None,
            ports: None,
            named_ports: Vec::new(),
            clients: false,
            argv: false,
            belonging: false,
            exe: false,
            executables: false,
            dossier: false,
            runs: false,
            project: false,
            traffic: false,
            counters: false,
            backend: BackendChoice::default(),
            spaces: SpaceChoice::default(),
            helpers: true,
        }
    }
}

impl Need {
    /// Says whether sockets on this local port are wanted.
    pub fn wants_port(&self, port: Port) -> bool {
        self.ports.as_ref().is_none_or(|ports| ports.contains(&port))
    }

    /// Says whether a socket with these ends is wanted.
    pub fn wants_ends(&self, local: Endpoint, peer: Option<Endpoint>) -> bool {
        self.wants_port(local.port) || (self.clients && peer.is_some_and(|peer| self.wants_port(peer.port)))
    }
}

#[allow(dead_code, reason = "asked by the native backend of Linux")]
impl Need {
    /// Says whether the sockets of the space that this process is in are wanted.
    pub fn wants_own(&self, own: &Space) -> bool {
        match &self.spaces {
            SpaceChoice::Own | SpaceChoice::Containers | SpaceChoice::All => true,
            SpaceChoice::Named(_) => self.wants(own),
        }
    }

    /// Says whether the sockets of this other space are wanted.
    pub fn wants(&self, space: &Space) -> bool {
        match &self.spaces {
            SpaceChoice::Own => false,
            SpaceChoice::Containers => space.kind == SpaceKind::Container,
            SpaceChoice::All => true,
            SpaceChoice::Named(names) => names.iter().any(|name| space.is_called(name)),
        }
    }

    /// Says whether spaces must be looked for wherever one could be.
    pub fn wants_every_space(&self) -> bool {
        matches!(self.spaces, SpaceChoice::All | SpaceChoice::Named(_))
    }

    /// Says whether sockets in this state are wanted.
    pub fn wants_state(&self, state: State) -> bool {
        self.states.as_ref().is_none_or(|states| states.contains(&state))
    }

    /// Returns the same need, limited to the kinds of these sockets and to those that they can have become meanwhile.
    pub fn narrowed_to(&self, sockets: &[Socket]) -> Need {
        let has = |test: &dyn Fn(&Socket) -> bool| sockets.iter().any(test);
        let of_protocol = |protocol: &Protocol| has(&|socket| socket.protocol == *protocol);
        let of_family = |family: &Family| has(&|socket| socket.family == *family);
        let of_state = |state: &State| has(&|socket| socket.state == Some(*state));
        // A connection goes from state to state; a listener only comes and goes.
        let stays = |socket: &Socket| matches!(socket.state, Some(State::Listen | State::Bound | State::Unconnected));
        let narrow = sockets.iter().all(stays);
        Need {
            protocols: self.protocols.iter().copied().filter(of_protocol).collect(),
            families: self.families.iter().copied().filter(of_family).collect(),
            states: if narrow { Some(State::ALL.into_iter().filter(of_state).collect()) } else { None },
            ..self.clone()
        }
    }
}
