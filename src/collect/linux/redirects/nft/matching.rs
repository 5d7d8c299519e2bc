//! What the matches of nft ask.

use serde_json::Value;

use super::Scope;
use super::value::{bare, compared, items, no_name, protocol, ranges, tracked};
use crate::collect::linux::redirects::ruleset::{Dimension, Match, Ranges, Step, Test, Tracked};
use crate::model::Family;

/// A field of a packet, with what is implied by asking for it.
enum Field {
    Number(Dimension, u128),
    Input,
    Output,
    Protocol,
    Family,
    Mark(u32),
    ConnectionMark(u32),
    State,
    Status,
    /// The type of the destination, or of the source, as routing sees it.
    ToType,
    FromType,
    TcpFlags(u8),
    Direction,
    /// Whether a transparent socket is there for the packet already: only for connections that were accepted before.
    Transparent,
    Sender(&'static str),
    Unclear(String),
}

/// The flags of TCP by their bits.
const TCP_FLAGS: [&str; 8] = ["fin", "syn", "rst", "psh", "ack", "urg", "ecn", "cwr"];
/// The flags of the first packet of a connection.
const SYN: u8 = 2;

/// Reads a match as steps: what its fields imply, and what it asks.
pub fn read(value: &Value, scope: Scope<'_>, steps: &mut Vec<Step>) {
    let operator = value["op"].as_str().unwrap_or("==");
    let is_negated = operator == "!=";
    let left = &value["left"];
    for implied in implied(left) {
        steps.push(Step::Match(Match::of(implied, false)));
    }
    let right = &value["right"];
    let name = right.as_str().filter(|name| name.starts_with('@'));
    let elements = match name {
        Some(_) => scope.elements(right),
        None => None,
    };
    if name.is_some() && elements.is_none() {
        steps.push(Step::Match(Match::of(unclear(left, value), false)));
        return;
    }
    let wanted: Vec<&Value> = elements.map_or_else(|| items(right), |elements| elements.iter().map(bare).collect());
    let condition = condition(left, &wanted, operator, right);
    let mut condition = condition.unwrap_or_else(|| Match::of(unclear(left, value), false));
    condition.is_negated = is_negated;
    if let Some(name) = name.filter(|name| scope.is_dynamic(name)) {
        // The set changes while packets pass.
        let asks_sender = left.to_string().contains("saddr");
        let test = if asks_sender {
            Test::Sender("as a set decides")
        } else {
            Test::Unclear(format!("the set {name} changes"))
        };
        condition = Match::of(test, false);
    }
    // No packet without a socket has a user, also where it is asked not to be one.
    if let (Field::Number(Dimension::User | Dimension::Group, _), true) = (field(left), is_negated) {
        for test in condition.any.iter_mut().flatten() {
            if let Test::Within(_, numbers) = test {
                *numbers = Ranges::between(0, u32::MAX.into()).without(numbers);
            }
        }
        if condition.any.len() == 1 {
            condition.is_negated = false;
        }
    }
    steps.push(Step::Match(condition));
}

/// The condition that these fields have one of these values: the key of a map, and each of its elements.
pub fn cases(key: &Value, element: &Value) -> Option<Match> {
    condition(key, &[bare(element)], "==", element)
}

fn unclear(left: &Value, whole: &Value) -> Test {
    let test = match field(left) {
        Field::Unclear(what) => what,
        _ => format!("a match has a form that is not known: {whole}"),
    };
    Test::Unclear(test)
}

fn condition(left: &Value, wanted: &[&Value], operator: &str, right: &Value) -> Option<Match> {
    if let Some(parts) = left["concat"].as_array() {
        let alternative = |value: &&Value| {
            let values = value["concat"].as_array().filter(|values| values.len() == parts.len())?;
            let tests = parts.iter().zip(values).map(|(part, value)| one(&field(part), &[value], "==", value));
            tests.collect::<Option<Vec<Test>>>()
        };
        let any = wanted.iter().map(alternative).collect::<Option<Vec<_>>>()?;
        return Some(Match { any, is_negated: false });
    }
    Some(Match::of(one(&field(left), wanted, operator, right)?, false))
}

/// The protocols and families that a field is of.
pub fn implied(left: &Value) -> Vec<Test> {
    let parts = left["concat"].as_array().map_or_else(|| vec![left], |parts| parts.iter().collect());
    let mut tests = Vec::new();
    for part in parts {
        let payload = part.get("&").and_then(|both| both.get(0)).unwrap_or(part);
        match payload["payload"]["protocol"].as_str() {
            Some("ip") => tests.push(Test::Family(Family::Ipv4)),
            Some("ip6") => tests.push(Test::Family(Family::Ipv6)),
            Some("th" | "ether" | "vlan") | None => {}
            Some(name) => tests.extend(protocol(name).map(|number| Test::Protocol(Ranges::single(number)))),
        }
    }
    tests
}

fn field(left: &Value) -> Field {
    if let Some([inner, mask]) = left["&"].as_array().map(Vec::as_slice) {
        return masked(inner, mask);
    }
    let (payload, meta, ct) = (&left["payload"], &left["meta"]["key"], &left["ct"]);
    if let (Some(of), Some(name)) = (payload["protocol"].as_str(), payload["field"].as_str()) {
        return match (of, name) {
            ("ip" | "ip6", "daddr") => Field::Number(Dimension::Destination, u128::MAX),
            ("ip" | "ip6", "saddr") => Field::Number(Dimension::Source, u128::MAX),
            ("ip", "protocol") | ("ip6", "nexthdr") => Field::Protocol,
            ("tcp" | "udp" | "th" | "sctp" | "dccp" | "udplite", "dport") => Field::Number(Dimension::Port, 65535),
            ("tcp" | "udp" | "th" | "sctp" | "dccp" | "udplite", "sport") => {
                Field::Number(Dimension::SourcePort, 65535)
            }
            ("tcp", "flags") => Field::TcpFlags(0),
            ("ether", "saddr") => Field::Sender("by its hardware address"),
            _ => Field::Unclear(format!("a match on {of} {name} is not followed")),
        };
    }
    match meta.as_str() {
        Some("iifname" | "iif") => return Field::Input,
        Some("oifname" | "oif") => return Field::Output,
        Some("l4proto") => return Field::Protocol,
        Some("nfproto" | "protocol") => return Field::Family,
        Some("mark") => return Field::Mark(u32::MAX),
        Some("skuid") => return Field::Number(Dimension::User, u32::MAX.into()),
        Some("skgid") => return Field::Number(Dimension::Group, u32::MAX.into()),
        Some("cgroup") => return Field::Sender("by its cgroup"),
        Some("iifgroup" | "iiftype" | "pkttype" | "iifkind" | "ibrname" | "ibriport") => {
            return Field::Sender("by its interface");
        }
        Some("random") => return Field::Sender("by chance"),
        Some("time" | "hour" | "day") => return Field::Sender("at some times"),
        Some(other) => return Field::Unclear(format!("a match on meta {other} is not followed")),
        None => {}
    }
    match (ct["key"].as_str(), ct.get("dir").is_some()) {
        (Some("state"), _) => return Field::State,
        (Some("status"), _) => return Field::Status,
        (Some("mark"), _) => return Field::ConnectionMark(u32::MAX),
        (Some("direction"), _) => return Field::Direction,
        (Some("protocol" | "l4proto"), _) => return Field::Protocol,
        (Some(other), _) => return Field::Unclear(format!("a match on ct {other} is not followed")),
        (None, _) => {}
    }
    if left.get("numgen").is_some() || left.get("jhash").is_some() || left.get("symhash").is_some() {
        return Field::Sender("by chance");
    }
    if left["socket"]["key"] == "transparent" {
        return Field::Transparent;
    }
    let fib = &left["fib"];
    let flags: Vec<&str> = fib["flags"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    match (fib["result"].as_str(), &flags[..]) {
        (Some("type"), ["daddr"]) => Field::ToType,
        (Some("type"), ["saddr"]) => Field::FromType,
        (Some(_), flags) if flags.contains(&"saddr") => Field::Sender("by its route"),
        _ => Field::Unclear(format!("a match has a form that is not known: {left}")),
    }
}

fn masked(inner: &Value, mask: &Value) -> Field {
    let number = mask.as_u64().and_then(|mask| u32::try_from(mask).ok());
    match (inner["meta"]["key"].as_str(), inner["ct"]["key"].as_str(), number) {
        (Some("mark"), _, Some(mask)) => return Field::Mark(mask),
        (_, Some("mark"), Some(mask)) => return Field::ConnectionMark(mask),
        _ => {}
    }
    let is_flags = inner["payload"]["protocol"] == "tcp" && inner["payload"]["field"] == "flags";
    match tcp_flags(mask).filter(|_| is_flags) {
        Some(mask) => Field::TcpFlags(mask),
        None => Field::Unclear(format!("a part of a field is asked for: {inner}")),
    }
}

/// `"syn"`, `["fin", "syn"]`, `{"|": ["fin", "syn"]}`, or a number.
fn tcp_flags(value: &Value) -> Option<u8> {
    if let Some(number) = value.as_u64() {
        return u8::try_from(number).ok();
    }
    let parts = value.get("|").unwrap_or(value);
    if let Some(parts) = parts.as_array() {
        return parts.iter().map(tcp_flags).try_fold(0, |all, flag| Some(all | flag?));
    }
    TCP_FLAGS.iter().position(|name| parts == name).map(|bit| 1 << bit)
}

fn one(field: &Field, wanted: &[&Value], operator: &str, right: &Value) -> Option<Test> {
    let numbers = |name: &dyn Fn(&str) -> Option<u128>| {
        wanted.iter().map(|value| ranges(value, name)).collect::<Option<Vec<_>>>().map(Ranges::union)
    };
    let is_equality = matches!(operator, "==" | "!=" | "in");
    let plain = if operator == "!=" { "==" } else { operator };
    Some(match field {
        Field::Number(dimension, highest) => Test::Within(*dimension, compared(plain, &numbers(&no_name)?, *highest)?),
        Field::Input | Field::Output if is_equality => {
            let names = wanted.iter().map(|name| name.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()?;
            if matches!(field, Field::Input) { Test::Input(names) } else { Test::Output(names) }
        }
        Field::Protocol if is_equality => Test::Protocol(numbers(&protocol)?),
        Field::Family if is_equality => {
            let families = wanted.iter().map(|name| family(name)).collect::<Option<Vec<_>>>()?;
            match &families[..] {
                [one] => Test::Family(*one),
                _ => Test::Always(true),
            }
        }
        Field::Mark(mask) => Test::Mark(*mask, compared(plain, &numbers(&no_name)?, u32::MAX.into())?),
        Field::ConnectionMark(mask) => {
            Test::ConnectionMark(*mask, compared(plain, &numbers(&no_name)?, u32::MAX.into())?)
        }
        Field::State if is_equality => {
            Test::State(wanted.iter().map(|state| tracked(state)).collect::<Option<Vec<_>>>()?)
        }
        // What still goes to its own port has not been translated.
        Field::Status if wanted.iter().all(|status| *status == "dnat") => Test::State(vec![Tracked::Translated]),
        Field::ToType | Field::FromType if is_equality => {
            let is_local = wanted.iter().any(|kind| *kind == "local");
            let is_other = wanted.iter().all(|kind| {
                matches!(kind.as_str(), Some("unicast" | "broadcast" | "multicast" | "anycast" | "blackhole"))
            });
            match (field, is_local) {
                (Field::ToType, true) => Test::ToThisHost,
                (Field::FromType, true) => Test::FromThisHost,
                (Field::ToType, false) if is_other => Test::Always(false),
                _ => return None,
            }
        }
        Field::TcpFlags(mask) => {
            let flags = tcp_flags(right)?;
            match (operator, *mask) {
                // One of them is set.
                ("in", 0) => Test::Always(SYN & flags != 0),
                ("==" | "!=", 0) => Test::Always(SYN == flags),
                ("==" | "!=", mask) => Test::Always(SYN & mask == flags),
                _ => return None,
            }
        }
        Field::Direction => {
            let is_original = wanted.iter().all(|side| *side == "original" || side.as_u64() == Some(0));
            Test::Always(is_original)
        }
        Field::Transparent => {
            let is_wanted = wanted.iter().all(|value| value.as_u64() == Some(1) || value.as_bool() == Some(true));
            if !is_wanted {
                return None;
            }
            Test::Always(false)
        }
        Field::Sender(what) => Test::Sender(what),
        _ => return None,
    })
}

/// The names of `nfproto` and of the families of tables.
pub fn family(value: &Value) -> Option<Family> {
    match value.as_str() {
        Some("ip" | "ipv4") => Some(Family::Ipv4),
        Some("ip6" | "ipv6") => Some(Family::Ipv6),
        Some(_) => None,
        None => match value.as_u64()? {
            2 | 0x800 => Some(Family::Ipv4),
            10 | 0x86dd => Some(Family::Ipv6),
            _ => None,
        },
    }
}
