//! What the README shows is what the program does.

mod support;

use std::process::Command;

use support::portscope;

const README: &str = include_str!("../README.md");

/// The lines of the fenced blocks in this language.
fn blocks(language: &str) -> Vec<Vec<&'static str>> {
    let mut blocks = Vec::new();
    let mut lines = README.lines();
    while let Some(line) = lines.next() {
        if line.strip_prefix("```") == Some(language) {
            blocks.push(lines.by_ref().take_while(|line| *line != "```").collect());
        }
    }
    blocks
}

#[test]
fn every_example_works_as_written() {
    let mut tried = 0;
    for line in blocks("sh").concat().into_iter().filter(|line| !line.starts_with("cargo")) {
        let command = line.split(" #").next().unwrap().trim().trim_start_matches("sudo ");
        let arguments = command.strip_prefix("portscope").unwrap_or_else(|| panic!("{line}")).split_whitespace();
        let _ = portscope(arguments).any_stderr().success();
        tried += 1;
    }
    assert!(tried > 12, "{tried}");
}

#[test]
fn the_sample_has_the_heads_of_the_real_table() {
    let sample = &blocks("text")[0];
    let _listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let real = portscope([""; 0]).any_stderr().success().stdout;
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words(sample[2]), words(real.lines().nth(1).unwrap()));
    assert!(real.starts_with("host ") && sample[1].starts_with("host "));
    assert!(sample.last().unwrap().starts_with("7 sockets: 5 listening"));
}

#[test]
fn the_json_sample_is_valid_by_the_schema() {
    let sample: serde_json::Value = serde_json::from_str(&blocks("json")[0].join("\n")).unwrap();
    let schema = portscope(["schema"]).success().json();
    assert!(jsonschema::draft202012::new(&schema).unwrap().is_valid(&sample));
}

#[test]
fn the_exit_codes_are_those_of_the_help() {
    let help = portscope(["--help"]).success().stdout;
    let rows: Vec<(&str, &str)> = README
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
    assert!(README.contains(&format!("{},{:03} entries", entries / 1000, entries % 1000)), "{entries}");
}

#[test]
fn the_labels_of_the_sample_are_read() {
    let folder = support::Folder::new();
    let file = folder.join("config.toml");
    std::fs::write(&file, blocks("toml")[0].join("\n")).unwrap();
    let output = portscope(["services", "9005", "-H", "-t"]).env("PORTSCOPE_CONFIG", &file).success();
    assert!(output.stdout.contains("mine"), "{}", output.stdout);
}

/// The README's own test command runs this very test, so that `cargo` is there can be taken for granted.
#[test]
fn the_build_commands_are_cargos() {
    let commands: Vec<&str> = blocks("sh").concat().into_iter().filter(|line| line.starts_with("cargo")).collect();
    assert_eq!(commands, ["cargo run --release", "cargo test"]);
    assert!(Command::new("cargo").arg("--version").status().unwrap().success());
}
