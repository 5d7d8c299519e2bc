//! What a local user can make a process claim, and that no decision of root rests on it.
#![cfg(target_os = "linux")]

#[path = "trust/named_spaces.rs"]
mod named_spaces;
mod support;

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use serde_json::Value;
use support::room::Room;
use support::{Folder, Kept, eventually, is_root, portscope, skip, start};

/// A user without any rights, by number.
const STRANGER: &str = "1000";

/// Runs Python in the room, and returns it once it has printed `ready`.
fn python(room: &Room, before: &[&str], script: &str, arguments: &[&str]) -> Kept {
    let mut command = Command::new("nsenter");
    let pid = room.pid();
    command.args([format!("--net=/proc/{pid}/ns/net"), format!("--mount=/proc/{pid}/ns/mnt")]);
    command.args(before).args(["/usr/bin/python3", "-c", script]).args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = Kept(start(&mut command));
    let mut line = String::new();
    BufReader::new(child.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    child
}

fn findings(room: &Room, policy: &std::path::Path, ids: &[&str]) -> Vec<(String, String)> {
    let run = room.look(portscope(["audit", "--json", "--policy"])).arg(policy.display()).exits_with([0, 1]).json();
    let text = |finding: &Value, field: &str| finding[field].as_str().unwrap().to_owned();
    let all = run["findings"].as_array().unwrap().iter();
    all.map(|finding| (text(finding, "id"), text(finding, "evidence")))
        .filter(|(id, _)| ids.contains(&id.as_str()))
        .collect()
}

fn writes(folder: &Folder, text: &str) -> std::path::PathBuf {
    let policy = folder.join("policy.toml");
    std::fs::write(&policy, text).unwrap();
    policy
}

#[test]
fn a_process_that_calls_itself_docker_proxy_stands_for_no_container() {
    let Some(room) = Room::new() else { return };
    let listen = "\
import ctypes, os, socket
s = socket.socket(); s.bind(('0.0.0.0', 8080)); s.listen()
ctypes.CDLL(None).prctl(15, b'docker-proxy', 0, 0, 0)
print('ready', flush=True)
while True: os.read(os.open('/dev/zero', 0), 0); __import__('signal').pause()
";
    let arguments = ["-container-ip", "172.17.0.2", "-container-port", "5432"];
    let holder = python(&room, &["setpriv", "--reuid", STRANGER, "--clear-groups"], listen, &arguments);
    let socket = room.look(portscope(["--json"])).arg(8080).success().only_socket();
    assert_eq!((&socket["forward"], &socket["owner"]["container"]), (&Value::Null, &Value::Null));
    assert_eq!(socket["owner"]["processes"][0]["name"], "docker-proxy");
    let check = room.look(portscope(["check", "8080"])).exits(1).stdout;
    assert!(!check.contains("docker stop") && !check.contains("container"), "{check}");
    let stop = room.look(portscope(["kill", "8080", "--via-manager", "--yes"])).any_stderr().exits(1);
    assert!(!stop.stdout.contains("docker stop"), "{stop:?}");
    assert!(std::path::Path::new(&format!("/proc/{}", holder.pid())).exists(), "nobody has confirmed anything");
}

#[test]
fn a_path_that_is_another_file_in_its_own_mount_namespace_meets_no_rule() {
    let Some(room) = Room::new() else { return };
    let folder = Folder::new();
    // Everybody may run what stands here.
    std::fs::set_permissions(folder.join("."), std::fs::Permissions::from_mode(0o755)).unwrap();
    let evil = folder.join("evil");
    std::fs::copy(std::fs::canonicalize("/usr/bin/python3").unwrap(), &evil).unwrap();
    std::os::unix::fs::chown(&evil, Some(1000), Some(1000)).unwrap();
    let inner = "import socket, sys, signal\ns = socket.socket(); s.bind(('0.0.0.0', 8080)); s.listen()\n\
                 print('ready', flush=True)\nsignal.pause()\n";
    let script = format!("mount --bind {} /usr/bin/true && exec /usr/bin/true -c \"$0\"", evil.display());
    let mut command = Command::new("nsenter");
    command.arg(format!("--net=/proc/{}/ns/net", room.pid()));
    command.args(["setpriv", "--reuid", STRANGER, "--regid", STRANGER, "--clear-groups", "unshare", "-U", "-r", "-m"]);
    command.args(["sh", "-c", &script, inner]).stdin(Stdio::null()).stdout(Stdio::piped()).env("PYTHONHOME", "/usr");
    let mut holder = Kept(start(&mut command));
    let mut line = String::new();
    BufReader::new(holder.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    if line != "ready\n" {
        return skip("an ordinary user may make no mount namespace here");
    }
    let socket = room.look(portscope(["--json"])).arg(8080).success().only_socket();
    assert_eq!(socket["owner"]["processes"][0]["exe"], "/usr/bin/true");
    let policy = writes(&folder, "default = \"deny\"\n[[allow]]\nport = 8080\nexe = \"/usr/bin/true\"\n");
    let found = findings(&room, &policy, &["incomplete", "policy-unlisted"]);
    let told = found.iter().find(|(_, evidence)| evidence.contains("only in its own mount namespace"));
    assert!(told.is_some(), "{found:#?}");
    let replaceable = findings(&room, &policy, &["executable-writable"]);
    assert!(
        replaceable.iter().any(|(_, evidence)| evidence.contains("in its own mount namespace")),
        "{replaceable:#?}"
    );
}

#[test]
fn a_listener_whose_first_thread_has_ended_is_judged_by_a_living_one() {
    let Some(room) = Room::new() else { return };
    let folder = Folder::new();
    let script = "\
import ctypes, socket, threading, signal
s = socket.socket(); s.bind(('0.0.0.0', 8080)); s.listen()
ended = threading.Event()
def wait():
    ended.wait(5)
    print('ready', flush=True)
    s.accept()
threading.Thread(target=wait).start()
ended.set()
ctypes.CDLL(None).syscall(60, 0)
";
    let holder = python(&room, &[], script, &[]);
    eventually("the first thread has ended", || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", holder.pid())).ok()?;
        stat.rsplit(')').next()?.trim_start().starts_with('Z').then_some(())
    });
    let socket = room.look(portscope(["--json"])).arg(8080).success().only_socket();
    let exe = socket["owner"]["processes"][0]["exe"].as_str().unwrap_or_else(|| panic!("{socket:#}"));
    assert_eq!(std::path::Path::new(exe), std::fs::canonicalize("/usr/bin/python3").unwrap());
    let policy = writes(&folder, "default = \"deny\"\n[[allow]]\nport = 8080\nexe = \"/usr/sbin/nginx\"\n");
    let found = findings(&room, &policy, &["policy-unlisted"]);
    assert_eq!(found.len(), 1, "it is judged like any other: {found:#?}");
}

#[test]
fn a_rule_without_a_user_is_named_and_a_loader_is_judged_by_what_it_runs() {
    let Some(room) = Room::new() else { return };
    let folder = Folder::new();
    std::fs::set_permissions(folder.join("."), std::fs::Permissions::from_mode(0o777)).unwrap();
    let evil = folder.join("evil");
    std::fs::copy("/bin/sleep", &evil).unwrap();
    std::fs::set_permissions(&evil, std::fs::Permissions::from_mode(0o777)).unwrap();
    let Some(loader) = ["/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"]
        .into_iter()
        .find_map(|path| std::fs::canonicalize(path).ok())
    else {
        return skip("no loader is known on this system");
    };
    let script = "import os, socket, sys\ns = socket.socket(); s.bind(('0.0.0.0', 8080)); s.listen()\n\
                  s.set_inheritable(True)\nprint('ready', flush=True)\nos.execv(sys.argv[1], sys.argv[1:])\n";
    let holder = python(&room, &[], script, &[&loader.to_string_lossy(), &evil.to_string_lossy(), "1000"]);
    let now = format!("/proc/{}/exe", holder.pid());
    eventually("the loader runs", || (std::fs::read_link(&now).ok()? == loader).then_some(()));
    let policy = writes(&folder, &format!("[[allow]]\nport = 8080\nexe = \"{}\"\n", loader.display()));
    assert_eq!(findings(&room, &policy, &["policy-hint"]).len(), 1);
    let found = findings(&room, &policy, &["executable-writable"]);
    let evil = evil.to_string_lossy();
    assert!(found.iter().any(|(_, told)| told.contains("it is the loader") && told.contains(&*evil)), "{found:#?}");
}

#[test]
fn a_secret_is_masked_whatever_its_bytes_are() {
    use std::os::unix::ffi::OsStrExt;
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let secret = std::ffi::OsStr::from_bytes(b"--password=hunter2\x9b");
    let mut command = Command::new("tail");
    command.args(["-f", "/dev/null", "--"]).arg(secret);
    let _holder = support::hold(&mut command, listener);
    for format in ["json", "wide"] {
        let shown = portscope(["--argv", "--columns", "port,argv", "-o", format]).arg(port).output().stdout;
        assert!(!String::from_utf8_lossy(&shown).contains("hunter2"), "{format}");
    }
    assert!(!portscope(["info"]).arg(port).success().stdout.contains("hunter2"));
}

#[test]
fn under_sudo_no_program_of_the_users_own_path_is_run_as_the_pager() {
    if !is_root() {
        return skip("needs root to be what sudo makes of a user");
    }
    let folder = Folder::new();
    let mark = folder.join("mark");
    let pager = folder.join("less");
    std::fs::write(&pager, format!("#!/bin/sh\ntouch {}\ncat\n", mark.display())).unwrap();
    std::fs::set_permissions(&pager, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", pager.parent().unwrap().display(), std::env::var("PATH").unwrap());
    for under_sudo in [true, false] {
        let run = portscope(["services", "--all"]).env("PATH", &path).env("TERM", "xterm");
        let run = if under_sudo { run.env("SUDO_UID", STRANGER) } else { run };
        let mut run = run.at_terminal();
        if under_sudo {
            // What pages now waits for a key.
            run.types("q");
        }
        let (_, shown) = run.ends();
        assert!(shown.contains("tcpmux") || shown.contains("ftp-data"), "{shown:?}");
        assert_eq!(mark.exists(), !under_sudo, "under sudo: {under_sudo}");
        let _ = std::fs::remove_file(&mark);
    }
}

#[test]
fn a_report_that_cannot_be_written_is_one_line_and_leaves_no_file() {
    let folder = Folder::new();
    let report = folder.join("report.json");
    let run = portscope(["snapshot"]).arg(report.display()).under(["prlimit", "--fsize=0"]);
    let output = run.any_stderr().exits(2);
    assert_eq!(output.stderr.lines().count(), 1, "{output:?}");
    let listing = folder.join("listing");
    let script = format!("ulimit -f 0; exec {} > {}", env!("CARGO_BIN_EXE_portscope"), listing.display());
    let output = support::output(Command::new("sh").args(["-c", &script]));
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("portscope: "), "{output:?}");
    std::fs::remove_file(&listing).unwrap();
    let left: Vec<_> = std::fs::read_dir(folder.join(".")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn no_name_of_a_cgroup_becomes_part_of_a_command_line_that_is_suggested() {
    let folder = Folder::new();
    let tree = folder.join("tree");
    std::fs::create_dir(&tree).unwrap();
    let top = tree.join("portscope-trust.slice");
    let app = top.join("user.slice/user-1000.slice/user@1000.service/app.slice");
    let script = format!("mount -t cgroup2 cgroup2 {} && mkdir -p {}", tree.display(), app.display());
    let Some(room) = Room::with(&script) else { return };
    for (name, is_never) in [("x.service; id #.service", "id #"), ("ssh.service", "systemctl stop ssh.service")] {
        let own = app.join(name);
        let enter = format!("mkdir '{0}' && echo $$ > '{0}/cgroup.procs' && exec \"$@\"", own.display());
        let listen = "import signal, socket\ns = socket.socket(); s.bind(('0.0.0.0', 8080)); s.listen()\n\
                      print('ready', flush=True)\nsignal.pause()\n";
        let holder = python(&room, &["sh", "-c", &enter, "sh"], listen, &[]);
        let socket = room.look(portscope(["--json"])).arg(8080).success().only_socket();
        assert_eq!(socket["owner"]["unit"], name, "{socket:#}");
        for command in ["check", "info"] {
            let shown = room.look(portscope([command, "8080"])).any_stderr().exits_with([0, 1]).stdout;
            let hints = shown.lines().filter(|line| line.contains("systemctl") || line.starts_with("hint: "));
            for hint in hints {
                assert!(!hint.contains(is_never), "{name}: {shown}");
            }
        }
        let dry = room.look(portscope(["kill", "8080", "--dry-run"])).any_stderr().exits_with([0, 1]).stdout;
        assert!(!dry.contains(&format!("stop it for good: systemctl stop {name}")), "{dry}");
        drop(holder);
        let remove = format!("while ! rmdir '{0}' 2>/dev/null && test -d '{0}'; do :; done", own.display());
        room.runs(&["sh", "-c", &remove]);
    }
    let remove = format!("find {} -depth -type d -exec rmdir {{}} \\;", top.display());
    room.runs(&["sh", "-c", &remove]);
}

#[test]
fn what_a_loader_runs_in_its_own_mount_namespace_is_judged_by_its_file_and_not_by_its_path() {
    let Some(room) = Room::new() else { return };
    let Some(loader) = ["/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"]
        .into_iter()
        .find_map(|path| std::fs::canonicalize(path).ok())
    else {
        return skip("no loader is known on this system");
    };
    let folder = Folder::new();
    std::fs::set_permissions(folder.join("."), std::fs::Permissions::from_mode(0o755)).unwrap();
    let evil = folder.join("evil");
    std::fs::copy(std::fs::canonicalize("/bin/sleep").unwrap(), &evil).unwrap();
    std::os::unix::fs::chown(&evil, Some(1000), Some(1000)).unwrap();
    let script =
        format!("mount --bind {} /usr/bin/true && exec {} /usr/bin/true 1000", evil.display(), loader.display());
    let listen = "import os, socket, sys\ns = socket.socket(); s.bind(('0.0.0.0', 8080)); s.listen()\n\
                  s.set_inheritable(True)\nprint('ready', flush=True)\nos.execv('/bin/sh', ['sh', '-c', sys.argv[1]])\n";
    let stranger = ["setpriv", "--reuid", STRANGER, "--regid", STRANGER, "--clear-groups", "unshare", "-U", "-r", "-m"];
    let holder = python(&room, &stranger, listen, &[&script]);
    let now = format!("/proc/{}/exe", holder.pid());
    eventually("the loader runs", || (std::fs::read_link(&now).ok()? == loader).then_some(()));
    eventually("it has mapped what it runs", || {
        let policy = writes(&folder, "");
        let found = findings(&room, &policy, &["executable-writable"]);
        let told = |(_, told): &(String, String)| told.contains("it is the loader") && told.contains("/usr/bin/true");
        found.iter().any(told).then_some(())
    });
}

#[test]
fn a_users_manager_that_accepts_and_never_answers_holds_nobody_up() {
    if !std::path::Path::new("/usr/bin/systemctl").exists() {
        return skip("needs systemctl");
    }
    let folder = Folder::new();
    let tree = folder.join("tree");
    std::fs::create_dir(&tree).unwrap();
    let top = tree.join("portscope-silent.slice");
    let own = top.join("user.slice/user-1000.slice/user@1000.service/app.slice/web.service");
    let script = format!(
        "mount -t tmpfs tmpfs /run && mkdir -p /run/user/1000/systemd && chown -R 1000:1000 /run/user/1000 && \
         mount -t cgroup2 cgroup2 {} && mkdir -p {}",
        tree.display(),
        own.display()
    );
    let Some(room) = Room::with(&script) else { return };
    let silent = "import signal, socket\nkept = []\nfor path in ('bus', 'systemd/private'):\n\
                  \x20   s = socket.socket(socket.AF_UNIX); s.bind('/run/user/1000/' + path); s.listen(); kept.append(s)\n\
                  print('ready', flush=True)\nsignal.pause()\n";
    let _manager = python(&room, &["setpriv", "--reuid", STRANGER, "--regid", STRANGER, "--clear-groups"], silent, &[]);
    let enter =
        format!("echo $$ >{}/cgroup.procs && exec setpriv --reuid {STRANGER} --clear-groups \"$@\"", own.display());
    let listen = "import signal, socket\ns = socket.socket(); s.bind(('0.0.0.0', 8080)); s.listen()\n\
                  print('ready', flush=True)\nsignal.pause()\n";
    let holder = python(&room, &["sh", "-c", &enter, "sh"], listen, &[]);
    let begun = std::time::Instant::now();
    let run = room.look(portscope(["kill", "8080", "--via-manager", "--yes"])).any_stderr().exits(1);
    assert!(run.stderr.contains("timed out"), "{run:?}");
    assert!(begun.elapsed() < std::time::Duration::from_mins(1), "{:?}", begun.elapsed());
    assert!(std::path::Path::new(&format!("/proc/{}", holder.pid())).exists());
    drop(holder);
    let remove = format!(
        "for i in $(seq 200); do find {0} -depth -type d -exec rmdir {{}} \\; 2>/dev/null; test -d {0} || exit 0; sleep 0.05; done",
        top.display()
    );
    room.runs(&["sh", "-c", &remove]);
}
