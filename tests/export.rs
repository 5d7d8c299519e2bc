//! `portscope export`: read by Prometheus' own tools, and reports of many hosts by a database.
#![cfg(unix)]

mod support;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use support::{Folder, Kept, eventually, portscope, skip};

fn has(tool: &str) -> bool {
    let found = std::env::split_paths(&std::env::var_os("PATH").unwrap()).any(|path| path.join(tool).exists());
    if !found {
        skip(&format!("{tool} is not installed"));
    }
    found
}

/// The value as it is written: `3.0`.
fn value<'a>(text: &'a str, metric: &str) -> &'a str {
    let line = text.lines().find(|line| line.starts_with(metric)).unwrap_or_else(|| panic!("no {metric}: {text}"));
    line.rsplit(' ').next().unwrap()
}

#[test]
fn promtool_finds_nothing_to_complain_of() {
    if !has("promtool") {
        return;
    }
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let text = portscope(["export", "--space", "all"]).any_stderr().success().stdout;
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.trim().is_empty(), "{said}\n{text}");
}

#[test]
fn the_numbers_are_those_of_the_listing_and_labels_are_bounded() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let clients: Vec<TcpStream> = (0..3).map(|_| TcpStream::connect(("127.0.0.1", port)).unwrap()).collect();
    let text = portscope(["export"]).any_stderr().success().stdout;
    assert_eq!(value(&text, &format!("portscope_accept_queue_used{{space=\"{}\",port=\"{port}\"}}", space())), "3.0");
    assert!(value(&text, "portscope_collection_duration_seconds").parse::<f64>().unwrap() > 0.0);
    assert!(!text.contains("pid=") && !text.contains("peer="), "{text}");
    assert!(!text.contains(&format!("\"{}\"", clients[0].local_addr().unwrap().port())), "no number of a client");
    assert!(text.ends_with("# EOF\n"));
    // A report says the same as the machine that it is of.
    let folder = Folder::new();
    let file = folder.join("report.json");
    let _ = portscope(["snapshot"]).arg(file.display()).any_stderr().success();
    let saved = portscope(["export", "--from"]).arg(file.display()).any_stderr().success().stdout;
    assert_eq!(value(&saved, &format!("portscope_accept_queue_used{{space=\"{}\",port=\"{port}\"}}", space())), "3.0");
}

/// The label of the space that the test runs in.
fn space() -> String {
    let report = portscope(["--json", "--space", "all"]).success().json();
    report["spaces"][0]["label"].as_str().unwrap().to_owned()
}

#[test]
fn node_exporter_serves_the_file() {
    if !has("prometheus-node-exporter") {
        return;
    }
    let folder = Folder::new();
    let file = folder.join("portscope.prom");
    let _ = portscope(["export", "--textfile"]).arg(file.display()).any_stderr().success();
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o644);
    let (_exporter, port) = exporter(file.parent().unwrap());
    let page = eventually("node_exporter answers", || {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").ok()?;
        let mut page = String::new();
        stream.read_to_string(&mut page).ok()?;
        page.contains("node_textfile_scrape_error").then_some(page)
    });
    assert_eq!(value(&page, "node_textfile_scrape_error"), "0", "{page}");
    assert_eq!(value(&page, "portscope_build_info"), "1");
    assert!(page.contains("portscope_listeners{"));
}

/// A real node_exporter on a port of its own, and that port.
fn exporter(folder: &Path) -> (Kept, u16) {
    eventually("a port for node_exporter", || {
        let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let mut child = Kept(
            Command::new("prometheus-node-exporter")
                .args(["--collector.disable-defaults", "--collector.textfile", "--web.disable-exporter-metrics"])
                .arg(format!("--collector.textfile.directory={}", folder.display()))
                .arg(format!("--web.listen-address=127.0.0.1:{port}"))
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap(),
        );
        // Somebody may have taken the port in between; then it ends at once.
        eventually("node_exporter listens or ends", || {
            let ended = child.0.try_wait().unwrap().is_some();
            (ended || TcpStream::connect(("127.0.0.1", port)).is_ok()).then_some(())
        });
        child.0.try_wait().unwrap().is_none().then_some((child, port))
    })
}

#[test]
fn a_database_answers_which_of_two_hundred_hosts_expose_a_port() {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/duckdb/bin/python3");
    if !python.exists() {
        return skip("no duckdb: scripts/duckdb installs it below target/");
    }
    let listener = TcpListener::bind(("0.0.0.0", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    // One real report, as of hosts of other names and with other addresses; the rest is the program's work.
    let mut report = portscope(["-l", "--json"]).arg(port).success().json();
    report["sockets"][0]["local"]["port"] = 6379.into();
    report["scope"]["filtered"] = false.into();
    let folder = Folder::new();
    let mut expected = Vec::new();
    for number in 0..200 {
        let host = format!("web-{number:03}");
        report["host"]["name"] = host.clone().into();
        let exposed = number % 40 == 7;
        report["sockets"][0]["local"]["address"] = if exposed { "0.0.0.0" } else { "127.0.0.1" }.into();
        let saved = folder.join(format!("{host}.json"));
        std::fs::write(&saved, report.to_string()).unwrap();
        let lines = portscope(["-l", "-o", "ndjson", "--from"]).arg(saved.display()).success().stdout;
        std::fs::write(folder.join(format!("{host}.ndjson")), lines).unwrap();
        if exposed {
            expected.push(host);
        }
    }
    // The question stands in the README.
    let readme = include_str!("../README.md");
    let sql = readme.split("```sql\n").nth(1).unwrap().split("```").next().unwrap();
    let script = "import duckdb, sys, os; os.chdir(sys.argv[1]); print('\\n'.join(r[0] for r in duckdb.sql(sys.argv[2]).fetchall()))";
    let output = Command::new(python).args(["-c", script]).arg(folder.join("")).arg(sql).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let hosts: Vec<String> = String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
    assert_eq!(hosts, expected);
}
