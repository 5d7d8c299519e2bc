//! What the network stack itself says of a listener: its number, its queue, and ports that lead elsewhere.

use super::exposed::reach;
use super::holders::summary;
use super::{Finding, Rule};
use crate::model::{Exposure, ForwardedBy, PortRange, Row, State};

/// Listeners on numbers that the system hands out for outgoing connections.
pub fn ephemeral<'a>(rule: &'static Rule, open: &[&'a Row<'a>]) -> Vec<Finding<'a>> {
    let mut findings = Vec::new();
    // A port that is sent on has no socket that could fail to bind.
    for row in open.iter().filter(|row| row.socket.state != Some(State::Redirect)) {
        let port = row.socket.local.port;
        let Some(range) = row.space.ephemeral.filter(|range| range.contains(port)) else { continue };
        let reserved = row.space.reserved.as_deref().unwrap_or_default();
        // A number that the kernel chose is not missed: the next one will do as well.
        if reserved.iter().any(|range| range.contains(port)) || row.socket.autobound == Some(true) {
            continue;
        }
        let evidence = format!(
            "{port} is inside the range {range} that this port space hands out to outgoing connections, and is not \
             reserved: when {} restarts, a connection may have taken it",
            summary(row)
        );
        let mut list: Vec<String> = reserved.iter().map(PortRange::to_string).collect();
        list.push(port.to_string());
        let remedy = format!("sysctl -w net.ipv4.ip_local_reserved_ports={}", list.join(","));
        findings.push(Finding::new(rule, row, evidence, remedy));
    }
    findings
}

/// Accept queues that are more than four fifths full.
pub fn queue<'a>(rule: &'static Rule, open: &[&'a Row<'a>]) -> Vec<Finding<'a>> {
    let mut findings = Vec::new();
    for row in open.iter().filter(|row| row.socket.state == Some(State::Listen)) {
        let Some(queue) = row.socket.queue else { continue };
        if u64::from(queue.used) * 5 <= u64::from(queue.limit) * 4 {
            continue;
        }
        let evidence = format!(
            "{} of {} connections wait to be accepted by {}: when the queue is full, further ones are dropped",
            queue.used,
            queue.limit,
            summary(row)
        );
        let remedy = "see whether the program hangs; else give it a longer backlog and raise net.core.somaxconn";
        findings.push(Finding::new(rule, row, evidence, remedy.to_owned()));
    }
    findings
}

/// Ports that are published for somebody else, beyond loopback.
pub fn published<'a>(rule: &'static Rule, open: &[&'a Row<'a>]) -> Vec<Finding<'a>> {
    let mut findings = Vec::new();
    for row in open.iter().filter(|row| row.exposure != Exposure::Loopback) {
        let socket = row.socket;
        let Some(forward) = &socket.forward else { continue };
        // What is sent to another port of this host passes its input rules there.
        let to = forward.to.address.to_canonical();
        if to.is_unspecified() || to.is_loopback() {
            continue;
        }
        let way = match forward.by {
            ForwardedBy::Nat => "a rule of the firewall",
            ForwardedBy::Proxy => "a proxy, and commonly a rule of the firewall,",
        };
        let port = socket.local.port;
        let evidence = format!(
            "{way} sends what comes for {port} from {} on before the input rules of this host see it: {}",
            reach(row.exposure),
            summary(row)
        );
        let remedy = format!(
            "publish it on loopback only (docker run -p 127.0.0.1:{port}:…), or filter it where forwarded packets pass \
             (the chain DOCKER-USER); rules of ufw, firewalld or INPUT do not stop it"
        );
        findings.push(Finding::new(rule, row, evidence, remedy));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::testing::Host;
    use crate::model::{Container, Endpoint, Forward, ForwardedBy, Queue};

    #[test]
    fn a_listener_in_the_ephemeral_range_is_found_unless_it_is_reserved() {
        let at = |port: u16| Host::new().listens(&format!("127.0.0.1:{port}"), "/opt/a", 33);
        at(32768).is_found_by("ephemeral-listener", "low tcp 127.0.0.1:32768: 32768 is inside the range 32768-60999");
        at(60999).is_found_by("ephemeral-listener", "low");
        at(32767).is_clean_for("ephemeral-listener");
        at(61000).is_clean_for("ephemeral-listener");
        Host::new().redirect("0.0.0.0:40000").is_clean_for("ephemeral-listener");
        let mut reserved = at(40000);
        reserved.snapshot.spaces[0].reserved = Some(vec!["39000-40000".parse().unwrap()]);
        reserved.is_clean_for("ephemeral-listener");
        let mut chosen = at(40000);
        chosen.last().autobound = Some(true);
        chosen.is_clean_for("ephemeral-listener");
        let mut unknown = at(40000);
        unknown.snapshot.spaces[0].ephemeral = None;
        unknown.is_clean_for("ephemeral-listener");
    }

    #[test]
    fn the_remedy_keeps_what_is_reserved_already() {
        let mut host = Host::new().listens("127.0.0.1:40000", "/opt/a", 33);
        host.snapshot.spaces[0].reserved = Some(vec!["8080".parse().unwrap(), "9000-9010".parse().unwrap()]);
        let listing = crate::join::listing(&host.snapshot, None);
        let found = super::super::findings(&listing, &|rule| rule.id == "ephemeral-listener");
        assert_eq!(found[0].remedy, "sysctl -w net.ipv4.ip_local_reserved_ports=8080,9000-9010,40000");
    }

    #[test]
    fn an_accept_queue_above_four_fifths_is_found() {
        for (used, limit, is_found) in
            [(5, 5, true), (4, 5, false), (0, 0, false), (1, 0, true), (103, 128, true), (102, 128, false)]
        {
            let mut host = Host::new().listens("127.0.0.1:8080", "/opt/a", 33);
            host.last().queue = Some(Queue { used, limit });
            assert_eq!(host.found_by("accept-queue").len(), usize::from(is_found), "{used} of {limit}");
        }
        Host::new().listens("127.0.0.1:8080", "/opt/a", 33).is_clean_for("accept-queue");
    }

    #[test]
    fn a_published_port_is_found_beyond_loopback() {
        let forward = |by| Forward {
            by,
            to: Endpoint::new("172.17.0.2".parse().unwrap(), 80).into(),
            container: Some(Container {
                name: Some("web".to_owned()),
                ..Container::of_id("docker", "0123".to_owned())
            }),
        };
        let proxy = |local: &str| {
            let mut host = Host::new().listens(local, "/usr/bin/docker-proxy", 0);
            host.last().forward = Some(Box::new(forward(ForwardedBy::Proxy)));
            host
        };
        proxy("0.0.0.0:8080").is_found_by("published-port", "medium tcp 0.0.0.0:8080: a proxy, and commonly a rule");
        proxy("127.0.0.1:8080").is_clean_for("published-port");
        let redirect = |local: &str, forward| {
            let mut host = Host::new().redirect(local);
            host.last().forward = Some(Box::new(forward));
            host
        };
        let sent = redirect("0.0.0.0:8080", forward(ForwardedBy::Nat));
        sent.is_found_by("published-port", "medium tcp 0.0.0.0:8080: a rule of the firewall sends what comes for 8080");
        assert!(sent.found_by("published-port")[0].ends_with("forwarded to container web, 172.17.0.2:80"));
        redirect("127.0.0.1:8080", forward(ForwardedBy::Nat)).is_clean_for("published-port");
        let here = Forward { to: Endpoint::new("0.0.0.0".parse().unwrap(), 81).into(), ..forward(ForwardedBy::Nat) };
        redirect("0.0.0.0:8080", here).is_clean_for("published-port");
        Host::new().listens("0.0.0.0:8080", "/usr/bin/docker-proxy", 0).is_clean_for("published-port");
    }
}
