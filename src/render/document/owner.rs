//! The owner of a socket in the JSON documents: processes, a unit, a container.

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::{Container, Owner, Pid, Process, Row};
use crate::render::document::process::{ProcessReport, process_report};

/// The owner of a socket, and how well it is known.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Owner")]
pub struct OwnerReport<'a> {
    /// `process`; for a hidden owner the best that is known about it: `container`, `unit`, `user` or `hidden` (nothing);
    /// `none` if no process holds it. `unit` also if systemd holds it for a unit that it starts on demand.
    pub tier: &'a str,
    /// Why there is no process. For tier `none`, one of `time-wait`, `handshake`, `closing`, `unaccepted`, `in-flight`,
    /// `redirected`;
    /// for a hidden owner, one of `permission`, `protected`, `pid-namespace`, `not-found`, `no-processes`,
    /// `ambiguous`, `unsupported`.
    pub reason: Option<&'a str>,
    /// Every process that holds it, the main one first.
    pub processes: Vec<ProcessReport<'a>>,
    /// The systemd unit of this host whose cgroup created it, never a unit inside a container. Only a hint, because users
    /// can name their own units.
    pub unit: Option<&'a str>,
    /// The container whose cgroup created it. Only a hint, like the unit.
    pub container: Option<ContainerReport<'a>>,
    /// For nested containers, the outermost one, which is the one to stop; `container` is the innermost.
    pub outer_container: Option<ContainerReport<'a>>,
    /// The names of the fields above that only the process itself, or its user, vouches for: `unit`, `container`,
    /// `outer_container`, and `exe` for a path that means another file outside of its mount namespace. The names, `runs`,
    /// and arguments of processes are always such claims.
    pub claims: Vec<&'a str>,
}

/// A container, as far as it is known from the cgroup path.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Container")]
pub struct ContainerReport<'a> {
    /// What runs it: `docker`, `podman`, `containerd`, `cri-o`, `cri`, `lxc`, `nspawn`, or `container` if
    /// its runtime is unknown.
    pub runtime: &'a str,
    /// Its ID, or its name if the runtime has no IDs.
    pub id: &'a str,
    /// Its name, if the runtime reported it.
    pub name: Option<&'a str>,
    /// The image that it was created from, if the runtime reported it.
    pub image: Option<&'a str>,
    /// Its pod: the name if it is known, otherwise the UID.
    pub pod: Option<&'a str>,
    /// Its Compose service as `PROJECT/SERVICE`, if the runtime reported it.
    pub compose: Option<&'a str>,
}

/// Turns the owner of a row's socket into its object.
pub(super) fn owner<'a>(row: &Row<'a>) -> OwnerReport<'a> {
    let reason = match &row.socket.owner {
        Owner::Processes(_) => None,
        Owner::Nobody(why) => Some(why.name()),
        Owner::Hidden(because) => Some(because.name()),
    };
    let process = |(pid, process): &(Pid, Option<&'a Process>)| process_report(row, *pid, *process);
    OwnerReport {
        tier: row.tier().name(),
        reason,
        processes: row.processes.iter().map(process).collect(),
        unit: row.unit(),
        container: row.belonging().and_then(|belonging| belonging.container.as_ref()).map(container),
        outer_container: row.belonging().and_then(|belonging| belonging.outer.as_ref()).map(container),
        claims: claims(row),
    }
}

fn claims(row: &Row<'_>) -> Vec<&'static str> {
    let claims_unit = row.unit().is_some() && row.proved_unit().is_none();
    let claimed = |container: Option<&Container>| container.is_some_and(|container| container.proved().is_none());
    let container = row.belonging().and_then(|belonging| belonging.container.as_ref());
    let outer = row.belonging().and_then(|belonging| belonging.outer.as_ref());
    let mut processes =
        row.processes.iter().filter_map(|(_, process)| process.and_then(|process| process.executable.as_ref()));
    let claims = [
        ("unit", claims_unit),
        ("container", claimed(container)),
        ("outer_container", claimed(outer)),
        ("exe", processes.any(|executable| !executable.is_here)),
    ];
    claims.into_iter().filter(|(_, is_claim)| *is_claim).map(|(name, _)| name).collect()
}

/// Turns a container into its object.
pub(super) fn container(container: &Container) -> ContainerReport<'_> {
    ContainerReport {
        runtime: container.runtime.name(),
        id: &container.id,
        name: container.name.as_deref(),
        image: container.image.as_deref(),
        pod: container.pod.as_deref(),
        compose: container.compose.as_deref(),
    }
}
