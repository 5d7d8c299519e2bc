//! The names of containers. The engines are asked once, when a container was seen.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::spaces::Namespace;
use crate::collect::helper::HelperError;
use crate::collect::runtime::containers::{self, RunningContainer};
use crate::collect::runtime::{self, NameSource, cri};
use crate::model::{Belonging, Container, Endpoint, ForwardTarget, Gap, Pid, Process, Protocol, Space, SpaceKind, Uid};

/// The answers of the engines, once they were asked.
pub struct ContainerNames {
    may_ask: bool,
    local: Option<Vec<RunningContainer>>,
    pods: Option<Vec<Container>>,
    errors: Vec<HelperError>,
    unnamed: bool,
}

impl ContainerNames {
    /// Nothing was asked yet; `may_ask` says whether it may be.
    pub fn new(may_ask: bool) -> ContainerNames {
        ContainerNames { may_ask, local: None, pods: None, errors: Vec::new(), unnamed: false }
    }

    /// Asks for the containers that live in these spaces.
    pub fn ask_for(&mut self, found: &[Namespace]) {
        found.iter().flat_map(|found| &found.space.containers).for_each(|container| self.ask(container));
    }

    fn ask(&mut self, container: &Container) {
        match runtime::source_of(container.runtime) {
            _ if container.pod.is_some() => self.ask_cri(),
            NameSource::Crictl => self.ask_cri(),
            NameSource::LocalSocket => self.ask_local(),
            NameSource::Nobody => {}
        }
    }

    fn ask_local(&mut self) {
        if !self.may_ask || self.local.is_some() {
            return;
        }
        let (running, errors) = containers::list();
        self.local = Some(running);
        self.errors.extend(errors);
    }

    fn ask_cri(&mut self) {
        if !self.may_ask || self.pods.is_some() {
            return;
        }
        self.pods = Some(match cri::list() {
            Ok(named) => named,
            // Without crictl the containers of pods are shown by their ids, which is no gap.
            Err(HelperError::Missing(_)) => Vec::new(),
            Err(error) => {
                self.errors.push(error);
                Vec::new()
            }
        });
    }

    /// Adds what its engine knows of the container.
    pub fn name(&mut self, container: &mut Container) {
        if container.name.is_some() {
            return;
        }
        self.ask(container);
        let local = self.local.iter().flatten().map(|running| &running.container);
        let named = local.chain(self.pods.iter().flatten()).find(|named| named.id == container.id);
        match named {
            Some(named) => {
                container.name.clone_from(&named.name);
                container.image.clone_from(&named.image);
                container.compose.clone_from(&named.compose);
                container.pod = named.pod.clone().or(container.pod.take());
            }
            None => self.unnamed |= container.has_long_id(),
        }
    }

    /// Names the containers of a space, and the space after the first of them or its pod.
    pub fn label(&mut self, space: &mut Space) {
        space.containers.iter_mut().for_each(|container| self.name(container));
        if let (SpaceKind::Container, Some(first)) = (space.kind, space.containers.first()) {
            let pod = first.pod.as_deref().filter(|_| first.name.is_some());
            pod.unwrap_or(first.short_name()).clone_into(&mut space.label);
        }
    }

    /// Names every container that a process or a socket was made in.
    pub fn name_all(&mut self, processes: &mut BTreeMap<Pid, Process>, cgroups: &mut BTreeMap<u64, Belonging>) {
        let of_processes = processes.values_mut().filter_map(|process| process.belonging.as_mut());
        for belonging in of_processes.chain(cgroups.values_mut()) {
            belonging.container.iter_mut().chain(&mut belonging.outer).for_each(|container| self.name(container));
        }
    }

    /// The container that the runtime of this user publishes at this end of the host, and where it leads.
    ///
    /// What listens there for a container runs as the user of the runtime. Nobody else's word counts: what a process is
    /// called and what its arguments say is its own choice.
    pub fn published(&mut self, protocol: Protocol, local: Endpoint, user: Uid) -> Option<(Container, ForwardTarget)> {
        self.ask_local();
        let of_user = self.local.iter().flatten().filter(|running| running.runtime_user == user);
        let mut all = of_user.flat_map(|running| running.published.iter().map(move |port| (running, port)));
        let (running, port) = all.find(|(_, port)| port.is(protocol, local))?;
        let address =
            running.addresses.iter().find(|address| address.is_ipv4() == local.address.to_canonical().is_ipv4());
        let address = address.or(running.addresses.first()).copied().unwrap_or(local.address);
        Some((running.container.clone(), ForwardTarget::from(Endpoint { address, port: port.private })))
    }

    /// The container that has this address.
    pub fn at(&mut self, address: IpAddr) -> Option<Container> {
        self.ask_local();
        let mut running = self.local.iter().flatten();
        running.find(|running| running.addresses.contains(&address)).map(|running| running.container.clone())
    }

    /// Returns gaps for names that could not be found out.
    pub fn gaps(&self) -> Vec<Gap> {
        if !self.may_ask && self.unnamed {
            return vec![Gap::ContainerNamesNotAsked];
        }
        let failed = |error: &HelperError| Gap::ContainerNames { problem: error.to_string() };
        self.errors.iter().map(failed).collect()
    }
}
