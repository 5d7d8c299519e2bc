//! What the configuration file says where the command line says nothing.

use super::nearest::suggesting;
use super::output::{ColumnChange, parse_sorting};
use crate::config::{Configured, Value};
use crate::error::Error;
use crate::model::State;
use crate::render::text::style::ColorChoice;
use crate::select::{Sorting, StateSet};

/// The keys, as an error lists them.
const KEYS: [&str; 6] = ["color", "columns", "labels", "leftovers", "pager", "sort"];

/// The settings of the configuration files. Each is absent where no file has it.
#[derive(Clone, Debug, Default)]
pub struct Defaults {
    /// `color = "never"`.
    pub color: Option<Preset<ColorChoice>>,
    /// `columns = ["+cwd"]`: of a listing on a terminal.
    pub columns: Option<Preset<Vec<ColumnChange>>>,
    /// `leftovers = ["TIME_WAIT"]`: states that a listing on a terminal shows though no process holds the sockets.
    pub leftovers: Option<Preset<Vec<StateSet>>>,
    /// `pager = "less -FRX"`; `false` is the empty command.
    pub pager: Option<Preset<String>>,
    /// `sort = "port:desc"`: of a listing on a terminal.
    pub sort: Option<Preset<Sorting>>,
}

/// A value, and where it was set.
#[derive(Clone, Debug)]
pub struct Preset<T> {
    /// What it means.
    pub value: T,
    /// The file and the line.
    pub origin: Configured,
}

impl Defaults {
    /// Reads what the settings mean. Of several for one key the first counts, and each must be right.
    pub fn new(settings: &[Configured]) -> Result<Defaults, Error> {
        let mut defaults = Defaults::default();
        for origin in settings {
            defaults.add(origin.clone())?;
        }
        Ok(defaults)
    }

    fn add(&mut self, origin: Configured) -> Result<(), Error> {
        let key = origin.setting.key.clone();
        let wrong = |problem: &str| origin.error(&format!("`{key}`: {problem}"));
        match key.as_str() {
            "color" => {
                let name = text(&origin).ok_or_else(|| wrong(EXPECTED_COLOR))?;
                let choice = ColorChoice::ALL.into_iter().find(|choice| choice.name() == name);
                let value = choice.ok_or_else(|| {
                    let problem = format!("`{name}` is not a choice: {EXPECTED_COLOR}");
                    wrong(&suggesting(problem, name, ColorChoice::ALL.map(ColorChoice::name)))
                })?;
                first(&mut self.color, value, origin);
            }
            "columns" => {
                let value = each(&origin, ColumnChange::parse, wrong)?;
                if value.is_empty() {
                    return Err(wrong("expected at least one column"));
                }
                first(&mut self.columns, value, origin);
            }
            "leftovers" => {
                let value = each(&origin, str::parse, wrong)?;
                first(&mut self.leftovers, value, origin);
            }
            "pager" => {
                let value = match &origin.setting.value {
                    Value::Text(command) => command.clone(),
                    Value::Flag(false) => String::new(),
                    _ => return Err(wrong("expected a command such as \"less -FRX\", or false")),
                };
                first(&mut self.pager, value, origin);
            }
            "sort" => {
                let expected = "expected a column such as \"port\" or \"started:desc\"";
                let value = text(&origin).ok_or_else(|| wrong(expected))?;
                let value = parse_sorting(value).map_err(|problem| wrong(&problem))?;
                first(&mut self.sort, value, origin);
            }
            _ => {
                let problem = format!("unknown key `{key}`: expected {}", KEYS.join(", "));
                return Err(origin.error(&suggesting(problem, &key, KEYS)));
            }
        }
        Ok(())
    }

    /// Says whether the leftovers of a state are listed.
    pub fn lists(&self, state: State) -> bool {
        self.leftovers.as_ref().is_some_and(|known| known.value.iter().any(|states| states.contains(state)))
    }
}

const EXPECTED_COLOR: &str = "expected \"auto\", \"always\" or \"never\"";

fn first<T>(place: &mut Option<Preset<T>>, value: T, origin: Configured) {
    place.get_or_insert(Preset { value, origin });
}

fn text(origin: &Configured) -> Option<&str> {
    match &origin.setting.value {
        Value::Text(text) => Some(text),
        _ => None,
    }
}

/// Reads a list: an array of texts, or one text with commas as a flag has it.
fn each<T>(
    origin: &Configured,
    parse: fn(&str) -> Result<T, String>,
    wrong: impl Fn(&str) -> Error,
) -> Result<Vec<T>, Error> {
    let items: Vec<&str> = match &origin.setting.value {
        Value::Text(text) => text.split(',').map(str::trim).collect(),
        Value::Texts(texts) => texts.iter().map(String::as_str).collect(),
        Value::Flag(_) | Value::Other => return Err(wrong("expected a list such as [\"A\", \"B\"]")),
    };
    items.into_iter().map(|item| parse(item).map_err(|problem| wrong(&problem))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Setting;

    fn defaults(settings: &[(&str, Value)]) -> Result<Defaults, String> {
        let setting = |(index, (key, value)): (usize, &(&str, Value))| Configured {
            path: "/etc/portscope/config.toml".into(),
            setting: Setting { line: index + 1, key: (*key).to_owned(), value: value.clone() },
        };
        Defaults::new(&settings.iter().enumerate().map(setting).collect::<Vec<_>>()).map_err(|error| error.to_string())
    }

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    #[test]
    fn of_several_files_the_first_that_has_a_key_counts() {
        let read = defaults(&[("color", text("never")), ("pager", Value::Flag(false)), ("color", text("always"))]);
        let read = read.unwrap();
        let color = read.color.unwrap();
        assert_eq!((color.value, color.origin.setting.line), (ColorChoice::Never, 1));
        assert_eq!(read.pager.unwrap().value, "");
        assert!(read.columns.is_none() && read.sort.is_none() && read.leftovers.is_none());
    }

    #[test]
    fn lists_are_arrays_or_texts_with_commas() {
        let texts = Value::Texts(vec!["time_wait".to_owned(), "fin_wait_2".to_owned()]);
        let read = defaults(&[("columns", text("pid, +cwd")), ("leftovers", texts)]).unwrap();
        assert_eq!(read.columns.as_ref().unwrap().value.len(), 2);
        assert!(read.lists(State::TimeWait) && !read.lists(State::SynReceived));
    }

    #[test]
    fn every_mistake_names_its_file_line_and_key_and_what_is_accepted() {
        let begin = "cannot read /etc/portscope/config.toml: line 1: ";
        for (key, value, problem) in [
            (
                "colour",
                text("x"),
                "unknown key `colour` (did you mean `color`?): expected color, columns, labels, leftovers, pager, sort",
            ),
            (
                "color",
                text("nevr"),
                "`color`: `nevr` is not a choice (did you mean `never`?): expected \"auto\", \"always\" or \"never\"",
            ),
            ("color", Value::Flag(false), "`color`: expected \"auto\", \"always\" or \"never\""),
            ("columns", Value::Other, "`columns`: expected a list such as [\"A\", \"B\"]"),
            ("columns", Value::Texts(Vec::new()), "`columns`: expected at least one column"),
            ("pager", Value::Flag(true), "`pager`: expected a command such as \"less -FRX\", or false"),
            ("sort", Value::Other, "`sort`: expected a column such as \"port\" or \"started:desc\""),
        ] {
            assert_eq!(defaults(&[(key, value)]).unwrap_err(), format!("{begin}{problem}"));
        }
        let starts = |key: &str, value: &str, problem: &str| {
            let said = defaults(&[(key, text(value))]).unwrap_err();
            assert!(said.starts_with(&format!("{begin}`{key}`: {problem}")), "{said}");
        };
        starts("columns", "pid,proces", "`proces` is not a column (did you mean `process`?): expected ");
        starts("leftovers", "TIMEWAITT", "`TIMEWAITT` is not a state: expected ");
        starts("sort", "prot", "`prot` is not a column to sort by (did you mean `");
    }
}
