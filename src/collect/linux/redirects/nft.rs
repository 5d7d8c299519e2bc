//! The words of `nft -j list ruleset`. Source: libnftables-json(5).

use std::net::IpAddr;

use serde_json::Value;

use super::matching::{self, Network};
use super::protocol;
use super::rules::{Action, Rule, Rules, ToPort};
use crate::model::{Family, PortRange, Protocol};

/// Reads the NAT chains; nothing when it is no output of nft.
pub fn parse(text: &[u8]) -> Option<Rules> {
    let answer: Value = serde_json::from_slice(text).ok()?;
    let mut rules = Rules::default();
    for item in answer["nftables"].as_array()? {
        if let Some(chain) = item.get("chain") {
            let is_entry = matches!(chain["hook"].as_str(), Some("prerouting" | "output"));
            if chain["type"] == "nat" && is_entry {
                let key = key(chain, &chain["name"])?;
                // A table `inet` is for both.
                let families = Family::ALL.into_iter().filter(|family| match chain["family"].as_str() {
                    Some("ip") => *family == Family::Ipv4,
                    Some("ip6") => *family == Family::Ipv6,
                    _ => true,
                });
                rules.entries.extend(families.map(|family| (family, key.clone())));
            }
        }
        if let Some(rule) = item.get("rule") {
            rules.chains.entry(key(rule, &rule["chain"])?).or_default().push(read(rule));
        }
    }
    Some(rules)
}

/// A chain is known by its family, its table and its name.
fn key(of: &Value, chain: &Value) -> Option<String> {
    Some(format!("{} {} {}", of["family"].as_str()?, of["table"].as_str()?, chain.as_str()?))
}

fn read(rule: &Value) -> Rule {
    let mut read = Rule::default();
    let mut has_extensions = false;
    for expression in rule["expr"].as_array().into_iter().flatten() {
        let Some((kind, value)) = expression.as_object().and_then(|object| object.iter().next()) else {
            read.is_narrowed = true;
            continue;
        };
        match kind.as_str() {
            "match" => matching(value, &mut read),
            "dnat" => {
                read.family = family(&value["family"]).or(read.family);
                read.action = match address(&value["addr"]) {
                    Some(address) => Action::Send(Some(address), to_port(&value["port"])),
                    None => Action::SendSomewhere,
                };
            }
            "redirect" => read.action = Action::Send(None, to_port(&value["port"])),
            "jump" | "goto" => {
                let target = key(rule, &value["target"]);
                read.action = target.map_or(Action::SendSomewhere, Action::Jump);
            }
            // It may lead to any chain.
            "vmap" => read.action = Action::SendSomewhere,
            "accept" | "return" => read.action = Action::Leave,
            "xt" => has_extensions = true,
            "counter" | "log" | "comment" => {}
            _ => read.is_narrowed = true,
        }
    }
    if has_extensions {
        read.action = Action::Extension;
    }
    read
}

fn matching(value: &Value, read: &mut Rule) {
    let (left, right) = (&value["left"], &value["right"]);
    let operator = value["op"].as_str().unwrap_or_default();
    let payload = &left["payload"];
    match (payload["protocol"].as_str(), payload["field"].as_str()) {
        (Some(name), Some("dport")) => {
            if name != "th" {
                take_protocols(read, Some(protocol(name).as_slice()), "==");
            }
            match ports(right) {
                Some(ports) => take_ports(read, &ports, operator),
                // A named set: its ports stand elsewhere.
                None => read.is_unclear = true,
            }
        }
        (Some("ip" | "ip6"), Some("daddr")) => match (networks(right), operator) {
            (Some(networks), "==") => read.networks = Some(networks),
            // For all others: that is most.
            (Some(_), "!=") => read.is_narrowed = true,
            _ => read.is_unclear = true,
        },
        (Some("ip"), Some("protocol")) | (Some("ip6"), Some("nexthdr")) => {
            take_protocols(read, protocols(right).as_deref(), operator);
        }
        (Some(_), Some(_)) => read.is_narrowed = true,
        _ => match left["meta"]["key"].as_str() {
            Some("l4proto") => take_protocols(read, protocols(right).as_deref(), operator),
            Some("nfproto" | "protocol") if operator == "==" && family(right).is_some() => read.family = family(right),
            // A part of a packet, or several at once, may be its ports.
            None if ["payload", "concat", "&", "|", "^", "<<", ">>"].iter().any(|key| left.get(key).is_some()) => {
                read.is_unclear = true;
            }
            _ => read.is_narrowed = true,
        },
    }
}

fn take_ports(read: &mut Rule, ports: &[PortRange], operator: &str) {
    let edge = |ports: &[PortRange]| match ports {
        [range] if range.first() == range.last() => Some(range.first().get()),
        _ => None,
    };
    let below = |last: Option<u16>| last.map_or(Vec::new(), |last| matching::between(0, last));
    let above = |first: Option<u16>| first.map_or(Vec::new(), |first| matching::between(first, u16::MAX));
    let taken = match (operator, edge(ports)) {
        ("==", _) => ports.to_vec(),
        ("!=", _) => matching::all_but(ports),
        ("<", Some(edge)) => below(edge.checked_sub(1)),
        ("<=", Some(edge)) => below(Some(edge)),
        (">", Some(edge)) => above(edge.checked_add(1)),
        (">=", Some(edge)) => above(Some(edge)),
        _ => {
            read.is_unclear = true;
            return;
        }
    };
    read.ports = matching::both(&read.ports, &taken);
    read.names_ports |= operator != "!=";
}

fn take_protocols(read: &mut Rule, named: Option<&[Protocol]>, operator: &str) {
    let known = read.protocols.take().unwrap_or_else(|| Protocol::REGISTERED.to_vec());
    let is_taken = |protocol: &Protocol| match (named, operator) {
        (Some(named), "==") => named.contains(protocol),
        (Some(named), "!=") => !named.contains(protocol),
        _ => true,
    };
    read.is_unclear |= named.is_none() || !matches!(operator, "==" | "!=");
    read.protocols = Some(known.into_iter().filter(is_taken).collect());
}

/// `{"set": [..]}` is what is in it, anything else just itself.
fn items(value: &Value) -> &[Value] {
    value["set"].as_array().map_or(std::slice::from_ref(value), Vec::as_slice)
}

/// `"tcp"`, `{"set": ["tcp", "udp"]}`; those that are not listed here are none. Nothing when it is a named set.
fn protocols(value: &Value) -> Option<Vec<Protocol>> {
    let names = items(value).iter().map(Value::as_str);
    let is_name = |name: &&str| name.starts_with(|first: char| first.is_ascii_lowercase());
    let names: Option<Vec<&str>> = names.map(|name| name.filter(is_name)).collect();
    Some(names?.into_iter().filter_map(protocol).collect())
}

/// `80`, `{"range": [80, 90]}`, `{"set": [80, {"range": [90, 99]}]}`.
fn ports(value: &Value) -> Option<Vec<PortRange>> {
    items(value).iter().map(range).collect::<Option<Vec<_>>>().map(|ranges| ranges.concat())
}

fn range(value: &Value) -> Option<Vec<PortRange>> {
    let port = |value: &Value| value.as_u64().and_then(|number| u16::try_from(number).ok());
    match value["range"].as_array().map(Vec::as_slice) {
        Some([first, last]) => Some(matching::between(port(first)?, port(last)?)),
        _ => port(value).map(|port| matching::between(port, port)),
    }
}

/// `"10.0.0.1"`, `{"prefix": {"addr": "10.0.0.0", "len": 8}}`, `{"range": ["10.0.0.1", "10.0.0.9"]}`, or a set of these.
fn networks(value: &Value) -> Option<Vec<Network>> {
    let address = |value: &Value| value.as_str()?.parse::<IpAddr>().ok();
    let network = |value: &Value| match (value["range"].as_array().map(Vec::as_slice), value.get("prefix")) {
        (Some([first, last]), _) => Network::between(address(first)?, address(last)?),
        (_, Some(prefix)) => Network::of_prefix(address(&prefix["addr"])?, prefix["len"].as_u64()?.try_into().ok()?),
        _ => address(value).map(Network::single),
    };
    items(value).iter().map(network).collect()
}

/// The address that is sent to; of several the first.
fn address(value: &Value) -> Option<IpAddr> {
    let first = value["range"].as_array().and_then(|range| range.first());
    first.unwrap_or(value).as_str()?.parse().ok()
}

fn to_port(value: &Value) -> ToPort {
    match range(value).as_deref() {
        Some([range]) => ToPort::In(*range),
        _ if value.is_null() => ToPort::Same,
        _ => ToPort::Unknown,
    }
}

/// The names of `nfproto` and of the families of tables.
fn family(value: &Value) -> Option<Family> {
    match value.as_str()? {
        "ip" | "ipv4" => Some(Family::Ipv4),
        "ip6" | "ipv6" => Some(Family::Ipv6),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
