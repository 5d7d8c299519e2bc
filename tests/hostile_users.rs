//! Thirty processes of a stranger, each with another way to be taken for somebody else: root sees
//! the kernel's facts about them, no line that is offered as a command repeats what they say, and nobody else is touched.
#![cfg(target_os = "linux")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use support::room::Room;
use support::{Folder, Kept, Run, eventually, portscope, start};

const STRANGER: u64 = 1000;
/// The container that the runtime really has.
const PROD: &str = "5f1ab0c4d2e3f4a5b6c7d8e9f0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3";
/// In everything that they say of themselves, where it has room.
const MARK: &str = "PWN";

/// The room with its crowd, a runtime, and managers that write down what they are asked.
struct Crowd {
    room: Room,
    folder: Folder,
    tree: std::path::PathBuf,
    /// The processes that hold each port.
    holders: BTreeMap<u16, BTreeSet<u64>>,
    all: Option<Kept>,
    _runtime: Kept,
    bystanders: Vec<Kept>,
}

fn python(room: &Room, enter: &[&str], script: &str, arguments: &[&str]) -> (Kept, Vec<String>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/hostile").join(script);
    let text = std::fs::read_to_string(path).unwrap();
    let mut command = Command::new("nsenter");
    let pid = room.pid();
    command.args([format!("--net=/proc/{pid}/ns/net"), format!("--mount=/proc/{pid}/ns/mnt")]);
    command
        .args(enter)
        .args(["/usr/bin/python3", "-c", &text])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let mut child = Kept(start(&mut command));
    let lines = BufReader::new(child.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    let told: Vec<String> = lines.take_while(|line| line != "ready").collect();
    (child, told)
}

impl Crowd {
    fn gather() -> Option<Crowd> {
        let folder = Folder::new();
        std::fs::set_permissions(folder.join("."), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        let tree = folder.join("tree");
        std::fs::create_dir(&tree).unwrap();
        let log = folder.join("asked");
        std::fs::write(&log, "").unwrap();
        let app = tree.join("portscope-crowd.slice/user.slice/user-1000.slice/user@1000.service/app.slice");
        // The managers' own programs are other ones here.
        let manager = |name: &str, answer: &str| {
            let program = folder.join(format!("fake-{name}"));
            let text = format!("#!/bin/sh\necho {name} \"$@\" >>{}\necho {answer}\n", log.display());
            std::fs::write(&program, text).unwrap();
            std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
            let place = Path::new("/usr/bin").join(name);
            if place.exists() {
                format!("mount --bind {} /usr/bin/{name} && ", program.display())
            } else {
                String::new()
            }
        };
        let script = format!(
            "{}{}mount -t tmpfs tmpfs /run && mount -t cgroup2 cgroup2 {} && mkdir -p {app} {app}/start && \
             chown -R {STRANGER}:{STRANGER} {app}",
            manager("docker", "$$"),
            manager("systemctl", "/system.slice/ssh.service"),
            tree.display(),
            app = app.display(),
        );
        let room = Room::with(&script)?;
        let (runtime, _) = python(&room, &[], "runtime.py", &["/run/docker.sock", &log.to_string_lossy(), PROD]);
        let enter = format!(
            "echo $$ >{}/start/cgroup.procs && exec setpriv --reuid {STRANGER} --regid {STRANGER} --clear-groups \"$@\"",
            app.display()
        );
        let (own, app) = (folder.join("."), app.to_string_lossy().into_owned());
        let arguments = [&*own.to_string_lossy(), &app, PROD];
        let (all, told) = python(&room, &["sh", "-c", &enter, "sh"], "crowd.py", &arguments);
        let bystanders = vec![
            room.holds("/bin/sleep", 0, &["tcp 0.0.0.0 22000"]),
            room.holds("/bin/sleep", 65534, &["tcp 0.0.0.0 22001"]),
        ];
        let holders = told.iter().map(|line| {
            let mut numbers = line.split(' ').map(|number| number.parse::<u64>().unwrap());
            (u16::try_from(numbers.next().unwrap()).unwrap(), numbers.collect())
        });
        let crowd =
            Crowd { holders: holders.collect(), room, folder, tree, all: Some(all), _runtime: runtime, bystanders };
        assert_eq!(crowd.holders.len(), 30);
        crowd.settles();
        Some(crowd)
    }

    fn look<const N: usize>(&self, words: [&str; N]) -> Run {
        self.room.look(portscope(words)).any_stderr()
    }

    /// The rows of the crowd's ports.
    fn rows(&self) -> BTreeMap<u16, Value> {
        let report = self.look(["-l", "--space", "all", "--json"]).success().json();
        let rows = report["sockets"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| (u16::try_from(row["local"]["port"].as_u64().unwrap()).unwrap(), row.clone()));
        rows.filter(|(port, _)| self.holders.contains_key(port)).collect()
    }

    /// Waits until each has become what it wants to seem.
    fn settles(&self) {
        let is_it = |pid: &u64| {
            let first = std::fs::read(format!("/proc/{pid}/stat")).unwrap_or_default();
            let first = String::from_utf8_lossy(&first);
            let is_dead = first.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z'));
            let name = std::fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
            // Those that fork stay Python.
            is_dead || name != b"python3\n"
        };
        let started = self.holders.iter().filter(|(port, _)| (21000..21026).contains(*port));
        let pids: Vec<&u64> = started.filter(|(port, _)| **port != 21025).flat_map(|(_, pids)| pids).collect();
        eventually("the crowd is ready", || pids.iter().all(|pid| is_it(pid)).then_some(()));
    }

    fn is_alive(pid: u64) -> bool {
        std::fs::read_dir(format!("/proc/{pid}/task")).is_ok_and(|tasks| {
            tasks.flatten().any(|task| {
                let stat = std::fs::read(task.path().join("stat")).unwrap_or_default();
                let stat = String::from_utf8_lossy(&stat);
                !stat.rsplit(')').next().is_none_or(|rest| rest.trim_start().starts_with(['Z', 'X']))
            })
        })
    }

    #[track_caller]
    fn nobody_else_is_touched(&self, ended: &BTreeSet<u64>) {
        for pid in self.holders.values().flatten().filter(|pid| !ended.contains(pid)) {
            assert!(Crowd::is_alive(*pid), "{pid} of the crowd has ended: {:?}", self.holders);
        }
        for bystander in &self.bystanders {
            assert!(Crowd::is_alive(bystander.pid().into()), "a bystander has ended");
        }
        let asked = std::fs::read_to_string(self.folder.join("asked")).unwrap();
        for line in asked.lines() {
            let is_question = line.starts_with("GET ") || line.contains(" show ") || line.contains(" inspect ");
            assert!(is_question && !line.contains(MARK), "a manager was told: {line}");
        }
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        drop(self.all.take());
        let top = self.tree.join("portscope-crowd.slice");
        let remove = format!(
            "for i in $(seq 200); do find {0} -depth -type d -exec rmdir {{}} \\; 2>/dev/null; test -d {0} || exit 0; sleep 0.05; done",
            top.display()
        );
        self.room.runs(&["sh", "-c", &remove]);
    }
}

/// Fails where a line that a reader may copy as a command has anything of theirs.
#[track_caller]
fn offers_nothing_of_theirs(what: &str, text: &str) {
    const COMMANDS: [&str; 6] =
        ["docker stop", "podman stop", "systemctl", "sudo ", "portscope kill", "portscope close"];
    for line in text.lines() {
        assert!(!line.chars().any(|character| character.is_control() && character != '\t'), "{what}: {line:?}");
        let is_offered = line.starts_with("hint: ") || COMMANDS.iter().any(|command| line.contains(command));
        assert!(!(is_offered && line.contains(MARK)), "{what}: {line}");
        for other in ["prod-db", "docker stop", "podman stop", "systemctl stop"] {
            assert!(!(is_offered && line.contains(other)), "{what}: {line}");
        }
    }
}

#[test]
fn of_thirty_hostile_processes_root_is_told_the_kernels_facts_and_ends_no_other() {
    let Some(crowd) = Crowd::gather() else { return };
    let rows = crowd.rows();
    assert_eq!(rows.keys().collect::<Vec<_>>(), crowd.holders.keys().collect::<Vec<_>>(), "every listener is listed");
    for (port, pids) in &crowd.holders {
        let row = &rows[port];
        let processes = row["owner"]["processes"].as_array().unwrap();
        let told: BTreeSet<u64> = processes.iter().map(|process| process["pid"].as_u64().unwrap()).collect();
        assert_eq!(&told, pids, "{port}: {row:#}");
        assert!(processes.iter().all(|process| process["uid"] == STRANGER), "{port}: {row:#}");
        if pids.is_empty() {
            // Where a process cannot be read, it may be the one that holds it.
            let reason = row["owner"]["reason"].as_str().unwrap();
            assert!(["in-flight", "protected"].contains(&reason), "{row:#}");
        }
        assert_eq!(row["uid"], STRANGER, "{port}: {row:#}");
        assert_eq!(row["forward"], Value::Null, "{port}: {row:#}");
        let claims = row["owner"]["claims"].as_array().unwrap();
        let is_theirs = |text: &Value| text.as_str().is_some_and(|text| text != "user@1000.service");
        for field in ["unit", "container", "outer_container"] {
            let value = &row["owner"][field];
            let says = if field == "unit" { is_theirs(value) } else { !value.is_null() };
            assert!(!says || claims.contains(&field.into()), "{port} {field}: {row:#}");
        }
    }

    for format in ["table", "wide", "markdown", "csv", "tsv"] {
        let shown = crowd.look(["--space", "all", "-a", "--argv", "-o", format]).success();
        offers_nothing_of_theirs(format, &(shown.stdout + &shown.stderr));
    }
    for words in [&["-g"][..], &["audit"], &["usage"], &["spaces"], &["export"], &["free"], &["audit", "--init"]] {
        let shown = crowd.room.look(portscope(words.iter().copied())).any_stderr().exits_with([0, 1]);
        offers_nothing_of_theirs(&words.join(" "), &(shown.stdout + &shown.stderr));
    }
    let audit = crowd.look(["audit", "--space", "all", "--json"]).exits_with([0, 1]).json();
    for finding in audit["findings"].as_array().unwrap() {
        assert!(!finding["remedy"].as_str().unwrap().contains(MARK), "{finding:#}");
    }
    for words in
        [&["info", "-v"][..], &["check"], &["check", "--no-reuseaddr"], &["kill", "--dry-run"], &["close", "--dry-run"]]
    {
        let run = crowd.room.look(portscope(words.iter().copied()).arg("21000-21029"));
        let shown = run.any_stderr().exits_with([0, 1]);
        offers_nothing_of_theirs(&words.join(" "), &(shown.stdout + &shown.stderr));
    }
    let check = crowd.look(["check", "--json", "21000-21029"]).exits(1).json();
    let ports = check["ports"].as_array().unwrap();
    assert_eq!(ports.len(), 30);
    for bind in ports.iter().flat_map(|port| port["binds"].as_array().unwrap()) {
        let fixes = bind["fixes"].to_string();
        assert!(!fixes.contains(MARK) && !fixes.contains("docker") && !fixes.contains("systemctl stop"), "{bind:#}");
    }
    crowd.nobody_else_is_touched(&BTreeSet::new());

    for port in crowd.holders.keys() {
        // The user's own systemd is the one to ask, and it does not run here.
        let run = crowd.look(["kill", "--via-manager", "--yes", &port.to_string()]).exits(1);
        offers_nothing_of_theirs("kill --via-manager", &(run.stdout + &run.stderr));
    }
    crowd.nobody_else_is_touched(&BTreeSet::new());

    let mut ended = BTreeSet::new();
    for (port, pids) in &crowd.holders {
        // The thread listens in another port space, and nobody holds what is in flight.
        let is_here = rows[port]["space"] == rows[&21000]["space"] && !pids.is_empty();
        let _ = crowd.look(["kill", "--yes", "--force-after", "1s", &port.to_string()]).exits(i32::from(!is_here));
        if is_here {
            ended.extend(pids);
            // The port is free some instants before its process is gone.
            eventually("the holders have ended", || (!pids.iter().any(|pid| Crowd::is_alive(*pid))).then_some(()));
        }
        crowd.nobody_else_is_touched(&ended);
    }
    assert_eq!(ended.len(), 29);
}
