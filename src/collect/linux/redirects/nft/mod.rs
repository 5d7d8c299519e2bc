//! Reads `nft -j list ruleset`. Source: libnftables-json(5).

mod matching;
mod statement;
mod value;

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;

use super::ruleset::{Base, Chain, Hook, Rule, Ruleset, Table};
use crate::model::Family;

/// What was read, and which tables iptables wrote in its own words, which nft does not translate.
#[derive(Debug, Default)]
pub struct Read {
    /// The rules.
    pub ruleset: Ruleset,
    /// The family and name of each such table.
    pub foreign: BTreeSet<(Family, String)>,
}

/// Reads the rules; nothing when the text is no output of nft.
pub fn parse(text: &[u8], dormant: &BTreeSet<(String, String)>) -> Option<Read> {
    let answer: Value = serde_json::from_slice(text).ok()?;
    let items = answer["nftables"].as_array()?;
    let sets = Sets::of(items);
    let mut read = Read::default();
    let mut tables: Vec<(String, Table)> = Vec::new();
    for item in items {
        let Some((kind, value)) = item.as_object().and_then(|object| object.iter().next()) else { continue };
        let (family, name) = (value["family"].as_str().unwrap_or_default(), value["name"].as_str().unwrap_or_default());
        match kind.as_str() {
            "table" => {
                let families = families(family);
                let is_dormant = dormant.contains(&(family.to_owned(), name.to_owned()));
                let (full, short_name) = (format!("{family} {name}"), name.to_owned());
                let table = Table { families, name: full.clone(), short_name, is_dormant, chains: HashMap::new() };
                tables.push((full, table));
            }
            "chain" => {
                if let Some(table) = table_of(&mut tables, value) {
                    let base = base(value, &mut read.ruleset.holes);
                    table.chains.insert(name.to_owned(), Chain { base, rules: Vec::new() });
                }
            }
            "rule" => {
                let Some(table) = table_of(&mut tables, value) else { continue };
                let of_table = Scope { sets: &sets, table: &table.name };
                let (rule, is_foreign) = rule(value, of_table);
                if is_foreign {
                    read.foreign.extend(table.families.first().map(|family| (*family, table.short_name.clone())));
                }
                if family == "netdev" && moves(value) {
                    read.ruleset
                        .holes
                        .push(format!("a rule of {} moves packets before any other is asked", table.name));
                }
                let chain = value["chain"].as_str().unwrap_or_default();
                table.chains.entry(chain.to_owned()).or_default().rules.push(rule);
            }
            _ => {}
        }
    }
    read.ruleset.tables =
        tables.into_iter().map(|(_, table)| table).filter(|table| !table.families.is_empty()).collect();
    Some(read)
}

fn table_of<'a>(tables: &'a mut [(String, Table)], of: &Value) -> Option<&'a mut Table> {
    let name = format!("{} {}", of["family"].as_str()?, of["table"].as_str()?);
    tables.iter_mut().find(|(known, _)| *known == name).map(|(_, table)| table)
}

/// The families whose packets a table is for; those of bridges and of devices meet none that matters here.
fn families(name: &str) -> Vec<Family> {
    match name {
        "ip" => vec![Family::Ipv4],
        "ip6" => vec![Family::Ipv6],
        "inet" => Family::ALL.to_vec(),
        _ => Vec::new(),
    }
}

fn base(chain: &Value, holes: &mut Vec<String>) -> Option<Base> {
    let hook = match chain["hook"].as_str()? {
        "prerouting" => Hook::Prerouting,
        "input" => Hook::Input,
        "output" => Hook::Output,
        _ => return None,
    };
    let Some(priority) = chain["prio"].as_i64().and_then(|number| i32::try_from(number).ok()) else {
        holes.push("the priority of a chain is not understood".to_owned());
        return None;
    };
    Some(Base { hook, priority, is_nat: chain["type"] == "nat", drops: chain["policy"] == "drop" })
}

/// Whether a rule of a device does more than let packets pass or not.
fn moves(rule: &Value) -> bool {
    let is_plain = |kind: &str| {
        matches!(kind, "match" | "accept" | "drop" | "counter" | "log" | "limit" | "jump" | "goto" | "return" | "vmap")
    };
    let kinds =
        rule["expr"].as_array().into_iter().flatten().filter_map(Value::as_object).flat_map(|object| object.keys());
    kinds.into_iter().any(|kind| !is_plain(kind))
}

fn rule(value: &Value, scope: Scope<'_>) -> (Rule, bool) {
    let expressions = value["expr"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is_foreign = expressions.iter().any(|expression| expression.get("xt").is_some() || expression.is_null());
    let mut steps = Vec::new();
    for expression in expressions {
        statement::read(expression, scope, &mut steps);
    }
    let rule = Rule {
        number: value["handle"].as_u64().unwrap_or_default(),
        comment: value["comment"].as_str().map(str::to_owned),
        steps,
    };
    (rule, is_foreign)
}

/// Where named sets are looked up.
#[derive(Clone, Copy, Debug)]
struct Scope<'a> {
    sets: &'a Sets<'a>,
    table: &'a str,
}

impl<'a> Scope<'a> {
    /// The elements of a set or map: one that stands in the rule, or a named one.
    fn elements(self, value: &'a Value) -> Option<&'a [Value]> {
        match value.as_str() {
            Some(name) => {
                let set = self.sets.0.get(&(self.table.to_owned(), name.strip_prefix('@')?.to_owned()))?;
                let elements = &set["elem"];
                if elements.is_null() { Some(&[]) } else { elements.as_array().map(Vec::as_slice) }
            }
            None => value["set"].as_array().map(Vec::as_slice),
        }
    }

    /// Whether rules add to a set while packets pass.
    fn is_dynamic(self, name: &str) -> bool {
        let set = self.sets.0.get(&(self.table.to_owned(), name.trim_start_matches('@').to_owned()));
        let is_one = |flag: &Value| flag == "dynamic" || flag == "timeout";
        set.is_some_and(|set| set["flags"].as_array().is_some_and(|flags| flags.iter().any(is_one)))
    }
}

/// The named sets and maps by table and name.
#[derive(Debug, Default)]
struct Sets<'a>(HashMap<(String, String), &'a Value>);

impl<'a> Sets<'a> {
    fn of(items: &'a [Value]) -> Sets<'a> {
        let mut sets = HashMap::new();
        for item in items {
            for kind in ["set", "map"] {
                let value = &item[kind];
                if let (Some(family), Some(table), Some(name)) =
                    (value["family"].as_str(), value["table"].as_str(), value["name"].as_str())
                {
                    sets.insert((format!("{family} {table}"), name.to_owned()), value);
                }
            }
        }
        Sets(sets)
    }
}
