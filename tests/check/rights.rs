//! What a user may bind and may know: privileged ports, processes that are hidden, and remedies for each.

use super::*;

#[test]
fn in_a_user_namespace_without_the_network_a_right_is_not_taken_for_granted() {
    let own = ["unshare", "--user", "--map-root-user"];
    let can = support::output(Command::new(own[0]).args(&own[1..]).arg("true")).status.success();
    if !can {
        return skip("no user namespace can be made here");
    }
    let check = |arguments: &[&str], prefix: &[&str]| {
        let run = portscope(["check", "81", "-a", "127.0.0.1", "--json"]).args(arguments).under(prefix);
        binds(&run.exits_with([0, 1]).json())[0].clone()
    };
    assert_eq!(check(&["--no-probe"], &own)["outcome"], "unknown");
    assert_eq!(check(&[], &own)["error"], "EACCES");
    let both = ["unshare", "--user", "--map-root-user", "--net", "sh", "-c", "ip link set lo up; exec \"$0\" \"$@\""];
    assert_eq!(check(&["--no-probe"], &both)["outcome"], "bindable", "there the right counts");
}

#[test]
fn root_is_not_sent_to_root() {
    if !is_root() {
        return skip("needs root to be told as root");
    }
    let socket = plain("127.0.0.1", 0);
    let arguments = ["-a", "127.0.0.1", "--backend", "portable"];
    let shown = text(port_of(&socket), &arguments);
    assert!(shown.contains("hint: try again: the owner may be short-lived"), "{shown}");
    let binary = support::ReachableBinary::new();
    let run = portscope(["check"]).arg(port_of(&socket)).args(arguments).any_stderr().run_by_nobody(&binary);
    let shown = run.exits(1).stdout;
    assert!(shown.contains("hint: try again as root: the owner may be short-lived"), "{shown}");
}

#[test]
fn nobody_is_told_to_stop_a_process_that_he_cannot_see() {
    if !is_root() {
        return skip("needs root to become another user");
    }
    let socket = plain("127.0.0.1", 0);
    socket.listen(1).unwrap();
    let (binary, port) = (support::ReachableBinary::new(), port_of(&socket));
    let run = portscope(["check", "-a", "127.0.0.1"]).arg(port).any_stderr().run_by_nobody(&binary);
    let shown = run.exits(1).stdout;
    let fix = format!("hint: find out which process holds it: portscope {port} shows why it is hidden");
    assert!(shown.contains(&fix) && !shown.contains("portscope kill"), "{shown}");
}

#[test]
fn without_proc_a_low_port_is_not_called_free() {
    if !is_root() {
        return skip("needs root to hide /proc");
    }
    let Some(space) = OwnSpace::new("") else { return };
    let binary = support::ReachableBinary::new();
    let blind = |arguments: &[&str]| {
        let run = portscope(["check", "80", "-a", "127.0.0.1"]).args(arguments).any_stderr().run_by_nobody(&binary);
        let run = run.under(["unshare", "-m", "sh", "-c", "mount -t tmpfs tmpfs /proc; exec \"$@\"", "sh"]);
        run.under(space.inside()).exits(1)
    };
    let answer = binds(&blind(&["--no-probe", "--json"]).json())[0].clone();
    assert_eq!((&answer["outcome"], &answer["cause"]), (&"unknown".into(), &"privileged".into()), "{answer:#}");
    assert!(answer["fixes"][0].as_str().unwrap().contains("without --no-probe"), "{answer:#}");
    let shown = blind(&["--no-probe"]).stdout;
    assert!(shown.contains("unknown         it may need a privilege"), "{shown}");
    let answer = binds(&blind(&["--json"]).json())[0].clone();
    assert_eq!((&answer["error"], &answer["cause"]), (&"EACCES".into(), &"privileged".into()), "{answer:#}");
}

#[test]
fn privileged_numbers_begin_where_the_space_says() {
    let Some(space) = OwnSpace::new("echo 5000 > /proc/sys/net/ipv4/ip_unprivileged_port_start") else { return };
    let check = |arguments: &[&str], code| {
        let run = portscope(["check", "-a", "127.0.0.1,::1", "--json"]).args(arguments).under(space.inside());
        binds(&run.exits(code).json())
    };
    for (user, port, error) in
        [("65534", "4999", Value::from("EACCES")), ("65534", "5000", Value::Null), ("0", "4999", Value::Null)]
    {
        let code = i32::from(!error.is_null());
        for answer in check(&["--user", user, port], code) {
            assert_eq!((&answer["error"], &answer["agrees"]), (&error, &true.into()), "{answer:#}");
            assert_eq!(answer["cause"] == "privileged", code == 1);
        }
        // Nobody needs to be asked for that.
        for answer in check(&["--user", user, port, "--no-probe"], code) {
            assert_eq!((&answer["error"], &answer["probe"]), (&error, &Value::Null), "{answer:#}");
        }
    }
    let text = portscope(["check", "80", "--user", "65534"]).under(space.inside()).exits(1).stdout;
    assert!(text.contains("AmbientCapabilities=CAP_NET_BIND_SERVICE"), "{text}");
}

#[test]
fn without_root_the_privilege_is_missed_for_real() {
    if !is_root() {
        return skip("needs root to become another user");
    }
    let Some(space) = OwnSpace::new("") else { return };
    let binary = support::ReachableBinary::new();
    let run = portscope(["check", "80", "--json"]).any_stderr().run_by_nobody(&binary).under(space.inside());
    for answer in binds(&run.exits(1).json()) {
        assert_eq!((&answer["error"], &answer["cause"]), (&"EACCES".into(), &"privileged".into()), "{answer:#}");
        assert_eq!(answer["agrees"], true);
    }
    // Another user cannot be asked for, and that is said.
    let run = portscope(["check", "8080", "--user", "0", "--json"]).run_by_nobody(&binary).under(space.inside());
    let answers = binds(&run.stderr_contains("not tried as uid 0").success().json());
    assert_eq!(answers[0]["probe"], Value::Null);
}
