//! What a person sees: a made-up workstation and a made-up server at four widths of the terminal.

mod support;

use support::server::server;
use support::workstation::workstation;
use support::{Folder, portscope};
use unicode_width::UnicodeWidthStr;

/// What a terminal of this width shows.
fn screen(report: &str, arguments: &[&str], width: usize) -> String {
    let run = portscope(["--from", report, "--no-pager", "--color", "never", "--width"]).arg(width);
    let (code, seen) = run.args(arguments).env("TERM", "xterm").at_terminal().ends();
    assert_eq!(code, 0, "{seen}");
    seen.replace("\r\n", "\n")
}

#[test]
fn the_listing_shows_what_is_worth_most_at_each_width() {
    let folder = Folder::new();
    let report = workstation(&folder);
    for width in [60, 80, 120, 200] {
        for (name, arguments) in [("all", &[][..]), ("listening", &["-l"])] {
            let seen = screen(&report, arguments, width);
            assert!(seen.lines().all(|line| line.width() <= width), "{seen}");
            assert!(seen.contains("nginx +4") && seen.contains("postgres +3"), "{seen}");
            insta::assert_snapshot!(format!("{name}_{width}"), seen);
        }
    }
}

/// What a terminal of this width shows of a page.
fn page(report: &str, arguments: &[&str], width: usize) -> String {
    let run = portscope(arguments.iter().copied()).args(["--from", report]).env("COLUMNS", width.to_string());
    let run = run.env("TERM", "xterm").env("PORTSCOPE_PAGER", "cat").env("NO_COLOR", "1").env("TZ", "UTC");
    let (code, seen) = run.at_terminal().ends();
    assert!(code < 2, "{arguments:?}: {seen}");
    // The report is a file of this run, and so is the program.
    seen.replace("\r\n", "\n").replace(report, "web-1.json").replace(env!("CARGO_BIN_EXE_portscope"), "portscope")
}

/// A page at each width, one below the other; no line is wider than the terminal.
fn pages(report: &str, arguments: &[&str]) -> String {
    let mut all = String::new();
    for width in [60, 80, 120, 200] {
        let seen = page(report, arguments, width);
        // A word that is wider than the terminal, such as a path, stands on a line of its own.
        let is_whole = |line: &str| line.width() <= width || !line.trim().contains(' ');
        assert!(seen.lines().all(is_whole), "{arguments:?} at {width}: {seen}");
        all.extend(["---- ", &width.to_string(), " columns\n", &seen]);
    }
    all
}

#[test]
fn every_page_fits_each_width() {
    let folder = Folder::new();
    let report = workstation(&folder);
    for (name, arguments) in [
        ("info_of_a_server", &["info", "3000"][..]),
        ("info_of_a_database", &["info", "5432"]),
        ("info_of_leftovers", &["info", "51034"]),
        ("group", &["--group"]),
        ("spaces", &["spaces"]),
        ("usage", &["usage"]),
        ("audit", &["audit", "--no-policy"]),
    ] {
        insta::assert_snapshot!(name, pages(&report, arguments));
    }
}

#[test]
fn every_page_of_a_server_fits_each_width() {
    let folder = Folder::new();
    let report = server(&folder);
    for (name, arguments) in [
        ("server_listening", &["-l"][..]),
        ("server_connections_of_ssh", &["22"]),
        ("server_group", &["--group"]),
        ("server_info_of_a_published_port", &["info", "8080"]),
        ("server_info_of_a_web_server", &["info", "443"]),
        ("server_spaces", &["spaces"]),
        ("server_usage", &["usage"]),
        ("server_audit", &["audit", "--no-policy"]),
    ] {
        insta::assert_snapshot!(name, pages(&report, arguments));
    }
}

#[test]
fn what_no_process_holds_is_counted_and_listed_when_it_is_asked_for() {
    let folder = Folder::new();
    let report = workstation(&folder);
    let lines = |arguments: &[&str]| screen(&report, arguments, 120).lines().count();
    assert!(screen(&report, &[], 120).contains(" · 2,500 TIME_WAIT (list them with -a)"));
    assert!(lines(&[]) < 15);
    for arguments in [&["-a"][..], &["--state", "TIME_WAIT"], &["51034"]] {
        assert!(lines(arguments) > 2_500, "{arguments:?}");
    }
    let piped = portscope(["--from", &report]).success().stdout;
    assert!(piped.lines().count() > 2_500 && !piped.contains("list them"), "a pipe gets every socket");
}

#[test]
fn a_table_that_fits_is_not_paged_and_what_is_above_one_that_does_not_is_said_again() {
    let folder = Folder::new();
    let report = workstation(&folder);
    let run = |arguments: &[&str]| {
        let run = portscope(["--from", &report, "--color", "never", "--width", "120"]).args(arguments);
        let run = run.env("TERM", "xterm").env("PORTSCOPE_PAGER", "sed s/^/paged:/");
        run.at_terminal().ends().1.replace("\r\n", "\n")
    };
    assert!(!run(&[]).contains("paged:"));
    let seen = run(&["-a"]);
    let last = seen.lines().last().unwrap();
    assert!(last.starts_with("web-1 · 6 listening · 3 established · 2,500 TIME_WAIT"), "{last}");
    assert!(seen.starts_with("paged:web-1 · 6 listening"));
}

#[test]
fn the_pager_keeps_the_lines_above_the_rows_where_it_knows_how() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    let report = workstation(&folder);
    let less = folder.join("less");
    let paged = |version: u32, arguments: &[&str]| {
        // It prints its version, or its options and the lines that they keep.
        let script = format!(
            "#!/bin/sh\ncase $1 in --version) echo 'less {version} (GNU regular expressions)'; exit;; esac\n\
             for option; do case $option in --header=*) kept=${{option#--header=}};; esac; done\n\
             echo \"options: $*\"; head -n ${{kept:-0}} | sed s/^/kept:/; cat > /dev/null\n"
        );
        std::fs::write(&less, script).unwrap();
        std::fs::set_permissions(&less, std::fs::Permissions::from_mode(0o755)).unwrap();
        let run = portscope(["--from", &report, "--color", "never", "-a"]).args(arguments);
        let run = run.env("TERM", "xterm").env("PORTSCOPE_PAGER", format!("{} -R", less.display()));
        run.at_terminal().ends().1.replace("\r\n", "\n")
    };
    let kept =
        |seen: &str| seen.lines().filter(|line| line.starts_with("kept:")).map(str::to_owned).collect::<Vec<_>>();
    for arguments in [&[][..], &["-o", "wide"]] {
        let seen = paged(643, arguments);
        let lines = kept(&seen);
        assert!(lines.len() > 1, "{seen}");
        assert!(lines[0].starts_with("kept:web-1 · 6 listening"), "{seen}");
        let last = lines.last().unwrap();
        assert!(last.contains("PROTO ") && last.contains(" ADDRESS "), "{seen}");
    }
    let bare = paged(643, &["-H"]);
    assert!(bare.contains("options: -R\n") && kept(&bare).is_empty(), "{bare}");
    let old = paged(590, &[]);
    assert!(old.contains("options: -R\n") && kept(&old).is_empty(), "{old}");
}

#[test]
fn columns_that_were_asked_for_stay_even_where_they_say_nothing() {
    let folder = Folder::new();
    let report = workstation(&folder);
    let heads = |arguments: &[&str]| {
        let seen = screen(&report, arguments, 120);
        seen.lines().nth(1).unwrap().split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(heads(&["-l", "--columns", "port,state,peer,device"]), ["PORT", "STATE", "PEER", "DEVICE"]);
    assert!(heads(&["-l", "--columns", "+v6only"]).contains(&"V6ONLY".to_owned()));
    assert!(!heads(&["-l"]).contains(&"STATE".to_owned()));
    // A column may also be called as its heading.
    let by_heading = ["-l", "--columns", "address,port", "--sort", "address:desc"];
    assert_eq!(
        screen(&report, &by_heading, 120),
        screen(&report, &["-l", "--columns", "local,port", "--sort", "local:desc"], 120)
    );
}
