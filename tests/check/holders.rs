//! Each kind of socket that can be in the way, made for real, and what helps.

use super::*;

#[test]
fn a_specific_address_is_in_the_way_of_every_address_and_the_other_way_round() {
    let specific = plain("127.0.0.53", 0);
    specific.listen(1).unwrap();
    let answer = verdict(port_of(&specific), &["-a", "0.0.0.0"], 1);
    assert_eq!(answer["blockers"][0]["overlap"], "covers-specific");
    assert!(text(port_of(&specific), &["-a", "0.0.0.0"]).contains("hint: bind one address that is free"));
    assert_eq!(verdict(port_of(&specific), &["-a", "127.0.0.54"], 0)["outcome"], "bindable");
    let every = plain("0.0.0.0", 0);
    every.listen(1).unwrap();
    assert_eq!(verdict(port_of(&every), &["-a", "127.0.0.53"], 1)["blockers"][0]["overlap"], "covered-by-wildcard");
}

#[test]
fn dual_stack_is_told_from_both_sides() {
    let dual = plain("::", 0);
    dual.listen(1).unwrap();
    let answer = verdict(port_of(&dual), &["-a", "127.0.0.1"], 1);
    assert_eq!(answer["blockers"][0]["overlap"], "their-dual-stack");
    assert!(
        text(port_of(&dual), &["-a", "0.0.0.0"]).contains("hint: set IPV6_V6ONLY in the program that is bound to ::")
    );

    let ipv4 = plain("127.0.0.1", 0);
    ipv4.listen(1).unwrap();
    assert_eq!(verdict(port_of(&ipv4), &["-a", "::"], 1)["blockers"][0]["overlap"], "our-dual-stack");
    assert!(text(port_of(&ipv4), &["-a", "::"]).contains("hint: set IPV6_V6ONLY: only the IPv4 half"));
    assert_eq!(verdict(port_of(&ipv4), &["-a", "::", "--v6only"], 0)["v6only"], true);
    assert_eq!(verdict(port_of(&ipv4), &["-a", "::ffff:127.0.0.1"], 1)["blockers"][0]["overlap"], "same");
}

#[test]
fn sharing_by_reuseport_is_offered_to_the_same_user_only() {
    let place = PLACES[1];
    let first = bind(Type::STREAM, place, "--reuseport", 0).unwrap();
    first.listen(1).unwrap();
    let port = port_of(&first);
    let answer = verdict(port, &["-a", "127.0.0.1", "--no-reuseaddr"], 1);
    assert_eq!((&answer["with_reuseport"], &answer["with_reuseaddr"]), (&true.into(), &false.into()));
    assert!(text(port, &["-a", "127.0.0.1"]).contains("hint: set SO_REUSEPORT before bind to share the port"));
    assert_eq!(verdict(port, &["-a", "127.0.0.1", "--reuseport"], 0)["rule"], "depends");
    // Two on the very same address show that both have set it.
    let second = bind(Type::STREAM, place, "--reuseport", port).unwrap();
    second.listen(1).unwrap();
    assert_eq!(verdict(port, &["-a", "127.0.0.1", "--reuseport"], 0)["rule"], "bindable");
    if is_root() {
        let other = ["-a", "127.0.0.1", "--reuseport", "--user", "65534"];
        assert_eq!(verdict(port, &other, 1)["probe"]["error"], "EADDRINUSE");
    }
}

#[test]
fn a_socket_that_is_bound_and_does_not_listen_takes_the_port() {
    let socket = plain("127.0.0.1", 0);
    let answer = verdict(port_of(&socket), &["-a", "127.0.0.1"], 1);
    assert_eq!((&answer["cause"], &answer["blockers"][0]["socket"]["state"]), (&"bound".into(), &"BOUND".into()));
    assert_eq!(pids(&answer["blockers"][0]["socket"]), [std::process::id()]);
    assert!(text(port_of(&socket), &["-a", "127.0.0.1"]).contains("the process that bound it is not listening"));
}

#[test]
fn time_wait_is_told_with_its_seconds_and_with_what_helps() {
    let listener = bind(Type::STREAM, PLACES[1], "--reuseaddr", 0).unwrap();
    listener.listen(1).unwrap();
    let port = port_of(&listener);
    let listener: TcpListener = listener.into();
    let client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    // The side that closes first keeps the numbers.
    support::close(listener.accept().unwrap());
    drop(client);
    drop(listener);
    let strict = ["-a", "127.0.0.1", "--no-reuseaddr"];
    let answer = eventually("TIME_WAIT", || {
        let answer = verdict(port, &strict, 1);
        (answer["cause"] == "time-wait").then_some(answer)
    });
    assert_eq!((&answer["with_reuseaddr"], &answer["error"]), (&true.into(), &"EADDRINUSE".into()));
    let text = text(port, &strict);
    let seconds = text.split("hint: wait ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
    assert!((1..=61).contains(&seconds.parse::<u32>().unwrap()), "{text}");
    assert!(text.contains("hint: set SO_REUSEADDR before bind, as servers do"), "{text}");
    // A server sets it, and what differs without it is said.
    let answer = verdict(port, &["-a", "127.0.0.1"], 0);
    assert_eq!((&answer["outcome"], &answer["without_reuseaddr"]), (&"bindable".into(), &false.into()));
    let text = portscope(["check", "-a", "127.0.0.1"]).arg(port).success().stdout;
    assert!(
        text.contains("with SO_REUSEADDR, which servers set; without it EADDRINUSE: a closed connection keeps "),
        "{text}"
    );
}

#[test]
fn a_client_that_got_the_port_from_the_ephemeral_range_is_one() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let port = client.local_addr().unwrap().port();
    let answer = verdict(port, &["-a", "127.0.0.1"], 1);
    assert_eq!(answer["cause"], "client");
    // Others may share the port as clients of other servers.
    let is_ours = |blocker: &Value| blocker["socket"]["peer"]["port"] == listener.local_addr().unwrap().port();
    assert!(answer["blockers"].as_array().unwrap().iter().any(is_ours), "{answer:#}");
    let shown = text(port, &["-a", "127.0.0.1"]);
    assert!(shown.contains("hint: wait until the program closes it, or stop "), "{shown}");
    assert!(shown.contains(&format!("ip_local_reserved_ports={port}")), "{shown}");
}

#[test]
fn a_connection_outlives_the_listener_that_accepted_it() {
    let Some(space) = OwnSpace::new("echo 50000 50100 > /proc/sys/net/ipv4/ip_local_port_range") else { return };
    let (_client, _accepted) = space.run(|| {
        let listener = TcpListener::bind(("127.0.0.1", 8080)).unwrap();
        let client = TcpStream::connect(("127.0.0.1", 8080)).unwrap();
        (client, listener.accept().unwrap())
    });
    let report = portscope(["check", "8080", "-a", "127.0.0.1", "--no-reuseaddr", "--json"]);
    let report = report.under(space.inside()).exits(1).json();
    assert_eq!(binds(&report)[0]["cause"], "connection", "{report}");
}

/// A program of this name that holds a socket and does nothing.
fn program(folder: &Folder, name: &str) -> std::path::PathBuf {
    let path = folder.join(name);
    std::fs::copy("/bin/sleep", &path).unwrap();
    path
}

#[test]
fn systemd_that_holds_a_port_for_a_unit_is_told_from_a_server() {
    if !is_root() {
        return skip("needs root to make a pid namespace");
    }
    let folder = Folder::new();
    let socket = plain("127.0.0.1", 0);
    socket.listen(1).unwrap();
    let port = port_of(&socket);
    let mut command = Command::new("unshare");
    command.args(["-p", "-f", "--mount-proc"]).arg(program(&folder, "systemd")).arg("1000");
    let unshare = hold(&mut command, socket);
    let children = format!("/proc/{0}/task/{0}/children", unshare.pid());
    let child = eventually("the first process of the namespace runs", || {
        let child = std::fs::read_to_string(&children).ok()?.trim().to_owned();
        let name = std::fs::read_to_string(format!("/proc/{child}/comm")).ok()?;
        (name == "systemd\n").then_some(child)
    });
    let _ends_with_the_test = Ended(child.clone());
    let inside = ["nsenter", "-t", &child, "-p", "-m"];
    let run = portscope(["check", "--json", "-a", "127.0.0.1"]).arg(port).under(inside);
    let answer = eventually("unshare has let go of the socket", || {
        let answer = binds(&run_json(&run))[0].clone();
        (answer["cause"] == "activation").then_some(answer)
    });
    assert_eq!(answer["blockers"][0]["socket"]["owner"]["processes"][0]["pid"], 1);
    assert!(answer["fixes"][0].as_str().unwrap().contains("systemctl"), "{answer:#}");
}

fn run_json(run: &support::Run) -> Value {
    let output = run.output();
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The first process of a pid namespace does not end with its parent.
struct Ended(String);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = support::output(Command::new("kill").args(["-9", &self.0]));
    }
}

#[test]
fn a_known_squatter_is_named_with_its_own_remedy() {
    let Some(space) = OwnSpace::new("") else { return };
    let folder = Folder::new();
    let socket = space.run(|| plain("127.0.0.53", 53));
    socket.listen(1).unwrap();
    let _resolved = hold(Command::new(program(&folder, "systemd-resolved")).arg("1000"), socket);
    let text = portscope(["check", "53", "-a", "0.0.0.0"]).under(space.inside()).exits(1).stdout;
    assert!(text.contains("hint: it is the stub resolver of systemd-resolved: set DNSStubListener=no"), "{text}");
}
