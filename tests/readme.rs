//! What the README and the pages in docs/ show is what the program does.
//!
//! `PORTSCOPE_UPDATE=1 cargo test --test readme` writes the samples and the pictures anew.

mod support;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::portscope;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn readme() -> String {
    std::fs::read_to_string(root().join("README.md")).unwrap()
}

/// The README and the pages of docs/.
fn pages() -> Vec<(PathBuf, String)> {
    let docs = std::fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> = docs.filter(|path| path.extension().is_some_and(|kind| kind == "md")).collect();
    paths.extend([root().join("README.md"), root().join("CONTRIBUTING.md")]);
    paths.into_iter().map(|path| (path.clone(), std::fs::read_to_string(path).unwrap())).collect()
}

/// The lines of the fenced blocks in this language.
fn blocks<'a>(text: &'a str, language: &str) -> Vec<Vec<&'a str>> {
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.strip_prefix("```") == Some(language) {
            blocks.push(lines.by_ref().take_while(|line| *line != "```").collect());
        }
    }
    blocks
}

fn page(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap()
}

/// What the command prints about the made-up host.
fn about_the_made_up_host(command: &str, color: &str, width: &str) -> String {
    let arguments = command.strip_prefix("portscope").unwrap().split_whitespace();
    let report = root().join("tests/data/workstation.json");
    portscope(["--from".to_owned(), report.display().to_string()])
        .args(arguments)
        .args(["--color", color])
        .env("COLUMNS", width)
        .any_stderr()
        .success()
        .stdout
}

fn is_update() -> bool {
    std::env::var_os("PORTSCOPE_UPDATE").is_some()
}

/// Compares a committed file with what it should hold, or writes it.
#[track_caller]
fn same(path: &Path, wanted: &str) {
    if is_update() {
        std::fs::write(path, wanted).unwrap();
    }
    let there = std::fs::read_to_string(path).unwrap_or_default();
    assert!(there == wanted, "{} is stale: PORTSCOPE_UPDATE=1 cargo test --test readme", path.display());
}

#[test]
fn the_samples_are_what_the_program_prints() {
    let text = readme();
    let mut wanted = String::new();
    let mut lines = text.lines();
    let mut samples = 0;
    while let Some(line) = lines.next() {
        wanted.push_str(line);
        wanted.push('\n');
        if let Some(command) = line.strip_prefix("<!-- sample: ").and_then(|rest| rest.strip_suffix(" -->")) {
            assert_eq!(lines.next(), Some("```text"), "{command}");
            for _ in lines.by_ref().take_while(|line| *line != "```") {}
            let printed = about_the_made_up_host(command, "never", "80");
            writeln!(wanted, "```text\n$ {command}\n{}\n```", printed.trim_end()).unwrap();
            samples += 1;
        }
    }
    assert!(samples >= 2, "{samples}");
    same(&root().join("README.md"), &wanted);
}

#[test]
fn the_pictures_are_what_the_program_prints() {
    use anstyle_svg::Term;
    let printed = about_the_made_up_host("portscope", "always", "120");
    assert!(printed.contains('\u{1b}'), "the picture has colors: {printed}");
    let shown = format!("$ portscope\n{printed}");
    let rgb = |red, green, blue| anstyle::Color::Rgb(anstyle::RgbColor(red, green, blue));
    for (name, text, ground) in
        [("light", rgb(36, 41, 47), rgb(255, 255, 255)), ("dark", rgb(230, 237, 243), rgb(13, 17, 23))]
    {
        let picture = Term::new().fg_color(text).bg_color(ground).render_svg(&shown);
        same(&root().join(format!("docs/listing-{name}.svg")), &picture);
    }
}

#[test]
fn the_readme_can_be_read_in_one_sitting() {
    let lines = readme().lines().count();
    assert!(lines <= 200, "{lines} lines");
}

#[test]
fn every_link_leads_to_a_file() {
    for (path, text) in pages() {
        for target in text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()) {
            if !target.is_empty() && !target.starts_with("http") {
                let file = path.parent().unwrap().join(target);
                assert!(file.exists(), "{}: {target}", path.display());
            }
        }
    }
}

#[test]
fn every_example_works_as_written() {
    let mut tried = 0;
    for (path, text) in pages() {
        for line in blocks(&text, "sh").concat() {
            let command = line.split(" #").next().unwrap().trim().trim_start_matches("sudo ");
            let Some(arguments) = command.strip_prefix("portscope ").or((command == "portscope").then_some("")) else {
                continue;
            };
            if arguments.starts_with("events") || arguments.starts_with("watch") {
                continue; // They run until they are stopped, and have tests of their own.
            }
            let _ = portscope(arguments.split_whitespace()).any_stderr().exits_with([0, 1]);
            let _ = path;
            tried += 1;
        }
    }
    assert!(tried > 30, "{tried}");
}

#[test]
fn the_json_sample_is_valid_by_the_schema() {
    let text = page("docs/json.md");
    let sample: serde_json::Value = serde_json::from_str(&blocks(&text, "json")[0].join("\n")).unwrap();
    let schema = portscope(["schema"]).success().json();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let errors: Vec<String> = validator.iter_errors(&sample).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:#?}");
}

#[test]
fn the_exit_statuses_are_those_of_the_help() {
    let help = portscope(["--help"]).success().stdout;
    let text = readme();
    let rows: Vec<(&str, &str)> = text
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |")?.split_once(" | "))
        .filter(|(code, _)| code.parse::<u8>().is_ok())
        .collect();
    assert_eq!(rows.len(), 4);
    for (code, meaning) in rows {
        assert!(help.contains(&format!("  {code}  {}", meaning.replace('`', ""))), "{code} {meaning}");
    }
}

#[test]
fn the_registry_has_as_many_entries_as_promised() {
    let table = include_str!("../src/catalogue/iana.txt");
    let entries = table.lines().filter(|line| !line.starts_with('#')).count();
    let promised = format!("{},{:03} entries", entries / 1000, entries % 1000);
    assert!(page("docs/commands.md").contains(&promised), "{entries}");
}

#[test]
fn the_labels_of_the_sample_are_read() {
    let folder = support::Folder::new();
    let file = folder.join("config.toml");
    let text = page("docs/commands.md");
    std::fs::write(&file, blocks(&text, "toml")[0].join("\n")).unwrap();
    let output = portscope(["services", "9005", "-H", "-t"]).env("PORTSCOPE_CONFIG", &file).success();
    assert!(output.stdout.contains("mine"), "{}", output.stdout);
}

#[test]
fn the_policy_of_the_sample_is_read() {
    let folder = support::Folder::new();
    let file = folder.join("policy.toml");
    let text = page("docs/audit.md");
    std::fs::write(&file, blocks(&text, "toml")[0].join("\n")).unwrap();
    let _ = portscope(["audit", "--policy"]).arg(file.display()).any_stderr().exits_with([0, 1]);
}

/// The README's own test command runs this very test, so `cargo` is there.
#[test]
fn the_build_commands_are_cargos() {
    let text = readme();
    let commands: Vec<&str> =
        blocks(&text, "sh").concat().into_iter().filter(|line| line.starts_with("cargo")).collect();
    assert_eq!(commands, ["cargo run --release", "cargo test"]);
    assert!(Command::new("cargo").arg("--version").status().unwrap().success());
}
