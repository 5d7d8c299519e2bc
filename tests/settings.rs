//! Defaults in the configuration file, and `--show-config`.

mod support;

use support::workstation::workstation;
use support::{Folder, Run, portscope};

/// A run with a configuration file of this text and the report of a made-up workstation.
fn with(folder: &Folder, text: &str) -> Run {
    let file = folder.join("config.toml");
    std::fs::write(&file, text).unwrap();
    let run = portscope(["--from", &workstation(folder), "--width", "120"]).env("PORTSCOPE_CONFIG", &file);
    run.env("TERM", "xterm").env("PORTSCOPE_PAGER", "cat")
}

fn screen(run: Run) -> String {
    let (code, seen) = run.at_terminal().ends();
    assert_eq!(code, 0, "{seen}");
    seen.replace("\r\n", "\n")
}

/// The heads and the first word of each row.
fn table(seen: &str) -> (Vec<&str>, Vec<&str>) {
    let mut lines = seen.lines().skip(1);
    let heads = lines.next().unwrap().split_whitespace().collect();
    (heads, lines.filter_map(|line| line.split_whitespace().next()).collect())
}

#[test]
fn columns_and_order_of_the_file_hold_on_a_terminal_and_flags_win() {
    let folder = Folder::new();
    let text = "color = \"never\"\ncolumns = [\"port\", \"process\", \"state\"]\nsort = \"port:desc\"\n";
    let seen = screen(with(&folder, text).args(["-l"]));
    let (heads, ports) = table(&seen);
    assert_eq!(heads, ["PORT", "PROCESS", "STATE"], "{seen}");
    let numbers: Vec<u16> = ports.iter().map(|port| port.parse().unwrap()).collect();
    assert!(numbers.len() > 3 && numbers.is_sorted_by(|a, b| a >= b), "{seen}");
    let seen = screen(with(&folder, text).args(["-l", "--columns", "port,pid", "--sort", "port"]));
    let (heads, ports) = table(&seen);
    assert_eq!(heads, ["PORT", "PID"], "{seen}");
    let numbers: Vec<u16> = ports.iter().map(|port| port.parse().unwrap()).collect();
    assert!(numbers.is_sorted(), "{seen}");
    let seen = screen(with(&folder, text).args(["-l", "--columns", "-process"]));
    assert_eq!(table(&seen).0, ["PORT", "STATE"], "a change adds to what the file says: {seen}");
    // What a program reads depends on its command line alone.
    let piped = with(&folder, text).args(["-l", "-o", "csv"]).success().stdout;
    let plain = with(&folder, "").args(["-l", "-o", "csv"]).success().stdout;
    assert_eq!(piped, plain);
    let piped = with(&folder, text).arg("-l").success().stdout;
    assert_eq!(piped, with(&folder, "").arg("-l").success().stdout);
}

#[test]
fn leftovers_of_the_states_in_the_file_are_listed() {
    let folder = Folder::new();
    let time_wait = |text: &str| {
        let seen = screen(with(&folder, text).args(["--color", "never"]));
        (seen.contains("list them with -a"), seen.lines().skip(1).any(|line| line.contains("TIME_WAIT")), seen)
    };
    let (counted, listed, seen) = time_wait("");
    assert!(counted && !listed, "{seen}");
    let (counted, listed, seen) = time_wait("leftovers = [\"time_wait\"]\n");
    assert!(!counted && listed, "{seen}");
}

#[test]
fn color_is_that_of_the_flag_then_the_variables_then_the_file() {
    let folder = Folder::new();
    let is_colored = |run: Run| screen(run).contains('\u{1b}');
    assert!(is_colored(with(&folder, "")), "a terminal has color");
    assert!(!is_colored(with(&folder, "color = \"never\"")));
    assert!(is_colored(with(&folder, "color = \"never\"").args(["--color", "always"])));
    assert!(!is_colored(with(&folder, "color = \"always\"").env("NO_COLOR", "1")));
    let piped = with(&folder, "color = \"always\"").success().stdout;
    assert!(piped.contains('\u{1b}'), "always means a pipe too: {piped}");
}

#[test]
fn the_pager_of_the_file_comes_before_pager_and_after_the_variable_of_portscope() {
    let folder = Folder::new();
    let file = folder.join("config.toml");
    std::fs::write(&file, "pager = \"sed s/^/file:/\"\n").unwrap();
    let paged = |variables: &[(&str, &str)], arguments: &[&str]| {
        let mut run = portscope(["services", "--all", "--color", "never"]).env("PORTSCOPE_CONFIG", &file);
        for (name, value) in variables {
            run = run.env(name, value);
        }
        screen(run.args(arguments)).lines().next().unwrap().split(':').next().unwrap().to_owned()
    };
    assert_eq!(paged(&[("PAGER", "sed s/^/pager:/")], &[]), "file");
    assert_eq!(paged(&[("PORTSCOPE_PAGER", "sed s/^/own:/")], &[]), "own");
    assert!(!["file", "own"].contains(&&*paged(&[], &["--no-pager"])));
    std::fs::write(&file, "pager = false\n").unwrap();
    assert_ne!(paged(&[("PAGER", "sed s/^/pager:/")], &[]), "pager");
}

#[test]
fn show_config_says_what_holds_and_where_it_is_from() {
    let folder = Folder::new();
    let text = "sort = \"port\"\n\ncolumns = [\"+cwd\"]\n[labels]\n8080 = \"web\"\n";
    let run = with(&folder, text).args(["--show-config", "--columns", "+unit", "--color", "never", "--label", "1=one"]);
    let shown = run.success().stdout;
    let file = folder.join("config.toml");
    let file = file.display();
    for expected in [
        "# --color\ncolor = \"never\"\n".to_owned(),
        format!("# {file}:3, --columns\ncolumns = [\"proto\","),
        "# default\nleftovers = []\n".to_owned(),
        "# PORTSCOPE_PAGER\npager = false\n".to_owned(),
        format!("# {file}:1\nsort = \"port\"\n"),
        format!("[labels]\n# --label\n\"1\" = \"one\"\n# {file}:5\n\"8080\" = \"web\"\n"),
        format!("# file: {file}\n"),
    ] {
        assert!(shown.contains(&expected), "{expected}\n{shown}");
    }
    assert!(shown.contains("\"cwd\", \"unit\"]"), "{shown}");
    assert!(!shown.contains("is not set"), "{shown}");
    // What is shown is a configuration file itself.
    let again = with(&folder, &shown).arg("--show-config").success().stdout;
    assert!(again.contains(&format!("\"8080\" = \"web\"\n\n# file: {file}\n")), "{again}");
}

#[test]
fn an_unknown_key_is_an_error_of_every_command_that_reads_the_file() {
    let folder = Folder::new();
    let file = folder.join("config.toml");
    std::fs::write(&file, "color = \"auto\"\ncolunms = [\"pid\"]\n").unwrap();
    let expected = format!(
        "portscope: cannot read {}: line 2: unknown key `colunms` (did you mean `columns`?): expected color, columns, labels, \
         leftovers, pager, sort\n",
        file.display()
    );
    for arguments in [&["-l"][..], &["--show-config"], &["info", "80"], &["usage"], &["check", "80"]] {
        let run = portscope(arguments).env("PORTSCOPE_CONFIG", &file);
        assert_eq!(run.any_stderr().exits(2).stderr, expected, "{arguments:?}");
    }
    let _ = portscope(["schema", "report"]).env("PORTSCOPE_CONFIG", &file).any_stderr().success();
}

#[test]
fn each_configuration_file_is_opened_once() {
    let folder = Folder::new();
    let file = folder.join("config.toml");
    std::fs::write(&file, "sort = \"port\"\n[labels]\n8080 = \"web\"\n").unwrap();
    for arguments in [&["-l"][..], &["info", "8080"]] {
        let run =
            portscope(arguments).env("PORTSCOPE_CONFIG", &file).under(["strace", "-f", "-e", "trace=open,openat"]);
        let trace = String::from_utf8(run.output().stderr).unwrap();
        for path in [file.to_str().unwrap(), "/etc/portscope/config.toml"] {
            assert_eq!(trace.matches(&format!("\"{path}\"")).count(), 1, "{arguments:?}: {path}: {trace}");
        }
    }
}
