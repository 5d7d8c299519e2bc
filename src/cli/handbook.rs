//! What help and the manual say about each command beside its flags: examples, exit statuses, files, and relatives.

mod entries;

pub use self::entries::HANDBOOK;

/// The pages of the handbook for one command.
#[derive(Debug)]
pub struct Entry {
    /// The command's name; empty for portscope itself.
    pub command: &'static str,
    /// Command lines, and what each is for.
    pub examples: &'static [(&'static str, &'static str)],
    /// Exit statuses, and what each means.
    pub statuses: &'static [(u8, &'static str)],
    /// Files that it reads beside those of every command.
    pub files: &'static [(&'static str, &'static str)],
    /// Commands that answer a related question.
    pub see_also: &'static [&'static str],
}

/// Files that every command reads.
pub const FILES: &[(&str, &str)] = &[
    ("/etc/services", "names of services on this host"),
    ("~/.config/portscope/config.toml", "your settings and labels for ports; not read under sudo"),
    ("/etc/portscope/config.toml", "the settings of this host"),
];

/// Environment variables, and what each does.
pub const ENVIRONMENT: &[(&str, &str)] = &[
    ("NO_COLOR", "if set, do not use color"),
    ("CLICOLOR_FORCE, FORCE_COLOR", "if set, use color even when the output is not a terminal"),
    ("COLUMNS", "the width of the output"),
    ("PORTSCOPE_PAGER, PAGER", "the pager for output that is longer than the screen; not read under sudo"),
    ("PORTSCOPE_CONFIG", "the configuration file to read instead of your own; not read under sudo"),
    ("XDG_CONFIG_HOME", "the folder that has portscope/config.toml, instead of ~/.config"),
    ("LC_ALL, LC_CTYPE, LANG", "whether the terminal shows characters other than ASCII"),
    ("TERM", "if dumb, do not use color"),
];

/// The entry of a command.
pub fn entry(command: &str) -> Option<&'static Entry> {
    HANDBOOK.iter().find(|entry| entry.command == command)
}

/// Adds to each command's help its examples, before the flags, and its exit statuses, after them.
pub fn annotate(command: clap::Command) -> clap::Command {
    let names: Vec<String> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    let mut command = with_pages(command, "");
    for name in names {
        let page = name.clone();
        command = command.mut_subcommand(name, |sub| with_pages(sub, &page));
    }
    command
}

fn with_pages(command: clap::Command, name: &str) -> clap::Command {
    match entry(name) {
        None => command,
        Some(entry) => command.before_help(examples(entry)).after_help(statuses(entry)),
    }
}

/// The summary that `portscope -h` prints: it fits a screen of 40 lines.
pub fn summary(command: &clap::Command) -> String {
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let examples = entry("").map(examples).unwrap_or_default();
    let of_command = |sub: &clap::Command| {
        let about = sub.get_about().map(ToString::to_string).unwrap_or_default();
        format!("  {:<11}  {about}\n", sub.get_name())
    };
    let shown = command.get_subcommands().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help");
    let commands: String = shown.map(of_command).collect();
    format!("{about}\n\n{examples}\n\nUsage: portscope [OPTIONS] [TARGET]...\n\nCommands:\n{commands}\n{OPTIONS}")
}

const OPTIONS: &str = "\
Options:
  -t, -u, -l, -a, -4, -6   TCP (the default), UDP, listeners, all, IPv4, IPv6
  -o FORMAT, --json        table, wide, json, ndjson, csv, tsv, markdown
  -h, --help               this summary; every option
";

fn examples(entry: &Entry) -> String {
    // A command line that is long does not push the explanations of the others off the screen.
    let width = entry.examples.iter().map(|(line, _)| line.len()).filter(|width| *width <= 42).max().unwrap_or(0);
    let lines = entry.examples.iter().map(|(line, what)| format!("  {line:<width$}  {what}"));
    format!("Examples:\n{}", lines.collect::<Vec<_>>().join("\n"))
}

fn statuses(entry: &Entry) -> String {
    let lines = entry.statuses.iter().map(|(status, meaning)| format!("  {status}  {meaning}"));
    format!("Exit status:\n{}", lines.collect::<Vec<_>>().join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_its_entry_and_every_entry_its_command() {
        let command = crate::commands::command_line();
        let commands: Vec<&str> = std::iter::once("")
            .chain(command.get_subcommands().map(clap::Command::get_name).filter(|name| *name != "help"))
            .collect();
        let entries: Vec<&str> = HANDBOOK.iter().map(|entry| entry.command).collect();
        for name in &commands {
            assert!(entries.contains(name), "the handbook has no entry for `{name}`");
        }
        for entry in HANDBOOK {
            assert!(commands.contains(&entry.command), "`{}` is not a command", entry.command);
            for other in entry.see_also {
                assert!(commands.contains(other), "`{}` points to `{other}`, which is not a command", entry.command);
            }
        }
    }

    #[test]
    fn every_example_is_a_command_line_that_portscope_accepts() {
        for (line, _) in HANDBOOK.iter().flat_map(|entry| entry.examples) {
            let line = line.strip_prefix("PORT=$(").map_or(*line, |rest| rest.split(')').next().unwrap());
            let line = line.strip_prefix("sudo ").unwrap_or(line);
            let words: Vec<&str> = line.split(['|', '>']).next().unwrap().split_whitespace().collect();
            let parsed = crate::commands::command_line().try_get_matches_from(&words);
            assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
        }
    }

    #[test]
    fn the_summary_fits_a_screen_of_40_lines() {
        let summary = summary(&crate::commands::command_line());
        assert!(summary.lines().count() <= 40, "{} lines", summary.lines().count());
        let long: Vec<&str> = summary.lines().filter(|line| line.chars().count() > 100).collect();
        assert!(long.is_empty(), "{long:#?}");
    }
}
