//! Listeners that systemd holds for services that it starts on demand.

use std::collections::BTreeMap;

use crate::collect::runtime::systemd;
use crate::model::{Activation, Pid, Process, Socket, StandsFor, State};

/// Names the units of listeners that only process 1 holds. Without systemd, or without its answer, nothing is added.
pub fn name(sockets: &mut [Socket], processes: &BTreeMap<Pid, Process>) {
    let is_systemd =
        processes.get(&Pid(1)).and_then(|process| process.name.as_deref()).is_some_and(|name| name == "systemd");
    let is_held = |socket: &&mut Socket| {
        let holders = socket.owner.holders();
        matches!(socket.state, Some(State::Listen | State::Unconnected))
            && !holders.is_empty()
            && holders.iter().all(|holder| holder.pid == Pid(1))
    };
    let mut held = sockets.iter_mut().filter(is_held).peekable();
    if !is_systemd || held.peek().is_none() {
        return;
    }
    let Ok(units) = systemd::activations() else { return };
    for socket in held {
        if let Some(unit) = units.iter().find(|unit| unit.is_of(socket.local)) {
            let activation = Activation { socket: unit.socket.clone(), service: unit.service.clone() };
            socket.stands_for = Some(Box::new(StandsFor::Activation(activation)));
        }
    }
}
