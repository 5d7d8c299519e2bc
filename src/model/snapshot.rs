//! Everything that one run found out about one host. Collecting produces it; everything else works on it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use super::{
    Answer, Belonging, Endpoint, Family, Few, Gap, Missing, Need, Pid, Port, Process, Protocol, Reachability,
    Redirects, Service, ServiceSource, Socket, Space, SpaceId, Stages, Uid,
};

/// The version of the JSON report; it changes only when a field changes its meaning or leaves.
pub const SCHEMA: &str = "portscope/1";

/// The machine that was looked at.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Host {
    /// Its host name.
    pub name: Option<String>,
    /// The operating system with its version.
    pub os: Option<String>,
    /// The kernel's release.
    pub kernel: Option<String>,
    /// A number that changes at each start of the system (Linux).
    pub boot_id: Option<String>,
    /// When the sockets were listed.
    pub captured_at: SystemTime,
}

/// Which way the facts were collected.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Backend {
    /// The kernel itself (Linux).
    Native,
    /// The crates netstat2 and sysinfo, on every system.
    Portable,
}

impl Backend {
    /// Both.
    pub const ALL: [Backend; 2] = [Backend::Native, Backend::Portable];

    /// The name in JSON and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Backend::Native => "native",
            Backend::Portable => "portable",
        }
    }
}

/// Where the table of sockets was read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SocketSource {
    /// sock_diag(7).
    Netlink,
    /// The text below `/proc/net`, which has fewer facts, because netlink was refused.
    ProcNet,
    /// netstat2.
    Netstat2,
}

impl SocketSource {
    /// Every source.
    pub const ALL: [SocketSource; 3] = [SocketSource::Netlink, SocketSource::ProcNet, SocketSource::Netstat2];

    /// The name in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            SocketSource::Netlink => "netlink",
            SocketSource::ProcNet => "proc-net",
            SocketSource::Netstat2 => "netstat2",
        }
    }
}

/// How the holders were found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OwnerSource {
    /// The kernel's iterator over the descriptors of all tasks.
    TaskIter,
    /// Reading `/proc/PID/fd`.
    FdScan,
    /// The system reports each socket with its processes.
    System,
}

impl OwnerSource {
    /// Every source.
    pub const ALL: [OwnerSource; 3] = [OwnerSource::TaskIter, OwnerSource::FdScan, OwnerSource::System];

    /// The name in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            OwnerSource::TaskIter => "task-iter",
            OwnerSource::FdScan => "fd-scan",
            OwnerSource::System => "system",
        }
    }
}

/// Which sockets a snapshot was to have.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Scope {
    /// Of these protocols; empty where that is not known.
    pub protocols: Vec<Protocol>,
    /// Of these families; empty where that is not known.
    pub families: Vec<Family>,
    /// Whether some of those were left out.
    pub filtered: bool,
}

impl Scope {
    /// What is collected for this need.
    pub fn of(need: &Need) -> Scope {
        Scope {
            protocols: need.protocols.clone(),
            families: need.families.clone(),
            filtered: need.states.is_some() || need.ports.is_some(),
        }
    }
}

/// A service's name that came with a saved report.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SavedService {
    /// Its short name.
    pub name: String,
    /// What it is, in words.
    pub description: Option<String>,
    /// Where the name came from, there.
    pub source: ServiceSource,
}

impl SavedService {
    /// The same, as a look-up gives it.
    pub fn as_service(&self) -> Service<'_> {
        Service { name: &self.name, description: self.description.as_deref(), source: self.source }
    }
}

/// The facts as the operating system states them, before any meaning is added.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Snapshot {
    /// The machine.
    pub host: Host,
    /// How the facts were collected.
    pub backend: Backend,
    /// Which sockets were to be collected.
    pub scope: Scope,
    /// Where the table of sockets was read.
    pub socket_source: SocketSource,
    /// How the holders were found.
    pub owner_source: OwnerSource,
    /// Why a faster way to find them was tried and failed.
    pub owner_fallback: Option<String>,
    /// The port space of this process, which is not listed if others were asked for by name. For a saved report, which
    /// does not say, it is the first one.
    pub own: SpaceId,
    /// The port spaces that were listed, the one of this process first where it is one of them; never empty.
    pub spaces: Vec<Space>,
    /// How many port spaces were found and not asked for; absent if they were not looked for.
    pub further_spaces: Option<usize>,
    /// The sockets of those spaces.
    pub sockets: Vec<Socket>,
    /// Every process that holds one of the sockets and still could be described; when asked for, those too that they
    /// descend from.
    pub processes: BTreeMap<Pid, Process>,
    /// The names of the users that sockets and processes belong to, where they have one.
    pub users: BTreeMap<Uid, String>,
    /// What the cgroups that made the sockets belong to, by id, where their paths say.
    pub cgroups: BTreeMap<u64, Belonging>,
    /// What the firewall's rules do in each listed space in which there are some. A saved report does not tell it.
    pub redirects: BTreeMap<SpaceId, Redirects>,
    /// What a saved report says of the rules, for each local end of its sockets.
    pub saved_reachability: BTreeMap<(SpaceId, Protocol, Endpoint), Reachability>,
    /// What was not seen.
    pub gaps: Vec<Gap>,
    /// The names of services that came with a saved report; absent where this machine was looked at.
    pub saved: Option<BTreeMap<(Port, Protocol), SavedService>>,
    /// Sentences for the reader about anything else.
    pub warnings: Vec<String>,
    /// How long it took to collect; nothing where that is not measured.
    pub stages: Stages,
}

impl Snapshot {
    /// What was not seen and could change the answer.
    pub fn gaps_of(&self, answer: Answer) -> impl Iterator<Item = &Gap> {
        self.gaps.iter().filter(move |gap| gap.matters_to(answer))
    }

    /// Says whether facts of this kind are missing.
    pub fn misses(&self, missing: Missing) -> bool {
        self.gaps.iter().any(|gap| gap.missing() == missing)
    }

    /// Returns how many port spaces could not be read; `None` if one kind of them cannot be counted.
    pub fn unseen_spaces(&self) -> Option<usize> {
        // A saved report may hold any numbers.
        let add = |sum: usize, gap: &Gap| Some(sum.saturating_add(gap.count()?));
        self.gaps.iter().filter(|gap| gap.missing() == Missing::Spaces).try_fold(0, add)
    }

    /// Returns the space with that id, when it was listed.
    pub fn space(&self, id: SpaceId) -> Option<&Space> {
        self.spaces.iter().find(|space| space.id == id)
    }

    /// What the firewall's rules do in a space; nothing where nobody looks for rules, and for a saved report.
    pub fn redirects_of(&self, space: SpaceId) -> Option<&Redirects> {
        static NONE: Redirects = Redirects { found: Vec::new(), is_unread: false };
        let has_looked = self.saved.is_none() && self.backend == Backend::Native;
        self.redirects.get(&space).or_else(|| has_looked.then_some(&NONE))
    }

    /// What happens to what is sent to a socket's port, where that is known.
    pub fn reachability(&self, socket: &Socket) -> Option<Reachability> {
        let end = (socket.space, socket.protocol, socket.local);
        if let Some(known) = self.saved_reachability.get(&end) {
            return Some(known.clone());
        }
        let redirects = self.redirects_of(socket.space)?;
        Some(redirects.of(socket.protocol, socket.reach(), socket.local.port))
    }

    /// The processes that a process descends from as far as they are known, its parent first.
    pub fn ancestors(&self, process: &Process) -> Vec<&Process> {
        let mut found: Vec<&Process> = Vec::new();
        let mut parent = process.parent;
        while let Some(ancestor) = parent.and_then(|parent| self.processes.get(&parent)) {
            // The numbers may form a cycle on a system that reuses them without updating children.
            if ancestor.pid == process.pid || found.iter().any(|known| known.pid == ancestor.pid) {
                break;
            }
            found.push(ancestor);
            parent = ancestor.parent;
        }
        found
    }

    /// The distinct processes that hold a socket, the main one first.
    pub fn processes_of(&self, socket: &Socket) -> Few<(Pid, Option<&Process>)> {
        let holders = match socket.owner.holders() {
            [] => return Few::None,
            [holder] => return Few::One((holder.pid, self.processes.get(&holder.pid))),
            several => several,
        };
        let pids: BTreeSet<Pid> = holders.iter().map(|holder| holder.pid).collect();
        let parent_of = |pid: Pid| self.processes.get(&pid).and_then(|process| process.parent);
        // The master of a pre-forked server is the holder that no other holder started. Pid 1 may keep a socket that it
        // passed on (socket activation); then the other holder is the service that people look for.
        let is_foremost = |pid: &Pid| {
            let started_by_other = parent_of(*pid).is_some_and(|parent| parent != Pid(1) && pids.contains(&parent));
            *pid != Pid(1) && !started_by_other
        };
        let foremost = pids.iter().copied().find(is_foremost).or_else(|| pids.first().copied());
        let others = pids.iter().copied().filter(|pid| Some(*pid) != foremost);
        foremost.into_iter().chain(others).map(|pid| (pid, self.processes.get(&pid))).collect()
    }

    /// The unit and container of a socket that these processes hold.
    pub fn belonging_of<'a>(
        &'a self,
        socket: &Socket,
        processes: &[(Pid, Option<&'a Process>)],
    ) -> Option<&'a Belonging> {
        // A process may be in another cgroup than the one in which its socket was made (socket activation).
        let of_process = processes.first().and_then(|(_, process)| process.as_ref()?.belonging.as_ref());
        of_process.or_else(|| self.cgroups.get(&socket.cgroup?.get()))
    }

    /// Returns the user's name.
    pub fn user(&self, uid: Option<Uid>) -> Option<&str> {
        self.users.get(&uid?).map(String::as_str)
    }
}
