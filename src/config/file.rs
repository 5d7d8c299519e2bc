//! One configuration file, in TOML. Every error names its line and column.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::label::{EXPECTED, WrongLabel, label};
use crate::catalogue::Label;

/// What a file has.
#[derive(Clone, Debug, Default)]
pub struct File {
    /// The labels with their lines, those that cover fewer ports first.
    pub labels: Vec<(usize, Label)>,
    /// Everything else, in the order of the keys.
    pub settings: Vec<Setting>,
}

/// One line of a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Setting {
    /// The line of the key, from 1.
    pub line: usize,
    /// The key.
    pub key: String,
    /// The value.
    pub value: Value,
}

/// What a setting is set to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Value {
    /// `"text"`
    Text(String),
    /// `["some", "texts"]`
    Texts(Vec<String>),
    /// `true` or `false`
    Flag(bool),
    /// A number, a date, a table or a mixed array: no setting takes one.
    Other,
}

/// Reads the text of a file.
pub fn parse(text: &str) -> Result<File, String> {
    let table = DeTable::parse(text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start);
        at(text, start, &error.message().lines().collect::<Vec<_>>().join(" "))
    })?;
    let mut file = File::default();
    for (key, value) in table.get_ref() {
        if key.get_ref() == "labels" {
            file.labels = labels(text, value)?;
        } else {
            let line = place(text, key.span().start).0;
            file.settings.push(Setting { line, key: key.get_ref().to_string(), value: meaning(value.get_ref()) });
        }
    }
    Ok(file)
}

fn labels(text: &str, value: &Spanned<DeValue<'_>>) -> Result<Vec<(usize, Label)>, String> {
    let DeValue::Table(table) = value.get_ref() else {
        return Err(at(text, value.span().start, "`labels`: expected a table: [labels]"));
    };
    let mut labels = Vec::new();
    for (port, name) in table {
        let start = port.span().start;
        let port = port.get_ref();
        let DeValue::String(name) = name.get_ref() else {
            let problem = format!("labels: the name of `{port}` is not a text: expected {EXPECTED} = \"NAME\"");
            return Err(at(text, name.span().start, &problem));
        };
        let label = label(port, name).map_err(|problem| {
            let problem = match problem {
                WrongLabel::Port => format!("labels: `{port}` is not a port: expected {EXPECTED}"),
                WrongLabel::Name => format!("labels: the name of `{port}` is empty: expected {EXPECTED} = \"NAME\""),
            };
            at(text, start, &problem)
        })?;
        labels.push((place(text, start).0, label));
    }
    // The first that covers a port names it, so those that cover less come first; a table has no order of its own.
    labels.sort_by_key(|(_, label)| (label.ports.last().get() - label.ports.first().get(), label.protocol.is_none()));
    Ok(labels)
}

fn meaning(value: &DeValue<'_>) -> Value {
    let text = |value: &Spanned<DeValue<'_>>| value.get_ref().as_str().map(str::to_owned);
    match value {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Boolean(flag) => Value::Flag(*flag),
        DeValue::Array(items) => items.iter().map(text).collect::<Option<_>>().map_or(Value::Other, Value::Texts),
        _ => Value::Other,
    }
}

fn at(text: &str, start: usize, problem: &str) -> String {
    let (line, column) = place(text, start);
    format!("line {line}, column {column}: {problem}")
}

/// The line and the column of a byte, both from 1.
fn place(text: &str, start: usize) -> (usize, usize) {
    let before = text.get(..start).unwrap_or_default();
    let column = before.chars().rev().take_while(|character| *character != '\n').count() + 1;
    (before.matches('\n').count() + 1, column)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_read_from_the_file() {
        let text = "[labels]\n\"9000-9010\" = \"mine\"\n8080 = \"web\"\n\"8080/udp\" = \"quic\"\n9005 = \"its own\"\n";
        let shown = |(line, l): &(usize, Label)| format!("{line} {} {:?} {}", l.ports, l.protocol, l.name);
        let labels: Vec<String> = parse(text).unwrap().labels.iter().map(shown).collect();
        assert_eq!(
            labels,
            ["4 8080 Some(Udp) quic", "3 8080 None web", "5 9005 None its own", "2 9000-9010 None mine"]
        );
    }

    #[test]
    fn settings_are_read_with_their_lines() {
        let settings =
            parse("color = \"never\"\n\ncolumns = [\"pid\", \"+cwd\"]\npager = false\nx.y = 1\n").unwrap().settings;
        let mut read: Vec<(usize, &str, Value)> =
            settings.iter().map(|setting| (setting.line, &*setting.key, setting.value.clone())).collect();
        read.sort_by_key(|(line, ..)| *line);
        let texts = Value::Texts(vec!["pid".to_owned(), "+cwd".to_owned()]);
        assert_eq!(
            read,
            [
                (1, "color", Value::Text("never".to_owned())),
                (3, "columns", texts),
                (4, "pager", Value::Flag(false)),
                (5, "x", Value::Other)
            ]
        );
    }

    #[test]
    fn an_error_in_the_file_names_its_place() {
        let problem = |text: &str| parse(text).unwrap_err();
        assert!(
            problem("[labels]\n8080 = 1\n").starts_with("line 2, column 8: labels: the name of `8080` is not a text")
        );
        assert!(problem("color = never\n").starts_with("line 1, column 9: "));
        assert!(problem("color = \"a\"\ncolor = \"b\"\n").starts_with("line 2, column 1: duplicate key"));
        assert_eq!(
            problem("[labels]\nx = \"y\"\n"),
            format!("line 2, column 1: labels: `x` is not a port: expected {EXPECTED}")
        );
        let empty = format!("line 2, column 1: labels: the name of `3000` is empty: expected {EXPECTED} = \"NAME\"");
        assert_eq!(problem("[labels]\n3000 = \" \"\n"), empty);
    }
}
