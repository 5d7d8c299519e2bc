//! One number, several sockets.

use std::collections::{BTreeMap, BTreeSet};

use super::fact::{Fact, Running};
use super::holders::{Holding, exe, exes};
use super::{Finding, Rule};
use crate::model::{Exposure, Process, Protocol, Row};

/// Ports of UDP that many programs share by design: each gets its copy of what is sent to the group.
/// Source: IANA, for SSDP, WS-Discovery, mDNS, LLMNR.
const MULTICAST: [u16; 4] = [1900, 3702, 5353, 5355];

/// Sockets of unrelated programs on the same address and port.
pub fn unrelated<'a>(rule: &'static Rule, open: &[&'a Row<'a>]) -> Vec<Finding<'a>> {
    let mut places: BTreeMap<_, Vec<&'a Row<'a>>> = BTreeMap::new();
    // Of a holder whose file is not known nothing can be said; that owners are hidden is a finding of its own.
    let is_known = |row: &&&Row<'_>| !row.processes.is_empty() && exes(row).iter().all(Option::is_some);
    for row in open.iter().filter(is_known) {
        let socket = row.socket;
        if socket.protocol == Protocol::Udp && MULTICAST.contains(&socket.local.port.get()) {
            continue;
        }
        let place = (socket.space, socket.protocol, socket.local.address, socket.local.port, socket.device.as_deref());
        places.entry(place).or_default().push(row);
    }
    let mut findings = Vec::new();
    for rows in places.into_values().filter(|rows| rows.len() > 1) {
        // Sockets of which a holder is the same program belong together; so do those that a process hands on.
        let is_related = |row: &&&Row<'_>| are_related(rows[0], row);
        let strangers: BTreeSet<Running> = rows.iter().filter(|row| !is_related(row)).map(|row| running(row)).collect();
        if !strangers.is_empty() {
            findings.push(Finding::new(rule, rows[0], Fact::Shared { one: running(rows[0]), strangers }));
        }
    }
    findings
}

/// Says whether a holder of one runs the same as a holder of the other: the same file and, for an interpreter, the same
/// script as far as that is known of both.
fn are_related(one: &Row<'_>, other: &Row<'_>) -> bool {
    let same = |one: &Process, other: &Process| {
        exe(one) == exe(other) && (one.runs == other.runs || one.runs.is_none() || other.runs.is_none())
    };
    let known = |row: &Row<'_>| row.processes.iter().filter_map(|(_, process)| *process).cloned().collect::<Vec<_>>();
    let others = known(other);
    known(one).iter().any(|one| others.iter().any(|other| same(one, other)))
}

/// Who holds it, with what interpreters run.
fn running(row: &Row<'_>) -> Running {
    let runs = row.processes.iter().filter_map(|(_, process)| process.as_ref()?.runs.as_ref());
    Running { held_by: Holding::of(row), runs: runs.map(|runs| runs.to_string_lossy().into_owned()).collect() }
}

/// Ports that IPv4 has on loopback only and IPv6 has open.
pub fn ipv6_open<'a>(rule: &'static Rule, open: &[&'a Row<'a>]) -> Vec<Finding<'a>> {
    let mut ports: BTreeMap<_, Vec<&'a Row<'a>>> = BTreeMap::new();
    for row in open {
        let socket = row.socket;
        ports.entry((socket.space, socket.protocol, socket.local.port)).or_default().push(row);
    }
    let mut findings = Vec::new();
    for rows in ports.into_values() {
        let (four, six): (Vec<&Row<'_>>, Vec<&Row<'_>>) =
            rows.into_iter().partition(|row| row.socket.local.address.to_canonical().is_ipv4());
        // A socket of IPv6 that serves IPv4 as well opens both, which is no difference between them.
        let opens_ipv4 =
            |row: &&&Row<'_>| row.socket.local.address.is_unspecified() && row.socket.v6only == Some(false);
        let is_closed = |row: &&Row<'_>| row.exposure == Exposure::Loopback;
        if four.is_empty() || !four.iter().all(is_closed) || six.iter().any(|row| opens_ipv4(&row)) {
            continue;
        }
        for row in six.iter().filter(|row| !is_closed(row)) {
            let fact = Fact::OpenOverIpv6 { closed: four[0].socket.local, held_by: Holding::of(four[0]) };
            findings.push(Finding::new(rule, row, fact));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::testing::Host;

    #[test]
    fn unrelated_programs_on_one_address_and_port_are_found_once() {
        let two = Host::new().listens("0.0.0.0:8080", "/opt/a", 33).listens("0.0.0.0:8080", "/opt/b", 33);
        two.is_found_by(
            "shared-port",
            "high tcp 0.0.0.0:8080: /opt/a (www-data) and /opt/b (www-data) each have a socket",
        );
        let workers = ["/opt/a", "/opt/a (deleted)", "/opt/a"];
        let same = workers.iter().fold(Host::new(), |host, exe| host.listens("0.0.0.0:8080", exe, 33));
        same.is_clean_for("shared-port");
        let apart = Host::new().listens("127.0.0.1:8080", "/opt/a", 33).listens("127.0.0.2:8080", "/opt/b", 33);
        apart.is_clean_for("shared-port");
        let mut devices = Host::new().listens("0.0.0.0:8080", "/opt/a", 33).listens("0.0.0.0:8080", "/opt/b", 33);
        devices.last().device = Some("eth0".into());
        devices.is_clean_for("shared-port");
    }

    #[test]
    fn two_scripts_of_one_interpreter_are_two_programs() {
        let both = |one: &str, other: &str| {
            let mut host = Host::new();
            for runs in [one, other] {
                host = host.listens("0.0.0.0:8080", "/usr/bin/python3", 33);
                let last = *host.snapshot.processes.keys().max().unwrap();
                host.snapshot.processes.get_mut(&last).unwrap().runs = (!runs.is_empty()).then(|| runs.into());
            }
            host
        };
        let found = "high tcp 0.0.0.0:8080: /usr/bin/python3 (www-data) running a.py and /usr/bin/python3 (www-data) \
                     running b.py each have a socket on this address and port";
        both("a.py", "b.py").is_found_by("shared-port", found);
        both("a.py", "a.py").is_clean_for("shared-port");
        both("a.py", "").is_clean_for("shared-port");
    }

    #[test]
    fn what_is_shared_by_design_or_not_known_is_not_found() {
        let mdns = |port: u16| {
            let local = format!("0.0.0.0:{port}");
            Host::new().receives(&local, "/usr/sbin/avahi-daemon", 101).receives(&local, "/opt/chrome", 101)
        };
        mdns(5353).is_clean_for("shared-port");
        mdns(5354).is_found_by("shared-port", "high udp");
        let protocols = Host::new().listens("0.0.0.0:53", "/opt/a", 0).receives("0.0.0.0:53", "/opt/b", 0);
        protocols.is_clean_for("shared-port");
        Host::new().listens("0.0.0.0:80", "/opt/a", 0).hidden("0.0.0.0:80").is_clean_for("shared-port");
        let unknown = Host::new().listens("0.0.0.0:80", "", 0).listens("0.0.0.0:80", "/opt/a", 0);
        unknown.is_clean_for("shared-port");
        unknown
            .listens("0.0.0.0:80", "/opt/b", 0)
            .is_found_by("shared-port", "high tcp 0.0.0.0:80: /opt/a (root) and /opt/b");
    }

    #[test]
    fn ipv6_that_is_open_where_ipv4_is_closed_is_found() {
        let both = |four: &str, six: &str| Host::new().listens(four, "/opt/a", 33).listens(six, "/opt/a", 33);
        both("127.0.0.1:5432", "[::]:5432").is_found_by("ipv6-open", "medium tcp [::]:5432");
        both("127.0.0.1:5432", "[2001:db8::1]:5432").is_found_by("ipv6-open", "medium tcp [2001:db8::1]:5432");
        both("127.0.0.1:5432", "[::1]:5432").is_clean_for("ipv6-open");
        both("0.0.0.0:5432", "[::]:5432").is_clean_for("ipv6-open");
        both("127.0.0.1:5432", "[::]:5433").is_clean_for("ipv6-open");
        both("127.0.0.1:5432", "[::ffff:127.0.0.1]:5432").is_clean_for("ipv6-open");
        let more = both("127.0.0.1:5432", "[::]:5432").listens("192.0.2.7:5432", "/opt/a", 33);
        more.is_clean_for("ipv6-open");
        Host::new().listens("[::]:5432", "/opt/a", 33).is_clean_for("ipv6-open");
        let mut dual = both("127.0.0.1:5432", "[::]:5432");
        dual.last().v6only = Some(false);
        dual.is_clean_for("ipv6-open");
        dual.last().v6only = Some(true);
        dual.is_found_by("ipv6-open", "medium");
    }
}
