//! Services that a manager starts again, and stopping them through it.

use super::*;

/// A cgroup that is called like a unit, with a process in it that holds a listener; it goes with the value.
struct Unit {
    folder: PathBuf,
    server: Option<Kept>,
    port: u16,
}

impl Unit {
    fn start(name: &str) -> Option<Unit> {
        let root = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"]
            .into_iter()
            .find(|root| Path::new(root).join("cgroup.procs").exists());
        let Some(root) = root.filter(|_| is_root()) else {
            skip("needs root and a tree of cgroups of version 2");
            return None;
        };
        let folder = Path::new(root).join(name);
        if let Err(error) = std::fs::create_dir_all(&folder) {
            skip(&format!("cannot make a cgroup: {error}"));
            return None;
        }
        let (server, port) = server();
        let unit = Unit { folder, server: Some(server), port };
        std::fs::write(unit.folder.join("cgroup.procs"), unit.pid().to_string()).unwrap();
        Some(unit)
    }

    fn pid(&self) -> u32 {
        self.server.as_ref().unwrap().pid()
    }

    /// Runs `kill` where `systemctl` is this script, in a mount namespace of its own.
    fn kill(&self, flags: &[&str], script: &str) -> Run {
        let program = format!("#!/bin/sh\n{script}\n");
        let prepare = format!(
            "set -e; p=$(readlink -f /usr/bin); {}; printf '%s' \"$0\" >/mnt/systemctl; chmod 755 /mnt/systemctl; \
             test -e $p/systemctl || exit 77; mount --bind /mnt/systemctl $p/systemctl; exec \"$@\"",
            empty("/mnt")
        );
        let wrapper = ["unshare", "-m", "sh", "-c", &prepare, &program].map(str::to_owned);
        portscope(["kill", "--via-manager"]).args(flags).arg(self.port).under(wrapper)
    }
}

impl Drop for Unit {
    fn drop(&mut self) {
        drop(self.server.take());
        // Those that others are in, and the root, stay.
        for folder in self.folder.ancestors().take_while(|folder| folder.join("cgroup.procs").exists()) {
            if std::fs::remove_dir(folder).is_err() {
                break;
            }
        }
    }
}

#[test]
fn a_unit_is_named_with_the_command_that_stops_it_and_its_manager_is_told_to() {
    if !Path::new("/usr/bin/systemctl").exists() {
        return skip("needs a systemctl in whose place another can be put");
    }
    let name = format!("portscope-test-{}.service", std::process::id());
    let Some(mut unit) = Unit::start(&name) else { return };
    let pid = unit.pid();
    let output = portscope(["kill", "--dry-run"]).arg(unit.port).success();
    let told = format!("  unit {name} may start it again\nhint: stop it for good: systemctl stop {name}\n");
    assert!(output.stdout.contains(&told), "{}", output.stdout);

    // What a cgroup is called is a hint; here systemd knows nothing of it.
    let not = format!(
        "{pid} sleep seems to belong to unit {name}, but its manager does not know the process; nothing was done"
    );
    let _ = unit.kill(&["--yes"], "echo /system.slice/other.service").stderr_contains(&not).exits(1);
    let cannot = format!("can't find out whether {pid} sleep belongs to unit {name}: /usr/bin/systemctl: no bus");
    let _ = unit.kill(&["--yes"], "echo no bus >&2; exit 1").stderr_contains(&cannot).exits(1);
    assert!(is_alive(unit.server.as_mut().unwrap()));

    let script = format!(
        "case $1 in show) echo /{name};; stop) test $(env | grep -cv '^PWD=\\|^_=\\|^SHLVL=\\|^OLDPWD=') = 1 && kill -USR1 {pid};; esac"
    );
    let output = unit.kill(&["--dry-run"], &script).success();
    assert!(output.stdout.contains(&format!("would run `systemctl stop {name}`\n")), "{}", output.stdout);
    assert!(is_alive(unit.server.as_mut().unwrap()));
    let output = unit.kill(&["--yes"], &script).env("DOCKER_HOST", "tcp://192.0.2.1").success();
    let told = format!("unit {name}: stopped\ntcp {} is free\n", unit.port);
    assert!(output.stdout.ends_with(&told), "{}", output.stdout);
    assert_eq!(ended_by(unit.server.take().unwrap()), Some(10), "by the manager, not by portscope");
}

#[test]
fn a_unit_inside_of_a_container_is_never_taken_for_the_hosts() {
    let own = std::process::id();
    let around = format!("systemd-nspawn@box{own}.service");
    for (container, unit, fix) in [
        (format!("portscope-{own}.slice/{around}/payload"), Some(&around), format!("systemctl stop {around}\n")),
        (
            format!("portscope-{own}.slice/machine-box{own}.scope/payload"),
            None,
            format!(" inside its container (nspawn box{own}), or stop the container with its own tools\n"),
        ),
        (
            format!("lxc.payload.box{own}"),
            None,
            format!(" inside its container (lxc box{own}), or stop the container with its own tools\n"),
        ),
    ] {
        let Some(server) = Unit::start(&format!("{container}/system.slice/nginx.service")) else { return };
        let port = server.port;
        // A condition looks at every field, so that units are asked for.
        let row = portscope(["--json", "--where", "owner.container != null"]).arg(port).success().only_socket();
        assert_eq!(row["owner"]["unit"], serde_json::json!(unit), "{container}");
        assert_eq!(row["owner"]["container"]["id"], format!("box{own}"), "{container}");
        let by_unit = portscope(["-o", "csv", "nginx.service"]).any_stderr().exits_with([0, 1]).stdout;
        assert!(!by_unit.contains(&format!(",{port},")), "{container}");
        let check = portscope(["check", "-a", "127.0.0.1"]).arg(port).any_stderr().exits(1).stdout;
        let kill = portscope(["kill", "--dry-run"]).arg(port).success().stdout;
        assert!(check.contains(&fix), "{check}");
        let stops = unit.map(|unit| format!("unit {unit} may start it again\nhint: stop it for good: {fix}"));
        assert_eq!(stops.as_ref().is_some_and(|stops| kill.contains(stops)), unit.is_some(), "{kill}");
        assert_eq!(kill.contains("may start it again"), unit.is_some(), "{kill}");
        assert!(!check.contains("nginx.service") && !kill.contains("nginx.service"), "{check}{kill}");
    }
}

#[test]
fn without_a_manager_nothing_is_stopped_through_one() {
    let (mut server, port) = server();
    let told = format!("{} sleep runs in no unit or container that could be stopped; nothing was done\n", server.pid());
    let run = portscope(["kill", "--via-manager", "--yes"]).arg(port);
    if portscope(["kill", "--dry-run"]).arg(port).success().stdout.contains("may start it again") {
        return skip("the tests themselves run in a unit");
    }
    let _ = run.stderr_contains(&told).exits(1);
    assert!(is_alive(&mut server));
}
