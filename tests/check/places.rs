//! Where a bind applies: addresses, interfaces, port spaces, and what the firewall redirects.

use super::*;

#[test]
fn a_multicast_address_is_bound_on_its_interface_and_for_udp_only() {
    let port = port_of(&bind(Type::DGRAM, PLACES[2], "", 0).unwrap()).to_string();
    let answers = |arguments: &[&str], code| {
        binds(&portscope(["check", &port, "--json"]).args(arguments).exits(code).json())[0].clone()
    };
    assert_eq!(answers(&["-u", "-a", "ff02::fb%lo"], 0)["agrees"], true);
    assert_eq!(answers(&["-u", "-a", "ff01::1%lo"], 0)["agrees"], true);
    assert_eq!(answers(&["-u", "-a", "ff05::1"], 0)["agrees"], true);
    for probe in [&[][..], &["--no-probe"]] {
        let answer = answers(&[&["-a", "ff02::fb%lo"], probe].concat(), 1);
        assert_eq!((&answer["error"], &answer["cause"]), (&"EINVAL".into(), &"multicast".into()), "{answer:#}");
        assert_ne!(answer["agrees"], false, "{answer:#}");
    }
    let shown = portscope(["check", &port, "-a", "ff02::fb%lo"]).exits(1).stdout;
    assert!(shown.contains("no    EINVAL  a multicast address, which tcp cannot use\n"), "{shown}");
}

#[test]
fn an_address_that_is_not_here_is_told_and_missing_usual_ones_are_not_held_against_the_port() {
    let answer = verdict(8080, &["-a", "192.0.2.1"], 1);
    assert_eq!((&answer["error"], &answer["cause"]), (&"EADDRNOTAVAIL".into(), &"address-not-here".into()));
    assert_eq!(verdict(8080, &["-a", "2001:db8::1", "--no-probe"], 1)["error"], "EADDRNOTAVAIL");
    let Some(space) = OwnSpace::new("echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6") else { return };
    let report = portscope(["check", "8080", "--json"]).under(space.inside()).success().json();
    let loopback = binds(&report).into_iter().find(|answer| answer["address"] == "::1").unwrap();
    assert_eq!((&loopback["cause"], &loopback["ok"]), (&"address-not-here".into(), &true.into()));
    let _ = portscope(["check", "8080", "-q", "-a", "::1"]).under(space.inside()).exits(1);
    let Some(space) = OwnSpace::new("echo 1 > /proc/sys/net/ipv4/ip_nonlocal_bind") else { return };
    let _ = portscope(["check", "8080", "-q", "-a", "192.0.2.1"]).under(space.inside()).success();
}

#[test]
fn the_same_number_in_another_space_is_no_conflict() {
    let Some(space) = OwnSpace::new("") else { return };
    let port = port_of(&plain("0.0.0.0", 0));
    let _listener = space.run(|| TcpListener::bind(("0.0.0.0", port)).unwrap());
    let answer = verdict(port, &["-a", "0.0.0.0"], 0);
    assert_eq!((&answer["agrees"], &answer["blockers"]), (&true.into(), &Value::Array(Vec::new())));
    let elsewhere = answer["elsewhere"].as_array().unwrap();
    assert_eq!(elsewhere.len(), 1, "{answer:#}");
    assert_eq!(pids(&elsewhere[0]), [std::process::id()]);
    let text = portscope(["check", "-a", "0.0.0.0"]).arg(port).success().stdout;
    assert!(text.contains(&format!("no conflict: tcp LISTEN 0.0.0.0:{port}: ")), "{text}");
    // There it is in the way.
    let _ = portscope(["check", "-q", "-a", "127.0.0.1"]).arg(port).under(space.inside()).exits(1);
}

#[test]
fn a_port_that_the_firewall_redirects_is_bound_in_vain() {
    let rules =
        "table ip n { chain p { type nat hook prerouting priority -100; tcp dport 42100 redirect to :42101; }; }";
    let Some(space) = OwnSpace::new(&format!("nft '{rules}'")) else { return };
    let run = |arguments: &[&str]| portscope(["check", "42100", "-4"]).args(arguments).under(space.inside());
    let answers = binds(&run(&["--json"]).exits(1).json());
    let of = |address: &str| answers.iter().find(|answer| answer["address"] == address).unwrap();
    let every = of("0.0.0.0");
    assert_eq!((&every["outcome"], &every["cause"]), (&"shadowed".into(), &"redirected".into()));
    assert_eq!((&every["probe"]["bound"], &every["error"]), (&true.into(), &Value::Null), "bind(2) succeeds");
    assert_eq!(every["reachability"]["outside"]["to"]["port"], 42101);
    assert_eq!(of("127.0.0.1")["outcome"], "bindable", "the rule is not for what the host sends to itself");
    let text = run(&[]).exits(1).stdout;
    assert!(text.contains("redirected") && text.contains("the firewall forwards its traffic to "), "{text}");
    assert!(!text.contains("not seen: "), "{text}");
    // Nobody looked: the port must not be called free without that being said.
    let text = run(&["--no-helpers"]).success().stdout;
    assert!(text.contains("not seen: "), "{text}");
}

#[test]
fn a_device_is_part_of_the_question() {
    let device = "ip link add tt0 type veth peer name tt1 || ip link add tt0 type dummy || ip tuntap add tt0 mode tun";
    let script = format!("{device}; ip link set tt0 up; ip addr add fe80::9/64 dev tt0 nodad");
    let Some(space) = OwnSpace::new(&script) else { return };
    let socket = |device: &'static [u8], port: u16| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind_device(Some(device)).unwrap();
        socket.bind(&SocketAddr::from(([0, 0, 0, 0], port)).into()).unwrap();
        socket.listen(1).unwrap();
        socket
    };
    let _held = space.run(|| [socket(b"lo", 41053), socket(b"tt0", 41053)]);
    let _link = space.run(|| {
        let index = support::output(Command::new("cat").arg("/proc/net/if_inet6")).stdout;
        let index = String::from_utf8(index).unwrap();
        let line = index.lines().find(|line| line.ends_with("tt0") && line.contains("0009 ")).unwrap().to_owned();
        let index = u32::from_str_radix(line.split(' ').nth(1).unwrap(), 16).unwrap();
        let address = std::net::SocketAddrV6::new("fe80::9".parse().unwrap(), 41054, 0, index);
        TcpListener::bind(address).unwrap()
    });
    let check = |arguments: &[&str], code| {
        let run = portscope(["check", "--json"]).args(arguments).under(space.inside());
        binds(&run.exits(code).json())[0].clone()
    };
    assert_eq!(check(&["41053", "-a", "0.0.0.0"], 1)["blockers"].as_array().unwrap().len(), 2);
    assert_eq!(check(&["41053", "-a", "0.0.0.0", "--device", "lo"], 1)["blockers"].as_array().unwrap().len(), 1);
    assert_eq!(check(&["41054", "-a", "0.0.0.0", "--device", "lo"], 0)["agrees"], true);
    assert_eq!(check(&["41053", "-a", "0.0.0.0", "--device", "nothing"], 1)["cause"], "no-device");
    assert_eq!(check(&["41054", "-a", "fe80::9%tt0"], 1)["cause"], "listener");
    assert_eq!(check(&["41055", "-a", "fe80::9%tt0"], 0)["agrees"], true);
    assert_eq!(check(&["41055", "-a", "fe80::9%lo"], 1)["error"], "EADDRNOTAVAIL");
}
