//! Owners that may not be seen, and what is known of them all the same.

use super::*;

#[test]
fn holders_outside_of_the_pid_namespace_are_hidden_not_absent() {
    let Some(scene) = Scene::start("tcp4") else { return };
    let inside = ["unshare", "-p", "-f", "--mount-proc"];
    let report = portscope(["--json"]).arg(&scene.socket("listener")["port"]).under(inside).success().json();
    let owner = &report["sockets"][0]["owner"];
    assert_eq!((&owner["tier"], &owner["reason"]), (&"user".into(), &"pid-namespace".into()));
    let told = report["visibility"]["reasons"][0]["detail"].as_str().unwrap();
    assert!(told.contains("PID namespace"), "{told}");
}

#[test]
fn the_kernels_own_sockets_are_not_hidden_by_a_permission() {
    let Some(scene) = Scene::start("vxlan") else { return };
    let rows = portscope(["-u", "--json"]).under(scene.inside()).any_stderr().success().sockets();
    let row = row(&rows, &scene.sockets()[0]);
    assert!(row["owner"]["processes"].as_array().unwrap().is_empty());
    let reason = row["owner"]["reason"].as_str().unwrap();
    assert!(["not-found", "protected"].contains(&reason), "{row}");
}

#[test]
fn only_the_pair_of_capabilities_shows_others() {
    if !is_root() {
        return skip("needs root to become another user with capabilities");
    }
    let Some(scene) = Scene::start("tcp4") else { return };
    let binary = ReachableBinary::new();
    let with = |capabilities: &str| {
        let inherited = format!("--inh-caps={capabilities}");
        let ambient = format!("--ambient-caps={capabilities}");
        let mut command = Command::new("setpriv");
        command.args(["--reuid", "65534", "--clear-groups", &inherited, &ambient]).arg(binary.path());
        let output = support::output(command.args(["--json", &scene.socket("listener")["port"].to_string()]));
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    for capabilities in ["+sys_ptrace", "+dac_read_search", "+net_admin"] {
        let report = with(capabilities);
        assert_eq!(report["sockets"][0]["owner"]["tier"], "user", "{capabilities}");
        let reason = &report["visibility"]["reasons"][0];
        assert!(reason["detail"].as_str().unwrap().contains("no permission to inspect"), "{reason}");
        assert!(reason["hint"].is_string(), "{reason}");
    }
    assert_eq!(with("+sys_ptrace,+dac_read_search")["sockets"][0]["owner"]["tier"], "process");
}

#[test]
fn a_proc_that_hides_is_named() {
    if !is_root() {
        return skip("needs root to mount /proc");
    }
    let Some(scene) = Scene::start("tcp4") else { return };
    let binary = ReachableBinary::new();
    let port = scene.socket("listener")["port"].to_string();
    let under_mount = |mount: &str| {
        let script = format!(
            "{mount} && exec setpriv --reuid 65534 --clear-groups --inh-caps=-all {} --json {port}",
            binary.path().display()
        );
        let output = support::output(Command::new("unshare").args(["-m", "sh", "-c", &script]));
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let report = under_mount("mount -t proc -o hidepid=2 proc /proc");
    let owner = &report["sockets"][0]["owner"];
    assert_eq!((&owner["tier"], &owner["reason"]), (&"user".into(), &"permission".into()));
    let told = report["visibility"]["reasons"][0]["detail"].as_str().unwrap();
    assert!(told.contains("hidepid="), "{told}");

    let report = under_mount("mount -t tmpfs -o mode=000 tmpfs /proc");
    assert_eq!(report["sockets"][0]["owner"]["reason"], "no-processes", "{report}");
    assert_eq!(report["visibility"]["complete"], false);
}

#[test]
fn a_unit_or_container_is_named_to_whom_the_process_is_hidden() {
    if !is_root() {
        return skip("needs root to make a cgroup");
    }
    let id = "0123456789abcdef".repeat(4);
    for (cgroup, tier, shown, word) in [
        ("portscope-test.service".to_owned(), "unit", "(portscope-test.service)", "portscope-test"),
        (format!("docker-{id}.scope"), "container", "(docker 0123456789ab)", "0123456789ab"),
    ] {
        let folder = Folder::new();
        let tree = folder.join("tree");
        std::fs::create_dir(&tree).unwrap();
        let own = tree.join("portscope-test.slice").join(&cgroup);
        // The tree is mounted for the scene and the listing only.
        let script = format!(
            "mount -t cgroup2 cgroup2 {tree} && mkdir -p {own} && echo $$ > {own}/cgroup.procs && exec \"$0\" \"$@\"",
            tree = tree.display(),
            own = own.display()
        );
        let Some(scene) = Scene::start_under(&["unshare", "-m", "sh", "-c", &script], "tcp4") else { continue };
        let mount = format!("--mount=/proc/{}/ns/mnt", scene.pid());
        let port = scene.socket("listener")["port"].clone();
        let binary = ReachableBinary::new();
        let look = |run: support::Run| run.arg(&port).run_by_nobody(&binary).under(["nsenter", &mount]);
        let owner = look(portscope(["--json"])).success().only_socket()["owner"].clone();
        assert_eq!((&owner["tier"], &owner["reason"]), (&tier.into(), &"permission".into()), "{owner}");
        match tier {
            "unit" => assert_eq!(owner["unit"], cgroup),
            _ => assert_eq!(
                (&owner["container"]["runtime"], &owner["container"]["id"]),
                (&"docker".into(), &id.as_str().into())
            ),
        }
        let output = look(portscope(["-H"])).any_stderr().success();
        assert!(output.stdout.contains(shown), "{}", output.stdout);
        let by_name = look(portscope(["--json", word])).success();
        assert!(!by_name.sockets().is_empty());
        drop(scene);
        let cleanup = format!(
            "mount -t cgroup2 cgroup2 {} && while ! rmdir -p {} 2>/dev/null && test -d {}; do :; done",
            tree.display(),
            own.display(),
            own.display()
        );
        assert!(support::output(Command::new("unshare").args(["-m", "sh", "-c", &cleanup])).status.success());
    }
}
