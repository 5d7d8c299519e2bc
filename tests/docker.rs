//! Containers of a real Docker engine, started by the test in namespaces of its own: names, published ports, and what
//! is left of them when the engine is gone.
#![cfg(target_os = "linux")]

mod support;

use std::path::Path;
use std::process::Output;

use serde_json::Value;
use support::apart::Apart;
use support::refused::Refused;
use support::stream::{Stream, is, json};
use support::{Run, eventually, is_root, portscope, skip};

/// A Docker engine that sees no other, and that ends with everything that it has started.
struct Engine(Apart);

impl Engine {
    /// Starts one; nothing where this machine cannot have one.
    fn start(flags: &str) -> Option<Engine> {
        if !is_root() {
            skip("needs root for a Docker engine");
            return None;
        }
        for tool in ["dockerd", "docker", "iptables-save", "busybox"] {
            let found = std::env::split_paths(&std::env::var_os("PATH").unwrap()).any(|path| path.join(tool).exists());
            if !found {
                skip(&format!("{tool} is not installed"));
                return None;
            }
        }
        let script = format!(
            "dockerd {flags} --storage-driver vfs --data-root /run/data --exec-root /run/exec --pidfile /run/pid \
             -H unix:///run/docker.sock >/run/dockerd.log 2>&1 & echo $! >/run/dockerd.pid; while :; do sleep 1000; done"
        );
        let engine = Engine(Apart::start(&script));
        eventually("the engine answers", || engine.docker(&["version"]).status.success().then_some(()));
        engine.import();
        Some(engine)
    }

    fn docker(&self, arguments: &[&str]) -> Output {
        self.0.run(&[&["docker", "-H", "unix:///run/docker.sock"], arguments].concat())
    }

    /// An image that holds nothing but busybox: none can be pulled here.
    fn import(&self) {
        let tar = "set -e; mkdir -p /run/image/bin; cp $(command -v busybox) /run/image/bin/busybox; \
                   ln -sf busybox /run/image/bin/httpd; tar -C /run/image -c . | \
                   docker -H unix:///run/docker.sock import - portscope/httpd";
        let output = self.0.run(&["sh", "-c", tar]);
        assert!(output.status.success(), "{output:?}");
    }

    /// Starts a container that listens on port 80, and returns its ID.
    #[track_caller]
    fn container(&self, name: &str, flags: &[&str]) -> String {
        self.container_on("80", name, flags)
    }

    #[track_caller]
    fn container_on(&self, port: &str, name: &str, flags: &[&str]) -> String {
        let words =
            [&["run", "-d", "--name", name], flags, &["portscope/httpd", "/bin/httpd", "-f", "-p", port]].concat();
        let output = self.docker(&words);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn portscope<const N: usize>(&self, arguments: [&str; N]) -> Run {
        portscope(arguments).under(self.0.inside()).any_stderr()
    }

    /// The report once every container listens.
    fn report(&self, listeners: usize) -> Value {
        eventually("the containers listen", || {
            let report = self.portscope(["--json"]).success().json();
            let on_80 = report["sockets"].as_array().unwrap().iter().filter(|row| row["local"]["port"] == 80);
            (on_80.count() == listeners).then_some(report)
        })
    }
}

#[track_caller]
fn row(report: &Value, port: u16) -> Value {
    let rows = report["sockets"].as_array().unwrap();
    rows.iter().find(|row| row["local"]["port"] == port).unwrap_or_else(|| panic!("{report:#}")).clone()
}

fn space_of(report: &Value, row: &Value) -> Value {
    report["spaces"].as_array().unwrap().iter().find(|space| space["id"] == row["space"]).unwrap().clone()
}

#[test]
fn containers_are_spaces_with_names_and_a_proxy_is_shown_as_what_it_stands_for() {
    let Some(engine) = Engine::start("") else { return };
    let web = engine.container("web", &["-p", "127.0.0.1:8088:80"]);
    let db = engine.container("db", &[]);
    let report = engine.report(2);
    let labels: Vec<&str> =
        report["spaces"].as_array().unwrap()[1..].iter().map(|s| s["label"].as_str().unwrap()).collect();
    assert_eq!(labels, ["db", "web"], "the containers are listed unasked");
    for (name, id) in [("web", &web), ("db", &db)] {
        let spaces = report["spaces"].as_array().unwrap();
        let space = spaces.iter().find(|space| space["label"] == name).unwrap();
        assert_eq!(space["kind"], "container");
        let told = &space["containers"][0];
        assert_eq!((&told["id"], &told["image"]), (&Value::from(id.as_str()), &"portscope/httpd".into()));
        let rows = report["sockets"].as_array().unwrap();
        let listener = rows.iter().find(|row| row["space"] == space["id"] && row["local"]["port"] == 80).unwrap();
        assert_eq!(listener["owner"]["processes"][0]["name"], "httpd");
        assert_eq!(listener["owner"]["container"]["name"], name);
    }
    let proxy = row(&report, 8088);
    assert_eq!(space_of(&report, &proxy)["label"], report["spaces"][0]["label"], "the proxy listens outside");
    assert_eq!((&proxy["state"], &proxy["exposure"]), (&"LISTEN".into(), &"loopback".into()));
    assert_eq!((&proxy["forward"]["by"], &proxy["forward"]["to"]["port"]), (&"proxy".into(), &80.into()));
    assert_eq!(proxy["forward"]["container"]["name"], "web");
    assert_eq!(proxy["owner"]["processes"][0]["name"], "docker-proxy");
    assert_eq!(proxy["owner"]["processes"][0]["argv"], Value::Null, "arguments are shown only when asked for");

    // Under a limit of processes: the engine is asked without a thread, only programs cannot be.
    if let Some(run) = portscope(["--json"]).without(Refused::Threads) {
        let alone = run.under(engine.0.inside()).any_stderr().success().json();
        let of_web = |row: &&Value| row["owner"]["container"]["name"] == "web" && row["local"]["port"] == 80;
        assert_eq!(alone["sockets"].as_array().unwrap().iter().filter(of_web).count(), 1, "{alone:#}");
    }
    let table = engine.portscope([""; 0]).success().stdout;
    assert!(table.contains("→ container web :80 (portscope/httpd)"), "{table}");
    assert!(table.lines().nth(1).unwrap().starts_with("SPACE"), "{table}");
    let by_name = engine.portscope(["--json", "web"]).success().sockets();
    assert_eq!(by_name.len(), 2, "the listener in it and the port that leads to it: {by_name:#?}");
    assert_eq!(engine.portscope(["--json", "--space", "web"]).success().sockets().len(), 1);
    let spaces = engine.portscope(["spaces"]).success().stdout;
    assert!(spaces.contains("80/tcp (www-http) is open in 2 port spaces: no conflict"), "{spaces}");
    let check = engine.portscope(["check", "8088", "-a", "127.0.0.1", "--json"]).exits(1).json();
    let bind = &check["ports"][0]["binds"][0];
    assert_eq!(
        (&bind["cause"], &bind["fixes"][0]),
        (&"listener".into(), &"stop its container: docker stop web".into())
    );
    let kill = engine.portscope(["kill", "8088", "--dry-run"]).exits(1).stderr;
    assert!(kill.contains("only forwards the port to a container"), "{kill}");
    assert!(kill.contains("hint: stop container web: docker stop web"), "{kill}");
    let check = engine.portscope(["check", "80", "-a", "0.0.0.0", "--json"]).success().json();
    assert_eq!(check["ports"][0]["binds"][0]["elsewhere"].as_array().unwrap().len(), 2, "{check:#}");
    // The engine is not asked: its word is missing, so the proxy is a process like any other.
    let report = engine.portscope(["--json", "--no-helpers"]).success().json();
    assert_eq!(row(&report, 8088)["forward"], Value::Null);
    let reasons = report["visibility"]["reasons"].as_array().unwrap();
    assert!(reasons.iter().any(|gap| gap["missing"] == "names" && gap["reason"] == "not-looked-for"), "{report:#}");

    // The engine is stopped in between: containers have no names any more, and are there all the same.
    let stopped = engine.0.run(&["sh", "-c", "kill -STOP $(cat /run/dockerd.pid)"]);
    assert!(stopped.status.success(), "{stopped:?}");
    let report = engine.report(2);
    let space = space_of(&report, &row(&report, 80));
    assert!([&web, &db].iter().any(|id| space["label"] == id[..12]), "{space}");
    let reasons = report["visibility"]["reasons"].as_array().unwrap();
    let told = reasons.iter().find(|gap| gap["missing"] == "names").expect("it says that names are missing");
    assert!(told["detail"].as_str().unwrap().contains("/run/docker.sock timed out"), "{told}");
    let resumed = engine.0.run(&["sh", "-c", "kill -CONT $(cat /run/dockerd.pid)"]);
    assert!(resumed.status.success(), "{resumed:?}");
}

#[test]
fn a_port_that_is_published_by_a_rule_alone_is_a_row_of_its_own() {
    let Some(engine) = Engine::start("--userland-proxy=false") else { return };
    let web = engine.container("web", &["-p", "8099:80"]);
    let report = engine.report(1);
    let published = row(&report, 8099);
    assert_eq!((&published["forward"]["by"], &published["forward"]["to"]["port"]), (&"nat".into(), &80.into()));
    assert_eq!(published["forward"]["container"]["id"], web);
    assert_eq!(published["forward"]["container"]["name"], "web");
    // Some engines hold the port with a socket that nobody reads, others do not.
    if published["state"] == "REDIRECT" {
        assert_eq!(published["owner"]["reason"], "redirected");
    } else {
        assert_eq!(published["owner"]["processes"][0]["name"], "dockerd");
    }
    let table = engine.portscope(["-l", "8099"]).success().stdout;
    assert!(table.contains("→ container web :80 (portscope/httpd)"), "{table}");
    assert_eq!(report["visibility"]["redirects_checked"], true);
    // With a socket or without: once the engine is gone only the rule is left.
    let ended = engine.0.run(&["sh", "-c", "kill -KILL $(cat /run/dockerd.pid)"]);
    assert!(ended.status.success(), "{ended:?}");
    let report = eventually("only the rule is left", || {
        let report = engine.portscope(["--json", "8099"]).success().json();
        (report["sockets"][0]["state"] == "REDIRECT").then_some(report)
    });
    let redirect = &report["sockets"][0];
    assert_eq!((&redirect["owner"]["tier"], &redirect["owner"]["reason"]), (&"none".into(), &"redirected".into()));
    assert_eq!(redirect["forward"]["to"]["port"], 80);
    assert_eq!(redirect["local"]["port"], 8099);
    // bind(2) succeeds now, and the container gets what comes.
    let check = engine.portscope(["check", "8099", "-a", "0.0.0.0", "--json"]).exits(1).json();
    let bind = &check["ports"][0]["binds"][0];
    assert_eq!((&bind["outcome"], &bind["cause"]), (&"shadowed".into(), &"redirected".into()), "{check:#}");
    // The engine cannot confirm that the container publishes it, so no command is suggested that would stop one.
    let fix = bind["fixes"][0].as_str().unwrap();
    assert!(fix.starts_with("remove the rule that forwards it"), "{fix}");
    // Without its proxy Docker sends what this host sends to itself to the container too, by a rule of OUTPUT.
    let local = engine.portscope(["check", "8099", "-a", "127.0.0.1", "--json"]).exits(1).json();
    let bind = &local["ports"][0]["binds"][0];
    assert_eq!((&bind["outcome"], &bind["reachability"]["local"]["answer"]), (&"shadowed".into(), &"certain".into()));
    assert!(Path::new("/proc").join(engine.0.pid().to_string()).exists());
}

#[test]
fn an_audit_finds_a_port_that_is_published_to_everybody_and_not_one_on_loopback() {
    let Some(engine) = Engine::start("") else { return };
    let _open = engine.container("open", &["-p", "6379:80"]);
    let _closed = engine.container("closed", &["-p", "127.0.0.1:8091:80"]);
    let report = engine.report(2);
    assert_eq!(row(&report, 6379)["forward"]["container"]["name"], "open");
    // A store's port that is published is open beyond loopback, whatever is behind it.
    let report = engine.portscope(["audit", "--no-policy", "--json"]).exits(1).json();
    let all = report["findings"].as_array().unwrap();
    let found_by = |id: &str| -> Vec<&Value> { all.iter().filter(|finding| finding["id"] == id).collect() };
    for id in ["published-port", "exposed-service"] {
        let found = found_by(id);
        assert!(
            !found.is_empty() && found.iter().all(|finding| finding["subject"]["port"] == 6379),
            "{id}: {found:#?}"
        );
    }
    assert!(found_by("published-port")[0]["evidence"].as_str().unwrap().contains("container open"), "{all:#?}");
    assert!(
        found_by("unknown-program").iter().all(|one| one["subject"]["port"] == 80),
        "httpd of the containers alone"
    );
}

#[test]
fn kill_says_the_name_of_a_container_that_shares_the_hosts_port_space() {
    let Some(engine) = Engine::start("") else { return };
    let id = engine.container("hostnet", &["--network", "host"]);
    let _ = engine.report(1);
    let output = engine.portscope(["kill", "80", "--dry-run"]).exits_with([0, 1]);
    assert!(
        output.stderr.contains("hint: stop container hostnet: docker stop hostnet"),
        "{} {}",
        output.stdout,
        output.stderr
    );
    assert!(!output.stderr.contains(&id[..12]), "{}", output.stderr);
    let output = engine.portscope(["kill", "80", "--via-manager", "--dry-run"]).exits_with([0, 1]);
    assert!(output.stdout.contains("would run `docker stop hostnet`"), "{} {}", output.stdout, output.stderr);
}

/// The next events of this kind on these ports, in the order of the ports, whichever comes first.
fn events<const N: usize>(stream: &mut Stream, kind: &str, ports: [u16; N]) -> [Value; N] {
    let mut found = ports.map(|_| None);
    while let Some(missing) = found.iter().position(Option::is_none) {
        let event = stream.until(&format!("{kind} {}", ports[missing]), |event| {
            (0..N).any(|at| found[at].is_none() && is(event, kind, ports[at]))
        });
        let at = ports.iter().position(|port| is(&event, kind, *port)).unwrap();
        found[at] = Some(event);
    }
    found.map(Option::unwrap)
}

#[test]
fn a_container_that_comes_and_goes_is_told_with_the_port_that_it_publishes() {
    let Some(engine) = Engine::start("") else { return };
    // The kernel tells it outside, where the engine's socket cannot be reached; inside it is polled, and has names.
    let mut outside = Stream::at_once(json());
    let mut inside = Stream::at_once(json().under(engine.0.inside()));
    // Other tests have containers too, which are seen from outside; none of them has these ports.
    let web = engine.container_on("8086", "web", &["-p", "127.0.0.1:8087:8086"]);
    let [published, listener] = events(&mut outside, "opened", [8087, 8086]);
    assert_eq!(published["owner"]["processes"][0]["name"], "docker-proxy", "{published:#}");
    assert_eq!((&published["seen"], &listener["seen"]), (&"kernel".into(), &"kernel".into()), "{listener:#}");
    assert_eq!(listener["owner"]["container"]["id"], web.as_str(), "{listener:#}");
    assert_ne!(listener["space"], published["space"]);
    let [named, listener] = events(&mut inside, "opened", [8087, 8086]);
    assert_eq!((&named["cookie"], &named["seen"]), (&published["cookie"], &"poll".into()), "{named:#}");
    assert_eq!(listener["owner"]["container"]["name"], "web", "{listener:#}");
    assert!(engine.docker(&["rm", "-f", "web"]).status.success());
    for stream in [&mut outside, &mut inside] {
        let [gone, closed] = events(stream, "closed", [8087, 8086]);
        assert_eq!((&gone["cookie"], &closed["cookie"]), (&published["cookie"], &listener["cookie"]), "{closed:#}");
    }
    // The one inside ends with its engine: what was started is the program that entered its namespaces.
    outside.end();
}
