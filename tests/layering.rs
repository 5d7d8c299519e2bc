//! The architecture as a test: which module may use which, and what stays behind one door.

use std::fs;
use std::path::{Path, PathBuf};

/// A layer, and the layers of this crate that it may name.
const ALLOWED: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("catalogue", &["model", "system"]),
    ("parallel", &[]),
    ("collect", &["model", "parallel"]),
    ("join", &["model", "catalogue", "parallel"]),
    ("select", &["model", "parallel"]),
    ("expression", &["model"]),
    ("analyse", &["model", "catalogue", "select", "expression"]),
    ("render", &["model", "environment", "select", "analyse", "parallel", "system"]),
    ("screen", &["model", "catalogue", "join", "select", "analyse", "render"]),
    ("cli", &["model", "select", "render", "config", "context", "error", "expression"]),
    ("config", &["model", "catalogue", "environment", "error", "system"]),
    (
        "commands",
        &[
            "model",
            "catalogue",
            "collect",
            "join",
            "select",
            "analyse",
            "render",
            "cli",
            "config",
            "context",
            "environment",
            "error",
            "follow",
            "screen",
            "system",
            "expression",
        ],
    ),
    ("context", &["collect", "config", "environment", "error", "render", "system"]),
    ("environment", &[]),
    ("error", &["collect", "model"]),
    ("system", &["collect", "environment"]),
    ("fuzzing", &["analyse", "catalogue", "collect"]),
    ("follow", &["model", "collect", "join", "analyse"]),
    ("testing", &["model"]),
];

/// What only these files may name.
const WALLS: &[(&str, &[&str])] = &[
    ("clap::", &["src/cli/", "src/commands/"]),
    ("netstat2::", &["src/collect/portable/sockets.rs"]),
    ("sysinfo::", &["src/collect/portable/processes.rs"]),
    ("comfy_table::", &["src/render/table/draw.rs"]),
    ("indicatif::", &["src/render/page/progress.rs"]),
    ("cel::", &["src/expression.rs", "src/expression/"]),
    ("prometheus_client::", &["src/render/document/openmetrics.rs"]),
    ("windows_sys::", &["src/collect/portable/windows/"]),
    ("anstyle_query::", &["src/context.rs"]),
    ("signal_hook::", &["src/system/signals.rs"]),
    ("ratatui::", &["src/screen/"]),
    ("crossterm::", &["src/screen/terminal.rs"]),
];

/// A room of `render`, and the rooms of it that it may never name.
const NEVERS: &[(&str, &[&str])] = &[
    ("text", &["words", "table", "document", "page"]),
    ("words", &["table", "document", "page"]),
    ("table", &["document", "page"]),
    ("document", &["page"]),
    ("page", &["document"]),
];

/// Where code may depend on the operating system that it is compiled for.
const OF_A_SYSTEM: &[&str] = &["src/collect/", "src/parallel/core.rs", "src/system/"];

/// Files that are compiled for unit tests alone, and may join what they judge.
fn is_all_tests(path: &Path) -> bool {
    let is_in_folder = path.parent().is_some_and(|folder| folder.ends_with("tests"));
    is_in_folder || path.ends_with("tests.rs") || path.ends_with("audit/testing.rs")
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") && !is_all_tests(&path) {
            found.push(path);
        }
    }
    found
}

/// The lines of each source file that are code of the program: comments and unit tests are left out.
fn code() -> Vec<(String, Vec<String>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let program = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap();
        let lines = program.lines().filter(|line| !line.trim_start().starts_with("//")).map(str::to_owned).collect();
        (path.strip_prefix(root).unwrap().to_string_lossy().replace('\\', "/"), lines)
    };
    sources(&root.join("src")).into_iter().map(read).collect()
}

fn layer_of(path: &str) -> &str {
    let path = path.strip_prefix("src/").unwrap();
    path.split(['/', '.']).next().unwrap()
}

#[test]
fn modules_use_only_what_their_layer_allows() {
    let mut wrong = Vec::new();
    let mut edges = 0;
    for (path, lines) in code() {
        let layer = layer_of(&path);
        if ["lib", "main"].contains(&layer) {
            continue;
        }
        let allowed =
            ALLOWED.iter().find(|(name, _)| *name == layer).unwrap_or_else(|| panic!("{path}: which layer?")).1;
        for line in lines {
            for target in line.split("crate::").skip(1) {
                // `use crate::{join, select};`
                for target in
                    target.trim_start_matches('{').split([',', '}']).take(if target.starts_with('{') { 9 } else { 1 })
                {
                    let target = target.trim().split([':', ';', ' ']).next().unwrap();
                    edges += 1;
                    let is_known = ALLOWED.iter().any(|(name, _)| *name == target);
                    if is_known && target != layer && !allowed.contains(&target) {
                        wrong.push(format!("{path} uses crate::{target}"));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(edges > 40, "the check looks at {edges} edges: it does not see the code");
}

#[test]
fn rooms_of_render_keep_their_nevers() {
    let mut wrong = Vec::new();
    for (room, nevers) in NEVERS.iter().copied() {
        let folder = format!("src/render/{room}/");
        let files: Vec<_> = code().into_iter().filter(|(path, _)| path.starts_with(&folder)).collect();
        assert!(!files.is_empty(), "no file in {folder}");
        for (path, lines) in files {
            for never in nevers {
                let named =
                    [format!("render::{never}::"), format!("render::{never};"), format!("super::super::{never}")];
                if lines.iter().any(|line| named.iter().any(|name| line.contains(name))) {
                    wrong.push(format!("{path} uses render::{never}"));
                }
            }
            // A list such as `render::{page, words}` would hide from the search above.
            if lines.iter().any(|line| line.contains("render::{")) {
                wrong.push(format!("{path}: one `use` for each room"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Says whether the line compiles differently on different systems.
fn depends_on_the_system(line: &str) -> bool {
    let Some((_, condition)) = line.split_once("cfg").filter(|(_, rest)| rest.starts_with(['(', '!', '_'])) else {
        return false;
    };
    ["windows", "unix", "target_os", "target_family"].iter().any(|name| condition.contains(name))
}

#[test]
fn what_differs_between_systems_stays_in_its_rooms() {
    assert!(depends_on_the_system("#[cfg(not(unix))]") && depends_on_the_system("if cfg!(windows) {"));
    assert!(!depends_on_the_system("#[cfg(test)]") && !depends_on_the_system("let unix = 1;"));
    let mut wrong = Vec::new();
    for (path, lines) in code() {
        if !lines.iter().any(|line| depends_on_the_system(line)) {
            continue;
        }
        if !OF_A_SYSTEM.iter().any(|room| path.starts_with(room)) {
            wrong.push(path);
        }
    }
    assert!(wrong.is_empty(), "these belong in src/system: {}", wrong.join(", "));
}

#[test]
fn outside_crates_stay_behind_one_door() {
    let mut wrong = Vec::new();
    for (wall, doors) in WALLS.iter().copied() {
        let mut users = 0;
        for (path, lines) in code() {
            let names = lines.iter().any(|line| line.contains(wall));
            users += usize::from(names);
            if names && !doors.iter().any(|door| path.starts_with(door)) {
                wrong.push(format!("{path} names {wall}"));
            }
        }
        assert!(users > 0, "nobody names {wall}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The texts of a line that people would read: at least two words beside each other.
fn sentences(line: &str) -> Vec<&str> {
    let line = line.trim();
    // Attributes are for clap and the compiler, and what `expect` says is for the developers of the program.
    if line.starts_with("#[") || line.contains("reason = \"") {
        return Vec::new();
    }
    let is_word = |word: &str| word.len() > 1 && word.bytes().all(|byte| byte.is_ascii_lowercase());
    let is_sentence = |text: &&str| {
        let words: Vec<&str> = text.split(' ').collect();
        words.windows(2).any(|pair| is_word(pair[0]) && is_word(pair[1]))
    };
    line.split('"').skip(1).step_by(2).filter(is_sentence).collect()
}

/// Phrases in `commands` that are no sentences of this program: the name of the manual in the head of its pages, and a
/// remark of clap that they leave out.
const NOT_SENTENCES: &[&str] = &["portscope manual", r" (see a summary with \\*(Aq\\-h\\*(Aq)"];

#[test]
fn colors_come_from_the_palette() {
    for (path, lines) in code() {
        if path == "src/render/text/palette.rs" {
            continue;
        }
        for line in lines.iter().filter(|line| line.contains("Color::") || line.contains("\\x1b[3")) {
            assert!(line.contains("tone.color()") || line.contains("Tone::"), "{path}: {}", line.trim());
        }
    }
}

#[test]
fn sentences_are_made_in_render() {
    assert_eq!(sentences(r#"context.note("nothing was done");"#), ["nothing was done"]);
    assert!(sentences(r#"#[arg(help = "a b")]"#).is_empty() && sentences(r#"let name = "port";"#).is_empty());
    let mut wrong = Vec::new();
    for (path, lines) in code().iter().filter(|(path, _)| path.starts_with("src/commands/")) {
        for text in lines.iter().flat_map(|line| sentences(line)).filter(|text| !NOT_SENTENCES.contains(text)) {
            wrong.push(format!("{path}: {text}"));
        }
    }
    assert!(wrong.is_empty(), "these belong in src/render/words: {wrong:#?}");
}

#[test]
fn files_are_small() {
    let long: Vec<String> = code()
        .into_iter()
        .filter(|(_, lines)| lines.len() > 400)
        .map(|(path, lines)| format!("{path}: {} lines", lines.len()))
        .collect();
    assert!(long.is_empty(), "split by concept: {long:?}");
}

/// Documents that name files. A change that moves a file must correct them.
const DOCUMENTS: &[&str] = &["CONTRIBUTING.md", "docs/architecture.md", "docs/glossary.md"];

#[test]
fn every_path_that_documents_name_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut named = 0;
    let mut gone = Vec::new();
    for document in DOCUMENTS {
        let text = fs::read_to_string(root.join(document)).unwrap();
        for path in text.split(['`', ' ', '\n']).filter(|word| {
            ["src/", "tests/", "docs/", "fuzz/", "scripts/", "benches/"].iter().any(|folder| word.starts_with(folder))
        }) {
            named += 1;
            // The published package has no fuzz/: cargo leaves out a package that lies inside of another one.
            let is_left_out = path.starts_with("fuzz/") && !root.join("fuzz").exists();
            if !is_left_out && !root.join(path).exists() {
                gone.push(format!("{document} names {path}"));
            }
        }
    }
    assert!(gone.is_empty(), "{}", gone.join("\n"));
    assert!(named > 20, "the check sees {named} paths");
}
