//! A host, its rules, and where each of its ports leads.

mod rules;
mod tools;

use std::collections::BTreeSet;

use super::super::host::Interface;
use super::super::{iptables, nft, ruleset::Ruleset};
use super::*;
use crate::model::{Reach, Redirects};

/// A host with an address on eth0, a bridge of containers, and loopback.
fn host() -> HostFacts {
    let address = |text: &str| text.parse::<IpAddr>().unwrap();
    let interface = |name: &str, side, own: &[&str]| Interface {
        name: name.to_owned(),
        side,
        addresses: own.iter().map(|own| address(own)).collect(),
    };
    HostFacts {
        interfaces: vec![
            interface("eth0", Side::Outside, &["192.0.2.7", "2001:db8::7"]),
            interface("docker0", Side::Inner, &["172.17.0.1"]),
        ],
        addresses: ["192.0.2.7", "2001:db8::7", "172.17.0.1", "127.0.0.1", "::1"].map(address).into(),
    }
}

fn of_iptables(text: &str) -> Ruleset {
    let tables = iptables::parse(text.as_bytes(), Family::Ipv4).unwrap();
    Ruleset { tables, ..Ruleset::default() }
}

fn of_nft(items: &str) -> Ruleset {
    let text = format!("{{\"nftables\": [{items}]}}");
    nft::parse(text.as_bytes(), &BTreeSet::new()).unwrap().ruleset
}

/// What is said of ports as `outside / local`, for a server at every address of IPv4.
#[track_caller]
fn said(ruleset: &Ruleset, protocol: Protocol, port: u16) -> String {
    said_at(ruleset, protocol, "0.0.0.0", port)
}

#[track_caller]
fn said_at(ruleset: &Ruleset, protocol: Protocol, address: &str, port: u16) -> String {
    let all = PortRange::new(Port::new(1), Port::new(u16::MAX)).unwrap();
    let found = redirects(ruleset, &host(), &Protocol::ALL, &[all]);
    let redirects = Redirects { found, is_unread: false };
    let reachability = redirects.of(protocol, Reach::of(address.parse().unwrap(), false), Port::new(port));
    let word = |redirection: &crate::model::Redirection| {
        use crate::model::Redirection;
        let lead = |lead: &crate::model::Lead| {
            let service = lead.service.as_ref().map(|service| format!(" {service}")).unwrap_or_default();
            format!("{}{service}", lead.to.of(Port::new(port)))
        };
        match redirection {
            Redirection::Certain(to) => lead(to),
            Redirection::Some(to, senders) => format!("{} for {senders}", lead(to)),
            Redirection::Not => "-".to_owned(),
            Redirection::Unknown(why) => format!("? {why}"),
        }
    };
    let filtered = if reachability.filtered.is_some() { " filtered" } else { "" };
    format!("{} / {}{filtered}", word(&reachability.outside), word(&reachability.local))
}

fn tcp(ruleset: &Ruleset, port: u16) -> String {
    said(ruleset, Protocol::Tcp, port)
}
