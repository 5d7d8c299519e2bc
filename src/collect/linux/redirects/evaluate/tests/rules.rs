//! Rules that end early, are not understood, or meet others.

use super::*;

#[test]
fn a_transparent_proxy_gets_what_iptables_gives_it() {
    let rules = of_iptables(
        "*mangle\n:PREROUTING ACCEPT [0:0]\n:DIVERT - [0:0]\n\
         -A PREROUTING -p tcp -m socket --transparent -j DIVERT\n\
         -A PREROUTING -p tcp -m tcp --dport 8000:8081 -j TPROXY --on-port 12345 --on-ip 127.0.0.1 --tproxy-mark 0x1/0x1\n\
         -A DIVERT -j MARK --set-xmark 0x1/0xffffffff\n-A DIVERT -j ACCEPT\nCOMMIT\n",
    );
    assert_eq!(tcp(&rules, 8005), "127.0.0.1:12345 / 127.0.0.1:12345");
    assert_eq!(tcp(&rules, 7999), "- / -");
}

#[test]
fn what_this_host_sends_meets_a_transparent_proxy_behind_its_translation_too() {
    let rules = of_iptables(
        "*nat\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -p tcp -m tcp --dport 7001 -j REDIRECT --to-ports 7003\n\
         -A OUTPUT -p tcp -m tcp --dport 7003 -j REDIRECT\n-A OUTPUT -p tcp -m tcp --dport 7004 -j REDIRECT --to-ports 7005\n\
         COMMIT\n*mangle\n:PREROUTING ACCEPT [0:0]\n\
         -A PREROUTING -d 127.0.0.1/32 -p tcp -m tcp --dport 7003:7004 -j TPROXY --on-port 12345 --on-ip 127.0.0.1\nCOMMIT\n",
    );
    assert_eq!(tcp(&rules, 7001), "- / 127.0.0.1:12345", "it is sent to 7003 first");
    assert_eq!(tcp(&rules, 7003), "- / 127.0.0.1:12345", "a redirect to its own port ends nothing");
    assert_eq!(tcp(&rules, 7004), "- / 0.0.0.0:7005", "it no longer goes to 7004 where the proxy is");
}

#[test]
fn rules_that_end_early_are_followed_as_they_end() {
    let early = of_iptables(
        "*nat\n:PREROUTING ACCEPT [0:0]\n:K - [0:0]\n-A PREROUTING -j K\n\
         -A PREROUTING -p tcp -m tcp --dport 8004:8005 -j REDIRECT --to-ports 9\n-A K -p tcp -m tcp --dport 8005 -j ACCEPT\n\
         -A PREROUTING -p tcp -m tcp --dport 53 -j REDIRECT --to-ports 53\nCOMMIT\n",
    );
    assert_eq!((tcp(&early, 8004), tcp(&early, 8005)), ("0.0.0.0:9 / -".to_owned(), "- / -".to_owned()));
    assert_eq!(tcp(&early, 53), "- / -", "a port is no redirect of its own");
    let narrow = of_iptables(
        "*nat\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n\
         -A PREROUTING -i tun0 -s 10.1.0.0/24 -p tcp -m tcp --dport 80 -j REDIRECT --to-ports 3127\n\
         -A OUTPUT -p tcp -m tcp --dport 7199 -j REDIRECT --to-ports 12345\nCOMMIT\n",
    );
    assert_eq!(tcp(&narrow, 80), "0.0.0.0:3127 for via tun0, from 10.1.0.0/24 / -");
    assert_eq!(tcp(&narrow, 7199), "- / 0.0.0.0:12345");
}

#[test]
fn what_is_not_understood_is_unknown_and_only_where_it_matters() {
    let rules = of_iptables(
        "*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p tcp -m set --match-set x dst,dst -j REDIRECT --to-ports 9\n\
         -A PREROUTING -p udp -m udp --dport 53 -j NETMAP --to 10.1.1.0/24\n\
         -A PREROUTING -p udp -m udp --dport 54 -m string --string x --algo bm -j ACCEPT\nCOMMIT\n",
    );
    assert_eq!(tcp(&rules, 80), "? the ipset x is not read / -");
    assert_eq!(said(&rules, Protocol::Udp, 53), "? the target NETMAP is not followed / -");
    assert_eq!(said(&rules, Protocol::Udp, 54), "- / -");
}

#[test]
fn protocols_without_names_are_numbers_and_maps_are_read() {
    let base = r#"{"table": {"family": "ip", "name": "x", "handle": 1}},
        {"chain": {"family": "ip", "table": "x", "name": "p", "handle": 1, "type": "nat", "hook": "prerouting", "prio": -100, "policy": "accept"}}"#;
    let rule = |body: &str| {
        of_nft(&format!(
            r#"{base}, {{"rule": {{"family": "ip", "table": "x", "chain": "p", "handle": 5, "expr": [{body}]}}}}"#
        ))
    };
    let numbers = rule(
        r#"{"match": {"op": "==", "left": {"meta": {"key": "l4proto"}}, "right": {"set": [6, 17]}}}, {"match": {"op": "==", "left": {"payload": {"protocol": "th", "field": "dport"}}, "right": 5}}, {"redirect": {"port": 6}}"#,
    );
    assert_eq!(
        (tcp(&numbers, 5), said(&numbers, Protocol::Udp, 5)),
        ("0.0.0.0:6 / -".to_owned(), "0.0.0.0:6 / -".to_owned())
    );
    let map = rule(
        r#"{"match": {"op": "==", "left": {"meta": {"key": "l4proto"}}, "right": "tcp"}}, {"redirect": {"port": {"map": {"key": {"payload": {"protocol": "tcp", "field": "dport"}}, "data": {"set": [[90, 91]]}}}}}"#,
    );
    assert_eq!((tcp(&map, 90), tcp(&map, 92)), ("0.0.0.0:91 / -".to_owned(), "- / -".to_owned()));
}

#[test]
fn virtual_servers_take_what_is_for_them() {
    let table = "IP Virtual Server version 1.2.1 (size=4096)\nProt LocalAddress:Port Scheduler Flags\n\
                 \x20 -> RemoteAddress:Port Forward Weight ActiveConn InActConn\nTCP  C0000207:0050 rr\n\
                 \x20 -> 0A000002:1F90      Masq    1      0          0\n";
    let rules = Ruleset { services: super::super::super::ipvs::parse(table), ..Ruleset::default() };
    assert_eq!(said_at(&rules, Protocol::Tcp, "192.0.2.7", 80), "10.0.0.2:8080 / 10.0.0.2:8080");
    assert_eq!(said_at(&rules, Protocol::Tcp, "172.17.0.1", 80), "- / -");
}

#[test]
fn thousands_of_rules_stay_ranges_and_are_quick() {
    let mut text = "*nat\n:PREROUTING ACCEPT [0:0]\n".to_owned();
    for port in 10_000..15_000 {
        text.extend([
            "-A PREROUTING -p tcp -m tcp --dport ",
            &port.to_string(),
            " -j DNAT --to-destination 10.0.0.2:80\n",
        ]);
    }
    text += "-A PREROUTING -p tcp -m tcp --dport 20000:40000 -j DNAT --to-destination 10.0.0.3\nCOMMIT\n";
    let all = PortRange::new(Port::new(1), Port::new(u16::MAX)).unwrap();
    let found = redirects(&of_iptables(&text), &host(), &[Protocol::Tcp], &[all]);
    let general: Vec<_> = found.iter().filter(|redirect| redirect.addresses.is_none()).collect();
    let ranges: Vec<String> = general.iter().map(|redirect| redirect.ports.to_string()).collect();
    assert_eq!(general.len(), 5_001);
    assert_eq!((ranges[0].as_str(), ranges[5_000].as_str()), ("10000", "20000-40000"));
}

#[test]
fn thousands_of_published_ports_are_followed_to_the_chains_behind_their_translation() {
    let rule = |port: u16| format!("-A OUTPUT -p tcp -m tcp --dport {port} -j DNAT --to-destination 10.0.0.2:80");
    let nat = (10_000..13_000).map(rule).collect::<Vec<_>>().join("\n");
    let mangle = "*mangle\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p tcp -m tcp --dport 9 -j MARK --set-mark 1\n\
                  -A PREROUTING -p tcp -m tcp --dport 10 -j DROP\n";
    let proxy = "-A PREROUTING -d 10.0.0.3/32 -p tcp -m tcp --dport 80 -j TPROXY --on-port 12345 --on-ip 127.0.0.1\n";
    let other = "-A OUTPUT -p tcp -m tcp --dport 9999 -j DNAT --to-destination 10.0.0.3:80\n";
    for (more, other_leads_to) in [("", "10.0.0.3:80"), (proxy, "127.0.0.1:12345")] {
        let text = format!("*nat\n:OUTPUT ACCEPT [0:0]\n{nat}\n{other}COMMIT\n{mangle}{more}COMMIT\n");
        let rules = of_iptables(&text);
        assert_eq!(tcp(&rules, 11_000), "- / 10.0.0.2:80");
        assert_eq!(tcp(&rules, 9999), format!("- / {other_leads_to}"));
    }
}

mod robust {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_text_of_a_tool_makes_it_panic(
            text in any::<Vec<u8>>(),
            line in "(-[pdsijg]|--dport|--to-destination|--mark|-m|mark|DNAT|!|[0-9:.\\[\\]/-]{1,9}| ){0,30}",
        ) {
            for text in [text.clone(), format!("*nat\n-A PREROUTING {line}\n").into_bytes()] {
                if let Some(tables) = iptables::parse(&text, Family::Ipv4) {
                    let ports = [PortRange::single(Port::new(80))];
                    redirects(&Ruleset { tables, ..Ruleset::default() }, &host(), &Protocol::ALL, &ports);
                }
            }
            let _ = nft::parse(&text, &BTreeSet::new());
        }
    }
}

#[test]
fn what_is_tracked_already_is_translated_whatever_a_later_chain_says() {
    let rules = |priority: i32| {
        of_nft(&format!(
            r#"{{"table": {{"family": "inet", "name": "a", "handle": 1}}}},
            {{"chain": {{"family": "inet", "table": "a", "name": "raw", "handle": 1, "type": "filter", "hook": "prerouting", "prio": {priority}, "policy": "accept"}}}},
            {{"chain": {{"family": "inet", "table": "a", "name": "nat", "handle": 2, "type": "nat", "hook": "prerouting", "prio": -5, "policy": "accept"}}}},
            {{"rule": {{"family": "inet", "table": "a", "chain": "raw", "handle": 3, "expr": [{{"notrack": null}}]}}}},
            {{"rule": {{"family": "inet", "table": "a", "chain": "nat", "handle": 4, "expr": [{{"match": {{"op": "==", "left": {{"payload": {{"protocol": "tcp", "field": "dport"}}}}, "right": 80}}}}, {{"redirect": {{"port": 8080}}}}]}}}}"#
        ))
    };
    assert_eq!(tcp(&rules(-300), 80), "- / -");
    assert_eq!(tcp(&rules(-150), 80), "0.0.0.0:8080 / -");
    assert!(tcp(&rules(-200), 80).starts_with('?'), "{}", tcp(&rules(-200), 80));
}
