//! `portscope export`: read by Prometheus' own tools, and reports of many hosts by a database.
#![cfg(unix)]
#![expect(clippy::float_cmp, clippy::cast_precision_loss, reason = "all of them are counts, or written in full")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Seek, SeekFrom, Write};
use std::net::{IpAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use support::{Folder, Kept, eventually, is_root, portscope, skip, start};

fn has(tool: &str) -> bool {
    let found = std::env::split_paths(&std::env::var_os("PATH").unwrap()).any(|path| path.join(tool).exists());
    if !found {
        skip(&format!("{tool} is not installed"));
    }
    found
}

/// The Python that `scripts/duckdb` has prepared.
fn python() -> Option<PathBuf> {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/duckdb/bin/python3");
    if !python.exists() {
        skip("no duckdb: scripts/duckdb installs it below target/");
        return None;
    }
    Some(python)
}

/// What a command that reads the text as its input says, on both of its outputs; it must succeed.
#[track_caller]
fn said_of(text: &str, command: &mut Command) -> String {
    let mut child = start(command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()));
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}\n{text}");
    said
}

/// A series: its name and its labels in any order.
type Series = (String, BTreeMap<String, String>);

/// The samples of a page whose labels have no escapes in them.
fn samples(page: &str) -> BTreeMap<Series, f64> {
    let mut samples = BTreeMap::new();
    for line in page.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let label = |text: &str| text.split_once("=\"").map(|(key, value)| (key.to_owned(), value.to_owned()));
        let labels = labels.trim_end_matches('}').split("\",").filter_map(|text| label(text.trim_end_matches('"')));
        let before = samples.insert((name.to_owned(), labels.collect()), value.parse().unwrap());
        assert_eq!(before, None, "twice: {line}");
    }
    samples
}

/// The value of the one series of this name that has these labels.
#[track_caller]
fn value(page: &str, name: &str, labels: &[(&str, &str)]) -> f64 {
    let has = |found: &BTreeMap<String, String>| {
        labels.iter().all(|(key, value)| found.get(*key).is_some_and(|found| found == value))
    };
    let found = samples(page);
    let values: Vec<f64> =
        found.iter().filter(|((found, of), _)| found == name && has(of)).map(|(_, value)| *value).collect();
    assert_eq!(values.len(), 1, "{name} {labels:?}: {values:?}\n{page}");
    values[0]
}

#[test]
fn promtool_finds_nothing_to_complain_of() {
    if !has("promtool") {
        return;
    }
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    for arguments in [["--space", "all"], ["--backend", "portable"]] {
        let text = portscope(["export"]).args(arguments).any_stderr().success().stdout;
        assert!(text.contains("portscope_connections{"), "{text}");
        let said = said_of(&text, Command::new("promtool").args(["check", "metrics"]));
        assert_eq!(said.trim(), "", "{text}");
    }
}

#[test]
fn it_is_openmetrics_to_the_letter() {
    let Some(python) = python() else { return };
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let text = portscope(["export", "--space", "all"]).any_stderr().success().stdout;
    let script = "import sys; from prometheus_client.openmetrics import parser\n\
        families = list(parser.text_string_to_metric_families(sys.stdin.read()))\n\
        print(sum(len(family.samples) for family in families), {family.type for family in families})";
    let said = said_of(&text, Command::new(python).args(["-c", script]));
    assert_eq!(said.trim(), format!("{} {{'gauge'}}", samples(&text).len()), "{text}");
}

#[test]
fn the_numbers_of_a_space_with_known_sockets_are_exact() {
    if !is_root() {
        return skip("needs root to make a network namespace");
    }
    let script = "import os, socket, subprocess, sys\n\
        os.system('ip link set lo up')\n\
        open('/proc/sys/net/ipv4/ip_local_port_range', 'w').write('40000 40019')\n\
        open('/proc/sys/net/ipv4/ip_local_reserved_ports', 'w').write('40019')\n\
        kept = []\n\
        def opened(kind, family, end):\n    \
            kept.append(socket.socket(family, kind)); kept[-1].bind(end); return kept[-1]\n\
        tcp, udp, v4, v6 = socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.AF_INET, socket.AF_INET6\n\
        opened(tcp, v4, ('127.0.0.1', 8080)).listen(7)\n\
        opened(tcp, v4, ('127.0.0.2', 8080)).listen(1)\n\
        opened(tcp, v4, ('0.0.0.0', 80)).listen(9)\n\
        opened(tcp, v6, ('::1', 5432)).listen(9)\n\
        opened(tcp, v4, ('127.0.0.1', 40010))\n\
        opened(udp, v4, ('127.0.0.1', 53))\n\
        opened(udp, v4, ('127.0.0.1', 40011))\n\
        for number, to in [(40000, 1), (40001, 1), (40002, 1), (40003, 2)]:\n    \
            opened(tcp, v4, ('127.0.0.1', number)).connect(('127.0.0.%d' % to, 8080))\n\
        sys.exit(subprocess.call(sys.argv[1:]))\n";
    let run = portscope(["export"]).any_stderr().under(["unshare", "-n", "python3", "-c", script]);
    let text = run.success().stdout;
    // Containers of the machine may be listed too; the space of the script hands out 19 numbers.
    let is_own = |line: &&str| line.starts_with("portscope_ephemeral_ports{") && line.ends_with(" 19.0");
    let space = text.lines().find(is_own).unwrap().split('"').nth(1).unwrap();
    let label = format!("space=\"{space}\"");
    let own = text.lines().filter(|line| line.contains(&label));
    let mut lines: Vec<String> = own.map(|line| line.replace(&label, "").replacen("{,", "{", 1)).collect();
    lines.retain(|line| !line.starts_with("portscope_accept_queue_overflows"));
    let expected = r#"
        portscope_listeners{protocol="tcp",category="well-known",exposure="any"} 1.0
        portscope_listeners{protocol="tcp",category="registered",exposure="loopback"} 3.0
        portscope_listeners{protocol="udp",category="well-known",exposure="loopback"} 1.0
        portscope_listeners{protocol="udp",category="registered",exposure="loopback"} 1.0
        portscope_connections{protocol="tcp",state="ESTABLISHED"} 8.0
        portscope_ephemeral_ports_used{protocol="tcp"} 5.0
        portscope_ephemeral_ports_used{protocol="udp"} 1.0
        portscope_ephemeral_ports{protocol="tcp"} 19.0
        portscope_ephemeral_ports{protocol="udp"} 19.0
        portscope_fullest_destination_ratio{} 0.16666666666666667
        portscope_accept_queue_used{port="80"} 0.0
        portscope_accept_queue_used{port="5432"} 0.0
        portscope_accept_queue_used{port="8080"} 4.0
        portscope_accept_queue_limit{port="80"} 9.0
        portscope_accept_queue_limit{port="5432"} 9.0
        portscope_accept_queue_limit{port="8080"} 8.0
        portscope_accept_queue_fullest_ratio{port="80"} 0.0
        portscope_accept_queue_fullest_ratio{port="5432"} 0.0
        portscope_accept_queue_fullest_ratio{port="8080"} 1.0"#;
    let expected: Vec<&str> = expected.trim().lines().map(str::trim).collect();
    assert_eq!(lines, expected, "{text}");
}

#[test]
fn the_numbers_are_those_of_the_listing_and_labels_are_bounded() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let _any = TcpListener::bind(("0.0.0.0", 0)).unwrap();
    let _udp = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    let clients: Vec<TcpStream> = (0..3).map(|_| TcpStream::connect(("127.0.0.1", port)).unwrap()).collect();
    let listed = portscope(["--json"]).arg(port).success().sockets();
    let queue = &listed.iter().find(|row| row["state"] == "LISTEN").unwrap()["queue"];
    let text = portscope(["export"]).any_stderr().success().stdout;
    let space = space();
    let of_port = [("space", space.as_str()), ("port", &port.to_string())];
    assert_eq!(value(&text, "portscope_accept_queue_used", &of_port), 3.0);
    assert_eq!(Some(value(&text, "portscope_accept_queue_limit", &of_port)), queue["limit"].as_f64());
    assert!(value(&text, "portscope_collection_duration_seconds", &[]) > 0.0);
    assert!(text.ends_with("# EOF\n"));
    // Only these labels, and in them no address and no number but those of listeners.
    let listening: BTreeSet<String> = portscope(["-tul", "--json", "--space", "all"])
        .any_stderr()
        .success()
        .sockets()
        .iter()
        .map(|row| row["local"]["port"].to_string())
        .collect();
    assert!(listening.contains(&port.to_string()));
    for ((name, labels), _) in samples(&text) {
        for (key, value) in labels.iter().filter(|(key, _)| *key != "space") {
            assert!(
                ["protocol", "category", "exposure", "state", "port", "version"].contains(&key.as_str()),
                "{name} {key}"
            );
            assert!(value.parse::<IpAddr>().is_err(), "{name} {key} {value}");
            assert!(key == "port" || value.parse::<u32>().is_err(), "{name} {key} {value}");
        }
    }
    for client in &clients {
        let number = client.local_addr().unwrap().port();
        assert!(!text.contains(&format!("\"{number}\"")), "no number of a client: {text}");
    }
}

/// The label of the space that the test runs in.
fn space() -> String {
    let report = portscope(["--json", "--space", "all"]).any_stderr().success().json();
    report["spaces"][0]["label"].as_str().unwrap().to_owned()
}

#[test]
fn a_saved_report_has_the_numbers_of_its_listing() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let folder = Folder::new();
    let file = folder.join("report.json");
    let _ = portscope(["snapshot"]).arg(file.display()).any_stderr().success();
    let from = |arguments: &[&str]| portscope(["--from"]).arg(file.display()).args(arguments).any_stderr().success();
    let export =
        |arguments: &[&str]| portscope(["export", "--from"]).arg(file.display()).args(arguments).any_stderr().success();
    let text = export(&["--space", "all"]).stdout;
    let sum = |name: &str| -> f64 {
        samples(&text).iter().filter(|((found, _), _)| found == name).map(|(_, value)| value).sum()
    };
    let listeners = from(&["-tul", "--space", "all", "--json"]).sockets();
    assert_eq!(sum("portscope_listeners"), listeners.len() as f64);
    let any = from(&["-tul", "--space", "all", "--exposure", "any", "--json"]).sockets();
    let exposed: f64 = samples(&text)
        .iter()
        .filter(|((_, labels), _)| labels.get("exposure").is_some_and(|exposure| exposure == "any"))
        .map(|(_, value)| value)
        .sum();
    assert_eq!(exposed, any.len() as f64);
    let connected = from(&["-tu", "--state", "connected", "--space", "all", "--json"]).sockets();
    assert_eq!(sum("portscope_connections"), connected.len() as f64);
    assert!(connected.len() >= 2);
    assert_eq!(text, export(&["--space", "all"]).stdout, "the same facts are the same bytes");
    assert!(!text.contains("collection_duration"), "reading a file says nothing of the machine");
}

#[test]
fn node_exporter_serves_every_number_of_the_file() {
    if !has("prometheus-node-exporter") {
        return;
    }
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let folder = Folder::new();
    let file = folder.join("portscope.prom");
    let _ = portscope(["export", "--textfile"]).arg(file.display()).any_stderr().success();
    let (_exporter, port) = exporter(file.parent().unwrap());
    let page = eventually("node_exporter answers", || {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").ok()?;
        let mut page = String::new();
        stream.read_to_string(&mut page).ok()?;
        page.contains("node_textfile_scrape_error").then_some(page)
    });
    let served = samples(page.split_once("\r\n\r\n").unwrap().1);
    assert_eq!(served[&("node_textfile_scrape_error".to_owned(), BTreeMap::new())], 0.0, "{page}");
    let written = samples(&std::fs::read_to_string(&file).unwrap());
    assert!(written.keys().any(|(name, _)| name == "portscope_connections"), "{written:?}");
    for (series, value) in &written {
        assert_eq!(served.get(series), Some(value), "{series:?}\n{page}");
    }
}

#[test]
fn a_textfile_is_replaced_as_a_whole_and_readable_by_all() {
    let folder = Folder::new();
    let file = folder.join("portscope.prom");
    std::fs::write(&file, "old").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let mut reader = std::fs::File::open(&file).unwrap();
    let output = portscope(["export", "--textfile"])
        .arg(file.display())
        .any_stderr()
        .under(["sh", "-c", "umask 077; exec \"$0\" \"$@\""])
        .success();
    assert_eq!(output.stdout, "");
    assert!(std::fs::read_to_string(&file).unwrap().ends_with("# EOF\n"));
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o644);
    // A reader goes on with the file that it had opened.
    let mut old = String::new();
    reader.seek(SeekFrom::Start(0)).unwrap();
    reader.read_to_string(&mut old).unwrap();
    assert_eq!(old, "old");
    let names: Vec<_> = std::fs::read_dir(folder.join("")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["portscope.prom"], "nothing is left beside it");
    let missing = folder.join("missing/portscope.prom");
    let message = format!("portscope: cannot write {}: No such file or directory (os error 2)\n", missing.display());
    let failed = portscope(["export", "--textfile"]).arg(missing.display()).stderr_contains(&message).exits(2);
    assert_eq!((failed.stdout, failed.stderr), (String::new(), message));
}

/// A real node_exporter on a port of its own, and that port.
fn exporter(folder: &Path) -> (Kept, u16) {
    eventually("a port for node_exporter", || {
        let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let mut command = Command::new("prometheus-node-exporter");
        command
            .args(["--collector.disable-defaults", "--collector.textfile", "--web.disable-exporter-metrics"])
            .arg(format!("--collector.textfile.directory={}", folder.display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut child = Kept(start(&mut command));
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
    let Some(python) = python() else { return };
    let listener = TcpListener::bind(("0.0.0.0", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    // One real report, as of hosts of other names and with other addresses; the rest is the program's work.
    let mut report = portscope(["-l", "--json"]).arg(port).success().json();
    report["sockets"][0]["local"]["port"] = 6379.into();
    report["scope"]["filtered"] = false.into();
    let folder = Folder::new();
    let mut expected = Vec::new();
    for number in 0..200 {
        let (host, mut report) = (format!("web-{number:03}"), report.clone());
        report["host"]["name"] = host.clone().into();
        let (kind, address) = match number % 40 {
            7 => ("host", "0.0.0.0"),
            8 => ("host", "192.0.2.7"),
            // Open to the network of the containers; nobody has published it.
            9 => ("container", "0.0.0.0"),
            _ => ("host", "127.0.0.1"),
        };
        report["spaces"][0]["kind"] = kind.into();
        report["sockets"][0]["local"]["address"] = address.into();
        if number % 40 == 10 {
            report["sockets"].as_array_mut().unwrap().clear();
        }
        let saved = folder.join(format!("{host}.json"));
        std::fs::write(&saved, report.to_string()).unwrap();
        let lines = portscope(["-l", "-o", "ndjson", "--from"]).arg(saved.display()).success().stdout;
        std::fs::write(folder.join(format!("{host}.ndjson")), lines).unwrap();
        if kind == "host" && address != "127.0.0.1" {
            expected.push(host);
        }
    }
    assert_eq!(expected.len(), 10);
    // The question is in docs/fleet.md.
    let readme = include_str!("../docs/fleet.md");
    let sql = readme.split("```sql\n").nth(1).unwrap().split("```").next().unwrap();
    let script = "import duckdb, sys, os; os.chdir(sys.argv[1]); print('\\n'.join(r[0] for r in duckdb.sql(sys.argv[2]).fetchall()))";
    let output = support::output(Command::new(python).args(["-c", script]).arg(folder.join("")).arg(sql));
    assert!(output.status.success(), "{output:?}");
    let hosts: Vec<String> = String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
    assert_eq!(hosts, expected);
}
