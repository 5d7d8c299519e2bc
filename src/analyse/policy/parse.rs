//! The file of a policy, in TOML.

use std::collections::BTreeSet;

use jiff::civil::Date;
use strsim::damerau_levenshtein;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{Kind, PolicyError, Problem, ValueFault};
use super::wildcard::Wildcard;
use super::{Conditions, Policy, PolicyRule, Verb};
use crate::analyse::audit::{RULES, Severity};
use crate::catalogue::Catalogue;
use crate::model::{Exposure, Port, PortError, PortRange, Protocol};

/// Reads a policy. Names of services are looked up in the catalogue.
pub fn parse(text: &str, catalogue: &Catalogue) -> Result<Policy, PolicyError> {
    let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
    let reader = Reader { text, lines, catalogue };
    let table = DeTable::parse(text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start);
        let words = error.message().split_whitespace().collect::<Vec<_>>().join(" ");
        reader.error(start, Problem::NotToml(words))
    })?;
    let mut policy = Policy::default();
    for (key, value) in table.get_ref() {
        let name: &str = key.get_ref();
        match name {
            "default" => {
                policy.denies_by_default = reader.choice(name, value, &[("allow", false), ("deny", true)])?;
            }
            "disable" => policy.disable = reader.rule_ids(name, value)?,
            _ => {
                let Some(verb) = Verb::ALL.into_iter().find(|verb| verb.name() == name) else {
                    return Err(reader.error(key.span().start, unknown_key(name, KEYS)));
                };
                let DeValue::Array(rules) = value.get_ref() else {
                    return Err(reader.error(value.span().start, Problem::NotTables(verb)));
                };
                for rule in rules {
                    policy.rules.push(reader.rule(verb, rule)?);
                }
            }
        }
    }
    Ok(policy)
}

struct Reader<'t> {
    text: &'t str,
    /// Where each line begins.
    lines: Vec<usize>,
    catalogue: &'t Catalogue,
}

type Value<'t> = Spanned<DeValue<'t>>;

/// The keys of the file.
const KEYS: &[&str] = &["default", "disable", "[[allow]]", "[[require]]", "[[forbid]]"];

/// The keys of a rule.
const KEYS_OF_RULE: &[&str] = &[
    "comment",
    "expires",
    "severity",
    "suppress",
    "protocol",
    "port",
    "service",
    "exposure",
    "space",
    "exe",
    "unit",
    "container",
    "user",
    "when",
];

impl Reader<'_> {
    fn place(&self, offset: usize) -> (usize, usize) {
        // The parser counts bytes; a place inside of a character is that of the character.
        let offset = (0..=offset.min(self.text.len())).rev().find(|at| self.text.is_char_boundary(*at)).unwrap_or(0);
        let line = self.lines.partition_point(|start| *start <= offset);
        let start = self.lines[line - 1];
        (line, self.text[start..offset].chars().count() + 1)
    }

    fn error(&self, offset: usize, problem: Problem) -> PolicyError {
        let (line, column) = self.place(offset);
        PolicyError { line, column, problem }
    }

    fn wrong(&self, value: &Value<'_>, key: &str, fault: ValueFault) -> PolicyError {
        self.error(value.span().start, Problem::Value { key: key.to_owned(), fault })
    }

    fn rule(&self, verb: Verb, value: &Value<'_>) -> Result<PolicyRule, PolicyError> {
        let start = value.span().start;
        let DeValue::Table(table) = value.get_ref() else {
            return Err(self.error(start, Problem::NotTables(verb)));
        };
        let mut rule = PolicyRule {
            verb,
            line: self.place(start).0,
            comment: None,
            expires: None,
            severity: None,
            suppress: BTreeSet::new(),
            conditions: Conditions::default(),
        };
        for (key, value) in table {
            let name: &str = key.get_ref();
            match name {
                "comment" => rule.comment = Some(self.string(name, value)?.to_owned()),
                "expires" => rule.expires = Some(self.date(name, value)?),
                "severity" if verb != Verb::Allow => {
                    let choices = Severity::ALL.map(|severity| (severity.name(), severity));
                    rule.severity = Some(self.choice(name, value, &choices)?);
                }
                "suppress" if verb == Verb::Allow => rule.suppress = self.rule_ids(name, value)?,
                "severity" => return Err(self.error(key.span().start, Problem::SeverityOfAllow)),
                "suppress" => return Err(self.error(key.span().start, Problem::SuppressOfOther)),
                _ => self.condition(name, key.span().start, value, &mut rule.conditions)?,
            }
        }
        if rule.conditions.is_empty() {
            return Err(self.error(start, Problem::NoCondition(verb)));
        }
        Ok(rule)
    }

    fn condition(
        &self,
        name: &str,
        key_start: usize,
        value: &Value<'_>,
        conditions: &mut Conditions,
    ) -> Result<(), PolicyError> {
        match name {
            "protocol" => {
                let choices = Protocol::ALL.map(|protocol| (protocol.name(), protocol));
                conditions.protocols = self.each(name, value, |item| self.choice(name, item, &choices))?;
            }
            "exposure" => {
                let choices = Exposure::ALL.map(|exposure| (exposure.name(), exposure));
                conditions.exposures = self.each(name, value, |item| self.choice(name, item, &choices))?;
            }
            "port" => conditions.ports = self.each(name, value, |item| self.ports(name, item))?,
            "service" => conditions.services = self.each(name, value, |item| self.service(name, item))?,
            "space" => conditions.spaces = self.wildcards(name, value)?,
            "exe" => conditions.exes = self.wildcards(name, value)?,
            "unit" => conditions.units = self.wildcards(name, value)?,
            "container" => conditions.containers = self.wildcards(name, value)?,
            "user" => conditions.users = self.each(name, value, |item| self.user(name, item))?,
            "when" => {
                let expression = self.string(name, value)?.parse();
                let expression =
                    expression.map_err(|words| self.wrong(value, name, ValueFault::NotACondition(words)))?;
                conditions.when = Some((expression, self.place(value.span().start)));
            }
            _ => return Err(self.error(key_start, unknown_key(name, KEYS_OF_RULE))),
        }
        Ok(())
    }

    /// Reads one value or a list of them.
    fn each<'v, T>(
        &self,
        key: &str,
        value: &'v Value<'v>,
        read: impl Fn(&'v Value<'v>) -> Result<T, PolicyError>,
    ) -> Result<Vec<T>, PolicyError> {
        let DeValue::Array(items) = value.get_ref() else { return Ok(vec![read(value)?]) };
        if items.is_empty() {
            return Err(self.wrong(value, key, ValueFault::EmptyList));
        }
        items.iter().map(read).collect()
    }

    fn string<'v>(&self, key: &str, value: &'v Value<'_>) -> Result<&'v str, PolicyError> {
        match value.get_ref() {
            DeValue::String(text) => Ok(text),
            other => Err(self.wrong(value, key, ValueFault::NotAString(kind(other)))),
        }
    }

    fn choice<T: Copy>(&self, key: &str, value: &Value<'_>, choices: &[(&'static str, T)]) -> Result<T, PolicyError> {
        let text = self.string(key, value)?;
        choices.iter().find(|(name, _)| *name == text).map(|(_, choice)| *choice).ok_or_else(|| {
            let known = choices.iter().map(|(name, _)| *name).collect();
            self.wrong(value, key, ValueFault::NotAChoice { value: text.to_owned(), known })
        })
    }

    fn rule_ids(&self, key: &str, value: &Value<'_>) -> Result<BTreeSet<&'static str>, PolicyError> {
        let choices: Vec<(&'static str, &'static str)> = RULES.iter().map(|rule| (rule.id, rule.id)).collect();
        Ok(self.each(key, value, |item| self.choice(key, item, &choices))?.into_iter().collect())
    }

    fn wildcards(&self, key: &str, value: &Value<'_>) -> Result<Vec<Wildcard>, PolicyError> {
        self.each(key, value, |item| self.wildcard(key, item))
    }

    fn wildcard(&self, key: &str, value: &Value<'_>) -> Result<Wildcard, PolicyError> {
        match self.string(key, value)? {
            "" => Err(self.wrong(value, key, ValueFault::EmptyPattern)),
            text => Ok(Wildcard::new(text)),
        }
    }

    /// A user by name or, in quotes or not, by number.
    fn user(&self, key: &str, value: &Value<'_>) -> Result<Wildcard, PolicyError> {
        let DeValue::Integer(number) = value.get_ref() else { return self.wildcard(key, value) };
        match u32::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Ok(Wildcard::new(&number.to_string())),
            Err(_) => Err(self.wrong(value, key, ValueFault::NotAUid(number.to_string()))),
        }
    }

    fn ports(&self, key: &str, value: &Value<'_>) -> Result<PortRange, PolicyError> {
        let read = match value.get_ref() {
            DeValue::Integer(number) => {
                let port = u16::from_str_radix(number.as_str(), number.radix()).ok().filter(|port| *port > 0);
                port.map(|port| PortRange::single(Port::new(port)))
                    .ok_or(ValueFault::Ports(PortError::NotAPort(number.to_string())))
            }
            DeValue::String(text) => text.parse().map_err(ValueFault::Ports),
            other => Err(ValueFault::NotPorts(kind(other))),
        };
        read.map_err(|fault| self.wrong(value, key, fault))
    }

    fn service(&self, key: &str, value: &Value<'_>) -> Result<(Wildcard, Vec<(Port, Protocol)>), PolicyError> {
        let name = self.string(key, value)?;
        let ports: Vec<_> = self.catalogue.ports_named(name).into_iter().collect();
        if ports.is_empty() && !name.contains('*') {
            return Err(self.wrong(value, key, ValueFault::UnknownService(name.to_owned())));
        }
        Ok((Wildcard::new(name), ports))
    }

    fn date(&self, key: &str, value: &Value<'_>) -> Result<Date, PolicyError> {
        let date = match value.get_ref() {
            DeValue::String(text) if text.len() == 10 => text.parse().ok(),
            DeValue::Datetime(toml::value::Datetime { date: Some(date), time: None, offset: None }) => {
                let number = |number: u8| i8::try_from(number).ok();
                let year = i16::try_from(date.year).ok();
                year.zip(number(date.month).zip(number(date.day)))
                    .and_then(|(year, (month, day))| Date::new(year, month, day).ok())
            }
            _ => None,
        };
        date.ok_or_else(|| self.wrong(value, key, ValueFault::NotADate))
    }
}

/// Finds the known key that is most like the one that is not known.
fn unknown_key(name: &str, known: &'static [&'static str]) -> Problem {
    let keys = known.iter().map(|key| key.trim_matches(['[', ']']));
    let begins = keys.clone().find(|key| name.len() > 2 && key.starts_with(name));
    let is_near = |key: &&str| damerau_levenshtein(name, key) <= name.len() / 3;
    let near = begins.or_else(|| keys.filter(is_near).min_by_key(|key| damerau_levenshtein(name, key)));
    Problem::UnknownKey { name: name.to_owned(), near, known }
}

fn kind(value: &DeValue<'_>) -> Kind {
    match value {
        DeValue::String(_) => Kind::String,
        DeValue::Integer(_) => Kind::Integer,
        DeValue::Float(_) => Kind::Float,
        DeValue::Boolean(_) => Kind::Boolean,
        DeValue::Datetime(_) => Kind::Datetime,
        DeValue::Array(_) => Kind::Array,
        DeValue::Table(_) => Kind::Table,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<Policy, PolicyError> {
        parse(text, &Catalogue::default())
    }

    #[test]
    fn a_policy_of_every_key_is_read() {
        let policy = read(
            "default = \"deny\"\ndisable = [\"accept-queue\"]\n\n[[allow]]\ncomment = \"web\"\nexpires = 2027-12-31\n\
             suppress = \"unknown-program\"\nprotocol = \"tcp\"\nport = [80, \"443-444\", 0x50]\nservice = [\"http\", \"web*\"]\n\
             exposure = [\"any\", \"public\"]\nspace = \"host\"\nexe = \"/usr/*\"\nunit = \"*.service\"\ncontainer = \"web\"\n\
             user = [\"root\", \"33\", 0]\nwhen = \"local.port > 0\"\n\n[[forbid]]\nseverity = \"critical\"\nport = 23\n\n\
             [[require]]\nservice = \"ssh\"\nexpires = \"2027-01-01\"\n",
        )
        .unwrap();
        assert!(policy.denies_by_default && policy.disable.contains("accept-queue"));
        let shown: Vec<(&str, usize)> = policy.rules.iter().map(|rule| (rule.verb.name(), rule.line)).collect();
        assert_eq!(shown, [("allow", 4), ("forbid", 19), ("require", 23)]);
        assert_eq!(policy.rules[0].expires.unwrap().to_string(), "2027-12-31");
        assert_eq!(policy.rules[1].severity, Some(Severity::Critical));
        assert_eq!(policy.rules[0].conditions.ports.len(), 3);
        assert!(!read("").unwrap().denies_by_default);
    }

    #[test]
    fn nothing_is_nested_too_deeply() {
        for part in ["[", "{a=", "[[", "a."] {
            assert!(read(&format!("x = {}", part.repeat(100_000))).is_err(), "{part}");
            assert!(read(&part.repeat(100_000)).is_err(), "{part}");
        }
    }

    /// Lines of policies, right and wrong, in any order.
    fn scraps() -> impl Strategy<Value = String> {
        let line = prop::sample::select(vec![
            "[[allow]]",
            "[[forbid]]",
            "[[require]]",
            "[allow]",
            "default = \"deny\"",
            "disable = []",
            "port = 80",
            "port = [1, \"2-3\"]",
            "port = \"x\"",
            "exe = \"*\"",
            "expires = 2027-02-30",
            "expires = 2027-02-28",
            "when = \"local.port == 1\"",
            "when = \"(\"",
            "suppress = \"clear-text\"",
            "severity = \"low\"",
            "é = 1",
            "\"",
            "[",
            "user = [\"a\",",
            "]",
            "comment = '''x",
            "'''",
            "port = 0xffffffffffffffffffffff",
            "port = 1e9",
            "exposure = \"any\"",
        ]);
        prop::collection::vec(line, 0..12).prop_map(|lines| lines.join("\n"))
    }

    proptest! {
        #[test]
        fn any_text_is_a_policy_or_an_error_with_its_place(text in prop_oneof![any::<String>(), scraps()]) {
            if let Err(error) = read(&text) {
                let lines = text.lines().count() + 1;
                prop_assert!(error.line >= 1 && error.line <= lines && error.column >= 1, "{error:?}");
            }
        }
    }
}
