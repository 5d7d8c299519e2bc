//! The file of a policy, in TOML. Every error names its line, column and key.

use std::collections::BTreeSet;

use jiff::civil::Date;
use strsim::damerau_levenshtein;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::wildcard::Wildcard;
use super::{Conditions, Policy, PolicyRule, Verb};
use crate::analyse::audit::{RULES, Severity};
use crate::catalogue::Catalogue;
use crate::model::{Exposure, Port, PortRange, Protocol};

/// What is wrong in the file, and where.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("line {line}, column {column}: {problem}")]
pub struct PolicyError {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong and what is accepted.
    pub problem: String,
}

/// Reads a policy. Names of services are looked up in the catalogue.
pub fn parse(text: &str, catalogue: &Catalogue) -> Result<Policy, PolicyError> {
    let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
    let reader = Reader { text, lines, catalogue };
    let table = DeTable::parse(text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start);
        reader.error(start, &error.message().split_whitespace().collect::<Vec<_>>().join(" "))
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
                    let known = "default, disable, [[allow]], [[require]], [[forbid]]";
                    return Err(reader.error(key.span().start, &unknown_key(name, known)));
                };
                let DeValue::Array(rules) = value.get_ref() else {
                    return Err(reader.wrong(value, name, &format!("expected tables under `[[{name}]]`")));
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

const KEYS: &str =
    "comment, expires, severity, suppress, protocol, port, service, exposure, space, exe, unit, container, user, when";

impl Reader<'_> {
    fn place(&self, offset: usize) -> (usize, usize) {
        // The parser counts bytes; a place inside of a character is that of the character.
        let offset = (0..=offset.min(self.text.len())).rev().find(|at| self.text.is_char_boundary(*at)).unwrap_or(0);
        let line = self.lines.partition_point(|start| *start <= offset);
        let start = self.lines[line - 1];
        (line, self.text[start..offset].chars().count() + 1)
    }

    fn error(&self, offset: usize, problem: &str) -> PolicyError {
        let (line, column) = self.place(offset);
        PolicyError { line, column, problem: problem.to_owned() }
    }

    fn wrong(&self, value: &Value<'_>, key: &str, problem: &str) -> PolicyError {
        self.error(value.span().start, &format!("`{key}`: {problem}"))
    }

    fn rule(&self, verb: Verb, value: &Value<'_>) -> Result<PolicyRule, PolicyError> {
        let start = value.span().start;
        let DeValue::Table(table) = value.get_ref() else {
            return Err(self.wrong(value, verb.name(), &format!("expected tables under `[[{}]]`", verb.name())));
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
                "severity" => {
                    let problem = "`severity`: not accepted in [[allow]]: expected it in [[require]] or [[forbid]]";
                    return Err(self.error(key.span().start, problem));
                }
                "suppress" => {
                    return Err(self.error(key.span().start, "`suppress`: accepted in [[allow]] only"));
                }
                _ => self.condition(name, key.span().start, value, &mut rule.conditions)?,
            }
        }
        if rule.conditions.is_empty() {
            let problem = format!(
                "[[{}]] has no condition and would match everything: expected at least one of protocol, port, service, \
                 exposure, space, exe, unit, container, user, when",
                verb.name()
            );
            return Err(self.error(start, &problem));
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
                let expression = expression.map_err(|problem: String| self.wrong(value, name, &problem))?;
                conditions.when = Some((expression, self.place(value.span().start)));
            }
            _ => return Err(self.error(key_start, &unknown_key(name, KEYS))),
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
            return Err(self.wrong(value, key, "the list is empty: expected at least one value"));
        }
        items.iter().map(read).collect()
    }

    fn string<'v>(&self, key: &str, value: &'v Value<'_>) -> Result<&'v str, PolicyError> {
        match value.get_ref() {
            DeValue::String(text) => Ok(text),
            other => Err(self.wrong(value, key, &format!("{} is not accepted: expected a quoted string", kind(other)))),
        }
    }

    fn choice<T: Copy>(&self, key: &str, value: &Value<'_>, choices: &[(&str, T)]) -> Result<T, PolicyError> {
        let text = self.string(key, value)?;
        choices.iter().find(|(name, _)| *name == text).map(|(_, choice)| *choice).ok_or_else(|| {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            self.wrong(value, key, &format!("unknown value `{text}`: expected {}", names.join(", ")))
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
            "" => {
                let problem = "an empty string matches nothing: expected a name, in which `*` matches any characters";
                Err(self.wrong(value, key, problem))
            }
            text => Ok(Wildcard::new(text)),
        }
    }

    /// A user by name or, in quotes or not, by number.
    fn user(&self, key: &str, value: &Value<'_>) -> Result<Wildcard, PolicyError> {
        let DeValue::Integer(number) = value.get_ref() else { return self.wildcard(key, value) };
        match u32::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Ok(Wildcard::new(&number.to_string())),
            Err(_) => Err(self.wrong(value, key, &format!("`{number}` is not a user ID: expected 0-4294967295"))),
        }
    }

    fn ports(&self, key: &str, value: &Value<'_>) -> Result<PortRange, PolicyError> {
        let read = match value.get_ref() {
            DeValue::Integer(number) => {
                let text = number.to_string();
                let number = u16::from_str_radix(number.as_str(), number.radix()).ok().filter(|number| *number > 0);
                number
                    .map(|number| PortRange::single(Port::new(number)))
                    .ok_or(format!("`{text}` is not a port: expected 1-65535"))
            }
            DeValue::String(text) => text.parse().map_err(|error: crate::model::PortError| error.to_string()),
            other => Err(format!("{} is not accepted: expected 1-65535 or \"LOW-HIGH\"", kind(other))),
        };
        read.map_err(|problem| self.wrong(value, key, &problem))
    }

    fn service(&self, key: &str, value: &Value<'_>) -> Result<(Wildcard, Vec<(Port, Protocol)>), PolicyError> {
        let name = self.string(key, value)?;
        let ports: Vec<_> = self.catalogue.ports_named(name).into_iter().collect();
        if ports.is_empty() && !name.contains('*') {
            let problem = format!("no service is named `{name}`: expected a name listed by `portscope services --all`");
            return Err(self.wrong(value, key, &problem));
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
        date.ok_or_else(|| self.wrong(value, key, "expected a date, such as 2027-12-31"))
    }
}

/// Names the key that is not known, and the known one that is most like it.
fn unknown_key(name: &str, known: &str) -> String {
    let keys = known.split(", ").map(|key| key.trim_matches(['[', ']']));
    let begins = keys.clone().find(|key| name.len() > 2 && key.starts_with(name));
    let is_near = |key: &&str| damerau_levenshtein(name, key) <= name.len() / 3;
    let near = begins.or_else(|| keys.filter(is_near).min_by_key(|key| damerau_levenshtein(name, key)));
    let suggestion = near.map(|key| format!(" (did you mean `{key}`?)")).unwrap_or_default();
    format!("unknown key `{name}`{suggestion}: expected {known}")
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a decimal number",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
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
    fn an_error_names_line_column_and_key() {
        for (text, error) in [
            (
                "defualt = \"deny\"",
                "line 1, column 1: unknown key `defualt` (did you mean `default`?): expected default, disable, [[allow]]",
            ),
            ("default = \"maybe\"", "line 1, column 11: `default`: unknown value `maybe`: expected allow, deny"),
            ("default = 1", "line 1, column 11: `default`: a number is not accepted: expected a quoted string"),
            ("disable = [\"x\"]", "line 1, column 12: `disable`: unknown value `x`: expected exposed-service"),
            ("[allow]\nport = 1", "line 1, column 1: `allow`: expected tables under `[[allow]]`"),
            ("allow = [1]", "line 1, column 10: `allow`: expected tables under `[[allow]]`"),
            ("[[allow]]\nport = 70000", "line 2, column 8: `port`: `70000` is not a port: expected 1-65535"),
            ("[[allow]]\nport = -1", "line 2, column 8: `port`: `-1` is not a port: expected 1-65535"),
            ("[[allow]]\nport = \"9-1\"", "line 2, column 8: `port`: `9-1` is not a range"),
            (
                "[[allow]]\nport = [1,\n true]",
                "line 3, column 2: `port`: a boolean is not accepted: expected 1-65535 or \"LOW-HIGH\"",
            ),
            ("[[allow]]\nport = 80.5", "line 2, column 8: `port`: a decimal number is not accepted: expected 1-65535"),
            (
                "[[allow]]\nexe = 1e9",
                "line 2, column 7: `exe`: a decimal number is not accepted: expected a quoted string",
            ),
            ("[[allow]]\nport = []", "line 2, column 8: `port`: the list is empty"),
            (
                "[[allow]]\nprot = 1",
                "line 2, column 1: unknown key `prot` (did you mean `protocol`?): expected comment, expires",
            ),
            (
                "[[allow]]\nprotocol = \"icmp\"",
                "line 2, column 12: `protocol`: unknown value `icmp`: expected tcp, udp",
            ),
            ("[[allow]]\nexe = \"\"", "line 2, column 7: `exe`: an empty string matches nothing"),
            ("[[allow]]\nservice = \"no-such\"", "line 2, column 11: `service`: no service is named `no-such`"),
            ("[[allow]]\nuser = -1", "line 2, column 8: `user`: `-1` is not a user ID: expected 0-4294967295"),
            (
                "[[allow]]\nexpires = \"2027-13-01\"",
                "line 2, column 11: `expires`: expected a date, such as 2027-12-31",
            ),
            ("[[allow]]\nexpires = 10:00:00", "line 2, column 11: `expires`: expected a date"),
            ("[[allow]]\nwhen = \"prot == 1\"", "line 2, column 8: `when`: `prot == 1`: `prot` is neither"),
            ("[[allow]]\nseverity = \"low\"", "line 2, column 1: `severity`: not accepted in [[allow]]"),
            ("[[forbid]]\nsuppress = \"x\"", "line 2, column 1: `suppress`: accepted in [[allow]] only"),
            (
                "# é\n[[allow]]\ncomment = \"x\"",
                "line 2, column 1: [[allow]] has no condition and would match everything",
            ),
            ("[[allow]]\nport = ", "line 2, column 8: "),
            ("[[allow]]\nport = 1\nport = 2", "line 3, column 1: duplicate key"),
            ("\"é\" = x", "line 1, column 7: "),
        ] {
            let message = read(text).unwrap_err().to_string();
            assert!(message.starts_with(error) && !message.contains('\n'), "{text}\n{message}\n{error}");
        }
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
                prop_assert!(error.line >= 1 && error.line <= lines && error.column >= 1, "{}", error);
                let place = format!("line {}, column {}: ", error.line, error.column);
                prop_assert!(error.to_string().starts_with(&place));
                prop_assert!(!error.to_string().contains('\n'), "{}", error);
            }
        }
    }
}
