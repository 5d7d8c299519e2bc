//! Each expression as nft 1.0.6 writes it.

use proptest::prelude::*;

use super::super::told as of_rules;
use super::*;

const UNKNOWN: [&str; 1] = ["rules that forward ports were not all read: 1 rule has a form that is not known"];

const RULESET: &str = r#"{"nftables": [{"metainfo": {"version": "1.0.6"}},
    {"table": {"family": "ip", "name": "n", "handle": 1}},
    {"chain": {"family": "ip", "table": "n", "name": "pre", "handle": 1, "type": "nat", "hook": "prerouting", "prio": -100}},
    {"chain": {"family": "ip", "table": "n", "name": "deep", "handle": 2}},
    {"chain": {"family": "ip", "table": "n", "name": "filter", "handle": 3, "type": "filter", "hook": "input"}},
    {"rule": {"family": "ip", "table": "n", "chain": "pre", "expr": [
        {"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": 42100}},
        {"redirect": {"port": 42101}}]}},
    {"rule": {"family": "ip", "table": "n", "chain": "pre", "expr": [
        {"match": {"op": "==", "left": {"meta": {"key": "l4proto"}}, "right": "udp"}}, {"jump": {"target": "deep"}}]}},
    {"rule": {"family": "ip", "table": "n", "chain": "deep", "expr": [
        {"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "daddr"}}, "right": "192.0.2.1"}},
        {"match": {"op": "==", "left": {"payload": {"protocol": "th", "field": "dport"}}, "right": {"set": [53, {"range": [60, 61]}]}}},
        {"dnat": {"addr": "10.0.0.2", "port": 5353}}]}},
    {"rule": {"family": "ip", "table": "n", "chain": "filter", "expr": [
        {"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": 1}},
        {"redirect": {"port": 2}}]}}]}"#;

fn told(text: &str) -> (Vec<String>, Vec<String>) {
    of_rules(&parse(text.as_bytes()).unwrap(), None)
}

/// What one rule does whose expressions nft writes so, in a chain of that family.
fn rule(family: &str, expressions: &str) -> (Vec<String>, Vec<String>) {
    told(&format!(
        r#"{{"nftables": [{{"chain": {{"family": "{family}", "table": "x", "name": "pre", "handle": 1, "type": "nat",
        "hook": "prerouting", "prio": -100, "policy": "accept"}}}}, {{"rule": {{"family": "{family}", "table": "x",
        "chain": "pre", "handle": 2, "expr": [{expressions}]}}}}]}}"#
    ))
}

#[test]
fn rules_of_nat_chains_are_followed() {
    let (shown, unread) = told(&RULESET.replace("192.0.2.1", "10.0.0.1"));
    assert_eq!(
        shown,
        [
            "tcp *:42100 0.0.0.0:42101",
            "udp 10.0.0.1:53 10.0.0.2:5353",
            "udp 10.0.0.1:60 10.0.0.2:5353",
            "udp 10.0.0.1:61 10.0.0.2:5353"
        ]
    );
    assert_eq!(unread, [""; 0]);
    assert_eq!(told(RULESET).0.len(), 1, "192.0.2.1 is no address of this host");
}

#[test]
fn what_is_not_understood_is_said() {
    let text = RULESET.replace("42100", "\"@ports\"");
    assert_eq!(told(&text), (vec![], UNKNOWN.map(str::to_owned).to_vec()));
    assert!(parse(b"Error").is_none() && parse(b"{}").is_none());
    // In a chain that changes nobody's way any form may be.
    let filter = RULESET.replace(r#""right": 1}}"#, r#""right": "@ports"}}, {"vmap": {}}, {"xt": null}"#);
    assert_eq!(told(&filter).1, [""; 0]);
    for form in [
        r#"{"match": {"op": "==", "left": {"concat": [{"meta": {"key": "l4proto"}}, {"payload": {"protocol": "th",
            "field": "dport"}}]}, "right": {"set": [{"concat": ["udp", 53]}, {"concat": ["tcp", 80]}]}}}, {"redirect": null}"#,
        r#"{"match": {"op": "==", "left": {"&": [{"payload": {"protocol": "tcp", "field": "dport"}}, 1]}, "right": 0}},
            {"redirect": {"port": 7}}"#,
        r#"{"dnat": {"family": "ip", "addr": {"map": {"key": {"payload": {"protocol": "tcp", "field": "dport"}},
            "data": {"set": [[7070, "10.0.0.1"], [7071, "10.0.0.2"]]}}}}}"#,
        r#"{"vmap": {"key": {"payload": {"protocol": "tcp", "field": "dport"}}, "data": {"set": [[90,
            {"jump": {"target": "a"}}], [91, {"accept": null}]]}}}"#,
        r#"{"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "daddr"}}, "right": "@mine"}},
            {"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": 80}}, {"redirect": null}"#,
        r#"{"match": {"op": "==", "left": {"meta": {"key": "l4proto"}}, "right": "@both"}},
            {"match": {"op": "==", "left": {"payload": {"protocol": "th", "field": "dport"}}, "right": 80}}, {"redirect": null}"#,
    ] {
        assert_eq!(rule("ip", form), (vec![], UNKNOWN.map(str::to_owned).to_vec()), "{form}");
    }
}

#[test]
fn issue_4_sets_of_protocols_and_of_addresses_are_read() {
    let both = r#"{"match": {"op": "==", "left": {"meta": {"key": "l4proto"}}, "right": {"set": ["tcp", "udp"]}}},
        {"match": {"op": "==", "left": {"payload": {"protocol": "th", "field": "dport"}}, "right": 7050}},
        {"redirect": {"port": 5300}}"#;
    let four = ["tcp *:7050 0.0.0.0:5300", "udp *:7050 0.0.0.0:5300"];
    assert_eq!(rule("ip", both), (four.map(str::to_owned).to_vec(), vec![]));
    let six = ["tcp [*]:7050 [::]:5300", "udp [*]:7050 [::]:5300"];
    assert_eq!(rule("inet", both), ([four, six].concat().into_iter().map(str::to_owned).collect(), vec![]));

    let addresses = r#"{"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "daddr"}}, "right":
        {"set": ["10.0.0.1", "127.0.0.1", "10.0.0.2"]}}}, {"match": {"op": "==", "left": {"payload":
        {"protocol": "tcp", "field": "dport"}}, "right": 7061}}, {"redirect": {"port": 4}}"#;
    let shown = ["tcp 10.0.0.1:7061 0.0.0.0:4", "tcp 127.0.0.1:7061 0.0.0.0:4"];
    assert_eq!(rule("inet", addresses), (shown.map(str::to_owned).to_vec(), vec![]));
    for networks in [
        r#"{"prefix": {"addr": "127.0.0.0", "len": 8}}"#,
        r#"{"set": [{"prefix": {"addr": "192.168.0.0", "len": 16}}, {"range": ["127.0.0.1", "127.0.0.9"]}]}"#,
    ] {
        let text = addresses.replace(r#"{"set": ["10.0.0.1", "127.0.0.1", "10.0.0.2"]}"#, networks);
        assert_eq!(rule("ip", &text), (vec![shown[1].to_owned()], vec![]), "{networks}");
    }
    let others = r#"{"match": {"op": "==", "left": {"meta": {"key": "l4proto"}}, "right": {"set": ["icmp", "sctp"]}}},
        {"redirect": {"port": 7}}"#;
    assert_eq!(rule("inet", others), (vec![], vec![]), "these are no ports of what is listed");
}

/// What a rule does whose ports are compared so.
fn compared(operator: &str, right: &str, ports: Option<&[u16]>) -> (Vec<String>, Vec<String>) {
    let text = format!(
        r#"{{"nftables": [{{"chain": {{"family": "ip", "table": "x", "name": "pre", "type": "nat", "hook": "prerouting"}}}},
        {{"rule": {{"family": "ip", "table": "x", "chain": "pre", "expr": [{{"match": {{"op": "{operator}", "left":
        {{"payload": {{"protocol": "tcp", "field": "dport"}}}}, "right": {right}}}}}, {{"redirect": {{"port": 1}}}}]}}}}]}}"#
    );
    let ports = ports.map(|ports| ports.iter().copied().map(crate::model::Port::new).collect());
    of_rules(&parse(text.as_bytes()).unwrap(), ports.as_ref())
}

#[test]
fn issue_4_ports_that_are_compared_are_a_range_and_many_are_told_as_one() {
    let said = |words: &str| vec![format!("rules forward {words}, which are not listed one by one")];
    assert_eq!(compared("<", "3", None), (vec!["tcp *:1 0.0.0.0:1".into(), "tcp *:2 0.0.0.0:1".into()], vec![]));
    assert_eq!(compared("<=", "2", None), compared("<", "3", None));
    assert_eq!(compared(">", "65534", None), (vec!["tcp *:65535 0.0.0.0:1".to_owned()], vec![]));
    assert_eq!(compared(">=", "65535", None), compared(">", "65534", None));
    assert_eq!(compared(">", "65535", None), (vec![], vec![]));
    assert_eq!(compared(">=", "7056", None), (vec![], said("tcp 7056-65535")));
    // Who asks for particular ports is told of each.
    assert_eq!(compared(">=", "7056", Some(&[7055, 7056])), (vec!["tcp *:7056 0.0.0.0:1".to_owned()], vec![]));
    for right in ["7055", r#"{"set": [22, 23]}"#, r#"{"range": [22, 25]}"#] {
        assert_eq!(compared("!=", right, Some(&[7056])), (vec![], said("almost every port of tcp")), "{right}");
    }
    let all = r#"{"match": {"op": "==", "left": {"meta": {"key": "l4proto"}}, "right": "tcp"}}, {"redirect": {"port": 12345}}"#;
    assert_eq!(rule("inet", all), (vec![], said("almost every port of tcp")));
    assert_eq!(rule("ip", r#"{"redirect": null}"#), (vec![], said("almost every port of tcp and udp")));
}

#[test]
fn issue_4_a_target_of_several_ports_is_not_the_own_port() {
    let to = |action: &str| {
        let port =
            r#"{"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": 7052}}"#;
        let (shown, unread) = rule("inet", &format!("{port}, {action}"));
        assert_eq!(unread, [""; 0], "{action}");
        shown
    };
    for (action, shown) in [
        (r#"{"dnat": {"family": "ip", "addr": "10.9.9.1", "port": {"range": [80, 90]}}}"#, "tcp *:7052 10.9.9.1:80-90"),
        (
            r#"{"dnat": {"family": "ip6", "addr": "fd00::1", "port": {"range": [80, 90]}}}"#,
            "tcp [*]:7052 [fd00::1]:80-90",
        ),
        (
            r#"{"dnat": {"family": "ip", "addr": {"range": ["10.9.9.1", "10.9.9.7"]}, "port": 80}}"#,
            "tcp *:7052 10.9.9.1:80",
        ),
        (r#"{"dnat": {"family": "ip", "addr": "10.9.9.1"}}"#, "tcp *:7052 10.9.9.1:7052"),
        (
            r#"{"dnat": {"family": "ip", "addr": "10.9.9.1", "port": {"map": {"key": {"numgen": {"mode": "inc", "mod": 2,
            "offset": 0}}, "data": {"set": [[0, 80], [1, 81]]}}}}}"#,
            "tcp *:7052 10.9.9.1",
        ),
    ] {
        assert_eq!(to(action), [shown], "{action}");
    }
    assert_eq!(
        to(r#"{"redirect": {"port": {"range": [8080, 8090]}}}"#),
        ["tcp *:7052 0.0.0.0:8080-8090", "tcp [*]:7052 [::]:8080-8090"]
    );
    assert_eq!(to(r#"{"redirect": null}"#), ["tcp *:7052 0.0.0.0:7052", "tcp [*]:7052 [::]:7052"]);
}

#[test]
fn issue_4_what_leaves_the_chain_before_is_not_sent() {
    let text = |condition: &str| {
        let rule = |expressions: &str| {
            format!(
                r#"{{"rule": {{"family": "ip", "table": "x", "chain": "pre", "expr": [{condition}{expressions}]}}}}"#
            )
        };
        let port = |right: &str, action: &str| {
            let port = r#"{"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right":"#;
            rule(&format!("{port} {right}}}}}, {action}"))
        };
        let accepted = port("7001", r#"{"counter": {"packets": 0, "bytes": 0}}, {"accept": null}"#);
        let sent = port(r#"{"range": [7000, 7001]}"#, r#"{"redirect": {"port": 1}}"#);
        let chain = r#"{"chain": {"family": "ip", "table": "x", "name": "pre", "type": "nat", "hook": "prerouting"}}"#;
        told(&format!(r#"{{"nftables": [{chain}, {accepted}, {sent}]}}"#)).0
    };
    assert_eq!(text(""), ["tcp *:7000 0.0.0.0:1"]);
    let narrow = r#"{"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": "eth0"}}, "#;
    assert_eq!(text(narrow), ["tcp *:7000 0.0.0.0:1", "tcp *:7001 0.0.0.0:1"], "what comes from elsewhere is sent");
}

#[test]
fn issue_4_rules_that_iptables_wrote_are_left_to_its_own_tool() {
    let text = r#"{"nftables": [{"chain": {"family": "ip", "table": "nat", "name": "PREROUTING", "type": "nat", "hook":
        "prerouting"}}, {"rule": {"family": "ip", "table": "nat", "chain": "PREROUTING", "expr": [{"match": {"op": "==",
        "left": {"meta": {"key": "l4proto"}}, "right": "tcp"}}, {"xt": {"type": "match", "name": "multiport"}},
        {"counter": {"packets": 0, "bytes": 0}}, {"xt": {"type": "target", "name": "REDIRECT"}}]}}]}"#;
    let addresses = std::collections::BTreeSet::new();
    let question = super::super::rules::Question { addresses: &addresses, ports: None };
    let answer = parse(text.as_bytes()).unwrap().redirects(question);
    assert!(answer.has_extensions && answer.redirects.is_empty() && answer.unread().is_empty(), "{answer:?}");
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in any::<Vec<u8>>()) {
        let _ = parse(&text);
    }
}
