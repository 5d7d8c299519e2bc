//! The rules that real tools make, and where each leads; what these print is abridged to the shapes that matter.

use super::*;

#[test]
fn docker_publishes_to_other_hosts_and_to_this_one_but_for_loopback() {
    let rules = of_iptables(
        "*nat\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n:DOCKER - [0:0]\n\
         -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER\n\
         -A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER\n\
         -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE\n\
         -A DOCKER -i docker0 -j RETURN\n\
         -A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80\n\
         -A DOCKER -d 192.0.2.7/32 ! -i docker0 -p udp -m udp --dport 53 -j DNAT --to-destination 172.17.0.3:5353\n\
         -A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.9:80\nCOMMIT\n",
    );
    let local = "172.17.0.2:80 for to 192.0.2.7 or 172.17.0.1";
    assert_eq!(tcp(&rules, 8080), format!("172.17.0.2:80 / {local}"), "the first rule wins");
    assert_eq!(said_at(&rules, Protocol::Tcp, "127.0.0.1", 8080), "- / -");
    assert_eq!(said_at(&rules, Protocol::Udp, "192.0.2.7", 53), "172.17.0.3:5353 / 172.17.0.3:5353");
    assert_eq!(said_at(&rules, Protocol::Udp, "172.17.0.1", 53), "- / -");
    assert_eq!(tcp(&rules, 8081), "- / -");
}

#[test]
fn swarm_sends_published_ports_to_its_own_bridge() {
    let rules = of_iptables(
        "*nat\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:DOCKER-INGRESS - [0:0]\n\
         -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER-INGRESS\n\
         -A OUTPUT -m addrtype --dst-type LOCAL -j DOCKER-INGRESS\n\
         -A DOCKER-INGRESS -p tcp -m tcp --dport 8000 -j DNAT --to-destination 172.18.0.2:8000\n\
         -A DOCKER-INGRESS -j RETURN\nCOMMIT\n",
    );
    assert_eq!(tcp(&rules, 8000), "172.18.0.2:8000 / 172.18.0.2:8000");
}

#[test]
fn netavark_and_cni_portmap_publish_through_a_chain_a_container() {
    let netavark = of_iptables(
        "*nat\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:NETAVARK-HOSTPORT-DNAT - [0:0]\n\
         :NETAVARK-HOSTPORT-SETMARK - [0:0]\n:NETAVARK-DN-1D8721804F16F - [0:0]\n\
         -A PREROUTING -m addrtype --dst-type LOCAL -j NETAVARK-HOSTPORT-DNAT\n\
         -A OUTPUT -m addrtype --dst-type LOCAL -j NETAVARK-HOSTPORT-DNAT\n\
         -A NETAVARK-HOSTPORT-SETMARK -j MARK --set-xmark 0x2000/0x2000\n\
         -A NETAVARK-DN-1D8721804F16F -s 10.88.0.0/16 -p tcp -m tcp --dport 8080 -j NETAVARK-HOSTPORT-SETMARK\n\
         -A NETAVARK-DN-1D8721804F16F -s 127.0.0.1/32 -p tcp -m tcp --dport 8080 -j NETAVARK-HOSTPORT-SETMARK\n\
         -A NETAVARK-DN-1D8721804F16F -p tcp -m tcp --dport 8080 -j DNAT --to-destination 10.88.0.2:80\n\
         -A NETAVARK-HOSTPORT-DNAT -p tcp -m tcp --dport 8080 -m comment --comment \"dnat name: podman id: 3e2a\" -j NETAVARK-DN-1D8721804F16F\n\
         COMMIT\n",
    );
    assert_eq!(tcp(&netavark, 8080), "10.88.0.2:80 / 10.88.0.2:80");
    let portmap = of_iptables(
        "*nat\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:CNI-DN-a - [0:0]\n:CNI-HOSTPORT-DNAT - [0:0]\n\
         :CNI-HOSTPORT-SETMARK - [0:0]\n\
         -A PREROUTING -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT\n\
         -A OUTPUT -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT\n\
         -A CNI-HOSTPORT-DNAT -p tcp -m comment --comment \"dnat name: \\\"net\\\" id: \\\"x\\\"\" -m multiport --dports 9090,9091 -j CNI-DN-a\n\
         -A CNI-DN-a -s 10.85.0.0/16 -p tcp -m tcp --dport 9090 -j CNI-HOSTPORT-SETMARK\n\
         -A CNI-DN-a -p tcp -m tcp --dport 9090 -j DNAT --to-destination 10.85.0.3:80\n\
         -A CNI-HOSTPORT-SETMARK -m comment --comment \"CNI portfwd masquerade mark\" -j MARK --set-xmark 0x2000/0x2000\nCOMMIT\n",
    );
    assert_eq!(tcp(&portmap, 9090), "10.85.0.3:80 / 10.85.0.3:80");
    assert_eq!(tcp(&portmap, 9091), "- / -");
}

#[test]
fn a_node_port_of_kube_proxy_names_its_service() {
    let iptables = of_iptables(
        "*nat\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:KUBE-SERVICES - [0:0]\n:KUBE-NODEPORTS - [0:0]\n\
         :KUBE-EXT-A - [0:0]\n:KUBE-SVC-A - [0:0]\n:KUBE-SEP-1 - [0:0]\n:KUBE-SEP-2 - [0:0]\n:KUBE-MARK-MASQ - [0:0]\n\
         -A PREROUTING -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES\n\
         -A OUTPUT -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES\n\
         -A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000\n\
         -A KUBE-SERVICES -d 10.96.0.10/32 -p tcp -m comment --comment \"default/web cluster IP\" -m tcp --dport 80 -j KUBE-SVC-A\n\
         -A KUBE-SERVICES -m comment --comment \"kubernetes service nodeports; NOTE: this must be the last rule in this chain\" -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS\n\
         -A KUBE-NODEPORTS -p tcp -m comment --comment \"default/web\" -m tcp --dport 30080 -j KUBE-EXT-A\n\
         -A KUBE-EXT-A -m comment --comment \"masquerade traffic for default/web external destinations\" -j KUBE-MARK-MASQ\n\
         -A KUBE-EXT-A -j KUBE-SVC-A\n\
         -A KUBE-SVC-A -m comment --comment \"default/web -> 10.244.0.5:8080\" -m statistic --mode random --probability 0.50000000000 -j KUBE-SEP-1\n\
         -A KUBE-SVC-A -m comment --comment \"default/web -> 10.244.0.6:8080\" -j KUBE-SEP-2\n\
         -A KUBE-SEP-1 -s 10.244.0.5/32 -m comment --comment \"default/web\" -j KUBE-MARK-MASQ\n\
         -A KUBE-SEP-1 -p tcp -m comment --comment \"default/web\" -m tcp -j DNAT --to-destination 10.244.0.5:8080\n\
         -A KUBE-SEP-2 -p tcp -m comment --comment \"default/web\" -m tcp -j DNAT --to-destination 10.244.0.6:8080\nCOMMIT\n",
    );
    assert_eq!(tcp(&iptables, 30080), "10.244.0.5:8080 default/web / 10.244.0.5:8080 default/web");
    assert_eq!(tcp(&iptables, 80), "- / -", "a cluster address is none of this host's");

    let table = r#"{"table": {"family": "ip", "name": "kube-proxy", "handle": 1}}"#;
    let chain = |name: &str| {
        format!(r#"{{"chain": {{"family": "ip", "table": "kube-proxy", "name": "{name}", "handle": 2}}}}"#)
    };
    let base = |name: &str, hook: &str| {
        format!(
            r#"{{"chain": {{"family": "ip", "table": "kube-proxy", "name": "{name}", "handle": 2, "type": "nat", "hook": "{hook}", "prio": -110, "policy": "accept"}}}}"#
        )
    };
    let rule = |chain: &str, body: &str| {
        format!(
            r#"{{"rule": {{"family": "ip", "table": "kube-proxy", "chain": "{chain}", "handle": 9, "expr": [{body}]}}}}"#
        )
    };
    let key = r#"{"concat": [{"meta": {"key": "l4proto"}}, {"payload": {"protocol": "th", "field": "dport"}}]}"#;
    let services = "external-ULMVA6XW-default/web/tcp/http";
    let endpoints = "service-ULMVA6XW-default/web/tcp/http";
    let all = [
        table.to_owned(),
        r#"{"set": {"family": "ip", "name": "nodeport-ips", "table": "kube-proxy", "type": "ipv4_addr", "handle": 3, "elem": ["192.0.2.7"]}}"#.to_owned(),
        format!(
            r#"{{"map": {{"family": "ip", "name": "service-nodeports", "table": "kube-proxy", "type": ["inet_proto", "inet_service"], "handle": 4, "map": "verdict", "elem": [[{{"elem": {{"val": {{"concat": ["tcp", 30080]}}, "comment": "default/web:http"}}}}, {{"goto": {{"target": "{services}"}}}}]]}}}}"#
        ),
        base("nat-prerouting", "prerouting"),
        base("nat-output", "output"),
        chain("services"),
        chain("mark-for-masquerade"),
        chain(services),
        chain(endpoints),
        rule("nat-prerouting", r#"{"jump": {"target": "services"}}"#),
        rule("nat-output", r#"{"jump": {"target": "services"}}"#),
        rule(
            "services",
            &format!(
                r#"{{"match": {{"op": "==", "left": {{"payload": {{"protocol": "ip", "field": "daddr"}}}}, "right": "@nodeport-ips"}}}}, {{"vmap": {{"key": {key}, "data": "@service-nodeports"}}}}"#
            ),
        ),
        rule("mark-for-masquerade", r#"{"mangle": {"key": {"meta": {"key": "mark"}}, "value": {"|": [{"meta": {"key": "mark"}}, 16384]}}}"#),
        rule(services, r#"{"jump": {"target": "mark-for-masquerade"}}"#),
        rule(services, &format!(r#"{{"goto": {{"target": "{endpoints}"}}}}"#)),
        rule(
            endpoints,
            r#"{"match": {"op": "==", "left": {"meta": {"key": "l4proto"}}, "right": "tcp"}}, {"dnat": {"addr": {"map": {"key": {"numgen": {"mode": "random", "mod": 2, "offset": 0}}, "data": {"set": [[0, {"concat": ["10.180.0.1", 80]}], [1, {"concat": ["10.180.0.2", 80]}]]}}}}}"#,
        ),
    ];
    let nftables = of_nft(&all.join(","));
    let to = "10.180.0.1:80 default/web";
    let at = |address| said_at(&nftables, Protocol::Tcp, address, 30080);
    assert_eq!(at("192.0.2.7"), format!("{to} / {to}"));
    assert_eq!(at("127.0.0.1"), "- / -", "node ports of this mode leave loopback alone");
}

#[test]
fn firewalld_forwards_for_the_interfaces_of_a_zone() {
    let rules = |zone: &str| {
        let chain = |name: &str, base: &str| {
            format!(r#"{{"chain": {{"family": "inet", "table": "firewalld", "name": "{name}", "handle": 1{base}}}}}"#)
        };
        let rule = |chain: &str, body: &str| {
            format!(
                r#"{{"rule": {{"family": "inet", "table": "firewalld", "chain": "{chain}", "handle": 5, "expr": [{body}]}}}}"#
            )
        };
        of_nft(
            &[
                r#"{"table": {"family": "inet", "name": "firewalld", "handle": 1}}"#.to_owned(),
                chain("nat_PREROUTING", r#", "type": "nat", "hook": "prerouting", "prio": -90, "policy": "accept""#),
                chain("nat_PREROUTING_ZONES", ""),
                chain("nat_PRE_public", ""),
                chain("nat_PRE_public_allow", ""),
                rule("nat_PREROUTING", r#"{"jump": {"target": "nat_PREROUTING_ZONES"}}"#),
                rule("nat_PREROUTING_ZONES", zone),
                rule("nat_PRE_public", r#"{"jump": {"target": "nat_PRE_public_allow"}}"#),
                rule(
                    "nat_PRE_public_allow",
                    r#"{"match": {"op": "==", "left": {"meta": {"key": "nfproto"}}, "right": "ipv4"}}, {"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": 80}}, {"redirect": {"port": 8080}}"#,
                ),
            ]
            .join(","),
        )
    };
    let on = |name: &str| {
        format!(
            r#"{{"match": {{"op": "==", "left": {{"meta": {{"key": "iifname"}}}}, "right": "{name}"}}}}, {{"goto": {{"target": "nat_PRE_public"}}}}"#
        )
    };
    assert_eq!(tcp(&rules(&on("eth0")), 80), "0.0.0.0:8080 / -");
    assert_eq!(tcp(&rules(&on("eth9")), 80), "0.0.0.0:8080 for via eth9 / -");
    assert_eq!(tcp(&rules(r#"{"goto": {"target": "nat_PRE_public"}}"#), 80), "0.0.0.0:8080 / -");
    assert_eq!(said_at(&rules(&on("eth0")), Protocol::Tcp, "2001:db8::7", 80), "- / -");
}

#[test]
fn ufw_filters_what_it_does_not_allow() {
    let rules = of_iptables(
        "*filter\n:INPUT DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n:ufw-before-input - [0:0]\n:ufw-not-local - [0:0]\n\
         :ufw-user-input - [0:0]\n\
         -A INPUT -j ufw-before-input\n\
         -A ufw-before-input -i lo -j ACCEPT\n\
         -A ufw-before-input -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n\
         -A ufw-before-input -m conntrack --ctstate INVALID -j DROP\n\
         -A ufw-before-input -p icmp -m icmp --icmp-type 8 -j ACCEPT\n\
         -A ufw-before-input -p udp -m udp --sport 67 --dport 68 -j ACCEPT\n\
         -A ufw-before-input -j ufw-not-local\n\
         -A ufw-before-input -d 224.0.0.251/32 -p udp -m udp --dport 5353 -j ACCEPT\n\
         -A ufw-before-input -j ufw-user-input\n\
         -A ufw-not-local -m addrtype --dst-type LOCAL -j RETURN\n\
         -A ufw-not-local -m addrtype --dst-type MULTICAST -j RETURN\n\
         -A ufw-not-local -m limit --limit 3/min --limit-burst 10 -j DROP\n-A ufw-not-local -j DROP\n\
         -A ufw-user-input -p tcp -m tcp --dport 22 -j ACCEPT\n\
         -A ufw-user-input -s 10.0.0.0/8 -p tcp -m tcp --dport 5432 -j ACCEPT\nCOMMIT\n",
    );
    assert_eq!(tcp(&rules, 22), "- / -");
    assert_eq!(tcp(&rules, 8080), "- / - filtered");
    assert_eq!(tcp(&rules, 5432), "- / -", "some get through");
    assert_eq!(said(&rules, Protocol::Udp, 5353), "- / - filtered");
    assert_eq!(said(&rules, Protocol::Udp, 68), "- / -");
}

#[test]
fn fw4_forwards_what_comes_in_by_the_wide_network() {
    let rules = of_nft(
        r#"{"table": {"family": "inet", "name": "fw4", "handle": 1}},
        {"chain": {"family": "inet", "table": "fw4", "name": "dstnat", "handle": 1, "type": "nat", "hook": "prerouting", "prio": -100, "policy": "accept"}},
        {"chain": {"family": "inet", "table": "fw4", "name": "dstnat_wan", "handle": 2}},
        {"rule": {"family": "inet", "table": "fw4", "chain": "dstnat", "handle": 3, "comment": "!fw4: Handle wan IPv4/IPv6 dstnat traffic", "expr": [{"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": "eth0"}}, {"jump": {"target": "dstnat_wan"}}]}},
        {"rule": {"family": "inet", "table": "fw4", "chain": "dstnat_wan", "handle": 4, "comment": "!fw4: web", "expr": [{"match": {"op": "==", "left": {"meta": {"key": "nfproto"}}, "right": "ipv4"}}, {"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": {"set": [80, {"range": [8000, 8010]}]}}}, {"counter": {"packets": 0, "bytes": 0}}, {"dnat": {"family": "ip", "addr": "192.168.1.2", "port": 8080}}]}}"#,
    );
    assert_eq!(tcp(&rules, 8005), "192.168.1.2:8080 / -");
    assert_eq!(tcp(&rules, 8011), "- / -");
}

#[test]
fn libvirt_only_masquerades() {
    let rules = of_iptables(
        "*nat\n:PREROUTING ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n:LIBVIRT_PRT - [0:0]\n-A POSTROUTING -j LIBVIRT_PRT\n\
         -A LIBVIRT_PRT -s 192.168.122.0/24 -d 224.0.0.0/24 -j RETURN\n\
         -A LIBVIRT_PRT -s 192.168.122.0/24 ! -d 192.168.122.0/24 -p tcp -j MASQUERADE --to-ports 1024-65535\nCOMMIT\n",
    );
    assert_eq!(tcp(&rules, 80), "- / -");
}

#[test]
fn istio_takes_what_comes_in_but_for_its_own_ports() {
    let rules = of_iptables(
        "*nat\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:ISTIO_INBOUND - [0:0]\n:ISTIO_IN_REDIRECT - [0:0]\n\
         :ISTIO_OUTPUT - [0:0]\n:ISTIO_REDIRECT - [0:0]\n\
         -A PREROUTING -p tcp -j ISTIO_INBOUND\n-A OUTPUT -p tcp -j ISTIO_OUTPUT\n\
         -A ISTIO_INBOUND -p tcp -m tcp --dport 15008 -j RETURN\n-A ISTIO_INBOUND -p tcp -m tcp --dport 15090 -j RETURN\n\
         -A ISTIO_INBOUND -p tcp -j ISTIO_IN_REDIRECT\n-A ISTIO_IN_REDIRECT -p tcp -j REDIRECT --to-ports 15006\n\
         -A ISTIO_OUTPUT -s 127.0.0.6/32 -o lo -j RETURN\n\
         -A ISTIO_OUTPUT ! -d 127.0.0.1/32 -o lo -m owner --uid-owner 1337 -j ISTIO_IN_REDIRECT\n\
         -A ISTIO_OUTPUT -o lo -m owner ! --uid-owner 1337 -j RETURN\n\
         -A ISTIO_OUTPUT -m owner --uid-owner 1337 -j RETURN\n-A ISTIO_OUTPUT -d 127.0.0.1/32 -j RETURN\n\
         -A ISTIO_OUTPUT -j ISTIO_REDIRECT\n-A ISTIO_REDIRECT -p tcp -j REDIRECT --to-ports 15001\nCOMMIT\n",
    );
    assert_eq!(said_at(&rules, Protocol::Tcp, "192.0.2.7", 80), "0.0.0.0:15006 / 0.0.0.0:15006 for uid 1337");
    assert_eq!(said_at(&rules, Protocol::Tcp, "127.0.0.1", 80), "- / -");
    assert_eq!(tcp(&rules, 15090), "- / 0.0.0.0:15006 for uid 1337, to 192.0.2.7 or 172.17.0.1");
    assert!(tcp(&rules, 15006).starts_with("- / "), "its own port is no redirect");
}

#[test]
fn redsocks_leaves_the_networks_alone_that_it_names() {
    let rules = of_iptables(
        "*nat\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:REDSOCKS - [0:0]\n-A PREROUTING -p tcp -j REDSOCKS\n\
         -A REDSOCKS -d 10.0.0.0/8 -j RETURN\n-A REDSOCKS -d 127.0.0.0/8 -j RETURN\n-A REDSOCKS -d 172.16.0.0/12 -j RETURN\n\
         -A REDSOCKS -d 192.0.2.0/24 -j RETURN\n-A REDSOCKS -p tcp -j REDIRECT --to-ports 12345\nCOMMIT\n",
    );
    assert_eq!(tcp(&rules, 82), "- / -");
}

#[test]
fn k3s_publishes_its_load_balancer_by_host_ports_beside_the_node_ports() {
    let rules = of_iptables(
        "*nat\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:CNI-HOSTPORT-DNAT - [0:0]\n:CNI-DN-4f2 - [0:0]\n\
         :KUBE-SERVICES - [0:0]\n:KUBE-NODEPORTS - [0:0]\n:KUBE-EXT-W - [0:0]\n:KUBE-SVC-W - [0:0]\n:KUBE-SEP-W - [0:0]\n\
         -A PREROUTING -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES\n\
         -A PREROUTING -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT\n\
         -A OUTPUT -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES\n\
         -A OUTPUT -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT\n\
         -A CNI-HOSTPORT-DNAT -p tcp -m comment --comment \"dnat name: \\\"cbr0\\\" id: \\\"4f2\\\"\" -m multiport --dports 80,443 -j CNI-DN-4f2\n\
         -A CNI-DN-4f2 -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.42.0.8:80\n\
         -A CNI-DN-4f2 -p tcp -m tcp --dport 443 -j DNAT --to-destination 10.42.0.8:443\n\
         -A KUBE-SERVICES -m comment --comment \"kubernetes service nodeports\" -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS\n\
         -A KUBE-NODEPORTS -p tcp -m comment --comment \"kube-system/traefik:web\" -m tcp --dport 31380 -j KUBE-EXT-W\n\
         -A KUBE-EXT-W -j KUBE-SVC-W\n-A KUBE-SVC-W -j KUBE-SEP-W\n\
         -A KUBE-SEP-W -p tcp -m comment --comment \"kube-system/traefik:web\" -m tcp -j DNAT --to-destination 10.42.0.9:8000\nCOMMIT\n",
    );
    assert_eq!(tcp(&rules, 80), "10.42.0.8:80 / 10.42.0.8:80");
    assert_eq!(tcp(&rules, 443), "10.42.0.8:443 / 10.42.0.8:443");
    let traefik = "10.42.0.9:8000 kube-system/traefik:web";
    assert_eq!(tcp(&rules, 31380), format!("{traefik} / {traefik}"));
    assert_eq!(tcp(&rules, 6443), "- / -");
}
