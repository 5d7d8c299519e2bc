//! Turns the texts of a report back into the facts that they were made from.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::num::NonZeroU64;
use std::time::{Duration, SystemTime};

use super::document as saved;
use super::reachability::reachability;
use crate::model::{
    Activation, Backend, Belonging, Container, Device, Endpoint, Family, Forward, ForwardTarget, ForwardedBy,
    HiddenBecause, Holder, Host, Inode, Nobody, Origin, Owner, OwnerSource, Pending, Pid, Port, PortRange, Process,
    Project, ProjectSource, Protocol, Queue, Runtime, SavedService, Scope, ServiceSource, Snapshot, Socket,
    SocketSource, Space, SpaceId, SpaceKind, Stages, StandsFor, State, TimeWaitReuse, Timer, TimerKind, Traffic, Uid,
    Waiting,
};

/// Finds the value with that name; otherwise returns what was expected.
fn named<T: Copy>(all: &[T], name: impl Fn(T) -> &'static str, word: &str, what: &str) -> Result<T, String> {
    all.iter().copied().find(|one| name(*one) == word).ok_or_else(|| format!("{word:?} is not a known {what}"))
}

/// What a report says with its sockets.
#[derive(Default)]
pub struct Facts {
    /// The sockets, in the order in which they were added.
    pub sockets: Vec<Socket>,
    /// The processes that hold them.
    pub processes: BTreeMap<Pid, Process>,
    /// The names of users.
    pub users: BTreeMap<Uid, String>,
    cgroups: Cgroups,
    services: BTreeMap<(Port, Protocol), SavedService>,
    reachability: BTreeMap<(SpaceId, Protocol, Endpoint), crate::model::Reachability>,
}

impl Facts {
    /// Adds a socket with everything that the report says with it.
    pub fn add(&mut self, socket: saved::Socket) -> Result<(), String> {
        self.users.extend(socket.uid.map(Uid).zip(socket.user.clone()));
        for process in &socket.owner.processes {
            self.users.extend(process.uid.map(Uid).zip(process.user.clone()));
            self.processes.insert(Pid(process.pid), self::process(process)?);
        }
        let protocol = named(&Protocol::ALL, Protocol::name, &socket.protocol, "protocol")?;
        if let Some(service) = &socket.service {
            self.services.insert((Port::new(socket.local.port), protocol), self::service(service)?);
        }
        if let Some(known) = &socket.reachability {
            let end = (SpaceId(socket.space), protocol, endpoint(&socket.local));
            self.reachability.insert(end, reachability(known)?);
        }
        self.sockets.push(self::socket(socket, protocol, &mut self.cgroups)?);
        Ok(())
    }

    /// Puts them into a snapshot of a host of which no more is known.
    pub fn into_snapshot(self, spaces: Vec<Space>, host: Option<String>) -> Snapshot {
        let is_host = |space: &&Space| space.kind == SpaceKind::Host;
        let own = spaces.iter().find(is_host).or(spaces.first()).map_or(SpaceId(0), |space| space.id);
        Snapshot {
            host: Host { name: host, os: None, kernel: None, boot_id: None, captured_at: SystemTime::UNIX_EPOCH },
            backend: Backend::Native,
            socket_source: SocketSource::Netlink,
            owner_source: OwnerSource::TaskIter,
            owner_fallback: None,
            scope: Scope::default(),
            own,
            spaces,
            further_spaces: None,
            sockets: self.sockets,
            processes: self.processes,
            users: self.users,
            cgroups: self.cgroups.found,
            saved_reachability: self.reachability,
            redirects: BTreeMap::new(),
            gaps: Vec::new(),
            saved: Some(self.services),
            warnings: Vec::new(),
            stages: Stages::default(),
        }
    }
}

/// Turns the document into a snapshot.
pub fn snapshot(document: saved::Document) -> Result<Snapshot, String> {
    let mut facts = Facts::default();
    for socket in document.sockets {
        facts.add(socket)?;
    }
    let Facts { sockets, processes, users, cgroups, services, reachability: saved_reachability } = facts;
    let spaces = document.spaces.into_iter().map(space).collect::<Result<Vec<_>, _>>()?;
    if spaces.is_empty() {
        return Err("it lists no port spaces".to_owned());
    }
    if let Some(stray) = sockets.iter().find(|socket| !spaces.iter().any(|space| space.id == socket.space)) {
        return Err(format!("a socket is in port space {}, which it does not list", stray.space.0));
    }
    Ok(Snapshot {
        host: Host {
            name: document.host.name,
            os: document.host.os,
            kernel: document.host.kernel,
            boot_id: document.host.boot_id,
            captured_at: time(&document.host.captured_at)?,
        },
        backend: named(&Backend::ALL, Backend::name, &document.backend, "backend")?,
        socket_source: named(&SocketSource::ALL, SocketSource::name, &document.socket_source, "source of sockets")?,
        owner_source: named(&OwnerSource::ALL, OwnerSource::name, &document.owner_source, "source of owners")?,
        owner_fallback: None,
        scope: document.scope.as_ref().map_or_else(|| Ok(Scope::default()), scope)?,
        own: spaces[0].id,
        spaces,
        further_spaces: document.visibility.further_spaces,
        redirects: BTreeMap::new(),
        saved_reachability,
        sockets,
        processes,
        users,
        cgroups: cgroups.found,
        gaps: document.visibility.reasons.into_iter().map(|gap| gap.facts).collect(),
        saved: Some(services),
        warnings: document.warnings,
        stages: Stages::default(),
    })
}

/// A name, and whose word it is.
type Vouched = (String, Origin);

/// Makes up numbers for cgroups, because a report names what a socket belongs to without the number of the cgroup.
#[derive(Default)]
struct Cgroups {
    known: HashMap<(Option<Vouched>, Option<Vouched>), NonZeroU64>,
    found: BTreeMap<u64, Belonging>,
}

impl Cgroups {
    fn number_of(&mut self, belonging: Belonging) -> Option<NonZeroU64> {
        let container = belonging.container.as_ref().map(|container| (container.id.clone(), container.origin));
        let key = (belonging.unit.clone().map(|unit| (unit, belonging.origin)), container);
        if key == (None, None) {
            return None;
        }
        let next = NonZeroU64::MIN.saturating_add(self.known.len() as u64);
        let number = *self.known.entry(key).or_insert(next);
        self.found.entry(number.get()).or_insert(belonging);
        Some(number)
    }
}

fn scope(scope: &saved::Scope) -> Result<Scope, String> {
    let protocol = |name: &String| named(&Protocol::ALL, Protocol::name, name, "protocol");
    let family = |name: &String| named(&Family::ALL, Family::name, name, "family");
    Ok(Scope {
        protocols: scope.protocols.iter().map(protocol).collect::<Result<_, _>>()?,
        families: scope.families.iter().map(family).collect::<Result<_, _>>()?,
        filtered: scope.filtered,
    })
}

fn space(space: saved::Space) -> Result<Space, String> {
    let source = space.source.as_deref().unwrap_or(SocketSource::Netlink.name());
    let made = Space::new(
        SpaceId(space.id),
        named(&SpaceKind::ALL, SpaceKind::name, &space.kind, "kind of space")?,
        space.label,
        named(&SocketSource::ALL, SocketSource::name, source, "source of sockets")?,
    );
    let named_by = match space.claims {
        Some(claims) if !claims.iter().any(|claim| claim == "label") => Origin::Manager,
        _ => made.named_by,
    };
    let of_space = |saved| Ok::<_, String>(Container { origin: named_by, ..container(saved)? });
    Ok(Space {
        named_by,
        processes: space.processes,
        containers: space.containers.into_iter().map(of_space).collect::<Result<_, _>>()?,
        ephemeral: space.ephemeral.map(range).transpose()?,
        reserved: space.reserved.map(|ranges| ranges.into_iter().map(range).collect()).transpose()?,
        unprivileged_start: space.unprivileged_start,
        time_wait_reuse: space
            .time_wait_reuse
            .map(|word| named(&TimeWaitReuse::ALL, TimeWaitReuse::name, &word, "rule for TIME_WAIT"))
            .transpose()?,
        ..made
    })
}

fn range([first, last]: [u16; 2]) -> Result<PortRange, String> {
    PortRange::new(Port::new(first), Port::new(last)).ok_or_else(|| format!("[{first}, {last}] is not a port range"))
}

fn socket(socket: saved::Socket, protocol: Protocol, cgroups: &mut Cgroups) -> Result<Socket, String> {
    let owner = owner(&socket.owner)?;
    let forward = socket.forward.map(forward).transpose()?;
    let activation = socket.activation.map(|units| Activation { socket: units.socket, service: units.service });
    let origin = |field: &str| match &socket.owner.claims {
        Some(claims) if !claims.iter().any(|claim| claim == field) => Origin::Manager,
        _ => Origin::Claim,
    };
    let of_owner = |saved: Option<saved::Container>, field| {
        let known = saved.map(container).transpose()?;
        Ok::<_, String>(known.map(|known| Container { origin: origin(field), ..known }))
    };
    let belonging = Belonging {
        unit: socket.owner.unit,
        container: of_owner(socket.owner.container, "container")?,
        outer: of_owner(socket.owner.outer_container, "outer_container")?,
        origin: origin("unit"),
        ..Belonging::default()
    };
    // An older report tells of the timers of TIME_WAIT alone.
    let older = socket.time_left_ms.map(|left| Timer {
        kind: TimerKind::TimeWait,
        retries: 0,
        left_ms: u32::try_from(left).unwrap_or(u32::MAX),
    });
    let queue = socket.queue.map(|queue| Queue { used: queue.used, limit: queue.limit });
    let pending =
        socket.pending.map(|pending| Pending { unread: pending.unread, unacknowledged: pending.unacknowledged });
    let timer = socket.timer.as_ref().map(timer).transpose()?.or(older);
    Ok(Socket {
        space: SpaceId(socket.space),
        protocol,
        family: named(&Family::ALL, Family::name, &socket.family, "family")?,
        local: endpoint(&socket.local),
        peer: socket.peer.as_ref().map(endpoint),
        state: socket.state.map(|state| named(&State::ALL, State::name, &state, "state")).transpose()?,
        device: socket.device.map(Device::from),
        v6only: socket.v6only,
        waiting: queue.map(Waiting::Connections).or(pending.map(Waiting::Bytes)),
        inode: socket.inode.and_then(Inode::new),
        uid: socket.uid.map(Uid),
        cookie: socket.cookie.and_then(NonZeroU64::new),
        autobound: socket.autobound,
        traffic: socket.traffic.as_ref().map(traffic).map(Box::new),
        timer,
        cgroup: cgroups.number_of(belonging),
        stands_for: forward.map(StandsFor::Forward).or(activation.map(StandsFor::Activation)).map(Box::new),
        owner,
    })
}

fn traffic(saved: &saved::Traffic) -> Traffic {
    let saved::Traffic { received, sent, rtt_us, retransmits, idle_ms } = *saved;
    Traffic { received, sent, rtt_us, retransmits, idle_ms, rate: None }
}

fn timer(saved: &saved::Timer) -> Result<Timer, String> {
    let kind = named(&TimerKind::ALL, TimerKind::name, &saved.kind, "kind of timer")?;
    Ok(Timer { kind, retries: saved.retries, left_ms: saved.left_ms })
}

fn endpoint(end: &saved::Endpoint) -> Endpoint {
    Endpoint::new(end.address, end.port)
}

fn forward(forward: saved::Forward) -> Result<Forward, String> {
    Ok(Forward {
        by: named(&ForwardedBy::ALL, ForwardedBy::name, &forward.by, "way to forward")?,
        to: target(&forward.to)?,
        container: forward.container.map(container).transpose()?,
        service: forward.service,
    })
}

pub(super) fn target(to: &saved::Target) -> Result<ForwardTarget, String> {
    let range = |(first, last)| {
        let range = PortRange::new(Port::new(first), Port::new(last));
        range.ok_or_else(|| format!("{first}-{last} is not a port range"))
    };
    let ports = to.port.map(|port| (port, port)).or(to.ports);
    Ok(ForwardTarget { address: to.address, ports: ports.map(range).transpose()? })
}

fn container(saved: saved::Container) -> Result<Container, String> {
    let runtime = Runtime::named(&saved.runtime);
    Ok(Container {
        name: saved.name,
        image: saved.image,
        pod: saved.pod,
        compose: saved.compose,
        ..Container::of_id(
            runtime.ok_or_else(|| format!("{:?} is not a known container runtime", saved.runtime))?,
            saved.id,
        )
    })
}

fn owner(owner: &saved::Owner) -> Result<Owner, String> {
    if !owner.processes.is_empty() {
        let of = |process: &saved::Process| {
            let pid = Pid(process.pid);
            let fds: Vec<Option<u32>> =
                if process.fds.is_empty() { vec![None] } else { process.fds.iter().copied().map(Some).collect() };
            fds.into_iter().map(move |fd| Holder { pid, fd })
        };
        let mut holders: Vec<Holder> = owner.processes.iter().flat_map(of).collect();
        holders.sort_unstable();
        return Ok(Owner::Processes(holders.into()));
    }
    let reason = owner.reason.as_deref().unwrap_or_default();
    if owner.tier == "none" {
        return named(&Nobody::ALL, Nobody::name, reason, "reason for no owner").map(Owner::Nobody);
    }
    named(&HiddenBecause::ALL, HiddenBecause::name, reason, "reason for a hidden owner").map(Owner::Hidden)
}

fn process(process: &saved::Process) -> Result<Process, String> {
    let text = |field: &str, text: &String| {
        let is_text = !process.undecodable.iter().any(|name| name == field);
        if is_text { text.into() } else { undecodable(text) }
    };
    Ok(Process {
        pid: Pid(process.pid),
        parent: process.parent.map(Pid),
        name: process.name.as_ref().map(|name| text("name", name)),
        exe: process.exe.as_ref().map(|exe| text("exe", exe).into()),
        argv: process.argv.as_ref().map(|argv| argv.iter().map(|word| text("argv", word)).collect()),
        started_at: process.started_at.as_deref().map(time).transpose()?,
        uid: process.uid.map(Uid),
        // A name beside a number is that of the table of users.
        account: process.user.clone().filter(|_| process.uid.is_none()),
        belonging: None,
        cwd: process.cwd.as_ref().map(|cwd| text("cwd", cwd).into()),
        runs: process.runs.as_ref().map(|runs| text("runs", runs)),
        project: process.project.as_ref().map(project).transpose()?,
        exe_deleted: None,
        executable: None,
    })
}

fn project(saved: &saved::Project) -> Result<Project, String> {
    let source = ProjectSource::named(&saved.source);
    // One flag says for all texts of a project that they were not valid text.
    let text = |text: &String| if text.contains(char::REPLACEMENT_CHARACTER) { undecodable(text) } else { text.into() };
    Ok(Project {
        name: text(&saved.name),
        branch: saved.branch.as_ref().map(text),
        folder: saved.folder.as_ref().map(|folder| text(folder).into()),
        source: source.ok_or_else(|| format!("{:?} is not a known project marker", saved.source))?,
    })
}

/// Turns a text in which U+FFFD stands for invalid bytes into bytes that are invalid too, so that it is reported as
/// such again.
fn undecodable(text: &str) -> OsString {
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStringExt;
        let bytes = |character: char| match character {
            char::REPLACEMENT_CHARACTER => vec![0xff],
            character => character.to_string().into_bytes(),
        };
        OsString::from_vec(text.chars().flat_map(bytes).collect())
    }
    #[cfg(not(unix))]
    text.into()
}

fn service(service: &saved::Service) -> Result<SavedService, String> {
    Ok(SavedService {
        name: service.name.clone(),
        description: service.description.clone(),
        source: named(&ServiceSource::ALL, ServiceSource::name, &service.source, "source of names")?,
    })
}

fn time(text: &str) -> Result<SystemTime, String> {
    let wrong = || format!("{text:?} is not a timestamp");
    let time: jiff::Timestamp = text.parse().map_err(|_| wrong())?;
    let since = u64::try_from(time.as_second()).map(Duration::from_secs).map_err(|_| wrong())?;
    SystemTime::UNIX_EPOCH.checked_add(since).ok_or_else(wrong)
}
