//! Ports as they were typed, with the names of services looked up.

use crate::analyse::unmatched::{Asked, Here};
use crate::catalogue::Catalogue;
use crate::error::Error;
use crate::model::{Names, Port, Protocol};
use crate::render::words::mistake;
use crate::render::words::unmatched;
use crate::select::{Address, Target, TargetKind};

/// A target that names ports.
pub struct PortsAsked<'t> {
    /// As it was typed.
    pub target: &'t Target,
    /// The address in front of the colon.
    pub address: Option<&'t Address>,
    /// The ports, each with each of its protocols.
    pub ports: Vec<(Port, Protocol)>,
}

/// Looks up which ports are meant. Targets without a protocol of their own mean the `default` ones.
pub fn look_up<'t>(
    targets: impl IntoIterator<Item = &'t Target>,
    default: &[Protocol],
    catalogue: &Catalogue,
) -> Result<Vec<PortsAsked<'t>>, Error> {
    targets.into_iter().map(|target| one(target, default, catalogue)).collect()
}

fn one<'t>(target: &'t Target, default: &[Protocol], catalogue: &Catalogue) -> Result<PortsAsked<'t>, Error> {
    let address = match &target.kind {
        TargetKind::Endpoint(address, _) => Some(address),
        TargetKind::Address(_) => return Err(not_a_port(&target.text)),
        TargetKind::Ports(_) | TargetKind::Word(_) => None,
    };
    let ports = target.ports(default, |name| catalogue.ports_named(name));
    if ports.is_empty() {
        return Err(no_service(target.service().unwrap_or(&target.text), catalogue));
    }
    Ok(PortsAsked { target, address, ports })
}

fn not_a_port(text: &str) -> Error {
    Error::Usage(mistake::not_a_port(text))
}

/// Says that no service has the name, and which come near it.
pub fn no_service(name: &str, catalogue: &Catalogue) -> Error {
    let here = Here { rows: &[], names: &Names::default(), catalogue, commands: &[], hidden: 0 };
    let said = unmatched::name(Asked::Service, name, &here.standing(Asked::Service, name), &[]);
    Error::NoSuchName { line: said.line, hints: said.hints }
}
