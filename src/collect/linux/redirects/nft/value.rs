//! Values of nft: numbers, addresses, ranges, and their names.

use std::net::IpAddr;

use serde_json::Value;

use crate::collect::linux::redirects::ruleset::{Ranges, Tracked, bits_of};

/// What a list, a set or a single value has.
pub fn items(value: &Value) -> Vec<&Value> {
    match value.get("set").unwrap_or(value).as_array() {
        Some(items) => items.iter().map(bare).collect(),
        None => vec![bare(value)],
    }
}

/// An element without its comment, counter and timeout.
pub fn bare(value: &Value) -> &Value {
    value.get("elem").and_then(|element| element.get("val")).unwrap_or(value)
}

/// `80`, `{"range": [80, 90]}`, `"10.0.0.1"`, `{"prefix": {"addr": "10.0.0.0", "len": 8}}`, and names that `name` knows.
pub fn ranges(value: &Value, name: &dyn Fn(&str) -> Option<u128>) -> Option<Ranges> {
    let number = |value: &Value| match value {
        Value::Number(number) => number.as_u64().map(u128::from),
        Value::String(text) => {
            text.parse::<IpAddr>().ok().map(bits_of).or_else(|| name(text)).or_else(|| text.parse().ok())
        }
        _ => None,
    };
    if let Some([first, last]) = value["range"].as_array().map(Vec::as_slice) {
        return Some(Ranges::between(number(first)?, number(last)?));
    }
    if let Some(prefix) = value.get("prefix") {
        let address = prefix["addr"].as_str()?.parse().ok()?;
        return Ranges::prefix(address, prefix["len"].as_u64()?.try_into().ok()?);
    }
    number(value).map(Ranges::single)
}

/// The numbers of a match with this operator.
pub fn compared(operator: &str, ranges: &Ranges, highest: u128) -> Option<Ranges> {
    let edge = || {
        let (first, last) = ranges.iter().next()?;
        (first == last && ranges.iter().count() == 1).then_some(first)
    };
    Some(match operator {
        "==" | "in" => ranges.clone(),
        "<" => edge()?.checked_sub(1).map_or(Ranges::default(), |last| Ranges::between(0, last)),
        "<=" => Ranges::between(0, edge()?),
        ">" => Ranges::between(edge()? + 1, highest),
        ">=" => Ranges::between(edge()?, highest),
        _ => return None,
    })
}

/// The numbers of protocols.
pub fn protocol(name: &str) -> Option<u128> {
    Some(match name {
        "icmp" => 1,
        "igmp" => 2,
        "tcp" => 6,
        "udp" => 17,
        "gre" => 47,
        "esp" => 50,
        "ah" => 51,
        "icmpv6" | "ipv6-icmp" => 58,
        "sctp" => 132,
        "udplite" => 136,
        "dccp" => 33,
        "ospf" => 89,
        "vrrp" => 112,
        "pim" => 103,
        "comp" | "ipcomp" => 108,
        "ipip" => 4,
        "ipv6" => 41,
        "l2tp" => 115,
        _ => return None,
    })
}

/// The states of connections.
pub fn tracked(value: &Value) -> Option<Tracked> {
    Some(match value.as_str()? {
        "new" => Tracked::New,
        "established" | "related" => Tracked::Old,
        "invalid" => Tracked::Invalid,
        "untracked" => Tracked::Untracked,
        _ => return None,
    })
}

/// The names of no values.
pub fn no_name(_: &str) -> Option<u128> {
    None
}
