//! Reads what iptables-save prints. Source: iptables-save(8), iptables-extensions(8).

mod option;
mod target;

use std::collections::HashMap;

use super::ruleset::{Action, Base, Chain, Hook, Match, Rule, Step, Table, Test};
use crate::model::Family;
use target::Target;

/// Reads the tables; nothing when the text is no output of iptables-save.
pub fn parse(text: &[u8], family: Family) -> Option<Vec<Table>> {
    let text = String::from_utf8_lossy(text);
    let tool = if family == Family::Ipv4 { "iptables" } else { "ip6tables" };
    let mut tables: Vec<Table> = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('*') {
            tables.push(Table {
                families: vec![family],
                name: format!("{tool} {name}"),
                short_name: name.to_owned(),
                is_dormant: false,
                chains: HashMap::new(),
            });
            continue;
        }
        if line.is_empty() || line.starts_with('#') || line == "COMMIT" {
            continue;
        }
        let table = tables.last_mut()?;
        if let Some(chain) = line.strip_prefix(':') {
            let mut words = chain.split(' ');
            let (name, policy) = (words.next()?, words.next()?);
            let base = base(&table.short_name, name, policy);
            table.chains.entry(name.to_owned()).or_default().base = base;
        } else if let Some(rule) = line.strip_prefix("-A ") {
            let (name, rest) = rule.split_once(' ').unwrap_or((rule, ""));
            // What leads to a chain that is not there, is one of a target that is not known.
            let short_name = table.short_name.clone();
            let chain: &mut Chain = table.chains.entry(name.to_owned()).or_default();
            if chain.base.is_none() {
                chain.base = base(&short_name, name, "ACCEPT");
            }
            let number = u64::try_from(chain.rules.len()).unwrap_or_default() + 1;
            chain.rules.push(read(rest, number));
        } else if !line.starts_with(['-', '[']) {
            return None;
        }
    }
    for table in &mut tables {
        name_unknown_targets(table);
    }
    Some(tables)
}

/// The names that iptables gives its base chains, with the priorities of the kernel's tables.
///
/// Source: `linux/netfilter_ipv4.h`.
fn base(table: &str, chain: &str, policy: &str) -> Option<Base> {
    let hook = match chain {
        "PREROUTING" => Hook::Prerouting,
        "INPUT" => Hook::Input,
        "OUTPUT" => Hook::Output,
        _ => return None,
    };
    let priority = match table {
        "raw" => -300,
        "mangle" => -150,
        "nat" => -100,
        "security" => 50,
        _ => 0,
    };
    Some(Base { hook, priority, is_nat: table == "nat", drops: policy == "DROP" })
}

/// A target that is no chain is one that is not known here.
fn name_unknown_targets(table: &mut Table) {
    let names: Vec<String> = table.chains.keys().cloned().collect();
    for rule in table.chains.values_mut().flat_map(|chain| &mut chain.rules) {
        for step in &mut rule.steps {
            if let Step::Act(Action::Jump(name) | Action::Goto(name)) = step
                && !names.contains(name)
            {
                *step = Step::Act(Action::Unclear(format!("the target {name} is not known")));
            }
        }
    }
}

fn read(line: &str, number: u64) -> Rule {
    let mut rule = Rule { number, ..Rule::default() };
    let words = words(line);
    let mut words = Words { words: &words, next: 0 };
    let mut module = String::new();
    let mut is_negated = false;
    let mut target = Target::default();
    while let Some(word) = words.take() {
        let was_negated = std::mem::replace(&mut is_negated, word == "!");
        match word {
            "!" => {}
            "-m" | "--match" => words.take().unwrap_or_default().clone_into(&mut module),
            "--comment" => rule.comment = words.take().map(str::to_owned),
            "-j" | "-g" => {
                target = Target::named(words.take().unwrap_or_default(), word == "-g");
                // What follows is about the target.
                while let Some(word) = words.take() {
                    if let Some(test) = target.option(word, &mut words) {
                        rule.steps.push(Step::Match(Match::of(test, false)));
                    }
                }
            }
            option => {
                let test = option::read(&module, option, &mut words);
                if let Some((test, is_inverted)) = test {
                    rule.steps.push(Step::Match(Match::of(test, was_negated != is_inverted)));
                }
            }
        }
    }
    rule.steps.extend(target.steps());
    rule
}

/// The words of a rule, one after the other.
struct Words<'a> {
    words: &'a [String],
    next: usize,
}

impl<'a> Words<'a> {
    fn take(&mut self) -> Option<&'a str> {
        let word = self.words.get(self.next)?;
        self.next += 1;
        Some(word)
    }

    /// Takes the next word unless another option begins with it.
    fn value(&mut self) -> Option<&'a str> {
        let word = self.words.get(self.next)?;
        if word.starts_with('-') && !word[1..].starts_with(|first: char| first.is_ascii_digit()) || word == "!" {
            return None;
        }
        self.take()
    }
}

/// The words of a line; one that has blanks stands in quotation marks, in which a backslash takes the meaning of the next.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = None;
    let mut is_quoted = false;
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => {
                is_quoted = !is_quoted;
                word.get_or_insert_default();
            }
            '\\' if is_quoted => word.get_or_insert_with(String::new).extend(characters.next()),
            blank if blank.is_whitespace() && !is_quoted => words.extend(word.take()),
            other => word.get_or_insert_with(String::new).push(other),
        }
    }
    words.extend(word);
    words
}

/// A test that nothing here understands.
fn unclear(module: &str, option: &str) -> Test {
    Test::Unclear(format!("a match is not followed: {} {option}", if module.is_empty() { "iptables" } else { module }))
}
