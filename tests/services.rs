//! `portscope services`.

mod support;

use support::portscope;

#[test]
fn the_well_known_table_comes_with_the_three_categories() {
    let output = portscope(["services"]).success().stdout;
    let rows: Vec<&str> = output.lines().skip(1).take_while(|line| !line.is_empty()).collect();
    assert_eq!(rows.len(), 24);
    assert!(rows[0].starts_with("  20  tcp") && rows[0].ends_with("File Transfer [Default Data]"), "{}", rows[0]);
    assert!(rows[23].starts_with(" 636  tcp") && rows[23].ends_with("ldap protocol over TLS/SSL"), "{}", rows[23]);
    for category in ["well-known       0-1023", "registered   1024-49151", "dynamic     49152-65535"] {
        assert!(output.contains(category), "{output}");
    }
}

#[test]
fn the_whole_registry_is_there_for_both_protocols() {
    let count = |flag: &str| {
        let report = portscope(["services", "--all", "--json", flag]).success().json();
        report["services"].as_array().unwrap().len()
    };
    assert!(count("-t") > 5_800, "{}", count("-t"));
    assert!(count("-u") > 5_400, "{}", count("-u"));
}

#[test]
fn a_query_is_a_port_a_range_a_name_an_alias_or_a_word() {
    let found = |query: &str| -> Vec<String> {
        let report = portscope(["services", "--json", query]).success().json();
        let services = report["services"].as_array().unwrap().clone();
        services.iter().map(|s| format!("{}/{} {}", s["port"], s["protocol"].as_str().unwrap(), s["name"])).collect()
    };
    assert_eq!(found("5432"), ["5432/tcp \"postgresql\"", "5432/udp \"postgresql\""]);
    assert!(found("postgres").contains(&"5432/tcp \"postgresql\"".to_owned()));
    assert!(found("http").contains(&"80/tcp \"www-http\"".to_owned()));
    assert_eq!(found("512-513").len(), 4);
    assert!(found("advanced key-value").contains(&"6379/tcp \"redis\"".to_owned()));
}

#[test]
fn no_match_is_exit_1_and_bad_input_exit_2() {
    let output = portscope(["services", "no-such-service-at-all"]).exits(1);
    assert_eq!(output.stdout, "no service matches `no-such-service-at-all`\n");
    assert_eq!(portscope(["services", "4"]).exits(1).stdout, "no service is registered for 4 (IANA: Unassigned)\n");
    for (query, message) in [
        ("70000", "portscope: `70000` is not a port: expected 1-65535\n"),
        ("90-80", "portscope: `90-80` is not a range: 90 is above 80; expected LOW-HIGH, such as 8000-8100\n"),
        ("", "portscope: the query is empty: expected a port, a range or a word\n"),
    ] {
        assert_eq!(portscope(["services", query]).any_stderr().exits(2).stderr, message);
    }
}

#[test]
fn labels_come_from_flags_and_files() {
    let folder = support::Folder::new();
    let file = folder.join("config.toml");
    std::fs::write(&file, "[labels]\n\"64001\" = \"mine\"\n").unwrap();
    let output = portscope(["services", "mine", "-H", "--label", "64002/udp=mine"]).env("PORTSCOPE_CONFIG", &file);
    let output = output.success().stdout;
    let rows: Vec<Vec<&str>> = output.lines().map(|line| line.split_whitespace().collect()).collect();
    let expected = [("64001", "tcp"), ("64001", "udp"), ("64002", "udp")];
    assert_eq!(rows.iter().map(|row| (row[0], row[1])).collect::<Vec<_>>(), expected);
    assert!(rows.iter().all(|row| row[4] == "user"), "{output}");

    std::fs::write(&file, "[labels]\n64001 = 5\n").unwrap();
    let stderr = portscope(["services"]).env("PORTSCOPE_CONFIG", &file).any_stderr().exits(2).stderr;
    assert!(stderr.starts_with(&format!("portscope: cannot read {}: line 2, column 9: ", file.display())), "{stderr}");
    assert_eq!(stderr.lines().count(), 1);
}

#[test]
fn a_fifo_in_the_place_of_a_file_does_not_block() {
    let folder = support::Folder::new();
    let fifo = folder.join("config.toml");
    assert!(support::output(std::process::Command::new("mkfifo").arg(&fifo)).status.success());
    let _ = portscope(["services"]).env("PORTSCOPE_CONFIG", &fifo).stderr_contains("cannot be read").exits(2);
}
