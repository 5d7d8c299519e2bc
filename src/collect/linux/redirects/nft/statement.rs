//! What the statements of nft do.

use std::net::IpAddr;

use serde_json::Value;

use super::Scope;
use super::matching::{self, family};
use super::value::{bare, no_name, ranges};
use crate::collect::linux::redirects::ruleset::{Action, MarkBase, MarkValue, Match, Step, Test, To, ToPort};

/// Reads an expression of a rule as steps.
pub fn read(expression: &Value, scope: Scope<'_>, steps: &mut Vec<Step>) {
    let Some((kind, value)) = expression.as_object().and_then(|object| object.iter().next()) else {
        steps.push(unclear(expression));
        return;
    };
    match kind.as_str() {
        "match" => matching::read(value, scope, steps),
        "vmap" => verdict_map(value, scope, steps),
        "dnat" => translate(value, scope, steps),
        "redirect" => translate(value, scope, steps),
        "tproxy" => {
            let to = target(&value["addr"], &value["port"]);
            if let Some(family) = family(&value["family"]) {
                steps.push(Step::Match(Match::of(Test::Family(family), false)));
            }
            steps.push(to.map_or_else(|| unclear(expression), |to| Step::Act(Action::Proxy(to, false))));
        }
        "limit" | "quota" | "ct count" | "meter" => {
            let what = if kind == "limit" { "within a rate" } else { "within a limit" };
            steps.push(Step::Match(Match::of(Test::Sender(what), false)));
        }
        "mangle" => mangle(value, steps),
        "notrack" => steps.push(Step::Act(Action::DoNotTrack)),
        "queue" => steps.push(Step::Act(Action::Unclear("a program decides about the packets (queue)".to_owned()))),
        "synproxy" | "fwd" => steps.push(unclear(expression)),
        "xt" => {
            let name = value["name"].as_str().unwrap_or("of iptables");
            let is_target = value["type"] == "target";
            let why = format!("an extension of iptables is not shown: {name}");
            steps.push(match (is_target, name) {
                (_, "comment" | "LOG" | "NFLOG" | "CHECKSUM" | "TCPMSS") => return,
                (true, _) => Step::Act(Action::Unclear(why)),
                (false, _) => Step::Match(Match::of(Test::Unclear(why), false)),
            });
        }
        // These change nothing about where a packet goes.
        "counter" | "log" | "comment" | "snat" | "masquerade" | "dup" | "set" | "map" | "flow" | "ct helper"
        | "last" | "ct timeout" | "ct expectation" | "secmark" | "xfrm" => {}
        _ => match verdict(expression) {
            Some(action) => steps.push(Step::Act(action)),
            None => steps.push(unclear(expression)),
        },
    }
}

fn unclear(expression: &Value) -> Step {
    let mut text = expression.to_string();
    if let Some((end, _)) = text.char_indices().nth(80) {
        text.truncate(end);
        text.push('…');
    }
    Step::Act(Action::Unclear(format!("a statement has a form that is not known: {text}")))
}

fn verdict(value: &Value) -> Option<Action> {
    let (kind, value) = value.as_object()?.iter().next()?;
    let chain = || value["target"].as_str().map(str::to_owned);
    Some(match kind.as_str() {
        "accept" => Action::Accept,
        "drop" | "reject" => Action::Drop,
        "return" => Action::Return,
        "continue" => Action::Continue,
        "jump" => Action::Jump(chain()?),
        "goto" => Action::Goto(chain()?),
        _ => return None,
    })
}

fn verdict_map(value: &Value, scope: Scope<'_>, steps: &mut Vec<Step>) {
    let key = &value["key"];
    let pairs = scope.elements(&value["data"]);
    let pairs: Option<Vec<(&Value, Action)>> =
        pairs.and_then(|pairs| pairs.iter().map(|pair| Some((pair.get(0)?, verdict(bare(pair.get(1)?))?))).collect());
    let Some(pairs) = pairs else {
        steps.push(Step::Act(Action::Unclear("a verdict map is not understood".to_owned())));
        return;
    };
    if is_chance(key) {
        steps.push(Step::Choose(pairs.into_iter().map(|(_, action)| action).collect()));
        return;
    }
    for implied in matching::implied(key) {
        steps.push(Step::Match(Match::of(implied, false)));
    }
    let cases = pairs.into_iter().map(|(element, action)| {
        let unknown = || Match::of(Test::Unclear("an element of a map is not understood".to_owned()), false);
        (matching::cases(key, element).unwrap_or_else(unknown), action)
    });
    steps.push(Step::Map(cases.collect()));
}

fn is_chance(key: &Value) -> bool {
    ["numgen", "jhash", "symhash"].iter().any(|kind| key.get(kind).is_some())
}

/// Reads `dnat` and `redirect`, whose address, port, or both may come from a map.
fn translate(value: &Value, scope: Scope<'_>, steps: &mut Vec<Step>) {
    if let Some(family) = family(&value["family"]) {
        steps.push(Step::Match(Match::of(Test::Family(family), false)));
    }
    let (address, port) = (&value["addr"], &value["port"]);
    let (map, is_port) = if port.get("map").is_some() { (&port["map"], true) } else { (&address["map"], false) };
    let plain = |address: &Value, port: &Value| {
        let unknown = || Action::Unclear(format!("the target of a translation is not understood: {address}"));
        target(address, port).map_or_else(unknown, Action::Translate)
    };
    if map.is_null() {
        steps.push(Step::Act(plain(address, port)));
        return;
    }
    let Some(pairs) = scope.elements(&map["data"]) else {
        steps.push(Step::Act(Action::Unclear("the map of a translation is not understood".to_owned())));
        return;
    };
    let action = |data: &Value| {
        let data = bare(data);
        match (data["concat"].as_array().map(Vec::as_slice), is_port) {
            (Some([address, port]), false) => plain(address, port),
            (_, true) => plain(address, data),
            _ => plain(data, port),
        }
    };
    let pairs: Vec<(&Value, Action)> =
        pairs.iter().filter_map(|pair| Some((pair.get(0)?, action(pair.get(1)?)))).collect();
    if is_chance(&map["key"]) {
        steps.push(Step::Choose(pairs.into_iter().map(|(_, action)| action).collect()));
        return;
    }
    for implied in matching::implied(&map["key"]) {
        steps.push(Step::Match(Match::of(implied, false)));
    }
    let cases = pairs.into_iter().map(|(element, action)| {
        let unknown = || Match::of(Test::Unclear("an element of a map is not understood".to_owned()), false);
        (matching::cases(&map["key"], element).unwrap_or_else(unknown), action)
    });
    steps.push(Step::Map(cases.collect()));
}

/// The target with this address, of several the first, and this port.
fn target(address: &Value, port: &Value) -> Option<To> {
    let first = address["range"].as_array().and_then(|range| range.first()).unwrap_or(address);
    let address: Option<IpAddr> = match first.as_str() {
        Some(text) => Some(text.parse().ok()?),
        None if first.is_null() => None,
        None => first["prefix"]["addr"].as_str().map(str::parse).transpose().ok()?,
    };
    if address.is_none() && !first.is_null() {
        return None;
    }
    let port = match ranges(port, &no_name).and_then(|ports| ports.iter().next()) {
        Some((first, last)) => ToPort::Between(first.try_into().ok()?, last.try_into().ok()?),
        None if port.is_null() => ToPort::Same,
        None => ToPort::Unknown,
    };
    Some(To { address, port })
}

/// Reads `meta mark set` and `ct mark set`; what is set in a packet's own address or port sends it elsewhere.
fn mangle(value: &Value, steps: &mut Vec<Step>) {
    let key = &value["key"];
    if key["meta"]["key"] == "mark" {
        steps.push(Step::Act(Action::SetMark(mark(&value["value"]))));
    } else if key["ct"]["key"] == "mark" {
        steps.push(Step::Act(Action::SetConnectionMark(mark(&value["value"]))));
    } else if matches!(key["payload"]["field"].as_str(), Some("daddr" | "dport" | "saddr" | "sport")) {
        steps.push(Step::Act(Action::Unclear("a rule rewrites addresses or ports of packets".to_owned())));
    }
}

fn mark(value: &Value) -> MarkValue {
    let number = |value: &Value| value.as_u64().and_then(|number| u32::try_from(number).ok());
    if let Some(number) = number(value) {
        return MarkValue::constant(number);
    }
    if value["meta"]["key"] == "mark" {
        return MarkValue::of(MarkBase::Packet);
    }
    if value["ct"]["key"] == "mark" {
        return MarkValue::of(MarkBase::Connection);
    }
    for operator in ["&", "|", "^"] {
        if let Some([inner, operand]) = value[operator].as_array().map(Vec::as_slice)
            && let Some(operand) = number(operand)
        {
            let inner = mark(inner);
            return match operator {
                "&" => {
                    MarkValue { and: inner.and & operand, or: inner.or & operand, xor: inner.xor & operand, ..inner }
                }
                // A bit that is set stays set, whatever was changed about it before.
                "|" => MarkValue {
                    and: inner.and & !operand,
                    or: (inner.or & !operand) | operand,
                    xor: inner.xor & !operand,
                    ..inner
                },
                _ => MarkValue { xor: inner.xor ^ operand, ..inner },
            };
        }
    }
    MarkValue::UNKNOWN
}
