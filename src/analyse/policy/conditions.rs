//! Which listeners a rule of a policy is about.

use std::borrow::Cow;

use super::error::{PolicyError, Problem};
use super::wildcard::Wildcard;
use crate::analyse::audit::{User, exes_here, users};
use crate::expression::Expression;
use crate::model::{Exposure, Port, PortRange, Protocol, Row};

/// Whether a listener fits, worst first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Fit {
    /// It does not.
    No,
    /// It does by what only its process says of itself, which allows nothing.
    Claimed,
    /// It does if its owner is who the rule names, which this run may not see.
    Unknown,
    /// It does.
    Yes,
}

impl Fit {
    fn of(fits: bool) -> Fit {
        if fits { Fit::Yes } else { Fit::No }
    }
}

/// What a rule asks of a listener: the values of one key are OR-ed, keys are AND-ed; an empty list asks nothing.
#[derive(Clone, Debug, Default)]
pub struct Conditions {
    /// `protocol`.
    pub protocols: Vec<Protocol>,
    /// `port`.
    pub ports: Vec<PortRange>,
    /// `service`: the pattern, and the ports that have it as a name or alias.
    pub services: Vec<(Wildcard, Vec<(Port, Protocol)>)>,
    /// `exposure`.
    pub exposures: Vec<Exposure>,
    /// `space`, by label.
    pub spaces: Vec<Wildcard>,
    /// `exe`: the file that a holder runs.
    pub exes: Vec<Wildcard>,
    /// `unit`, by a name that its user did not choose.
    pub units: Vec<Wildcard>,
    /// `container`, by name or id, likewise.
    pub containers: Vec<Wildcard>,
    /// `user`, by name or number.
    pub users: Vec<Wildcard>,
    /// `when`, with its place in the file.
    pub when: Option<(Expression, (usize, usize))>,
}

impl Conditions {
    /// Says whether nothing is asked, so that every listener would fit.
    pub fn is_empty(&self) -> bool {
        self.protocols.is_empty()
            && self.ports.is_empty()
            && self.services.is_empty()
            && self.exposures.is_empty()
            && self.spaces.is_empty()
            && self.exes.is_empty()
            && self.units.is_empty()
            && self.containers.is_empty()
            && self.users.is_empty()
            && self.when.is_none()
    }

    /// Says whether any user's process can be what the rule asks for: only the user of a process is out of its reach.
    pub fn fits_any_user(&self) -> bool {
        self.users.is_empty()
    }

    /// Says whether the row fits; of its holders one must (`any`) or all.
    pub fn fit(
        &self,
        row: &Row<'_>,
        any: bool,
        object: &dyn Fn(&Row<'_>) -> serde_json::Value,
    ) -> Result<Fit, PolicyError> {
        let socket = row.socket;
        let (port, protocol) = (socket.local.port, socket.protocol);
        let is_service = |(name, ports): &(Wildcard, Vec<(Port, Protocol)>)| {
            ports.contains(&(port, protocol)) || row.service().is_some_and(|service| name.matches(service.name))
        };
        // The cheapest first: of many rules nearly all fail on their port.
        let is_it = asks(&self.ports, |ports| ports.contains(port))
            && asks(&self.protocols, |wanted| *wanted == protocol)
            && asks(&self.exposures, |exposure| *exposure == row.exposure)
            && asks(&self.services, is_service);
        let matches = |wanted: &[Wildcard], name: Option<&str>| {
            name.is_some_and(|name| wanted.iter().any(|wanted| wanted.matches(name)))
        };
        let in_space = matches(&self.spaces, Some(&row.space.label));
        if !is_it || (!in_space && !self.spaces.is_empty()) {
            return Ok(Fit::No);
        }
        let exe_fits = |wanted: &Wildcard, exe: &Cow<'_, str>| wanted.matches(exe);
        let user_fits = |wanted: &Wildcard, user: &User<'_>| user.is_called(|name| wanted.matches(name));
        let unit = matches(&self.units, row.unit());
        let unit = unit.then(|| matches(&self.units, row.proved_unit().map(|unit| unit.get())));
        let in_space = in_space.then(|| matches(&self.spaces, row.space.proved_label().map(|label| label.get())));
        let container = self.containers.iter().filter_map(|wanted| is_container(wanted, row)).max();
        let fit = named(&self.units, unit, row, any)
            .min(named(&self.containers, container, row, any))
            .min(named(&self.spaces, in_space, row, any))
            .min(holders(&self.exes, &exes_here(row), row, any, exe_fits))
            .min(holders(&self.users, &users(row), row, any, user_fits));
        let Some((when, (line, column))) = &self.when else { return Ok(fit) };
        if fit == Fit::No {
            return Ok(fit);
        }
        let mut object = object(row);
        // What would let a listener pass must not rest on a process's own word; what speaks against it may.
        if !any {
            forget_claims(&mut object["owner"]);
            forget_claims(&mut object["peer_owner"]);
            let forward = row.socket.forward().and_then(|forward| forward.container.as_ref());
            if forward.is_some_and(|container| container.proved().is_none()) {
                object["forward"]["container"] = serde_json::Value::Null;
            }
        }
        let answer = if row.is_hidden() { when.holds_without_processes(object) } else { when.holds(&object).map(Some) };
        let answer = answer.map_err(|reason| PolicyError {
            line: *line,
            column: *column,
            problem: Problem::NoAnswer { protocol, local: socket.local, reason },
        })?;
        Ok(fit.min(answer.map_or(Fit::Unknown, Fit::of)))
    }
}

/// Makes null what only a process vouches for in the object of an owner.
fn forget_claims(owner: &mut serde_json::Value) {
    const OF_PROCESS: [&str; 5] = ["name", "runs", "project", "cwd", "argv"];
    let claims = owner["claims"].as_array().cloned().unwrap_or_default();
    let claims: Vec<&str> = claims.iter().filter_map(serde_json::Value::as_str).collect();
    let forget = |owner: &mut serde_json::Value, field: &str| {
        if let Some(value) = owner.get_mut(field) {
            *value = serde_json::Value::Null;
        }
    };
    for field in ["unit", "container", "outer_container"] {
        if claims.contains(&field) {
            forget(owner, field);
            // The tier says no more than that there is one.
            if owner["tier"] == field {
                forget(owner, "tier");
            }
        }
    }
    let processes = owner.get_mut("processes").and_then(serde_json::Value::as_array_mut);
    for process in processes.into_iter().flatten() {
        for field in OF_PROCESS {
            forget(process, field);
        }
        if claims.contains(&"exe") {
            forget(process, "exe");
        }
    }
}

fn asks<T>(wanted: &[T], fits: impl FnMut(&T) -> bool) -> bool {
    wanted.is_empty() || wanted.iter().any(fits)
}

/// Whether a container is called so, and if one is, whether that is more than a claim.
fn is_container(wanted: &Wildcard, row: &Row<'_>) -> Option<bool> {
    let own = row.belonging().and_then(|belonging| belonging.container.as_ref());
    let served = row.socket.forward().and_then(|forward| forward.container.as_ref());
    let fits =
        |container: &&crate::model::Container| wanted.matches(container.short_name()) || wanted.matches(&container.id);
    own.into_iter().chain(served).filter(fits).map(|container| container.proved().is_some()).max()
}

/// What the name of a unit, container or space says: `found` is absent where none is called so, and else tells whether
/// root, a manager or a runtime gave the name. One that the process gave itself may raise a violation and never clears
/// one. That of a hidden holder may be another than that of the process that made the socket.
fn named(wanted: &[Wildcard], found: Option<bool>, row: &Row<'_>, any: bool) -> Fit {
    match found {
        _ if wanted.is_empty() => Fit::Yes,
        Some(is_proved) => {
            if is_proved || any {
                Fit::Yes
            } else {
                Fit::Claimed
            }
        }
        None if row.is_hidden() => Fit::Unknown,
        None => Fit::No,
    }
}

/// Compares what is known of each holder. One that is not known leaves the answer open.
fn holders<T>(
    wanted: &[Wildcard],
    values: &[Option<T>],
    row: &Row<'_>,
    any: bool,
    fits: impl Fn(&Wildcard, &T) -> bool,
) -> Fit {
    if wanted.is_empty() {
        return Fit::Yes;
    }
    if values.is_empty() {
        return if row.is_hidden() { Fit::Unknown } else { Fit::No };
    }
    let fits = |value: &Option<T>| {
        value.as_ref().map_or(Fit::Unknown, |value| Fit::of(wanted.iter().any(|wanted| fits(wanted, value))))
    };
    let fits = values.iter().map(fits);
    let fit = if any { fits.max() } else { fits.min() };
    fit.unwrap_or(Fit::No)
}
