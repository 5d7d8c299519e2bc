//! Random rulesets in the words of each tool.

use super::{FAR, OUTER, OWN, PORTS, SECOND};
use crate::support::random::Random;

/// A ruleset: shell commands that make it.
pub fn any(random: &mut Random) -> String {
    let mut script = String::new();
    match random.below(5) {
        0 | 1 => script += &nft(random, "a"),
        2 => script += &iptables(random, "iptables-nft"),
        3 => script += &iptables(random, "iptables-legacy"),
        _ => {
            script += &nft(random, "a");
            script += &if random.one_in(2) { iptables(random, "iptables-nft") } else { nft(random, "b") };
        }
    }
    script
}

fn port(random: &mut Random) -> u16 {
    random.of(&PORTS)
}

fn range(random: &mut Random) -> (u16, u16) {
    let (one, other) = (port(random), port(random));
    (one.min(other), one.max(other))
}

/// A network that has some of the addresses.
fn network(random: &mut Random) -> String {
    let all = [OWN, SECOND, OUTER, FAR, "127.0.0.1", "10.77.0.0/24", "127.0.0.0/8", "10.77.0.0/30", "10.0.0.0/8"];
    random.of(&all).to_owned()
}

fn nft(random: &mut Random, name: &str) -> String {
    let family = random.of(&["ip", "inet"]);
    let mut text = format!("table {family} {name} {{\n");
    if random.one_in(12) {
        text += " flags dormant\n";
    }
    let (one, two) = (port(random), port(random));
    text += &format!(" set s {{ type inet_service; flags interval; elements = {{ {} }}\n }}\n", set(one, two));
    text += &format!(
        " map m {{ type inet_service : inet_service; elements = {{ {} : {} }}\n }}\n",
        port(random),
        port(random)
    );
    let depth = random.below(3);
    for level in (0..depth).rev() {
        text += &format!(" chain c{level} {{\n");
        // What goes back meets the rules behind the one that led here.
        if random.one_in(2) {
            text += &format!("  tcp dport {} {}\n", port(random), random.of(&["return", "accept"]));
        }
        for _ in 0..=random.below(3) {
            text += &format!("  {}\n", nft_rule(random, (level + 1 < depth).then_some(level + 1), true, "prerouting"));
        }
        text += " }\n";
    }
    for hook in ["prerouting", "output"] {
        if random.one_in(5) {
            continue;
        }
        let priority = random.of(&["-100", "-110", "-90", "-5", "10"]);
        text += &format!(" chain nat_{hook} {{ type nat hook {hook} priority {priority};\n");
        if depth > 0 && random.one_in(2) {
            text += &format!("  jump c0\n  tcp dport {} redirect to :{}\n", port(random), port(random));
        }
        for _ in 0..=random.below(5) {
            text += &format!("  {}\n", nft_rule(random, (depth > 0).then_some(0), true, hook));
        }
        text += " }\n";
    }
    for (hook, odds) in [("prerouting", 4), ("output", 6), ("input", 4)] {
        if !random.one_in(odds) {
            continue;
        }
        let kind = if hook == "output" { random.of(&["filter", "route"]) } else { "filter" };
        let priority = random.of(&["-300", "-150", "0", "-95", "-199"]);
        let policy = if random.one_in(8) { "drop" } else { "accept" };
        text += &format!(" chain f_{hook} {{ type {kind} hook {hook} priority {priority}; policy {policy};\n");
        for _ in 0..=random.below(3) {
            text += &format!("  {}\n", nft_rule(random, None, false, hook));
        }
        text += " }\n";
    }
    text += "}\n";
    format!("nft -f - <<'EOF'\n{text}EOF\n")
}

/// Two ports, or a range.
fn set(one: u16, two: u16) -> String {
    if one < two { format!("{one}-{two}") } else { format!("{one}") }
}

fn nft_rule(random: &mut Random, chain: Option<u64>, is_nat: bool, hook: &str) -> String {
    let mut parts = Vec::new();
    let protocol = random.of(&["tcp", "tcp", "tcp", "udp"]);
    if random.one_in(3) {
        let negation = if random.one_in(3) { "!= " } else { "" };
        parts.push(format!("ip {} {negation}{}", random.of(&["daddr", "saddr"]), network(random)));
    }
    if random.one_in(4) {
        let name = random.of(&["lo", "out0", "out1", "tun9", "out*"]);
        let negation = if random.one_in(3) { "!= " } else { "" };
        let side = if hook == "output" { "oifname" } else { "iifname" };
        parts.push(format!("{side} {negation}\"{name}\""));
    }
    if random.one_in(6) {
        parts.push(match random.below(6) {
            0 => "ct state new".to_owned(),
            1 => "ct state established,related".to_owned(),
            2 => "fib daddr type local".to_owned(),
            3 => format!("meta mark {}", random.below(3)),
            4 => format!("meta mark & 0x{:x} == {}", random.of(&[1, 3]), random.below(2)),
            _ => "meta skuid 0".to_owned(),
        });
    }
    match random.below(7) {
        0 | 1 => parts.push(format!("{protocol} dport {}", port(random))),
        2 => {
            let (first, last) = range(random);
            parts.push(if first < last {
                format!("{protocol} dport {first}-{last}")
            } else {
                format!("{protocol} dport {first}")
            });
        }
        3 => parts.push(format!("{protocol} dport != {}", port(random))),
        4 => parts.push(format!("{protocol} dport @s")),
        5 => parts.push(format!("meta l4proto {{ tcp, udp }} th dport {{ {}, {} }}", PORTS[0], PORTS[3])),
        _ => parts.push(format!("meta l4proto {protocol}")),
    }
    let jump = chain.map(|chain| format!("{} c{chain}", random.of(&["jump", "goto"])));
    let verdict = match random.below(if is_nat { 14 } else { 7 }) {
        0 => "accept".to_owned(),
        1 if is_nat => "return".to_owned(),
        1 => random.of(&["drop", "reject", "return"]).to_owned(),
        2 | 3 => jump.unwrap_or_else(|| "counter".to_owned()),
        4 => format!("meta mark set {}", random.below(3)),
        5 => format!("meta mark set mark or 0x{:x}", random.below(4)),
        6 if !is_nat && hook == "prerouting" && random.one_in(3) => "notrack".to_owned(),
        6 => "counter accept".to_owned(),
        7..=9 => format!("redirect to :{}", port(random)),
        10 => "redirect to :tcp dport map @m".to_owned(),
        11 => format!("dnat ip to {FAR}:{}", port(random)),
        12 => format!("dnat ip to {}:{}", random.of(&[OWN, SECOND]), port(random)),
        _ => format!("tcp dport vmap {{ {} : accept, {} : return }}", PORTS[1], PORTS[2]),
    };
    if verdict.contains("map") {
        // Only one protocol has the ports of such a map.
        parts.retain(|part| !part.contains("udp"));
        parts.push("meta l4proto tcp".to_owned());
    }
    format!("{} {verdict}", parts.join(" "))
}

fn iptables(random: &mut Random, tool: &str) -> String {
    let mut script = String::new();
    let depth = random.below(3);
    let rule = |random: &mut Random, table: &str, chain: &str, next: Option<u64>| {
        format!("{tool} -t {table} -A {chain} {}\n", iptables_rule(random, table, chain, next))
    };
    for level in (0..depth).rev() {
        script += &format!("{tool} -t nat -N c{level}\n");
        if random.one_in(2) {
            let end = random.of(&["RETURN", "ACCEPT"]);
            script += &format!("{tool} -t nat -A c{level} -p tcp --dport {} -j {end}\n", port(random));
        }
        for _ in 0..=random.below(3) {
            script += &rule(random, "nat", &format!("c{level}"), (level + 1 < depth).then_some(level + 1));
        }
    }
    for chain in ["PREROUTING", "OUTPUT"] {
        if depth > 0 && random.one_in(2) {
            script += &format!("{tool} -t nat -A {chain} -j c0\n");
            let (from, to) = (port(random), port(random));
            script += &format!("{tool} -t nat -A {chain} -p tcp --dport {from} -j REDIRECT --to-ports {to}\n");
        }
        for _ in 0..random.below(5) {
            script += &rule(random, "nat", chain, (depth > 0).then_some(0));
        }
    }
    for (table, chain, odds) in
        [("mangle", "PREROUTING", 3), ("raw", "PREROUTING", 6), ("filter", "INPUT", 3), ("mangle", "OUTPUT", 6)]
    {
        if random.one_in(odds) {
            for _ in 0..=random.below(2) {
                script += &rule(random, table, chain, None);
            }
        }
    }
    if random.one_in(10) {
        script += &format!("{tool} -P INPUT DROP\n");
    }
    script
}

fn iptables_rule(random: &mut Random, table: &str, chain: &str, next: Option<u64>) -> String {
    let protocol = random.of(&["tcp", "tcp", "tcp", "udp"]);
    let mut parts = vec![format!("-p {protocol}")];
    let not = |random: &mut Random| if random.one_in(3) { "! " } else { "" };
    if random.one_in(3) {
        parts.push(format!("{}{} {}", not(random), random.of(&["-d", "-s"]), network(random)));
    }
    if random.one_in(4) {
        let side = match chain {
            "OUTPUT" => "-o",
            "PREROUTING" | "INPUT" => "-i",
            _ => "",
        };
        if !side.is_empty() {
            parts.push(format!("{}{side} {}", not(random), random.of(&["lo", "out0", "out1", "tun9", "out+"])));
        }
    }
    match random.below(7) {
        0 | 1 => parts.push(format!("--dport {}", port(random))),
        2 => {
            let (first, last) = range(random);
            parts.push(format!("--dport {first}:{last}"));
        }
        3 => parts.push(format!("-m multiport {}--dports {},{}", not(random), PORTS[0], PORTS[3])),
        4 => parts.push(format!("! --dport {}", port(random))),
        5 => parts.push(format!("-m iprange --dst-range {OWN}-{SECOND}")),
        _ => {}
    }
    if random.one_in(5) {
        parts.push(match random.below(5) {
            0 => "-m addrtype --dst-type LOCAL".to_owned(),
            1 => "-m conntrack --ctstate NEW".to_owned(),
            2 => format!("-m mark {}--mark {}", not(random), random.below(3)),
            3 => "-m comment --comment \"-j ACCEPT\"".to_owned(),
            _ => "-m conntrack --ctstate ESTABLISHED".to_owned(),
        });
    }
    let target = match table {
        "nat" => match random.below(10) {
            0 => "-j ACCEPT".to_owned(),
            1 => "-j RETURN".to_owned(),
            2 | 3 => next.map_or_else(String::new, |next| format!("{} c{next}", random.of(&["-j", "-g"]))),
            4..=6 => format!("-j REDIRECT --to-ports {}", port(random)),
            7 => "-j REDIRECT".to_owned(),
            8 => format!("-j DNAT --to-destination {FAR}:{}", port(random)),
            _ => format!("-j DNAT --to-destination {}:{}", random.of(&[OWN, SECOND]), port(random)),
        },
        "mangle" => match random.below(6) {
            0 => "-j ACCEPT".to_owned(),
            1 => "-j RETURN".to_owned(),
            2 | 3 => format!("-j MARK --set-mark {}", random.below(3)),
            4 if chain == "PREROUTING" => format!("-j TPROXY --on-port {} --on-ip 127.0.0.1", super::PROXY),
            _ => format!("-j MARK --or-mark {}", random.below(4)),
        },
        "raw" => random.of(&["-j CT --notrack", "-j ACCEPT", "-j RETURN", "-j DROP"]).to_owned(),
        _ => random.of(&["-j DROP", "-j ACCEPT", "-j REJECT", "-j RETURN"]).to_owned(),
    };
    parts.push(target);
    parts.join(" ")
}
