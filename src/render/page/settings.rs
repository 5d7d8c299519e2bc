//! `portscope --show-config`: every setting with its value and where that is from, in the form of a configuration file.

use std::io::{self, Write};
use std::path::PathBuf;

use crate::render::text::paragraph;
use crate::render::text::safe::Text;
use crate::render::text::style::Style;

/// What stands for a sorting that was not set.
pub const USUAL_ORDER: &str = "listeners first, then by port";

/// A value of a setting.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Shown {
    /// A text.
    Text(String),
    /// A list of texts.
    Texts(Vec<String>),
    /// `false`.
    Off,
    /// Nothing, and what that means.
    Unset(&'static str),
}

/// Where a value is from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Origin {
    /// It is built in.
    Default,
    /// A flag of this run.
    Flag(&'static str),
    /// An environment variable.
    Variable(&'static str),
    /// A line of a file.
    File(PathBuf, usize),
}

/// A setting with its value.
pub type Line = (String, Shown, Vec<Origin>);

/// Writes the settings, then the labels, then the files that are read.
pub fn write(
    out: &mut dyn Write,
    settings: &[Line],
    labels: &[Line],
    files: &[(PathBuf, bool)],
    style: Style,
) -> io::Result<()> {
    for line in settings {
        write_line(out, line, false, style)?;
    }
    if !labels.is_empty() {
        writeln!(out, "\n[labels]")?;
    }
    for line in labels {
        write_line(out, line, true, style)?;
    }
    writeln!(out)?;
    for (path, is_there) in files {
        let path = Text::of_os(path.as_os_str(), style.charset);
        let note = if *is_there { "" } else { " (does not exist)" };
        writeln!(out, "# file: {}{note}", path.as_str())?;
    }
    Ok(())
}

fn write_line(out: &mut dyn Write, line: &Line, quoted: bool, style: Style) -> io::Result<()> {
    let (key, value, origins) = line;
    let origins: Vec<String> = origins.iter().map(origin).collect();
    let origins = Text::of(&origins.join(", "), style.charset);
    writeln!(out, "# {}", origins.as_str())?;
    let key = if quoted { string(key) } else { key.clone() };
    match value {
        Shown::Text(text) => writeln!(out, "{key} = {}", string(text)),
        Shown::Off => writeln!(out, "{key} = false"),
        Shown::Unset(meaning) => writeln!(out, "# {key} is not set: {meaning}"),
        Shown::Texts(texts) => {
            let texts: Vec<String> = texts.iter().map(|text| string(text)).collect();
            // An array may go on over several lines.
            paragraph::item(out, &format!("{key} = [{}]", texts.join(", ")), style.width)
        }
    }
}

fn origin(origin: &Origin) -> String {
    match origin {
        Origin::Default => "default".to_owned(),
        Origin::Flag(name) | Origin::Variable(name) => (*name).to_owned(),
        Origin::File(path, line) => format!("{}:{line}", path.display()),
    }
}

/// A basic string of TOML. Control characters and what a terminal would obey are escaped.
fn string(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            _ if character.is_ascii_graphic() || character == ' ' || character.is_alphanumeric() => {
                quoted.push(character);
            }
            _ => quoted.extend(format!("\\U{:08X}", u32::from(character)).chars()),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::text::safe::Charset;

    #[test]
    fn what_is_shown_is_a_configuration_file() {
        let style = Style { color: false, charset: Charset::Unicode, width: Some(60) };
        let file = |line| Origin::File("/etc/portscope/config.toml".into(), line);
        let texts = |texts: &[&str]| Shown::Texts(texts.iter().map(|text| (*text).to_owned()).collect());
        let columns = ["proto", "local", "port", "category", "service", "state", "peer", "cwd"];
        let settings = [
            ("color".to_owned(), Shown::Text("never".to_owned()), vec![Origin::Variable("NO_COLOR")]),
            ("columns".to_owned(), texts(&columns), vec![file(2), Origin::Flag("--columns")]),
            ("leftovers".to_owned(), texts(&[]), vec![Origin::Default]),
            ("pager".to_owned(), Shown::Off, vec![file(3)]),
            ("sort".to_owned(), Shown::Unset("listeners first, then by port"), vec![Origin::Default]),
        ];
        let labels = [("5353/udp".to_owned(), Shown::Text("a \"b\" \u{1b}[31m\u{202e}ü".to_owned()), vec![file(7)])];
        let files = [("/etc/portscope/config.toml".into(), true), ("/home/ada/x.toml".into(), false)];
        let mut text = Vec::new();
        write(&mut text, &settings, &labels, &files, style).unwrap();
        let text = String::from_utf8(text).unwrap();
        insta::assert_snapshot!("settings_60", text);
        let table = toml::de::DeTable::parse(&text).unwrap();
        let read = table.get_ref();
        assert_eq!(read["columns"].get_ref().as_array().unwrap().len(), columns.len());
        assert_eq!(read["pager"].get_ref().as_bool(), Some(false));
        let label = read["labels"].get_ref().as_table().unwrap()["5353/udp"].get_ref();
        assert_eq!(label.as_str(), Some("a \"b\" \u{1b}[31m\u{202e}ü"));
    }
}
