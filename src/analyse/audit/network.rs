//! What the network stack itself says of a listener: its number, its queue, and ports that lead elsewhere.

use std::collections::BTreeMap;

use super::fact::{Fact, Reservation};
use super::{Finding, Rule};
use crate::model::{Exposure, Port, PortRange, Row, SpaceId, State};

/// Ranges that a command line may have; with more of them it is no longer something to type.
const MOST_RANGES: usize = 100;

/// Listeners on numbers that the system hands out for outgoing connections.
pub fn ephemeral<'a>(rule: &'static Rule, open: &[&'a Row<'a>]) -> Vec<Finding<'a>> {
    let at_risk: Vec<(&'a Row<'a>, PortRange)> = open.iter().filter_map(|row| Some((*row, range_of(row)?))).collect();
    let mut spaces: BTreeMap<SpaceId, Vec<&'a Row<'a>>> = BTreeMap::new();
    for (row, _) in &at_risk {
        spaces.entry(row.space.id).or_default().push(row);
    }
    // The sysctl replaces the whole list, so every finding of a space has the one command that is right for all of them.
    let reservations: BTreeMap<SpaceId, Reservation> =
        spaces.iter().map(|(id, rows)| (*id, reservation(rows))).collect();
    let finding = |(row, range): &(&'a Row<'a>, PortRange)| {
        let (is_known, reservation) = (row.space.reserved.is_some(), reservations[&row.space.id].clone());
        Finding::new(rule, row, Fact::Ephemeral { range: *range, is_known, reservation })
    };
    at_risk.iter().map(finding).collect()
}

/// The range that hands out the row's port to others.
fn range_of(row: &Row<'_>) -> Option<PortRange> {
    let port = row.socket.local.port;
    let range = row.space.ephemeral.filter(|range| range.contains(port))?;
    let is_reserved = row.space.reserved.iter().flatten().any(|range| range.contains(port));
    // A port that is sent on has no socket that could fail to bind. A number that the kernel chose is not missed: the next
    // one will do as well.
    let is_safe = row.socket.state == Some(State::Redirect) || row.socket.autobound == Some(true);
    (!is_reserved && !is_safe).then_some(range)
}

/// What reserves the ports of these rows, which are of one space, and keeps what is reserved there.
fn reservation(rows: &[&Row<'_>]) -> Reservation {
    let ports = joined(rows.iter().map(|row| PortRange::single(row.socket.local.port)).collect());
    if ports.len() > MOST_RANGES {
        return Reservation::TooMany;
    }
    match &rows[0].space.reserved {
        Some(reserved) => Reservation::Set(joined(reserved.iter().copied().chain(ports).collect())),
        None => Reservation::Add(ports),
    }
}

/// The same ports in order, adjacent ranges as one.
fn joined(mut ranges: Vec<PortRange>) -> Vec<PortRange> {
    ranges.sort_unstable();
    let mut joined: Vec<PortRange> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.first().get() <= last.last().get().saturating_add(1) => {
                let end: Port = last.last().max(range.last());
                *last = PortRange::new(last.first(), end).unwrap_or(range);
            }
            _ => joined.push(range),
        }
    }
    joined
}

/// Accept queues that are more than four fifths full.
pub fn queue<'a>(rule: &'static Rule, open: &[&'a Row<'a>]) -> Vec<Finding<'a>> {
    let mut findings = Vec::new();
    for row in open.iter().filter(|row| row.socket.state == Some(State::Listen)) {
        let Some(queue) = row.socket.queue() else { continue };
        if u64::from(queue.used) * 5 <= u64::from(queue.limit) * 4 {
            continue;
        }
        findings.push(Finding::new(rule, row, Fact::Queue(queue)));
    }
    findings
}

/// Ports that are published for somebody else, beyond loopback.
pub fn published<'a>(rule: &'static Rule, open: &[&'a Row<'a>]) -> Vec<Finding<'a>> {
    let mut findings = Vec::new();
    for row in open.iter().filter(|row| row.exposure != Exposure::Loopback) {
        let socket = row.socket;
        let Some(forward) = socket.forward() else { continue };
        // What is sent to another port of this host passes its input rules there.
        let to = forward.to.address.to_canonical();
        if to.is_unspecified() || to.is_loopback() {
            continue;
        }
        findings.push(Finding::new(rule, row, Fact::Published));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::testing::Host;
    use crate::model::{Container, Endpoint, Forward, ForwardedBy, Queue, SpaceId, StandsFor, Waiting};

    #[test]
    fn a_listener_in_the_ephemeral_range_is_found_unless_it_is_reserved() {
        let at = |port: u16| Host::new().listens(&format!("127.0.0.1:{port}"), "/opt/a", 33);
        at(32768).is_found_by("ephemeral-listener", "low tcp 127.0.0.1:32768: 32768 is in the range 32768-60999");
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

    /// What helps each listener that could lose its port.
    fn remedies(host: &Host) -> Vec<String> {
        let listing = crate::join::listing(&host.snapshot, None);
        let found = super::super::findings(&listing, &|rule| rule.id == "ephemeral-listener");
        found.iter().map(|finding| crate::render::words::finding::remedy(finding, listing.snapshot, None)).collect()
    }

    #[test]
    fn one_command_reserves_all_and_keeps_what_is_reserved_already() {
        let at = |host: Host, port: u16| host.listens(&format!("127.0.0.1:{port}"), "/opt/a", 33);
        let mut host = [40003, 40000, 40001, 40002, 40010, 40001].into_iter().fold(Host::new(), at);
        host.snapshot.spaces[0].reserved = Some(vec!["8080".parse().unwrap(), "50000-50010".parse().unwrap()]);
        let command = "sysctl -w net.ipv4.ip_local_reserved_ports=8080,40000-40003,40010,50000-50010";
        assert_eq!(remedies(&host), [command; 6]);
        host.snapshot.spaces[0].reserved = None;
        let unknown = "add 40000-40003,40010 to net.ipv4.ip_local_reserved_ports; its current value could not be read";
        assert_eq!(remedies(&host), [unknown; 6]);
        let many = (40000..40500).step_by(2).fold(Host::new(), at);
        assert!(remedies(&many).iter().all(|remedy| remedy.starts_with("move net.ipv4.ip_local_port_range away")));
    }

    #[test]
    fn the_command_for_another_space_says_that_it_must_run_there() {
        let mut host = Host::new().listens("127.0.0.1:40000", "/opt/a", 33).listens("127.0.0.1:40001", "/opt/a", 33);
        let mut other = host.snapshot.spaces[0].clone();
        (other.id, other.label) = (SpaceId(7), "web".to_owned());
        host.snapshot.spaces.push(other);
        host.last().space = SpaceId(7);
        let there = "inside port space web, since each has its own list (nsenter --net): \
                     sysctl -w net.ipv4.ip_local_reserved_ports=40001";
        assert_eq!(remedies(&host), ["sysctl -w net.ipv4.ip_local_reserved_ports=40000", there]);
        // So it is where the space of this run was not asked for.
        host.snapshot.sockets.remove(0);
        host.snapshot.spaces.remove(0);
        assert_eq!(remedies(&host), [there]);
    }

    #[test]
    fn an_accept_queue_above_four_fifths_is_found() {
        for (used, limit, is_found) in
            [(5, 5, true), (4, 5, false), (0, 0, false), (1, 0, true), (103, 128, true), (102, 128, false)]
        {
            let mut host = Host::new().listens("127.0.0.1:8080", "/opt/a", 33);
            host.last().waiting = Some(Waiting::Connections(Queue { used, limit }));
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
                ..Container::of_id(crate::model::Runtime::Docker, "0123".to_owned())
            }),
            service: None,
        };
        let proxy = |local: &str| {
            let mut host = Host::new().listens(local, "/usr/bin/docker-proxy", 0);
            host.last().stands_for = Some(Box::new(StandsFor::Forward(forward(ForwardedBy::Proxy))));
            host
        };
        proxy("0.0.0.0:8080")
            .is_found_by("published-port", "medium tcp 0.0.0.0:8080: a proxy, and usually a firewall rule");
        proxy("127.0.0.1:8080").is_clean_for("published-port");
        let redirect = |local: &str, forward| {
            let mut host = Host::new().redirect(local);
            host.last().stands_for = Some(Box::new(StandsFor::Forward(forward)));
            host
        };
        let sent = redirect("0.0.0.0:8080", forward(ForwardedBy::Nat));
        sent.is_found_by("published-port", "medium tcp 0.0.0.0:8080: a firewall rule forwards traffic for port 8080");
        assert!(sent.found_by("published-port")[0].ends_with("forwarded to container web, 172.17.0.2:80"));
        redirect("127.0.0.1:8080", forward(ForwardedBy::Nat)).is_clean_for("published-port");
        let here = Forward { to: Endpoint::new("0.0.0.0".parse().unwrap(), 81).into(), ..forward(ForwardedBy::Nat) };
        redirect("0.0.0.0:8080", here).is_clean_for("published-port");
        Host::new().listens("0.0.0.0:8080", "/usr/bin/docker-proxy", 0).is_clean_for("published-port");
    }
}
