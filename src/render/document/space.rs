//! The host and its port spaces in the JSON documents.

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::{Host, PortRange, Space, TimeWaitReuse};
use crate::render::document::owner::{ContainerReport, container};
use crate::render::text::time;

/// The host that was inspected.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Host")]
pub struct HostReport<'a> {
    /// Its hostname.
    pub name: Option<&'a str>,
    /// The operating system and its version.
    pub os: Option<&'a str>,
    /// The kernel release.
    pub kernel: Option<&'a str>,
    /// The boot ID, which changes each time the system boots (Linux).
    pub boot_id: Option<&'a str>,
    /// When the sockets were listed, in RFC 3339 format and UTC.
    pub captured_at: String,
}

/// One port space (network namespace): the 65,536 ports of one network stack.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Space")]
pub struct SpaceReport<'a> {
    /// The inode of the network namespace; if this user lacks permission to look it up, the inode of its tables under
    /// /proc (`source` is then `proc-net`); 0 on a system without namespaces.
    pub id: u64,
    /// `host`, `container`, `unit` or `netns`.
    pub kind: &'a str,
    /// Its display name.
    pub label: &'a str,
    /// Where its socket table was read, as in `socket_source`.
    pub source: &'a str,
    /// The number of processes in it; null if they were not counted.
    pub processes: Option<usize>,
    /// The containers in it.
    pub containers: Vec<ContainerReport<'a>>,
    /// The lowest and highest port of its ephemeral range, used for outgoing connections.
    pub ephemeral: Option<[u16; 2]>,
    /// Reserved ports, which outgoing connections never get, as pairs of lowest and highest.
    pub reserved: Option<Vec<[u16; 2]>>,
    /// The lowest port that can be bound without a privilege.
    pub unprivileged_start: Option<u32>,
    /// Which connections in TIME_WAIT leave their port to a new connection to the same destination: `never`, `loopback`
    /// or `always`.
    pub time_wait_reuse: Option<&'a str>,
    /// Which of these fields only a process vouches for: `label`, where neither root nor a container engine gave it.
    pub claims: Vec<&'a str>,
}

/// Turns the host into its object.
pub fn host(host: &Host) -> HostReport<'_> {
    HostReport {
        name: host.name.as_deref(),
        os: host.os.as_deref(),
        kernel: host.kernel.as_deref(),
        boot_id: host.boot_id.as_deref(),
        captured_at: time::rfc3339(host.captured_at),
    }
}

/// Turns a space into its object.
pub fn space(space: &Space) -> SpaceReport<'_> {
    SpaceReport {
        id: space.id.0,
        kind: space.kind.name(),
        label: &space.label,
        source: space.source.name(),
        processes: space.processes,
        containers: space.containers.iter().map(container).collect(),
        ephemeral: space.ephemeral.map(pair),
        reserved: space.reserved.as_ref().map(|ranges| ranges.iter().copied().map(pair).collect()),
        unprivileged_start: space.unprivileged_start,
        time_wait_reuse: space.time_wait_reuse.map(TimeWaitReuse::name),
        claims: if space.named_by.decides() { Vec::new() } else { vec!["label"] },
    }
}

pub(super) fn pair(range: PortRange) -> [u16; 2] {
    [range.first().get(), range.last().get()]
}
