//! The words of `iptables-save -t nat`. Source: iptables-save(8), iptables-extensions(8).

use std::net::IpAddr;

use super::matching::{self, Network};
use super::protocol;
use super::rules::{Action, Rule, Rules, ToPort};
use crate::model::{Family, PortRange, Protocol};

/// Reads the rules of the nat table; nothing when it is no output of iptables-save.
pub fn parse(text: &[u8], family: Family) -> Option<Rules> {
    let text = String::from_utf8_lossy(text);
    let entries = ["PREROUTING", "OUTPUT"].map(|chain| (family, chain.to_owned()));
    let mut rules = Rules { entries: entries.to_vec(), ..Rules::default() };
    let mut is_nat = false;
    for line in text.lines() {
        if let Some(table) = line.strip_prefix('*') {
            is_nat = table == "nat";
        } else if is_nat && let Some(rule) = line.strip_prefix("-A ") {
            let (chain, rest) = rule.split_once(' ').unwrap_or((rule, ""));
            rules.chains.entry(chain.to_owned()).or_default().push(read(rest));
        } else if !line.is_empty() && !line.starts_with(['#', ':', '-']) && line != "COMMIT" {
            return None;
        }
    }
    Some(rules)
}

/// What can be said of the place where packets are sent, before it is known that they are.
#[derive(Default)]
struct Sent {
    address: Option<IpAddr>,
    port: Option<ToPort>,
}

fn read(line: &str) -> Rule {
    let mut rule = Rule::default();
    let mut sent = Sent::default();
    let mut target = String::new();
    let mut words = words(line).into_iter();
    let mut is_negated = false;
    while let Some(word) = words.next() {
        let negated = std::mem::replace(&mut is_negated, word == "!");
        let mut value = || words.next().unwrap_or_default();
        match word.as_str() {
            "-p" | "--protocol" => {
                let named = protocol(&value());
                let is_taken = |protocol: &Protocol| (named == Some(*protocol)) != negated;
                rule.protocols = Some(Protocol::REGISTERED.into_iter().filter(is_taken).collect());
            }
            "--dport" | "--dports" | "--destination-port" | "--ports" => match ports(&value()) {
                None => rule.is_unclear = true,
                Some(ports) => {
                    let taken = if negated { matching::all_but(&ports) } else { ports };
                    rule.ports = matching::both(&rule.ports, &taken);
                    rule.names_ports |= !negated;
                    // `--ports` is also for what comes from there.
                    rule.is_narrowed |= word == "--ports";
                }
            },
            "-d" | "--destination" | "--dst-range" => match networks(&value()) {
                None => rule.is_unclear = true,
                // For all others: that is most.
                Some(_) if negated => rule.is_narrowed = true,
                Some(networks) => rule.networks = Some(networks),
            },
            "-j" | "-g" => target = value(),
            "--to-destination" => sent = destination(&value()),
            "--to-ports" => sent.port = Some(to_port(&value())),
            // A module by its name; what it asks for follows. A comment asks for nothing.
            "-m" | "--match" | "--comment" => drop(value()),
            "!" => {}
            // A set of addresses, of ports, or of anything.
            "--match-set" => rule.is_unclear |= !rule.names_ports,
            _ => rule.is_narrowed = true,
        }
    }
    rule.action = match target.as_str() {
        "REDIRECT" => Action::Send(None, sent.port.unwrap_or(ToPort::Same)),
        "DNAT" if sent.address.is_some() => Action::Send(sent.address, sent.port.unwrap_or(ToPort::Same)),
        "DNAT" | "NETMAP" => Action::SendSomewhere,
        "RETURN" | "ACCEPT" => Action::Leave,
        "" | "MASQUERADE" | "SNAT" | "LOG" | "MARK" => Action::Other,
        chain => Action::Jump(chain.to_owned()),
    };
    rule
}

/// The words of a line; one that has blanks stands in quotation marks, in which a backslash takes the meaning of the next.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = None;
    let mut is_quoted = false;
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => {
                is_quoted = !is_quoted;
                word.get_or_insert_default();
            }
            '\\' if is_quoted => word.get_or_insert_with(String::new).extend(characters.next()),
            blank if blank.is_whitespace() && !is_quoted => words.extend(word.take()),
            other => word.get_or_insert_with(String::new).push(other),
        }
    }
    words.extend(word);
    words
}

/// `80`, `8000:8100`, `80,443,8000:8100`.
fn ports(text: &str) -> Option<Vec<PortRange>> {
    let range = |item: &str| {
        let (first, last) = item.split_once(':').unwrap_or((item, item));
        Some(matching::between(first.parse().ok()?, last.parse().ok()?))
    };
    text.split(',').map(range).collect::<Option<Vec<_>>>().map(|ranges| ranges.concat())
}

/// `10.0.0.1`, `10.0.0.0/8`, `10.0.0.1-10.0.0.9`.
fn networks(text: &str) -> Option<Vec<Network>> {
    let network = match (text.split_once('/'), text.split_once('-')) {
        (Some((address, bits)), _) => Network::of_prefix(address.parse().ok()?, bits.parse().ok()?),
        (_, Some((first, last))) => Network::between(first.parse().ok()?, last.parse().ok()?),
        _ => Some(Network::single(text.parse().ok()?)),
    };
    Some(vec![network?])
}

/// `172.17.0.2:80`, `[fd00::2]:80`, `172.17.0.2`, `172.17.0.2:8000-8100`; of several addresses the first.
fn destination(text: &str) -> Sent {
    let (address, port) = match text.rsplit_once(':') {
        Some((address, port)) if address.starts_with('[') || !address.contains(':') => (address, Some(to_port(port))),
        _ => (text, None),
    };
    let address = address.trim_start_matches('[').trim_end_matches(']').split('-').next().unwrap_or_default();
    Sent { address: address.parse().ok(), port }
}

/// `80`, `8000-8100`, and `8000-8100/8000` for ports that move along with the first.
fn to_port(text: &str) -> ToPort {
    let range = text.split('/').next().unwrap_or_default();
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let ports = first.parse().ok().zip(last.parse().ok()).and_then(|(first, last)| PortRange::new(first, last));
    ports.map_or(ToPort::Unknown, ToPort::In)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn redirects(text: &str, family: Family) -> Vec<String> {
        told(text, family).0
    }

    fn told(text: &str, family: Family) -> (Vec<String>, Vec<String>) {
        super::super::told(&parse(text.as_bytes(), family).unwrap(), None)
    }

    #[test]
    fn the_ports_that_docker_publishes_are_read() {
        let text = "# Generated by iptables-save\n*nat\n:PREROUTING ACCEPT [0:0]\n:DOCKER - [0:0]\n\
            -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER\n\
            -A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER\n\
            -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE\n\
            -A DOCKER -i docker0 -j RETURN\n\
            -A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80\n\
            -A DOCKER -d 127.0.0.1/32 ! -i docker0 -p udp -m udp --dport 53 -j DNAT --to-destination 172.17.0.3:5353\n\
            COMMIT\n";
        assert_eq!(redirects(text, Family::Ipv4), ["tcp *:8080 172.17.0.2:80", "udp 127.0.0.1:53 172.17.0.3:5353"]);
    }

    #[test]
    fn a_node_port_of_kubernetes_is_followed_to_its_first_target() {
        let text = "*nat\n-A PREROUTING -j KUBE-SERVICES\n\
            -A KUBE-SERVICES -d 10.96.0.0/12 -p tcp -m tcp --dport 443 -j KUBE-SVC-A\n\
            -A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS\n\
            -A KUBE-NODEPORTS -p tcp -m comment --comment \"default/web\" -m tcp --dport 30080 -j KUBE-EXT-A\n\
            -A KUBE-EXT-A -j KUBE-SVC-A\n\
            -A KUBE-SVC-A -m statistic --mode random --probability 0.5 -j KUBE-SEP-1\n-A KUBE-SVC-A -j KUBE-SEP-2\n\
            -A KUBE-SEP-1 -p tcp -m tcp -j DNAT --to-destination 10.244.0.5:8080\n\
            -A KUBE-SEP-2 -p tcp -m tcp -j DNAT --to-destination 10.244.0.6:8080\nCOMMIT\n";
        assert_eq!(redirects(text, Family::Ipv4), ["tcp *:30080 10.244.0.5:8080"]);
    }

    #[test]
    fn redirects_ranges_and_ipv6_are_read() {
        let text = "*nat\n-A PREROUTING -p tcp -m multiport --dports 80,8000:8001 -j REDIRECT --to-ports 42101\n\
            -A PREROUTING -d fd00::1/128 -p tcp -m tcp --dport 22 -j DNAT --to-destination [fd00::2]:2222\n\
            -A PREROUTING -p tcp ! --dport 99 -j LOOP\n-A LOOP -j LOOP\nCOMMIT\n";
        assert_eq!(
            redirects(text, Family::Ipv6),
            [
                "tcp [*]:80 [::]:42101",
                "tcp [*]:8000 [::]:42101",
                "tcp [*]:8001 [::]:42101",
                "tcp [fd00::1]:22 [fd00::2]:2222"
            ]
        );
        assert!(parse(b"bash: iptables-save: not found", Family::Ipv4).is_none());
    }

    #[test]
    fn issue_4_rules_for_almost_every_port_are_said() {
        let rules = |rule: &str| told(&format!("*nat\n-A PREROUTING {rule}\nCOMMIT\n"), Family::Ipv4);
        let said = |words: &str| (Vec::new(), vec![format!("rules forward {words}, which are not listed one by one")]);
        assert_eq!(rules("-p tcp -j REDIRECT --to-ports 12345"), said("almost every port of tcp"));
        let negated = "-p udp -m udp ! --dport 7006 -j DNAT --to-destination 10.0.0.1:80-90";
        assert_eq!(rules(negated), said("almost every port of udp"));
        assert_eq!(rules("! -p tcp -j DNAT --to-destination 10.0.0.2"), said("almost every port of udp"));
        assert_eq!(rules("-d 10.0.0.1/32 -j DNAT --to-destination 10.0.0.2"), said("almost every port of tcp and udp"));
        assert_eq!(rules("-d 10.9.0.1/32 -j DNAT --to-destination 10.0.0.2"), (vec![], vec![]), "not this host's");
        assert_eq!(rules("-p tcp -m tcp --dport 7056:65535 -j REDIRECT"), said("tcp 7056-65535"));
        assert_eq!(rules("-p sctp -m sctp --dport 9 -j DNAT --to-destination 10.0.0.2"), (vec![], vec![]));
        let unknown = "rules that forward ports were not all read: 1 rule has a form that is not known".to_owned();
        let unknown = (vec![], vec![unknown]);
        for rule in [
            "-d 10.0.0.0/24 -j NETMAP --to 10.1.1.0/24",
            "-p tcp -m set --match-set published dst,dst -j REDIRECT --to-ports 1",
            "-p tcp -m tcp --dport x -j REDIRECT --to-ports 1",
        ] {
            assert_eq!(rules(rule), unknown, "{rule}");
        }
    }

    #[test]
    fn issue_4_targets_networks_and_comments_are_read_whole() {
        let text = "*nat\n\
            -A PREROUTING -p tcp -m multiport --dports 80,443 -m comment --comment \"a -p udp \\\" -j RETURN\" -j DNAT --to-destination 10.0.0.3:80-90/80\n\
            -A PREROUTING -p tcp -m tcp --dport 0:2 -j REDIRECT\n\
            -A PREROUTING -p tcp -m tcp --dport 100 -m addrtype --dst-type LOCAL -j REDIRECT --to-ports 5-9\n\
            -A PREROUTING -d 127.0.0.0/8 -p udp -m udp --dport 7 -j DNAT --to-destination 10.0.0.2-10.0.0.4\n\
            -A PREROUTING -p udp -m iprange --dst-range 10.0.0.1-10.0.0.5 -m multiport --ports 8:9 -j REDIRECT\n\
            -A PREROUTING -p udp -m udp --dport 20 -j RETURN\n\
            -A PREROUTING -p udp -m udp --dport 20:21 -j REDIRECT\nCOMMIT\n";
        let expected = [
            "tcp *:80 10.0.0.3:80-90",
            "tcp *:443 10.0.0.3:80-90",
            "tcp *:1 0.0.0.0:1",
            "tcp *:2 0.0.0.0:2",
            "tcp *:100 0.0.0.0:5-9",
            "udp 127.0.0.1:7 10.0.0.2:7",
            "udp 10.0.0.1:8 0.0.0.0:8",
            "udp 10.0.0.1:9 0.0.0.0:9",
            "udp *:21 0.0.0.0:21",
        ];
        assert_eq!(told(text, Family::Ipv4), (expected.map(str::to_owned).to_vec(), vec![]));
        let six =
            "*nat\n-A PREROUTING -p tcp -m tcp --dport 7 -j DNAT --to-destination [fd00::1-fd00::5]:80-90\nCOMMIT\n";
        assert_eq!(redirects(six, Family::Ipv6), ["tcp [*]:7 [fd00::1]:80-90"]);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in any::<Vec<u8>>(), line in "(-[pdjA]|--dport|--to-destination|DNAT|[0-9:.\\[\\]-]{1,9}| ){0,30}") {
            for text in [text, format!("*nat\n-A PREROUTING {line}\n").into_bytes()] {
                let _ = parse(&text, Family::Ipv4).map(|rules| super::super::told(&rules, None));
            }
        }
    }
}
