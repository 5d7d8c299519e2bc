//! The command line as a product: help, mistakes, shells.

mod support;

use support::portscope;

#[test]
fn the_help_opens_with_examples() {
    insta::assert_snapshot!("help", portscope(["--help"]).success().stdout);
}

#[test]
fn the_short_help_is_short() {
    insta::assert_snapshot!("short_help", portscope(["-h"]).success().stdout);
}

#[test]
fn the_version_is_that_of_the_manifest() {
    assert_eq!(portscope(["--version"]).success().stdout, concat!("portscope ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn a_mistake_is_one_line_and_exit_2() {
    let range = "expected LOW-HIGH, such as 8000-8100\n";
    let address = "expected an IPv4 or IPv6 address, such as 127.0.0.1 or [::1]\n";
    for (arguments, message) in [
        (&["70000"][..], "`70000` is not a port: expected 1-65535\n".to_string()),
        (&["80-20"], format!("`80-20` is not a range: 80 is above 20; {range}")),
        (&[":"], "`:` has no port after its colon: expected 1-65535\n".to_string()),
        (&["127.0.0.1:"], "`127.0.0.1:` has no port after its colon: expected 1-65535\n".to_string()),
        (&["8080-"], format!("`8080-` is not a range: it has no end; {range}")),
        (&["[fe80::1%]:80"], format!("`[fe80::1%]` is not an address: {address}")),
        (&["services", "22", "80"], "unexpected argument `80`: expected portscope services [OPTIONS] [QUERY]\n".into()),
        (&["free", "8080"], "unexpected argument `8080`: expected portscope free [OPTIONS]\n".into()),
        (&["usage", "80"], "unexpected argument `80`: expected portscope usage [OPTIONS]\n".into()),
        (&["check", "8080-"], format!("`8080-` is not a range: it has no end; {range}")),
        (&["wait", ":"], "`:` has no port after its colon: expected 1-65535\n".to_string()),
        (&["--process", ""], "--process: an empty name is the beginning of every name: expected at least one letter of it\n".into()),
        (&["--process", "nginx,"], "--process: an empty name is the beginning of every name".into()),
        (&["wait", "8080", "--process", ""], "--process: an empty name is the beginning of every name".into()),
        (&["--user", ""], "--user: nobody has an empty name: expected the name or the number of a user\n".into()),
        (&["300.0.0.1:80"], format!("`300.0.0.1` is not an address: {address}")),
        (&["--lisening"], "unknown option `--lisening` (did you mean `--listening`?)".into()),
        (&["-z"], "unknown option `-z`; see --help".into()),
        (&["--color", "blue"], "--color: unknown value `blue`: expected auto, always, never".into()),
        (&["--port", "0"], "--port: `0` is not a port: expected 1-65535".into()),
        (&["--pid", "0"], "--pid: `0` is not a process ID: expected 1 or more".into()),
        (&["--sort", "colour"], "--sort: `colour` is not a column to sort by: expected proto, local, port, service, state, peer, pid, process, user, space, exposure, started, rx, tx, rtt, retransmits, idle, with :desc for descending order".into()),
        (&["--sort", "port:down"], "--sort: `down` is not an order: expected asc or desc".into()),
        (&["--peer", "x"], "--peer: `x` is not a peer: expected ADDR, ADDR/BITS, ADDR:PORT, [ADDR6]:PORT or :PORT".into()),
        (&["--label", "x"], "--label: `x` is not a label: expected PORT[/PROTO]=NAME, such as 8080=web".into()),
        (&["--label", "3000="], "--label: `3000=` has an empty name: expected PORT[/PROTO]=NAME, such as 8080=web".into()),
        (&["--columns", "-proto,-local,-port,-category,-service,-state,-peer,-pid,-process,-user"], "`--columns` leaves no column: name at least one".into()),
        (&["--json", "-o", "csv"], "`--json` cannot be used with `--output <FORMAT>`".into()),
        (&["completions", "tcsh"], "unknown value `tcsh`: expected bash, elvish, fish, powershell, zsh".into()),
        (&["completions"], "the following required arguments were not provided: <SHELL>".into()),
        (&["--state"], "--state needs a value".into()),
        (&["export", "--textfile", ""], "--textfile needs a value\n".into()),
        (&["snapshot", ""], "FILE is empty: expected a file name\n".into()),
        (&["diff", ""], "BEFORE is empty: expected a file name\n".into()),
        (&["diff", "a", ""], "AFTER is empty: expected a file name\n".into()),
        (&["spaces", ""], "REPORT is empty: expected a file name\n".into()),
        (&["a\nb:x"], format!("`a\\x0ab` is not an address: {address}")),
        (&["\u{1b}[31m:80"], format!("`\\x1b[31m` is not an address: {address}")),
    ] {
        let stderr = portscope(arguments.iter().copied()).any_stderr().exits(2).stderr;
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(stderr.starts_with(&format!("portscope: {message}")), "{arguments:?}: {stderr}");
    }
}

#[test]
fn every_command_has_a_manual_page_that_groff_renders_without_warnings() {
    let folder = support::Folder::new();
    let _ = portscope(["man", "--all"]).arg(folder.join("").display()).success();
    let pages: Vec<_> = std::fs::read_dir(folder.join("")).unwrap().map(|page| page.unwrap().path()).collect();
    assert!(pages.len() > 15, "{pages:?}");
    for page in pages {
        let text = std::fs::read_to_string(&page).unwrap();
        for section in ["NAME", "SYNOPSIS", "OPTIONS", "EXIT STATUS", "FILES", "ENVIRONMENT", "EXAMPLES", "SEE ALSO"] {
            let heading = [format!(".SH {section}\n"), format!(".SH \"{section}\"\n")];
            assert!(heading.iter().any(|heading| text.contains(heading)), "{}: no {section}", page.display());
        }
        if !std::path::Path::new("/usr/bin/groff").exists() {
            support::skip("groff is not installed");
            continue;
        }
        let mut groff = std::process::Command::new("groff");
        let output = support::output(groff.args(["-ww", "-man", "-Tutf8"]).arg(&page));
        assert!(output.status.success() && output.stderr.is_empty(), "{}: {output:?}", page.display());
    }
    let page = portscope(["man", "kill"]).success().stdout;
    let head = format!(".TH portscope-kill 1 \"\" \"portscope {}\" \"portscope manual\"\n", env!("CARGO_PKG_VERSION"));
    assert!(page.starts_with(&head), "{page}");
    assert!(page.contains("\n.SH SYNOPSIS\nportscope kill [OPTIONS] [PORT]...\n"), "{page}");
    assert!(!page.contains("see a summary") && !page.contains("\n\n"), "{page}");
    assert!(portscope(["man", "nothing"]).any_stderr().exits(2).stderr.contains("`nothing` is not a command"));
}

#[test]
fn v_twice_reports_how_long_each_stage_took() {
    let stderr = |flag: &str| portscope(["-l", flag]).any_stderr().success().stderr;
    assert!(!stderr("-v").contains("time: "));
    let lines = stderr("-vv");
    let line = lines.lines().find_map(|line| line.split_once("time: ")).expect(&lines).1;
    let names: Vec<&str> = line.split(", ").filter_map(|part| Some(part.split_once(" ms ")?.1)).collect();
    assert_eq!(names, ["start", "sockets", "owners", "details", "join", "output"]);
}
