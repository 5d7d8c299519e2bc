//! Rules as their tests tell them.

use std::collections::BTreeSet;

use super::rules::{Question, Redirect, Rules};
use crate::model::{Family, Port};

/// What rules do on a host with the addresses 10.0.0.1, 127.0.0.1 and fd00::1, a line each, and what was not read.
pub fn told(rules: &Rules, ports: Option<&BTreeSet<Port>>) -> (Vec<String>, Vec<String>) {
    let addresses = ["10.0.0.1", "127.0.0.1", "fd00::1"].map(|address| address.parse().unwrap()).into();
    let answer = rules.redirects(Question { addresses: &addresses, ports });
    let shown = |redirect: &Redirect| {
        let end = match (redirect.address, redirect.family) {
            (Some(address), _) => std::net::SocketAddr::new(address, redirect.port.get()).to_string(),
            (None, Family::Ipv4) => format!("*:{}", redirect.port),
            (None, Family::Ipv6) => format!("[*]:{}", redirect.port),
        };
        format!("{} {end} {}", redirect.protocol.name(), redirect.to)
    };
    let said = |why| crate::render::words::gap::sentence(&super::gap(why));
    (answer.redirects.iter().map(shown).collect(), answer.unread().into_iter().map(said).collect())
}
