//! The words of `nft -j list ruleset`. Source: libnftables-json(5).

use serde_json::Value;

use super::protocol;
use super::rules::{Action, Rule, Rules};
use crate::model::{Family, Port, PortRange};

/// Reads the NAT chains; nothing when it is no output of nft.
pub fn parse(text: &[u8]) -> Option<Rules> {
    let answer: Value = serde_json::from_slice(text).ok()?;
    let mut rules = Rules::default();
    for item in answer["nftables"].as_array()? {
        if let Some(chain) = item.get("chain") {
            let is_entry = matches!(chain["hook"].as_str(), Some("prerouting" | "output"));
            if chain["type"] == "nat" && is_entry {
                let family = if chain["family"] == "ip6" { Family::Ipv6 } else { Family::Ipv4 };
                rules.entries.push((family, key(chain, &chain["name"])?));
            }
        }
        if let Some(rule) = item.get("rule") {
            let read = read(rule, &mut rules);
            rules.chains.entry(key(rule, &rule["chain"])?).or_default().push(read);
        }
    }
    Some(rules)
}

/// A chain is known by its family, its table and its name.
fn key(of: &Value, chain: &Value) -> Option<String> {
    Some(format!("{} {} {}", of["family"].as_str()?, of["table"].as_str()?, chain.as_str()?))
}

fn read(rule: &Value, rules: &mut Rules) -> Rule {
    let mut read = Rule::default();
    for expression in rule["expr"].as_array().into_iter().flatten() {
        let Some((kind, value)) = expression.as_object().and_then(|object| object.iter().next()) else { continue };
        match kind.as_str() {
            "match" if value["op"] == "==" => matching(value, &mut read, &mut rules.not_understood),
            "dnat" => {
                let address = value["addr"].as_str().and_then(|address| address.parse().ok());
                rules.not_understood += usize::from(address.is_none());
                let port = value["port"].as_u64().and_then(port);
                read.action = if address.is_some() { Action::Send { address, port } } else { Action::Other };
            }
            "redirect" => read.action = Action::Send { address: None, port: value["port"].as_u64().and_then(port) },
            "jump" | "goto" => {
                let target = key(rule, &value["target"]);
                read.action = target.map_or(Action::Other, Action::Jump);
            }
            "vmap" => rules.not_understood += 1,
            "xt" => rules.has_extensions = true,
            _ => {}
        }
    }
    read
}

fn matching(value: &Value, read: &mut Rule, not_understood: &mut usize) {
    let (left, right) = (&value["left"], &value["right"]);
    let payload = &left["payload"];
    match (payload["protocol"].as_str(), payload["field"].as_str()) {
        (Some(name), Some("dport")) => {
            read.protocol = protocol(name).or(read.protocol);
            match ports(right) {
                Some(ports) => read.ports = ports,
                // A named set: its ports stand elsewhere.
                None => *not_understood += 1,
            }
        }
        (Some("ip" | "ip6"), Some("daddr")) => match right.as_str().and_then(|address| address.parse().ok()) {
            Some(address) => read.address = Some(address),
            None => read.for_network = true,
        },
        (Some("ip"), Some("protocol")) => read.protocol = right.as_str().and_then(protocol),
        _ if left["meta"]["key"] == "l4proto" => read.protocol = right.as_str().and_then(protocol),
        _ => {}
    }
}

/// `80`, `{"range": [80, 90]}`, `{"set": [80, {"range": [90, 99]}]}`.
fn ports(value: &Value) -> Option<Vec<PortRange>> {
    if let Some(number) = value.as_u64() {
        return Some(vec![PortRange::single(port(number)?)]);
    }
    if let Some([first, last]) = value["range"].as_array().map(Vec::as_slice) {
        return Some(vec![PortRange::new(port(first.as_u64()?)?, port(last.as_u64()?)?)?]);
    }
    let items = value["set"].as_array()?;
    items.iter().map(ports).collect::<Option<Vec<_>>>().map(|ranges| ranges.concat())
}

fn port(number: u64) -> Option<Port> {
    u16::try_from(number).ok().map(Port::new)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RULESET: &str = r#"{"nftables": [{"metainfo": {"version": "1.0.6"}},
        {"table": {"family": "ip", "name": "n", "handle": 1}},
        {"chain": {"family": "ip", "table": "n", "name": "pre", "handle": 1, "type": "nat", "hook": "prerouting", "prio": -100}},
        {"chain": {"family": "ip", "table": "n", "name": "deep", "handle": 2}},
        {"chain": {"family": "ip", "table": "n", "name": "filter", "handle": 3, "type": "filter", "hook": "input"}},
        {"rule": {"family": "ip", "table": "n", "chain": "pre", "expr": [
            {"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": 42100}},
            {"redirect": {"port": 42101}}]}},
        {"rule": {"family": "ip", "table": "n", "chain": "pre", "expr": [
            {"match": {"op": "==", "left": {"meta": {"key": "l4proto"}}, "right": "udp"}}, {"jump": {"target": "deep"}}]}},
        {"rule": {"family": "ip", "table": "n", "chain": "deep", "expr": [
            {"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "daddr"}}, "right": "192.0.2.1"}},
            {"match": {"op": "==", "left": {"payload": {"protocol": "th", "field": "dport"}}, "right": {"set": [53, {"range": [60, 61]}]}}},
            {"dnat": {"addr": "10.0.0.2", "port": 5353}}]}},
        {"rule": {"family": "ip", "table": "n", "chain": "filter", "expr": [
            {"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": 1}},
            {"redirect": {"port": 2}}]}}]}"#;

    #[test]
    fn c15_rules_of_nat_chains_are_followed() {
        let rules = parse(RULESET.as_bytes()).unwrap();
        let shown: Vec<String> = rules
            .redirects()
            .into_iter()
            .map(|redirect| format!("{} {} {}", redirect.protocol.name(), redirect.port, redirect.to))
            .collect();
        assert_eq!(
            shown,
            ["tcp 42100 0.0.0.0:42101", "udp 53 10.0.0.2:5353", "udp 60 10.0.0.2:5353", "udp 61 10.0.0.2:5353"]
        );
        assert!(!rules.has_extensions);
        assert_eq!(rules.unread(), None);
    }

    #[test]
    fn c15_what_is_not_understood_is_said() {
        let text = RULESET.replace("42100", "\"@ports\"").replace("{\"redirect\": {\"port\": 2}}", "{\"xt\": null}");
        let rules = parse(text.as_bytes()).unwrap();
        assert!(rules.has_extensions);
        assert_eq!(rules.unread().unwrap(), "1 rules have a form that is not known");
        assert!(parse(b"Error").is_none() && parse(b"{}").is_none());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in any::<Vec<u8>>()) {
            let _ = parse(&text);
        }
    }
}
