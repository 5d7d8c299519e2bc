//! The report as it is read. It differs from the one that is written, because older and newer reports are read too.
//!
//! A field that an older report lacks is absent; an additional field of a newer report is ignored.

use std::net::IpAddr;

use serde::Deserialize;

#[derive(Deserialize)]
pub struct Document {
    pub backend: String,
    pub socket_source: String,
    pub owner_source: String,
    pub scope: Option<Scope>,
    pub host: Host,
    pub spaces: Vec<Space>,
    pub sockets: Vec<Socket>,
    pub visibility: Visibility,
    #[serde(default)]
    pub warnings: Vec<String>,
}

#[derive(Deserialize)]
pub struct Scope {
    pub protocols: Vec<String>,
    pub families: Vec<String>,
    pub filtered: bool,
}

#[derive(Deserialize)]
pub struct Host {
    pub name: Option<String>,
    pub os: Option<String>,
    pub kernel: Option<String>,
    pub boot_id: Option<String>,
    pub captured_at: String,
}

#[derive(Deserialize)]
pub struct Space {
    pub id: u64,
    pub kind: String,
    pub label: String,
    pub source: Option<String>,
    pub processes: Option<usize>,
    #[serde(default)]
    pub containers: Vec<Container>,
    pub ephemeral: Option<[u16; 2]>,
    pub reserved: Option<Vec<[u16; 2]>>,
    pub unprivileged_start: Option<u32>,
    pub time_wait_reuse: Option<String>,
    pub claims: Option<Vec<String>>,
}

#[derive(Clone, Deserialize)]
pub struct Container {
    pub runtime: String,
    pub id: String,
    pub name: Option<String>,
    pub image: Option<String>,
    pub pod: Option<String>,
    pub compose: Option<String>,
}

#[derive(Clone, Deserialize)]
pub struct Project {
    pub name: String,
    pub branch: Option<String>,
    pub folder: Option<String>,
    pub source: String,
}

#[derive(Clone, Deserialize)]
pub struct Reachability {
    pub outside: Redirection,
    pub local: Redirection,
    pub filtered: Option<String>,
}

#[derive(Clone, Deserialize)]
pub struct Redirection {
    pub answer: String,
    pub to: Option<Target>,
    pub rule: Option<String>,
    pub senders: Option<String>,
    pub reason: Option<String>,
}

#[derive(Clone, Deserialize)]
pub struct Endpoint {
    pub address: IpAddr,
    pub port: u16,
}

#[derive(Clone, Deserialize)]
pub struct Socket {
    pub space: u64,
    pub protocol: String,
    pub family: String,
    pub local: Endpoint,
    pub peer: Option<Endpoint>,
    pub state: Option<String>,
    pub service: Option<Service>,
    pub device: Option<String>,
    pub v6only: Option<bool>,
    pub queue: Option<Queue>,
    pub pending: Option<Pending>,
    pub inode: Option<u64>,
    pub uid: Option<u32>,
    pub user: Option<String>,
    pub cookie: Option<u64>,
    pub autobound: Option<bool>,
    pub time_left_ms: Option<u64>,
    pub traffic: Option<Traffic>,
    pub timer: Option<Timer>,
    pub forward: Option<Forward>,
    pub reachability: Option<Reachability>,
    pub activation: Option<Activation>,
    pub owner: Owner,
}

#[derive(Clone, Deserialize)]
pub struct Service {
    pub name: String,
    pub source: String,
    pub description: Option<String>,
}

#[derive(Clone, Deserialize)]
pub struct Queue {
    pub used: u32,
    pub limit: u32,
}

#[derive(Clone, Deserialize)]
pub struct Pending {
    pub unread: u32,
    pub unacknowledged: u32,
}

#[derive(Clone, Deserialize)]
pub struct Traffic {
    pub received: u64,
    pub sent: u64,
    pub rtt_us: Option<u32>,
    pub retransmits: u32,
    pub idle_ms: Option<u32>,
}

#[derive(Clone, Deserialize)]
pub struct Timer {
    pub kind: String,
    pub left_ms: u32,
    pub retries: u8,
}

#[derive(Clone, Deserialize)]
pub struct Forward {
    pub by: String,
    pub to: Target,
    pub container: Option<Container>,
    #[serde(default)]
    pub service: Option<String>,
}

#[derive(Clone, Deserialize)]
pub struct Target {
    pub address: IpAddr,
    pub port: Option<u16>,
    pub ports: Option<(u16, u16)>,
}

#[derive(Clone, Deserialize)]
pub struct Activation {
    pub socket: String,
    pub service: Option<String>,
}

#[derive(Clone, Deserialize)]
pub struct Owner {
    pub tier: String,
    pub reason: Option<String>,
    pub processes: Vec<Process>,
    pub unit: Option<String>,
    pub container: Option<Container>,
    pub outer_container: Option<Container>,
    /// Absent in reports from before it was written: then every name is taken for a claim.
    pub claims: Option<Vec<String>>,
}

#[derive(Clone, Deserialize)]
pub struct Process {
    pub pid: u32,
    #[serde(default)]
    pub fds: Vec<u32>,
    pub name: Option<String>,
    pub exe: Option<String>,
    pub argv: Option<Vec<String>>,
    pub runs: Option<String>,
    pub project: Option<Project>,
    pub cwd: Option<String>,
    pub started_at: Option<String>,
    pub uid: Option<u32>,
    pub user: Option<String>,
    pub parent: Option<u32>,
    #[serde(default)]
    pub undecodable: Vec<String>,
}

#[derive(Deserialize)]
pub struct Visibility {
    pub further_spaces: Option<usize>,
    pub reasons: Vec<Gap>,
}

/// What the report says of it in words is made of the facts again.
#[derive(Deserialize)]
pub struct Gap {
    pub facts: crate::model::Gap,
}
