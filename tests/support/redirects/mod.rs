//! A host between two others, each in a network namespace, with servers that say who they are; and the comparison of what
//! portscope says about its ports with what connections meet.

pub mod rules;
mod servers;

use std::collections::BTreeMap;
use std::fmt;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::netns::OwnSpace;
use crate::support::portscope;
use servers::{Flow, Servers, Source};

/// The first address of the host, its second one, and the one on its other side.
pub const OWN: &str = "10.77.0.1";
pub const SECOND: &str = "10.77.0.2";
const THIRD: &str = "10.78.0.1";
/// Another host, and one on the other side.
pub const OUTER: &str = "10.77.0.100";
pub const FAR: &str = "10.78.0.2";
/// The ports that servers have at every address of the host, at its second one only, and on loopback only.
pub const PORTS: [u16; 8] = [7001, 7002, 7003, 7004, 7005, 7006, 7007, 7008];
/// The port of a transparent proxy.
pub const PROXY: u16 = 7100;

fn address_of(port: u16) -> &'static str {
    match port {
        7007 => SECOND,
        7008 => "127.0.0.1",
        _ => "0.0.0.0",
    }
}

/// The namespaces and their servers.
pub struct Stage {
    host: OwnSpace,
    outer: OwnSpace,
    far: OwnSpace,
    ports: Source,
    _servers: Vec<Servers>,
}

impl Stage {
    /// Makes them; nothing where this machine cannot.
    pub fn new() -> Option<Stage> {
        let host = OwnSpace::new(
            "sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0;",
        )?;
        let (outer, far) = (OwnSpace::new("")?, OwnSpace::new("")?);
        let run = |space: &OwnSpace, script: &str| {
            let [enter, net] = space.inside();
            let status = Command::new(enter).args([&net, "sh", "-ec", script]).status();
            status.is_ok_and(|status| status.success())
        };
        let pid = |space: &OwnSpace| space.inside()[1].split('/').nth(2).unwrap().to_owned();
        let made = run(
            &host,
            &format!(
                "ip link add out0 type veth peer name eth0 netns {}; ip link add out1 type veth peer name eth0 netns {}; \
                 ip addr add {OWN}/24 dev out0; ip addr add {SECOND}/24 dev out0; ip addr add {THIRD}/24 dev out1; \
                 ip link set out0 up; ip link set out1 up",
                pid(&outer),
                pid(&far)
            ),
        ) && run(
            &outer,
            &format!("ip addr add {OUTER}/24 dev eth0; ip link set eth0 up; ip route add default via {OWN}"),
        ) && run(
            &far,
            &format!("ip addr add {FAR}/24 dev eth0; ip link set eth0 up; ip route add default via {THIRD}"),
        );
        if !made {
            return None;
        }
        let own: Vec<(String, u16)> = PORTS.iter().map(|port| (address_of(*port).to_owned(), *port)).collect();
        let of_far: Vec<(String, u16)> = PORTS.iter().map(|port| ("0.0.0.0".to_owned(), *port)).collect();
        let servers = vec![
            host.run(|| Servers::start("own", &own, Some(PROXY))),
            far.run(|| Servers::start("far", &of_far, None)),
            outer.run(|| Servers::start("outer", &of_far, None)),
        ];
        Some(Stage { host, outer, far, ports: Source::default(), _servers: servers })
    }

    /// Makes the rules, asks portscope about the ports, and tries them.
    pub fn compare(&self, rules: &str, counts: &mut Counts, seed: u64) {
        let [enter, net] = self.host.inside();
        let clean = "nft flush ruleset; for t in nat mangle raw filter; do grep -qx $t /proc/thread-self/net/ip_tables_names \
                     2>/dev/null && iptables-legacy -t $t -F && iptables-legacy -t $t -X; done; \
                     grep -qx filter /proc/thread-self/net/ip_tables_names 2>/dev/null && iptables-legacy -P INPUT ACCEPT;";
        let script = format!("{clean}\n{rules}");
        let status = Command::new(enter).args([&net, "sh", "-c", &script]).stderr(Stdio::null()).status();
        assert!(status.is_ok());
        let report = portscope(["-tu4", "--json"]).under(self.host.inside()).any_stderr().success().json();
        counts.rulesets += 1;
        let answers = answers(&report);
        let mut flows: Vec<(&str, Vec<Flow>)> = Vec::new();
        for (sender, space) in [("outer", &self.outer), ("far", &self.far), ("own", &self.host)] {
            let mut all = Vec::new();
            for protocol in ["tcp", "udp"] {
                for port in PORTS {
                    let addresses: &[&str] = match (address_of(port), sender) {
                        ("0.0.0.0", "own") => &[OWN, SECOND, THIRD, "127.0.0.1"],
                        ("0.0.0.0", "far") => &[OWN, THIRD],
                        ("0.0.0.0", _) => &[OWN, SECOND, THIRD],
                        ("127.0.0.1", "own") => &["127.0.0.1"],
                        ("127.0.0.1", _) => &[],
                        _ => &[SECOND],
                    };
                    all.extend(addresses.iter().map(|address| Flow::new(protocol, address, port, self.ports.next())));
                }
            }
            space.run(|| servers::try_all(&mut all));
            flows.push((sender, all));
        }
        let mut wrong = Vec::new();
        for ((protocol, port), answer) in &answers {
            for class in ["outside", "local"] {
                let met: Vec<&Flow> = flows
                    .iter()
                    .filter(|(sender, _)| (*sender == "own") == (class == "local"))
                    .flat_map(|(_, flows)| flows)
                    .filter(|flow| flow.protocol == *protocol && flow.port == *port)
                    .collect();
                if met.is_empty() {
                    continue;
                }
                let said = &answer[class];
                let kind = said["answer"].as_str().unwrap();
                counts.note(kind, met.iter().any(|flow| flow.answer.is_some()));
                let own = format!("own:{port}");
                for flow in met {
                    let Some(who) = &flow.answer else { continue };
                    let is_own = *who == own;
                    let is_wrong = match kind {
                        "certain" => is_own,
                        "not" => !is_own,
                        _ => false,
                    } || (class == "outside" && !answer["filtered"].is_null() && kind == "not");
                    if is_wrong {
                        wrong.push(format!(
                            "{class} {protocol} {}:{port}: {said} {}, met {who}",
                            flow.address, answer["filtered"]
                        ));
                    }
                }
            }
        }
        if !wrong.is_empty() {
            wrong.dedup();
            counts.wrong.push(format!("PORTSCOPE_SEED={seed} PORTSCOPE_RULESETS=1\n{rules}{}\n", wrong.join("\n")));
        }
    }
}

/// What is said about the ports of the host's servers.
fn answers(report: &Value) -> BTreeMap<(String, u16), Value> {
    let mut answers = BTreeMap::new();
    for socket in report["sockets"].as_array().unwrap() {
        let port = socket["local"]["port"].as_u64().unwrap() as u16;
        let is_server = matches!(socket["state"].as_str(), Some("LISTEN" | "UNCONN"));
        if is_server && PORTS.contains(&port) {
            assert!(!socket["reachability"].is_null(), "{socket}");
            answers.insert((socket["protocol"].as_str().unwrap().to_owned(), port), socket["reachability"].clone());
        }
    }
    assert_eq!(answers.len(), PORTS.len() * 2, "{report}");
    answers
}

/// How often each answer was given, and where it was wrong.
#[derive(Default)]
pub struct Counts {
    pub rulesets: usize,
    pub answers: usize,
    pub certain: usize,
    pub some: usize,
    pub not: usize,
    pub unknown: usize,
    /// Answers about a port that some connection got through to, whichever way.
    pub connected: usize,
    pub wrong: Vec<String>,
}

impl Counts {
    fn note(&mut self, kind: &str, is_connected: bool) {
        self.answers += 1;
        self.connected += usize::from(is_connected);
        match kind {
            "certain" => self.certain += 1,
            "some" => self.some += 1,
            "not" => self.not += 1,
            "unknown" => self.unknown += 1,
            other => panic!("{other}"),
        }
    }

    pub fn and(mut self, mut other: Counts) -> Counts {
        self.rulesets += other.rulesets;
        self.answers += other.answers;
        self.certain += other.certain;
        self.some += other.some;
        self.not += other.not;
        self.unknown += other.unknown;
        self.connected += other.connected;
        self.wrong.append(&mut other.wrong);
        self
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = self.unknown * 1000 / self.answers.max(1);
        write!(
            f,
            "{} rulesets, {} answers ({} certain, {} some, {} not, {} unknown: {}.{} %), {} of them met by connections, {} \
             wrong rulesets",
            self.rulesets,
            self.answers,
            self.certain,
            self.some,
            self.not,
            self.unknown,
            share / 10,
            share % 10,
            self.connected,
            self.wrong.len()
        )
    }
}
